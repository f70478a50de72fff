"""A result as the report sees it, whatever kind it was: rows, points, runs, and what was found.

Times are microseconds. A figure that was not measured is absent, never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.tables import Table

if TYPE_CHECKING:
    from scripts.report.figures import Drawn

BLANK = "—"


@dataclass(frozen=True)
class Measure:
    name: str  # in a sentence
    head: str  # of a column, with its unit
    axis: str
    unit: str
    scale: float = 1.0  # shown = stored x scale

    def text(self, value: float | None) -> str:
        """Three significant figures, or whole numbers above 100."""
        if value is None:
            return BLANK
        shown = value * self.scale
        return f"{shown:,.0f}" if abs(shown) >= 100 else f"{shown:.3g}"


MEASURES = {
    "requests_per_s": Measure("requests a second", "req/s", "requests a second", "/s"),
    "cpu_us_total": Measure("CPU time a request", "CPU µs", "CPU time a request, µs", " µs"),
    "p50_us": Measure("median latency", "p50 ms", "p50, ms", " ms", 1e-3),
    "p99_us": Measure("p99", "p99 ms", "p99, ms", " ms", 1e-3),
    "p99_9_us": Measure("p99.9", "p99.9 ms", "p99.9, ms", " ms", 1e-3),
    "switches_per_1000": Measure("context switches per 1,000 requests", "switches /1,000",
                                 "context switches per 1,000 requests", ""),
}


@dataclass(frozen=True)
class Row:
    """A server as set up. `control_of`: the row that this one repeats, to show the noise."""

    name: str
    model: str
    driver: str
    switches: str = ""
    changes: str = ""
    control_of: str | None = None


@dataclass(frozen=True)
class Point:
    """A load. `rate`: offered, in an open loop; `of_peak`: as a share of the peak of the closed loop."""

    name: str
    is_open: bool = False
    rate: float | None = None
    of_peak: float | None = None


@dataclass(frozen=True)
class Run:
    """One server start. `clocks`: intended, sent or wrk; each its mean and percentiles."""

    number: int
    block: int
    row: str
    point: str
    figures: dict[str, float]
    clocks: dict[str, dict[str, float]]
    errors: dict[str, int]
    halves: tuple[dict[str, float], dict[str, float]] | None
    connections_per_worker: list[int]
    taints: list[str]
    server_argv: list[str]
    load_argv: list[str]
    ready_line: str
    file: Path | None = None

    @property
    def failed(self) -> int:
        return sum(self.errors.values())


@dataclass(frozen=True)
class Summary:
    n: int
    median: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Compared:
    """`row` / `against`, block by block. `bounds`: an interval where `is_interval`, else the least and the largest.
    `doubt`: why this machine cannot carry it, if so; `least`: the smallest effect that shows there, of a control."""

    row: str
    against: str
    point: str
    measure: str
    n: int
    ratio: float
    bounds: tuple[float, float] | None
    is_interval: bool
    p_holm: float | None
    different: bool
    doubt: str = ""
    least: float | None = None

    def __str__(self) -> str:
        bounds = "" if self.bounds is None else f" ({self.bounds[0]:.2f}..{self.bounds[1]:.2f})"
        return f"{'~ ' if not self.different else '? ' if self.doubt else ''}x{self.ratio:.2f}{bounds}"


@dataclass(frozen=True)
class Control:
    """Two rows that are the same: what lies between them is noise."""

    row: str
    of: str
    results: list[Compared]
    minimum_detectable: dict[str, float]
    verdict: str
    is_steady: bool | None

    def least(self, measure: str, point: str) -> float | None:
        """The smallest effect that shows at a point; where that is not told, the worst of all points."""
        told = next((each.least for each in self.results if (each.measure, each.point) == (measure, point)), None)
        return self.minimum_detectable.get(measure) if told is None else told


@dataclass(frozen=True)
class Part:
    """A titled piece of the section Tables: a table with notes, or notes alone."""

    title: str
    table: Table | None
    lines: list[str]


@dataclass(frozen=True)
class Told:
    """The findings of a result that holds rows against predictions: its own sentences, tables and figures."""

    finding: str
    details: list[str]
    parts: list[Part]
    painters: dict[str, Callable[[Result], Iterator[Drawn]]]


@dataclass
class Result:
    """`notes`: what a reader of the figures must know of the files they came from."""

    folder: Path
    name: str
    kind: str
    began: str
    ended: str
    scenario: dict[str, Any]
    settings: dict[str, Any]
    rows: list[Row]
    points: list[Point]
    runs: list[Run]
    summaries: dict[tuple[str, str, str], Summary]
    comparisons: list[Compared]
    control: Control | None
    taints: list[str]
    machine: dict[str, Any] | None
    reproduce: str
    schema_version: int = 1
    told: Told | None = None  # in place of summaries and comparisons
    beside: list[Result] = field(default_factory=list)  # results of wrk in the same folder
    notes: list[str] = field(default_factory=list)
    histograms: dict[Path, dict[str, Any]] = field(default_factory=dict)  # read when a figure asks for them
    unread: list[str] = field(default_factory=list)  # runs whose histograms could not be

    @property
    def by_wrk(self) -> bool:
        return self.kind in ("scenario", "table")

    @cached_property
    def blocks(self) -> int:
        return len({run.block for run in self.runs})

    @cached_property
    def _placed(self) -> dict[tuple[str, str], list[Run]]:
        placed: dict[tuple[str, str], list[Run]] = {}
        for run in sorted(self.runs, key=lambda run: run.block):
            placed.setdefault((run.row, run.point), []).append(run)
        return placed

    def at(self, row: str, point: str) -> list[Run]:
        return self._placed.get((row, point), [])

    def summary(self, row: str, point: str, measure: str) -> Summary | None:
        return self.summaries.get((row, point, measure))

    @property
    def closed(self) -> list[Point]:
        return [point for point in self.points if not point.is_open]

    @property
    def open(self) -> list[Point]:
        """By rising rate."""
        return sorted((point for point in self.points if point.rate is not None), key=lambda point: point.rate or 0.0)

    def busy(self, share: float = 0.8) -> Point | None:
        """The open point whose rate is nearest to `share` of the peak."""
        top = max((point.rate or 0.0 for point in self.open), default=0.0)
        known = {point: (point.rate or 0.0) / top if point.of_peak is None else point.of_peak
                 for point in self.open} if top else {}
        return min(known, key=lambda point: abs(known[point] - share), default=None)
