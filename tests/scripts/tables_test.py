"""The tables: alignment, width, and the same cells in Markdown."""

from __future__ import annotations

from dataclasses import replace

from audit_test import REPORT, SOUND

from scripts import micro, tables
from scripts.audit import audit


def _table() -> tables.Table:
    wide = replace(SOUND, report=replace(REPORT, requests_per_s=411_404.4, mean_ms=0.01, p99_ms=1923.4,
                                         read_errors=3_294_267), stats_after={"served": 1002, "requests": 105_000})
    rows = [tables.seed_row("serial, keep-alive off", each.report, audit(each)) for each in (wide, SOUND)]
    return tables.seed_table(rows)


def test_the_seed_table_fits_a_terminal(capsys) -> None:
    tables.show(_table())
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 120
    assert len({line.index("411,404") + len("411,404") for line in lines if "411,404" in line}) == 1


def test_published_rows_stand_under_their_own_heading(capsys) -> None:
    tables.show(_table())
    lines = capsys.readouterr().out.splitlines()
    heading = next(i for i, line in enumerate(lines) if "published, from another machine" in line)
    assert [line.split()[0] for line in lines[heading + 1:heading + 5]] == [
        "Single-threaded", "One-thread-per-connection", "async-rt", "Tokio"]


def test_markdown_has_one_cell_a_column() -> None:
    table = _table()
    for line in tables.markdown(table).splitlines():
        assert line.count("|") == len(table.headers) + 1


def test_flagged_n_eff_carries_its_word() -> None:
    assert _table().rows[0][8].endswith("starved")
    assert _table().rows[1][8] == "1.00"


def test_micro_takes_medians_of_repetitions_not_aggregates() -> None:
    def run(time: float, kind: str = "iteration") -> dict:
        return {"name": "fiber_switch", "run_name": "fiber_switch", "run_type": kind, "real_time": time,
                "time_unit": "us", "peak_kib": 512.0}

    table = micro.table([run(3), run(1), run(2), run(900, "aggregate")])
    assert table.rows == [["fiber_switch", "2,000", "1,000..3,000", "peak_kib 512"]]
