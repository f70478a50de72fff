"""Every child of ./duel starts and ends here.

Invariant: a child is either inside the `with running(...)` block that started it, or gone. Signals
become `Stopped`, raised in the main thread but never between a child's start and its registration.
Children get their own process group: Ctrl-C reaches ./duel alone, which then ends them in order.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

from scripts.errors import Stopped, UserError
from scripts.paths import ROOT

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_deferring = False
_pending: int | None = None


def _stop(signum: int, _frame: object) -> None:
    global _pending
    if _deferring:
        _pending = signum
        return
    for each in _SIGNALS:  # the first one is enough; nothing may interrupt the cleaning up
        signal.signal(each, signal.SIG_IGN)
    raise Stopped(signum)


def install_signal_handlers() -> None:
    """Called once, from the main thread, before the first child."""
    for each in _SIGNALS:
        signal.signal(each, _stop)


def _start(argv: list[str], options: dict[str, Any]) -> subprocess.Popen[Any]:
    try:
        return subprocess.Popen(argv, process_group=0, cwd=ROOT, **options)
    except FileNotFoundError:
        raise UserError(f"{argv[0]} not found (run ./duel setup)") from None
    except PermissionError:
        raise UserError(f"{argv[0]} may not be executed (check its permissions)") from None


@contextlib.contextmanager
def running(argv: list[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """A child for the length of the block; ended with its whole group when the block is left."""
    global _deferring
    child = None
    _deferring = True
    try:
        try:
            child = _start(argv, options)
        finally:
            _deferring = False
        if _pending is not None:
            _stop(_pending, None)
        yield child
    finally:
        if child is not None:
            end(child)


def lines(child: subprocess.Popen[str]) -> Iterator[str]:
    """What a child started with stdout=PIPE prints, line by line, until it closes its output."""
    assert child.stdout is not None
    yield from child.stdout


def end(child: subprocess.Popen[Any], grace_s: float = 3.0) -> None:
    """SIGTERM, then SIGKILL after `grace_s` seconds. Does nothing to a child that has been reaped."""
    if child.poll() is None:
        _signal_group(child, signal.SIGTERM)
        try:
            child.wait(grace_s)
        except subprocess.TimeoutExpired:
            _signal_group(child, signal.SIGKILL)
            child.wait()
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _signal_group(child: subprocess.Popen[Any], signum: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signum)


def output_of(argv: list[str]) -> str | None:
    """Standard output of a short command, stripped; None when it is missing or fails."""
    try:
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
