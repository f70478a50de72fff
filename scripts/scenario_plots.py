"""The plots of a scenario: lines over a sweep, bars otherwise, with the conventions of plots.py."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts import plots
from scripts.audit import Audit, audit
from scripts.measure import Measurement
from scripts.scenario_tables import Outcome, median
from scripts.scenarios import Row
from scripts.wrk import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_BARS = 10
_STYLES = ("-", "--", ":", "-.")
@dataclass(frozen=True)
class _Plot:
    name: str
    figure: str
    unit: str
    axis: str
    best: Callable[..., Any]
    title: str


_PLOTS = (_Plot("throughput", "requests_per_s", "/s", "requests a second", max, "Most requests a second"),
          _Plot("cpu", "cpu_us", " µs", "CPU time a request, µs", min, "Cheapest request"),
          _Plot("latency", "p99_ms", " ms", "p99, ms, log scale (wrk-corrected)", min, "Lowest p99"))


def draw(outcome: Outcome, folder: Path) -> None:
    """throughput, cpu and latency, each as .png and .svg."""
    if outcome.scenario.sweep is not None:
        plots.prepare()
        for each in _PLOTS:
            _sweep(outcome, outcome.scenario.sweep.label, each, folder)
        return
    rows = outcome.scenario.rows
    if len(rows) <= MOST_BARS:  # more do not fit a slide at a size that can be read
        plots.draw([_bar(row, outcome.runs[None, row.name]) for row in rows], _command(outcome), folder)


def _command(outcome: Outcome) -> str:
    """wrk's command at the last point, without what the sweep changes and a mix's long arguments."""
    raw = next(iter(outcome.runs.values()))[0]
    load = outcome.scenario.at(outcome.points[-1], round(raw.report.duration_s))
    typed = load.as_typed().split(" -- ")[0]
    swept = outcome.scenario.sweep is not None and outcome.scenario.sweep.of == "connections"
    return typed.replace(f"-c{load.connections} ", "-cN ") if swept else typed


def _bar(row: Row, repeats: list[Measurement]) -> plots.Bar:
    reports = _medians(Report, [raw.report for raw in repeats])
    return plots.Bar(row.name, row.model, repeats[0].connections, reports, _medians(Audit, [audit(r) for r in repeats]))


def _medians(kind: type, each: list[Any]) -> Any:
    """One object with the median of every number; the other fields are the first one's."""
    names = [field.name for field in fields(kind)
             if all(type(getattr(one, field.name)) in (int, float) for one in each)]
    values = {name: statistics.median(getattr(one, name) for one in each) for name in names}
    return replace(each[0], **{name: round(value) if isinstance(getattr(each[0], name), int) else value
                               for name, value in values.items()})


def _sweep(outcome: Outcome, label: str, plot: _Plot, folder: Path) -> None:
    page, axes = plots.page(_command(outcome))
    runs = {point: outcome.at(point) for point in outcome.points}
    ends: list[tuple[float, str, str]] = []  # last value, row, colour
    drawn: dict[str, int] = {}
    seen: list[float] = []
    for row in outcome.scenario.rows:
        style = _STYLES[drawn.setdefault(row.model, 0) % len(_STYLES)]
        drawn[row.model] += 1
        values = [(point, median(runs[point][row.name], plot.figure)) for point in outcome.points]
        kept = [(point, value) for point, value in values if value]
        if not kept:
            continue
        colour = plots.COLOURS.get(row.model, plots.INK)
        axes.plot(*zip(*kept, strict=True), style, color=colour, linewidth=4, marker="o", markersize=10)
        ends.append((kept[-1][1], row.name, colour))
        seen += [value for _, value in kept]
    axes.set_xscale("log")
    if plot.name == "latency" and seen:
        axes.set_yscale("log")
        axes.set_ylim(10 ** math.floor(math.log10(min(seen))), 10 ** math.ceil(math.log10(max(seen) * 1.01)))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    else:
        axes.set_ylim(bottom=0)
    _label(axes, ends, plot.unit, outcome.points[-1])
    axes.set_xticks(outcome.points, [f"{point:,}" for point in outcome.points])
    axes.minorticks_off()
    axes.grid(axis="y", color="#dddddd")
    axes.set_xlabel(f"{label}, log scale")
    axes.set_ylabel(plot.axis)
    if ends:
        value, who, _ = plot.best(ends)
        axes.set_title(f"{plot.title} at {outcome.points[-1]:,}: {who}, {plots.three(value)}{plot.unit}", pad=18, x=0,
                       wrap=True)
    plots.save(page, plot.name, folder)


def _label(axes: Axes, ends: list[tuple[float, str, str]], unit: str, last: int | None) -> None:
    """Names at the lines' right ends, moved apart where they would cover each other."""
    to_axes = axes.transData + axes.transAxes.inverted()
    floor = 0.0
    for value, name, colour in sorted(ends):
        height = max(float(to_axes.transform((last, value))[1]), floor)
        floor = height + 0.06
        axes.annotate(f"{name}: {plots.three(value)}{unit}", (1.0, height), (12, 0), xycoords="axes fraction",
                      textcoords="offset points", va="center", fontsize=16, color=colour)
