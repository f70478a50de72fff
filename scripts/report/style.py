"""The look of all figures: one colour, marker and dash a row, the same in every figure; no legend to look up.

The colours keep their distance for colour-blind readers too (tests/scripts/report_style_test.py), and dark
enough for text on white; marker and dash say the same a second time.
"""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts import plots
from scripts.report.model import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALETTE = ("#0a5fb4", "#d04a00", "#00795a", "#a3317f", "#4a2b00", "#3f3f3f", "#1f8fd0", "#6b3fd4")
GREY, GRID, BAND = "#8a8a8a", "#dddddd", "#555555"
_MARKERS, _DASHES = "osD^v<>h", ("-", (0, (6, 2)), (0, (2, 1.4)), (0, (7, 2, 1.5, 2)))
_MOST_LETTERS = 26
SMALL = 16


@dataclass(frozen=True)
class Style:
    colour: str
    marker: str
    dash: str | tuple[int, tuple[float, ...]]


def styles(result: Result) -> dict[str, Style]:
    """By row. The control row is grey: it is there for the noise, not for itself."""
    found: dict[str, Style] = {}
    others = [row.name for row in result.rows if row.control_of is None]
    for index, name in enumerate(others):
        turn = index // len(PALETTE)
        found[name] = Style(PALETTE[index % len(PALETTE)], _MARKERS[index % len(_MARKERS)],
                            _DASHES[turn % len(_DASHES)])
    return found | {row.name: Style(GREY, "p", (0, (2, 1.4))) for row in result.rows if row.control_of is not None}


def prepare() -> None:
    """A row may be called $x$: no text is a formula."""
    import matplotlib

    plots.prepare()
    matplotlib.rcParams.update({"text.parse_math": False, "legend.frameon": False, "path.simplify": True})


def short(name: str) -> str:
    """A name as it fits beside a mark."""
    return name if len(name) <= _MOST_LETTERS else name[:_MOST_LETTERS - 1] + "…"


def log_ticks(axis) -> None:
    """Makes the axis a log one of plain figures; as many ticks as fit what has been drawn."""
    from matplotlib.ticker import LogLocator, NullLocator
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    low, high = sorted(axis.get_view_interval())
    span = high / low
    subs = (1.0,) if span > 1e4 else (1.0, 2.0, 5.0) if span > 5 else (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)
    axis.set_major_locator(LogLocator(10, subs, numticks=40))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(lambda value, _: f"{value:g}")


def sentence(name: str) -> str:
    """With a capital, unless it is a percentile."""
    return name if name[:1] == "p" and name[1:2].isdigit() else name[:1].upper() + name[1:]


def title(axes: Axes, text: str) -> None:
    axes.set_title(text, pad=16, x=0, wrap=True)


def grid(axes: Axes, axis: str = "both") -> None:
    axes.grid(axis=axis, color=GRID)
    axes.set_axisbelow(True)


def names_at_ends(axes: Axes, ends: list[tuple[float, str, str]]) -> None:
    """(last value, name, colour): names right of the axes, moved apart where they would cover each other."""
    to_axes = axes.transData + axes.transAxes.inverted()
    x = axes.get_xlim()[1]
    placed = sorted((min(1.0, max(0.0, float(to_axes.transform((x, value))[1]))), name, colour)
                    for value, name, colour in ends)
    gap, heights = min(0.07, 1.0 / max(1, len(placed))), []
    for height, _, _ in placed:
        heights.append(max(height, heights[-1] + gap) if heights else height)
    over = max(0.0, heights[-1] - 1.0) if heights else 0.0
    for index in reversed(range(len(heights))):  # down again, from the top, as far as needed
        heights[index] = min(heights[index], 1.0 - gap * (len(heights) - 1 - index)) if over else heights[index]
    for height, (_, name, colour) in zip(heights, placed, strict=True):
        axes.annotate(short(name), (1.0, height), (10, 0), xycoords="axes fraction", textcoords="offset points",
                      va="center", fontsize=SMALL, color=colour, annotation_clip=False)


def rows_down(axes: Axes, names: list[str], colours: list[str]) -> None:
    """One row of a table a line, the first on top."""
    axes.set_yticks(range(len(names)), [short(name) for name in names])
    for tick, colour in zip(axes.get_yticklabels(), colours, strict=True):
        tick.set_color(colour)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)


_PROLOGUE = re.compile(r"\A.*?(?=<svg\b)", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_STYLE = re.compile(r"\s*<style\b.*?</style>", re.DOTALL)
_COMMENT = re.compile(r"\s*<!--.*?-->", re.DOTALL)
_NAMESPACE = re.compile(r'\s+xmlns(?::\w+)?="[^"]*"')


def inline_svg(figure: Figure, name: str, label: str) -> str:
    """As it stands in a page: no namespace or metadata to fetch, ids that no other figure has, a name for readers
    that do not see it. `label` is escaped already."""
    written = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a name may hold letters that the font lacks
        figure.savefig(written, format="svg", metadata={"Date": None})
    text = written.getvalue().decode()
    for useless in (_PROLOGUE, _METADATA, _STYLE, _COMMENT, _NAMESPACE):
        text = useless.sub("", text)
    text = text.replace("xlink:href=", "href=")
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\1{name}-", text)
    text = re.sub(r'(<svg\b[^>]*?)\s+height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg\b[^>]*?)\s+width="[^"]*"', r"\1", text, count=1)
    return re.sub(r"<svg\b", f'<svg role="img" aria-label="{label}"', text, count=1).strip()
