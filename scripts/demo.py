"""The seed table: every model under the seed's wrk command, and what wrk cannot see beside it."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scripts import machine, plots, published, results, tables, wrk
from scripts.audit import Audit, audit, taints
from scripts.errors import UserError
from scripts.measure import Measurement, measure, require_descriptors
from scripts.paths import shown
from scripts.progress import Progress

SERVER = "build/release/servers/duel-server"
SCHEMA_VERSION = 1
_OVERHEAD_S = 1.5  # start, settle and stop of one row
_PLOTS_S = 5.0


@dataclass(frozen=True)
class Row:
    """One line of the table: a model and its switches."""

    key: str
    label: str
    model: str
    argv: list[str]


@dataclass(frozen=True)
class Settings:
    connections: int = 1000
    duration_s: int = 30
    warmup_s: int = 2
    quick: bool = False


def rows(server: str = SERVER) -> list[Row]:
    """The rows of the seed table. serial closes after each answer first, as the seed's server did."""
    def row(key: str, label: str, model: str, *switches: str) -> Row:
        return Row(key, label, model, [server, "--model", model, *switches])

    return [
        row("serial-close", "serial, keep-alive off", "serial", "--keep-alive", "off"),
        row("serial", "serial, keep-alive on", "serial", "--keep-alive", "on"),
        row("threads", "threads", "threads"),
        row("stealing", "stealing (epoll)", "stealing"),
        row("sharded", "sharded (io_uring)", "sharded"),
    ]


def check(settings: Settings, name: str, force: bool) -> None:
    """Everything that can be wrong before minutes are spent building and measuring."""
    wrk.require()
    if settings.connections < 4:
        raise UserError(f"--connections {settings.connections} is too few (wrk has 4 threads: at least 4)", 2)
    require_descriptors(settings.connections)
    results.check_name(name, force)


def run(settings: Settings, name: str, force: bool, each: list[Row] | None = None, dirty: bool | None = None) -> None:
    """Measures all rows, prints the table, writes results/`name`."""
    each = rows() if each is None else each
    check(settings, name, force)
    load = wrk.Load(4, settings.connections, settings.duration_s)
    row_s = settings.duration_s + settings.warmup_s + _OVERHEAD_S
    began, load_before = results.utc_now(), os.getloadavg()[0]
    record = machine.record()
    with results.folder(name, force) as folder, Progress("demo", len(each) * row_s + _PLOTS_S) as progress:
        measured: list[Measurement] = []
        for index, row in enumerate(each):
            with progress.step(f"{index + 1}/{len(each)} {row.label}", row_s), results.scratch() as work:
                measured.append(measure(row.argv, load, settings.warmup_s, work, progress.tick))
        audits = [audit(raw) for raw in measured]
        is_dirty = bool(record["build"]["dirty"]) if dirty is None else dirty
        held = taints(measured, len(os.sched_getaffinity(0)), load_before, settings.quick, is_dirty)
        with progress.step("writing tables and plots", _PLOTS_S):
            _write(folder, each, measured, audits, {
                "schema_version": SCHEMA_VERSION, "kind": "table", "name": name, "began": began,
                "ended": results.utc_now(), "settings": {**asdict(settings), "command": load.as_typed()},
                "latency_note": tables.CORRECTED, "taints": held}, record)
            _draw(each, measured, audits, load.as_typed(), folder)
    table = _table(each, measured, audits)
    print(f"{load.as_typed()}\n{tables.wrapped(tables.CORRECTED)}\n", flush=True)
    tables.show(table)
    print("\n" + "\n".join(map(tables.wrapped, _notes(each, audits, held))))
    print(f"\nwritten to {shown(results.RESULTS / name)}/", flush=True)


def _table(each: list[Row], measured: list[Measurement], audits: list[Audit]) -> tables.Table:
    return tables.seed_table([tables.seed_row(row.label, raw.report, figures)
                              for row, raw, figures in zip(each, measured, audits, strict=True)])


def _notes(each: list[Row], audits: list[Audit], held: list[str]) -> list[str]:
    lines = [f"! {row.label}: {flag}" for row, figures in zip(each, audits, strict=True) for flag in figures.flags]
    lines += [tables.READING, f"Published rows: {published.SOURCE}. {published.NOTE}"]
    return [*lines, "Held against this run: " + "; ".join(held) + "."]


def _write(folder: Path, each: list[Row], measured: list[Measurement], audits: list[Audit],
           head: dict[str, Any], record: dict[str, Any]) -> None:
    for row, raw in zip(each, measured, strict=True):
        results.write_text(folder / f"wrk-{row.key}.txt", raw.wrk_text)
        results.write_json(folder / f"stats-{row.key}.json", raw.stats_after)
    results.write_json(folder / "result.json", {
        **head,
        "rows": [{"key": row.key, "label": row.label, "model": row.model, "raw": raw.as_json(),
                  "audit": {**asdict(figures), "cpu_us": figures.cpu_us}}
                 for row, raw, figures in zip(each, measured, audits, strict=True)],
        "published": {"source": published.SOURCE, "note": published.NOTE,
                      "rows": [asdict(row) for row in published.ROWS]}})
    results.write_json(folder / "machine.json", record)
    notes = "".join(f"- {line.removeprefix('! ')}\n" for line in _notes(each, audits, head["taints"]))
    table = tables.markdown(_table(each, measured, audits))
    command = head["settings"]["command"]
    results.write_text(folder / "table.md", f"`{command}`\n\n{tables.CORRECTED}\n\n{table}\n{notes}")


def _draw(each: list[Row], measured: list[Measurement], audits: list[Audit], command: str, folder: Path) -> None:
    plots.draw([plots.Bar(row.label, row.model, raw.connections, raw.report, figures)
                for row, raw, figures in zip(each, measured, audits, strict=True)], command, folder)
