"""The tables of the page, as cells: what was measured, how rows compare, what to hold against the runs."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from scripts.compare import one_line
from scripts.report.model import BLANK, MEASURES, Point, Result, Run, Summary
from scripts.tables import Table

_SLOS_MS = (0.2, 0.5, 1.0, 5.0, 10.0)


def summaries(result: Result) -> Table:
    """A section a point, a line a row: medians and their intervals."""
    measures = [name for name in MEASURES if any(key[2] == name for key in result.summaries)]
    lines: list[list[str]] = []
    sections: dict[int, str] = {}
    for point in result.points:
        if len(result.points) > 1:
            sections[len(lines)] = _heading(point)
        for row in result.rows:
            runs = result.at(row.name, point.name)
            cells = [_cell(name, result.summary(row.name, point.name, name)) for name in measures]
            lines.append([row.name, *cells, f"{sum(run.failed for run in runs):,}" if runs else BLANK,
                          str(len(runs))])
    return Table(["row", *(MEASURES[name].head for name in measures), "errors", "runs"], lines, sections)


def _heading(point: Point) -> str:
    if not point.is_open:
        return "closed loop" if point.name == "closed" else point.name
    rate = "" if point.rate is None else f": {point.rate:,.0f} requests a second"
    return f"open loop, {point.name}{' of the peak' if point.of_peak is not None else ''}{rate}"


def _cell(name: str, summary: Summary | None) -> str:
    if summary is None:
        return BLANK
    told = MEASURES[name]
    if summary.low is None or summary.high is None:
        return told.text(summary.median)
    return f"{told.text(summary.median)} ({told.text(summary.low)}..{told.text(summary.high)})"


def comparisons(result: Result, control: bool = False) -> Table | None:
    """Paired ratios, a section a pair of rows, a line a point."""
    found = result.control.results if control and result.control else [] if control else result.comparisons
    if not found:
        return None
    measures = [name for name in MEASURES if any(each.measure == name for each in found)]
    cells = {(each.row, each.against, each.point, each.measure): each for each in found}
    lines: list[list[str]] = []
    sections: dict[int, str] = {}
    for row, against in dict.fromkeys((each.row, each.against) for each in found):
        sections[len(lines)] = f"{row} / {against}"
        for point in result.points:
            here = [cells.get((row, against, point.name, name)) for name in measures]
            if any(here):
                lines.append([_heading(point).partition(":")[0],
                              *(BLANK if each is None else str(each) for each in here),
                              _p(min((each.p_holm for each in here if each and each.p_holm is not None), default=None)),
                              str(max(each.n for each in here if each))])
    return Table(["", *(MEASURES[name].head.partition(" ")[0] if MEASURES[name].unit.strip() in ("ms", "µs")
                        else MEASURES[name].head for name in measures), "least p (Holm)", "blocks"], lines, sections)


def _p(value: float | None) -> str:
    return BLANK if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def slo(result: Result) -> Table | None:
    """The highest of the loads measured at which p99 stays within a limit, all below it included."""
    if len(result.open) < 2:
        return None
    lines = []
    for row in result.rows:
        kept: dict[float, float] = {}
        for limit in _SLOS_MS:
            for point in result.open:
                summary = result.summary(row.name, point.name, "p99_us")
                if summary is None or summary.median > limit * 1e3:
                    break
                kept[limit] = point.rate or 0.0
        lines.append([row.name, *(f"{kept[limit]:,.0f}" if limit in kept else "none" for limit in _SLOS_MS)])
    return Table(["row", *(f"p99 within {limit:g} ms" for limit in _SLOS_MS)], lines)


def health(result: Result) -> Table | None:
    """The worst of all runs of a row, in what a run can fail by."""
    worst = (("n_eff", "N_eff, farthest from 1", lambda values: max(values, key=lambda each: abs(each - 1)), "{:.2f}"),
             ("jain", "Jain, least", min, "{:.3f}"), ("zero_served", "connections never served, most", max, "{:,.0f}"),
             ("fallen_silent", "fallen silent, most", max, "{:,.0f}"),
             ("lateness_p99_us", "sends late by, p99 µs, most", max, "{:,.0f}"),
             ("loader_cpu_share", "loader thread busy, most", max, "{:.0%}"), ("peak_mib", "peak MiB", max, "{:.1f}"))
    kept = [each for each in worst if any(each[0] in run.figures for run in result.runs)]
    if not kept:
        return None
    lines = []
    for row in result.rows:
        runs = [run for run in result.runs if run.row == row.name]
        seen = [[run.figures[name] for run in runs if name in run.figures] for name, *_ in kept]
        cells = [text.format(choose(values)) if values else BLANK
                 for (_, _, choose, text), values in zip(kept, seen, strict=True)]
        lines.append([row.name, *cells, f"{sum(bool(run.taints) for run in runs)} of {len(runs)}", errors(runs)])
    return Table(["row", *(head for _, head, *_ in kept), "runs tainted", "errors"], lines)


def errors(runs: list[Run]) -> str:
    """`12 timeout, 3 reset`, or none."""
    counted: Counter[str] = Counter()
    for run in runs:
        counted.update(run.errors)
    return ", ".join(f"{count:,} {kind}" for kind, count in counted.most_common()) or "none"


def tainted(result: Result) -> list[tuple[str, int, str]]:
    """(taint, runs that have it, rows), most frequent first. Those that differ in figures only count as one."""
    seen: dict[str, list[tuple[str, Run]]] = {}
    for run in result.runs:
        for taint in run.taints:
            seen.setdefault(re.sub(r"\d[\d.,]*", "#", taint.partition(":")[0]), []).append((taint, run))
    told = []
    for found in seen.values():
        such = "such as " if len({taint for taint, _ in found}) > 1 else ""
        told.append((such + found[0][0], len({run.number for _, run in found}),
                     ", ".join(dict.fromkeys(run.row for _, run in found))))
    return sorted(told, key=lambda each: -each[1])


def rows(result: Result) -> Table:
    """How each row's server is set up, and the first ready line it printed."""
    lines = []
    for row in result.rows:
        ready = next((run.ready_line for run in result.runs if run.row == row.name and run.ready_line), BLANK)
        note = f"control: {row.control_of} again" if row.control_of is not None else row.changes
        lines.append([row.name, row.model, row.driver or BLANK, note or BLANK, row.switches or BLANK,
                      " ".join(word for word in ready.split() if "=" in word) or BLANK])
    return Table(["row", "model", "driver", "what it is", "switches", "as the server says"], lines, text_columns=6)


def machine(record: dict[str, Any] | None) -> tuple[str, list[tuple[str, list[tuple[str, str]]]]]:
    """One line, and by section every key with its value."""
    if not isinstance(record, dict):
        return "machine not recorded", []
    try:
        line = one_line(record)
    except (KeyError, TypeError, AttributeError):
        line = "machine recorded in part"
    sections = [(name, list(_flat(part))) for name, part in record.items() if isinstance(part, dict)]
    rest = [(name, _plain(part)) for name, part in record.items() if not isinstance(part, dict)]
    return line, [*sections, *([("other", rest)] if rest else [])]


def _flat(part: dict[str, Any], before: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in part.items():
        if isinstance(value, dict) and value:
            found += _flat(value, f"{before}{key}.")
        else:
            found.append((f"{before}{key}", _plain(value)))
    return found


def _plain(value: Any) -> str:
    if value is None:
        return BLANK
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


