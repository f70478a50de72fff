"""One duel-server for the length of a `with` block, and what is true of every run of it.

Invariant: the process is either inside its block or gone, ended by its process id. Leaving the
block in peace drains the server and demands exit code 0 and nothing left alive.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / os.environ.get("DUEL_BUILD", "build/release")
BINARY = BUILD / "servers" / "duel-server"

# A model, or model/driver where the driver is not the model's default.
FIBERS = ("stealing", "stealing/uring", "sharded/epoll", "sharded")
CONCURRENT = ("threads", *FIBERS)
MODELS = ("serial", *CONCURRENT)
# What serving() is told for each model, and for those with shards once more with /kv's values at their owners.
WITH_STATE = {**{model: (model,) for model in MODELS},
              **{f"{model} --state=sharded": (model, "--state", "sharded")
                 for model in MODELS if model.startswith("sharded")}}


def model_flags(model: str) -> tuple[str, ...]:
    """The command line of a model of these lists."""
    name, _, driver = model.partition("/")
    return ("--model", name, "--driver", driver) if driver else ("--model", name)


_READY = re.compile(r"^listening on (\S+):(\d+) model=(\S+) driver=(\S+).*\n", re.MULTILINE)
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def _sanitizer() -> str:
    """"address,undefined", "thread" or nothing, as this build was configured."""
    try:
        cache = (BUILD / "CMakeCache.txt").read_text()
    except OSError:
        return ""
    found = re.search(r"^DUEL_SANITIZE:\w+=(.*)$", cache, re.MULTILINE)
    return found[1].strip() if found else ""


SANITIZER = _sanitizer()
# How long anything may take that should take no time: beyond it a test fails instead of hanging.
PATIENCE_S = 40.0 if SANITIZER else 15.0


def wait_until(condition: Callable[[], bool], what: str, patience_s: float = PATIENCE_S,
               every_s: float = 0.005) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {patience_s:.0f} s: {what}"
        time.sleep(every_s)


class Server:
    """A server that is listening. `stats` is there once it has ended."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self._process, self._folder = process, folder
        self.pid = process.pid
        self.port = 0
        self.ready_line = ""
        self.stats: dict[str, Any] = {}

    @property
    def errors(self) -> str:
        return (self._folder / "err").read_text(errors="replace")

    def is_running(self) -> bool:
        return self._process.poll() is None

    def await_ready(self) -> None:
        def is_ready() -> bool:
            found = _READY.search((self._folder / "out").read_text(errors="replace"))
            if found:
                self.port, self.ready_line = int(found[2]), found[0].strip()
            if found is None and not self.is_running():
                if "io_uring_setup is refused" in self.errors:
                    pytest.skip(self.errors.strip())
                pytest.fail(f"exit code {self._process.returncode} before ready: {self.errors}")
            return found is not None

        wait_until(is_ready, "the ready line")

    def signal(self, what: signal.Signals) -> None:
        self._process.send_signal(what)

    def await_end(self, patience_s: float = PATIENCE_S) -> int:
        """The exit code; also reads the counters."""
        try:
            code = self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running {patience_s:.0f} s after the signal; its threads: {self.threads()}; it said: "
                        f"{self.errors}")
        with contextlib.suppress(OSError):
            self.stats = json.loads((self._folder / "stats.json").read_text())
        return code

    def drain(self, patience_s: float = PATIENCE_S) -> dict[str, Any]:
        """SIGTERM unless it has ended, and what must hold then. The counters."""
        if not self.stats:
            self.signal(signal.SIGTERM)
            code = self.await_end(patience_s)
            assert code == 0, f"exit code {code}: {self.errors}"
        assert self.stats["live"] == {"tasks": 0, "stacks": 0, "descriptors": 0}, self.errors
        assert "Sanitizer" not in self.errors and "runtime error" not in self.errors, self.errors
        return self.stats

    def end_now(self) -> None:
        if self.is_running():
            self._process.kill()
            self._process.wait()

    def threads(self) -> str:
        """Each thread's state, CPU ticks, and the system call it is in, by number and arguments."""
        found = []
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            fields = (task / "stat").read_text().rpartition(") ")[2].split()
            found.append(f"{fields[0]} {int(fields[11]) + int(fields[12])} in {(task / 'syscall').read_text().strip()}")
        return ", ".join(found)

    def sockets(self) -> str:
        """Both ends of its connections, as the kernel has them: addresses, state, bytes that wait to go out and in."""
        port = f":{self.port:04X}"
        lines = (line.split()[1:5] for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
        return "\n".join(" ".join(line) for line in lines if line[0].endswith(port) or line[1].endswith(port))

    def rss_kib(self) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)[1])  # type: ignore[index]

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS

    def descriptors(self) -> int:
        """The least of some readings: UBSan opens a pipe for a moment, to see whether an address can be read."""
        def now() -> int:
            time.sleep(0.001)
            return len(os.listdir(f"/proc/{self.pid}/fd"))

        return min(now() for _ in range(10 if "undefined" in SANITIZER else 1))


@contextlib.contextmanager
def serving(model: str, *flags: str, workers: int = 2, before_exec: Callable[[], None] | None = None,
            launcher: tuple[str, ...] = ()) -> Iterator[Server]:
    """A server at a port of the kernel's choice, ready on entry, drained and checked on exit.
    The launcher is a command that becomes the one given to it."""
    assert BINARY.exists(), f"{BINARY} is missing: build it, or name another build in DUEL_BUILD"
    with tempfile.TemporaryDirectory(prefix="duel-test-") as name:
        folder = Path(name)
        argv = [*launcher, str(BINARY), *model_flags(model), "--workers", str(workers), "--listen", "127.0.0.1:0",
                "--stats-file", str(folder / "stats.json"), *flags]
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            server = Server(subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                             preexec_fn=before_exec), folder)
        try:
            server.await_ready()
            yield server
            server.drain()
        except BaseException as error:
            if not server.is_running():
                print(f"{model}: exit code {server.await_end()}: {server.errors}")
            elif isinstance(error, TimeoutError):
                print(f"{model}: somebody waits in vain; its threads: {server.threads()}; its sockets:\n{server.sockets()}")
            raise
        finally:
            server.end_now()
