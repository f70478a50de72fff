"""Two rows of a campaign compared: is b higher than a, by what ratio, and how sure is that?

The data are pairs, one a block; all that counts is log(b / a) within a block, so what the two share
(a slow hour, a warm CPU) cancels. Two exact tests must both reject, and the interval spans both of theirs:

- signed-rank (Wilcoxon): exact where the log ratios lie symmetrically about the effect. They do when
  a and b would be exchangeable but for a constant factor; and, whatever the noise or its drift, when a
  fair coin chose which of the two ran first in each block, for then the coin is what makes the signs;
- sign: exact for the median ratio without symmetry, as when only one row has slow runs. It needs
  blocks that are independent, or that coin.

So false claims are at most 1 - confidence under either reading. Where both hold they are fewer (1 to 3 % for
95 %); the price is an interval 1.4 times as wide as signed-rank's alone at 10 blocks of normal noise, 1.25
times at 20. What no test here can see: an order that was fixed (drift within a block becomes an effect) and,
with a fixed order, noise that lasts over several blocks in one row only (the blocks are fewer than they look).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from statistics import NormalDist
from typing import Any

import numpy as np

from scripts.summary import Interval, fewest, holm, plain, sign_depth, tail

MOST_BLOCKS = 2000  # the pairwise means are n^2 / 2
_MOST_EXACT = 300  # blocks; beyond, the normal approximation, to the safe side
_MOST_SIMULATED = 100
_ROUNDING = 1e-12  # log ratios closer than this are equal: b = 1.03 a holds to the last bits only

METHODS = {
    "median": "order statistics, exact binomial coverage",
    "ratio": "Hodges-Lehmann: median of the pairwise means of log(b/a) within a block",
    "interval": "spans the exact signed-rank interval and the exact sign interval of log(b/a)",
    "p": "the larger of the two-sided exact signed-rank and sign tests; p and interval always agree",
    "minimum_detectable_effect": "shift that this test shows in 80 % of samples drawn from these log ratios, "
                                 "centred and mirrored",
}


@cache
def _signed_rank_tails(n: int) -> np.ndarray:
    """P(T <= t) for every t, where T is the sum of those ranks 1..n whose fair coin came up heads."""
    chances = np.zeros(n * (n + 1) // 2 + 1)
    chances[0] = 1.0
    for rank in range(1, n + 1):
        shifted = np.zeros_like(chances)
        shifted[rank:] = chances[:-rank]
        chances = (chances + shifted) / 2
    return np.cumsum(chances)


def _normal_scale(n: int) -> tuple[float, float]:
    """Centre and deviation of T. The centre is moved by half a step, for continuity, and by more than the
    next term of the Edgeworth series, at most 0.087 sqrt(n) steps, could make up."""
    return n * (n + 1) / 4 - 0.5 - 0.1 * math.sqrt(n), math.sqrt(n * (n + 1) * (2 * n + 1) / 24)


def signed_rank_tail(n: int, most: int) -> float:
    """P(T <= most) when there is no effect."""
    if n <= _MOST_EXACT:
        return min(1.0, float(_signed_rank_tails(n)[most]))
    centre, deviation = _normal_scale(n)
    return math.erfc((centre - most) / (deviation * math.sqrt(2))) / 2


def signed_rank_depth(n: int, confidence: float) -> int | None:
    """How many pairwise means to leave out at each end; None: too few blocks."""
    outside = (1 - confidence) / 2 * (1 + 1e-9)
    if n <= _MOST_EXACT:
        depth = int(np.searchsorted(_signed_rank_tails(n), outside, side="right")) - 1
    else:
        centre, deviation = _normal_scale(n)
        depth = math.floor(NormalDist(centre, deviation).inv_cdf(outside))
    return depth if depth >= 0 else None


def pairwise_means(values: np.ndarray) -> np.ndarray:
    """Of each value with itself and with every later one (Walsh averages), along the last axis."""
    first, second = np.triu_indices(values.shape[-1])
    return (values[..., first] + values[..., second]) / 2


def log_bounds(log_ratios: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the interval of the log ratio; samples lie along the last axis and are large enough."""
    n = log_ratios.shape[-1]
    of_means, of_values = signed_rank_depth(n, confidence), sign_depth(n, confidence)
    assert of_means is not None
    assert of_values is not None
    low, high = np.inf, -np.inf
    for values, depth in ((pairwise_means(log_ratios), of_means), (log_ratios, of_values)):
        ordered = np.partition(values, (depth, values.shape[-1] - 1 - depth), axis=-1)
        low, high = np.minimum(low, ordered[..., depth]), np.maximum(high, ordered[..., -1 - depth])
    return low - _ROUNDING, high + _ROUNDING


def p_value(log_ratios: np.ndarray) -> float:
    """Two-sided. A tie counts for both sides: that keeps the level, and agrees with the closed interval."""
    def fewer(values: np.ndarray) -> int:
        return min(int(np.sum(values >= -_ROUNDING)), int(np.sum(values <= _ROUNDING)))

    n = len(log_ratios)
    return min(1.0, 2 * max(signed_rank_tail(n, fewer(pairwise_means(log_ratios))), tail(n, fewer(log_ratios))))


@dataclass(frozen=True)
class Comparison:
    """What the blocks say of b / a. `threshold`: a smaller effect does not matter (0.03: 3 %)."""

    log_ratios: tuple[float, ...]
    confidence: float
    threshold: float
    ratio: float
    interval: Interval | None  # None: too few blocks
    p: float
    p_adjusted: float | None = None  # after Holm, across a table

    @property
    def n(self) -> int:
        return len(self.log_ratios)

    @cached_property
    def minimum_detectable_effect(self) -> float | None:
        return minimum_detectable_effect(self.log_ratios, confidence=self.confidence)

    @property
    def shown(self) -> bool:
        """Whether there is a difference at all, however small."""
        p = self.p if self.p_adjusted is None else self.p_adjusted
        return self.interval is not None and p <= (1 - self.confidence) * (1 + 1e-9)

    @property
    def different(self) -> bool:
        return self.shown and max(self.ratio, 1 / self.ratio) >= 1 + self.threshold

    @property
    def verdict(self) -> str:
        side = "b is higher" if self.ratio > 1 else "b is lower"
        if self.interval is None:
            return "~ too few blocks"
        if self.different:
            return side
        if self.shown:
            return f"~ {side}, by less than the threshold of {plain(self.threshold)}"
        if self.threshold > 0 and max(self.interval.high, 1 / self.interval.low) < 1 + self.threshold:
            return f"~ the same within {plain(self.threshold)}"
        return "~ no difference shown"

    @property
    def warnings(self) -> list[str]:
        found, level = [], plain(self.confidence)
        values = np.array(self.log_ratios)
        if self.interval is None:
            least = fewest(self.confidence)
            found.append(f"n = {self.n} has no {level} interval without assumptions (measure at least {least} blocks)")
        elif sign_depth(self.n, self.confidence) == 0:
            found.append(f"with {self.n} blocks a difference shows only where all agree (measure 10 or more)")
        if self.n > 1 and np.ptp(values) < _ROUNDING:
            found.append("every block has the same ratio: measured values vary (are these measured?)")
        elif (echo := _echo(values)) > 2 / math.sqrt(self.n):
            found.append(f"neighbouring blocks are alike (lag-1 correlation {echo:.2f}): the interval holds only "
                         "if a coin chose the order within each block")
        smallest = self.minimum_detectable_effect
        if self.different and smallest is not None and max(self.ratio, 1 / self.ratio) < 1 + smallest:
            found.append("the ratio is nearer to 1 than the minimum detectable effect: likely overstated")
        return found

    def as_json(self) -> dict[str, Any]:
        bounds = self.interval
        return {"n": self.n, "confidence": self.confidence, "ratio_b_over_a": self.ratio,
                "interval": None if bounds is None else [bounds.low, bounds.high],
                "coverage_at_least": None if bounds is None else bounds.coverage,
                "p": self.p, "p_adjusted": self.p_adjusted, "threshold": self.threshold,
                "different": self.different, "verdict": self.verdict,
                "minimum_detectable_effect": self.minimum_detectable_effect, "warnings": self.warnings}

    def __str__(self) -> str:
        """A cell of a table, as scripts/effects.py writes them."""
        sign = "" if self.different else "~ "
        bounds = "" if self.interval is None else f" ({self.interval.low:.2f}..{self.interval.high:.2f})"
        return f"{sign}x{self.ratio:.2f}{bounds}"


def _echo(values: np.ndarray) -> float:
    """Lag-1 correlation; 0 for samples too small to have one worth telling."""
    around = values - values.mean()
    spread = float(around @ around)
    return float(around[1:] @ around[:-1]) / spread if len(values) >= 8 and spread > 0 else 0.0


def paired_comparison(a: Sequence[float], b: Sequence[float], confidence: float = 0.95,
                      threshold: float = 0.0) -> Comparison:
    """b against a, block by block: equally many values, all above 0, at most MOST_BLOCKS."""
    log_ratios = np.array([math.log(y) - math.log(x) for x, y in zip(a, b, strict=True)])
    depth = sign_depth(len(log_ratios), confidence)
    interval = None
    if depth is not None:
        low, high = log_bounds(log_ratios, confidence)
        interval = Interval(math.exp(low), math.exp(high), 1 - 2 * tail(len(log_ratios), depth))
    return Comparison(tuple(log_ratios.tolist()), confidence, threshold,
                      math.exp(np.median(pairwise_means(log_ratios))), interval, p_value(log_ratios))


def with_holm(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The comparisons of one table, each with its p value adjusted for there being several."""
    adjusted = holm([each.p for each in comparisons])
    return [replace(each, p_adjusted=p) for each, p in zip(comparisons, adjusted, strict=True)]


def minimum_detectable_effect(pilot: Sequence[float] | np.ndarray, n: int | None = None, confidence: float = 0.95,
                              power: float = 0.8) -> float | None:
    """The smallest effect (0.03: b / a = 1.03) that n blocks show with probability `power`.

    `pilot`: log ratios, best of an A/A control. A shift moves the interval with it, so the effect shows
    when it exceeds minus the lower end of the noise's interval: the answer is that figure's `power`
    quantile, over samples drawn from the pilot, centred, mirrored and widened by m / (m - 1) as a
    variance is. An estimate, no bound: small pilots vary. Beyond 100 blocks it falls with their root.
    None: n blocks show nothing, or the pilot has no spread to go by.
    """
    values = np.asarray(pilot, dtype=float)
    n = len(values) if n is None else n
    if len(values) < 2 or np.ptp(values) < _ROUNDING or sign_depth(n, confidence) is None:
        return None
    around = (values - np.median(pairwise_means(values))) * math.sqrt(len(values) / (len(values) - 1))
    drawn = min(n, _MOST_SIMULATED)
    if sign_depth(drawn, confidence) is None:
        return None
    samples = min(4000, 4_000_000 // (drawn * (drawn + 1) // 2))
    noise = np.random.default_rng(1).choice(np.concatenate([around, -around]), (samples, drawn))
    low, _ = log_bounds(noise, confidence)
    shift = max(0.0, float(np.quantile(-low, power, method="higher")) - _ROUNDING)
    return math.expm1(shift * math.sqrt(drawn / n))


@dataclass(frozen=True)
class Gate:
    passed: bool
    words: str


def noise_gate(control: Comparison, claimed: float) -> Gate:
    """Whether this machine can carry a claim of ratio `claimed`. `control`: the A/A rows of its campaign,
    whose interval must hold 1 and be narrower than the claimed effect."""
    effect, bounds, smallest = max(claimed, 1 / claimed) - 1, control.interval, control.minimum_detectable_effect
    if bounds is None:
        return Gate(False, f"machine not known: n = {control.n} of the A/A control has no interval")
    seen = f"two identical rows differ by x{control.ratio:.3f} ({bounds.low:.3f}..{bounds.high:.3f})"
    if 1 not in bounds:
        return Gate(False, f"machine not steady: {seen}, and that interval should hold 1")
    # Never a figure smaller than the control's own interval: such an effect would be refused too.
    least = max(bounds.high / bounds.low - 1, smallest or 0.0)
    if effect < least:
        return Gate(False, f"machine too noisy for {plain(effect)}: minimum detectable effect {plain(least)}; {seen}")
    return Gate(True, f"{seen}; minimum detectable effect {plain(least)}")
