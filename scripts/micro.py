"""Runs the micro-benchmarks (Google Benchmark) and prints medians with their range."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from scripts import processes, results, tables
from scripts.errors import UserError
from scripts.paths import ROOT, shown
from scripts.processes import running
from scripts.progress import Line

PROGRAM = "build/release/bench/micro-bench"
_NS = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}
# Google Benchmark's own keys of a run; anything else is a counter the benchmark set.
_OWN = {"name", "family_index", "per_family_instance_index", "run_name", "run_type", "repetitions",
        "repetition_index", "threads", "iterations", "real_time", "cpu_time", "time_unit", "label",
        "items_per_second", "bytes_per_second", "error_occurred", "error_message", "skipped", "skip_message"}


def check(pattern: str | None, json_file: Path | None) -> None:
    """What can be wrong before anything is built."""
    if pattern is not None:
        try:
            re.compile(pattern)
        except re.error as error:
            raise UserError(f"--filter {pattern!r} is not a regular expression: {error} (quote it)", 2) from None
    if json_file is not None:
        results.check_writable(json_file)


def listed(pattern: str | None) -> list[str]:
    """The names of the benchmarks that `pattern` selects."""
    argv = [PROGRAM, "--benchmark_list_tests=true", *([f"--benchmark_filter={pattern}"] if pattern else [])]
    names = (processes.output_of(argv) or "").splitlines()
    if not names or any(name.startswith("Failed to match") for name in names):
        raise UserError(f"no micro-benchmark matches --filter {pattern!r} (list them: ./duel bench --list)", 2)
    return names


def run(pattern: str | None, repetitions: int, json_file: Path | None) -> None:
    """Prints the table; keeps Google Benchmark's JSON, less the host name, at `json_file`."""
    check(pattern, json_file)
    names = listed(pattern)
    with results.scratch() as work:
        document = json.loads(_benchmark(pattern, repetitions, len(names), work))
    document.get("context", {}).pop("host_name", None)
    if json_file is not None:
        results.write_json(json_file, document)
    tables.show(table(document["benchmarks"]))
    print(f"\nMedian of {repetitions} repetitions, wall-clock nanoseconds an item. cpu_ns: CPU time of "
          "all threads an item.")
    if json_file is not None:
        print(f"written to {shown(json_file)}")
    failed = sorted({run["run_name"] for run in document["benchmarks"] if run.get("error_occurred")})
    if failed:
        raise UserError(f"{len(failed)} micro-benchmark(s) reported an error: {', '.join(failed)}"
                        " (see error_message in --json)")


def _benchmark(pattern: str | None, repetitions: int, count: int, work: Path) -> str:
    out = work / "micro.json"
    argv = [PROGRAM, f"--benchmark_out={out}", "--benchmark_out_format=json", "--benchmark_color=false",
            f"--benchmark_repetitions={repetitions}", *([f"--benchmark_filter={pattern}"] if pattern else [])]
    line = Line("bench micro")
    with (work / "err").open("w+") as err:
        with running(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err, text=True) as child:
            done = 0
            for text in processes.lines(child):
                if re.match(r"\S+\s+[\d.e+]+ \w+\s", text) and not re.search(r"_(mean|median|stddev|cv)\b", text):
                    done += 1
                    line.update(min(done, count * repetitions), count * repetitions, text.split()[0])
            code = child.wait()
        if code != 0:
            err.seek(0)
            last = (err.read().strip() or f"exit status {code}").rsplit("\n", 1)[-1]
            raise UserError(f"micro-bench failed: {last} (run it by hand: {PROGRAM})")
    line.finish(f"{count} benchmarks")
    return out.read_text()


def table(runs: list[dict[str, Any]]) -> tables.Table:
    """One line a benchmark, from its repetitions (Google Benchmark's aggregates are not used)."""
    by_name: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for each in runs:
        if each.get("run_type", "iteration") == "iteration" and not each.get("error_occurred"):
            by_name[each.get("run_name", each["name"])].append(each)
    return tables.Table(["benchmark", "median\nns", "min..max\nns", "counters"],
                        [_line(name, group) for name, group in by_name.items()])


def _line(name: str, group: list[dict[str, Any]]) -> list[str]:
    times = [each["real_time"] * _NS[each["time_unit"]] for each in group]
    own = {key: value for key, value in group[-1].items() if key not in _OWN and isinstance(value, (int, float))}
    counters = ", ".join(f"{key} {value:,.4g}" for key, value in own.items())
    return [name, nanoseconds(statistics.median(times)), f"{nanoseconds(min(times))}..{nanoseconds(max(times))}",
            counters]


def nanoseconds(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}"


def show_list() -> None:
    """The micro-benchmarks, if they are built."""
    if not (ROOT / PROGRAM).is_file():
        print("  (not built yet: ./duel bench micro builds them)", file=sys.stdout)
        return
    for name in listed(None):
        print(f"  {name}")
