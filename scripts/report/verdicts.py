"""What a result says, in sentences: each comparison by its ratio and interval, and what the noise forbids to say."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.report.model import MEASURES, Compared, Control, Result
from scripts.report.style import sentence
from scripts.summary import fewest, plain

_MAIN = ("requests_per_s", "cpu_us_total")
_ALPHA = 0.05 * (1 + 1e-9)


@dataclass(frozen=True)
class Verdict:
    """All sentences about one row against another: the main measures, and the others."""

    row: str
    against: str
    main: list[str]
    others: list[str]


def verdicts(result: Result) -> list[Verdict]:
    pairs = dict.fromkeys((each.row, each.against) for each in result.comparisons)
    return [_of_pair(result, row, against, [each for each in result.comparisons
                                            if (each.row, each.against) == (row, against)])
            for row, against in pairs]


def _of_pair(result: Result, row: str, against: str, found: list[Compared]) -> Verdict:
    points = {point.name: (index, point) for index, point in enumerate(result.points)}
    said: dict[bool, list[str]] = {True: [], False: []}
    for measure in MEASURES:
        for is_open in (False, True):
            some = sorted((each for each in found if each.measure == measure and each.point in points
                           and points[each.point][1].is_open == is_open), key=lambda each: points[each.point][0])
            if some:
                # Of an open loop the latency is the answer, of a closed one how much it gets done.
                is_main = measure in (("cpu_us_total", "p99_us") if is_open or result.by_wrk else _MAIN)
                said[is_main or measure == _MAIN[0]].append(_sentence(result, measure, is_open, some))
    return Verdict(row, against, said[True], said[False])


def _sentence(result: Result, measure: str, is_open: bool, found: list[Compared]) -> str:
    """One measure, in the closed loop or over the loads of the open one."""
    name = MEASURES[measure].name
    named = is_open or found[0].point != "closed"
    where = "" if named and not is_open else " in the open loop" if is_open else " in the closed loop"
    parts = []
    for side, some in (("higher", [each for each in found if each.different and not each.doubt and each.ratio > 1]),
                       ("lower", [each for each in found if each.different and not each.doubt and each.ratio <= 1])):
        if some:
            parts.append(f"{side}, " + "; ".join(_effect(each, named) for each in some))
    doubted = [each for each in found if each.different and each.doubt]
    if doubted:
        parts.append("seen, but this machine cannot carry it"
                     + "; ".join(f"{',' if index == 0 else ''} {_effect(each, named)}{_least(result, each)}"
                                 for index, each in enumerate(doubted)).replace(";  ", "; "))
    parts += _not_shown(result, [each for each in found if not each.different], named)
    return f"{sentence(name + where)}: {'. '.join([parts[0], *map(sentence, parts[1:])])}."


def _effect(each: Compared, named: bool) -> str:
    ratio = f"x{each.ratio:.2f}" + (f" ({each.bounds[0]:.2f} to {each.bounds[1]:.2f})" if each.bounds else "")
    return ratio + (f" at {each.point}" if named else "")


def _least(result: Result, each: Compared) -> str:
    """How large an effect must be to show there."""
    least = result.control.least(each.measure, each.point) if result.control else None
    return "" if least is None else f" [would show from {plain(least)}]"


def _not_shown(result: Result, found: list[Compared], named: bool) -> list[str]:
    few = [each for each in found if not each.is_interval]
    if few:
        n = min(each.n for each in few)
        seen = "; ".join(_seen(each, named) for each in few)
        return [f"no difference can be shown with {n} {'block' if n == 1 else 'blocks'}, an interval takes "
                f"{fewest(0.95)} (seen: {seen})"]
    level = [each for each in found if each.bounds and each.bounds[0] <= 1 <= each.bounds[1]]
    crowded = [each for each in found if each not in level and (each.p_holm or 0) > _ALPHA]
    small = [each for each in found if each not in level and each not in crowded]
    return [said + ", " + "; ".join(_effect(each, named) + _least(result, each) for each in some)
            for said, some in (("no difference shown", level),
                               ("no difference shown among so many comparisons (Holm)", crowded),
                               ("a difference too small to matter", small)) if some]


def _seen(each: Compared, named: bool) -> str:
    spread = f", {each.bounds[0]:.2f} to {each.bounds[1]:.2f}" if each.bounds else ""
    return f"x{each.ratio:.2f}{spread}" + (f" at {each.point}" if named else "")


def noise(result: Result) -> str:
    """What two identical rows differ by, and so the smallest effect to believe."""
    control = result.control
    if control is None:
        return next((note for note in result.notes if note.startswith("no A/A control")), "")
    least = "; ".join(f"{MEASURES[name].name} {plain(value)}" for name, value in control.minimum_detectable.items()
                      if name in MEASURES)
    says = _said(control)
    return (f"{says} Smallest effect that {result.blocks} blocks show here, four times in five: {least}."
            if least else f"{says} What the smallest effect is that shows here is not known.")


def _said(control: Control) -> str:
    begun = f"The control is {control.of} a second time, so nothing should differ"
    seen = "; ".join(f"{MEASURES[each.measure].name} {_effect(each, False)}" for each in control.results
                     if each.measure in _MAIN and each.point == "closed")
    wrong = [f"{MEASURES[each.measure].name} at {each.point}" for each in control.results if each.different]
    found = (f"; but a difference shows in {', '.join(wrong)}: this machine was not steady" if wrong
             else "; but this machine was not steady" if control.is_steady is False
             else ", and nothing does" if any(each.is_interval for each in control.results)
             else "; there are too few blocks to tell")
    return begun + found + (f" (closed loop: {seen})." if seen else ".")
