"""Progress with time left, on standard error: a bar on a terminal, one line a step elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bar


def duration(seconds: float) -> str:
    """`seconds` for people: 8 s, 1 min 05 s."""
    whole = max(0, round(seconds))
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02d} s"


class Progress:
    """Work of a known estimated length, in seconds, done in named steps."""

    def __init__(self, title: str, total_s: float) -> None:
        self._title = title
        self._total_s = max(total_s, 0.1)
        self._done_s = 0.0
        self._step = ""
        self._step_s = 0.0
        self._step_began = time.monotonic()
        self._terminal = sys.stderr.isatty()
        self._bar: Bar | None = None

    def __enter__(self) -> Progress:
        if self._terminal:
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[left]}"),
                console=Console(stderr=True), transient=True, refresh_per_second=2)
            self._bar.start()
            self._task = self._bar.add_task(self._title, total=self._total_s, left="")
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    @contextlib.contextmanager
    def step(self, name: str, seconds: float) -> Iterator[None]:
        """One step, expected to take `seconds`; the estimate counts as done when it ends."""
        self._step, self._step_s, self._step_began = name, seconds, time.monotonic()
        if self._terminal:
            self.tick()
        else:
            left = duration(self._total_s - self._done_s)
            print(f"{self._title}: {name} (about {left} left)", file=sys.stderr, flush=True)
        yield
        self._done_s += seconds
        self._step_s = 0.0
        self.tick()

    def tick(self) -> None:
        """Redraws the bar; call it whenever a wait wakes up."""
        if self._bar is None:
            return
        into = min(time.monotonic() - self._step_began, self._step_s)
        left = duration(self._total_s - self._done_s - into)
        self._bar.update(
            self._task, completed=self._done_s + into,
            description=f"{self._title}: {self._step}", left=f"{left} left")


class Line:
    """One line of progress that is rewritten on a terminal and printed once elsewhere."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._began = time.monotonic()
        self._terminal = sys.stderr.isatty()
        if not self._terminal:
            print(f"{title} ...", file=sys.stderr, flush=True)

    def elapsed_s(self) -> float:
        return time.monotonic() - self._began

    def update(self, done: int, total: int, detail: str = "", left_s: float | None = None) -> None:
        if not self._terminal:
            return
        if left_s is None and done > 0:
            left_s = self.elapsed_s() * (total - done) / done
        left = "" if left_s is None else f", about {duration(left_s)} left"
        text = f"{self._title} {done}/{total}, {duration(self.elapsed_s())}{left} {detail}"
        print(f"\r\x1b[K{text[:118]}", end="", file=sys.stderr, flush=True)

    def finish(self, outcome: str) -> None:
        start = "\r\x1b[K" if self._terminal else ""
        print(f"{start}{self._title}: {outcome} ({duration(self.elapsed_s())})", file=sys.stderr, flush=True)
