"""./duel bench NAME: runs scenarios and writes each as results/NAME/.

One repeat is one start of every row at every point, in random order (seeded by the repeat's number):
rows are interleaved, and a ratio is taken within a repeat. Read scenarios.py for what a scenario
is, scenario_tables.py for the tables.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scripts import counters, effects, idle, machine, results, scenario_plots, scenario_tables, scenarios, tables, wrk
from scripts.audit import audit, taints
from scripts.errors import UserError
from scripts.measure import Measurement, measure, require_descriptors
from scripts.paths import shown
from scripts.progress import Progress, duration
from scripts.scenario_tables import Outcome
from scripts.scenarios import Row, Scenario
from scripts.servers import serving

SERVER = "build/release/servers/duel-server"
SCHEMA_VERSION = 1
QUICK_S, WARMUP_S = 2, 1
_OVERHEAD_S, _START_S, _WRITE_S = 1.2, 0.15, 4.0
_BLIND = ("wrk cannot see: connections that never get an answer (served has them), what is not answered when its time "
          "is over, and time spent waiting before it sends. Latencies are wrk-corrected: phantom samples are added "
          "for slow requests; an N_eff above 1.1 says that they inflated the mean and the upper percentiles.")


@dataclass(frozen=True)
class Settings:
    quick: bool = False
    duration_s: int | None = None  # None: the scenario's
    repeats: int | None = None
    models: list[str] | None = None
    warmup_s: int = WARMUP_S

    def duration_of(self, scenario: Scenario) -> int:
        return self.duration_s or (QUICK_S if self.quick else scenario.load.duration_s)

    @property
    def times(self) -> int:
        return self.repeats or (1 if self.quick else 5)

    def points(self, scenario: Scenario) -> list[int | None]:
        if scenario.sweep is None:
            return [None]
        return list(scenario.sweep.quick if self.quick else scenario.sweep.values)


def effective_cores() -> int:
    """CPUs less those of the loader: wrk needs about as many as the server."""
    return max(1, len(os.sched_getaffinity(0)) // 2)


def show_list() -> None:
    """Every scenario, its question, and whether this machine can answer it."""
    cores = effective_cores()
    print(f"scenarios (here: {len(os.sched_getaffinity(0))} CPUs, {cores} of them for the server):")
    for name in scenarios.names():
        scenario = scenarios.load(name)
        means, why = scenario.cores.verdict(cores)
        print(f"  {name:<14} {scenario.question}")
        print(tables.wrapped(f"here: {'yes' if means else 'no'}, because {why}", " " * 17))


def load(names: list[str], settings: Settings) -> list[Scenario]:
    """The scenarios, checked as far as they can be before anything is built."""
    wrk.require()
    chosen = [scenarios.chosen(scenarios.load(name), settings.models) for name in names]
    for scenario in chosen:
        most = max(scenario.at(value, 1).connections for value in settings.points(scenario))
        require_descriptors(most, f"{scenario.name} with {most} connections")
    return chosen


def run_all(chosen: list[Scenario], settings: Settings, names: list[str], force: bool, json_file: Path | None) -> None:
    """One after the other; each leaves its result even when a later one fails."""
    documents = []
    for index, (scenario, name) in enumerate(zip(chosen, names, strict=True)):
        left = sum(seconds(each, settings) for each in chosen[index:])
        print(f"bench {scenario.name}: {index + 1} of {len(chosen)}, about {duration(left)} left", file=sys.stderr)
        documents.append(run(scenario, settings, name, force))
    if json_file is not None:
        results.write_json(json_file, {"schema_version": SCHEMA_VERSION, "kind": "scenarios", "results": documents})
        print(f"written to {shown(json_file)}")


def seconds(scenario: Scenario, settings: Settings) -> float:
    runs = len(scenario.rows) * len(settings.points(scenario)) * settings.times
    return runs * _run_s(scenario, settings) + len(scenario.rows) * _START_S + _WRITE_S


def _run_s(scenario: Scenario, settings: Settings) -> float:
    warmup = settings.warmup_s if scenario.tool == "wrk" else 0
    return settings.duration_of(scenario) + warmup + _OVERHEAD_S


def run(scenario: Scenario, settings: Settings, name: str, force: bool,
        server: list[str] | None = None) -> dict[str, Any]:
    """Measures, prints the tables, writes results/`name`; what result.json holds."""
    command = server or [SERVER]
    began, load_before, record = results.utc_now(), os.getloadavg()[0], machine.record()
    points, times = settings.points(scenario), settings.times
    runs: dict[tuple[int | None, str], list[Any]] = {(p, row.name): [] for p in points for row in scenario.rows}
    with results.folder(name, force) as folder, Progress(f"bench {scenario.name}",
                                                         seconds(scenario, settings)) as progress:
        check_starts(scenario, command, progress)
        orders = []
        for repeat in range(times):
            order = [(point, row) for point in points for row in scenario.rows]
            random.Random(repeat).shuffle(order)
            orders.append([[point, row.name] for point, row in order])
            for index, (point, row) in enumerate(order):
                at = f", {scenario.sweep.label} = {point:,}" if scenario.sweep and point is not None else ""
                step = f"{repeat * len(order) + index + 1}/{times * len(order)} {row.name}{at}"
                with progress.step(step, _run_s(scenario, settings)), results.scratch() as work:
                    runs[point, row.name].append(_once(scenario, row, point, settings, command, work, progress.tick))
        with progress.step("writing tables and plots", _WRITE_S):
            head = {"schema_version": SCHEMA_VERSION, "kind": "scenario", "name": name, "began": began,
                    "ended": results.utc_now(), "scenario": asdict(scenario), "order": orders,
                    "settings": {**asdict(settings), "duration_s": settings.duration_of(scenario), "repeats": times,
                                 "command": scenario.at(points[0], settings.duration_of(scenario)).as_typed()}}
            document, made, notes = _report(scenario, points, times, runs, settings, load_before, record, folder)
            document = {**head, **document}
            _write(scenario, runs, document, made, notes, record, folder)
    _show(scenario, document, made, notes)
    print(f"\nwritten to {shown(results.RESULTS / name)}/", flush=True)
    return document


def check_starts(scenario: Scenario, command: list[str], progress: Progress) -> None:
    """A row the server refuses ends the run now, not after minutes."""
    with progress.step("checking that every row starts", len(scenario.rows) * _START_S):
        for row in scenario.rows:
            argv = [*row.argv(command), "--listen", "127.0.0.1:0"]
            with results.scratch() as work:
                try:
                    with serving(argv, work) as server:
                        server.stop(5.0)
                except UserError as error:
                    raise UserError(f"{scenario.name}: row {row.name!r}: {error}") from None
            progress.tick()


def _once(scenario: Scenario, row: Row, point: int | None, settings: Settings, command: list[str], work: Path,
          tick: Callable[[], None]) -> Measurement | idle.Silence:
    request = scenario.at(point, settings.duration_of(scenario))
    if scenario.tool == "idle":
        return idle.measure(row.argv(command), request.connections, request.duration_s, work, tick)
    return measure(row.argv(command), request, settings.warmup_s, work, tick)


def _report(scenario: Scenario, points: list[int | None], times: int, runs: dict[tuple[int | None, str], list[Any]],
            settings: Settings, load_before: float, record: dict[str, Any],
            folder: Path) -> tuple[dict[str, Any], list[tables.Table], list[str]]:
    """The rest of result.json, the tables and the notes under them; draws the plots."""
    cpus = len(os.sched_getaffinity(0))
    measured = [raw for each in runs.values() for raw in each] if scenario.tool == "wrk" else []
    held = taints(measured, cpus, load_before, settings.quick, bool(record["build"]["dirty"]), times)
    if scenario.tool == "idle":
        held = [each for each in held if "wrk" not in each]
    means, why = scenario.cores.verdict(effective_cores())
    notes = [f"Expected: {scenario.expected} Because {scenario.reason} ({scenario.source})",
             f"Here ({cpus} CPUs): {'yes' if means else 'NO'}, {why}"]
    if scenario.tool == "idle":
        label = scenario.sweep.label if scenario.sweep else ""
        rows = [{"value": point, "row": name, "runs": [each.as_json() for each in repeats]}
                for (point, name), repeats in runs.items()]
        return ({"taints": held, "rows": rows}, [idle.table(runs, label)],
                [*notes, idle.READING, "Held against this run: " + "; ".join(held) + "."])
    outcome = Outcome(scenario, points, times, runs)
    scenario_plots.draw(outcome, folder)
    found = {"taints": held, "rows": [
        {"value": point, "row": name, "runs": [counters.as_json(raw) for raw in repeats]}
        for (point, name), repeats in runs.items()], "effects": _effects_json(outcome)}
    return found, scenario_tables.all_tables(outcome), [
        *_warnings(outcome), *notes, *_reading(outcome), "Held against this run: " + "; ".join(held) + "."]


def _effects_json(outcome: Outcome) -> list[dict[str, Any]]:
    if outcome.scenario.view == "matrix":
        found = {measure: effects.matrix(outcome.scenario, outcome.at(None), measure) for measure in effects.MEASURES}
        return [{"effect": name, "measure": measure, **getattr(each, name).as_json()}
                for measure, each in found.items() for name in ("scheduler", "driver", "interaction")]
    return [{"value": point, "row": row.name, "against": row.against, "measure": measure,
             **effects.between(outcome.at(point), row.name, row.against, measure).as_json()}
            for point in outcome.points for row in outcome.scenario.rows if row.against
            for measure in effects.MEASURES]


def _warnings(outcome: Outcome) -> list[str]:
    """What a row's figures hide, once a row: starving, errors, forced switches."""
    found: dict[str, None] = {}
    for (_, name), repeats in outcome.runs.items():
        row = next(each for each in outcome.scenario.rows if each.name == name)
        for raw in repeats[:1]:
            flags = [flag for flag in audit(raw).flags if not flag.startswith(("N_eff", "closes after"))]
            for text in [*flags, *counters.forced(row.switches, raw.stats_after)]:
                found[f"! {name}: {text}"] = None
    return list(found)


def _reading(outcome: Outcome) -> list[str]:
    raws = [raw for each in outcome.runs.values() for raw in each]
    cpu = sum(raw.wrk_cpu_s for raw in raws)
    share = cpu / max(1e-9, cpu + sum(_cpu_s(raw) for raw in raws))
    lines = [_BLIND, tables.READING,
             f"wrk shares the CPUs: it used {share:.0%} of the CPU time that it and the servers used together, so "
             "Req/s says what both can do; CPU µs a request is the server's alone."]
    if outcome.scenario.load.pipeline > 1 or (outcome.scenario.sweep and outcome.scenario.sweep.of == "pipeline"):
        lines.append("Pipelined: wrk times a batch, not a request.")
    if outcome.scenario.load.think_ms > 0:
        lines.append(f"Connections pause {outcome.scenario.load.think_ms:g} ms on average between answer and next "
                     "request (exponential), so the server is not saturated; N_eff counts the pause.")
    if outcome.repeats > 1:
        lines.append(f"Medians of {outcome.repeats} repeats. An effect is a ratio within a repeat, its median and "
                     "min..max; ~: the range contains 1, no difference is shown. Without a difference chance alone "
                     f"leaves 1 outside the range in {2 / 2 ** outcome.repeats:.0%} of comparisons.")
    elif outcome.scenario.has_effects or outcome.scenario.view == "matrix":
        lines.append("One run a row: an effect has no range, so none is shown to differ from 1 (use --repeats).")
    if outcome.scenario.view == "matrix":
        lines.append("Main effect: geometric mean of the two ratios at the table's edge. Interaction: the driver's "
                     "effect under the second scheduler over that under the first; far from 1, the two cannot be "
                     "separated.")
    return [*lines, scenario_tables.READING]


def _cpu_s(raw: Measurement) -> float:
    return raw.after.user_s - raw.before.user_s + raw.after.system_s - raw.before.system_s


def _write(scenario: Scenario, runs: dict[tuple[int | None, str], list[Any]], document: dict[str, Any],
           made: list[tables.Table], notes: list[str], record: dict[str, Any], folder: Path) -> None:
    keys = {row.name: row.key for row in scenario.rows}
    for (point, name), repeats in runs.items():
        for repeat, raw in enumerate(repeats, 1):
            key = "-".join([keys[name], *([str(point)] if point is not None else []), str(repeat)])
            if isinstance(raw, Measurement):
                results.write_text(folder / f"wrk-{key}.txt", raw.wrk_text)
    results.write_json(folder / "result.json", document)
    results.write_json(folder / "machine.json", record)
    lines = "".join(f"- {note.removeprefix('! ')}\n" for note in notes)
    body = "\n".join(tables.markdown(table) for table in made)
    results.write_text(folder / "table.md", f"# {scenario.title}\n\n{scenario.question}\n\n"
                       f"`{document['settings']['command']}`\n\n{body}\n{lines}")


def _show(scenario: Scenario, document: dict[str, Any], made: list[tables.Table], notes: list[str]) -> None:
    head = [f"{scenario.title}: {scenario.question}", f"Varies: {scenario.varies}"]
    if scenario.tool == "wrk":
        head.append(document["settings"]["command"])
    print("\n".join(map(tables.wrapped, head)), flush=True)
    for table in made:
        print()
        tables.show(table)
    print("\n" + "\n".join(map(tables.wrapped, notes)))
