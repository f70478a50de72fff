"""./duel test --coverage: which lines of the kit the tests run, folder by folder.

The counting build writes what ran when a program ends; gcovr adds it up. The report names every line
that did not run.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict

from scripts import processes, suite
from scripts.errors import UserError
from scripts.paths import build_dir, shown
from scripts.processes import running
from scripts.progress import Line

PRESET = "coverage"
LIMIT = 90.0  # percent of the lines of runtimes
_REPORT = build_dir(PRESET) / "report"
_SUMMARY = _REPORT / "summary.json"
# Tests do not count, nor does the explorer, which is a tool for tests.
_LEFT_OUT = (r".*/test_[^/]*$", r".*_test\.[ch]pp$", r"runtimes/explore/.*")


def run() -> bool:
    """True when no test failed and enough ran."""
    for old in build_dir(PRESET).rglob("*.gcda"):
        old.unlink()
    passed = suite.run([PRESET], None)
    _collect()
    total = show(json.loads(_SUMMARY.read_text())["files"])
    print(f"every line that did not run: {shown(_REPORT / 'index.html')}, {shown(_REPORT / 'lines.txt')}")
    if total < LIMIT:
        print(f"failed: the tests run {total:.1f} % of the lines of runtimes, at least {LIMIT:.0f} % are wanted "
              "(the report names the others)")
    return passed and total >= LIMIT


def _collect() -> None:
    _REPORT.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-m", "gcovr", "--root", ".", "--filter", "runtimes/", "--filter", "servers/",
            *(word for each in _LEFT_OUT for word in ("--exclude", each)), "-j", "2",
            # Counters of threads that ended while they were written; the line ran.
            "--gcov-ignore-parse-errors=negative_hits.warn_once_per_file",
            "--merge-lines",  # a line of a template counts once, and runs if any instance does
            "--json-summary", shown(_SUMMARY), "--txt", shown(_REPORT / "lines.txt"),
            "--html-details", shown(_REPORT / "index.html"), shown(build_dir(PRESET))]
    line = Line("coverage")
    with running(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                 errors="replace") as child:
        output = "".join(processes.lines(child))
        code = child.wait()
    if code != 0:
        line.finish("failed")
        raise UserError(f"gcovr ended with status {code} (./duel clean starts afresh):\n{output.rstrip()}")
    line.finish("done")


def show(files: list[dict]) -> float:
    """Prints lines run by folder; the total of runtimes, in percent."""
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for each in files:
        folder = each["filename"].rpartition("/")[0]
        for name in (folder, f"total {folder.partition('/')[0]}"):
            sums[name][0] += each["line_covered"]
            sums[name][1] += each["line_total"]
    print(f"{'folder':<28} {'lines':>6} {'run':>6} {'%':>6}")
    for name in sorted(sums, key=lambda each: (each.startswith("total"), each)):
        covered, total = sums[name]
        print(f"{name:<28} {total:>6} {covered:>6} {_percent(covered, total):>6.1f}")
    return _percent(*sums["total runtimes"])


def _percent(part: int, whole: int) -> float:
    return 100.0 * part / whole if whole else 0.0
