"""The tables of a scenario: what a change did, the results, and the counters that say why.

Cells are medians over the repeats. `—`: the server has no such counter; `n/a`: it means nothing for
the model.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from scripts import counters, effects
from scripts.measure import Measurement
from scripts.scenarios import Row, Scenario
from scripts.tables import Table, milliseconds

MISSING, NOT_APPLICABLE = "—", "n/a"
MOST_WORKERS_SHOWN = 4
READING = (
    f"Counters: {MISSING} the server has none, {NOT_APPLICABLE} not for this model or none happened. longest poll "
    "includes the warm-up and time without a CPU. idle is the wait in the kernel and the work done there: of io_uring, "
    "most of a request. connections a worker: those that started there in the last repeat, and one with which wrk "
    "only probes.")


@dataclass
class Outcome:
    """Everything measured for one scenario. `runs`: sweep value (None: no sweep) and row to its repeats."""

    scenario: Scenario
    points: list[int | None]
    repeats: int
    runs: dict[tuple[int | None, str], list[Measurement]] = field(default_factory=dict)

    def at(self, value: int | None) -> effects.Runs:
        return {row.name: [counters.figures(raw) for raw in self.runs[value, row.name]]
                for row in self.scenario.rows}

    def connections(self, value: int | None) -> int:
        return self.scenario.at(value, 1).connections


def median(runs: list[dict[str, Any]], figure: str) -> float | None:
    values = [run[figure] for run in runs if run.get(figure) is not None]
    return statistics.median(values) if values else None


def _decimals(digits: int, suffix: str = "") -> Callable[[float], str]:
    return lambda value: f"{value:,.{digits}f}{suffix}"


def _percent(value: float) -> str:
    return f"{value:.0%}"


def _small(value: float) -> str:
    """Figures from 0.001 to 100,000, in at most seven characters."""
    return "0" if value == 0 else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


_RESULTS = [("req/s", "requests_per_s", _decimals(0)), ("p50\nms", "p50_ms", milliseconds),
            ("p99\nms", "p99_ms", milliseconds), ("errors", "errors", _decimals(0)),
            ("served", "served", _decimals(0)), ("N_eff", "n_eff", _decimals(2)),
            ("user\nµs", "user_us", _decimals(2)), ("system\nµs", "system_us", _decimals(2)),
            ("switch\n/1,000", "switches_per_1000", _decimals(1)), ("peak\nMiB", "peak_mib", _decimals(1))]
_TASKS = [("polls\n/request", "polls", _small), ("longest\npoll ms", "longest_poll_ms", _small),
          ("lifo\n/1,000", "lifo_hits", _small), ("tries\n/1,000", "steal_attempts", _small),
          ("steals\n/1,000", "steals", _small), ("stolen\n/1,000", "stolen", _small),
          ("inject\n/1,000", "inject_pops", _small), ("over-\nflow", "overflow", _small),
          ("yields\n/1,000", "forced_yields", _small), ("messages\n/1,000", "messages", _small),
          ("hop\nµs", "hop_us", _small)]
_WAITS = [("parks\n/1,000", "parks", _small), ("wake-ups\n/1,000", "wake_ups", _small),
          ("spurious\n/1,000", "spurious", _small), ("calls\n/request", "driver_calls", _small),
          ("events\n/call", "events_per_call", _small), ("again\n/1,000", "again", _small),
          ("busy", "busy", _percent), ("search", "searching", _percent), ("idle", "idle", _percent),
          ("busiest\n/mean", "skew", _decimals(2))]

# A mean of nothing is not 0.
_PER = {"hop_us": "timed", "events_per_call": "driver_calls"}


def cell(row: Row, runs: list[dict[str, Any]], figure: str, text: Callable[[float], str]) -> str:
    needs = _PER.get(figure)
    if not counters.applies(figure, row.model) or (needs and median(runs, needs) == 0):
        return NOT_APPLICABLE
    value = median(runs, figure)
    return MISSING if value is None else text(value)


def _spread(runs: list[dict[str, Any]]) -> str:
    values = [run["requests_per_s"] for run in runs]
    return f"{min(values):,.0f}..{max(values):,.0f}"


def _per_worker(row: Row, runs: list[dict[str, Any]]) -> str:
    """Connections per worker, of the last repeat: a median of placements would be nobody's."""
    if not counters.applies("connections_per_worker", row.model):
        return NOT_APPLICABLE
    counts = runs[-1].get("connections_per_worker")
    if counts is None:
        return MISSING
    if len(counts) > MOST_WORKERS_SHOWN:
        return f"{min(counts)}..{max(counts)}"
    return " ".join(map(str, counts))


def _built(outcome: Outcome, headers: list[str], line: Callable[[Row, effects.Runs], list[str]],
           text_columns: int = 1) -> Table:
    """One line a row, a section a point."""
    lines: list[list[str]] = []
    sections: dict[int, str] = {}
    for value in outcome.points:
        if outcome.scenario.sweep is not None:
            sections[len(lines)] = f"{outcome.scenario.sweep.label} = {value:,}"
        runs = outcome.at(value)
        lines += [line(row, runs) for row in outcome.scenario.rows]
    return Table(headers, lines, sections, text_columns)


def results(outcome: Outcome) -> Table:
    spread = outcome.repeats > 1

    def line(row: Row, runs: effects.Runs) -> list[str]:
        cells = [cell(row, runs[row.name], figure, text) for _, figure, text in _RESULTS]
        return [row.name, cells[0], *([_spread(runs[row.name])] if spread else []), *cells[1:]]

    headers = [header for header, _, _ in _RESULTS]
    return _built(outcome, ["results", headers[0], *(["min..max"] if spread else []), *headers[1:]], line)


def tasks(outcome: Outcome) -> Table:
    return _built(outcome, ["why: tasks", *(header for header, _, _ in _TASKS)], lambda row, runs: [
        row.name, *(cell(row, runs[row.name], figure, text) for _, figure, text in _TASKS)])


def waits(outcome: Outcome) -> Table:
    return _built(outcome, ["why: waiting", *(header for header, _, _ in _WAITS), "connections\na worker"],
                  lambda row, runs: [row.name,
                                     *(cell(row, runs[row.name], figure, text) for _, figure, text in _WAITS),
                                     _per_worker(row, runs[row.name])])


def changes(outcome: Outcome) -> Table:
    """One line a row: the one thing that changed, and what it did."""
    rows = outcome.scenario.rows
    follows = all(row.against == before.name for before, row in itertools.pairwise(rows))
    others = {row.against for row in rows if row.against}
    against = "previous" if follows else next(iter(others)) if len(others) == 1 else ""

    def line(row: Row, runs: effects.Runs) -> list[str]:
        cells = [row.name, row.changes if against or not row.against else f"{row.changes} (against {row.against})"]
        for measure, text in (("requests_per_s", _decimals(0)), ("cpu_us", _decimals(2))):
            effect = str(effects.between(runs, row.name, row.against, measure)) if row.against else ""
            cells += [cell(row, runs[row.name], measure, text), effect]
        return cells

    effect = f"against\n{against}" if against else "effect"
    return _built(outcome, [outcome.scenario.name, "what changed", "req/s", effect, "CPU\nµs", effect], line, 2)


def matrix(outcome: Outcome) -> list[Table]:
    """The 2x2 with the simple effects at its edges, then the main effects and the interaction."""
    scenario, runs = outcome.scenario, outcome.at(None)
    models, drivers = effects.axes(scenario)
    lines: list[list[str]] = []
    sections: dict[int, str] = {}
    found = {measure: effects.matrix(scenario, runs, measure) for measure in effects.MEASURES}
    texts = {"requests_per_s": _decimals(0), "cpu_us": _decimals(2), "p99_ms": milliseconds}
    for measure, title in effects.MEASURES.items():
        sections[len(lines)] = title
        for model in models:
            cells = [median(runs[effects.corner(scenario, model, driver)], measure) for driver in drivers]
            lines.append([model, *(MISSING if each is None else texts[measure](each) for each in cells),
                          str(found[measure].by_driver[model])])
        lines.append([f"{models[1]} / {models[0]}", *(str(found[measure].by_scheduler[d]) for d in drivers), ""])
    split = Table(["the 2x2", *drivers, f"{drivers[1]} / {drivers[0]}"], lines, sections)
    lines = [[title, *(str(each) for each in (found[measure].scheduler, found[measure].driver,
                                              found[measure].interaction))]
             for measure, title in effects.MEASURES.items()]
    return [split, Table(["main effects", f"scheduler:\n{models[1]} / {models[0]}",
                          f"driver:\n{drivers[1]} / {drivers[0]}", "interaction"], lines)]


def all_tables(outcome: Outcome) -> list[Table]:
    first = matrix(outcome) if outcome.scenario.view == "matrix" else []
    first += [changes(outcome)] if outcome.scenario.has_effects else []
    return [*first, results(outcome), tasks(outcome), waits(outcome)]
