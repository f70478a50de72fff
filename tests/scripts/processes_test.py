"""Children of threads: none outlives the pool, and what is queued never starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from scripts import processes
from scripts.errors import UserError
from scripts.paths import ROOT

# A stopped command of two threads that have a child each, and work in the queue.
STOPPED = """
import sys
from scripts import processes
from scripts.errors import Stopped

def work(number):
    script = f"echo {number} $$ >&2; exec sleep 600"
    return processes.run(["bash", "-c", script], stderr=None)

processes.install_signal_handlers()
try:
    with processes.pool(2) as pool:
        for task in [pool.submit(work, number) for number in range(6)]:
            task.result()
except Stopped as stopped:
    sys.exit(stopped.exit_code)
"""


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_children_of_threads(signum: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", STOPPED], cwd=ROOT, stderr=subprocess.PIPE, text=True) as duel:
        children = [int(duel.stderr.readline().split()[1]) for _ in range(2)]
        duel.send_signal(signum)
        rest = duel.stderr.read()
        assert duel.wait(60) == 128 + signum
    assert rest == ""
    assert not any(map(is_there, children))


def test_a_signal_that_does_not_interrupt_the_main_thread_is_seen() -> None:
    """Here another thread gets it; one that comes just before a wait does as little."""
    code = STOPPED.replace("import sys\n", "import signal, sys, threading, time\n").replace(
        "    return", "    time.sleep(0.5)\n    signal.pthread_kill(threading.get_ident(), signal.SIGINT)\n    return")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60, check=False, stderr=subprocess.DEVNULL)
    assert done.returncode == 128 + signal.SIGINT


def test_an_error_ends_the_children_of_threads_and_a_pool_can_follow() -> None:
    children, started = [], threading.Event()

    def work() -> None:
        with processes.running(["sleep", "600"]) as child:
            children.append(child)
            started.set()
            child.wait()

    with pytest.raises(ZeroDivisionError), processes.pool(1) as pool:
        tasks = [pool.submit(work) for _ in range(3)]
        assert started.wait(60)
        raise ZeroDivisionError
    assert len(children) == 1 and children[0].returncode == -signal.SIGTERM
    assert [task.cancelled() for task in tasks] == [False, True, True]
    with processes.pool(1) as pool:
        assert pool.submit(processes.run, ["echo", "again"]).result().stdout == "again\n"


def test_what_takes_too_long_is_ended() -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        processes.run(["sleep", "600"], 0.2)
    with pytest.raises(UserError, match="not found"):
        processes.run(["no-such-program"])


def test_a_child_starts_with_the_usual_signals() -> None:
    """Also when ./duel is being stopped: a child that ignores SIGTERM would have to be killed."""
    code = ("import signal\nfrom scripts import processes\nprocesses.install_signal_handlers()\n"
            "try:\n    processes._stop(signal.SIGTERM, None)\nexcept BaseException:\n"
            "    print(processes.run(['grep', 'SigIgn', '/proc/self/status']).stdout.split()[1])\n")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60,
                          check=True)
    mine = int(done.stdout, 16)
    assert not mine & (1 << (signal.SIGTERM - 1) | 1 << (signal.SIGINT - 1))
