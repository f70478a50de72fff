"""./duel bench crossover as a whole, with made-up runs and a fake simulator: order, limits, what is written."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import pytest

from scripts import cli, crossover, crossover_rules as rules, machine, results
from scripts.campaign import host
from scripts.campaign.plan import CLOSED, Cpus
from scripts.errors import UserError

FAKE_SIM = [sys.executable, str(Path(__file__).with_name("fake_sim.py"))]
COST_US = {"stealing/epoll": 8.0, "stealing/epoll per-worker": 7.0, "sharded/epoll": 6.0, "sharded/uring": 5.0}
LITTLE, MUCH = rules.SHARES[17], rules.SHARES[24]
CARRIES = {"stealing/epoll": LITTLE, "stealing/epoll per-worker": MUCH, "sharded/epoll": LITTLE,
           "sharded/uring": LITTLE}
SETTINGS = crossover.Settings(quick=True, blocks=2, handlers_us=(0.0, 50.0, 1000.0), seed=5)


class Replicate:
    """p99 is half the limit up to a share of the capacity, and twice as much above it."""

    def __init__(self, late: bool = False, fails: str = "", dies: str = "",
                 carries: dict[str, float] = CARRIES) -> None:
        self.asked: list[tuple[str, str]] = []
        self._late, self._fails, self._dies, self._carries = late, fails, dies, carries

    def __call__(self, server, load, made, point, work, tick) -> dict:
        row = next(row.name for row in made.rows if row.argv(["s"])[1:] == server[1:server.index("--listen")])
        handler = float(made.service.removeprefix("exp:").removesuffix("us"))
        self.asked.append((row, load[load.index("--seed") + 1]))
        whole = 2e6 / (handler + 5.0)
        rate = float(load[load.index("--rate") + 1]) if "--rate" in load else 2e6 / (handler + COST_US[row] + 4.0)
        limit = 10 * (handler + COST_US[row])
        keeps = rate <= (self._carries[row] + 0.001) * whole
        words = [] if keeps or not self._late else ["schedule_slipped"]
        unserved = {"errors": {"body": 1}} if row == self._fails else {"errors": {}}
        return {"server_argv": server, "load_argv": load, "requests_per_s": rate, "requests": 10_000,
                "cpu_us": {"total": handler + COST_US[row]}, "zero_served": 0,
                "taints": [f"schedule slipped: by {rate:g}"] if words else [], "fallen_silent": 0,
                "latency_intended_us": {"p99": limit * (0.5 if keeps or point.name == CLOSED else 2), "count": 10_000},
                **unserved, "load": {"taints": words, "loader": {"threads": [{"cpu_seconds": 0.04}]}},
                **({"load": None, "latency_intended_us": None, "taints": ["server: it ended"]}
                   if row == self._dies and point.name != CLOSED else {})}


@pytest.fixture
def bench(results_folder, monkeypatch):
    monkeypatch.setattr(machine, "record", lambda: {"build": {"dirty": False}})
    monkeypatch.setattr(machine, "io_uring", lambda: "works")
    monkeypatch.setattr(host, "cpus", lambda: Cpus((0, 1), (0, 1)))

    def run(made: Replicate, simulator=(), settings=SETTINGS) -> dict:
        monkeypatch.setattr(crossover, "replicate", made)
        return crossover.run(settings, "trial", False, simulator=[*FAKE_SIM, *simulator])

    return run


def test_every_figure_comes_from_its_runs(bench, results_folder, capsys) -> None:
    bench(made := Replicate())
    document = json.loads((results_folder / "trial" / "result.json").read_text())
    assert (document["kind"], document["schema_version"], document["name"]) == ("crossover", 1, "trial")
    assert {row: each["median"] for row, each in document["costs_us"].items()} == pytest.approx(COST_US)
    assert document["loader_us"] == pytest.approx(4.0)
    by_place = {(line["stealing"], line["sharded"], line["handler_us"]): line for line in document["lines"]}
    assert len(by_place) == 4 * 3
    pooled = by_place["stealing/epoll per-worker", "sharded/uring", 1000.0]
    assert pooled["capacity"]["ratios"] == pytest.approx([MUCH / LITTLE] * 2, rel=1e-3)
    assert (pooled["winner"], pooled["predicted"]["formula"] > 1) == ("stealing?", True)
    assert pooled["peak"]["ratio"] == pytest.approx(pooled["predicted"]["peak"]) == pytest.approx(1009 / 1011)
    short = by_place["stealing/epoll", "sharded/uring", 0.0]
    assert (short["capacity"], short["winner"]) == (None, "sharded? (peak)")
    assert short["left_out"] == [
        "cannot be measured here: the loader shares the CPUs and takes 80% of what the server takes"]
    kept = sorted(each.name for each in (results_folder / "trial" / "runs").iterdir())
    assert kept == [f"{each['number']:04}.json" for each in document["runs"]]
    assert len(made.asked) == len(kept)
    raw = json.loads((results_folder / "trial" / "runs" / "0001.json").read_text())
    assert raw["load"]["loader"]["threads"]
    assert (results_folder / "trial" / "machine.json").exists()
    said = capsys.readouterr().out
    assert "not here: H = 0 µs: cannot be measured here" in said
    assert all(len(line) <= 120 for line in said.splitlines())
    assert "stealing/epoll per-worker / sharded/uring" in (results_folder / "trial" / "table.md").read_text()


def test_every_row_gets_the_same_load_at_each_point_of_a_block(bench, results_folder) -> None:
    bench(Replicate())
    runs = json.loads((results_folder / "trial" / "result.json").read_text())["runs"]
    closed = Counter((run["block"], run["handler_us"]) for run in runs if run["point"] == CLOSED)
    assert closed.pop((0, 0.0)) == 2 * 4
    assert set(closed.values()) == {4}
    assert set(closed) == {(block, handler) for block in (1, 2) for handler in SETTINGS.at}
    searched = Counter((run["block"], run["handler_us"], run["row"]) for run in runs if run["rate"] is not None)
    assert set(searched.values()) == {rules.most_probes()}
    assert {handler for _, handler, _ in searched} == {50.0, 1000.0}
    seeds = {run["block"]: run["load_argv"][run["load_argv"].index("--seed") + 1] for run in runs}
    assert seeds == {0: "5", 1: "6", 2: "7"}
    first = {run["rate"] for run in runs if run["handler_us"] == 1000.0 and run["rate"]}
    assert first <= set(rules.grid(2, 1000.0, 5.0))


def test_the_seed_says_the_order(bench) -> None:
    orders = []
    for seed in (5, 5, 6):
        bench(made := Replicate(), settings=crossover.Settings(True, 1, (0.0, 1000.0), 10.0, None, seed))
        orders.append([row for row, _ in made.asked])
        (results.RESULTS / "trial").rename(results.RESULTS / f"trial-{len(orders)}")
    assert orders[0] == orders[1] != orders[2]


def test_a_late_loader_is_no_capacity(bench) -> None:
    document = bench(Replicate(late=True))
    assert {line["capacity"] for line in document["lines"]} == {None}
    assert any("in 2 of 2 blocks: schedule slipped: by" in note for note in document["notes"])
    assert document["lines"][-1]["peak"] is not None


def test_a_server_that_dies_is_no_late_loader(bench) -> None:
    document = bench(Replicate(dies="sharded/epoll"))
    lost = [each for each in document["searches"] if each["row"] == "sharded/epoll"]
    assert {(each["rate"], each["why"]) for each in lost} == {(None, "server: it ended")}
    assert any("sharded/epoll at H = 50 µs has no rate within the limit in 2 of 2 blocks: server: it ended." == note
               for note in document["notes"])


def test_a_row_that_fails_at_every_rate_loses(bench) -> None:
    document = bench(Replicate(carries={**CARRIES, "sharded/uring": 0.0}))
    assert {each["edge"] for each in document["searches"] if each["row"] == "sharded/uring"} == {"≤"}
    line = next(each for each in document["lines"] if (each["stealing"], each["sharded"], each["handler_us"]) == (
        "stealing/epoll", "sharded/uring", 1000.0))
    assert (line["winner"], line["capacity"]["bound"]) == ("stealing?", "≥")
    assert line["capacity"]["ratio"] == pytest.approx(LITTLE / rules.SHARES[0], rel=1e-2)


def test_a_handler_time_may_have_many_digits(bench) -> None:
    document = bench(Replicate(), settings=crossover.Settings(True, 1, (333.33333,), 10.0, None, 5))
    assert {line["handler_us"] for line in document["lines"]} == {333.33333}
    assert "exp:333.33333us" in document["runs"][-1]["load_argv"]


@pytest.mark.parametrize(("made", "simulator", "message"), [
    (Replicate(fails="sharded/epoll"), [], "row 'sharded/epoll' has no cost to predict from"),
    (Replicate(), ["--fail"], "fake-sim: out of memory .*run it by hand: "),
    (Replicate(), ["--silent"], "duel-sim exited with 3 and said nothing"),
    (Replicate(), ["--empty"], "left no readable JSON")])
def test_what_fails_leaves_nothing(bench, results_folder, made, simulator, message) -> None:
    with pytest.raises(UserError, match=message):
        bench(made, simulator)
    assert list(results_folder.iterdir()) == []


def test_without_io_uring_its_row_is_left_out(bench, monkeypatch) -> None:
    monkeypatch.setattr(machine, "io_uring", lambda: "EPERM")
    document = bench(Replicate())
    assert [row["name"] for row in document["rows"]] == ["stealing/epoll", "stealing/epoll per-worker", "sharded/epoll"]
    assert "rows of io_uring were left out" in document["notes"][-1]


def test_one_cpu_has_nothing_to_steal(monkeypatch) -> None:
    monkeypatch.setattr(host, "cpus", lambda: Cpus((0,), (0,)))
    with pytest.raises(UserError, match="needs two CPUs.*--cpuset-cpus"):
        crossover.check(SETTINGS)


@pytest.mark.parametrize(("argv", "message"), [
    (["--handler-us", "x"], "'x' is not a list of microseconds"), (["--handler-us", ""], "is not a list of micro"),
    (["--handler-us", "nan"], "is not a list of micro"), (["--handler-us=-1"], "is not a list of micro"),
    (["--handler-us", "10001"], "from 0 to 10,000"),
    (["--slo", "4.9"], "'4.9' is not a number from 5"), (["--slo", "nan"], "is not a number from 5"),
    (["--blocks", "0"], "is not a whole number above 0"), (["--name", "a/b"], "is not a folder name"),
    (["--frob"], "unrecognized arguments")])
def test_wrong_usage(argv: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message) as failed:
        cli.dispatch(["bench", "crossover", *argv])
    assert failed.value.exit_code == 2


def test_the_command_line(monkeypatch, results_folder) -> None:
    from scripts import build
    ran = []
    monkeypatch.setattr(build, "build", lambda preset, targets: ran.append((preset, targets)))
    monkeypatch.setattr(crossover, "check", ran.append)
    monkeypatch.setattr(crossover, "run", lambda *given: ran.append(given))
    assert cli.dispatch(["bench", "crossover", "--handler-us", "50,0,50", "--slo", "20", "--blocks", "8", "--seed", "3",
                         "--duration", "4", "--name", "x", "--force"]) == 0
    settings = crossover.Settings(False, 8, (0.0, 50.0), 20.0, 4, 3)
    assert ran == [settings, ("release", ["duel-server", "duel-load", "duel-sim"]), (settings, "x", True)]
