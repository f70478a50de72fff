"""What fails while a server starts or ends: it says so in one line, exits and leaves nothing behind."""

from __future__ import annotations

import errno
import os
import re
import select
import signal
import subprocess

import pytest
from faults import BLOCKING, EPOLL, URING, run_to_end
from server import BINARY, MODELS, PATIENCE_S, SANITIZER, model_flags

# What a start may lack, and of which call the kernel says so.
LACKS = [*((model, point, error) for model in MODELS for point, error in
           [("socket", errno.EMFILE), ("listen", errno.EADDRINUSE)]),
         *((model, point, error) for model in EPOLL for point, error in
           [("eventfd2", errno.EMFILE), ("epoll_ctl.add", errno.ENOSPC)]),
         *((model, point, error) for model in URING for point, error in
           [("io_uring_setup", errno.ENOMEM), ("eventfd2", errno.EMFILE), ("mmap.buffers", errno.ENOMEM),
            ("io_uring_register.buffers", errno.ENOMEM)]),
         *((model, "mmap.fiber", errno.ENOMEM) for model in (*EPOLL, *URING)),
         *((model, "clone3", errno.EAGAIN) for model in MODELS)]
MOST_CALLS = 12


def does_without(model: str, point: str) -> bool:
    """libevent has a pipe where it gets no eventfd, ThreadSanitizer can go without its own thread."""
    return (model, point) == ("stealing", "eventfd2") or (SANITIZER == "thread" and point == "clone3")



@pytest.mark.parametrize(("model", "point", "error"), LACKS)
def test_a_start_that_lacks_something_says_what(model: str, point: str, error: int) -> None:
    """Each of its calls fails once; the last run is the one that has no such call left."""
    for skip in range(MOST_CALLS):
        run = run_to_end(model, point, error, skip)
        if run.was_ready and run.hits and does_without(model, point):
            continue
        if run.was_ready:
            break
        assert run.hits == 1, run.said
        assert run.code in (1, 2), f"call {skip}: exit code {run.code}: {run.said}"
        run.check_one_line()
        assert run.left == [], f"call {skip}"
    assert run.was_ready and run.hits == 0, f"call {skip}: ready in spite of it, or never: {run.said}"
    assert (run.code, run.left) == (0, ["stats.json"]), run.said
    assert skip > 0, "there was no call to fail"


@pytest.mark.parametrize("point", ["write.stats", "writev.stats", "close.stats", "rename"])
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_stats_file_that_cannot_be_written_is_reported(point: str, error: int) -> None:
    run = run_to_end("stealing", point, error)
    if not run.hits and point.startswith("write"):
        assert (run.code, run.left) == (0, ["stats.json"])  # the library wrote by the other call
        return
    assert (run.was_ready, run.code, run.left, run.hits) == (True, 1, [], 1), run.said
    drained, _, complaint = run.said.partition("\n")
    assert drained.startswith("drained: ")
    assert os.strerror(error) in complaint and complaint.count("\n") == 1, run.said
    assert ("free space" in complaint) == (error != errno.EIO)


@pytest.mark.skipif(SANITIZER == "thread", reason="one build says it: nothing here runs beside anything")
@pytest.mark.parametrize("model", [*BLOCKING, "stealing", "sharded"])
def test_a_full_disk_under_the_log_costs_only_the_log(model: str, tmp_path: object) -> None:
    stats = f"{tmp_path}/stats.json"
    with open("/dev/full", "wb") as full:
        process = subprocess.Popen([str(BINARY), *model_flags(model), "--workers", "2", "--listen", "127.0.0.1:0",
                                    "--stats-file", stats], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=full)
    try:
        assert process.stdout is not None
        with process.stdout as out:
            if not out.readline().startswith(b"listening"):
                pytest.skip("not ready: the other tests say why")
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0
        assert os.path.exists(stats)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def test_a_ready_line_that_cannot_be_written_is_reported() -> None:
    with open("/dev/full", "wb") as full:
        process = subprocess.Popen([str(BINARY), "--model", "serial", "--listen", "127.0.0.1:0"],
                                   stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE)
    try:
        assert process.stderr is not None
        with process.stderr as err:
            assert select.select([err], [], [], PATIENCE_S)[0], "silence"
            said = err.readline().decode()
            process.terminate()
            assert process.wait(PATIENCE_S) == 0
        assert re.fullmatch(r"duel-server: cannot write the ready line: No space left on device \(.+\)\n", said), said
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
