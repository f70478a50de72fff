"""./duel bench SCENARIO --blocks N: runs a campaign, or takes up one that was cut off.

The order of things: the plan, the journal (which knows what is done), the peaks, the blocks, the summary. Read
DESIGN.md for what is claimed, plan.py for what is run, replicate.py for one run, summary.py for the figures.
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

from scripts import machine, results, scenarios
from scripts.campaign import host, journal, show, summary, taints
from scripts.campaign.journal import Journal
from scripts.campaign.plan import CLOSED, CONTROL, Plan, Point, Settings, Slot, make
from scripts.campaign.replicate import load_argv, replicate, server_argv
from scripts.errors import Stopped, UserError
from scripts.measure import require_descriptors
from scripts.paths import ROOT, shown
from scripts.progress import Progress, duration
from scripts.scenarios import Scenario

SERVER, LOADER = "build/release/servers/duel-server", "build/release/bench/duel-load"
SCHEMA_VERSION = 1
_OVERHEAD_S, _WRITE_S = 0.7, 2.0
# Of the machine record: what stays as it is between two starts of one campaign. The rest is weather.
_LASTING = {"cpu": ("model", "stepping", "microcode", "online", "allowed", "smt_active", "cgroup_cpu_max", "quota_cpus",
                    "governor", "energy_preference", "khz_most", "boost", "no_turbo", "isolated", "vulnerabilities"),
            "system": ("kernel", "distribution", "libc", "memory_mib", "kernel_options", "io_uring",
                       "transparent_hugepages", "clock_source", "loopback_mtu", "sysctl"),
            "build": ("preset", "compiler", "flags", "libraries")}


def load(names: list[str], settings: Settings) -> list[Scenario]:
    """The scenarios, checked as far as they can be before anything is built."""
    chosen = [scenarios.chosen(scenarios.load(each), settings.models) for each in names]
    for each in chosen:
        made = make(each, settings, host.cpus())
        require_descriptors(made.connections, f"{each.name} with {made.connections} connections")
    return chosen


def run_all(chosen: list[Scenario], settings: Settings, names: list[str | None], force: bool,
            json_file: Path | None) -> None:
    """One after the other; each leaves its result even when a later one fails."""
    documents = [run(scenario, settings, name, force) for scenario, name in zip(chosen, names, strict=True)]
    if json_file is not None:
        results.write_json(json_file, {"schema_version": SCHEMA_VERSION, "kind": "campaigns", "results": documents})
        print(f"written to {shown(json_file)}")


def where(record: dict[str, Any], programs: list[list[str]]) -> dict[str, Any]:
    """What must not change under a campaign: the machine's lasting features, and the programs to the byte."""
    words = [word for argv in programs for word in takewhile(lambda each: not each.startswith("-"), argv)]
    files = [ROOT / word for word in words if (ROOT / word).is_file()]
    try:
        sums = {shown(path): hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in files}
    except OSError as error:
        raise UserError(f"cannot read {shown(error.filename)}: {error.strerror} (rebuild: ./duel build)") from None
    return {**{part: {key: record[part].get(key) for key in keys} for part, keys in _LASTING.items()},
            "programs": sums}


def run(scenario: Scenario, settings: Settings, name: str | None, force: bool, server: list[str] | None = None,
        loader: list[str] | None = None) -> dict[str, Any]:
    """Measures what is not yet measured, prints the tables, writes results/NAME; what result.json holds."""
    commands = server or [SERVER], loader or [LOADER]
    plan = make(scenario, settings, host.cpus())
    require_descriptors(plan.connections, f"{scenario.name} with {plan.connections} connections")
    any_seed = settings.seed is None
    record = machine.record()
    called = name or journal.same_plan(scenario.name, _plain(plan), any_seed) or results.default_name(scenario.name)
    with journal.opened(called, plan.as_json(), where(record, list(commands)), force, any_seed) as book:
        plan = make(scenario, replace(settings, seed=book.plan["seed"]), host.cpus())
        if _plain(plan)["order"] != book.plan["order"]:
            raise UserError(f"{shown(book.folder)}: this Python draws another order from the seed "
                            "(go on with the one that began it, or start over in a new --name)")
        try:
            document = _measured(plan, book, called, record, commands)
        except Stopped:
            kept = len(book.runs())
            print(f"\n{kept} of {len(plan.slots)} runs are kept in {shown(book.folder)}: the same command goes on"
                  if book.calibration is not None else "\nno run was finished", file=sys.stderr)
            raise
        results.write_text(book.folder / "table.md", show.markdown(plan, document))
        results.write_json(book.folder / "result.json", document)
        book.finish(called)
    show.show(plan, document)
    print(f"\nwritten to {shown(results.RESULTS / called)}/", flush=True)
    return document


def _plain(plan: Plan) -> dict[str, Any]:
    """As it comes back from a file."""
    return json.loads(json.dumps(plan.as_json()))


def seconds(plan: Plan, done: int = 0, has_peaks: bool = False) -> float:
    """About how long the campaign takes, or what is left of it."""
    calibrations = 0 if has_peaks else plan.calibrations * (len(plan.rows) - 1)
    return (len(plan.slots) - done + calibrations) * _run_s(plan) + _WRITE_S


def _run_s(plan: Plan) -> float:
    return plan.duration_s + plan.warmup_s + _OVERHEAD_S


def _measured(plan: Plan, book: Journal, name: str, record: dict[str, Any],
              commands: tuple[list[str], list[str]]) -> dict[str, Any]:
    if book.machine is None:
        book.keep("machine.json", record)
        book.keep("starts.json", [{**book.starts[0], "load_average": os.getloadavg()[0]}, *book.starts[1:]])
    done = book.runs()
    left = seconds(plan, len(done), book.calibration is not None)
    print(f"campaign {name}: {len(plan.slots)} runs (blocks {plan.blocks}, rows {len(plan.rows)}, points "
          f"{len(plan.points)}), seed {plan.seed}, about {duration(left)}", file=sys.stderr)
    if (note := summary.power_note(plan)) is not None:
        print(f"note: {note}", file=sys.stderr)
    with Progress(f"campaign {plan.scenario.name}", left) as progress:
        if book.calibration is None:
            book.keep("calibration.json", calibrate(plan, book, commands, progress))
        calibration = book.calibration
        for slot in plan.slots:
            if slot.number in done:
                continue
            step = f"{slot.number}/{len(plan.slots)} block {slot.block}: {slot.row}, {slot.point}"
            with progress.step(step, _run_s(plan)):
                rate = calibration["rates"].get(slot.point)
                book.write(_once(plan, slot, rate, plan.seed + slot.block, book, commands, progress.tick))
        with progress.step("summing up", _WRITE_S):
            return _document(plan, book, name, calibration)


def _once(plan: Plan, slot: Slot, rate: float | None, seed: int, book: Journal, commands: tuple[list[str], list[str]],
          tick: Callable[[], None]) -> dict[str, Any]:
    row, point = plan.row(slot.row), plan.point(slot.point)
    began = results.utc_now()
    with book.work() as work:
        try:
            found = replicate(server_argv(plan, row, commands[0]), load_argv(plan, point, rate, seed, commands[1]),
                              plan, point, work, tick)
        except UserError as error:
            raise UserError(f"row {row.name!r}: {error}") from None
    return {**asdict(slot), "began": began, "ended": results.utc_now(), **found, "file": f"runs/{slot.number:04}.json"}


def calibrate(plan: Plan, book: Journal, commands: tuple[list[str], list[str]], progress: Progress) -> dict[str, Any]:
    """Each row's peak, and the rates made from the smallest one. A row that does not serve everybody rightly has
    no peak: its rate says how fast it neglects the others."""
    runs = []
    rows = [row for row in plan.rows if row.name != CONTROL]
    for turn in range(plan.calibrations):
        for index, row in enumerate(rows):
            slot = Slot(turn * len(rows) + index + 1, 0, row.name, CLOSED)
            with progress.step(f"peak {slot.number}/{plan.calibrations * len(rows)}: {row.name}", _run_s(plan)):
                made = _once(plan, slot, None, plan.seed, book, commands, progress.tick)
                runs.append({key: made[key] for key in ("row", "requests_per_s", "errors", "zero_served",
                                                        "fallen_silent", "taints")})
    return peaks(runs, plan.points)


def peaks(runs: list[dict[str, Any]], points: tuple[Point, ...]) -> dict[str, Any]:
    """The calibration, from its runs: the median of each row, the smallest of those, the rates. A rate that a busy
    loader reached is a rate that the server can serve."""
    by_row: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        by_row.setdefault(run["row"], []).append(run)
    left_out = {row: "; ".join(next(run for run in each if taints.is_unserved(run))["taints"])
                for row, each in by_row.items() if any(map(taints.is_unserved, each))}
    known = {row: statistics.median(run["requests_per_s"] for run in each) for row, each in by_row.items()
             if row not in left_out}
    if not known or min(known.values()) <= 0:
        said = "; ".join(f"{row}: {why}" for row, why in left_out.items())
        raise UserError(f"no row has a peak to take rates from: {said or 'nothing was answered'} "
                        "(see what ails the server: ./duel serve)")
    row = min(known, key=known.__getitem__)
    return {"runs": runs, "peaks": known, "left_out": left_out, "row": row, "peak": known[row],
            "rates": {point.name: round(point.of_peak * known[row], 1) for point in points
                      if point.of_peak is not None}}


def _document(plan: Plan, book: Journal, name: str, calibration: dict[str, Any]) -> dict[str, Any]:
    by_number = book.runs()
    runs = [{key: value for key, value in by_number[slot.number].items() if key != "load"} for slot in plan.slots]
    scenario, record = plan.scenario, book.machine
    return {
        "schema_version": SCHEMA_VERSION, "kind": "campaign", "name": name, "began": book.starts[0]["at"],
        "ended": results.utc_now(), "complete": True, "starts": book.starts,
        "scenario": {key: getattr(scenario, key) for key in ("name", "title", "question", "varies", "expected",
                                                             "reason", "source")},
        "settings": {
            "blocks": plan.blocks, "seed": plan.seed, "quick": plan.quick, "duration_s": plan.duration_s,
            "warmup_s": plan.warmup_s, "connections": plan.connections, "threads": plan.threads,
            "pipeline": plan.pipeline, "keep_alive": plan.keep_alive, "arrivals": "poisson",
            "service": plan.service or None, "path": plan.path, "at": plan.at,
            "sweep": scenario.sweep.label if scenario.sweep else None, "load_cpus": list(plan.cpus.load),
            "server_cpus": list(plan.cpus.server), "cpus_shared": plan.cpus.are_shared,
            "confidence": summary.CONFIDENCE, "threshold": summary.THRESHOLD},
        "rows": [{"name": row.name, "model": row.model, "driver": row.driver, "workers": row.workers,
                  "switches": row.switches, "changes": row.changes, "argv": server_argv(plan, row, ["duel-server"]),
                  "control_of": plan.control_of if row.name == CONTROL else None} for row in plan.rows],
        "points": [{"name": point.name, "kind": point.kind, "rate": calibration["rates"].get(point.name),
                    "of_peak": point.of_peak} for point in plan.points],
        "calibration": calibration, "order": [[slot.number for slot in block] for block in plan.order], "runs": runs,
        **summary.document(plan, runs),
        "taints": taints.of_campaign(plan, runs, book.starts, book.starts[0].get("load_average", 0.0),
                                     bool(record["build"]["dirty"])),
        "machine": record}
