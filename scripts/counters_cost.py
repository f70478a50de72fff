"""./duel bench counters: what the counters cost, as CPU time a request with and without them.

Two release builds, one with the counters compiled out, in pairs back to back; every other pair runs the
build without first, so that drift cancels. The interval is distribution-free: order statistics of
the ratios within a pair bound their median (the sign test turned round).
"""

from __future__ import annotations

import statistics
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scripts import floor, machine, results, tables, wrk
from scripts.errors import UserError
from scripts.measure import measure
from scripts.paths import shown
from scripts.progress import Progress
from scripts.summary import fewest, median_interval

SCHEMA_VERSION = 1
LEAST_PAIRS = fewest(0.95)
WITH, WITHOUT = "release", "release-nocounters"
CORNERS = (("stealing", "epoll"), ("sharded", "uring"))
_WARMUP_S = 1
_OVERHEAD_S = 0.6


def check(pairs: int, duration_s: int) -> None:
    """What can be wrong before anything is built."""
    if pairs < LEAST_PAIRS:
        raise UserError(f"{pairs} pairs have no 95 % interval (use --pairs {LEAST_PAIRS} or more)", 2)
    wrk.require()
    floor.settings(duration_s)


def server_of(preset: str) -> list[str]:
    return [f"build/{preset}/servers/duel-server"]


def run(pairs: int, duration_s: int, json_file: Path | None,
        servers: dict[str, list[str]] | None = None) -> dict[str, Any]:
    """Prints one line a corner; what the JSON file holds."""
    check(pairs, duration_s)
    each = servers or {preset: server_of(preset) for preset in (WITH, WITHOUT)}
    setting = floor.settings(duration_s)[0]
    run_s = duration_s + _WARMUP_S + _OVERHEAD_S
    began, record = results.utc_now(), machine.record()
    runs: list[dict[str, Any]] = []
    with Progress("bench counters", len(CORNERS) * pairs * 2 * run_s) as progress:
        for pair in range(pairs):
            for model, driver in CORNERS:
                order = (WITH, WITHOUT) if pair % 2 == 0 else (WITHOUT, WITH)
                for preset in order:
                    argv = ["taskset", "-c", str(setting.server_cpu), *each[preset], "--model", model, "--driver",
                            driver, "--workers", str(setting.workers)]
                    step = progress.step(f"pair {pair + 1}, {model}/{driver}, {preset}", run_s)
                    with step, results.scratch() as work:
                        raw = measure(argv, setting.load, _WARMUP_S, work, progress.tick)
                    runs.append({"corner": f"{model}/{driver}", "pair": pair, "build": preset,
                                 "cpu_us": sum(floor.cpu_us(raw)), "raw": raw.as_json()})
    outcomes = [_outcome(f"{model}/{driver}", runs) for model, driver in CORNERS]
    document = {"schema_version": SCHEMA_VERSION, "kind": "counters", "began": began, "ended": results.utc_now(),
                "pairs": pairs, "duration_s": duration_s, "setting": setting.title, "outcomes": outcomes, "runs": runs}
    _show(setting.title, pairs, outcomes)
    if json_file is not None:
        results.write_json(json_file, {**document, "machine": record})
        print(f"written to {shown(json_file)}")
    return document


def _outcome(corner: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    def times(preset: str) -> list[float]:
        mine = [each for each in runs if each["corner"] == corner and each["build"] == preset]
        return [each["cpu_us"] for each in sorted(mine, key=lambda each: each["pair"])]

    ratios = [a / b for a, b in zip(times(WITH), times(WITHOUT), strict=True)]
    bounds = median_interval(ratios)
    assert bounds is not None, "check() asks for enough pairs"
    return {"corner": corner, "with_us": statistics.median(times(WITH)),
            "without_us": statistics.median(times(WITHOUT)), "ratio": statistics.median(ratios), **asdict(bounds),
            "has_one": 1 in bounds, "ratios": ratios}


def _show(title: str, pairs: int, outcomes: list[dict[str, Any]]) -> None:
    tables.show(tables.Table(
        ["counters", "with\nµs", "without\nµs", "ratio\nmedian", "interval", "coverage", "a cost is"],
        [[each["corner"], f"{each['with_us']:.2f}", f"{each['without_us']:.2f}", f"{each['ratio']:.3f}",
          f"{each['low']:.3f}..{each['high']:.3f}", f"{each['coverage']:.1%}",
          "not shown" if each["has_one"] else "shown"]
         for each in outcomes]))
    print("\n" + tables.wrapped(
        f"CPU time a request, {pairs} interleaved pairs, {title}. The ratio is taken within a pair; the interval is "
        "distribution-free (order statistics; the sign test turned round) and bounds the median ratio."))
