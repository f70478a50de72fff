"""The sentences: a ratio with its interval, or that none is shown, and what the machine's noise is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.report import report_tables
from scripts.report.model import Compared, Control, Point, Result, Row, Run, Summary
from scripts.report.verdicts import noise, verdicts

SHOWN = Compared("b", "a", "closed", "requests_per_s", 10, 1.2, (1.1, 1.3), True, 0.01, True)
LEVEL = replace(SHOWN, ratio=1.01, bounds=(0.97, 1.05), p_holm=0.9, different=False)
NOISE = replace(LEVEL, row="A/A", against="a", least=0.04)


def result(found: list[Compared], control: list[Compared] | None = None, **more) -> Result:
    points = [Point("closed"), Point("50 %", True, 5e4, 0.5), Point("90 %", True, 9e4, 0.9)]
    made = None if control is None else Control("A/A", "a", control, {"requests_per_s": 0.04}, "", None)
    runs = [Run(1, 1, "a", "closed", {}, {}, {}, None, [], [], [], [], "")]
    given = {"kind": "campaign", "points": points, "summaries": {}, "taints": []} | more
    return Result(folder=Path(), name="r", began="", ended="", scenario={}, settings={}, rows=[Row("a", "", ""),
                  Row("b", "", "")], runs=runs, comparisons=found, control=made, machine=None, reproduce="", **given)


def sentence(*found: Compared, **more) -> str:
    """The only one."""
    verdict, = verdicts(result(list(found), [NOISE], **more))
    said, = [*verdict.main, *verdict.others]
    return said


def test_a_difference_has_its_interval() -> None:
    assert sentence(SHOWN) == "Requests a second in the closed loop: higher, x1.20 (1.10 to 1.30)."
    lower = replace(SHOWN, ratio=0.8, bounds=(0.7, 0.9), measure="cpu_us_total")
    assert sentence(lower) == "CPU time a request in the closed loop: lower, x0.80 (0.70 to 0.90)."


def test_no_difference_says_what_would_show() -> None:
    assert sentence(LEVEL) == ("Requests a second in the closed loop: no difference shown, x1.01 (0.97 to 1.05) "
                               "[would show from 4 %].")


def test_what_the_machine_cannot_carry_is_no_verdict() -> None:
    said = sentence(replace(SHOWN, ratio=1.03, bounds=(1.01, 1.05), doubt="machine too noisy"))
    assert said == ("Requests a second in the closed loop: seen, but this machine cannot carry it, "
                    "x1.03 (1.01 to 1.05) [would show from 4 %].")


def test_many_comparisons_and_small_effects_are_told_apart() -> None:
    many = replace(SHOWN, p_holm=0.2, different=False)
    assert "no difference shown among so many comparisons (Holm)" in sentence(many)
    small = replace(SHOWN, ratio=1.02, bounds=(1.01, 1.03), different=False)
    assert "a difference too small to matter, x1.02" in sentence(small)


def test_too_few_blocks_show_nothing() -> None:
    few = replace(LEVEL, n=3, bounds=(1.1, 1.4), ratio=1.25, is_interval=False)
    assert sentence(few) == ("Requests a second in the closed loop: no difference can be shown with 3 blocks, an "
                             "interval takes 6 (seen: x1.25, 1.10 to 1.40).")


def test_the_loads_of_an_open_loop_share_a_sentence() -> None:
    low, high = (replace(LEVEL, measure="p99_us", point="50 %"), replace(SHOWN, measure="p99_us", point="90 %"))
    assert sentence(high, low) == ("p99 in the open loop: higher, x1.20 (1.10 to 1.30) at 90 %. No difference shown, "
                                   "x1.01 (0.97 to 1.05) at 50 %.")


def test_the_noise_is_named() -> None:
    said = noise(result([SHOWN], [NOISE]))
    assert "and nothing does (closed loop: requests a second x1.01 (0.97 to 1.05))" in said
    assert "requests a second 4 %" in said
    wrong = noise(result([SHOWN], [replace(NOISE, different=True)]))
    assert "a difference shows in requests a second at closed: this machine was not steady" in wrong


def test_cells_carry_the_marks() -> None:
    assert [str(SHOWN), str(LEVEL), str(replace(SHOWN, doubt="noisy"))] == [
        "x1.20 (1.10..1.30)", "~ x1.01 (0.97..1.05)", "? x1.20 (1.10..1.30)"]


def test_highest_load_within_a_limit_ends_at_the_first_that_breaks_it() -> None:
    p99 = {("a", "50 %"): 900.0, ("a", "90 %"): 4000.0, ("b", "50 %"): 2000.0, ("b", "90 %"): 800.0}
    table = report_tables.slo(result([], summaries={
        (row, point, "p99_us"): Summary(10, value, None, None) for (row, point), value in p99.items()}))
    assert table is not None
    at = table.headers.index("p99 within 1 ms")
    assert [row[at] for row in table.rows] == ["50,000", "none"]
    assert [row[at + 1] for row in table.rows] == ["90,000", "90,000"]


@pytest.mark.parametrize("taints", [["steal: 2.1 %", "steal: 3.4 %"], ["served 3 of 64", "served 5 of 64"]])
def test_taints_that_differ_in_figures_only_count_as_one(taints: list[str]) -> None:
    made = result([])
    made.runs = [replace(made.runs[0], number=index, taints=[taint]) for index, taint in enumerate(taints)]
    assert report_tables.tainted(made) == [(f"such as {taints[0]}", 2, "a")]
