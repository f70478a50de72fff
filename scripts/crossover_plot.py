"""The crossover chart: who carries more against handler time, predicted lines and measured points. One figure a pair
of rows; scripts/plots.py has the rules."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts import crossover_rules as rules
from scripts import crossover_summary as summary
from scripts import crossover_theory as theory
from scripts import plots
from scripts.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = (style.PALETTE[0], style.PALETTE[1], style.PALETTE[2])
_PEAK = style.PALETTE[5]
_LEAST_SPAN, _ROOM = 1.6, 1.12
_PAPER = {"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.85}
_RATIOS = (0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 1.75, 2.0, 3.0, 4.0, 6.0, 8.0)
_KEY = "dotted: H*, where a line passes x1  ·  measured: ◆ within the limit (△ at least, ▽ at most), ○ peak"


def name(stealing: str, sharded: str) -> str:
    def plain(row: str) -> str:
        return "".join(each if each.isalnum() else "-" for each in row)

    return f"crossover-{plain(stealing)}-{plain(sharded)}"


def pairs(document: dict[str, Any]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((each["stealing"], each["sharded"]) for each in document["lines"]))


def of_pair(several: list[dict[str, Any]], stealing: str, sharded: str) -> list[dict[str, Any]]:
    return [each for each in several if (each["stealing"], each["sharded"]) == (stealing, sharded)]


def draw(document: dict[str, Any], out: Path) -> None:
    """Each pair's figure as .png and .svg."""
    style.prepare()
    for stealing, sharded, figure in figures(document):
        plots.save(figure, name(stealing, sharded), out)


def figures(document: dict[str, Any]) -> Iterator[tuple[str, str, Figure]]:
    """Each pair's."""
    for stealing, sharded in pairs(document):
        settings = document["settings"]
        figure, axes = plots.page(
            f"{settings['connections']} connections · exponential handlers · blocks: {settings['blocks']} of "
            f"{settings['duration_s']:g} s a run · limit: p99 ≤ {settings['slo']:g} x (H + cost) · lines: simulated")
        _pair(axes, of_pair(document["lines"], stealing, sharded),
              of_pair(document["predictions"], stealing, sharded), settings)
        yield stealing, sharded, figure


def place_of_zero(handlers: list[float]) -> float:
    """Where H = 0 stands on a log axis: left of all others. `handlers`: all that is drawn; a curve has its own zero."""
    above = [each for each in handlers if each > theory.LEAST_US]
    return min(above) / 3 if above else theory.LEAST_US


def headline(lines: list[dict[str, Any]], predictions: list[dict[str, Any]], workers: int) -> str:
    """What was found within the limit, at which handler times, and what theory says."""
    stealing, sharded = lines[0]["stealing"], lines[0]["sharded"]
    said = next(each for each in predictions if each["cores"] == workers)["simulation_says"]
    predicted = f"predicted H* on {workers} cores {said}" + (" µs" if said[-1:] in ")0123456789" else "")
    known = {line["handler_us"]: line["winner"] for line in lines if line["capacity"]}
    found = []
    for words, winner in (("carries more", "stealing"), ("carries less", "sharded"), ("no winner shown", "~")):
        if at := sorted(each for each in known if known[each].startswith(winner)):
            doubt = " (too few blocks to show it)" if any(known[each].endswith("?") for each in at) else ""
            found.append(f"{words} at {', '.join(f'{each:g}' for each in at)} µs{doubt}")
    return f"{stealing} against {sharded}: {', '.join(found) or 'no rate within the limit measured'}; {predicted}"


def _pair(axes: Axes, lines: list[dict[str, Any]], predictions: list[dict[str, Any]], settings: dict[str, Any]) -> None:
    handlers = [line["handler_us"] for line in lines]
    zero = place_of_zero([*handlers, *(at for curve in predictions for at in curve["handlers"])])

    def x(handler_us: float) -> float:
        return max(handler_us, zero)

    ends, seen = [], [1.0]
    for colour, curve in zip(_COLOURS, sorted(predictions, key=lambda each: each["cores"]), strict=False):
        known = [(x(at), *ratio) for at, ratio in zip(curve["handlers"], curve["ratios"], strict=True)
                 if ratio is not None and (at >= zero or at == min(curve["handlers"]))]
        if not known:
            continue
        xs, values, low, high = zip(*known, strict=True)
        axes.plot(xs, values, color=colour, linewidth=3.2)
        axes.fill_between(xs, low, high, color=colour, alpha=0.15, linewidth=0)
        seen += [*low, *high]
        here = ", here" if curve["cores"] == settings["workers"] else ""
        ends.append((values[-1], f"{curve['cores']} cores{here}", colour))
        if curve["crossing"] is not None:
            axes.axvline(x(curve["crossing"][0]), color=colour, linewidth=2, linestyle=(0, (2, 2)))
    axes.plot([x(each) for each in handlers], [line["predicted"]["peak"] for line in lines], color=_PEAK, linewidth=2.2,
              linestyle=(0, (6, 2)))
    ends.append((lines[-1]["predicted"]["peak"], "peak, by cost", _PEAK))
    seen += [line["predicted"]["peak"] for line in lines]
    for measure, bound, marker, shift, colour, fill in (
            ("peak", None, "o", 0.94, _PEAK, "white"), ("capacity", None, "D", 1.06, plots.INK, plots.INK),
            ("capacity", rules.AT_LEAST, "^", 1.06, plots.INK, "white"),
            ("capacity", rules.AT_MOST, "v", 1.06, plots.INK, "white")):
        found = [(x(line["handler_us"]) * shift, line[measure]) for line in lines
                 if line[measure] and line[measure]["bound"] == bound]
        if found:
            _points(axes, found, marker, colour, fill)
            seen += [each[end] for _, each in found for end in ("low", "high")]
    axes.axhline(1, color=plots.INK, linewidth=1.6)
    span = max(_LEAST_SPAN, max(seen), 1 / min(seen)) * _ROOM
    _frame(axes, lines, zero, span, [x(each) for each in handlers])
    style.names_at_ends(axes, ends)
    style.title(axes, headline(lines, predictions, settings["workers"]))


def _points(axes: Axes, found: list[tuple[float, dict[str, Any]]], marker: str, colour: str, fill: str) -> None:
    values = [each["ratio"] for _, each in found]
    below = [max(0.0, each["ratio"] - each["low"]) for _, each in found]
    above = [max(0.0, each["high"] - each["ratio"]) for _, each in found]
    axes.errorbar([at for at, _ in found], values, yerr=(below, above), fmt=marker, markersize=13, color=colour,
                  markerfacecolor=fill, markeredgewidth=2.5, capsize=6, elinewidth=2.4, zorder=5)


def _frame(axes: Axes, lines: list[dict[str, Any]], zero: float, span: float, ticks: list[float]) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(1 / span, span)
    axes.set_xlim(zero / 1.5, max(ticks) * 1.5)
    axes.yaxis.set_major_locator(FixedLocator([each for each in _RATIOS if 1 / span <= each <= span]))
    axes.xaxis.set_major_locator(FixedLocator(sorted(set(ticks))))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: "0" if math.isclose(value, zero) else f"{value:g}")
    axes.yaxis.set_major_formatter(lambda value, _: f"x{value:g}")
    axes.set_xlabel(f"mean handler time H, µs (log scale)\n{_KEY}")
    axes.set_ylabel("requests/s, stealing / sharded")
    style.grid(axes)
    for y, words, side in ((0.985, "▲ stealing carries more", "top"), (0.015, "▼ sharded carries more", "bottom")):
        axes.text(0.01, y, words, transform=axes.transAxes, fontsize=style.SMALL, va=side, color="#444444", bbox=_PAPER)
    for line in lines:
        if (cell := summary.capacity_cell(line)) in (summary.NOT_HERE, summary.AT_EDGE):
            axes.annotate("\n".join(f"◇ {cell}".rsplit(" ", 1)), (max(line["handler_us"], zero), 1 / span), (0, 40),
                          textcoords="offset points", ha="center", fontsize=style.SMALL, color="#777777", bbox=_PAPER)
