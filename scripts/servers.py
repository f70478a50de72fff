"""Starts and stops servers; nothing else does.

A server is a command that prints one line, `listening on HOST:PORT ...`, drains on SIGTERM and
exits 0. Its standard output and error go to files, so that no pipe can fill and its last words
survive it.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.errors import UserError
from scripts.processes import running

_READY = re.compile(r"^listening on (\S+):(\d+)(.*)$", re.MULTILINE)
READY_TIMEOUT_S = 10.0


def program(argv: list[str]) -> str:
    """The server's file name, for messages, also behind `taskset -c CPU`."""
    return Path(argv[3] if argv[0] == "taskset" else argv[0]).name


class Server:
    """A server that is listening. Used from one thread."""

    def __init__(self, child: subprocess.Popen[bytes], argv: list[str], work: Path) -> None:
        self._child, self._work = child, work
        self.argv = argv
        self.pid = child.pid
        self.ready_line = ""
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while True:
            match = _READY.search((self._work / "server.out").read_text(errors="replace"))
            if match is not None:
                self.ready_line, self.port = match[0], int(match[2])
                return
            self.check("before it was ready")
            if time.monotonic() > deadline:
                raise UserError(f"{program(self.argv)} did not say it was listening within {READY_TIMEOUT_S:.0f} s"
                                f" (run it by hand: {' '.join(self.argv)})")
            time.sleep(0.005)

    def check(self, when: str = "during the run") -> None:
        """Raises UserError, with the server's last words, when the server has ended."""
        code = self._child.poll()
        if code is not None:
            how = f"killed by signal {-code}" if code < 0 else f"exit status {code}"
            raise UserError(f"{program(self.argv)} ended {when} ({how}): {self.last_words()}")

    def stats(self, timeout_s: float = 5.0) -> dict[str, Any] | None:
        """GET /stats; None when the server does not answer in time or has no such counters.

        Asked twice on one connection: the second answer counts that connection as served, so
        `accepted` and `served` are exact where connections are kept alive.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            for _ in range(2):
                connection.request("GET", "/stats")
                answer = connection.getresponse()
                body = answer.read()
            counters = json.loads(body) if answer.status == 200 else None
        except (OSError, ValueError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        return counters if isinstance(counters, dict) else None

    def stop(self, timeout_s: float) -> int | None:
        """SIGTERM; the exit status, or None when the server still runs after `timeout_s` seconds."""
        self.check()
        self._child.send_signal(signal.SIGTERM)
        return self.wait(timeout_s)

    def wait(self, timeout_s: float) -> int | None:
        try:
            return self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def last_words(self) -> str:
        lines = (self._work / "server.err").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing on standard error"


@contextlib.contextmanager
def serving(argv: list[str], work: Path) -> Iterator[Server]:
    """A server for the length of the block, ready on entry; its output goes to files in `work`."""
    with (work / "server.out").open("wb") as out, (work / "server.err").open("wb") as err:
        with running(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err) as child:
            server = Server(child, argv, work)
            server.wait_until_ready()
            yield server
