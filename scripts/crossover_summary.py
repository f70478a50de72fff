"""What the crossover's runs say: costs, ratios within a block, who wins, the table and its notes. Pure."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any, NamedTuple

from scripts import crossover_rules as rules
from scripts import crossover_theory as theory
from scripts.campaign import taints
from scripts.campaign.plan import CLOSED
from scripts.campaign.summary import CONFIDENCE, THRESHOLD
from scripts.comparison import Comparison, paired_comparison, with_holm
from scripts.summary import fewest, median_interval, plain
from scripts.tables import Table

NONE, NOT_HERE, AT_EDGE = "—", "not here", "at the edge"
PEAK, CAPACITY = "peak", "capacity"
_STEALING, _SHARDED = "stealing", "sharded"

_EITHER = rules.AT_MOST + rules.AT_LEAST  # a bound that says nothing
_FLIPPED = {rules.AT_MOST: rules.AT_LEAST, rules.AT_LEAST: rules.AT_MOST}

ByBlock = dict[int, float]
Edges = dict[int, str]  # the blocks whose rate is a bound, and which


def spread(values: Sequence[float]) -> dict[str, Any]:
    """A median, between order statistics where there are enough values, else between the ends."""
    bounds = median_interval(values, CONFIDENCE)
    low, high = (bounds.low, bounds.high) if bounds else (min(values), max(values))
    return {"median": statistics.median(values), "low": low, "high": high, "n": len(values),
            "is_interval": bounds is not None}


def compared(stealing: ByBlock, sharded: ByBlock) -> Comparison | None:
    """Stealing / sharded over the blocks that have both."""
    blocks = sorted(stealing.keys() & sharded.keys())
    if not blocks:
        return None
    return paired_comparison([sharded[each] for each in blocks], [stealing[each] for each in blocks], CONFIDENCE,
                             THRESHOLD)


def bound(stealing: Edges, sharded: Edges) -> str:
    """What the ratio is of what was found: AT_LEAST or AT_MOST that, _EITHER, or empty: that itself."""
    return "".join(sorted({*stealing.values(), *(_FLIPPED[each] for each in sharded.values())}))


def ratio_json(found: Comparison, bound: str = "") -> dict[str, Any]:
    """`low` and `high` are the interval's, or the range over the blocks where these are too few for one."""
    ratios, bounds = ratios_of(found), found.interval
    return {"n": found.n, "ratios": ratios, "ratio": found.ratio, "low": bounds.low if bounds else min(ratios),
            "high": bounds.high if bounds else max(ratios), "is_interval": bounds is not None, "p": found.p,
            "p_holm": found.p_adjusted, "bound": bound or None, "winner": winner(found, bound)}


def ratios_of(found: Comparison) -> list[float]:
    return [math.exp(each) for each in found.log_ratios]


def winner(found: Comparison, bound: str = "") -> str:
    """`?`: every block says so, and they are too few for an interval. A bound lets only that side win which would win
    by more without it."""
    side, allows = (_STEALING, rules.AT_LEAST) if found.ratio > 1 else (_SHARDED, rules.AT_MOST)
    if bound not in ("", allows):
        return "~"
    if found.different:
        return side
    ratios = ratios_of(found)
    agree = len(ratios) > 1 and (min(ratios) > 1 + THRESHOLD or max(ratios) < 1 / (1 + THRESHOLD))
    return f"{side}?" if found.interval is None and agree else "~"


def corrected(found: dict[Any, Comparison]) -> dict[Any, Comparison]:
    """Holm over one measure of one pair of rows: a curve."""
    return dict(zip(found, with_holm(list(found.values())), strict=True)) if found else {}


def fewest_blocks(handlers: int) -> int:
    """With fewer blocks nothing of a curve can be shown."""
    return next(n for n in range(fewest(CONFIDENCE), 100) if 2 * handlers / 2**n <= 1 - CONFIDENCE)


def lines(pair: tuple[str, str], handlers: Iterable[float], peaks: dict[tuple[str, float], ByBlock],
          capacities: dict[tuple[str, float], ByBlock], edges: dict[tuple[str, float], Edges],
          why: dict[tuple[str, float], list[str]], costs: tuple[float, float], loader_us: float, curve: theory.Curve,
          ) -> list[dict[str, Any]]:
    """One pair of rows, a line a handler time; `peaks` and `capacities` by row and handler time, `edges` of these, and
    `why` there is none. `loader_us`: as theory.peak_ratio wants it."""
    stealing, sharded = pair
    handlers, found = list(handlers), {}
    for measure, figures in ((PEAK, peaks), (CAPACITY, capacities)):
        curves = {handler: made for handler in handlers if (made := compared(
            figures.get((stealing, handler), {}), figures.get((sharded, handler), {}))) is not None}
        found[measure] = corrected(curves)
    made = []
    for handler in handlers:
        simulated, formula = curve.at(handler)
        peak, capacity = (of.get(handler) for of in (found[PEAK], found[CAPACITY]))
        peak = peak and ratio_json(peak)
        capacity = capacity and ratio_json(capacity, bound(*(edges.get((row, handler), {}) for row in pair)))
        reasons = list(dict.fromkeys([*why.get((stealing, handler), []), *why.get((sharded, handler), [])]))
        made.append({
            "stealing": stealing, "sharded": sharded, "handler_us": handler,
            PEAK: peak, CAPACITY: capacity, "left_out": reasons,
            "predicted": {"peak": theory.peak_ratio(costs, handler, loader_us), "formula": formula,
                          "simulated": simulated and dict(zip(("value", "low", "high"), simulated, strict=True))},
            "winner": capacity["winner"] if capacity else f"{peak['winner']} (peak)" if peak else NONE})
    return made


def cell(ratio: dict[str, Any] | None) -> str:
    if ratio is None:
        return NONE
    if ratio["bound"] == _EITHER:
        return AT_EDGE
    sign = f"{ratio['bound']} " if ratio["bound"] else ""
    bounds = f" ({ratio['low']:.2f}..{ratio['high']:.2f})" if ratio["n"] > 1 else ""
    return f"{'~ ' if ratio['winner'] == '~' else ''}{sign}x{ratio['ratio']:.2f}{bounds}"


def capacity_cell(line: dict[str, Any]) -> str:
    is_unknown = line[CAPACITY] is None and any(each.startswith(rules.CANNOT) for each in line["left_out"])
    return NOT_HERE if is_unknown else cell(line[CAPACITY])


def table(found: list[dict[str, Any]]) -> Table:
    rows, sections = [], {}
    for line in found:
        title = f"{line['stealing']} / {line['sharded']}"
        if title not in sections.values():
            sections[len(rows)] = title
        said = line["predicted"]
        simulated = f"x{said['simulated']['value']:.2f}" if said["simulated"] else NONE
        rows.append([f"{line['handler_us']:g}", cell(line[PEAK]), f"x{said['peak']:.2f}", capacity_cell(line),
                     simulated, f"x{said['formula']:.2f}", line["winner"]])
    return Table(["handler\nµs", "peak req/s\nmeasured", "by cost", "req/s within the limit\nmeasured", "simulated",
                  "formula", "winner"], rows, sections)


def crossings(pairs: dict[tuple[str, str], list[theory.Curve]], costs: dict[str, dict[str, Any]]) -> Table:
    """H* for each number of cores; beside the formula's, how far the spread of the costs moves it."""
    rows, sections = [], {}
    for (a, b), curves in pairs.items():
        sections[len(rows)] = f"{a} / {b}"
        for curve in curves:
            value, low, high = (_at(theory.break_even_us(costs[a][x], costs[b][y], curve.advantage)) for x, y in
                                (("median", "median"), ("low", "high"), ("high", "low")))
            rows.append([f"{curve.cores} cores", curve.simulation_says,
                         value if low == high else f"{value} ({low}..{high})", f"x{curve.advantage:.2f}"])
    return Table(["H* in µs", "simulated", "formula", "pooling\nby formula"], rows, sections)


def _at(break_even_us: float | None) -> str:
    return "never" if break_even_us is None else "always" if break_even_us <= 0 else f"{break_even_us:.2g}"


def figures(rows: list[str], handlers: Iterable[float], peaks: dict[tuple[str, float], ByBlock],
            capacities: dict[tuple[str, float], ByBlock], edges: dict[tuple[str, float], Edges]) -> Table:
    """Each row's own medians."""
    found, sections = [], {}
    for title, of, bounds in (("requests/s in the closed loop", peaks, {}),
                              ("requests/s within the limit", capacities, edges)):
        sections[len(found)] = title
        for handler in handlers:
            found.append([f"{handler:g}", *(_median(of.get((row, handler), {}), bounds.get((row, handler), {}))
                                            for row in rows)])
    return Table(["handler\nµs", *(row.replace(" ", "\n") for row in rows)], found, sections)


def _median(values: ByBlock, edges: Edges) -> str:
    if not values:
        return NONE
    ordered = sorted(values, key=lambda block: (values[block], edges.get(block) != rules.AT_MOST))
    middle = {edges.get(ordered[at // 2], "") for at in (len(ordered) - 1, len(ordered))} - {""}
    return AT_EDGE if len(middle) > 1 else " ".join([*middle, f"{statistics.median(values.values()):,.0f}"])


def tables(document: dict[str, Any]) -> list[Table]:
    """Of what result.json holds: each row's own medians, stealing / sharded, H*."""
    found, pairs = gathered(document["runs"], document["searches"]), {}
    for each in document["predictions"]:
        curve = theory.Curve(**{field.name: each[field.name] for field in fields(theory.Curve)})
        pairs.setdefault((each[_STEALING], each[_SHARDED]), []).append(curve)
    rows = [row["name"] for row in document["rows"]]
    return [figures(rows, document["settings"]["handlers_us"], found.peaks, found.capacities, found.edges),
            table(document["lines"]), crossings(pairs, document["costs_us"])]


def crossing(found: list[dict[str, Any]]) -> str:
    """Between which handler times a pair's winner within the limit changes, as measured."""
    known = [line for line in sorted(found, key=lambda line: line["handler_us"])
             if line[CAPACITY] and line["winner"] != "~"]
    sides = [line["winner"].removesuffix("?") for line in known]
    if not known:
        return "not shown"
    at = {side: [f"{line['handler_us']:g}" for line, won in zip(known, sides, strict=True) if won == side]
          for side in (_STEALING, _SHARDED)}
    doubt = " (too few blocks to show it)" if any(line["winner"].endswith("?") for line in known) else ""
    if sides != sorted(sides):  # sharded, then stealing
        return f"not one: the winner changes otherwise{doubt}"
    words = (f"at most {at[_STEALING][0]}" if not at[_SHARDED] else f"at least {at[_SHARDED][-1]}"
             if not at[_STEALING] else f"between {at[_SHARDED][-1]} and {at[_STEALING][0]}")
    return f"{words} µs{doubt}"


def finding(document: dict[str, Any]) -> str:
    """Who wins how often."""
    winners = Counter(line["winner"] if line[CAPACITY] else NONE for line in document["lines"])
    stealing, sharded = (winners[side] + winners[f"{side}?"] for side in (_STEALING, _SHARDED))
    few = winners[f"{_STEALING}?"] + winners[f"{_SHARDED}?"]
    doubt = f" ({few} of these {stealing + sharded} rest on too few blocks to show it)" if few else ""
    lost = f"; {winners[NONE]} could not be measured" if winners[NONE] else ""
    return (f"Within the limit, p99 at most {document['settings']['slo']:g} x (H + cost), stealing carries more in "
            f"{stealing} and sharded in {sharded} of {winners.total()} comparisons{doubt}; in {winners['~']} no winner "
            f"is shown{lost}. A comparison is one pair of rows at one mean handler time H.")


def cost_note(costs: dict[str, dict[str, Any]], loader_us: float, is_shared: bool) -> str:
    said = "; ".join(f"{row} {each['median']:.2f}{_ends(each)}"
                     for row, each in costs.items())
    shared = ", and shares the CPUs: the closed loop's prediction counts it" if is_shared else ""
    return (f"Cost of a request beside its handler, CPU µs of the server in a closed loop at H = 0: {said}. The loader "
            f"takes {loader_us:.2f} µs more{shared}.")


def _ends(each: dict[str, Any]) -> str:
    return f" ({each['low']:.2f}..{each['high']:.2f})" if each["n"] > 1 else ""


def reading_note(slo: float, handlers: int) -> str:
    return ("Ratios are stealing / sharded within a block; brackets: the interval, or with fewer than "
            f"{fewest(CONFIDENCE)} blocks the range over them. Within the limit: the largest rate of a grid, the same "
            f"for all rows, at which p99 from when a request was due is at most {slo:g} x (H + the row's cost), in an "
            "open loop with Poisson arrivals. By cost: the ratio of what a request takes, all workers busy; a "
            "peak far from it says that others had the CPUs, or that a pinned shard waited for its own. ~: no "
            f"difference of {plain(THRESHOLD)} shown (Holm over a curve takes {fewest_blocks(handlers)} blocks); ?: "
            "all blocks agree, and they are too few to show it. ≥, ≤: in some block a row kept the limit at every rate "
            f"of the grid, or at none, so the ratio is at least or at most that; {AT_EDGE}: it may be either. "
            "Predictions know no connections: hashing luck is not in them.")


def edge_notes(edges: dict[tuple[str, float], Edges], blocks: int) -> list[str]:
    """Whose rates are bounds."""
    words = {rules.AT_MOST: "passes the limit at the lowest rate of the grid already",
             rules.AT_LEAST: "keeps the limit at every rate of the grid"}
    return [f"{row} at H = {handler:g} µs {words[edge]}, in {count} of {blocks} blocks."
            for (row, handler), by_block in edges.items() for edge, count in Counter(by_block.values()).items()]


class Gathered(NamedTuple):
    """By row and handler time, what the runs and searches of all blocks found, and why they found none."""

    peaks: dict[tuple[str, float], ByBlock]
    unserved: dict[tuple[str, float], list[str]]
    capacities: dict[tuple[str, float], ByBlock]
    edges: dict[tuple[str, float], Edges]
    why: dict[tuple[str, float], list[str]]


def gathered(runs: list[dict[str, Any]], searches: list[dict[str, Any]]) -> Gathered:
    found = Gathered({}, {}, {}, {}, {})
    for each in runs:
        place = each["row"], each["handler_us"]
        if each["block"] == 0 or each["point"] != CLOSED:
            continue
        if taints.is_unserved(each):
            found.unserved.setdefault(place, []).extend(each["taints"][:1])
        else:
            found.peaks.setdefault(place, {})[each["block"]] = each["requests_per_s"]
    for each in searches:
        place = each["row"], each["handler_us"]
        if each["rate"] is None:
            found.why.setdefault(place, []).append(each["why"])
        else:
            found.capacities.setdefault(place, {})[each["block"]] = each["rate"]
        if each["edge"]:
            found.edges.setdefault(place, {})[each["block"]] = each["edge"]
    return found


def missing_notes(why_not: dict[float, str], why: dict[tuple[str, float], list[str]],
                  unserved: dict[tuple[str, float], list[str]], blocks: int) -> list[str]:
    """Why there is no figure: at a handler time; or of a row at one, in some blocks, within the limit or (`unserved`)
    as a peak."""
    same: dict[str, list[str]] = {}
    for handler, reason in why_not.items():
        same.setdefault(reason, []).append(f"{handler:g}")
    return [*(f"{NOT_HERE}: H = {', '.join(at)} µs: {reason}." for reason, at in same.items()),
            *(f"{row} at H = {handler:g} µs has no {what} in {len(reasons)} of {blocks} blocks: "
              f"{'; '.join({each.partition(':')[0]: each for each in reversed(reasons)}.values())}."
              for what, of in (("rate within the limit", why), ("peak", unserved))
              for (row, handler), reasons in of.items() if handler not in why_not or what == "peak")]
