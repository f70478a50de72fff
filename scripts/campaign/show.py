"""A campaign's tables and the notes under them, on the terminal and as Markdown. Pure but for `show`."""

from __future__ import annotations

from typing import Any

from scripts import tables
from scripts.campaign import summary, taints
from scripts.campaign.plan import CONTROL, Plan, Point
from scripts.summary import plain
from scripts.tables import Table

NONE = "—"
_RATIOS = ("requests_per_s", "cpu_us_total", "p50_us", "p99_us")
_WITH_INTERVAL = ("requests_per_s", "cpu_us_total", "p99_us")  # all have one, in result.json; a line holds three


def figure(number: float) -> str:
    """Three significant figures, or four."""
    if number >= 1e6:
        return f"{number / 1e6:.3g}M"
    if number >= 1e4:
        return f"{number / 1e3:.3g}k" if number < 999.5e3 else "1M"
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _median(said: dict[str, Any] | None, with_interval: bool) -> str:
    if said is None:
        return NONE
    bounds = "" if said["low"] is None or not with_interval else f" ({figure(said['low'])}..{figure(said['high'])})"
    return f"{figure(said['median'])}{bounds}"


def _of_point(point: Point, rate: float | None) -> str:
    return "closed loop" if rate is None else f"{rate:,.0f} requests/s\n{point.name} of the peak"


def medians(plan: Plan, document: dict[str, Any], point: Point) -> Table:
    said = {(each["row"], each["measure"]): each for each in document["summaries"] if each["point"] == point.name}
    measures = summary.measures_at(point)
    headers = [_of_point(point, _rate(document, point)), *(summary.MEASURES[each].replace(" ", "\n") for each in measures),
               "tainted\nruns"]
    rows = []
    for row in plan.rows:
        runs = [run for run in document["runs"] if (run["row"], run["point"]) == (row.name, point.name)]
        rows.append([row.name, *(_median(said.get((row.name, each)), each in _WITH_INTERVAL) for each in measures),
                     f"{sum(bool(run['taints']) for run in runs)}/{len(runs)}"])
    return Table(headers, rows)


def _rate(document: dict[str, Any], point: Point) -> float | None:
    return next(each.get("rate") for each in document["points"] if each["name"] == point.name)


def cell(compared: dict[str, Any]) -> str:
    """As scripts/comparison.py writes one; `?`: the control says that this machine cannot carry it."""
    bounds = "" if compared["low"] is None else f" ({compared['low']:.2f}..{compared['high']:.2f})"
    return (f"{'' if compared['different'] else '~ '}x{compared['ratio']:.2f}{bounds}"
            f"{'?' if compared.get('doubt') else ''}")


def ratios(document: dict[str, Any], point: Point) -> Table:
    measures = [each for each in _RATIOS if each in summary.measures_at(point)]
    found: dict[tuple[str, str], dict[str, str]] = {}
    for each in [*document["comparisons"], *document["control"]["results"]]:
        if each["point"] == point.name:
            found.setdefault((each["row"], each["against"]), {})[each["measure"]] = cell(each)
    return Table([f"ratios, {point.name}", "against", *(summary.MEASURES[each] for each in measures)],
                 [[*names, *(cells.get(each, NONE) for each in measures)] for names, cells in found.items()],
                 text_columns=2)


def all_tables(plan: Plan, document: dict[str, Any]) -> list[Table]:
    return [table for point in plan.points for table in (medians(plan, document, point), ratios(document, point))]


def notes(plan: Plan, document: dict[str, Any]) -> list[str]:
    level = plain(summary.CONFIDENCE)
    calibration, control = document["calibration"], document["control"]
    said = [f"Expected: {plan.scenario.expected} Because {plan.scenario.reason} ({plan.scenario.source})",
            f"Blocks: {plan.blocks}, seed {plan.seed}; a run is one server start of {plan.duration_s} s after "
            f"{plan.warmup_s:g} s of warm-up. Rates are shares of the smallest peak, {figure(calibration['peak'])} "
            f"requests/s of {calibration['row']}, the same for all rows."]
    if plan.scenario.load.think_ms > 0:
        said.append(f"The pause of {plan.scenario.load.think_ms:g} ms between requests is left out: the rates stand "
                    "for it.")
    said += [f"left out of the peak: {row}, {why}" for row, why in calibration["left_out"].items()]
    said += ["Medians, with their distribution-free interval. Latency from the intended start in an open loop; in the "
             "closed loop from sending, which hides waiting. No percentiles of runs with wrong or missing answers, "
             f"nor with fewer than {summary.LEAST_BEYOND} requests beyond.",
             f"Ratios are taken within a block; ~: no difference of {plain(summary.THRESHOLD)} or more shown at "
             f"{level}{_family(plan)}. ?: shown, but the control says that this machine cannot carry it.",
             f"{CONTROL}: {control['verdict']}. {_detectable(control)}"]
    said += [f"! {each['row']} / {each['against']}, {summary.MEASURES[each['measure']]}, {each['point']}: "
             f"{each['doubt']}" for each in document["comparisons"] if each["doubt"]]
    if (power := summary.power_note(plan)) is not None:
        said.append(f"! {power}")
    said += [f"! {row}: {taint}" for row, taint in _worst(document["runs"]).items()]
    return [*said, "Held against this campaign: " + "; ".join(document["taints"]) + "."]


def _family(plan: Plan) -> str:
    size = summary.table_size(plan)
    return f", given that there are {size} comparisons of a measure at most (Holm)" if size > 1 else ""


def _detectable(control: dict[str, Any]) -> str:
    known = [f"{summary.MEASURES[measure]} {plain(effect)}" for measure, effect in control["minimum_detectable"].items()
             if effect is not None]
    return f"Minimum detectable effect here: {', '.join(known) if known else 'not known'}."


def _worst(runs: list[dict[str, Any]]) -> dict[str, str]:
    """The first spoiled run of each row, in its own words."""
    found: dict[str, str] = {}
    for run in runs:
        if taints.is_spoiled(run):
            found.setdefault(f"{run['row']}, {run['point']}", "; ".join(run["taints"]))
    return found


def markdown(plan: Plan, document: dict[str, Any]) -> str:
    body = "\n".join(map(tables.markdown, all_tables(plan, document)))
    lines = "".join(f"- {note.removeprefix('! ')}\n" for note in notes(plan, document))
    return f"# {plan.scenario.title}\n\n{plan.scenario.question}\n\n{body}\n{lines}"


def show(plan: Plan, document: dict[str, Any]) -> None:
    print("\n".join(map(tables.wrapped, (f"{plan.scenario.title}: {plan.scenario.question}",
                                         f"Varies: {plan.scenario.varies}"))))
    for table in all_tables(plan, document):
        if table.rows:
            print()
            tables.show(table)
    print("\n" + "\n".join(map(tables.wrapped, notes(plan, document))))
