"""duel-sim as a program: the same figures from the same seed, JSON, wrong usage, and an end by a signal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from server import BUILD

PROGRAM = BUILD / "bench" / "sim" / "duel-sim"
SMALL = ("--jobs", "2000", "--replications", "4", "--cores", "4", "--load", "0.5,0.8")

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason=f"{PROGRAM} is not part of this build")


def simulate(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(PROGRAM), *argv], capture_output=True, text=True, timeout=300, check=False)


def simulated(tmp_path: Path, *argv: str) -> dict:
    done = simulate(*argv, "--json", str(tmp_path / "out.json"))
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]
    return json.loads((tmp_path / "out.json").read_text())


def test_a_row_for_each_policy_and_load(tmp_path: Path) -> None:
    rows = simulated(tmp_path, *SMALL, "--policy", "central,stealing")["rows"]
    assert [(row["given"]["policy"], round(row["given"]["load"], 6)) for row in rows] == [
        ("central", 0.5), ("central", 0.8), ("stealing", 0.5), ("stealing", 0.8)]
    assert all(row["results"]["little"] == pytest.approx(1, abs=1e-9) for row in rows)
    assert rows[0]["closed_form"]["name"] == "M/M/4"
    assert rows[0]["results"]["mean"]["value"] == pytest.approx(rows[0]["closed_form"]["mean"]["value"], rel=0.1)


def test_a_seed_gives_the_same_figures_on_any_number_of_threads(tmp_path: Path) -> None:
    flags = (*SMALL, "--policy", "stealing,ps", "--steal-cost", "0.1", "--service", "lognormal:1,1.3")
    one = simulated(tmp_path, *flags, "--threads", "1")
    assert simulated(tmp_path, *flags, "--threads", "3") == one
    assert simulated(tmp_path, *flags, "--seed", "2") != one


def test_rates_are_absolute_and_costs_each_policys_own(tmp_path: Path) -> None:
    rows = simulated(tmp_path, "--jobs", "2000", "--replications", "4", "--cores", "2", "--service", "exp:50us", "--policy",
                     "partitioned,stealing", "--rate", "20000", "--request-cost", "partitioned=5,stealing=10")["rows"]
    assert [row["given"]["load"] for row in rows] == pytest.approx([0.55, 0.6])
    assert [row["given"]["costs"]["request"] for row in rows] == [5, 10]


def test_the_crossover_says_where_stealing_begins_to_win(tmp_path: Path) -> None:
    curve = simulated(tmp_path, "crossover", "--stealing-cost", "10", "--sharded-cost", "5", "--cores", "4", "--jobs",
                      "3000", "--replications", "5", "--handlers", "1,100")["curves"][0]
    assert curve["points"][0]["more"] == "sharded"
    assert curve["points"][-1]["ratio"]["value"] > 1
    assert 1 < curve["simulated"]["value"] < 100
    assert curve["formula"] == pytest.approx((10 - curve["advantage"] * 5) / (curve["advantage"] - 1))


def test_the_tables_print() -> None:
    done = simulate("tables")
    assert done.returncode == 0
    assert "0.8              23.0     11.9      6.9      5.2      4.7" in done.stdout


@pytest.mark.parametrize(("argv", "message"), [
    (["--policy", "magic"], "no 'magic'"),
    (["--policy", ""], "no ''"),
    (["--load", "0.5..0.1:0.1"], "is no list of numbers"),
    (["--load", "0"], "is not between"),
    (["--load", "0.5", "--rate", "5"], "--rate"),
    (["--cores", "257"], "--cores: 257 is not between 1 and 256"),
    (["--cores", "1.5"], "no whole number"),
    (["--service", "gamma:1"], "'gamma:1' is no service time"),
    (["--service", "exp:nan"], "is no service time"),
    (["--arrivals", "batch:0"], "is no arrival pattern"),
    (["--burst-ms", "5"], "needs --arrivals onoff"),
    (["--steal-cost", "nan", "--policy", "stealing"], "'nan' is no number"),
    (["--connections", "8", "--zipf", "nan"], "'nan' is no number"),
    (["--wake-cost", "inf"], "'inf' is no number"),
    (["crossover", "--stealing-cost", "nan", "--sharded-cost", "1"], "'nan' is no number"),
    (["--policy", "jsq-accept"], "needs --connections"),
    (["--closed"], "--closed needs --connections"),
    (["--closed", "--connections", "8", "--load", "0.5"], "leave out --closed"),
    (["--think", "5"], "--closed"),
    (["--zipf", "1"], "needs --connections"),
    (["--policy", "central", "--steal-cost", "1"], "is for stealing"),
    (["--policy", "reserved", "--reserved", "8"], "leave none for long requests"),
    (["--reserved", "2"], "is for the policy reserved"),
    (["--request-cost", "ps=1"], "chosen policies"),
    (["--remote", "0.5"], "needs --hop-cost"),
    (["--replications", "1"], "--replications"),
    (["--jobs", "5"], "--jobs"),
    (["crossover"], "required"),
    (["crossover", "--stealing-cost", "1", "--sharded-cost", "1", "--load", "0.5"], "says nothing to crossover"),
    (["crossover", "--stealing-cost", "1", "--sharded-cost", "1", "--warmup", "9"], "says nothing to crossover"),
    (["tables", "--seed", "3"], "says nothing to tables"),
    (["--json", "/nonexistent/x.json"], "cannot write"),
    (["frob"], "frob")])
def test_wrong_usage_is_one_line_and_exit_2(argv: list[str], message: str) -> None:
    done = simulate(*argv)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("duel-sim: ")
    assert done.stdout == ""


def test_arrivals_are_named_as_by_the_load_generator(tmp_path: Path) -> None:
    row, = simulated(tmp_path, "--jobs", "2000", "--replications", "2", "--policy", "central", "--rate", "100000",
                     "--service", "bimodal:10us,1ms,0.01", "--arrivals", "onoff", "--burst-ms", "2",
                     "--gap-ms", "3")["rows"]
    assert (row["given"]["arrivals"], row["given"]["burst_ms"], row["given"]["gap_ms"]) == ("onoff", 2, 3)
    assert row["given"]["service"]["mean"] == pytest.approx(19.9)


@pytest.mark.parametrize(("text", "is_fine"), [
    ("det:50us", True), ("exp:1.5ms", True), ("exp:2s", True), ("bimodal:10us,1ms,0.01", True),
    ("bimodal:1ms,10us,1", True), ("lognormal:50us,1.5", True), ("lognormal:50us,0", True), ("pareto:50us,1.5", True),
    ("exp", False), ("exp:nan", False), ("exp:-1us", False), ("exp:11s", False), ("exp:1us,2", False),
    ("bimodal:10us,1ms,1.1", False), ("bimodal:0.9:0.5:5.5", False), ("lognormal:50us,-1", False),
    ("lognormal:0us,1", False), ("pareto:50us,1", False), ("gamma:50us", False)])
def test_service_times_are_written_as_for_the_load_generator(text: str, is_fine: bool) -> None:
    small = ("--jobs", "100", "--replications", "2", "--policy", "central", "--load", "0.5")
    assert simulate(*small, "--service", text).returncode == (0 if is_fine else 2)
    # With nobody to connect to, duel-load fails with 1 where the flags are right.
    load = [str(BUILD / "bench" / "duel-load"), "http://127.0.0.1:1/work", "--service", text]
    assert subprocess.run(load, capture_output=True, timeout=60, check=False).returncode == (1 if is_fine else 2)


def test_a_pipe_and_a_link_stay_what_they_are(tmp_path: Path) -> None:
    pipe, link, target = tmp_path / "pipe", tmp_path / "link", tmp_path / "target.json"
    os.mkfifo(pipe)
    link.symlink_to(target)
    reader = subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE, text=True)
    for path in (pipe, link):
        assert simulate("tables", "--json", str(path)).returncode == 0
    assert json.loads(reader.communicate(timeout=60)[0])["kind"] == "tables"
    assert json.loads(target.read_text())["kind"] == "tables"
    assert pipe.is_fifo()
    assert link.is_symlink()


def test_a_full_disk_is_told() -> None:
    done = simulate("tables", "--json", "/dev/full")
    assert done.returncode == 1
    assert "/dev/full cannot be written: No space left" in done.stderr


def test_a_signal_ends_it(tmp_path: Path) -> None:
    process = subprocess.Popen([str(PROGRAM), "--jobs", "1000000000", "--json", str(tmp_path / "out.json")])
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == -signal.SIGINT
