"""All figures of a result, in the order of the page: each is drawn, or left out with the reason.

A painter is a function of the result that yields `Drawn`; where the data cannot support it, it raises
`Missing` with one sentence for the reader.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scripts import plots, results
from scripts.errors import UserError
from scripts.report import style
from scripts.report.model import Point, Result, Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_ROWS = 12  # more do not fit a slide at a size that can be read


class Missing(Exception):
    """Why a figure is not drawn."""


@dataclass(frozen=True)
class Drawn:
    """`name`: of its file; `title`: what kind of figure it is; `caption`: how to read it."""

    name: str
    title: str
    caption: str
    figure: Figure


@dataclass(frozen=True)
class LeftOut:
    title: str
    why: str


def painters(result: Result) -> dict[str, Callable[[Result], Iterator[Drawn]]]:
    if result.told is not None:
        return result.told.painters
    from scripts.report import curves, spreads
    return {"Latency against offered load": curves.hockey, "Percentiles": curves.percentiles,
            "wrk-corrected, raw and open loop": curves.overlay, "Over the swept values": curves.sweep,
            "CPU time a request": spreads.cpu, "CPU time against offered load": curves.cpu_by_load,
            "Every run a dot": spreads.dots, "Connections of each worker": spreads.strips,
            "First half against second": spreads.halves}


def draw(result: Result, tick: Callable[[str], None] = lambda _: None) -> Iterator[Drawn | LeftOut]:
    """`tick`: told what comes next."""
    style.prepare()
    for title, paint in painters(result).items():
        tick(title)
        try:
            if len(result.rows) > MOST_ROWS:
                raise Missing(f"{len(result.rows)} rows, at most {MOST_ROWS} can be told apart on a slide")
            yield from paint(result)
        except Missing as missing:
            yield LeftOut(title, str(missing))


def write(drawn: list[Drawn], folder: Path) -> None:
    """Each as .png and .svg."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph")
            for each in drawn:
                plots.save(each.figure, each.name, folder)
    except OSError as error:
        raise results.cannot_write(folder, error) from None
    except ValueError as error:  # a bitmap that is too large to be one
        raise UserError(f"cannot draw into {folder}: {error} (use the .svg of the page)") from None


# --- what painters share ---------------------------------------------------------------------------

def measured_rows(result: Result) -> list[Row]:
    """Without the control."""
    return [row for row in result.rows if row.control_of is None]


def main_point(result: Result) -> Point:
    """Where rows are held against each other: the closed loop; of a sweep, its end; else the busy open loop."""
    return result.closed[-1] if result.closed else result.busy() or result.points[-1]


def page(result: Result):
    """An empty figure with its origin at its foot."""
    load = "wrk" if result.by_wrk else "duel-load"
    settings = result.settings
    said = [f"{settings[key]:,} {word}" for key, word in (("connections", "connections"),)
            if isinstance(settings.get(key), int)]
    said += [f"{settings['duration_s']:g} s a run"] if isinstance(settings.get("duration_s"), (int, float)) else []
    blocks = f"{result.blocks} {'repeats' if result.by_wrk else 'blocks'}" if result.blocks > 1 else "one run a row"
    return plots.page(" · ".join([style.short(result.name), load, *said, blocks]))


def at(point: Point) -> str:
    """A point in a sentence."""
    if not point.is_open:
        return "in the closed loop" if point.name == "closed" else f"at {point.name}"
    return f"at {point.name} of the peak" if point.of_peak is not None else f"at {point.name}"


def slug(name: str) -> str:
    return "".join(each if each.isascii() and each.isalnum() else "-" for each in name.lower()).strip("-") or "row"
