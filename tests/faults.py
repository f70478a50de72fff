"""Servers of which chosen system calls fail: the Python side of fault_injector.cpp."""

from __future__ import annotations

import contextlib
import mmap
import os
import re
import select
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from server import BINARY, BUILD, PATIENCE_S, Server, model_flags, serving

INJECTOR = BUILD / "tests" / "fault_injector"
_RULE = struct.Struct("=iIIIIIII")  # fault_rules.hpp: struct rule
_TIMES, _HITS, _CALLS = 16, 24, 28  # where these lie in it
ALWAYS = 0xFFFF_FFFF

# What waits for events and what ends a request, by model: where the faults of each apply.
EPOLL = ("stealing", "sharded/epoll")
URING = ("stealing/uring", "sharded")
BLOCKING = ("serial", "threads")


class Faults:
    """The rules of one run, in the file that the supervisor shares."""

    def __init__(self, folder: Path, points: tuple[str, ...]) -> None:
        self._points = points
        self.control = folder / "control"
        self.control.write_bytes(bytes(4096))
        with self.control.open("r+b") as file:
            self._rules = mmap.mmap(file.fileno(), 4096)

    def _at(self, point: str) -> int:
        return self._points.index(point) * _RULE.size

    def _word(self, point: str, offset: int) -> int:
        return int(struct.unpack_from("=I", self._rules, self._at(point) + offset)[0])

    def fail(self, point: str, error: int = 0, *, cut: int = 0, skip: int = 0, every: int = 1,
             times: int = ALWAYS) -> None:
        """From now on: the error, or with `cut` a transfer of at most so many bytes."""
        self.stop(point)
        calls = self._word(point, _CALLS)
        _RULE.pack_into(self._rules, self._at(point), error, cut, skip, every, 0, 0, 0, calls)
        struct.pack_into("=I", self._rules, self._at(point) + _TIMES, times)

    def stop(self, point: str) -> None:
        struct.pack_into("=I", self._rules, self._at(point) + _TIMES, 0)

    def hits(self, point: str) -> int:
        """How often it has failed since fail()."""
        return self._word(point, _HITS)

    def calls(self, point: str) -> int:
        """How often it was called in all."""
        return self._word(point, _CALLS)

    def launcher(self) -> tuple[str, ...]:
        return (str(INJECTOR), str(self.control), *self._points, "--")


@contextlib.contextmanager
def faulty(model: str, points: tuple[str, ...], *flags: str, workers: int = 2,
           before_exec: Callable[[], None] | None = None,
           at_start: Callable[[Faults], None] = lambda faults: None) -> Iterator[tuple[Server, Faults]]:
    """serving(), and the faults that can be told to begin."""
    with tempfile.TemporaryDirectory(prefix="duel-faults-") as name:
        faults = Faults(Path(name), points)
        at_start(faults)
        with serving(model, *flags, workers=workers, before_exec=before_exec,
                     launcher=faults.launcher()) as server:
            yield server, faults


@dataclass(frozen=True)
class Run:
    """A server from its start, with one fault armed, to its end: SIGTERM as soon as it is ready."""

    was_ready: bool
    code: int
    said: str
    left: list[str]  # files in the folder of its stats file
    hits: int

    def check_one_line(self) -> None:
        """What is wrong and, in parentheses, what to do."""
        assert re.fullmatch(r"duel-server: .+ \(.+\).*\n", self.said), self.said


def run_to_end(model: str, point: str, error: int, skip: int = 0) -> Run:
    """`skip` calls pass, then one fails."""
    with tempfile.TemporaryDirectory(prefix="duel-faults-") as name:
        folder = Path(name)
        faults = Faults(folder, (point,))
        faults.fail(point, error, skip=skip, times=1)
        argv = [*faults.launcher(), str(BINARY), *model_flags(model), "--workers", "2", "--listen", "127.0.0.1:0",
                "--stats-file", str(folder / "stats.json")]
        with (folder / "err").open("wb") as err:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err)
        assert process.stdout is not None
        try:
            # The end of the pipe ends this too; a server that does neither fails the test by hanging.
            readable, _, _ = select.select([process.stdout], [], [], PATIENCE_S)
            assert readable, f"neither ready nor gone: {(folder / 'err').read_text()}"
            was_ready = process.stdout.readline().startswith(b"listening")
            if was_ready:
                process.terminate()
            code = process.wait(PATIENCE_S)
            said = (folder / "err").read_text(errors="replace")
            if "io_uring_setup is refused" in said and not faults.hits(point):
                pytest.skip(said.strip())
            return Run(was_ready, code, said, sorted(set(os.listdir(folder)) - {"control", "err"}), faults.hits(point))
        finally:
            process.stdout.close()
            if process.poll() is None:
                process.kill()
                process.wait()


def check_books(server: Server) -> None:
    """Every connection that was accepted has ended, and all is as drain() says."""
    stats = server.drain()
    begun, ended = (sum(worker[name] for worker in stats["workers"]) for name in ("connections", "closed"))
    assert begun == ended == stats["accepted"], stats
    assert stats["connections_now"] == 0


def is_older_than(*version: int) -> bool:
    running = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])
    return running < version
