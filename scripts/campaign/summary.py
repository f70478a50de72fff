"""What the runs of a campaign say: medians, ratios within blocks, and how far this machine can be trusted.

Pure functions of the runs as result.json has them. The statistics are those of scripts/summary.py and
scripts/comparison.py; here is decided what is compared with what, and DESIGN.md says why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scripts.campaign import taints
from scripts.campaign.plan import CLOSED, CONTROL, Plan, Point, pairs
from scripts.comparison import Comparison, noise_gate, paired_comparison, with_holm
from scripts.summary import described, fewest, plain

MEASURES = {"requests_per_s": "req/s", "cpu_us_total": "CPU µs", "p50_us": "p50 µs", "p99_us": "p99 µs",
            "p99_9_us": "p99.9 µs", "switches_per_1000": "switches /1,000"}
CONFIDENCE, THRESHOLD = 0.95, 0.03
PRIMARY = "cpu_us_total", CLOSED  # the one statement of the control, chosen before any run
LEAST_BEYOND = 10  # requests beyond a percentile, or it is the luck of a few

Run = dict[str, Any]
Runs = dict[tuple[str, str], dict[int, Run]]  # (row, point) to block to run


def measures_at(point: Point) -> list[str]:
    """In an open loop what is achieved is what was offered, or the run is tainted."""
    return [each for each in MEASURES if each != "requests_per_s" or point.of_peak is None]


def value(run: Run, measure: str) -> float | None:
    """A run's figure; None where there is none, or none that means something."""
    if measure == "cpu_us_total":
        return (run["cpu_us"] or {}).get("total")
    if measure in ("requests_per_s", "switches_per_1000"):
        return run[measure]
    if taints.is_spoiled(run):
        return None
    name = measure.removesuffix("_us")
    latency = run["latency_intended_us"] if run["offered_per_s"] is not None else run["latency_sent_us"]
    beyond = latency["count"] * (1 - float(name[1:].replace("_", ".")) / 100)
    return latency[name] if beyond >= LEAST_BEYOND * (1 - 1e-9) else None


def by_place(runs: list[Run]) -> Runs:
    found: Runs = {}
    for run in runs:
        found.setdefault((run["row"], run["point"]), {})[run["block"]] = run
    return found


def summaries(plan: Plan, runs: Runs) -> list[dict[str, Any]]:
    """Medians over the blocks with their intervals; a place with no figure at all is left out."""
    found = []
    for row in plan.rows:
        for point in plan.points:
            for measure in measures_at(point):
                values = [each for run in runs.get((row.name, point.name), {}).values()
                          if (each := value(run, measure)) is not None]
                if not values:
                    continue
                said = described(values, CONFIDENCE)
                low, high = said["interval"] or (None, None)
                found.append({"row": row.name, "point": point.name, "measure": measure, "n": len(values),
                              "median": said["median"], "low": low, "high": high, "coverage": said["coverage"]})
    return found


@dataclass(frozen=True)
class Compared:
    """Two rows at a point in a measure."""

    row: str
    against: str
    point: str
    measure: str
    of: Comparison

    def as_json(self) -> dict[str, Any]:
        bounds = self.of.interval
        side = "higher" if self.of.ratio > 1 else "lower"
        return {"row": self.row, "against": self.against, "point": self.point, "measure": self.measure,
                "n": self.of.n, "ratio": self.of.ratio, "low": bounds and bounds.low, "high": bounds and bounds.high,
                "p": self.of.p, "p_holm": self.of.p_adjusted, "different": self.of.different,
                "verdict": side if self.of.different else "~"}


def _compared(runs: Runs, row: str, against: str, point: Point, measure: str) -> Compared | None:
    """Over the blocks in which both have a figure to divide."""
    a, b = ({block: each for block, run in runs.get((name, point.name), {}).items()
             if (each := value(run, measure)) is not None and each > 0} for name in (against, row))
    blocks = sorted(a.keys() & b.keys())
    if not blocks:
        return None
    return Compared(row, against, point.name, measure, paired_comparison(
        [a[block] for block in blocks], [b[block] for block in blocks], CONFIDENCE, THRESHOLD))


def _corrected(found: list[Compared], family: Callable[[Compared], object]) -> list[Compared]:
    """Holm, within each family."""
    families: dict[object, list[Compared]] = {}
    for each in found:
        families.setdefault(family(each), []).append(each)
    adjusted = {id(each): of for members in families.values()
                for each, of in zip(members, with_holm([each.of for each in members]), strict=True)}
    return [Compared(each.row, each.against, each.point, each.measure, adjusted[id(each)]) for each in found]


def comparisons(plan: Plan, runs: Runs) -> list[Compared]:
    """Of the scenario's rows. A table is one measure at all points and pairs: Holm goes across it."""
    found = [_compared(runs, row, against, point, measure) for row, against in pairs(plan.scenario)
             for point in plan.points for measure in measures_at(point)]
    return _corrected([each for each in found if each is not None], lambda each: each.measure)


def table_size(plan: Plan) -> int:
    """Comparisons in the largest table."""
    return len(pairs(plan.scenario)) * len(plan.points)


def blocks_needed(plan: Plan) -> int:
    """The fewest blocks with which one difference among the largest table's can be shown."""
    return fewest(1 - (1 - CONFIDENCE) / max(1, table_size(plan)))


@dataclass(frozen=True)
class Control:
    """Two identical rows. `results` carry one claim, that they are the same: Holm goes across all of them."""

    results: list[Compared]

    @property
    def primary(self) -> Comparison | None:
        return next((each.of for each in self.results if (each.measure, each.point) == PRIMARY), None)

    def at(self, measure: str, point: str) -> Comparison | None:
        return next((each.of for each in self.results if (each.measure, each.point) == (measure, point)), None)

    @property
    def is_steady(self) -> bool:
        """On the primary measure alone, which needs no correction, nor the others' luck."""
        alone = self.primary
        return alone is not None and not Comparison(alone.log_ratios, CONFIDENCE, THRESHOLD, alone.ratio,
                                                    alone.interval, alone.p).different

    @property
    def verdict(self) -> str:
        if self.primary is None:
            return "machine not known: the control has no figures"
        seen = f"two identical rows differ by x{self.primary.ratio:.3f} in CPU time a request, closed loop"
        if self.primary.interval is None:
            return f"machine not known: {seen}; fewer than {taints.FEWEST} blocks ({self.primary.n}) have no interval"
        bounds = f"{self.primary.interval.low:.3f}..{self.primary.interval.high:.3f}"
        return f"{'~' if self.is_steady else 'machine not steady:'} {seen} ({bounds})"

    def as_json(self, plan: Plan) -> dict[str, Any]:
        return {"row": CONTROL, "of": plan.control_of, "primary": {"measure": PRIMARY[0], "point": PRIMARY[1]},
                "steady": self.is_steady,
                "results": [{**each.as_json(), "minimum_detectable": each.of.minimum_detectable_effect}
                            for each in self.results],
                "minimum_detectable": self.minimum_detectable(), "verdict": self.verdict}

    def minimum_detectable(self) -> dict[str, float | None]:
        """By measure, the worst of the points; None where one of them is not known."""
        found: dict[str, float | None] = {}
        for each in self.results:
            here, worst = each.of.minimum_detectable_effect, found.get(each.measure, 0.0)
            found[each.measure] = None if here is None or worst is None else max(here, worst)
        return found


def control(plan: Plan, runs: Runs) -> Control:
    found = [_compared(runs, CONTROL, plan.control_of, point, measure)
             for point in plan.points for measure in measures_at(point)]
    return Control(_corrected([each for each in found if each is not None], lambda _: None))


def too_small(claims: list[Compared], of: Control) -> dict[int, str]:
    """What is claimed although this machine cannot carry it: index in `claims` to the words."""
    found = {}
    for index, each in enumerate(claims):
        noise = of.at(each.measure, each.point)
        if not each.of.different:
            continue
        gate = noise_gate(noise, each.of.ratio) if noise is not None else None
        if gate is None:
            found[index] = "machine not known: the control has no figures there"
        elif not gate.passed:
            found[index] = gate.words
    return found


def document(plan: Plan, runs: list[Run]) -> dict[str, Any]:
    """summaries, comparisons and control, as result.json has them."""
    placed = by_place(runs)
    claims, noise = comparisons(plan, placed), control(plan, placed)
    doubts = too_small(claims, noise)
    return {"summaries": summaries(plan, placed),
            "comparisons": [{**each.as_json(), "doubt": doubts.get(index)} for index, each in enumerate(claims)],
            "control": noise.as_json(plan)}


def power_note(plan: Plan) -> str | None:
    """Said before the first run: that so few blocks cannot show anything."""
    size, needed = table_size(plan), blocks_needed(plan)
    if size == 0 or plan.blocks >= needed:
        return None
    return (f"--blocks {plan.blocks} cannot show a difference at {plain(CONFIDENCE)} among {size} "
            f"comparison{'s' if size > 1 else ''} of a measure: it takes {needed}"
            f"{' (or fewer rows or --rates)' if size > 1 else ''}")
