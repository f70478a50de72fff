"""What a request costs in system calls, once a connection is in its stride.

Counted with strace, attached only while one client asks its requests one after another.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from client import GET, Client
from server import PATIENCE_S, Server, serving, wait_until

REQUESTS = 200
RECEIVES = ("recvfrom", "recvmsg", "read", "readv")
SENDS = ("sendto", "sendmsg", "write", "writev")
WATCHED = (*RECEIVES, *SENDS, "epoll_wait", "epoll_pwait", "epoll_pwait2", "epoll_ctl", "io_uring_enter", "poll",
           "futex", "timerfd_settime", "accept4")


class Calls:
    """`lines` are of finished calls: strace splits one that another thread interrupts in two."""

    def __init__(self, text: str) -> None:
        lines = [line for line in text.splitlines() if "<unfinished ...>" not in line]
        self._lines = [re.sub(r"^\d+\s+", "", line).replace("<... ", "") for line in lines]
        self.names = Counter(line.split("(")[0].split(" ")[0] for line in self._lines)

    def count(self, *names: str) -> int:
        return sum(self.names[name] for name in names)

    def vain_receives(self) -> int:
        return sum(1 for line in self._lines if line.startswith(RECEIVES) and "EAGAIN" in line)


@contextlib.contextmanager
def traced(server: Server, folder: Path) -> Iterator[Path]:
    """The file of the calls that the server's threads make during the block."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed (./duel setup installs it)")
    calls, said = folder / "calls", folder / "strace.err"
    with said.open("wb") as err:
        process = subprocess.Popen([strace, "-f", "-qq", "-e", "signal=none", "-e", f"trace={','.join(WATCHED)}",
                                    "-o", str(calls), "-p", str(server.pid)], stdin=subprocess.DEVNULL, stderr=err)
    try:
        def is_attached() -> bool:
            if process.poll() is not None:
                pytest.skip(f"strace may not attach here: {said.read_text().strip()}")
            tasks = Path(f"/proc/{server.pid}/task").glob("*/status")
            return all(f"TracerPid:\t{process.pid}\n" in each.read_text() for each in tasks)

        wait_until(is_attached, "strace is attached")
        yield calls
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE_S)


def calls_of(server: Server, folder: Path) -> Calls:
    with Client(server.port) as client:
        for _ in range(20):
            client.ask(GET)
        with traced(server, folder) as file:
            for _ in range(5):
                client.ask(GET)  # what strace interrupted when it attached is behind us
            before = file.stat().st_size
            for _ in range(REQUESTS):
                client.ask(GET)
        _, _, whole_lines = file.read_bytes()[before:].decode(errors="replace").partition("\n")
        return Calls(whole_lines)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_request_on_epoll_is_one_receive_and_one_send(workers: int, tmp_path: Path,
                                                        capsys: pytest.CaptureFixture[str]) -> None:
    with serving("stealing", "--driver", "epoll", workers=workers) as server:
        calls = calls_of(server, tmp_path)
    waits = calls.count("epoll_wait", "epoll_pwait", "epoll_pwait2")
    with capsys.disabled():
        print(f"\nstealing/epoll, {workers} workers, {REQUESTS} requests: {dict(calls.names)}")
    # strace writes late: the last calls before the window may be counted, or its own last ones not.
    assert 0.95 <= calls.count(*RECEIVES) / REQUESTS <= 1.025
    assert 0.95 <= calls.count(*SENDS) / REQUESTS <= 1.025
    assert calls.vain_receives() <= 1
    assert calls.count("epoll_ctl") == 0
    assert 0 < waits <= 1.1 * REQUESTS


@pytest.mark.parametrize("workers", [1, 2])
def test_a_request_on_uring_enters_the_kernel_once_a_turn(workers: int, tmp_path: Path,
                                                          capsys: pytest.CaptureFixture[str]) -> None:
    """Two turns a request for a client that waits for each answer: received, sent."""
    with serving("sharded", "--driver", "uring", workers=workers) as server:
        calls = calls_of(server, tmp_path)
    with capsys.disabled():
        print(f"\nsharded/uring, {workers} shards, {REQUESTS} requests: {dict(calls.names)}")
    assert calls.count(*RECEIVES) == 0
    assert calls.count(*SENDS) == 0
    assert 0.95 <= calls.count("io_uring_enter") / REQUESTS <= 2.1
    assert set(calls.names) <= {"io_uring_enter", "futex"}
