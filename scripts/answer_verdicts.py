"""What the parts of an answer sheet say, as verdicts. Pure: documents in, verdicts out.

All verdicts of a page are one family: Holm goes across them, so that a page on which nothing differs claims
something in at most 5 % of cases. Intervals are each one's own.
"""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass
from typing import Any

from scripts.answer_regimes import MEASURES, PAIRS, STEALING, Question, Regime
from scripts.campaign import summary, taints
from scripts.campaign.plan import CONTROL
from scripts.comparison import Comparison, minimum_detectable_effect, paired_comparison, with_holm
from scripts.summary import fewest, plain

CONFIDENCE, THRESHOLD = summary.CONFIDENCE, summary.THRESHOLD
USUAL_BLOCKS = 10
# What is better, or why that is not said.
STEALS, SHARDS, NONE, SHORT, CANNOT = "stealing", "thread-per-core", "no difference", "too short", "cannot"
TITLES = {STEALS: "stealing better", SHARDS: "thread-per-core better", NONE: "no difference shown",
          SHORT: "too short to decide", CANNOT: "cannot be measured here"}
_Document = dict[str, Any]
_BY_WRK = {"cpu_us_total": "cpu_us"}
_SATURATED = taints.DETAILS["loader_saturated"][0]
_SPOILING = {"server", "loader", _SATURATED, *(taints.DETAILS[word][0] for word in (
    "no_samples", "errors", "censored", "zero_served", "fallen_silent", "loader_exhausted", "schedule_slipped"))}


@dataclass(frozen=True)
class Part:
    """A regime with what was measured in it; `why_not`: nothing was, and why. `folder`: of results/."""

    regime: Regime
    document: _Document | None
    why_not: str | None = None
    folder: str | None = None


@dataclass(frozen=True)
class Verdict:
    """Of one question about one pair. `least`: the smallest effect that shows here (0.04: 4 %; of a sheet that is too
    short: with enough blocks); None: not known. `medians`: of stealing, of the other."""

    regime: str
    question: Question
    row: str
    kind: str
    words: str
    n: int = 0
    medians: tuple[float, float] | None = None
    ratio: float | None = None  # row / stealing
    interval: tuple[float, float] | None = None
    p: float | None = None
    p_holm: float | None = None
    least: float | None = None

    def as_json(self) -> dict[str, Any]:
        low, high = self.interval or (None, None)
        return {"row": self.row, "against": STEALING, "measure": self.question.measure, "point": self.question.point,
                "n": self.n, "medians": self.medians and {STEALING: self.medians[0], self.row: self.medians[1]},
                "ratio": self.ratio, "low": low, "high": high, "p": self.p, "p_holm": self.p_holm,
                "minimum_detectable": self.least, "verdict": self.kind, "words": self.words}


@dataclass(frozen=True)
class _Seen:
    """What the blocks say, before the family is known. `lost`: why blocks have no figure."""

    part: Part
    question: Question
    row: str
    lost: str | None = None
    blocks: int = 0
    medians: tuple[float, float] | None = None
    of: Comparison | None = None
    control: Comparison | None = None


def verdicts(parts: list[Part]) -> tuple[list[Verdict], int, int]:
    """Of every question, for both pairs, in the order of the parts; how many Holm's correction went across, those
    included that then had too few blocks; and the fewest blocks that can decide among so many."""
    found = [_seen(part, question, row) for part in parts for question in part.regime.questions for row in PAIRS]
    family = sum(each.of is not None for each in found)
    needed = fewest(1 - (1 - CONFIDENCE) / max(1, family))
    adjusted = iter(with_holm([each.of for each in found if each.of is not None]))
    return ([_verdict(each, next(adjusted) if each.of is not None else None, family, needed) for each in found],
            family, needed)


def _seen(part: Part, question: Question, row: str) -> _Seen:
    if part.document is None:
        return _Seen(part, question, row, part.why_not)
    if row not in {each["name"] for each in servers(part.document)}:
        return _Seen(part, question, row, f"{row} does not run here (what io_uring lacks: ./duel machine check)")
    figures = {name: _figures(part.document, name, question) for name in (STEALING, row, CONTROL)}
    of, blocks = _compared(figures[STEALING], figures[row]), blocks_of(part.document)
    lost = _spoiled(part.document, (STEALING, row), question) if of is None or of.n < blocks else None
    if of is None:
        return _Seen(part, question, row, lost, blocks)
    medians = statistics.median(figures[STEALING].values()), statistics.median(figures[row].values())
    return _Seen(part, question, row, lost, blocks, medians, of, _compared(figures[STEALING], figures[CONTROL]))


def servers(document: _Document) -> list[dict[str, Any]]:
    return document["rows"] if document["kind"] == "campaign" else document["scenario"]["rows"]


def blocks_of(document: _Document) -> int:
    return document["settings"]["blocks" if document["kind"] == "campaign" else "repeats"]


def _figures(document: _Document, row: str, question: Question) -> dict[int, float]:
    """By block; those that are missing, spoiled or zero (nothing to divide) are left out."""
    if document["kind"] == "campaign":
        runs = summary.by_place(document["runs"]).get((row, question.point), {})
        found = {block: _value(document, run, question.measure) for block, run in runs.items()}
    else:
        runs = next((each["runs"] for each in document["rows"] if each["row"] == row), [])
        found = {block: _figure(run, question.measure) for block, run in enumerate(runs, 1)}
    return {block: value for block, value in found.items() if value is not None and value > 0}


def _words(run: dict[str, Any]) -> set[str]:
    return {taint.partition(":")[0] for taint in run["taints"]}


def _value(document: _Document, run: dict[str, Any], measure: str) -> float | None:
    """Of a campaign's run. What failed or starved is not what was asked for; and with CPUs of its own a loader that
    is the bottleneck measures its own throughput."""
    is_of_loader = (measure == "requests_per_s" and not document["settings"]["cpus_shared"]
                    and _SATURATED in _words(run))
    return None if is_of_loader or taints.is_unserved(run) else summary.value(run, measure)


def _figure(run: dict[str, Any], measure: str) -> float | None:
    """Of a run by wrk, or of one without load, as `_value`."""
    if "figures" not in run:
        return run.get(measure)
    if run["audit"]["starved"] or run["figures"].get("errors"):
        return None
    return run["figures"].get(_BY_WRK.get(measure, measure))


def _compared(a: dict[int, float], b: dict[int, float]) -> Comparison | None:
    blocks = sorted(a.keys() & b.keys())
    if not blocks:
        return None
    return paired_comparison([a[block] for block in blocks], [b[block] for block in blocks], CONFIDENCE, THRESHOLD)


def _spoiled(document: _Document, names: tuple[str, ...], question: Question) -> str:
    """Which taints took the figures away, and how often."""
    if document["kind"] != "campaign":
        return "runs failed requests or starved connections"
    runs = [run for run in document["runs"] if run["row"] in names and run["point"] == question.point]
    lost = [run for run in runs if _value(document, run, question.measure) is None]
    words = Counter(word for run in lost for word in _words(run) & _SPOILING)
    said = [f"{word} in {count} of {len(runs)} runs" for word, count in words.most_common(3)]
    why = "too few requests for a" if question.measure == "p99_us" else "no"
    return ", ".join(said) or f"{why} {MEASURES[question.measure].name} in {len(lost)} of {len(runs)} runs"


def _verdict(seen: _Seen, of: Comparison | None, family: int, needed: int) -> Verdict:
    regime, question = seen.part.regime.key, seen.question
    is_short = seen.blocks < needed
    if of is None or (of.n < needed and not is_short):
        left = "" if of is None else f"{of.n} of {needed} blocks that it takes are left ("
        return Verdict(regime, question, seen.row, CANNOT, f"{TITLES[CANNOT]}: {left}{seen.lost}{')' if left else ''}",
                       of.n if of is not None else 0)
    least = smallest(of, seen.control, family, max(needed, USUAL_BLOCKS) if is_short else of.n)
    kind, words = judged(of, seen.control, question.measure, least, needed if is_short else None)
    bounds = (of.interval.low, of.interval.high) if of.interval else None
    return Verdict(regime, question, seen.row, kind, words, of.n, seen.medians, of.ratio, bounds, of.p, of.p_adjusted,
                   least)


def smallest(of: Comparison, control: Comparison | None, family: int, blocks: int) -> float | None:
    """The smallest effect that so many blocks show here among so many verdicts, by the noise of two identical
    servers and by that of this pair, whichever is larger."""
    level = 1 - (1 - CONFIDENCE) / max(1, family)
    known = [found for each in (of, control) if each is not None
             and (found := minimum_detectable_effect(each.log_ratios, blocks, level)) is not None]
    return max([*known, THRESHOLD]) if known else None


def judged(of: Comparison, control: Comparison | None, measure: str, least: float | None,
           needed: int | None) -> tuple[str, str]:
    """(kind, sentence). `needed`: the blocks that it takes, where there are fewer; else None."""
    side = better(of.ratio, measure)
    seen = f"{side} {effect(of, measure)}"
    size = "" if least is None else f"{percent(change(least, measure))} or more"
    if needed is not None:
        more = f"; {max(needed, USUAL_BLOCKS)} would show, by the noise of so few, about {size}" if size else ""
        return SHORT, f"too short to decide: {of.n} of {needed} blocks{more} (seen: {seen})"
    if not of.different:
        why = ""
        if of.shown:
            why = f": {seen} is below the {plain(THRESHOLD)} that matter"
        elif of.interval is not None and 1 not in of.interval:
            why = f": {seen} alone would be one, among so many verdicts it may be chance"
        would = f"this machine would show {size}" if size else "how large a one would show here is not known"
        return NONE, f"no difference shown{why} ({would})"
    bounds = control.interval if control is not None else None
    if bounds is None:
        return NONE, f"no difference shown: {seen}, but two identical servers were not compared"
    noise = max(bounds.high, 1 / bounds.low)
    if max(of.ratio, 1 / of.ratio) <= noise:
        return NONE, (f"no difference shown: {seen}, but two identical servers differ by up to "
                      f"{percent(change(noise - 1, measure))} here")
    return side, f"{side} better: {effect(of, measure)}"


def better(ratio: float, measure: str) -> str:
    return SHARDS if (ratio > 1) == MEASURES[measure].more_is_better else STEALS


def effect(of: Comparison, measure: str) -> str:
    """The better one's figure against the other's: `9 % more requests a second [4 %, 12 %]`."""
    flip = better(of.ratio, measure) == STEALS
    more = MEASURES[measure].more_is_better
    ratios = [of.ratio, *((of.interval.low, of.interval.high) if of.interval else ())]
    changes = [((1 / each if flip else each) - 1) * (1 if more else -1) for each in ratios]
    bounds = f" [{percent(min(changes[1:]))}, {percent(max(changes[1:]))}]" if of.interval else ""
    return f"{percent(changes[0])} {MEASURES[measure].differs}{bounds}"


def change(excess: float, measure: str) -> float:
    """By how much the better one is better, where the larger figure is 1 + `excess` of the smaller."""
    return excess if MEASURES[measure].more_is_better else excess / (1 + excess)


def percent(fraction: float) -> str:
    """To two figures."""
    return plain(round(fraction, 3 if abs(fraction) < 0.1 else 2))
