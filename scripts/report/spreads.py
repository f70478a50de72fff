"""Figures with a line of the table a row: CPU time, every run a dot, connections a worker, drift within a run."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from scripts import plots
from scripts.report import style
from scripts.report.figures import Drawn, Missing, at, main_point, measured_rows, page
from scripts.report.model import MEASURES, Point, Result, Summary

_SYSTEM = "#d9d9d9"
_STEADY = 0.1  # halves within this of each other are called steady
_HEIGHT = 0.62


def cpu(result: Result) -> Iterator[Drawn]:
    point = main_point(result)
    rows = [(row, summary) for row in measured_rows(result)
            if (summary := result.summary(row.name, point.name, "cpu_us_total")) is not None]
    if not rows:
        raise Missing("no run has a CPU time")
    figure, axes = page(result)
    looks = style.styles(result)
    top = max(summary.high or summary.median for _, summary in rows)
    for y, (row, summary) in enumerate(rows):
        colour = looks[row.name].colour
        user, system = (_median(result, row.name, point, f"cpu_us_{part}") for part in ("user", "system"))
        if user is None or system is None or user + system <= 0:
            axes.barh(y, summary.median, color=colour, height=_HEIGHT)
            split = ""
        else:  # the split is sampled, the total exact: medians of the parts need not add up to that of the whole
            share = user / (user + system)
            axes.barh(y, summary.median * share, color=colour, height=_HEIGHT)
            axes.barh(y, summary.median * (1 - share), left=summary.median * share, color=_SYSTEM, height=_HEIGHT)
            split = f"\nuser {share:.0%}"
        if summary.low is not None and summary.high is not None:
            axes.errorbar(summary.median, y, xerr=[[max(0, summary.median - summary.low)],
                                                   [max(0, summary.high - summary.median)]],
                          color=plots.INK, capsize=7, elinewidth=2.4)
        axes.text((summary.high or summary.median) + top * 0.02, y, f"{summary.median:.2f} µs{split}", va="center",
                  fontsize=18)
    axes.set_xlim(0, top * 1.25)
    axes.set_xlabel("CPU time a request, µs: coloured in the server's own code (user), grey in the kernel")
    style.rows_down(axes, [row.name for row, _ in rows], [looks[row.name].colour for row, _ in rows])
    best_row, best = min(rows, key=lambda each: each[1].median)
    style.title(axes, f"Cheapest request: {style.short(best_row.name)}, {best.median:.2f} µs of CPU")
    yield Drawn("cpu", f"CPU time a request {at(point)}", _bars(rows[0][1]) + " The kernel samples the split into "
                "user and system time; the total is exact.", figure)


def _bars(summary: Summary) -> str:
    return ("Medians; bars are their interval." if summary.low is not None else
            f"Medians of {summary.n}: too few for an interval, which takes 6." if summary.n > 1 else "One run a row.")


def _median(result: Result, row: str, point: Point, figure: str) -> float | None:
    values = [run.figures[figure] for run in result.at(row, point.name) if figure in run.figures]
    return statistics.median(values) if values else None


# --- every run a dot -------------------------------------------------------------------------------

def dots(result: Result) -> Iterator[Drawn]:
    busy = result.busy()
    chosen = [("requests_per_s", result.closed[-1] if result.closed else None),
              ("cpu_us_total", main_point(result)), ("p99_us", busy or main_point(result))]
    drawn = [made for measure, point in chosen if point is not None
             and (made := _dots(result, measure, point)) is not None]
    if not drawn:
        raise Missing("no run has figures")
    yield from drawn


def _dots(result: Result, measure: str, point: Point) -> Drawn | None:
    told, looks = MEASURES[measure], style.styles(result)
    values = {row.name: [(run.block, run.figures[measure] * told.scale) for run in result.at(row.name, point.name)
                         if run.figures.get(measure, 0) > 0] for row in result.rows}
    rows = [row for row in result.rows if values[row.name]]
    if not rows:
        return None
    figure, axes = page(result)
    last = max(2, max(run.block for run in result.runs))
    for y, row in enumerate(rows):
        look = looks[row.name]
        blocks, seen = zip(*values[row.name], strict=True)
        summary = result.summary(row.name, point.name, measure)
        if summary is not None:
            if summary.low is not None and summary.high is not None:
                axes.fill_betweenx([y - 0.4, y + 0.4], summary.low * told.scale, summary.high * told.scale,
                                   color=look.colour, alpha=0.16, linewidth=0)
            axes.plot([summary.median * told.scale] * 2, [y - 0.4, y + 0.4], color=look.colour, linewidth=3)
        axes.plot(seen, [y + 0.32 * (2 * (block - 1) / (last - 1) - 1) if len(seen) > 1 else y for block in blocks],
                  look.marker, color=look.colour, markersize=10, markeredgecolor="white", markeredgewidth=0.6,
                  linestyle="none")
    if measure == "p99_us":
        style.log_ticks(axes.xaxis)
    else:
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
        axes.locator_params(axis="x", nbins=7)
    style.grid(axes, "x")
    corrected = " (wrk-corrected)" if measure == "p99_us" and result.by_wrk else ""
    axes.set_xlabel(told.axis + corrected + (", log scale" if measure == "p99_us" else ""))
    style.rows_down(axes, [row.name for row in rows], [looks[row.name].colour for row in rows])
    style.title(axes, f"{style.sentence(told.name)} {at(point)}: every run a dot")
    several = result.blocks > 1
    return Drawn(f"dots-{measure.partition('_')[0]}", f"Every run: {told.name} {at(point)}",
                 ("Within a row the first block is on top, so a slope is drift. The line is the median"
                  + (", the band its interval." if any(
                      summary.low is not None for row in rows
                      if (summary := result.summary(row.name, point.name, measure)) is not None)
                     else "; there are too few runs for an interval.") if several else "One run a row.")
                 + (" The grey row is the control: the same server as "
                    f"{result.control.of}, and how far it strays is noise." if result.control else ""), figure)


# --- connections of each worker --------------------------------------------------------------------

def strips(result: Result) -> Iterator[Drawn]:
    point = main_point(result)
    counted = {row.name: found for row in measured_rows(result)
               if (found := [run.connections_per_worker for run in result.at(row.name, point.name)
                             if len(run.connections_per_worker) > 1 and sum(run.connections_per_worker) > 0])}
    if not counted:
        raise Missing("no server counted its connections by worker, or none has more than one worker")
    figure, axes = page(result)
    looks = style.styles(result)
    for y, (name, runs) in enumerate(counted.items()):
        height, colour = 0.8 / len(runs), looks[name].colour
        for index, counts in enumerate(runs):
            place, total, left = y - 0.4 + (index + 0.5) * height, sum(counts), 0.0
            for worker, count in enumerate(counts):
                axes.barh(place, count / total, left=left, height=height * 0.9, color=colour,
                          alpha=0.85 if worker % 2 == 0 else 0.45, linewidth=0)
                left += count / total
        skew = statistics.median(max(counts) * len(counts) / sum(counts) for counts in runs)
        axes.text(1.015, y, f"x{skew:.2f}", va="center", fontsize=18, color=plots.INK)
    workers = {len(counts) for runs in counted.values() for counts in runs}
    if len(workers) == 1 and max(workers) <= 32:
        for part in range(1, max(workers)):
            axes.axvline(part / max(workers), color=plots.INK, linewidth=1.6, linestyle=(0, (4, 3)))
    axes.set_xlim(0, 1.12)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    axes.set_xlabel("share of the connections, worker by worker; right: busiest / mean (median)")
    style.rows_down(axes, list(counted), [looks[name].colour for name in counted])
    style.title(axes, f"Connections of each worker {at(point)}, a strip a run")
    yield Drawn("workers", f"Connections of each worker {at(point)}", "Where a strip's parts meet at the dashed lines "
                "the connections are spread evenly. A worker with more than its share is full while others idle, "
                "unless they steal.", figure)


# --- drift within a run ----------------------------------------------------------------------------

def halves(result: Result) -> Iterator[Drawn]:
    if result.by_wrk:
        raise Missing("wrk does not tell the halves of a run apart")
    ratios: dict[str, dict[str, list[float]]] = {"rate": {}, "p99": {}}
    for run in result.runs:
        for figure, by_row in ratios.items():
            first, second = run.halves or ({}, {})
            if first.get(figure) and second.get(figure):
                by_row.setdefault(run.row, []).append(second[figure] / first[figure])
    rows = [row for row in result.rows if any(row.name in by_row for by_row in ratios.values())]
    if not rows:
        raise Missing("no run has figures of its halves")
    from matplotlib.figure import Figure
    figure = Figure(figsize=(14, 7.9), layout="constrained")
    looks, panels = style.styles(result), figure.subplots(1, 2, sharey=True)
    for axes, (called, by_row) in zip(panels, ratios.items(), strict=True):
        for y, row in enumerate(rows):
            seen, look = by_row.get(row.name, []), looks[row.name]
            spread = [y + 0.3 * (2 * (index + 0.5) / len(seen) - 1) for index in range(len(seen))]
            axes.plot(seen, spread, look.marker, color=look.colour, markersize=7, alpha=0.6, linestyle="none")
            if seen:
                axes.plot([statistics.median(seen)] * 2, [y - 0.4, y + 0.4], color=look.colour, linewidth=3)
        axes.axvline(1, color=plots.INK, linewidth=1.4)
        axes.axvspan(1 - _STEADY, 1 + _STEADY, color=style.GRID, alpha=0.5, zorder=0)
        axes.set_xlabel({"rate": "requests a second", "p99": "p99"}[called] + ", second half / first")
        style.grid(axes, "x")
    style.rows_down(panels[0], [row.name for row in rows], [looks[row.name].colour for row in rows])
    found = [abs(each - 1) > _STEADY for seen in ratios["rate"].values() for each in seen]
    said = f"{sum(found):,} of {len(found):,} runs change their rate by more than {_STEADY:.0%}"
    figure.suptitle(f"Drift within a run: {said}", x=0.01, ha="left", fontsize=22, fontweight="bold")
    yield Drawn("halves", "First half of a run against its second", f"1: no drift. The band is {_STEADY:.0%} either "
                "way; all points together, a dot a run. In an open loop the rate is what was offered, so its drift "
                "shows in the latency.", figure)
