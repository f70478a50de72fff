"""./duel bench NAME: loads, figures and effects on known numbers, and whole runs, short ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from audit_test import SOUND
from measure_test import _alive, _wait_for_children
from scenarios_test import SOUND as SCENARIO
from scenarios_test import read

from scripts import bench, build, cli, counters, counters_cost, effects, idle, scenario_tables, scenarios, wrk
from scripts.audit import audit
from scripts.errors import UserError
from scripts.measure import measure
from scripts.paths import ROOT

QUICK = bench.Settings(quick=True, duration_s=1, warmup_s=0)
SWEPT = SCENARIO.replace("[[rows]]", '[sweep]\nof = "connections"\nvalues = [2, 4]\nquick = [2, 4]\n[[rows]]', 1)
FAST = bench.Settings(duration_s=1, repeats=2, warmup_s=0)
BEFORE = {"requests": 0, "workers": [{"polls": 10, "running_ns": 100, "idle_ns": 50, "searching_ns": 0,
                                      "connections": 1, "driver_calls": 0, "events": 0, "longest_poll_ns": 5}] * 2}
AFTER = {"requests": 100_000, "workers": [
    {"polls": 100_010, "running_ns": 1100, "idle_ns": 250, "searching_ns": 200, "connections": 6, "driver_calls": 1000,
     "events": 50_000, "longest_poll_ns": 2_000_000},
    {"polls": 100_010, "running_ns": 1100, "idle_ns": 850, "searching_ns": 0, "connections": 4, "driver_calls": 0,
     "events": 0, "longest_poll_ns": 5}]}


# --- loads -----------------------------------------------------------------------------------------

def test_a_plain_path_needs_no_script() -> None:
    load = wrk.Load(2, 8, 1, path="/bytes?n=1", keep_alive=False)
    assert load.argv("http://h/", hold=True)[-3:] == ["-s", "scripts/hold.lua", "http://h/bytes?n=1"]
    assert load.as_typed() == "wrk -t2 -c8 -d1s --latency -H 'Connection: close' /bytes?n=1"


def asked(fake, work, load: wrk.Load, warmup_s: int = 0) -> tuple[dict[str, int], wrk.Report]:
    raw = measure([*fake, "--log"], load, warmup_s, work)
    return raw.stats_after["asked"], raw.report


def test_a_mix_asks_each_kind_in_its_share(fake, tmp_path) -> None:
    kinds = (wrk.Kind(0.75, "/often"), wrk.Kind(0.25, "/kv/{key}", "PUT", 5))
    lines, report = asked(fake, tmp_path, wrk.Load(2, 8, 1, mix=kinds, keys=3))
    puts = {line: count for line, count in lines.items() if line.startswith("PUT")}
    assert set(puts) == {"PUT /kv/1", "PUT /kv/2", "PUT /kv/3"}
    assert 0.6 < lines["GET /often"] / (lines["GET /often"] + sum(puts.values())) < 0.9
    assert report.errors == 0


def test_the_warm_up_puts_every_key(fake, tmp_path) -> None:
    kinds = (wrk.Kind(1, "/kv/{key}"), wrk.Kind(0, "/kv/{key}", "PUT", 5))
    lines, _ = asked(fake, tmp_path, wrk.Load(1, 2, 1, mix=kinds, keys=50), warmup_s=1)
    assert {line for line in lines if line.startswith("PUT")} == {f"PUT /kv/{key}" for key in range(1, 51)}


def test_sixteen_at_once_are_sixteen_requests(fake, tmp_path) -> None:
    lines, report = asked(fake, tmp_path, wrk.Load(1, 2, 1, pipeline=16))
    assert report.errors == 0
    assert 0 <= lines["GET /"] - report.requests <= 2 * 16


def test_a_pause_makes_few_requests(fake, tmp_path) -> None:
    _, report = asked(fake, tmp_path, wrk.Load(1, 2, 1, think_ms=100))
    assert 0 < report.requests < 500  # without the pause, tens of thousands


def test_littles_law_knows_batches_and_pauses() -> None:
    assert audit(replace(SOUND, pipeline=2)).n_eff == pytest.approx(0.5)
    assert audit(replace(SOUND, think_ms=100.0)).n_eff == pytest.approx(2.0)


# --- figures ---------------------------------------------------------------------------------------

def test_figures_are_of_the_run_and_not_of_the_warm_up() -> None:
    found = counters.figures(replace(SOUND, stats_before=BEFORE, stats_after=AFTER))
    assert found["polls"] == pytest.approx(2.0)
    assert found["driver_calls"] == pytest.approx(0.01)
    assert found["events_per_call"] == pytest.approx(50)
    assert found["longest_poll_ms"] == pytest.approx(2.0)
    assert (found["busy"], found["searching"], found["idle"]) == pytest.approx((0.4, 0.1, 0.5))
    assert found["skew"] == pytest.approx(600 / 400)
    assert found["connections_per_worker"] == [5, 3]
    assert found["steals"] is None


def test_a_reactor_thread_is_no_worker() -> None:
    after = {**AFTER, "workers": [*AFTER["workers"], {**AFTER["workers"][1], "connections": 0}]}
    raw = replace(SOUND, warmup_s=0, stats_before=None, stats_after=after, ready_line="listening on x:1 workers=2 y=3")
    assert counters.figures(raw)["connections_per_worker"] == [6, 4]
    assert counters.figures(replace(raw, ready_line=""))["connections_per_worker"] == [6, 4, 0]


def test_counters_of_an_unknown_time_are_missing() -> None:
    assert counters.figures(replace(SOUND, stats_before=None, stats_after=AFTER))["polls"] is None


def test_a_forced_switch_is_named() -> None:
    effective = {"switches": {"uring-flags": "none", "lifo": "on"}}
    assert counters.forced({"uring-flags": "defer", "lifo": "on"}, effective) == ["--uring-flags=defer became none"]
    assert counters.forced({"lifo": "on"}, {}) == []


# --- effects ---------------------------------------------------------------------------------------

def runs(**rows: list[float]) -> effects.Runs:
    return {name: [{"requests_per_s": value, "cpu_us": 10.0, "p99_ms": 0.0} for value in values]
            for name, values in rows.items()}


def test_a_ratio_is_taken_within_a_repeat() -> None:
    effect = effects.between(runs(a=[100, 200, 300], b=[50, 100, 150]), "a", "b", "requests_per_s")
    assert effect.ratios == [2, 2, 2]
    assert str(effect) == "x2.00 (2.00..2.00)"


@pytest.mark.parametrize(("ratios", "text"), [([], "—"), ([1.5], "x1.50"), ([0.9, 1.1, 1.2], "~ x1.10 (0.90..1.20)"),
                                              ([1.0, 1.1], "~ x1.05 (1.00..1.10)"), ([0.5, 0.9], "x0.70 (0.50..0.90)")])
def test_an_effect_is_shown_where_the_repeats_agree(ratios: list[float], text: str) -> None:
    assert str(effects.Effect(ratios)) == text


def test_nothing_is_divided_by_nothing() -> None:
    assert effects.between(runs(a=[1], b=[1]), "a", "b", "p99_ms").ratios == []


def test_the_matrix_separates_scheduler_and_driver() -> None:
    scenario = scenarios.load("matrix")
    values = {"stealing/epoll": 100, "stealing/uring": 200, "sharded/epoll": 300, "sharded/uring": 1200}
    found = effects.matrix(scenario, runs(**{name: [value] for name, value in values.items()}), "requests_per_s")
    assert found.by_scheduler["epoll"].ratios == [3]
    assert found.by_driver["sharded"].ratios == [4]
    assert found.scheduler.ratios == [pytest.approx(18 ** 0.5)]
    assert found.driver.ratios == [pytest.approx(8 ** 0.5)]
    assert found.interaction.ratios == [2]


# --- what counters cost ----------------------------------------------------------------------------

def test_too_few_pairs_are_refused() -> None:
    with pytest.raises(UserError, match="5 pairs have no 95 % interval"):
        counters_cost.check(5, 1)


def test_the_cost_is_a_ratio_within_a_pair(fake, monkeypatch, capsys) -> None:
    order = []

    def measured(argv, load, warmup_s, work, tick):
        order.append(argv[3])
        user_s = {"with": 3.0, "without": 2.0}[argv[3]]
        return replace(SOUND, after=replace(SOUND.before, user_s=SOUND.before.user_s + user_s))

    monkeypatch.setattr(counters_cost, "measure", measured)
    servers = {counters_cost.WITH: ["with"], counters_cost.WITHOUT: ["without"]}
    found = counters_cost.run(6, 1, None, servers)
    assert [each["ratio"] for each in found["outcomes"]] == [1.5, 1.5]
    assert not any(each["has_one"] for each in found["outcomes"])
    assert order[:8] == ["with", "without"] * 2 + ["without", "with"] * 2
    assert "stealing/epoll" in capsys.readouterr().out


# --- whole runs ------------------------------------------------------------------------------------

def test_a_run_leaves_a_whole_result(fake, tmp_path, results_folder, capsys) -> None:
    scenario = read(tmp_path, SWEPT.replace('title = "T"', 'title = "T"\nagainst = "first"'))
    bench.run(scenario, FAST, "trial", False, [*fake, "--counters"])
    made = {each.name for each in (results_folder / "trial").iterdir()}
    assert made >= {"result.json", "machine.json", "table.md", "throughput.png", "cpu.svg", "latency.png"}
    assert {each for each in made if each.startswith("wrk-")} == {
        f"wrk-{row}-{point}-{repeat}.txt" for row in ("first", "second") for point in (2, 4) for repeat in (1, 2)}
    result = json.loads((results_folder / "trial" / "result.json").read_text())
    assert (result["schema_version"], result["kind"], len(result["rows"]), len(result["order"])) == (
        1, "scenario", 4, 2)
    assert [len(row["runs"]) for row in result["rows"]] == [2] * 4
    assert {(each["row"], each["measure"]) for each in result["effects"]} == {
        ("second", measure) for measure in effects.MEASURES}
    assert result["rows"][0]["runs"][0]["figures"]["polls"] == pytest.approx(3, rel=0.01)
    out = capsys.readouterr().out
    assert "connections = 4" in out
    assert "Here (" in out


def test_a_server_without_counters_shows_a_dash(fake, tmp_path, results_folder) -> None:
    scenario = read(tmp_path, SCENARIO)
    bench.run(scenario, QUICK, "trial", False, fake)
    table = (results_folder / "trial" / "table.md").read_text()
    assert scenario_tables.MISSING in table
    assert "wrk-first-1.txt" in {each.name for each in (results_folder / "trial").iterdir()}


def test_a_row_that_does_not_start_is_named_before_measuring(tmp_path, results_folder) -> None:
    with pytest.raises(UserError, match=r"trial: row 'first': build/none/duel-server not found"):
        bench.run(read(tmp_path, SCENARIO), QUICK, "trial", False, ["build/none/duel-server"])
    assert list(results_folder.iterdir()) == []


def test_idle_connections_are_watched(fake, tmp_path, results_folder, capsys) -> None:
    scenario = read(tmp_path, SCENARIO.replace("connections = 8", 'connections = 3\ntool = "idle"'))
    bench.run(scenario, QUICK, "trial", False, [*fake, "--counters"])
    result = json.loads((results_folder / "trial" / "result.json").read_text())
    silence = result["rows"][0]["runs"][0]
    assert silence["connections"] == 3
    assert silence["cpu_s"] > 0  # the fake server looks around fifty times a second
    assert silence["counted"]["parks"] == 0
    assert "3 connections" in capsys.readouterr().out


def test_a_server_that_answers_one_connection_cannot_be_idle(fake, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(idle, "_PATIENCE_S", 0.5)
    with pytest.raises(UserError, match="does not answer an idle connection"):
        idle.measure([*fake, "--serial"], 2, 1, tmp_path)


@pytest.mark.load
def test_a_matrix_of_the_real_server_has_every_counter(results_folder, capsys) -> None:
    from server import BINARY
    bench.run(scenarios.load("matrix"), replace(QUICK, warmup_s=1), "trial", False, [str(BINARY)])
    table = (results_folder / "trial" / "table.md").read_text()
    assert scenario_tables.MISSING not in "".join(line for line in table.splitlines() if line.startswith("|"))
    for corner in ("stealing/epoll", "stealing/uring", "sharded/epoll", "sharded/uring"):
        assert table.count(f"| {corner} |") == 3  # results, tasks, waiting
    assert "interaction" in capsys.readouterr().out


STOPPED = """
import sys
from pathlib import Path
from scripts import bench, cli, results, scenarios
results.RESULTS = Path(sys.argv[1])
settings = bench.Settings(duration_s=20, warmup_s=0)
scenario = scenarios.read(Path(sys.argv[3]))
server = [sys.executable, sys.argv[2]]
sys.exit(cli.guarded(lambda: bench.run(scenario, settings, "trial", False, server) and 0))
"""


def test_ctrl_c_stops_everything_it_started(fake, tmp_path) -> None:
    read(tmp_path, SCENARIO)
    child = subprocess.Popen(
        [sys.executable, "-c", STOPPED, str(tmp_path / "out"), fake[1], str(tmp_path / "trial.toml")], cwd=ROOT,
        text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE)
    try:
        started = _wait_for_children(child.pid, 2)
        child.send_signal(2)
        assert child.wait(20) == 130
    finally:
        child.kill()
        child.wait()
    assert child.stderr.read().strip().splitlines()[-1].startswith("duel: stopped")
    child.stderr.close()
    assert not [pid for pid in started if _alive(pid)]
    assert list((tmp_path / "out").iterdir()) == []


def test_several_scenarios_from_the_command_line(fake, tmp_path, results_folder, monkeypatch, capsys) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.toml").write_text(SCENARIO)
    server = tmp_path / "server"
    server.write_text(f'#!/bin/sh\nexec {fake[0]} {fake[1]} "$@"\n')
    server.chmod(0o755)
    built = []
    monkeypatch.setattr(scenarios, "FOLDER", tmp_path)
    monkeypatch.setattr(bench, "SERVER", str(server))
    monkeypatch.setattr(build, "build", lambda *given: built.append(given))
    argv = ["bench", "one", "--quick", "two", "--duration", "1", "--models", "sharded", "--name", "n", "--json",
            str(tmp_path / "all.json")]
    assert cli.dispatch(argv) == 0
    assert built == [("release", ["duel-server"])]
    assert {each.name for each in results_folder.iterdir()} == {"n-one", "n-two"}
    document = json.loads((tmp_path / "all.json").read_text())
    assert [(each["name"], len(each["rows"])) for each in document["results"]] == [("n-one", 1), ("n-two", 1)]
    assert "2 of 2" in capsys.readouterr().err
    with pytest.raises(UserError, match="results/n-one exists"):
        cli.dispatch(argv)
