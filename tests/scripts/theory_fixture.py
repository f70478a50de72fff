"""What duel-sim would say, if every queue were an M/M/1."""

from __future__ import annotations

import math

from scripts import theory_model
from scripts.theory_model import Estimate, Predicted


def exponential(mean: float, spread: float = 0.0) -> Predicted:
    def estimate(value: float) -> Estimate:
        return Estimate(value, value / 100, value * spread)

    return Predicted(estimate(mean), tuple(estimate(-math.log(share) * mean) for share in (0.5, 0.1, 0.01, 0.001)))


def simulated(flags: list[str], spread: float = 0.02) -> dict:
    """Its JSON, each queue with its cores' share of the rate."""
    given = dict(zip(flags[::2], flags[1::2], strict=False))
    service = 1000.0 + float(given["--request-cost"])
    half = spread * theory_model.student(39) / math.sqrt(40)

    def row(rate: float) -> dict:
        made = exponential(service / (1 - rate / int(given["--cores"]) * service / 1e6))
        found = {"mean": made.mean, **dict(zip(("p50", "p90", "p99", "p999"), made.quantiles, strict=True))}
        return {"results": {key: {"value": one.value, "low": one.value * (1 - half), "high": one.value * (1 + half)}
                            for key, one in found.items()}}

    return {"replications": 40, "rows": [row(float(each)) for each in given["--rate"].split(",")]}
