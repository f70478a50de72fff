"""What one change did: ratios within a repeat, with their range over the repeats.

A ratio is taken between two rows of the same repeat, so that drift cancels. `~` marks a range that
contains 1: no difference is shown. One repeat has no range and shows nothing.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Any

from scripts.scenarios import Scenario

Runs = dict[str, list[dict[str, Any]]]  # row name -> figures of each repeat, at one point

MEASURES = {"requests_per_s": "req/s", "cpu_us": "CPU µs a request", "p99_ms": "p99"}


@dataclass(frozen=True)
class Effect:
    """A ratio over the repeats; None when there is nothing to divide."""

    ratios: list[float]

    @property
    def median(self) -> float | None:
        return statistics.median(self.ratios) if self.ratios else None

    @property
    def shown(self) -> bool:
        """Whether the repeats agree on which side of 1 it lies."""
        return len(self.ratios) > 1 and (min(self.ratios) > 1 or max(self.ratios) < 1)

    def __str__(self) -> str:
        if not self.ratios:
            return "—"
        if len(self.ratios) == 1:
            return f"x{self.ratios[0]:.2f}"
        sign = "" if self.shown else "~ "
        return f"{sign}x{self.median:.2f} ({min(self.ratios):.2f}..{max(self.ratios):.2f})"

    def as_json(self) -> dict[str, Any]:
        return {"ratios": self.ratios, "median": self.median, "shown": self.shown}


def between(runs: Runs, row: str, against: str, measure: str) -> Effect:
    """`row` / `against`, repeat by repeat."""
    pairs = zip(runs[row], runs[against], strict=True)
    return Effect([a[measure] / b[measure] for a, b in pairs if a.get(measure) and b.get(measure)])


@dataclass(frozen=True)
class Matrix:
    """The 2x2 of one measure. Main effects are geometric means; 1.00 is no effect."""

    by_scheduler: dict[str, Effect]  # driver -> second scheduler / first
    by_driver: dict[str, Effect]  # scheduler -> second driver / first
    scheduler: Effect
    driver: Effect
    interaction: Effect  # the driver's effect under the second scheduler / under the first


def axes(scenario: Scenario) -> tuple[list[str], list[str]]:
    """Schedulers and drivers of a matrix, in the order of its rows."""
    rows = scenario.rows
    return list(dict.fromkeys(row.model for row in rows)), list(dict.fromkeys(row.driver for row in rows))


def corner(scenario: Scenario, model: str, driver: str) -> str:
    return next(row.name for row in scenario.rows if (row.model, row.driver) == (model, driver))


def matrix(scenario: Scenario, runs: Runs, measure: str) -> Matrix:
    models, drivers = axes(scenario)
    name = {(m, d): corner(scenario, m, d) for m in models for d in drivers}
    cells = {place: [run.get(measure) or math.nan for run in runs[row]] for place, row in name.items()}

    def over(top: tuple[str, str], bottom: tuple[str, str]) -> list[float]:
        return [a / b for a, b in zip(cells[top], cells[bottom], strict=True)]

    def effect(ratios: list[float]) -> Effect:
        return Effect([each for each in ratios if not math.isnan(each)])

    (first, second), (low, high) = models, drivers
    schedulers = {d: over((second, d), (first, d)) for d in drivers}
    interfaces = {m: over((m, high), (m, low)) for m in models}
    pair = list(zip(*schedulers.values(), strict=True)), list(zip(*interfaces.values(), strict=True))
    return Matrix({d: effect(each) for d, each in schedulers.items()},
                  {m: effect(each) for m, each in interfaces.items()},
                  effect([math.sqrt(a * b) for a, b in pair[0]]), effect([math.sqrt(a * b) for a, b in pair[1]]),
                  effect([b / a for a, b in pair[1]]))
