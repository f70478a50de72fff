"""The tables, on the terminal (within 120 columns) and as Markdown, from the same cells."""

from __future__ import annotations

import sys
import textwrap
from dataclasses import dataclass, field

from scripts import published
from scripts.audit import Audit
from scripts.wrk import Report

CORRECTED = ("Latencies are wrk-corrected milliseconds: wrk adds phantom samples for every latency above twice "
             "the mean, so p75 to p99 are not measurements where a few requests are slow.")
READING = ("Served: connections that got an answer. N_eff: Req/s x mean latency / connections, 1.00 when all take "
           "part. CPU: microseconds a request. Switches: context switches per 1,000 requests, over the threads "
           "alive when the load stopped. Peak: most memory ever resident.")

WIDTH = 120


@dataclass(frozen=True)
class Table:
    """Header lines may hold newlines. The first columns are text, the others are figures."""

    headers: list[str]
    rows: list[list[str]]
    sections: dict[int, str] = field(default_factory=dict)  # row index -> heading above it
    text_columns: int = 1


SEED_HEADERS = ["Model", "Req/s", "p50\nms", "p75\nms", "p90\nms", "p99\nms", "errors",
                "served", "N_eff", "user\nµs", "system\nµs", "switch\n/1,000", "peak\nMiB"]


def milliseconds(value: float) -> str:
    """Three significant figures or two decimals, whichever is shorter to read."""
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}"


def seed_row(label: str, report: Report, audit: Audit) -> list[str]:
    latencies = [report.p50_ms, report.p75_ms, report.p90_ms, report.p99_ms]
    served = "?" if audit.served is None else f"{audit.served:,}"
    n_eff = f"{audit.n_eff:.2f}" + ("" if audit.n_eff_word == "ok" else f" {audit.n_eff_word}")
    return [label, f"{report.requests_per_s:,.0f}", *map(milliseconds, latencies), f"{report.errors:,}",
            served, n_eff, f"{audit.user_us:.2f}", f"{audit.system_us:.2f}",
            f"{audit.switches_per_1000:,.1f}", f"{audit.peak_mib:,.1f}"]


def published_row(row: published.PublishedRow) -> list[str]:
    latencies = [row.p50_ms, row.p75_ms, row.p90_ms, row.p99_ms]
    return [row.model, f"{row.requests_per_s:,}", *map(milliseconds, latencies), f"{row.errors:,}", *[""] * 6]


def seed_table(measured: list[list[str]]) -> Table:
    theirs = [published_row(row) for row in published.ROWS]
    return Table(SEED_HEADERS, [*measured, *theirs],
                 {0: "measured here", len(measured): "published, from another machine"})


def wrapped(note: str, indent: str = "") -> str:
    """A note below a table, within its width."""
    return textwrap.fill(note, WIDTH, initial_indent=indent, subsequent_indent=indent + "  ")


def show(table: Table) -> None:
    """Prints to standard output; bold and dim on a terminal, plain text elsewhere."""
    bold, dim, plain = ("\x1b[1m", "\x1b[2m", "\x1b[0m") if sys.stdout.isatty() else ("", "", "")
    headers = [header.split("\n") for header in table.headers]
    widths = [max(map(len, [*header, *(row[column] for row in table.rows)])) for column, header in enumerate(headers)]
    gap = "  " if sum(widths) + 2 * len(widths) <= WIDTH else " "

    def line(cells: list[str]) -> str:
        aligned = [cell.ljust(width) if column < table.text_columns else cell.rjust(width)
                   for column, (cell, width) in enumerate(zip(cells, widths, strict=True))]
        return gap.join(aligned).rstrip()

    height = max(map(len, headers))
    for level in range(height):
        # Short headers stand at the bottom, beside the units of the others.
        shown = [header[level - height] if level >= height - len(header) else "" for header in headers]
        print(bold + line(shown) + plain)
    print("─" * (sum(widths) + len(gap) * (len(widths) - 1)))
    for index, row in enumerate(table.rows):
        if index in table.sections:
            print(("\n" if index > 0 else "") + dim + table.sections[index] + plain)
        print(line(row))


def markdown(table: Table) -> str:
    """A pipe table; headings become rows of their own."""
    width = len(table.headers)
    lines = ["| " + " | ".join(header.replace("\n", " ") for header in table.headers) + " |",
             "|" + "---|" * table.text_columns + "---:|" * (width - table.text_columns)]
    for index, row in enumerate(table.rows):
        if index in table.sections:
            lines.append("| *" + table.sections[index] + "*" + " |" * width)
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines) + "\n"
