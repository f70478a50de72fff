"""What is made of a campaign's runs, against values worked out by hand; and whole campaigns with a fake loader."""

from __future__ import annotations

import json
import math
import random
import sys
from pathlib import Path

import pytest
from scenarios_test import SOUND, read

from scripts import build, cli, scenarios
from scripts.campaign import plan, run, show, summary
from scripts.campaign.plan import CONTROL, Cpus, Settings

FAKE_LOAD = [sys.executable, str(Path(__file__).with_name("fake_load.py")), "--speed", "20"]
SHARED = Cpus((0, 1), (0, 1))


@pytest.fixture
def scenario(tmp_path) -> scenarios.Scenario:
    return read(tmp_path, SOUND)


def run_of(row: str, point: str, block: int, figure: float, **change: object) -> dict:
    """Every figure is `figure`: latency after sending, and twice that from the intended start."""
    latency = {"count": 100_000, "p50": figure, "p99": figure, "p99_9": figure}
    return {"row": row, "point": point, "block": block, "requests_per_s": figure,
            "offered_per_s": None if point == "closed" else figure, "cpu_us": {"total": figure},
            "latency_sent_us": latency, "latency_intended_us": {key: 2 * value for key, value in latency.items()},
            "switches_per_1000": figure, "errors": {}, "zero_served": 0, "fallen_silent": 0, "taints": [], **change}


def runs_of(made: plan.Plan, **rows: list[float]) -> list[dict]:
    """Row (`control` for the control) to its figure in each block, at every point."""
    return [run_of(CONTROL if row == "control" else row, point.name, block, figure)
            for row, figures in rows.items() for point in made.points for block, figure in enumerate(figures, 1)]


SIX = [10.0, 11, 12, 13, 14, 15]


# --- medians ---------------------------------------------------------------------------------------

def test_medians_have_the_interval_of_their_number(scenario) -> None:
    made = plan.make(scenario, Settings(6, 1, rates=(0.5,)), SHARED)
    found = summary.summaries(made, summary.by_place(runs_of(made, first=SIX)))
    by_place = {(each["point"], each["measure"]): each for each in found}
    assert len(found) == 6 + 5  # no req/s in the open loop
    closed, opened = by_place["closed", "p99_us"], by_place["50 %", "p99_us"]
    assert (closed["n"], closed["median"], closed["low"], closed["high"]) == (6, 12.5, 10, 15)
    assert closed["coverage"] == pytest.approx(1 - 2 / 64)
    assert (opened["median"], opened["low"], opened["high"]) == (25, 20, 30)  # from the intended start
    five = summary.summaries(made, summary.by_place(runs_of(made, first=SIX[:5])))
    assert {(each["low"], each["high"]) for each in five} == {(None, None)}


@pytest.mark.parametrize(("change", "measure", "value"), [
    ({}, "p50_us", 7), ({"errors": {"body": 1}}, "p50_us", None), ({"zero_served": 2}, "p99_us", None),
    ({"zero_served": 2}, "cpu_us_total", 7), ({"errors": {"body": 1}}, "requests_per_s", 7),
    ({"cpu_us": None}, "cpu_us_total", None), ({"switches_per_1000": None}, "switches_per_1000", None)])
def test_spoiled_runs_have_no_percentiles(change: dict, measure: str, value: float | None) -> None:
    assert summary.value(run_of("first", "closed", 1, 7.0, **change), measure) == value


@pytest.mark.parametrize(("count", "known"), [(10_000, True), (9_999, False)])
def test_a_percentile_needs_requests_beyond_it(count: int, known: bool) -> None:
    """p99.9 of 10,000 requests has ten beyond it."""
    made = run_of("first", "closed", 1, 7.0)
    made["latency_sent_us"]["count"] = count
    assert (summary.value(made, "p99_9_us") == 7) is known
    assert summary.value(made, "p99_us") == 7


# --- ratios ----------------------------------------------------------------------------------------

def test_a_ratio_is_taken_within_a_block(scenario) -> None:
    made = plan.make(scenario, Settings(6, 1, rates=()), SHARED)
    found = summary.comparisons(made, summary.by_place(runs_of(made, first=SIX, second=[2 * each for each in SIX])))
    assert len(found) == 6
    each = found[0].as_json()
    assert (each["row"], each["against"], each["n"], each["verdict"]) == ("second", "first", 6, "higher")
    assert (each["ratio"], each["low"], each["high"]) == pytest.approx((2, 2, 2))
    assert (each["p"], each["p_holm"]) == pytest.approx((2 / 64, 2 / 64))  # a table of one comparison


def test_holm_goes_across_a_measures_table(scenario) -> None:
    """Two points: twice the p value, so six blocks show nothing and seven do."""
    for blocks, verdict in ((6, "~"), (7, "lower")):
        made = plan.make(scenario, Settings(blocks, 1, rates=(0.5,)), SHARED)
        base = [float(each) for each in range(10, 10 + blocks)]
        found = summary.comparisons(made, summary.by_place(runs_of(made, first=base, second=[b / 2 for b in base])))
        cpu = [each.as_json() for each in found if each.measure == "cpu_us_total"]
        assert [each["p_holm"] for each in cpu] == pytest.approx([4 / 2 ** blocks] * 2)
        assert {each["verdict"] for each in cpu} == {verdict}
        assert summary.blocks_needed(made) == 7
        assert (summary.power_note(made) is None) == (blocks == 7)
    assert "it takes 7" in summary.power_note(plan.make(scenario, Settings(6, 1, rates=(0.5,)), SHARED))


def test_blocks_without_both_figures_do_not_count(scenario) -> None:
    made = plan.make(scenario, Settings(7, 1, rates=()), SHARED)
    runs = runs_of(made, first=[*SIX, 16.0], second=[*SIX, 16.0])
    runs[2]["errors"] = {"body": 1}
    runs[4]["switches_per_1000"] = 0.0
    found = {each.measure: each.of.n for each in summary.comparisons(made, summary.by_place(runs))}
    assert (found["p99_us"], found["switches_per_1000"], found["cpu_us_total"]) == (6, 6, 7)


def test_less_than_the_threshold_does_not_matter(scenario) -> None:
    made = plan.make(scenario, Settings(6, 1, rates=()), SHARED)
    for factor, verdict in ((1.029, "~"), (1.031, "higher")):
        found = summary.comparisons(made, summary.by_place(runs_of(made, first=SIX, second=[x * factor for x in SIX])))
        assert {each.as_json()["verdict"] for each in found} == {verdict}


# --- the control -----------------------------------------------------------------------------------

def test_the_control_makes_one_statement(scenario) -> None:
    made = plan.make(scenario, Settings(10, 1, rates=(0.5,)), SHARED)
    base = [float(each) for each in range(10, 20)]
    noise = [1.01, 0.99, 1.02, 0.98, 1.03, 0.97, 1.01, 0.99, 1.02, 0.98]
    steady = summary.control(made, summary.by_place(runs_of(made, first=base, control=[
        b * n for b, n in zip(base, noise, strict=True)])))
    assert steady.is_steady
    assert steady.verdict.startswith("~ two identical rows differ by x1.0")
    written = steady.as_json(made)
    assert (written["row"], written["of"], len(written["results"])) == (CONTROL, "first", 11)
    assert written["primary"] == {"measure": "cpu_us_total", "point": "closed"}
    assert 0.005 < written["minimum_detectable"]["cpu_us_total"] < 0.05
    shifted = summary.control(made, summary.by_place(runs_of(made, first=base, control=[1.1 * b for b in base])))
    assert not shifted.is_steady
    assert shifted.verdict.startswith("machine not steady: two identical rows differ by x1.100")
    # One claim of eleven: Holm across all of them, and all agree.
    assert [each["p_holm"] for each in shifted.as_json(made)["results"]] == pytest.approx([11 * 2 / 1024] * 11)


def test_too_few_blocks_leave_the_machine_unknown(scenario) -> None:
    made = plan.make(scenario, Settings(5, 1, rates=()), SHARED)
    found = summary.control(made, summary.by_place(runs_of(made, first=SIX[:5], control=SIX[:5])))
    assert "fewer than 6 blocks (5) have no interval" in found.verdict
    assert summary.control(made, {}).verdict == "machine not known: the control has no figures"


def test_a_claim_below_the_noise_is_doubted(scenario) -> None:
    made = plan.make(scenario, Settings(10, 1, rates=()), SHARED)
    base = [float(each) for each in range(10, 20)]
    noise = [1.2, 0.8, 1.1, 0.9, 1.2, 0.8, 1.1, 0.9, 1.2, 0.8]
    runs = runs_of(made, first=base, second=[1.05 * b for b in base],
                   control=[b * n for b, n in zip(base, noise, strict=True)])
    small = summary.document(made, runs)["comparisons"]
    assert all(each["different"] and "too noisy for 5 %: minimum detectable effect" in each["doubt"] for each in small)
    large = summary.document(made, [run_of(each["row"], each["point"], each["block"], each["requests_per_s"] * (
        3 if each["row"] == "second" else 1)) for each in runs])["comparisons"]
    assert all(each["different"] and each["doubt"] is None for each in large)


def test_identical_rows_come_out_the_same(scenario) -> None:
    """400 campaigns of the quick profile, heavy-tailed noise that a block's rows share in part: at least 19 of 20
    claim no difference anywhere, neither of the control nor of a second identical row."""
    made = plan.make(scenario, Settings(6, 1, quick=True), SHARED)
    draw = random.Random(5)
    clean = 0
    for _ in range(400):
        runs = []
        for point in made.points:
            for block in range(1, 7):
                shared = draw.gauss(0, 0.2)
                for row in made.rows:
                    one = run_of(row.name, point.name, block, 1.0)
                    common = math.exp(shared + draw.gauss(0, 0.05) / (0.1 + draw.random()))
                    one["requests_per_s"], one["cpu_us"] = 1 / common, {"total": common}
                    runs.append(one)
        placed = summary.by_place(runs)
        noise = summary.control(made, placed)
        clean += noise.is_steady and not any(each.of.different for each in [
            *noise.results, *summary.comparisons(made, placed)])
    assert clean >= 0.95 * 400 - 15  # 3.5 standard deviations of 400 draws at 0.95
    assert clean < 400


# --- tables ----------------------------------------------------------------------------------------

@pytest.mark.parametrize(("number", "text"), [(0.1234, "0.123"), (6.3, "6.3"), (99.96, "100"), (512.4, "512"),
                                              (9999, "9,999"), (12345, "12.3k"), (123456, "123k"), (999_600, "1M"),
                                              (1.5e6, "1.5M")])
def test_figures_are_short(number: float, text: str) -> None:
    assert show.figure(number) == text


def test_a_cell_says_what_is_not_shown() -> None:
    known = {"ratio": 1.5, "low": 1.2, "high": 1.8, "different": True}
    assert show.cell(known) == "x1.50 (1.20..1.80)"
    assert show.cell({**known, "doubt": "too noisy"}) == "x1.50 (1.20..1.80)?"
    assert show.cell({**known, "different": False}) == "~ x1.50 (1.20..1.80)"
    assert show.cell({**known, "low": None, "high": None, "different": False}) == "~ x1.50"


# --- whole campaigns -------------------------------------------------------------------------------

def test_a_campaign_leaves_a_whole_result(fake, scenario, results_folder, capsys) -> None:
    slow = [*FAKE_LOAD, "--slow-model", "sharded"]
    run.run(scenario, Settings(2, 3, quick=True, duration_s=1), "trial", False, fake, slow)
    folder = results_folder / "trial"
    assert {each.name for each in folder.iterdir()} == {
        "result.json", "machine.json", "table.md", "plan.json", "starts.json", "calibration.json", "runs"}
    made = json.loads((folder / "result.json").read_text())
    assert (made["schema_version"], made["kind"], made["name"], made["complete"]) == (1, "campaign", "trial", True)
    assert [each["name"] for each in made["rows"]] == ["first", "second", CONTROL]
    assert [each["control_of"] for each in made["rows"]] == [None, None, "first"]
    assert [(each["name"], each["kind"], each["of_peak"]) for each in made["points"]] == [
        ("closed", "closed", None), ("50 %", "open", 0.5)]
    rate = made["points"][1]["rate"]
    assert rate == pytest.approx(made["calibration"]["peak"] / 2, abs=0.1)
    assert made["calibration"]["row"] == "second"
    assert [number for block in made["order"] for number in block] == [each["number"] for each in made["runs"]]
    for each in made["runs"]:
        kept = json.loads((folder / each["file"]).read_text())
        assert {**each, "load": kept["load"]} == kept
        assert kept["load"]["latency_ns"]
        assert f"--rate {rate:g}" in " ".join(each["load_argv"]) or each["point"] == "closed"
    traces = {(each["block"], each["load_argv"][each["load_argv"].index("--seed") + 1]) for each in made["runs"]}
    assert traces == {(1, "4"), (2, "5")}
    closed = next(each for each in made["comparisons"]
                  if (each["point"], each["measure"]) == ("closed", "requests_per_s"))
    assert (closed["row"], closed["against"], closed["verdict"]) == ("second", "first", "~")
    assert closed["ratio"] == pytest.approx(0.5, rel=0.05)
    out = capsys.readouterr().out
    assert "machine not known" in out
    assert "--blocks 2 cannot show a difference" in out
    assert all(len(line) <= 120 for line in out.splitlines())
    assert "| second | first | ~ x0." in (folder / "table.md").read_text()


def test_the_command_line_runs_campaigns(fake, tmp_path, results_folder, monkeypatch, capsys) -> None:
    monkeypatch.setattr(scenarios, "FOLDER", tmp_path)
    for name, command in (("server", fake), ("loader", FAKE_LOAD)):
        (tmp_path / name).write_text(f'#!/bin/sh\nexec {" ".join(command)} "$@"\n')
        (tmp_path / name).chmod(0o755)
    (tmp_path / "one.toml").write_text(SOUND)
    (tmp_path / "two.toml").write_text(SOUND)
    built = []
    monkeypatch.setattr(run, "SERVER", str(tmp_path / "server"))
    monkeypatch.setattr(run, "LOADER", str(tmp_path / "loader"))
    monkeypatch.setattr(build, "build", lambda *given: built.append(given))
    argv = ["bench", "one", "two", "--blocks", "1", "--quick", "--duration", "1", "--models", "sharded", "--rates", "",
            "--name", "n", "--seed", "5", "--json", str(tmp_path / "all.json")]
    assert cli.dispatch(argv) == 0
    assert built == [("release", ["duel-server", "duel-load"])]
    assert {each.name for each in results_folder.iterdir()} == {"n-one", "n-two"}
    made = json.loads((tmp_path / "all.json").read_text())["results"]
    assert [(each["settings"]["seed"], len(each["runs"])) for each in made] == [(5, 2), (5, 2)]
    assert "campaign n-two: 2 runs (blocks 1, rows 2, points 1), seed 5" in capsys.readouterr().err
