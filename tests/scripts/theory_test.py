"""Measured against theory: what is asked of duel-sim, planted ratios, a whole run with fakes. The model of it:
theory_model_test.py."""

from __future__ import annotations

import json
import math
import os
import sys
from pathlib import Path

import pytest
from theory_fixture import simulated

from scripts import cli, machine, plots, simulator, theory, theory_predict, theory_report
from scripts.campaign.plan import Cpus
from scripts.errors import UserError
from scripts.paths import ROOT
from scripts.theory_predict import Point

SIMULATOR = ROOT / os.environ.get("DUEL_BUILD", "build/dev") / "bench" / "sim" / "duel-sim"
FAKE_LOAD = str(Path(__file__).with_name("fake_load.py"))
POINT = Point("exp 0.5", "exp:1ms", 0.5, 10.0, 1000.0)
PAID = {"cost_us": 0.0, "delay_us": 0.0, "waiting_us": 0.0, "overhead_us": 60.0, "idle_cpu_us": 40.0}


def run(row: str, mean: float, block: int = 1, workers: tuple[int, ...] = (500, 500), **more) -> dict:
    return {"row": row, "point": POINT.name, "block": block, "requests_per_worker": list(workers), "taints": [],
            "errors": {}, "zero_served": 0, "fallen_silent": 0, "requests_per_s": 1000.0,
            "latency_intended_us": {"mean": mean, "p99": -math.log(0.01) * mean}, "waiting_us": 0.0,
            "cpu_us": {"total": 1000.0}, "machine": {"steal_share": 0.0, "others_share": 0.0}, **more}


def nothing() -> None:
    pass


@pytest.fixture(autouse=True)
def asked(monkeypatch) -> list[list[str]]:
    """In place of duel-sim; what it was asked."""
    said: list[list[str]] = []
    monkeypatch.setattr(theory_predict, "simulate", lambda flags, tick: (said.append(flags), simulated(flags))[1])
    monkeypatch.setattr(machine, "io_uring", lambda: "works")
    return said


def judge(runs: list[dict]) -> dict[tuple[str, str, str], dict]:
    paid = {each.row.name: PAID for each in theory_predict.subjects()}
    found = theory_predict.judged(POINT, 1000.0, runs, paid, 2, 1, nothing)
    return {(one["row"], one["theory"], one["measure"]): one for one in found}


def test_reasons_are_told_in_short() -> None:
    def one(point: str, ratio: float, *why: str) -> dict:
        return {"row": "r", "theory": "t", "point": point, "measure": "mean", "ratio": ratio, "verdict": "outside",
                "reasons": list(why)}

    document = {"outcomes": [one("a", 1.3, "host: 2 %"), one("b", 1.6, "host: 5 %", "shares: 0.97"), one("c", 1.0)]}
    assert theory_report.in_short(document) == ["r against t, a, b: host: 5 %.", "r against t, b: shares: 0.97."]
    assert theory_report.reasons(document) == ["r, a, mean against t: host: 2 %.",
                                               "r, b, mean against t: host: 5 %; shares: 0.97."]


# --- predictions for runs --------------------------------------------------------------------------

def test_each_run_of_shards_is_predicted_from_its_own_shares(asked) -> None:
    runs = [run("sharded/epoll", 0), run("sharded/epoll", 0, workers=(600, 400))]
    made = theory_predict.predicted(theory_predict.theories(2)["apart"], POINT, [20.0, 20.0], runs, 2, 7, nothing)
    flags = dict(zip(asked[0][::2], asked[0][1::2], strict=True))
    assert flags == {"--policy": "partitioned", "--cores": "1", "--rate": "400.00,500.00,600.00",
                     "--service": "exp:1ms", "--request-cost": "20.000", "--jobs": "5000", "--replications": "40",
                     "--seed": "7"}
    assert made[0].mean.value == pytest.approx(1020 / (1 - 0.51))
    assert made[1].mean.value == pytest.approx(0.4 * 1020 / (1 - 0.408) + 0.6 * 1020 / (1 - 0.612))
    pooled = theory_predict.predicted(theory_predict.theories(2)["poller"], POINT, [0.0, 100.0], runs, 2, 7, nothing)
    assert [each.mean.value for each in pooled] == [pytest.approx(1000 / (1 - 0.5)), pytest.approx(1100 / (1 - 0.55))]
    assert "--jobs 10000" in " ".join(asked[1])
    assert "--place poller --cores 2 --connections 256" in " ".join(asked[1])
    with pytest.raises(UserError, match="does not count requests by worker"):
        theory_predict.predicted(theory_predict.theories(2)["apart"], POINT, [0.0], [
            run("sharded/epoll", 0, requests_per_worker=None)], 2, 7, nothing)


@pytest.mark.skipif(not SIMULATOR.exists(), reason=f"{SIMULATOR} is not part of this build")
def test_the_real_simulator_agrees_with_closed_forms(monkeypatch) -> None:
    ticks: list[None] = []
    monkeypatch.setattr(theory_predict, "simulate", simulator.simulate)
    monkeypatch.setattr(simulator, "SIMULATOR", str(SIMULATOR))
    assert theory_predict.mean_of("bimodal:500us,5500us,0.1") == pytest.approx(1000)
    made = theory_predict.predicted(theory_predict.theories(2)["apart"], POINT, [0.0], [
        run("sharded/epoll", 0, workers=(600, 400))], 2, 7, lambda: ticks.append(None))[0]
    assert ticks
    assert made.mean.value == pytest.approx(0.6 * 2500 + 0.4 * 1000 / 0.6, rel=0.05)
    with pytest.raises(UserError, match="duel-sim: --service: .*run it by hand") as refused:
        theory_predict.mean_of("exp:soon")
    assert refused.value.exit_code == 2


def test_rows_that_do_what_theory_says_are_within() -> None:
    found = judge([run(each.row.name, 2000.0 * (1 + 0.01 * block), block) for each in theory_predict.subjects()
                   for block in range(3)])
    assert {one["verdict"] for one in found.values()} == {"within"}
    assert len(found) == 2 * (1 + 1 + 2 + 2)
    assert found["sharded/uring", "2 x M/G/1", "mean"]["ratio"] == pytest.approx(1.01)
    assert all(one["reasons"] == [] for one in found.values())


def test_requests_that_took_longer_explain_a_mean_outside() -> None:
    # Half of the runs 1 / (1 - 0.55) of 1,100 µs instead of 1 / (1 - 0.5) of 1,000, the others with 1,200.
    runs = [run("sharded/epoll", took / (1 - took / 2000), block, waiting_us=60.0, cpu_us={"total": took - 60})
            for block, took in enumerate((1100.0, 1200.0) * 2)]
    one = judge(runs)["sharded/epoll", "2 x M/G/1", "mean"]
    assert (one["verdict"], one["explained"]) == ("outside", pytest.approx(1.0))
    assert one["reasons"] == ["time: a request took 1,150 µs, 60 of them waiting for a CPU, 1,000 predicted; with that "
                              "x1.00"]


def test_an_idle_servers_waiting_is_not_explained_twice(monkeypatch) -> None:
    monkeypatch.setitem(PAID, "delay_us", 100.0)
    monkeypatch.setitem(PAID, "waiting_us", 70.0)
    one = judge([run("sharded/epoll", 1100 / 0.45 + 30, waiting_us=60.0, cpu_us={"total": 1040.0})])[
        "sharded/epoll", "2 x M/G/1", "mean"]
    assert one["explained"] == pytest.approx(1.0)


def test_what_the_hypervisor_took_is_time_that_a_request_took() -> None:
    # 2 % of 2 CPUs are 40 µs for each of 1,000 requests a second.
    runs = [run("sharded/epoll", 1100 / 0.45, block, waiting_us=20.0, cpu_us={"total": 1040.0}, machine={
        "steal_share": 0.02, "others_share": 0.0}) for block in range(4)]
    one = judge(runs)["sharded/epoll", "2 x M/G/1", "mean"]
    assert one["explained"] == pytest.approx(1.0)
    assert one["reasons"][0] == ("time: a request took 1,100 µs, 20 of them waiting for a CPU and 40 the hypervisor's, "
                                 "1,000 predicted; with that x1.00")


def test_a_kernel_that_counts_no_waiting_leaves_it_unexplained() -> None:
    runs = [run("sharded/epoll", 3000.0, block, waiting_us=None if block == 0 else 300.0) for block in range(4)]
    one = judge(runs)["sharded/epoll", "2 x M/G/1", "mean"]
    assert one["explained"] is None
    assert one["reasons"] == ["unexplained: not by lateness, chance, shares, what requests took (not known), or the host"]


def test_a_loader_that_was_late_measures_nothing() -> None:
    late = run("sharded/epoll", 9000.0, taints=["schedule slipped: sent late by p50 1, p99 2 µs"])
    found = judge([late, run("sharded/epoll", 2000.0, 2)])
    assert found["sharded/epoll", "2 x M/G/1", "mean"]["n"] == 1
    alone = judge([late])["sharded/epoll", "2 x M/G/1", "p99"]
    assert (alone["verdict"], alone["ratio"]) == ("not measured", None)
    assert alone["reasons"] == ["left out: schedule slipped in 1 of 1 runs"]


def test_waiting_is_counted_within_the_window() -> None:
    load = {"requests": {"ok": 10}, "window": {"begin_ns": 100, "end_ns": 300}}
    assert theory.waiting_us(load, [(0, 0), (200, 10_000), (400, 50_000)]) == pytest.approx(2.5)
    assert theory.waiting_us(load, [(0, 0), (200, 10_000)]) is None
    assert theory.waiting_us(None, []) is None
    assert theory.waiting_us(load, [(0, None), (200, None), (400, None)]) is None


def test_a_kernel_that_does_not_say_who_waited_says_nothing(tmp_path) -> None:
    threads = {name: tmp_path / "1" / "task" / name / "schedstat" for name in ("1", "2")}
    assert theory.waiting_ns(1, tmp_path) is None
    for each in threads.values():
        each.parent.mkdir(parents=True)
        each.write_text("0 0 0\n")
    assert theory.waiting_ns(1, tmp_path) is None
    threads["1"].write_text("500 30 7\n")
    threads["2"].write_text("100 12 7\n")
    assert theory.waiting_ns(1, tmp_path) == 42


# --- the whole -------------------------------------------------------------------------------------

@pytest.fixture
def fakes(monkeypatch, fake):
    monkeypatch.setattr(theory.counters, "each_of", lambda *_: [600, 400])
    monkeypatch.setattr(theory, "mean_of", lambda _: 1000.0)
    for name in ("_WARMUP_S", "_CALIBRATION_S"):
        monkeypatch.setattr(theory, name, 0.1)
    return [*fake, "--counters"], [sys.executable, FAKE_LOAD, "--speed", "10"]


def test_a_whole_run(fakes, results_folder, capsys) -> None:
    theory.run(theory.Settings(blocks=2, duration_s=1, seed=5, service="exp:1ms"), "trial", False, *fakes)
    folder = results_folder / "trial"
    made = json.loads((folder / "result.json").read_text())
    assert (made["schema_version"], made["kind"], made["settings"]["seed"]) == (1, "theory", 5)
    assert len(made["runs"]) == 2 * 4 * 4
    by_block = {(run["block"], run["point"]): set() for run in made["runs"]}
    for each in made["runs"]:
        argv = each["load_argv"]
        by_block[each["block"], each["point"]].add((argv[argv.index("--seed") + 1], argv[argv.index("--rate") + 1]))
        assert json.loads((folder / each["file"]).read_text())["tool"] == "duel-load"
    assert all(len(asked) == 1 for asked in by_block.values())  # the same requests for every row
    assert len({seed for asked in by_block.values() for seed, _ in asked}) == 2
    assert {one["row"] for one in made["outcomes"]} == {each.row.name for each in theory_predict.subjects()}
    assert len(made["outcomes"]) == 4 * 2 * 6
    assert all((one["verdict"] == "within") == (one["reasons"] == []) for one in made["outcomes"])
    for name in ("machine.json", "table.md", "theory.png", "theory.svg"):
        assert (folder / name).stat().st_size > 100
    said = capsys.readouterr().out
    assert "2 x M/G/1" in said
    assert "Held against this run: blocks:" in said
    assert all(len(line) <= 120 for line in said.splitlines())


def test_without_io_uring_its_row_is_left_out(fakes, results_folder, monkeypatch) -> None:
    monkeypatch.setattr(machine, "io_uring", lambda: "EPERM")
    theory.run(theory.Settings(blocks=1, duration_s=1, quick=True, seed=5), "trial", False, *fakes)
    made = json.loads((results_folder / "trial" / "result.json").read_text())
    rows = {"sharded/epoll", "stealing/epoll", "stealing/epoll per-worker"}
    assert rows == set(made["calibration"]) == {each["row"] for each in made["runs"]}
    assert rows == {each["row"] for each in made["outcomes"]}
    assert "left out: sharded/uring, for io_uring does not work here (./duel machine check)" in made["taints"]


@pytest.mark.parametrize(("wrong", "message"), [
    ({"errors": {"status": 3}, "taints": ["errors: 3 status"]}, "could not be calibrated: errors: 3 status"),
    ({"fallen_silent": 2, "taints": []}, "could not be calibrated: no figures"),
    ({"cpu_us": None}, "could not be calibrated")])
def test_a_calibration_that_served_less_is_refused(fakes, results_folder, monkeypatch, wrong, message) -> None:
    real = theory.replicate.replicate
    monkeypatch.setattr(theory.replicate, "replicate", lambda *given: {**real(*given), **wrong})
    with pytest.raises(UserError, match=message):
        theory.run(theory.Settings(blocks=1, duration_s=1), "trial", False, *fakes)


def test_what_held_against_the_calibration_is_told(tmp_path) -> None:
    trial = theory.Trial(theory.Settings(blocks=2, quick=True), tmp_path, 1, Cpus((0, 1), (0, 1)), [], [], None)
    paid = {each.row.name: {"taints": []} for each in theory_predict.subjects()}
    paid["sharded/epoll"]["taints"] = ["other work: 30%", "loader saturated: 99%", "other work: 20%"]
    late = run("sharded/epoll", 1.0, taints=["schedule slipped: 1"])
    assert theory_report.held(trial.plan(POINT), [late, run("sharded/epoll", 1.0)], paid, 1.5, True) == [
        "blocks: a 95 % interval takes 6, here are 2: nothing is shown", "quick: short runs",
        "dirty: built from uncommitted changes", "shared: server and loader share 2 CPUs",
        "busy: load average 1.5 before the start", "schedule slipped: 1 of 2 runs",
        "left out: 1 of 2 runs, whose latencies measure no server",
        "calibration of sharded/epoll: other work, loader saturated"]


def test_a_server_that_dies_leaves_nothing(fakes, results_folder) -> None:
    server, loader = fakes
    with pytest.raises(UserError, match="could not be calibrated: .*ended during the run"):
        theory.run(theory.Settings(blocks=1, duration_s=1), "trial", False, [*server, "--die-after", "0.05"], loader)
    assert list(results_folder.iterdir()) == []


def test_the_points_and_their_time() -> None:
    usual, quick = theory.points(theory.Settings()), theory.points(theory.Settings(quick=True))
    assert [(each.name, each.duration_s) for each in usual] == [
        ("exp 0.3", 6), ("exp 0.5", 6), ("exp 0.7", 12), ("exp 0.8", 12), ("bimodal 0.5", 6)]
    assert [(each.name, each.duration_s) for each in quick] == [("exp 0.5", 2.5), ("exp 0.8", 5)]
    assert [each.name for each in theory.points(theory.Settings(service="det:2ms"))] == [
        "det 0.3", "det 0.5", "det 0.7", "det 0.8"]
    assert theory.seconds(theory.Settings()) <= 15 * 60
    assert theory.seconds(theory.Settings(quick=True)) <= 150


@pytest.mark.parametrize(("argv", "message"), [
    (["--service", "exp:1"], "is no service time"), (["--service", "work:1ms"], "is no service time"),
    (["--blocks", "0"], "not a whole number above 0"), (["--name", "a/b"], "is not a folder name"),
    (["--pairs", "3"], "unrecognized arguments")])
def test_wrong_usage(argv: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message) as refused:
        cli.dispatch(["bench", "theory", *argv])
    assert refused.value.exit_code == 2


def test_the_command_line(monkeypatch) -> None:
    from scripts import build
    ran = []
    monkeypatch.setattr(build, "build", lambda preset, targets: ran.append((preset, targets)))
    monkeypatch.setattr(theory, "run", lambda *given: ran.append(given))
    assert cli.dispatch(["bench", "theory", "--quick", "--seed", "3", "--name", "trial", "--force"]) == 0
    assert ran == [("release", ["duel-server", "duel-load", "duel-sim"]),
                   (theory.Settings(quick=True, seed=3), "trial", True)]


def test_a_plot_of_what_was_measured_in_part(tmp_path) -> None:
    found = list(judge([run("sharded/epoll", 2500.0), run("stealing/epoll", 2000.0)]).values())
    document = {"points": [POINT.__dict__], "outcomes": found, "settings": {"blocks": 1}}
    theory_report.draw(document, tmp_path)
    assert (tmp_path / "theory.svg").stat().st_size > 1000
    assert plots.COLOURS["sharded"] in (tmp_path / "theory.svg").read_text()


def lines_of(document: dict) -> dict[str, list]:
    """By panel of its one figure, the lines of theory: all but those of the marks and their bars."""
    (_, _, figure), = theory_report.figures(document)
    return {axes.get_title("left"): [line for line in axes.lines if line.get_zorder() == 1] for axes in figure.axes
            if axes.get_visible()}


def test_one_load_that_is_left_has_a_tick_for_each_prediction() -> None:
    found = list(judge([run("sharded/epoll", 2500.0), run("stealing/epoll", 2000.0)]).values())
    document = {"points": [POINT.__dict__], "outcomes": found, "settings": {"blocks": 1}}
    drawn = lines_of(document)
    assert {row: len(lines) for row, lines in drawn.items()} == {"sharded/epoll": 2, "stealing/epoll": 4}
    for line in [line for lines in drawn.values() for line in lines]:
        assert (len(line.get_xdata()), line.get_marker()) == (1, "_")
        assert line.get_markersize() > 11, "wider than what was measured there"
    more = [{**one, "point": "exp 0.7", "load": 0.7} for one in found if one["row"] == "sharded/epoll"]
    document["points"] = [*document["points"], {**POINT.__dict__, "name": "exp 0.7"}]
    drawn = lines_of(document | {"outcomes": [*found, *more]})
    assert [line.get_marker() for line in drawn["sharded/epoll"]] == ["None", "None"]
    assert [line.get_marker() for line in drawn["stealing/epoll"]] == ["_"] * 4


def test_each_service_has_a_figure_that_counts_what_it_shows(tmp_path) -> None:
    found = list(judge([run("sharded/epoll", 2500.0)]).values())
    more = [{**one, "point": "det 0.3", "verdict": "within"} for one in found]
    lost = [{**one, "ratio": None} for one in more]
    both = {"points": [{**POINT.__dict__, "name": "det 0.3", "service": "det:1ms"}, POINT.__dict__],
            "outcomes": [*more, *found], "settings": {"blocks": 1}}
    assert [figure.get_suptitle().partition(",")[0] for _, _, figure in theory_report.figures(both)] == [
        "2 x M/G/1: 2 of 2 within\ndet:1ms", "2 x M/G/1: 1 of 2 within\nexp:1ms"]
    assert list(lines_of(both | {"outcomes": [*lost, *found]})) == ["sharded/epoll"]
    assert list(theory_report.figures(both | {"outcomes": lost})) == []
    theory_report.draw(both, tmp_path)
    assert {path.stem for path in tmp_path.iterdir()} == {"theory", "theory-exp"}
