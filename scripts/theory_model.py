"""What queues say of a run, and what is made of the difference: predictions, verdicts and reasons. Pure.

Times are microseconds. A prediction comes from duel-sim: independent replications of a run as long as the measured
one, so that it also says how far a single run strays by chance.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from scripts.campaign.taints import OTHERS_MOST, STEAL_MOST
from scripts.summary import median_interval

MEASURES = ("mean", "p99")
# Near saturation a mean time is S / (1 - load): 3 % of S is 15 % of it at load 0.8, and what a shared CPU adds to a
# request is of that size. p99 errs as much for the same reason, and by chance besides.
LIMITS = {"mean": 0.15, "p99": 0.25}
FULL = 0.95  # from this load on a queue is far from steady in a run of seconds
_BEYOND = (0.5, 0.1, 0.01, 0.001)  # the shares above p50, p90, p99 and p99.9
_NAMES = ("p50", "p90", "p99", "p999")
_P99 = 2
_MEDIAN = math.sqrt(math.pi / 2)  # how much further than a mean a median strays


@dataclass(frozen=True)
class Estimate:
    """`half`: of the 95 % interval of `value`. `spread`: the standard deviation of a single run."""

    value: float
    half: float
    spread: float

    def later(self, by: float) -> Estimate:
        return replace(self, value=self.value + by)


@dataclass(frozen=True)
class Predicted:
    mean: Estimate
    quantiles: tuple[Estimate, ...]  # p50, p90, p99, p99.9

    def of(self, measure: str) -> Estimate:
        return self.mean if measure == "mean" else self.quantiles[_P99]

    def later(self, by: float) -> Predicted:
        """With a delay that occupies no server."""
        return Predicted(self.mean.later(by), tuple(each.later(by) for each in self.quantiles))


def student(degrees: int) -> float:
    """The 97.5 % point, good to a percent from 5 degrees of freedom on."""
    return 1.959964 + 2.3723 / degrees + 2.8225 / degrees**2


def read(document: dict[str, Any]) -> list[Predicted]:
    """The rows of duel-sim's JSON."""
    runs = document["replications"]
    by_half = math.sqrt(runs) / student(runs - 1)

    def estimate(found: dict[str, float]) -> Estimate:
        half = found["high"] - found["value"]
        return Estimate(found["value"], half, half * by_half)

    return [Predicted(estimate(row["results"]["mean"]), tuple(estimate(row["results"][name]) for name in _NAMES))
            for row in document["rows"]]


def beyond(part: Predicted, time: float) -> float:
    """The share of responses that take longer: the quantiles, with straight lines on a log scale between them, which
    is exact for exponential ones."""
    knots = [(0.0, 0.0), *((each.value, math.log(share)) for each, share in zip(part.quantiles, _BEYOND, strict=True))]
    for (left, above), (right, below) in zip(knots, knots[1:], strict=False):
        if time <= right and right > left:
            return math.exp(above + (below - above) * (time - left) / (right - left))
    (left, above), (right, below) = knots[-2:]
    return math.exp(below + (below - above) * (time - right) / max(right - left, 1e-9))


def mixture(parts: Sequence[tuple[float, Predicted]]) -> Predicted:
    """Of queues side by side that have these shares of the requests."""
    whole = sum(share for share, _ in parts)
    parts = [(share / whole, each) for share, each in parts if share > 0]

    def joined(value: float, of: Sequence[Estimate]) -> Estimate:
        shares = [share for share, _ in parts]
        return Estimate(value, math.hypot(*(share * each.half for share, each in zip(shares, of, strict=True))),
                        math.hypot(*(share * each.spread for share, each in zip(shares, of, strict=True))))

    def quantile(index: int) -> Estimate:
        of = [each.quantiles[index] for _, each in parts]
        low, high = min(each.value for each in of), max(each.value for each in of)
        for _ in range(60):
            middle = (low + high) / 2
            is_short = sum(share * beyond(each, middle) for share, each in parts) > _BEYOND[index]
            low, high = (middle, high) if is_short else (low, middle)
        return joined(high, of)

    mean = sum(share * each.mean.value for share, each in parts)
    return Predicted(joined(mean, [each.mean for _, each in parts]), tuple(map(quantile, range(len(_BEYOND)))))


def compared(measured: Sequence[float], predicted: Sequence[Estimate], measure: str) -> dict[str, Any]:
    """Run by run, each with the prediction for what it was asked. The interval is that of the median ratio, or the
    least and the largest where there are too few runs for one. `chance`: one standard deviation of the ratio, if the
    prediction is right."""
    if not measured:
        return {"measure": measure, "n": 0, "measured_us": None, "predicted_us": None, "ratio": None, "interval": None,
                "coverage": None, "chance": None, "verdict": "not measured"}
    ratios = [a / b.value for a, b in zip(measured, predicted, strict=True)]
    ratio, bounds, n = statistics.median(ratios), median_interval(ratios), len(ratios)
    spread = statistics.fmean(each.spread / each.value for each in predicted)
    return {"measure": measure, "n": n, "measured_us": statistics.median(measured), "predicted_us": {
                "value": statistics.median(each.value for each in predicted),
                "half": max(each.half for each in predicted)}, "ratio": ratio,
            "interval": [bounds.low, bounds.high] if bounds else [min(ratios), max(ratios)],
            "coverage": bounds and bounds.coverage,
            "chance": spread * (_MEDIAN if n > 2 else 1) / math.sqrt(n),
            "verdict": "within" if abs(ratio - 1) <= LIMITS[measure] else "outside"}


@dataclass(frozen=True)
class Facts:
    """What was seen of the runs of a row at a point, apart from their latencies. Medians, where nothing else is said.

    service_us: how long a request kept the server from sleeping, None where that is unknown; of which waiting_us for a
    CPU and stolen_us for the hypervisor; expected_us: what the prediction took for it."""

    spoiled: tuple[str, ...] = ()  # the taints of the runs that were left out, with their number
    service_us: float | None = None
    waiting_us: float = 0.0
    stolen_us: float = 0.0
    expected_us: float = 0.0
    explained: float | None = None  # the ratio to the prediction with each run's own service_us
    busiest: float = 0.0  # the highest load of a shard in any run
    steal: float = 0.0
    other_work: float = 0.0


def reasons(found: dict[str, Any], facts: Facts, others: dict[str, tuple[float, float | None]],
            apart: float | None = None) -> list[str]:
    """Why a ratio may be outside, each from data; empty when it is within. `others`: the ratios of the same runs to
    other theories, and to these given what requests took. `apart`: that to queues that share nothing."""
    measure, ratio = found["measure"], found["ratio"]
    left_out = [f"left out: {', '.join(facts.spoiled)}"] if facts.spoiled else []
    if found["verdict"] == "within" or ratio is None:
        return left_out if ratio is None else []
    limit, why = LIMITS[measure], left_out
    if abs(ratio - 1) - limit <= 2 * found["chance"]:
        why.append(f"chance: {found['n']} runs of this length stray by ±{2 * found['chance']:.0%}")
    if facts.busiest >= FULL:
        why.append(f"shares: a shard had a load of {facts.busiest:.2f}")
    took = facts.explained
    if took is not None and facts.service_us is not None and (
            abs(took - 1) <= limit or abs(took - 1) < abs(ratio - 1) / 2):
        said = "with that" if abs(took - 1) <= limit else "with that still"
        stolen = f" and {facts.stolen_us:,.0f} the hypervisor's" if facts.stolen_us >= 1 else ""
        why.append(f"time: a request took {facts.service_us:,.0f} µs, {facts.waiting_us:,.0f} of them waiting for a "
                   f"CPU{stolen}, {facts.expected_us:,.0f} predicted; {said} x{took:.2f}")
    if facts.steal > STEAL_MOST:
        why.append(f"host: the hypervisor took {facts.steal:.1%} of the CPU time")
    if facts.other_work > OTHERS_MOST:
        why.append(f"host: other processes took {facts.other_work:.0%} of the CPUs")
    for name, (other, given) in others.items():
        if abs(other - 1) <= limit:
            why.append(f"policy: {name} says x{other:.2f} of the same runs")
        elif given is not None and abs(given - 1) <= limit:
            why.append(f"policy: {name}, given what requests took, says x{given:.2f} of the same runs")
    if apart is not None and ratio > 1 > apart and not why:
        why.append(f"policy: the row lies between this and queues that share nothing (x{apart:.2f} of those)")
    took_what = "what requests took" if facts.service_us is not None else "what requests took (not known)"
    return why or [f"unexplained: not by lateness, chance, shares, {took_what}, or the host"]
