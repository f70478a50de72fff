"""Results that hold rows against predictions (kinds theory and crossover), as the report sees them.

Their verdicts, tables and figures are those of their own modules; here is checked all that these read.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts import crossover_plot, theory_report
from scripts import crossover_summary as summary
from scripts.campaign.plan import CLOSED
from scripts.report import load
from scripts.report.figures import Drawn, Missing
from scripts.report.load import ABOVE_0, NOT_BELOW_0, NUMBER, OrNull, Wrong, check
from scripts.report.model import Part, Point, Result, Row, Run, Told
from scripts.theory_model import MEASURES
from scripts.theory_predict import SUBJECTS

_POSITIVE = (ABOVE_0,) * 3  # value, low, high
_THEORY = {
    "settings": {"blocks": int, "connections": int, "workers": int, "seed": int,
                 "limits": dict.fromkeys(MEASURES, ABOVE_0)},
    "points": [{"name": str, "service": str, "load": ABOVE_0, "duration_s": ABOVE_0, "rate": ABOVE_0}],
    "calibration": {...: {"overhead_us": NUMBER, "idle_cpu_us": NUMBER, "cost_us": NUMBER}},
    "runs": [{"row": str, "point": str}],
    "outcomes": [{"row": str, "model": str, "theory": str, "point": str, "measure": str, "rate": ABOVE_0,
                  "load": ABOVE_0, "verdict": str, "reasons": [str], "measured_us": OrNull(ABOVE_0),
                  "predicted_us": OrNull({"value": ABOVE_0}), "ratio": OrNull(ABOVE_0),
                  "interval": OrNull((ABOVE_0, ABOVE_0))}]}
_RATIO = {"n": int, "ratio": ABOVE_0, "low": ABOVE_0, "high": ABOVE_0, "bound": OrNull(str), "winner": str}
_CROSSOVER = {
    "settings": {"blocks": int, "connections": int, "workers": int, "seed": int, "duration_s": ABOVE_0, "slo": ABOVE_0,
                 "handlers_us": [NOT_BELOW_0]},
    "rows": [{}],
    "costs_us": {...: {"median": ABOVE_0, "low": ABOVE_0, "high": ABOVE_0}},
    "lines": [{"stealing": str, "sharded": str, "handler_us": NOT_BELOW_0, "peak": OrNull(_RATIO),
               "capacity": OrNull(_RATIO), "left_out": [str], "winner": str, "predicted": {
                   "peak": ABOVE_0, "formula": NUMBER, "simulated": OrNull({"value": ABOVE_0})}}],
    "predictions": [{"stealing": str, "sharded": str, "cores": int, "handlers": [ABOVE_0],
                     "ratios": [OrNull(_POSITIVE)], "formula_ratios": [NUMBER], "advantage": ABOVE_0,
                     "formula_says": str, "simulation_says": str, "crossing": OrNull(_POSITIVE)}],
    "searches": [{"block": int, "row": str, "handler_us": NOT_BELOW_0, "rate": OrNull(ABOVE_0), "edge": OrNull(str),
                  "why": OrNull(str)}],
    "runs": [{"row": str, "handler_us": NOT_BELOW_0, "point": str, "rate": OrNull(ABOVE_0),
              "errors": OrNull({}), "zero_served": OrNull(NUMBER), "fallen_silent": OrNull(NUMBER),
              "requests_per_s": OrNull(NUMBER), "taints": [str]}],
    "notes": [str]}


def theory(document: dict[str, Any], folder: Path) -> Result:
    check(document, _THEORY, "result")
    points = {each["name"]: Point(each["name"], True, each["rate"]) for each in document["points"]}
    if not points:
        raise Wrong("has no point")
    _check_outcomes(document["outcomes"], points)
    known = {each.row.name: each.row for each in SUBJECTS}
    names = dict.fromkeys(each["row"] for each in document["outcomes"])
    rows = [load.row(vars(known[name]) if name in known else {"name": name}, "rows") for name in names]
    runs = [_run(each, points.get(each["point"]), names, folder, f"runs[{index}]")
            for index, each in enumerate(document["runs"])]
    reasons = theory_report.reasons(document)
    told = Told(theory_report.finding(document), theory_report.findings(document), [
        Part("Measured and simulated", theory_report.table(document), theory_report.reading(document)),
        *([Part("Why a row does not follow its queue", None, reasons)] if reasons else [])],
        {"Measured against theory": lambda _: _theory_figures(document)})
    services = list(dict.fromkeys(each["service"] for each in document["points"]))
    of = f" --service {shlex.quote(services[0])}" if len(services) == 1 else ""
    longest = max(each["duration_s"] for each in document["points"])
    return _result(document, folder, rows, list(points.values()), runs, told, {
        "title": "Measured against theory",
        "question": "Do the measured hockey sticks follow the queues they stand for?",
        "varies": "the row and the load, Poisson",
        "expected": "sharded behaves as queues side by side, stealing as one queue for all"},
        f"theory{_flags(document, 'blocks', 'seed')} --duration {longest:g}{of}")


def _check_outcomes(outcomes: list[dict[str, Any]], points: dict[str, Point]) -> None:
    """Mean and p99 of a row, in turn."""
    for index, each in enumerate(outcomes):
        where = f"result.outcomes[{index}]"
        if each["point"] not in points:
            raise Wrong(f"has a {where}.point that is not one of its points: {each['point']}")
        if each["measure"] != MEASURES[index % 2] or each["verdict"] not in theory_report.VERDICTS:
            raise Wrong(f"has {each['verdict']!r} of the {each['measure']} as {where}")
        if index % 2 and any(each[key] != outcomes[index - 1][key] for key in ("row", "theory", "point")):
            raise Wrong(f"has a {where} of another row than the mean before it")
        if len({each[key] is None for key in ("ratio", "measured_us", "predicted_us", "interval")}) > 1:
            raise Wrong(f"has a {where} that is measured in part")
    if len(outcomes) % 2:
        raise Wrong("has an outcome without its p99")


def _theory_figures(document: dict[str, Any]) -> Iterator[Drawn]:
    for name, service, figure in theory_report.figures(document):
        yield Drawn(name, f"Measured against theory, {service}",
                    "A panel a row: response time over its load. Marks with their range are measured; lines, or ticks "
                    "where a line would have one point, are duel-sim's answer for the queue that the legend names.",
                    figure)
    if lost := [service for service, known in theory_report.measured(document).items() if not known]:
        raise Missing(f"no row could be measured with {', '.join(lost)}")


def crossover(document: dict[str, Any], folder: Path) -> Result:
    check(document, _CROSSOVER, "result")
    _check_curves(document)
    rows = [load.row(each, f"rows[{index}]") for index, each in enumerate(document["rows"])]
    names = dict.fromkeys(row.name for row in rows)
    points: dict[tuple[float, float | None], Point] = {}
    runs = []
    for index, each in enumerate(document["runs"]):
        rate = None if each["point"] == CLOSED else each["rate"]
        where = f"H = {each['handler_us']:g} µs"
        point = points.setdefault((each["handler_us"], rate), Point(
            f"{where}, closed loop" if rate is None else f"{where}, {rate:,.0f} requests/s", rate is not None, rate))
        runs.append(_run(each, point, names, folder, f"runs[{index}]"))
    medians, ratios, crossings = summary.tables(document)
    settings = document["settings"]
    told = Told(summary.finding(document), _crossover_findings(document), [
        Part("Stealing / sharded, measured and predicted", ratios, document["notes"]),
        Part("Predicted H*, by the number of cores", crossings, []), Part("Each row's own medians", medians, [])],
        {"The crossover": lambda _: _crossover_figures(document)})
    handlers = ",".join(f"{each:.15g}" for each in settings["handlers_us"])
    return _result(document, folder, rows, list(points.values()), runs, told, {
        "title": "The crossover", "question": "From which handler time H* on does stealing carry more than sharding?",
        "varies": "the mean of exponential handler times", "expected": "sharded below H*, stealing above it",
        "reason": "cheaper requests against pooled cores", "source": "bench/sim/DESIGN.md"},
        f"crossover{_flags(document, 'blocks', 'seed')} --duration {settings['duration_s']:g} --slo "
        f"{settings['slo']:.15g} --handler-us {handlers}")


def _check_curves(document: dict[str, Any]) -> None:
    pairs = {(each["stealing"], each["sharded"]) for each in document["lines"]}
    for index, curve in enumerate(document["predictions"]):
        where = f"result.predictions[{index}]"
        if not {curve["stealing"], curve["sharded"]} <= document["costs_us"].keys():
            raise Wrong(f"has a {where} of rows that costs_us does not name")
        if not curve["handlers"] or not len(curve["handlers"]) == len(curve["ratios"]) == len(curve["formula_ratios"]):
            raise Wrong(f"has a {where} without a ratio for each of its handlers")
    here = {(each["stealing"], each["sharded"]) for each in document["predictions"]
            if each["cores"] == document["settings"]["workers"]}
    for stealing, sharded in sorted(pairs - here):
        raise Wrong(f"has no prediction of {stealing} / {sharded} for its {document['settings']['workers']} workers")
    if not pairs:
        raise Wrong("compares no pair of rows")


def _crossover_findings(document: dict[str, Any]) -> list[str]:
    """A line a pair."""
    found = []
    for stealing, sharded in crossover_plot.pairs(document):
        lines, curves = (crossover_plot.of_pair(document[key], stealing, sharded) for key in ("lines", "predictions"))
        found.append(f"{crossover_plot.headline(lines, curves, document['settings']['workers'])}; measured H* "
                     f"{summary.crossing(lines)}.")
    return found


def _crossover_figures(document: dict[str, Any]) -> Iterator[Drawn]:
    for stealing, sharded, figure in crossover_plot.figures(document):
        yield Drawn(crossover_plot.name(stealing, sharded), f"{stealing} against {sharded}",
                    "Above x1 stealing carries more. Solid lines are simulated, with their interval shaded; dashed is "
                    "the peak by cost; dotted is H*, where a solid line passes x1. Marks are measured, with their "
                    "interval, or with the range over the blocks where these are too few for one: ○ is the peak, ◆ "
                    "within the limit. △, ▽: at least that, at most that, as an edge of the grid of rates was reached; "
                    "◇ at the edge: it may be either; ◇ not here: this machine cannot measure it.", figure)


def _run(each: dict[str, Any], point: Point | None, rows: dict[str, None], folder: Path, where: str) -> Run:
    for kind, is_known in (("row", each["row"] in rows), ("point", point is not None)):
        if not is_known:
            raise Wrong(f"has a {where}.{kind} that is not one of its {kind}s: {each[kind]}")
    assert point is not None
    return load.run(each, point, folder, where)


def _flags(document: dict[str, Any], *keys: str) -> str:
    settings = document["settings"]
    return "".join(f" --{key} {settings[key]}" for key in keys) + (" --quick" if settings.get("quick") is True else "")


def _result(document: dict[str, Any], folder: Path, rows: list[Row], points: list[Point], runs: list[Run], told: Told,
            scenario: dict[str, str], again: str) -> Result:
    names = [row.name for row in rows]
    if len(set(names)) != len(names):
        raise Wrong("names a row twice")
    return Result(
        folder, str(document.get("name") or folder.name), document["kind"], str(document.get("began", "")),
        str(document.get("ended") or ""), scenario, document["settings"], rows, points, runs, {}, [], None,
        load.words(document.get("taints")), None, f"./duel bench {again}", told=told)
