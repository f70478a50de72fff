"""The plots of a table: latency, throughput, CPU. PNG and SVG, legible on a projector.

Rules: 16 pt or more, dark on white, every value written beside its mark, no legend to look up,
latency on a log axis, a title that says what was found. A row in which connections starved is
grey: its latencies are those of the few that were served.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.audit import Audit
from scripts.paths import CACHE
from scripts.wrk import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, _GREY = "#111111", "#9a9a9a"
COLOURS = {"serial": "#7a4b00", "threads": "#b00058", "stealing": "#0050b5", "sharded": "#00734a"}
_SYSTEM = "#f2a900"


@dataclass(frozen=True)
class Bar:
    """One row of a table, as drawn."""

    label: str
    model: str
    connections: int
    report: Report
    audit: Audit

    @property
    def starved(self) -> bool:
        return self.audit.starved

    @property
    def colour(self) -> str:
        return _GREY if self.starved else COLOURS.get(self.model, INK)


def draw(bars: list[Bar], command: str, out: Path) -> None:
    """Writes latency, throughput and cpu, each as .png and .svg, into `out`."""
    prepare()
    for name, paint in (("latency", _latency), ("throughput", _throughput), ("cpu", _cpu)):
        save(_page(paint, bars, command), name, out)


def prepare() -> None:
    """The house's fonts and colours, for every figure."""
    os.environ.setdefault("MPLCONFIGDIR", str(CACHE / "matplotlib"))
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update({
        "font.size": 18, "axes.titlesize": 22, "axes.titleweight": "bold", "axes.titlelocation": "left",
        "text.color": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK,
        "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "duel", "svg.fonttype": "path"})


def page(command: str) -> tuple[Figure, Axes]:
    """One empty figure with the command at its foot."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(figsize=(14, 7.9), layout=ConstrainedLayoutEngine(rect=(0.01, 0.015, 0.98, 0.96)))
    figure.supxlabel(command, fontsize=16, color="#444444")
    return figure, figure.add_subplot()


def save(figure: Figure, name: str, out: Path) -> None:
    for suffix in ("png", "svg"):
        figure.savefig(out / f"{name}.{suffix}", dpi=120, metadata={"Date": None} if suffix == "svg" else None)


def _page(paint, bars: list[Bar], command: str) -> Figure:
    figure, axes = page(command)
    axes.set_title(paint(axes, bars), pad=18, x=0, wrap=True)
    axes.set_yticks(range(len(bars)), [_tick(bar) for bar in bars])
    for tick, bar in zip(axes.get_yticklabels(), bars, strict=True):
        tick.set_color("#5c5c5c" if bar.starved else INK)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    return figure


def _tick(bar: Bar) -> str:
    if not bar.starved:
        return bar.label
    served = "some" if bar.audit.served is None else f"{bar.audit.served:,}"
    return f"{bar.label}\n(served {served} of {bar.connections:,})"


def three(value: float) -> str:
    """Three significant figures without an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _latency(axes: Axes, bars: list[Bar]) -> str:
    for y, bar in enumerate(bars):
        report = bar.report
        points = [("p50", report.p50_ms), ("p75", report.p75_ms), ("p90", report.p90_ms), ("p99", report.p99_ms)]
        values = [max(value, 1e-3) for _, value in points]
        axes.plot(values, [y] * 4, color=bar.colour, linewidth=7, solid_capstyle="round", alpha=0.45)
        axes.plot(values, [y] * 4, "o", color=bar.colour, markersize=12)
        for (name, value), x, side in ((points[0], values[0], "right"), (points[3], values[3], "left")):
            axes.annotate(f"{name} {three(value)} ms", (x, y), (-14 if side == "right" else 14, 0),
                          textcoords="offset points", ha=side, va="center", fontsize=17, color=INK)
    axes.set_xscale("log")
    low = min(max(bar.report.p50_ms, 1e-3) for bar in bars)
    high = max(max(bar.report.p99_ms, 1e-3) for bar in bars)
    room = (high / low) ** 0.45 if high > low * 10 else 6.0
    axes.set_xlim(low / room, high * room)
    axes.set_ylim(-0.6, len(bars) - 0.4)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} ms")
    axes.grid(axis="x", color="#dddddd")
    axes.set_axisbelow(True)
    axes.set_xlabel("latency, log scale; dots: p50, p75, p90, p99 (wrk-corrected)")
    fair = [bar for bar in bars if not bar.starved]
    if not fair:
        return "Every row starved connections: no latency to compare"
    best = min(fair, key=lambda bar: bar.report.p99_ms)
    return f"Lowest p99: {best.label}, {three(best.report.p99_ms)} ms"


def _bars(axes: Axes, bars: list[Bar], values: list[float], texts: list[str]) -> None:
    top = max([*values, 1e-9])
    for y, text in enumerate(texts):
        axes.text(values[y] + top * 0.012, y, text, va="center", fontsize=19, color=INK)
    axes.set_xlim(0, top * 1.42)
    axes.spines["bottom"].set_visible(False)
    axes.set_xticks([])


def _throughput(axes: Axes, bars: list[Bar]) -> str:
    values = [bar.report.requests_per_s for bar in bars]
    axes.barh(range(len(bars)), values, color=[bar.colour for bar in bars], height=0.62)
    errors = [f", {bar.report.errors:,} errors" if bar.report.errors else "" for bar in bars]
    _bars(axes, bars, values, [f"{value:,.0f}/s{error}" for value, error in zip(values, errors, strict=True)])
    fair = [bar for bar in bars if not bar.starved]
    if not fair:
        return "Every row starved connections: no throughput to compare"
    best = max(fair, key=lambda bar: bar.report.requests_per_s)
    return f"Most requests a second: {best.label}, {best.report.requests_per_s:,.0f}"


def _cpu(axes: Axes, bars: list[Bar]) -> str:
    user = [bar.audit.user_us for bar in bars]
    system = [bar.audit.system_us for bar in bars]
    total = [a + b for a, b in zip(user, system, strict=True)]
    axes.barh(range(len(bars)), user, color=[bar.colour for bar in bars], height=0.62)
    axes.barh(range(len(bars)), system, left=user, color=_SYSTEM, height=0.62)
    _bars(axes, bars, total, [f"{bar.audit.cpu_us:.1f} µs = {bar.audit.user_us:.2f} user\n"
                              f"+ {bar.audit.system_us:.1f} system" for bar in bars])
    axes.set_xlabel("CPU time per request: dark, the server's own code (user); yellow, the kernel (system)")
    fair = [bar for bar in bars if not bar.starved]
    if not fair:
        return "What does a request cost? Every row starved connections"
    best = min(fair, key=lambda bar: bar.audit.cpu_us)
    return f"Cheapest request: {best.label}, {best.audit.cpu_us:.1f} µs of CPU"
