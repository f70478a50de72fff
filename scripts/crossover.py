"""./duel bench crossover: from which handler time on does stealing carry more than sharding?

Handler times are exponential, as the formula of bench/sim/DESIGN.md assumes, drawn by duel-load: every row gets the
same trace. First what a request costs each row beside its handler; from that follow the limits, one grid of rates for
all rows, and what theory predicts. Then, in blocks, at every handler time in random order: each row's peak in a closed
loop, and the largest rate at which its p99 keeps the limit, by a bisection of open loops that all rows go through side
by side. A run is one server start (scripts/campaign/replicate.py).
"""

from __future__ import annotations

import os
import random
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from scripts import crossover_rules as rules
from scripts import crossover_summary as summary
from scripts import crossover_theory as theory
from scripts import machine, results, tables, wrk
from scripts.campaign import host, plan, taints
from scripts.campaign.plan import CLOSED, Plan, Point
from scripts.campaign.replicate import load_argv, replicate, server_argv
from scripts.campaign.run import LOADER, SERVER
from scripts.errors import UserError
from scripts.measure import require_descriptors
from scripts.paths import shown
from scripts.progress import Progress, duration
from scripts.scenarios import Campaign, Cores, Row, Scenario
from scripts.simulator import simulate

SCHEMA_VERSION = 1
PROGRAMS = ["duel-server", "duel-load", "duel-sim"]
HANDLERS, QUICK_HANDLERS = (0.0, 5.0, 20.0, 50.0, 200.0, 1000.0), (0.0, 50.0, 1000.0)
BLOCKS, QUICK_BLOCKS, DURATION_S, QUICK_S, SLO = 3, 1, 2, 1, 10.0
_CONNECTIONS, _LOAD_THREADS, _WARMUP_S, _OVERHEAD_S = 256, 1, 0.5, 0.6
_COST_RUNS, _QUICK_COST_RUNS = 3, 2
_SIM_S, _QUICK_SIM_S, _DRAW_S = 10.0, 1.5, 4.0
_OPEN, _REACTOR = Point("within the limit", 1.0), "per-worker"
_GUESS = 6.0, 4.0  # µs a request, server and loader: for the time left, before there is a measurement

STEALING = (Row("stealing/epoll", "stealing", "epoll", 0, {}, "idle workers steal; one of them polls for all", ""),
            Row("stealing/epoll per-worker", "stealing", "epoll", 0, {"reactor": _REACTOR},
                "idle workers steal; each polls its own connections", ""))
SHARDED = (Row("sharded/epoll", "sharded", "epoll", 0, {}, "tasks never move", ""),
           Row("sharded/uring", "sharded", "uring", 0, {}, "tasks never move; io_uring", ""))


@dataclass(frozen=True)
class Settings:
    """As asked for. None: the usual, which --quick makes less of."""

    quick: bool = False
    blocks: int | None = None
    handlers_us: tuple[float, ...] | None = None
    slo: float = SLO
    duration_s: int | None = None
    seed: int | None = None

    @property
    def at(self) -> list[float]:
        return sorted(set(self.handlers_us or (QUICK_HANDLERS if self.quick else HANDLERS)))


@dataclass
class Bench:
    """What has been measured so far, and where it goes."""

    made: Plan
    rows: list[Row]
    commands: tuple[list[str], list[str]]  # server and loader
    folder: Path
    runs: list[dict[str, Any]] = field(default_factory=list)

    def once(self, row: Row, handler_us: float, block: int, rate: float | None, tick: Callable[[], None],
             ) -> dict[str, Any]:
        """One run, its raw figures kept in the folder. Rate None: the closed loop."""
        point, began = Point(CLOSED) if rate is None else _OPEN, results.utc_now()
        made = replace(self.made, service=f"exp:{handler_us!r}us", duration_s=_window_s(self.made, handler_us, rate))
        with results.scratch() as work:
            try:
                found = replicate(server_argv(made, row, self.commands[0]), load_argv(
                    made, point, rate, made.seed + block, self.commands[1]), made, point, work, tick)
            except UserError as error:
                raise UserError(f"row {row.name!r}: {error}") from None
        number = len(self.runs) + 1
        run = {"number": number, "block": block, "row": row.name, "handler_us": handler_us, "point": point.name,
               "rate": rate, "began": began, "ended": results.utc_now(), **found, "file": f"runs/{number:04}.json"}
        results.write_json(self.folder / run["file"], run)
        self.runs.append({key: value for key, value in run.items() if key != "load"})
        return run


def prepared(settings: Settings) -> tuple[Plan, list[Row], list[str]]:
    """The plan (its points and order are this benchmark's own), the rows, and a note on those left out. UserError when
    this machine cannot run it."""
    cpus = host.cpus()
    if len(cpus.server) < 2:
        raise UserError("bench crossover needs two CPUs for the server: with one worker there is nothing to steal "
                        "(lift the limit of taskset or the container's --cpuset-cpus)")
    has_uring = machine.io_uring() == "works"
    chosen = [replace(row, workers=len(cpus.server)) for row in (*STEALING, *SHARDED)
              if row.driver != "uring" or has_uring]
    seconds = settings.duration_s or (QUICK_S if settings.quick else DURATION_S)
    scenario = Scenario(
        "crossover", "The crossover", "From which handler time on does stealing carry more than sharding?",
        "the mean of exponential handler times", "sharded below H*, stealing above it",
        "cheaper requests against pooled cores", "bench/sim/DESIGN.md", "table", Cores(2, "", ""), "wrk",
        wrk.Load(_LOAD_THREADS, _CONNECTIONS, seconds), None, tuple(chosen), Campaign(service="exp:0us"))
    blocks = settings.blocks or (QUICK_BLOCKS if settings.quick else BLOCKS)
    made = plan.make(scenario, plan.Settings(blocks, settings.seed, (), settings.quick, seconds), cpus)
    require_descriptors(made.connections, f"bench crossover with {made.connections} connections")
    left_out = [] if has_uring else ["rows of io_uring were left out: it does not work here (./duel machine check)"]
    return replace(made, warmup_s=_WARMUP_S), chosen, left_out


def check(settings: Settings) -> None:
    """What can be wrong before anything is built."""
    prepared(settings)


def run(settings: Settings, name: str, force: bool, server: list[str] | None = None, loader: list[str] | None = None,
        simulator: list[str] | None = None) -> dict[str, Any]:
    """Prints the table, writes results/`name`; what result.json holds."""
    made, rows, notes = prepared(settings)
    began, record, load_before = results.utc_now(), machine.record(), os.getloadavg()[0]
    guess = _seconds(settings, made, rows, *_GUESS)
    print(f"crossover {name}: {made.blocks} blocks, {len(rows)} rows, handler times "
          f"{', '.join(f'{each:g}' for each in settings.at)} µs, seed {made.seed}, about {duration(guess)}", flush=True)
    with results.folder(name, force) as folder:
        (folder / "runs").mkdir()
        bench = Bench(made, rows, (server or [SERVER], loader or [LOADER]), folder)
        costs, loader_us = _costs(bench, _QUICK_COST_RUNS if settings.quick else _COST_RUNS)
        cheapest = min(each["median"] for each in costs.values())
        why_not = {handler: why for handler in settings.at if (why := rules.not_here(
            handler, cheapest, loader_us, made.cpus.are_shared))}
        with Progress("bench crossover", _seconds(settings, made, rows, cheapest, loader_us)) as progress:
            curves = _predicted(settings, made, rows, costs, simulator, progress)
            searches = _blocks(settings, bench, costs, cheapest, why_not, progress)
            with progress.step("drawing", _DRAW_S):
                document = _document(settings, bench, costs, loader_us, curves, why_not, searches, notes)
                document |= {"name": name, "began": began, "ended": results.utc_now(), "machine": record,
                             "taints": taints.of_campaign(made, bench.runs, [{}], load_before,
                                                          bool(record["build"]["dirty"]))}
                _write(folder, document, record)
    _show(document)
    print(f"\nwritten to {shown(results.RESULTS / name)}/", flush=True)
    return document


def _window_s(made: Plan, handler_us: float, rate: float | None) -> int:
    return (rules.closed_s(made.connections, len(made.cpus.server), handler_us, made.duration_s) if rate is None
            else rules.open_s(rate, made.duration_s))


def _run_s(made: Plan, handler_us: float, rate: float | None = None) -> float:
    return made.warmup_s + _OVERHEAD_S + _window_s(made, handler_us, rate)


def _seconds(settings: Settings, made: Plan, rows: list[Row], cost_us: float, loader_us: float) -> float:
    """About how long prediction, blocks and drawing take."""
    block = 0.0
    for handler in settings.at:
        block += _run_s(made, handler)
        if not rules.not_here(handler, cost_us, loader_us, made.cpus.are_shared):
            middle = rules.grid(len(made.cpus.server), handler, max(cost_us, 0.1))[len(rules.SHARES) // 2]
            block += rules.most_probes() * _run_s(made, handler, middle)
    return len(rows) * block * made.blocks + len(_pairs(rows)) * _sim_s(settings) + _DRAW_S


def _sim_s(settings: Settings) -> float:
    return _QUICK_SIM_S if settings.quick else _SIM_S


def _pairs(rows: list[Row]) -> list[tuple[Row, Row]]:
    return [(a, b) for a in rows for b in rows if (a.model, b.model) == ("stealing", "sharded")]


def _costs(bench: Bench, repeats: int) -> tuple[dict[str, dict[str, Any]], float]:
    """By row, CPU µs of a request without a handler; and what it takes the loader. Block 0, in interleaved order."""
    draw, loaders = random.Random(bench.made.seed), []
    found: dict[str, list[float]] = {row.name: [] for row in bench.rows}
    with Progress("bench crossover, costs", repeats * len(bench.rows) * _run_s(bench.made, 0.0)) as progress:
        for repeat in range(repeats):
            for row in draw.sample(bench.rows, len(bench.rows)):
                with progress.step(f"cost {repeat + 1}/{repeats}: {row.name}", _run_s(bench.made, 0.0)):
                    made = bench.once(row, 0.0, 0, None, progress.tick)
                if made["cpu_us"] is None or made["errors"]:  # who waits in vain costs nothing
                    said = "; ".join(made["taints"]) or "nothing was answered"
                    raise UserError(f"row {row.name!r} has no cost to predict from: {said} (see ./duel serve)")
                found[row.name].append(made["cpu_us"]["total"])
                loaders.append(sum(each["cpu_seconds"] for each in made["load"]["loader"]["threads"]) * 1e6
                               / made["requests"])
    return {row: summary.spread(values) for row, values in found.items()}, statistics.median(loaders)


def _predicted(settings: Settings, made: Plan, rows: list[Row], costs: dict[str, dict[str, Any]],
               simulator: list[str] | None, progress: Progress) -> dict[tuple[str, str], list[theory.Curve]]:
    found, at = {}, theory.handlers(settings.at)
    for a, b in _pairs(rows):
        with progress.step(f"simulating {a.name} / {b.name}", _sim_s(settings)):
            found[a.name, b.name] = theory.parse(simulate(theory.flags(
                (costs[a.name]["median"], costs[b.name]["median"]), settings.slo, theory.cores(len(made.cpus.server)),
                at, a.switches.get("reactor") == _REACTOR, made.seed, settings.quick), progress.tick, simulator), at)
    return found


def _blocks(settings: Settings, bench: Bench, costs: dict[str, dict[str, Any]], cheapest: float,
            why_not: dict[float, str], progress: Progress) -> list[dict[str, Any]]:
    """All blocks; how each search ended."""
    draw, found = random.Random(bench.made.seed + 1), []
    for block in range(1, bench.made.blocks + 1):
        for handler in draw.sample(settings.at, len(settings.at)):
            for row in draw.sample(bench.rows, len(bench.rows)):
                with progress.step(f"block {block}, H {handler:g} µs, peak: {row.name}", _run_s(bench.made, handler)):
                    bench.once(row, handler, block, None, progress.tick)
            if handler not in why_not:
                rates = rules.grid(len(bench.made.cpus.server), handler, cheapest)
                limits = {row.name: settings.slo * (handler + costs[row.name]["median"]) for row in bench.rows}
                found += _search(bench, handler, block, rates, limits, draw, progress)
    return found


def _search(bench: Bench, handler: float, block: int, rates: list[float], limits: dict[str, float], draw: random.Random,
            progress: Progress) -> list[dict[str, Any]]:
    """Every row's bisection, a step of each in turn, so that what is compared is near in time."""
    states = {row.name: rules.search() for row in bench.rows}
    probes: dict[str, list[int]] = {row.name: [] for row in bench.rows}
    expected = _run_s(bench.made, handler, rates[len(rates) // 2])
    for turn in range(rules.most_probes()):
        for row in draw.sample(bench.rows, len(bench.rows)):
            step = states[row.name].next
            words = f"block {block}, H {handler:g} µs, limit {turn + 1}/{rules.most_probes()}: {row.name}"
            if step is None:
                continue
            with progress.step(words, expected):
                made = bench.once(row, handler, block, rates[step], progress.tick)
            said, doubt = rules.meets(made, limits[row.name])
            bench.runs[-1] |= {"limit_us": limits[row.name], "meets": said}
            states[row.name] = states[row.name].told(said, doubt)
            probes[row.name].append(made["number"])
    found = []
    for row in bench.rows:
        rate, edge, why = rules.capacity(states[row.name], rates)
        found.append({"block": block, "row": row.name, "handler_us": handler, "limit_us": limits[row.name],
                      "rate": rate, "edge": edge or None, "why": why or None, "runs": probes[row.name]})
    return found


def _document(settings: Settings, bench: Bench, costs: dict[str, dict[str, Any]], loader_us: float,
              curves: dict[tuple[str, str], list[theory.Curve]], why_not: dict[float, str],
              searches: list[dict[str, Any]], notes: list[str]) -> dict[str, Any]:
    """What result.json holds but for its head."""
    made = bench.made
    peaks, unserved, capacities, edges, why = summary.gathered(bench.runs, searches)
    why |= {(row.name, handler): [reason] for handler, reason in why_not.items() for row in bench.rows}
    shared_us, workers = loader_us if made.cpus.are_shared else 0.0, len(made.cpus.server)
    lines = [line for (a, b), several in curves.items() for line in summary.lines(
        (a, b), settings.at, peaks, capacities, edges, why, (costs[a]["median"], costs[b]["median"]), shared_us,
        next(each for each in several if each.cores == workers))]
    return {
        "schema_version": SCHEMA_VERSION, "kind": "crossover",
        "settings": {"blocks": made.blocks, "seed": made.seed, "quick": made.quick, "duration_s": made.duration_s,
                     "warmup_s": made.warmup_s, "connections": made.connections, "threads": made.threads,
                     "arrivals": "poisson", "service": "exp", "path": made.path, "handlers_us": settings.at,
                     "slo": settings.slo, "shares": list(rules.SHARES), "workers": workers,
                     "load_cpus": list(made.cpus.load), "server_cpus": list(made.cpus.server),
                     "cpus_shared": made.cpus.are_shared},
        "rows": [{"name": row.name, "model": row.model, "driver": row.driver, "switches": row.switches,
                  "changes": row.changes, "argv": server_argv(made, row, ["duel-server"])} for row in bench.rows],
        "costs_us": costs, "loader_us": loader_us, "lines": lines, "searches": searches,
        "predictions": [{"stealing": a, "sharded": b, **asdict(curve)} for (a, b), several in curves.items()
                        for curve in several],
        "notes": [summary.cost_note(costs, loader_us, made.cpus.are_shared),
                  summary.reading_note(settings.slo, len(settings.at)),
                  *summary.edge_notes(edges, made.blocks),
                  *summary.missing_notes(why_not, why, unserved, made.blocks), *notes],
        "runs": bench.runs}


def _write(folder: Path, document: dict[str, Any], record: dict[str, Any]) -> None:
    from scripts import crossover_plot
    results.write_json(folder / "result.json", document)
    results.write_json(folder / "machine.json", record)
    results.write_text(folder / "table.md", "\n".join(map(tables.markdown, summary.tables(document))) + "\n"
                       + "\n".join(f"- {each}" for each in (*document["notes"], *document["taints"])) + "\n")
    crossover_plot.draw(document, folder)


def _show(document: dict[str, Any]) -> None:
    for each in summary.tables(document):
        print()
        tables.show(each)
    print()
    for note in (*document["notes"], *document["taints"]):
        print(tables.wrapped(note))
