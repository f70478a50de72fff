"""What a model costs above the floor: CPU time a request on GET /, in interleaved pairs.

The floor is a hand-written server on the same kernel interface. A pair is one run of the model and
one of the floor, back to back; every other pair runs the floor first, so that drift cancels. The
ratio is taken within a pair and the median over pairs.
"""

from __future__ import annotations

import os
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scripts import machine, results, tables, wrk
from scripts.audit import per_request_us
from scripts.errors import UserError
from scripts.measure import Measurement, measure, require_descriptors
from scripts.paths import shown
from scripts.progress import Progress

SCHEMA_VERSION = 1
PROGRAMS = ["duel-server", "floor-epoll", "floor-uring"]
_WARMUP_S = 1
_OVERHEAD_S = 0.6
_SERVER = "build/release/servers/duel-server"
_FLOORS = "build/release/bench/"


@dataclass(frozen=True)
class Duel:
    """A model against its floor, and the most the ratio and the user time (microseconds) may be."""

    model: str
    floor: str
    pinned_ratio: float
    shared_ratio: float
    user_us: float


@dataclass(frozen=True)
class Setting:
    """Where server and wrk run."""

    key: str
    title: str
    workers: int
    server_cpu: int | None
    load: wrk.Load


@dataclass(frozen=True)
class Outcome:
    """Medians over the pairs of one duel in one setting; times in microseconds a request."""

    setting: str
    model: str
    floor: str
    pairs: int
    ratio: float
    ratio_min: float
    ratio_max: float
    ratio_limit: float
    user_us: float
    system_us: float
    floor_user_us: float
    floor_system_us: float
    user_limit_us: float | None
    errors: int


DUELS = (Duel("sharded", "floor-uring", 1.10, 1.15, 0.6), Duel("stealing", "floor-epoll", 1.20, 1.25, 0.9))


def settings(duration_s: int) -> list[Setting]:
    """(a) one worker on one CPU, wrk on another; (b) two workers sharing two CPUs with wrk."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        raise UserError("bench floor needs two CPUs, one for the server and one for wrk "
                        f"(this process may use {len(cpus)}: lift the limit with taskset or the container's --cpus)")
    return [
        Setting("pinned", f"server alone on CPU {cpus[0]}, wrk -t1 -c64 on CPU {cpus[1]}", 1, cpus[0],
                wrk.Load(1, 64, duration_s, cpus[1])),
        Setting("shared", "two workers share the CPUs with wrk -t4 -c1000", 2, None,
                wrk.Load(4, 1000, duration_s)),
    ]


def check(duration_s: int) -> None:
    """What can be wrong before anything is built."""
    wrk.require()
    settings(duration_s)
    require_descriptors(1000)


def model_argv(model: str) -> list[str]:
    return [_SERVER, "--model", model]


def floor_argv(floor: str) -> list[str]:
    return [_FLOORS + floor]


def run(pairs: int, duration_s: int, json_file: Path | None, name: str | None, force: bool) -> None:
    """Prints the table as each setting ends; writes JSON to `json_file` and results/`name`."""
    check(duration_s)
    each = settings(duration_s)
    run_s = duration_s + _WARMUP_S + _OVERHEAD_S
    began, record = results.utc_now(), machine.record()
    outcomes: list[Outcome] = []
    raw: list[dict[str, Any]] = []
    with Progress("bench floor", len(each) * len(DUELS) * pairs * 2 * run_s) as progress:
        for setting in each:
            for pair in range(pairs):
                for duel in DUELS:
                    raw += _pair(setting, duel, pair, run_s, progress)
    for setting in each:
        outcomes += [_outcome(setting, duel, raw) for duel in DUELS]
    document = {
        "schema_version": SCHEMA_VERSION, "kind": "floor", "began": began, "ended": results.utc_now(),
        "pairs": pairs, "duration_s": duration_s, "outcomes": [asdict(each) for each in outcomes], "runs": raw}
    _show(each, outcomes)
    publish(document, record, _table(each, outcomes), json_file, name, force)


def publish(document: dict[str, Any], record: dict[str, Any], table: tables.Table, json_file: Path | None,
            name: str | None, force: bool) -> None:
    """Writes JSON to `json_file` and results/`name`, where they are asked for."""
    if json_file is not None:
        results.write_json(json_file, {**document, "machine": record})
        print(f"written to {shown(json_file)}")
    if name is not None:
        with results.folder(name, force) as folder:
            results.write_json(folder / "result.json", {**document, "name": name})
            results.write_json(folder / "machine.json", record)
            results.write_text(folder / "table.md", tables.markdown(table))
        print(f"written to {shown(results.RESULTS / name)}/")


def _pair(setting: Setting, duel: Duel, pair: int, run_s: float, progress: Progress) -> list[dict[str, Any]]:
    contenders = [(duel.model, model_argv(duel.model)), (duel.floor, floor_argv(duel.floor))]
    runs = []
    for who, argv in contenders if pair % 2 == 0 else reversed(contenders):
        pinned = [] if setting.server_cpu is None else ["taskset", "-c", str(setting.server_cpu)]
        with progress.step(f"{setting.key}, pair {pair + 1}, {who}", run_s), results.scratch() as work:
            measured = measure([*pinned, *argv, "--workers", str(setting.workers)], setting.load, _WARMUP_S,
                               work, progress.tick)
        runs.append({"setting": setting.key, "duel": duel.model, "pair": pair, "who": who,
                     "cpu_us": sum(cpu_us(measured)), "user_us": cpu_us(measured)[0],
                     "system_us": cpu_us(measured)[1], "raw": measured.as_json()})
    return runs


def cpu_us(measured: Measurement) -> tuple[float, float]:
    before, after, requests = measured.before, measured.after, measured.report.requests
    if requests == 0:
        raise UserError(f"{' '.join(measured.server_argv)} answered nothing (run it by hand)")
    return (per_request_us(after.user_s - before.user_s, requests),
            per_request_us(after.system_s - before.system_s, requests))


def _outcome(setting: Setting, duel: Duel, runs: list[dict[str, Any]]) -> Outcome:
    mine = [each for each in runs if each["setting"] == setting.key and each["duel"] == duel.model]
    model = sorted((each for each in mine if each["who"] == duel.model), key=lambda each: each["pair"])
    floor = sorted((each for each in mine if each["who"] == duel.floor), key=lambda each: each["pair"])
    ratios = [a["cpu_us"] / b["cpu_us"] for a, b in zip(model, floor, strict=True)]

    def median(group: list[dict[str, Any]], key: str) -> float:
        return statistics.median(each[key] for each in group)

    report_errors = ("connect_errors", "read_errors", "write_errors", "timeouts", "non_2xx")
    pinned = setting.server_cpu is not None
    return Outcome(
        setting.key, duel.model, duel.floor, len(ratios), statistics.median(ratios), min(ratios), max(ratios),
        duel.pinned_ratio if pinned else duel.shared_ratio, median(model, "user_us"), median(model, "system_us"),
        median(floor, "user_us"), median(floor, "system_us"), duel.user_us if pinned else None,
        sum(each["raw"]["report"][key] for each in mine for key in report_errors))


def _verdict(value: float, limit: float | None) -> str:
    if limit is None:
        return "-"
    return f"{limit:.2f} {'met' if value <= limit else 'NOT met'}"


def _table(each: list[Setting], outcomes: list[Outcome]) -> tables.Table:
    sections = {index: setting.title for setting in each
                for index in [next(i for i, one in enumerate(outcomes) if one.setting == setting.key)]}
    return tables.Table(
        ["CPU µs a request", "user", "system", "floor\nuser", "floor\nsystem", "ratio\nmedian", "min..max",
         "ratio\nlimit", "user µs\nlimit", "errors"],
        [[f"{one.model} / {one.floor}", f"{one.user_us:.2f}", f"{one.system_us:.2f}", f"{one.floor_user_us:.2f}",
          f"{one.floor_system_us:.2f}", f"{one.ratio:.3f}", f"{one.ratio_min:.3f}..{one.ratio_max:.3f}",
          _verdict(one.ratio, one.ratio_limit), _verdict(one.user_us, one.user_limit_us), f"{one.errors:,}"]
         for one in outcomes], sections)


def _show(each: list[Setting], outcomes: list[Outcome]) -> None:
    tables.show(_table(each, outcomes))
    print("\n" + tables.wrapped(
        f"{outcomes[0].pairs} interleaved pairs; a ratio is CPU time a request, model / floor, within a pair. "
        "The kernel samples the user/system split; the total is exact."))
