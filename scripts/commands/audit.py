"""./duel audit: what can be held against anybody's benchmark table. The rules are in scripts/table_audit.py."""

from __future__ import annotations

import argparse
import math
import sys
from typing import Any

from scripts.flags import absolute

SCHEMA_VERSION = 1

SUMMARY = "say what can be held against anybody's benchmark table"
DETAIL = """It measures nothing: it asks whether the
figures of FILE can all be true. FILE is JSON ({"tool": "wrk", "connections": 1000, "duration_s": 30, "rows":
[{...}]}, or the list of rows alone) or CSV (also with ; or tab), or any text with a Markdown table, of which the
first with requests per second is taken. What holds for all rows may stand on top, in CSV as lines like
`# connections: 1000`, or in the command line: --with connections=1000.

columns (upper and lower case, spaces and usual synonyms do not matter; a value may bring its unit):
  name            what the row is
  requests_per_s  312071, 312,071, 312k or "312,071 req/s"; a comma is no decimal point
  mean_ms min_ms p50_ms p75_ms p90_ms p99_ms p99.9_ms ... max_ms
                  or p99_us, "p99 (ms)", 99%, 1.42ms; without any unit: ms, or what `unit` says
  connections     and pipeline (requests sent at once, 1), think_ms (pause after an answer, 0)
  errors          a count (with duration_s or requests), or a percentage: 0.4%
  tool            wrk, oha, hey, ...; wrk, hey, autocannon, bombardier and k6 leave out answers slower than a cap
  duration_s      of the run; timeout_s: the tool's cap when it was set; requests: answers in all
  rate            requests per second that an open loop offered; wrk2 and vegeta are open loops
  service_ms      the least an answer takes (a handler that sleeps 100 ms)
  cpu_us cores    CPU time of the server for a request, and the cores it may use

verdicts, each row has the worst that a rule gives it:
  red             the figures cannot be what they are called, or they hide where the time went
  amber           they can, but something is left out that matters
  undetermined    the table does not print enough to tell: what to ask is said
  green           nothing can be held against it (which proves nothing about the server)

rules: malformed (no samples, percentiles that fall, a mean outside its percentiles), errors (1 % red, 0.1 %
amber), error-per-answer, service-floor, throughput-bound, cpu, littles-law, hidden-tail, open-loop.
Little's law: N_eff = req/s x mean (+ think time) / (connections x pipeline). By the mean: green 0.9 to 1.02,
amber 0.8 to 1.1, else red. By percentiles only, bounds on the mean: red if all of them lie outside 0.8 to 1.1,
green if all lie inside, else undetermined. p50 is never taken for the mean. hidden-tail: the slowest answers had to
take 100 times the last percentile (red), or more than it (amber). open-loop: achieved within 1 % of offered.

--json keys: schema_version, kind, file, source, unused, summary {red, amber, undetermined, green}, rows [{name,
verdict, n_eff {low, high (null: no bound), source (mean, percentiles)} or null, findings [{rule, verdict, says,
means, ask}]}]. Exit status: 0 audited, whatever it found; 2 FILE cannot be read as a table."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=absolute, metavar="FILE", help="the table: JSON, CSV or Markdown")
    parser.add_argument("--with", action="append", default=[], metavar="KEY=VALUE", dest="outside",
                        help="of all rows, where FILE does not say it: --with tool=wrk --with duration=30s")
    parser.add_argument("--json", type=absolute, metavar="F", help="also write the verdicts to F")


def run(given: argparse.Namespace) -> int:
    from scripts import results, table_audit, table_read
    from scripts.paths import shown
    if given.json is not None:
        results.check_writable(given.json)
    table = table_read.read(given.file, given.outside)
    audits = [table_audit.audit(row) for row in table.rows]
    _show(table, audits)
    if given.json is not None:
        results.write_json(given.json, _document(shown(given.file), table, audits))
    return 0


def _counts(audits: list[Any]) -> dict[str, int]:
    from scripts.table_audit import VERDICTS
    return {word: sum(each.verdict == word for each in audits) for word in VERDICTS}


def _document(file: str, table: Any, audits: list[Any]) -> dict[str, Any]:
    def n_eff(bracket: Any) -> dict[str, Any] | None:
        if bracket is None:
            return None
        return {"low": bracket.low, "high": None if math.isinf(bracket.high) else bracket.high,
                "source": bracket.source}

    rows = [{"name": row.name, "verdict": each.verdict, "n_eff": n_eff(each.n_eff),
             "findings": [vars(finding) for finding in each.findings]}
            for row, each in zip(table.rows, audits, strict=True)]
    return {"schema_version": SCHEMA_VERSION, "kind": "table_audit", "file": file, "source": table.source,
            "unused": table.unused, "summary": _counts(audits), "rows": rows}


def _show(table: Any, audits: list[Any]) -> None:
    from scripts import tables
    from scripts.table_audit import spelled
    cells = []
    for row, each in zip(table.rows, audits, strict=True):
        rules = ", ".join(dict.fromkeys(finding.rule for finding in each.findings))
        cells.append([_short(row.name), each.verdict, rules,
                      f"{row.requests_per_s.value:,.0f}" if row.requests_per_s else "",
                      f"{row.slots:,.0f}" if row.slots else "", spelled(each.n_eff) if each.n_eff else ""])
    tables.show(tables.Table(["Row", "verdict", "rule", "req/s", "at once", "N_eff"], cells, text_columns=3))
    print()
    alike: dict[tuple[str, str], list[str]] = {}
    for row, each in zip(table.rows, audits, strict=True):
        for finding in each.findings:
            alike.setdefault((finding.means, finding.ask), []).append(f"{_short(row.name)}: {finding.says}")
    for (means, ask), lines in alike.items():
        print(tables.wrapped(f"{means}. Ask: {ask}."))
        for line in lines:
            print(tables.wrapped(line, "  "))
    if table.unused:
        print(tables.wrapped("not used: " + ", ".join(table.unused)))
    if table.assumed_ms:
        print("latencies without a unit were read as milliseconds")
    said = ", ".join(f"{count} {word}" for word, count in _counts(audits).items() if count)
    print(f"{len(audits)} {'row' if len(audits) == 1 else 'rows'}: {said}")
    sys.stdout.flush()


def _short(name: str) -> str:
    return name if len(name) <= 32 else name[:31] + "…"
