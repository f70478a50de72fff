"""A sample in three figures: its median, and bounds that hold whatever its distribution.

The bounds are order statistics. A value lies below the median with probability one half, so how many
do is binomial, and the coverage is exact; ties only raise it. What it needs: independent values.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    low: float
    high: float
    coverage: float  # the probability that it holds the true value, at least

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


def tail(n: int, most: int) -> float:
    """P(at most `most` heads of `n` fair coins)."""
    term, total = 1, 0
    for heads in range(min(most, n) + 1):
        total += term
        term = term * (n - heads) // (heads + 1)
    return total / (1 << n)


def sign_depth(n: int, confidence: float) -> int | None:
    """How many values to leave out at each end, so that the rest holds the median; None: too few."""
    outside = (1 - confidence) / 2 * (1 + 1e-9)  # 1 - 0.9375 is a little less than 0.0625
    term, total, depth = 1, 0, None
    for heads in range(n // 2 + 1):
        total += term
        if total / (1 << n) > outside:
            break
        depth = heads
        term = term * (n - heads) // (heads + 1)
    return depth


def fewest(confidence: float) -> int:
    """The smallest sample that has an interval without assumptions: 6 for 95 %."""
    return next(n for n in range(1, 2000) if sign_depth(n, confidence) is not None)


def median_interval(samples: Sequence[float], confidence: float = 0.95) -> Interval | None:
    """The tightest pair of order statistics that holds the median; None when there are too few."""
    depth = sign_depth(len(samples), confidence)
    if depth is None:
        return None
    ordered = sorted(samples)
    return Interval(ordered[depth], ordered[-1 - depth], 1 - 2 * tail(len(samples), depth))


def described(samples: Sequence[float], confidence: float = 0.95) -> dict[str, object]:
    """Median and interval, as results state them."""
    bounds = median_interval(samples, confidence)
    return {"median": statistics.median(samples),
            "interval": None if bounds is None else [bounds.low, bounds.high],
            "coverage": None if bounds is None else bounds.coverage}


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values, in the order given: claiming what is at most alpha is wrong anywhere in the
    table with probability at most alpha, however the rows depend on each other."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, so_far = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        so_far = max(so_far, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = so_far
    return adjusted


def plain(fraction: float) -> str:
    """0.0312 as `3.12 %`, 0.95 as `95 %`."""
    percent = fraction * 100
    return f"{percent:,.0f} %" if percent >= 1000 else f"{percent:.{3 if percent < 90 else 4}g} %"
