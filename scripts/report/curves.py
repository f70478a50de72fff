"""Figures with a line a row: latency against load, percentiles, what wrk makes of them, sweeps."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterator

import numpy as np

from scripts import plots, queueing
from scripts.report import histograms, style
from scripts.report.figures import Drawn, Missing, at, main_point, measured_rows, page, slug
from scripts.report.model import MEASURES, Point, Result, Row

_MOST_OWN = 8  # rows with a hockey stick of their own
_PANELS = 6
_FRACTIONS = {"p50": 0.5, "p75": 0.75, "p90": 0.9, "p99": 0.99, "p99_9": 0.999}
_SATURATED = 0.98  # of the loads that reference lines show

QUEUES = ("The grey lines are what queues alone would do, with Poisson arrivals and exponential service: M/M/k has one "
          "queue for all k servers, k x M/M/1 one for each. S, the service time, is the measured CPU time a request; "
          "the network, the kernel's wake-ups and the loader are on top of it.")


def servers_of(result: Result, row: Row) -> int:
    """How many requests of a row can be served at once: its workers, but no more than its CPUs."""
    cpus = result.settings.get("server_cpus")
    most = len(cpus) if isinstance(cpus, list) and cpus else None
    said = next((int(found[1]) for run in result.runs if run.row == row.name
                 and (found := re.search(r"\bworkers=(\d{1,5})\b", run.ready_line))), None)
    return max(1, min((each for each in (most, said) if each is not None), default=1))


def service_us(result: Result, row: Row) -> float | None:
    """S: CPU time a request where the server is busiest."""
    for point in (*reversed(result.closed), *reversed(result.open)):
        summary = result.summary(row.name, point.name, "cpu_us_total")
        if summary is not None and summary.median > 0:
            return summary.median
    return None


def hockey(result: Result) -> Iterator[Drawn]:
    points = result.open
    if len(points) < 2:
        raise Missing("it takes at least two loads of an open loop, and "
                      + ("wrk has only a closed one" if result.by_wrk else f"{len(points)} was measured"))
    for measure in ("p99_us", "p50_us"):
        yield _all_rows(result, points, measure)
    rows = [row for row in measured_rows(result) if service_us(result, row) is not None]
    for row in rows[:_MOST_OWN]:
        yield _one_row(result, points, row)


def _line(result: Result, row: Row, points: list[Point], measure: str) -> list[tuple[float, float, float, float]]:
    """(thousand requests a second, ms, below, above) at each point; no bar where there is no interval."""
    found = []
    for point in points:
        summary = result.summary(row.name, point.name, measure)
        if summary is not None and summary.median > 0:
            low, high = (summary.median if end is None else end for end in (summary.low, summary.high))
            scale = MEASURES[measure].scale
            found.append(((point.rate or 0.0) / 1e3, summary.median * scale,
                          max(0.0, summary.median - low) * scale, max(0.0, high - summary.median) * scale))
    return found


def _drawn_line(axes, line, look: style.Style, **more) -> None:
    x, y, below, above = zip(*line, strict=True)
    given = {"color": look.colour, "marker": look.marker, "linestyle": look.dash, "linewidth": 3.2, "markersize": 10,
             "capsize": 5, "elinewidth": 2, **more}
    axes.errorbar(x, y, yerr=(below, above), **given)


def _reference(axes, result: Result, row: Row, fraction: float, top: float, width: float = 2.6) -> str:
    """The lines of both queues up to `top` thousand requests a second; how they are called."""
    service, k = service_us(result, row) or math.nan, servers_of(result, row)
    most = k * 1e3 / service  # thousand requests a second
    loads = np.linspace(0.01, min(_SATURATED, top / most), 120)
    for servers, dash in ((k, "-"), (1, (0, (4, 2)))) if k > 1 else ((1, "-"),):
        times = [queueing.quantile(servers, rho, fraction) * service / 1e3 for rho in loads]
        called = f"M/M/{servers}" if servers == k else f"{k} x M/M/1"
        axes.plot(loads * most, times, linestyle=dash, color=style.GREY, linewidth=width, zorder=1,
                  label=f"{called}, p{100 * fraction:g}")
    return f"S = {plots.three(service)} µs, k = {k}"


def _finish(axes, points: list[Point]) -> None:
    style.log_ticks(axes.yaxis)
    axes.set_xlim(0, max(point.rate or 0.0 for point in points) / 1e3 * 1.03)
    style.grid(axes)
    axes.set_xlabel("offered load, thousand requests a second")


def _all_rows(result: Result, points: list[Point], measure: str) -> Drawn:
    name = MEASURES[measure].name if measure != "p50_us" else "p50"
    figure, axes = page(result)
    looks, ends = style.styles(result), []
    for row in measured_rows(result):
        line = _line(result, row, points, measure)
        if line:
            _drawn_line(axes, line, looks[row.name])
            ends.append((line[-1][1], row.name, looks[row.name].colour))
    if not ends:
        raise Missing("no run of an open loop has latencies")
    priced = [(service, row) for row in measured_rows(result) if (service := service_us(result, row)) is not None]
    said = ""
    if priced:
        cheapest = min(priced, key=lambda each: each[0])[1]
        top = max(point.rate or 0.0 for point in points) / 1e3
        said = _reference(axes, result, cheapest, 0.99 if measure == "p99_us" else 0.5, top)
        axes.legend(loc="upper left", fontsize=style.SMALL, title=f"queues alone, {said}", title_fontsize=style.SMALL)
        said = f" {QUEUES} Here S is that of {cheapest.name}, the cheapest row."
    _finish(axes, points)
    axes.set_ylabel(f"{name} from intended start, ms, log scale")
    style.names_at_ends(axes, ends)
    busy = result.busy() or points[-1]
    told = [(summary.median, row.name) for row in measured_rows(result)
            if (summary := result.summary(row.name, busy.name, measure)) is not None]
    found = ""
    if told:
        value, best = min(told)
        found = f"\nlowest {at(busy)}: {style.short(best)}, {plots.three(value / 1e3)} ms"
    style.title(axes, f"{name} against offered load{found}")
    return Drawn(f"load-{name}", f"{name} against offered load",
                 "Latency counts from the moment a request was due, so waiting before the send is in it. Points are "
                 f"medians over the blocks, bars their interval.{said}", figure)


def _one_row(result: Result, points: list[Point], row: Row) -> Drawn:
    figure, axes = page(result)
    look, ends = style.styles(result)[row.name], []
    top, said = max(point.rate or 0.0 for point in points) / 1e3, ""
    for measure, fraction, width, fill in (("p99_us", 0.99, 2.6, look.colour), ("p50_us", 0.5, 1.6, "white")):
        line = _line(result, row, points, measure)
        if line:
            _drawn_line(axes, line, look, markerfacecolor=fill)
            ends.append((line[-1][1], f"{measure.removesuffix('_us')} measured", look.colour))
            said = _reference(axes, result, row, fraction, top, width)
    if not ends:
        raise Missing(f"no run of {row.name} in an open loop has latencies")
    _finish(axes, points)
    axes.set_ylabel("latency from intended start, ms, log scale")
    axes.legend(loc="upper left", fontsize=style.SMALL, title=f"queues alone, {said}", title_fontsize=style.SMALL)
    style.names_at_ends(axes, ends)
    style.title(axes, f"{style.short(row.name)} and queues of its service time")
    return Drawn(f"load-{slug(row.name)}", f"{row.name}: p50 and p99 against offered load, and queues",
                 f"{QUEUES} Filled marks and thick lines: p99; hollow marks and thin lines: p50.", figure)


# --- percentiles -----------------------------------------------------------------------------------

def percentiles(result: Result) -> Iterator[Drawn]:
    if result.by_wrk:
        yield _wrk_percentiles(result, main_point(result))
        return
    chosen = [*dict.fromkeys(point for point in (result.busy(0.5), result.busy(0.8), result.open[-1:] and
                                                 result.open[-1]) if point), *result.closed[-1:]]
    drawn = [made for point in chosen if (made := _point_percentiles(result, point)) is not None]
    if not drawn:
        raise Missing("no histogram of a run could be read (the files in runs/ hold them)")
    yield from drawn


def _point_percentiles(result: Result, point: Point) -> Drawn | None:
    figure, axes = page(result)
    looks, ends, deepest = style.styles(result), [], 100.0
    for row in measured_rows(result):
        look = looks[row.name]
        found = histograms.of_runs(result, result.at(row.name, point.name))
        for clock, dash in (("intended", "-"), ("sent", (0, (3, 1.6)))):
            several = [each[clock] for each in found if clock in each]
            if not several or (clock == "intended" and not point.is_open):
                continue
            pooled = histograms.merged(several)
            inverse = np.geomspace(1, max(10, pooled.count / 10), 160)
            deepest = max(deepest, float(inverse[-1]))
            values = pooled.at(1 - 1 / inverse) / 1e6
            first = clock == ("intended" if point.is_open else "sent")
            axes.plot(inverse, values, color=look.colour, linewidth=3.2, linestyle="-" if first else dash, zorder=3)
            if first:
                ends.append((float(values[-1]), row.name, look.colour))
                for each in several if len(several) > 1 else []:
                    own = np.geomspace(1, max(10, each.count / 10), 60)
                    axes.plot(own, each.at(1 - 1 / own) / 1e6, color=look.colour, linewidth=0.8, alpha=0.35, zorder=2)
    if not ends:
        return None
    _percentile_axes(axes, deepest)
    style.names_at_ends(axes, ends)
    both = ("solid: from the moment it was due; dashed: from the send" if point.is_open
            else "from the send: a closed loop has no other clock")
    axes.set_ylabel("latency, ms, log scale")
    style.title(axes, f"Percentiles {at(point)}\n{both}")
    return Drawn(f"percentiles-{slug(point.name)}", f"Percentiles {at(point)}",
                 f"A thick line pools the histograms of all runs of a row and is only for looking at; a thin one is a "
                 f"run. {both[0].upper()}{both[1:]}.", figure)


def _percentile_axes(axes, deepest: float) -> None:
    ticks = [(1 / (1 - p), f"{100 * p:g} %") for p in (0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999)]
    axes.set_xscale("log")
    axes.set_xlim(1, deepest)
    shown = [each for each in ticks if each[0] <= deepest * 1.001]
    axes.set_xticks([x for x, _ in shown], [label for _, label in shown])
    axes.minorticks_off()
    style.log_ticks(axes.yaxis)
    style.grid(axes)
    axes.set_xlabel("percentile, by 1 / (1 - p)")


def _percentile_medians(result: Result, row: str, point: str, clock: str) -> dict[str, float]:
    """Over the runs, in ms."""
    told = [run.clocks[clock] for run in result.at(row, point) if clock in run.clocks]
    return {name: statistics.median(values) / 1e3 for name in _FRACTIONS
            if (values := [each[name] for each in told if each.get(name)])}


def _wrk_percentiles(result: Result, point: Point) -> Drawn:
    figure, axes = page(result)
    looks, ends = style.styles(result), []
    for row in result.rows:
        told = _percentile_medians(result, row.name, point.name, "wrk")
        if told:
            stands = result.summary(row.name, point.name, "p99_us") is not None
            look = looks[row.name]
            colour = look.colour if stands else style.GREY
            axes.plot([1 / (1 - _FRACTIONS[name]) for name in told], list(told.values()), color=colour,
                      marker=look.marker, linestyle=look.dash, linewidth=3.2, markersize=11)
            ends.append((list(told.values())[-1], row.name, colour))
    if not ends:
        raise Missing("no run has latencies")
    _percentile_axes(axes, 130)
    axes.set_xlim(1.7, 120)
    axes.set_xticks([2, 4, 10, 100], ["50 %", "75 %", "90 %", "99 %"])
    axes.set_ylabel("latency, ms, log scale (wrk-corrected)")
    style.names_at_ends(axes, ends)
    style.title(axes, f"The percentiles that wrk prints {at(point)}")
    return Drawn("percentiles", "Percentiles, wrk-corrected", "wrk keeps no histogram: these four are all there is, "
                 "medians over the repeats. wrk adds phantom samples for slow answers, so p75 to p99 are not "
                 "measurements. A grey row starved connections or failed requests: its percentiles are those of "
                 "the rest.", figure)


# --- wrk-corrected, raw, open loop -----------------------------------------------------------------

def overlay(result: Result) -> Iterator[Drawn]:
    if result.by_wrk:
        raise Missing("it takes runs of duel-load beside those of wrk, and this result has wrk's alone")
    if not result.closed or not result.open:
        raise Missing("it takes a closed and an open loop of the same row")
    closed, loaded = result.closed[-1], result.open[-1]
    theirs = {row.name: found for other in reversed(result.beside) for row in other.rows
              if (found := _percentile_medians(other, row.name, main_point(other).name, "wrk"))}
    told = [row for row in measured_rows(result) if _percentile_medians(result, row.name, loaded.name, "intended")
            and _percentile_medians(result, row.name, closed.name, "sent")]
    if not told:
        raise Missing("no row has latencies in both loops")
    rows = ([row for row in told if row.name in theirs] or told)[:_PANELS]
    across = 1 if len(rows) == 1 else 2 if len(rows) <= 4 else 3
    from matplotlib.figure import Figure
    figure = Figure(figsize=(14, 7.9), layout="constrained")
    grid = figure.subplots(-(-len(rows) // across), across, squeeze=False, sharey=True)
    for axes, row in zip(grid.flat, rows, strict=False):
        lines = ((f"open loop, {loaded.name}, as due", _percentile_medians(result, row.name, loaded.name, "intended"),
                  "-", "o", style.PALETTE[0]),
                 ("closed loop, raw", _percentile_medians(result, row.name, closed.name, "sent"), (0, (5, 2)), "s",
                  style.PALETTE[1]),
                 ("closed loop, wrk-corrected", theirs.get(row.name, {}), (0, (1.5, 1.4)), "^", style.PALETTE[3]))
        for label, told, dash, marker, colour in lines:
            if told:
                axes.plot([list(_FRACTIONS).index(name) for name in told], list(told.values()), color=colour,
                          linestyle=dash, marker=marker, markersize=9, linewidth=3, label=label)
        style.log_ticks(axes.yaxis)
        style.grid(axes, "y")
        axes.set_xticks(range(len(_FRACTIONS)), [name.replace("_", ".") for name in _FRACTIONS])
        axes.set_title(style.short(row.name), fontsize=18)
    for axes in grid.flat[len(rows):]:
        axes.set_visible(False)
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, fontsize=style.SMALL)
    figure.supylabel("latency, ms, log scale")
    figure.supxlabel(f"{style.short(result.name)}: the same servers, asked in different ways", fontsize=16,
                     color="#444444")
    with_wrk = any(row.name in theirs for row in rows)
    wrk = ("wrk-corrected: wrk adds phantom samples for slow answers to its closed loop." + _loads(result) if with_wrk
           else "No result of wrk lies in this folder, so its line is not here.")
    caption = ("A closed loop asks again only when it has its answer, so it never sees what an open loop sees near "
               f"saturation. {wrk}")
    yield Drawn("overlay", "The same servers asked in different ways: "
                + ("wrk-corrected, raw, open loop" if with_wrk else "raw closed loop, open loop"), caption, figure)


def _loads(result: Result) -> str:
    """Whether wrk asked what duel-load did."""
    theirs = {int(run.figures["connections"]) for other in result.beside for run in other.runs
              if "connections" in run.figures}
    ours = result.settings.get("connections")
    if theirs <= {ours}:
        return ""
    return (f" wrk had {', '.join(f'{each:,}' for each in sorted(theirs))} connections and duel-load {ours}: "
            "only the shapes compare.")


# --- against load or a swept value -----------------------------------------------------------------

def cpu_by_load(result: Result) -> Iterator[Drawn]:
    points = result.open
    if len(points) < 2:
        raise Missing("it takes at least two loads of an open loop")
    figure, axes = page(result)
    looks, ends = style.styles(result), []
    for row in measured_rows(result):
        line = _line(result, row, points, "cpu_us_total")
        if line:
            _drawn_line(axes, line, looks[row.name])
            ends.append((line[-1][1], row.name, looks[row.name].colour))
    if not ends:
        raise Missing("no run of an open loop has a CPU time")
    axes.set_ylim(bottom=0)
    axes.set_xlim(0, max(point.rate or 0.0 for point in points) / 1e3 * 1.03)
    style.grid(axes)
    axes.set_xlabel("offered load, thousand requests a second")
    axes.set_ylabel("CPU time a request, µs")
    style.names_at_ends(axes, ends)
    style.title(axes, "CPU time a request against offered load")
    yield Drawn("load-cpu", "CPU time a request against offered load",
                "User and system time of the whole server. An idle server parks and wakes more often for each request, "
                "so a request may cost more at a low load. Points are medians, bars their interval.", figure)


def sweep(result: Result) -> Iterator[Drawn]:
    if len(result.closed) < 2:
        raise Missing("this result sweeps nothing")
    for measure in ("requests_per_s", "p99_us"):
        told = MEASURES[measure]
        figure, axes = page(result)
        looks, ends = style.styles(result), []
        for row in measured_rows(result):
            line = [(index, summary.median * told.scale) for index, point in enumerate(result.closed)
                    if (summary := result.summary(row.name, point.name, measure)) is not None]
            if line:
                look = looks[row.name]
                axes.plot(*zip(*line, strict=True), color=look.colour, marker=look.marker, linestyle=look.dash,
                          linewidth=3.2, markersize=10)
                ends.append((line[-1][1], row.name, look.colour))
        if not ends:
            raise Missing(f"no run has {told.name}")
        if measure == "p99_us":
            style.log_ticks(axes.yaxis)
        else:
            axes.set_ylim(bottom=0)
        axes.set_xticks(range(len(result.closed)), [point.name.rpartition("= ")[2] for point in result.closed])
        style.grid(axes)
        axes.set_xlabel(result.closed[0].name.rpartition(" = ")[0])
        axes.set_ylabel(told.axis + (" (wrk-corrected)" if measure == "p99_us" and result.by_wrk else ""))
        style.names_at_ends(axes, ends)
        style.title(axes, f"{style.sentence(told.name)} over the sweep")
        yield Drawn(f"sweep-{measure.partition('_')[0]}", f"{style.sentence(told.name)} over the sweep",
                    "Medians over the repeats.", figure)
