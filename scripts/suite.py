"""./duel test: builds presets and runs their tests, CTest (unit) then pytest (whole programs).

With no preset named: everything under dev, then the unit and whole-program tests again under asan
and tsan. tests/scripts checks the Python alone and runs once.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from scripts import explore, processes
from scripts.build import build
from scripts.errors import UserError
from scripts.paths import CACHE, TESTED_PRESETS, build_dir
from scripts.processes import running
from scripts.progress import Line, duration

DEFAULT_PRESETS = ("dev", "asan", "tsan")
_TIMES = CACHE / "test-times.json"
_GUESS_S = {"build": 90.0, "ctest": 40.0, "pytest": 60.0, "explore": 300.0}
_CTEST = re.compile(r"^\s*(\d+)/(\d+) Test\s+#\d+: (\S+) \.+(.*?)\s+[\d.]+ sec")
_PYTEST = re.compile(r"^\[gw\d+\] \[ *\d+%\] (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS) (\S+::\S.*)$")
_PYTEST_SKIPPED = re.compile(r"^SKIPPED \[(\d+)\] \S+?: (.*)$")
_PYTEST_TOTAL = re.compile(r"^\d+ workers? \[(\d+) items?\]")
# Most tests wait more than they compute, so more files are run at a time than there are CPUs.
_PYTEST_WORKERS = "3"


@dataclass
class Tally:
    passed: int = 0
    failed: int = 0
    failures: list[str] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)  # by preset and reason

    def count(self, name: str, ok: bool) -> None:
        if ok:
            self.passed += 1
        else:
            self.failed += 1
            self.failures.append(name)


@dataclass(frozen=True)
class Outcome:
    """One finished test of CTest; done and total count tests."""

    done: int
    total: int
    name: str
    passed: bool


def read_ctest(line: str) -> Outcome | None:
    """A line that says how a test ended; None for any other. Whatever is not `Passed` failed."""
    match = _CTEST.match(line)
    if match is None:
        return None
    return Outcome(int(match[1]), int(match[2]), match[3], match[4].strip(" *:") == "Passed")


def read_pytest(line: str) -> tuple[str, str] | None:
    """The name and the outcome of a line that says how a test ended; None for any other."""
    match = _PYTEST.match(line)
    return None if match is None else (match[2].rstrip(), match[1])


def read_skipped(line: str) -> tuple[int, str] | None:
    """How many tests were skipped and why; None for any other line."""
    match = _PYTEST_SKIPPED.match(line)
    return None if match is None else (int(match[1]), match[2].rstrip())


class Stages:
    """Names the stages as they come and estimates the time left from the last run's durations."""

    def __init__(self, names: list[str], whole: bool) -> None:
        self._names = names
        self._whole = whole  # a selection's durations say nothing about the next run's
        self._began = time.monotonic()
        self._at = 0
        try:
            self._known: dict[str, float] = json.loads(_TIMES.read_text())
        except (OSError, ValueError):
            self._known = {}

    def run(self, action: Callable[[], None]) -> None:
        name = self._names[self._at]
        left = sum(self._estimate(each) for each in self._names[self._at:])
        self._at += 1
        print(f"stage {self._at}/{len(self._names)}: {name}, {duration(time.monotonic() - self._began)} gone, "
              f"about {duration(left)} left", file=sys.stderr, flush=True)
        began = time.monotonic()
        action()
        if not self._whole:
            return
        self._known[name] = round(time.monotonic() - began, 1)
        try:
            CACHE.mkdir(exist_ok=True)
            _TIMES.write_text(json.dumps(self._known))
        except OSError:
            pass  # only the next estimate suffers

    def _estimate(self, name: str) -> float:
        return self._known.get(name, _GUESS_S[name.split(maxsplit=1)[0]])


def run(presets: list[str], expression: str | None) -> bool:
    """Runs the suites; what was skipped and what failed is named, the last line printed is `N passed, N failed`. True
    when nothing failed."""
    tally = Tally()
    tested = [] if explore.is_only_for(expression) else presets
    names = [f"{what} {preset}" for preset in tested for what in ("build", "ctest", "pytest")]
    explores = "dev" in presets and any(explore.selection(expression))
    if explores:
        names.append("explore")
    stages = Stages(names, whole=expression is None)
    for index, preset in enumerate(tested):
        stages.run(partial(build, preset))
        stages.run(partial(_ctest, preset, expression, tally))
        stages.run(partial(_pytest, preset, expression, index == 0, tally))
    if explores:
        stages.run(partial(explore.run, expression, tally.count))
    for why, times in tally.skipped.items():
        print(f"skipped: {times:,} under {why}")
    for name in tally.failures:
        print(f"failed: {name}")
    if tally.passed + tally.failed == 0:
        raise UserError(f"no test matches -k {expression!r} (list them: ctest --test-dir build/{presets[0]} -N)")
    print(f"{tally.passed} passed, {tally.failed} failed", flush=True)
    return tally.failed == 0


def expand(preset: str | None, all_presets: bool) -> list[str]:
    if all_presets:
        return ["dev", *(each for each in TESTED_PRESETS if each != "dev")]
    return [preset] if preset else list(DEFAULT_PRESETS)


def _environment(preset: str) -> dict[str, str]:
    return {**os.environ, "DUEL_BUILD": str(build_dir(preset)), "DUEL_PRESET": preset, "PYTHONUNBUFFERED": "1"}


def prefix(preset: str) -> list[str]:
    """TSan of GCC 12 cannot map its shadow when the kernel randomises more than 28 bits."""
    bits = Path("/proc/sys/vm/mmap_rnd_bits")
    try:
        wide = preset == "tsan" and int(bits.read_text()) > 28
    except (OSError, ValueError):
        wide = False
    if wide and processes.output_of(["setarch", "-R", "true"]) is not None:
        return ["setarch", "-R"]
    return []


def _ctest(preset: str, expression: str | None, tally: Tally) -> None:
    argv = [*prefix(preset), "ctest", "--test-dir", f"build/{preset}", "--parallel", "2", "--output-on-failure",
            *(["-R", expression] if expression else [])]
    line = Line(f"ctest {preset}")
    lines: list[str] = []
    before = tally.failed
    with running(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                 errors="replace", env=_environment(preset)) as child:
        for text in processes.lines(child):
            outcome = read_ctest(text)
            if outcome is None:
                lines.append(text)
                continue
            tally.count(f"{preset}: {outcome.name}", outcome.passed)
            line.update(outcome.done, outcome.total, outcome.name)
        code = child.wait()
    _settle(line, code != 0, tally, before, "".join(lines), f"{preset}: ctest itself (exit status {code})")


def _pytest(preset: str, expression: str | None, first: bool, tally: Tally) -> None:
    """tests/scripts runs with the first preset only: it holds no C++."""
    argv = [*prefix(preset), sys.executable, "-m", "pytest", "tests", "-v", "--tb=short", "--color=no", "-rs",
            "-p", "no:cacheprovider", "-o", "python_files=*_test.py", "-n", _PYTEST_WORKERS, "--dist", "loadfile",
            *([] if first else ["--ignore=tests/scripts"]), *(["-k", expression] if expression else [])]
    line = Line(f"pytest {preset}")
    lines: list[str] = []
    done = total = 0
    before = tally.failed
    with running(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                 errors="replace", env=_environment(preset)) as child:
        for text in processes.lines(child):
            if collected := _PYTEST_TOTAL.match(text):
                total = int(collected[1])
            if skipped := read_skipped(text):
                tally.skipped[f"{preset}: {skipped[1]}"] += skipped[0]
            outcome = read_pytest(text)
            if outcome is None:
                lines.append(text)
                continue
            done += 1
            name, word = outcome
            if word != "SKIPPED":
                tally.count(f"{preset}: {name}", word in ("PASSED", "XFAIL"))
            line.update(done, max(total, done), name.rsplit("::", 1)[-1])
        code = child.wait()
    nothing_ran = code == 5  # pytest's word for: no test was selected
    _settle(line, code != 0 and not nothing_ran, tally, before, "".join(lines),
            f"{preset}: pytest itself (exit status {code})")


def _settle(line: Line, bad: bool, tally: Tally, before: int, output: str, name: str) -> None:
    """A runner that fails without naming a test counts as one failure: silence is not success."""
    if bad and tally.failed == before:
        tally.count(name, False)
    if bad:
        print("\n" + output, file=sys.stderr)
    line.finish(f"{tally.failed - before} failed" if bad else "passed")
