"""Every child of ./duel starts and ends here.

Invariant: a child is either inside the `with running(...)` block that started it, or gone. Signals
become `Stopped`, raised in the main thread but never between a child's start and its registration.
Children get their own process group: Ctrl-C reaches ./duel alone, which then ends them in order.
Threads start theirs inside `with pool(...)`, which ends them when the main thread leaves early.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from scripts.errors import Stopped, UserError
from scripts.paths import ROOT

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOOK_S = 0.2
_deferring = False
_pending: int | None = None
_lock = threading.Lock()
_of_threads: set[subprocess.Popen[Any]] = set()  # under _lock, like the next
_pool_ends = False


def _stop(signum: int, _frame: object) -> None:
    global _pending
    if _deferring:
        _pending = signum
        return
    # The first one is enough: nothing may interrupt the cleaning up. Not SIG_IGN, which a child of
    # another thread would inherit.
    for each in _SIGNALS:
        signal.signal(each, lambda *_: None)
    raise Stopped(signum)


def install_signal_handlers() -> None:
    """Called once, from the main thread, before the first child."""
    for each in _SIGNALS:
        signal.signal(each, _stop)


def _start(argv: list[str], options: dict[str, Any]) -> subprocess.Popen[Any]:
    try:
        return subprocess.Popen(argv, process_group=0, **{"cwd": ROOT, **options})
    except FileNotFoundError:
        raise UserError(f"{argv[0]} not found (run ./duel setup)") from None
    except PermissionError:
        raise UserError(f"{argv[0]} may not be executed (check its permissions)") from None


@contextlib.contextmanager
def running(argv: list[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """A child for the length of the block; ended with its whole group when the block is left."""
    child = None
    is_main = threading.current_thread() is threading.main_thread()
    try:
        with _signals_wait() if is_main else _lock:
            if _pool_ends:
                raise UserError("stopped")
            child = _start(argv, options)
            if not is_main:
                _of_threads.add(child)
        yield child
    finally:
        if child is not None:
            end(child)
            with _lock:
                _of_threads.discard(child)


@contextlib.contextmanager
def _signals_wait() -> Iterator[None]:
    """For the main thread, which alone gets them."""
    global _deferring
    _deferring = True
    try:
        yield
    finally:
        _deferring = False
    if _pending is not None:
        _stop(_pending, None)


def run(argv: list[str], timeout_s: float | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
    """A child from start to end, from any thread; subprocess.TimeoutExpired when it takes longer."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    with running(argv, stdin=subprocess.DEVNULL, text=True, errors="replace", **options) as child:
        out, err = child.communicate(timeout=timeout_s)
    return subprocess.CompletedProcess(argv, child.returncode, out, err)


@contextlib.contextmanager
def pool(jobs: int) -> Iterator[ThreadPoolExecutor]:
    """Threads for `run`; of the main thread. An exception in the block drops what is queued and ends their children."""
    global _pool_ends
    threads = ThreadPoolExecutor(jobs)
    # CPython sees a signal that comes just before it waits for a lock only when the wait is interrupted.
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, _LOOK_S, _LOOK_S)
    try:
        yield threads
        threads.shutdown()
    except BaseException:
        with _signals_wait():
            with _lock:
                _pool_ends = True
                left = list(_of_threads)
            threads.shutdown(wait=False, cancel_futures=True)
            for child in left:
                _reap(child)
            threads.shutdown()  # each thread closes its child's pipes and removes its files
            _pool_ends = False
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def lines(child: subprocess.Popen[str]) -> Iterator[str]:
    """What a child started with stdout=PIPE prints, line by line, until it closes its output."""
    assert child.stdout is not None
    yield from child.stdout


def end(child: subprocess.Popen[Any], grace_s: float = 3.0) -> None:
    """SIGTERM, then SIGKILL after `grace_s` seconds. Does nothing to a child that has been reaped."""
    _reap(child, grace_s)
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _reap(child: subprocess.Popen[Any], grace_s: float = 3.0) -> None:
    if child.poll() is None:
        _signal_group(child, signal.SIGTERM)
        try:
            child.wait(grace_s)
        except subprocess.TimeoutExpired:
            _signal_group(child, signal.SIGKILL)
            child.wait()


def _signal_group(child: subprocess.Popen[Any], signum: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signum)


def output_of(argv: list[str]) -> str | None:
    """Standard output of a short command, stripped; None when it is missing or fails."""
    try:
        done = run(argv, 10)
    except (OSError, UserError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
