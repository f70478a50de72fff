"""The page: one HTML file without a script, a link outwards or a file beside it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts import results
from scripts.report import figures, report_tables, style, verdicts
from scripts.report.model import Result, Run

_TEMPLATE = Path(__file__).with_name("report.html.j2")
_MOST_UNREAD = 3  # runs that are named one by one
_CONTENTS = (("verdict", "Verdict"), ("taints", "Taints"), ("tables", "Tables"), ("figures", "Figures"),
             ("machine", "Machine"), ("commands", "Command lines"), ("reproduce", "How to reproduce"))
_EXPECTATIONS = (("varies", "What varies"), ("expected", "Expected"), ("reason", "Because"), ("source", "Source"))


def write(result: Result, path: Path, tick: Callable[[str], None] = lambda _: None,
          ) -> tuple[list[figures.Drawn], list[figures.LeftOut]]:
    """Writes the page, whole or not at all; what it shows, and what it could not."""
    from markupsafe import Markup, escape
    drawn, left_out, shown = [], [], []
    for each in figures.draw(result, tick):
        if isinstance(each, figures.LeftOut):
            left_out.append(each)
            continue
        drawn.append(each)
        svg = style.inline_svg(each.figure, each.name, str(escape(each.title)))
        shown.append({"name": each.name, "title": each.title, "caption": each.caption, "svg": Markup(svg)})
    results.write_text(path, _html(result, shown, left_out))
    return drawn, left_out


def _html(result: Result, shown: list[dict[str, str]], left_out: list[figures.LeftOut]) -> str:
    from jinja2 import Environment, StrictUndefined
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(
        _TEMPLATE.read_text(encoding="utf-8"))
    machine_line, machine = report_tables.machine(result.machine)
    noise = "" if result.told is not None else verdicts.noise(result)
    compared = [*result.comparisons, *(result.control.results if result.control else [])]
    build = (result.machine or {}).get("build")
    return template.render(
        result=result, title=result.scenario.get("title") or result.name,
        question=result.scenario.get("question") or "", contents=_CONTENTS,
        expectations=[(word, result.scenario[key]) for key, word in _EXPECTATIONS if result.scenario.get(key)],
        verdicts=verdicts.verdicts(result), noise=noise[:1].upper() + noise[1:] + ("" if noise.endswith(".") else "."),
        told=result.told,
        control_verdict=result.control.verdict if result.control else "", taints=result.taints,
        run_taints=report_tables.tainted(result), notes=_notes(result, noise),
        summaries=report_tables.summaries(result), comparisons=report_tables.comparisons(result),
        control=report_tables.comparisons(result, control=True), slo=report_tables.slo(result),
        health=report_tables.health(result), rows=report_tables.rows(result), clocks=_clocks(result),
        bracket="its interval" if all(each.is_interval for each in compared)
        else "its interval or, with fewer than six blocks, the least and the largest",
        figures=shown,
        left_out=left_out, machine_line=machine_line, machine=machine, commands=_commands(result),
        commit=(build.get("commit") if isinstance(build, dict) else None) or "unknown",
        settings=[(key, _plain(value)) for key, value in result.settings.items()],
        colours={} if result.told is not None else {name: look.colour for name, look in style.styles(result).items()},
        controls={row.name for row in result.rows if row.control_of is not None})


def _notes(result: Result, noise: str) -> list[str]:
    more = len(result.unread) - _MOST_UNREAD
    return [*(note for note in result.notes if note != noise), *result.unread[:_MOST_UNREAD],
            *(["and so with one more" if more == 1 else f"and so with {more:,} more"] if more > 0 else [])]


def _clocks(result: Result) -> str:
    if result.by_wrk:
        return "Latencies are wrk-corrected. —: percentiles of a row that starved connections or failed requests."
    return ("Latencies of an open loop count from the moment a request was due, those of the closed loop from its "
            "send; a closed loop's are not latencies at a load.")


def _commands(result: Result) -> list[tuple[str, list[str]]]:
    """Of each row, every run: where it stood, then the two command lines."""
    def lines(run: Run) -> list[str]:
        return [f"# run {run.number}, block {run.block}, {run.point}", shlex.join(run.server_argv),
                shlex.join(run.load_argv)]

    return [(row.name, [" \n".join(lines(run)) for run in result.runs if run.row == row.name]) for row in result.rows]


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(each)}" for key, each in value.items())
    return " ".join(map(_plain, value)) if isinstance(value, list) else "" if value is None else str(value)
