"""Results that wrk measured (kinds scenario and table), as the report sees them.

Their latencies are wrk-corrected. A repeat is a block; fewer than six have no interval, and then the
least and the largest ratio stand for it, as the scenario's own tables show them.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from scripts.comparison import paired_comparison, with_holm
from scripts.report.load import Wrong, inner, number, numbers, objects, take, whole, words
from scripts.report.model import MEASURES, Compared, Point, Result, Row, Run, Summary
from scripts.summary import median_interval

_KEYS = {"p50_us": "p50_ms", "p99_us": "p99_ms"}
_FAILED = ("connect_errors", "read_errors", "write_errors", "timeouts", "non_2xx")
_EFFECTS = ("requests_per_s", "cpu_us_total", "p99_us")


def scenario(document: dict[str, Any], folder: Path) -> Result:
    told = take(document, "scenario", dict, "result")
    rows = [Row(take(each, "name", str, f"scenario.rows[{index}]"), str(each.get("model", "")),
                str(each.get("driver", "")), _switches(each.get("switches")), str(each.get("changes") or ""))
            for index, each in enumerate(objects(told, "rows", "scenario"))]
    label = str(inner(told, "sweep").get("label") or inner(told, "sweep").get("of") or "value")
    points: dict[str, Point] = {}
    runs: list[Run] = []
    for index, each in enumerate(objects(document, "rows", "result")):
        where, value = f"rows[{index}]", each.get("value")
        name = take(each, "row", str, where)
        if name not in {row.name for row in rows}:
            raise Wrong(f"has a {where}.row that its scenario does not name: {name}")
        point = Point("closed" if value is None else f"{label} = {value}")
        points.setdefault(point.name, point)
        runs += [_run(repeat, name, point.name, block, len(runs) + block)
                 for block, repeat in enumerate(objects(each, "runs", where), 1) if "raw" in repeat]
    settings = inner(document, "settings")
    flags = [f"--{key} {settings[each]}" for key, each in (("duration", "duration_s"), ("repeats", "repeats"))
             if settings.get(each) is not None]
    result = _result(document, folder, "scenario", told, rows, list(points.values()), runs,
                     " ".join([f"./duel bench {told.get('name')}", *flags]))
    against = {str(each["name"]): str(each["against"]) for each in told["rows"] if each.get("against")}
    if not against and told.get("view") == "matrix":
        against = {row.name: rows[0].name for row in rows[1:]}
    result.comparisons += _compared(result, against)
    return result


def table(document: dict[str, Any], folder: Path) -> Result:
    rows, runs = [], []
    for index, each in enumerate(objects(document, "rows", "result")):
        name = take(each, "label", str, f"rows[{index}]")
        rows.append(Row(name, str(each.get("model", "")), ""))
        runs.append(_run(each, name, "closed", 1, index + 1))
    title = {"name": "table", "title": "The seed table",
             "question": "What do the execution models do under the load of the published table?"}
    return _result(document, folder, "table", title, rows, [Point("closed")], runs, "./duel demo")


def _switches(switches: Any) -> str:
    return " ".join(f"--{key} {value}" for key, value in switches.items()) if isinstance(switches, dict) else ""


def _result(document: dict[str, Any], folder: Path, kind: str, told: dict[str, Any], rows: list[Row],
            points: list[Point], runs: list[Run], again: str) -> Result:
    names = [row.name for row in rows]
    if len(set(names)) != len(names):
        raise Wrong("names a row twice")
    result = Result(folder, str(document.get("name") or folder.name), kind, str(document.get("began", "")),
                    str(document.get("ended") or ""), told, inner(document, "settings"), rows, points, runs, {}, [],
                    None, words(document.get("taints")), None, again)
    for row in names:
        for point in points:
            for measure in MEASURES:
                values = [run.figures[measure] for run in result.at(row, point.name) if measure in run.figures]
                if values:
                    bounds = median_interval(values)
                    ends = (None, None) if bounds is None else (bounds.low, bounds.high)
                    result.summaries[row, point.name, measure] = Summary(len(values), statistics.median(values), *ends)
    result.notes.append("latencies are wrk-corrected: wrk adds phantom samples for slow answers, so p75 to p99 are not "
                        "measurements")
    result.notes.append("no A/A control row: the noise of the machine was not measured" + _spread(result))
    return result


def _spread(result: Result) -> str:
    """How far repeats of one row lie apart, the closest there is to a measure of the noise."""
    worst = max(((max(values) / min(values), row.name) for row in result.rows for point in result.points
                 if len(values := [run.figures["requests_per_s"] for run in result.at(row.name, point.name)
                                   if run.figures.get("requests_per_s")]) > 1), default=None)
    if worst is None:
        return "; with one run a row there is not even a spread to judge it by"
    return (f"; repeats of one row differ by up to x{worst[0]:.2f} in requests a second ({worst[1]}), and smaller "
            "differences mean little")


def _run(each: dict[str, Any], row: str, point: str, block: int, at: int) -> Run:
    where = f"a run of {row}"
    raw, judged = take(each, "raw", dict, where), take(each, "audit", dict, where)
    report = numbers(take(raw, "report", dict, where))
    failed = {key: int(report[key]) for key in _FAILED if report.get(key)}
    figures = numbers({
        "requests_per_s": report.get("requests_per_s"), "switches_per_1000": judged.get("switches_per_1000"),
        "cpu_us_user": judged.get("user_us"), "cpu_us_system": judged.get("system_us"),
        "n_eff": judged.get("n_eff"), "peak_mib": judged.get("peak_mib"), "served": judged.get("served"),
        "connections": raw.get("connections")})
    total = number(judged.get("cpu_us"))
    if total is None and {"cpu_us_user", "cpu_us_system"} <= figures.keys():
        total = figures["cpu_us_user"] + figures["cpu_us_system"]
    if total is not None:
        figures["cpu_us_total"] = total
    clock = {name.removesuffix("_ms"): value * 1e3 for name, value in report.items() if name.endswith("_ms")}
    if not failed and not judged.get("starved"):  # percentiles of the few that were served stand for nothing
        figures |= {key: report[name] * 1e3 for key, name in _KEYS.items() if name in report}
    return Run(at, block, row, point, figures, {"wrk": clock}, failed, None,
               whole(inner(each, "figures").get("connections_per_worker")),
               words(judged.get("flags")), words(raw.get("server_argv")), words(raw.get("wrk_argv")),
               str(raw.get("ready_line") or ""))


def _compared(result: Result, against: dict[str, str]) -> list[Compared]:
    """Each row with the one it is measured against, repeat by repeat; Holm across the table."""
    found = []
    for point in result.points:
        for row, base in against.items():
            for measure in _EFFECTS:
                pairs = [(a.figures[measure], b.figures[measure])
                         for a, b in zip(result.at(base, point.name), result.at(row, point.name), strict=False)
                         if a.figures.get(measure, 0) > 0 and b.figures.get(measure, 0) > 0]
                if pairs:
                    found.append(((row, base, point.name, measure), pairs))
    tested = with_holm([paired_comparison(*zip(*pairs, strict=True)) for _, pairs in found])
    made = []
    for (place, pairs), each in zip(found, tested, strict=True):
        ratios = [b / a for a, b in pairs]
        bounds = (min(ratios), max(ratios)) if each.interval is None else (each.interval.low, each.interval.high)
        made.append(Compared(*place, each.n, each.ratio, bounds if each.n > 1 else None, each.interval is not None,
                             each.p_adjusted, each.different))
    return made
