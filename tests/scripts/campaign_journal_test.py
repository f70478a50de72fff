"""A campaign that is cut off: after every run, by every way to end a process, and on another machine or plan."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from scenarios_test import SOUND, read

from scripts import machine, results, scenarios
from scripts.campaign import journal, plan, run
from scripts.errors import Stopped, UserError
from scripts.paths import ROOT

FAKE_LOAD = str(Path(__file__).with_name("fake_load.py"))
RECORD = {"cpu": {"model": "m"}, "system": {"kernel": "k"}, "build": {"dirty": False}}
SETTINGS = plan.Settings(blocks=2, quick=True)
ALL = 2 * 3 * 2  # blocks, rows, points
CLOSED_LOOP = {"mean": 1.0, "p50": 1.0, "p75": 1.0, "p90": 1.0, "p99": 1.0, "p99_9": 1.0, "max": 1.0, "count": 50_000}


@pytest.fixture
def scenario(tmp_path) -> scenarios.Scenario:
    return read(tmp_path, SOUND)


class Cut(Exception):
    """Stands for the end of the process."""


class Replicate:
    """Made-up runs; the process ends in the run after `until` of them."""

    def __init__(self, until: int = 10_000) -> None:
        self.seeds: list[str] = []
        self._until = until

    def __call__(self, server, load, made, point, work, tick) -> dict:
        (work / "half.json").write_text("{")
        if len(self.seeds) == self._until:
            raise Cut
        self.seeds.append(load[load.index("--seed") + 1])
        value = 100.0 + len(self.seeds)
        return {"server_argv": server, "load_argv": load, "ready_line": "listening", "requests_per_s": value,
                "offered_per_s": None if point.of_peak is None else value, "latency_sent_us": CLOSED_LOOP,
                "latency_intended_us": CLOSED_LOOP, "errors": {}, "zero_served": 0, "fallen_silent": 0,
                "cpu_us": {"total": value}, "switches_per_1000": 1.0, "taints": [], "load": {"tool": "made up"}}


@pytest.fixture
def campaign(scenario, results_folder, monkeypatch):
    monkeypatch.setattr(machine, "record", lambda: RECORD)
    monkeypatch.setattr(run, "where", lambda *_: {"kernel": "k", "programs": {"duel-server": "abc"}})

    def start(until: int = 10_000, settings: plan.Settings = SETTINGS, name: str | None = "trial",
              force: bool = False) -> Replicate:
        made_up = Replicate(until)
        monkeypatch.setattr(run, "replicate", made_up)
        run.run(scenario, settings, name, force)
        return made_up

    return start


def result(folder: Path, name: str = "trial") -> dict:
    return json.loads((folder / name / "result.json").read_text())


@pytest.mark.parametrize("until", [*range(ALL + 2)])
def test_a_campaign_cut_off_anywhere_is_taken_up(campaign, results_folder, until: int) -> None:
    """2 runs find the peaks; those are done again, the others never."""
    with pytest.raises(Cut):
        campaign(until)
    assert not (results_folder / "trial").exists()
    begun = max(0, until - 2)
    assert len(list(results_folder.glob("trial.unfinished/runs/*.json"))) == begun
    second = campaign()
    assert len(second.seeds) == ALL - begun + (2 if until < 2 else 0)
    made = result(results_folder)
    assert sorted(each["number"] for each in made["runs"]) == list(range(1, ALL + 1))
    assert len(list((results_folder / "trial" / "runs").iterdir())) == ALL
    assert [each["runs_done"] for each in made["starts"]] == ([0, begun] if until >= 2 else [0])
    assert any(taint.startswith("resumed") for taint in made["taints"]) == (until >= 2)
    assert not list(results_folder.glob("*unfinished*"))


def test_cut_off_before_the_result_gets_its_place(campaign, results_folder, monkeypatch) -> None:
    def cut(*_) -> None:
        raise Cut

    with monkeypatch.context() as patch:
        patch.setattr(journal.Journal, "finish", cut)
        with pytest.raises(Cut):
            campaign()
    assert json.loads((results_folder / "trial.unfinished" / "result.json").read_text())["complete"]
    assert campaign().seeds == []
    assert len(result(results_folder)["runs"]) == ALL


def test_a_file_that_is_not_whole_is_measured_again(campaign, results_folder) -> None:
    with pytest.raises(Cut):
        campaign(7)
    (results_folder / "trial.unfinished" / "runs" / "0002.json").write_text('{"number": 2')
    (results_folder / "trial.unfinished" / "runs" / ".0006.json.partial-1").write_text('{"number"')
    (results_folder / "trial.unfinished" / "work").mkdir()
    assert len(campaign().seeds) == ALL - 4
    assert len(list((results_folder / "trial" / "runs").iterdir())) == ALL


@pytest.mark.parametrize("content", [None, "", '{"rates": {"50 %"', "[]", "{}"])
def test_runs_without_their_calibration_are_neither_mixed_nor_deleted(campaign, results_folder, content) -> None:
    with pytest.raises(Cut):
        campaign(7)
    folder = results_folder / "trial.unfinished"
    kept = (folder / "calibration.json").read_text()
    (folder / "calibration.json").unlink()
    if content is not None:
        (folder / "calibration.json").write_text(content)
    for _ in range(2):
        with pytest.raises(UserError, match=r"its calibration.json, .*cannot be read \(undo that, or .*--force"):
            campaign()
        assert len(list(folder.glob("runs/*.json"))) == 5
    (folder / "calibration.json").write_text(kept)
    with pytest.raises(Cut):
        campaign(1)
    (folder / "calibration.json").unlink()
    assert len(campaign(force=True).seeds) == ALL + 2


@pytest.mark.parametrize("content", ["{", "[]", '{"plan": 1}', '{"plan": {}, "where": {}}', None])
def test_runs_whose_plan_is_lost_are_not_thrown_away(campaign, results_folder, content) -> None:
    with pytest.raises(Cut):
        campaign(until=5)
    folder = results_folder / "trial.unfinished"
    (folder / "plan.json").unlink()
    if content is not None:
        (folder / "plan.json").write_text(content)
    runs = sorted(folder.glob("runs/*"))
    assert runs
    with pytest.raises(UserError, match=r"its plan.json cannot be read \(undo that, or .*--force"):
        campaign()
    assert sorted(folder.glob("runs/*")) == runs
    campaign(force=True)
    assert len(json.loads((results_folder / "trial" / "result.json").read_text())["runs"]) == ALL


def test_a_calibration_lost_while_runs_are_made_keeps_them(campaign, results_folder, monkeypatch) -> None:
    def lost(book, made) -> None:
        write(book, made)
        (book.folder / "calibration.json").unlink()
        raise Cut

    write = journal.Journal.write
    monkeypatch.setattr(journal.Journal, "write", lost)
    with pytest.raises(Cut):
        campaign()
    assert len(list(results_folder.glob("trial.unfinished/runs/*.json"))) == 1


def test_a_run_is_on_the_disk_before_it_has_its_name(campaign, results_folder, monkeypatch) -> None:
    """The file before the rename, its folder after it."""
    seen: list[tuple[str, bool]] = []
    real = os.fsync

    def synced(handle: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{handle}"))
        seen.append((path.name, (results_folder / "trial.unfinished" / "runs" / "0001.json").exists()))
        real(handle)

    monkeypatch.setattr(os, "fsync", synced)
    campaign()
    partial = f".0001.json{results.PARTIAL}{os.getpid()}"
    assert (partial, False) in seen
    assert seen[seen.index((partial, False)) + 1] == ("runs", True)


def test_a_run_of_another_plan_is_named(campaign, results_folder) -> None:
    with pytest.raises(Cut):
        campaign(7)
    runs = results_folder / "trial.unfinished" / "runs"
    (runs / "0001.json").rename(runs / "0009.json")
    with pytest.raises(UserError, match=r"0009.json is not a run of this plan \(remove it"):
        campaign()


def test_the_seed_and_the_traces_are_those_of_the_first_start(campaign, results_folder) -> None:
    with pytest.raises(Cut):
        campaign(5)
    seed = json.loads((results_folder / "trial.unfinished" / "plan.json").read_text())["plan"]["seed"]
    seeds = campaign().seeds
    assert result(results_folder)["settings"]["seed"] == seed
    assert {int(each) - seed for each in seeds} == {1, 2}  # a trace for each block


@pytest.mark.parametrize(("settings", "message"), [
    (plan.Settings(3, quick=True), r"another plan: blocks: there 2, now 3"),
    (plan.Settings(2), "another plan: .*quick: there true, now false"),
    (plan.Settings(2, quick=True, seed=1), "seed: there .*, now 1 "),
    (plan.Settings(2, quick=True, rates=(0.7,)), r"points\[1\].name: there \"50 %\", now \"70 %\"")])
def test_another_plan_is_not_mixed_in(campaign, results_folder, settings: plan.Settings, message: str) -> None:
    with pytest.raises(Cut):
        campaign(7)
    with pytest.raises(UserError, match=rf"{message}.*start over with --force"):
        campaign(settings=settings)
    assert len(list(results_folder.glob("trial.unfinished/runs/*.json"))) == 5
    campaign(settings=settings, force=True)
    made = result(results_folder)
    assert made["settings"]["blocks"] == settings.blocks
    assert len(made["starts"]) == 1


def test_another_build_or_machine_is_not_mixed_in(campaign, results_folder, monkeypatch) -> None:
    with pytest.raises(Cut):
        campaign(7)
    monkeypatch.setattr(run, "where", lambda *_: {"kernel": "k", "programs": {"duel-server": "other"}})
    with pytest.raises(UserError, match=r'on another machine or build: programs.duel-server: there "abc", now "other"'):
        campaign()
    assert len(campaign(force=True).seeds) == ALL + 2


def test_force_does_not_throw_away_what_fits(campaign, results_folder) -> None:
    """The same command again goes on, also when that command has --force because results/NAME exists."""
    campaign()
    with pytest.raises(UserError, match="results/trial exists"):
        campaign()
    with pytest.raises(Cut):
        campaign(7, force=True)
    assert len(campaign(force=True).seeds) == ALL - 5


def test_a_campaign_without_a_name_finds_its_own(campaign, results_folder) -> None:
    with pytest.raises(Cut):
        campaign(7, name=None)
    time.sleep(1.1)  # names are of the second
    assert len(campaign(settings=plan.Settings(3, quick=True), name=None).seeds) == 3 * 6 + 2  # another one
    assert len(list(results_folder.glob("trial-*Z.unfinished"))) == 1
    assert len(campaign(name=None).seeds) == ALL - 5
    assert not list(results_folder.glob("*.unfinished"))


def test_one_process_at_a_time(campaign, results_folder, scenario) -> None:
    with pytest.raises(Cut):
        campaign(7)
    holder = subprocess.Popen([sys.executable, "-c", "import fcntl, os, sys\n"
                               "fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX)\n"
                               "print(flush=True)\nsys.stdin.read()", str(results_folder / "trial.unfinished")],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        holder.stdout.readline()
        with pytest.raises(UserError, match="being run by another process"):
            campaign()
    finally:
        holder.communicate()
    campaign()


def test_a_full_disk_keeps_what_is_there(campaign, results_folder, monkeypatch) -> None:
    write = results.write_text

    def full(path: Path, text: str) -> None:
        if path.name == "0004.json":
            raise results.cannot_write(path, OSError(28, "No space left on device"))
        write(path, text)

    monkeypatch.setattr(results, "write_text", full)
    with pytest.raises(UserError, match=r"cannot write .*0004.json: No space left on device \(free some"):
        campaign()
    monkeypatch.setattr(results, "write_text", write)
    assert len(campaign().seeds) == ALL - 3


def test_nothing_is_left_of_a_campaign_that_never_began(campaign, results_folder) -> None:
    with pytest.raises(Cut):
        campaign(1)
    assert list(results_folder.iterdir()) == []


def test_a_stop_says_what_is_kept(campaign, results_folder, monkeypatch, capsys) -> None:
    def stop(*_) -> dict:
        raise Stopped(2)

    with pytest.raises(Cut):
        campaign(6)
    monkeypatch.setattr(Replicate, "__call__", stop)
    with pytest.raises(Stopped):
        campaign()
    assert "4 of 12 runs are kept" in capsys.readouterr().err


# --- processes -------------------------------------------------------------------------------------

CAMPAIGN = """
import json, sys
from pathlib import Path
from scripts import cli, results, scenarios
from scripts.campaign import plan, run
results.RESULTS = Path(sys.argv[1])
scenario = scenarios.read(Path(sys.argv[2]))
server, loader = [sys.executable, sys.argv[3]], [sys.executable, sys.argv[4], "--speed", "20", "--log", sys.argv[5]]
settings = plan.Settings(1, quick=True, duration_s=1)
sys.exit(cli.guarded(lambda: run.run(scenario, settings, "trial", False, server, loader) and 0))
"""


def start(fake: list[str], folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CAMPAIGN, str(folder / "out"), str(folder / "trial.toml"), fake[1], FAKE_LOAD,
         str(folder / "log")], cwd=ROOT, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def ours(folder: Path) -> list[int]:
    """Processes that still have a file of the campaign in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(folder / "out" / "trial.unfinished") in text:
            found.append(int(path.parent.name))
    return found


def wait_until(what, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGKILL])
def test_a_process_that_is_stopped_or_killed_is_taken_up(fake, tmp_path, scenario, signum: int) -> None:
    runs, log = tmp_path / "out" / "trial.unfinished" / "runs", tmp_path / "log"
    first = start(fake, tmp_path)
    try:
        wait_until(lambda: first.poll() is not None or len(list(runs.glob("*.json"))) >= 2)
        wait_until(lambda: first.poll() is not None or len(ours(tmp_path)) >= 2)
        first.send_signal(signum)
        err = first.communicate(timeout=30)[1]
    finally:
        first.kill()
        first.wait()
    done = len(list(runs.glob("[0-9]*.json")))
    assert 2 <= done < 6
    if signum == signal.SIGINT:
        assert first.returncode == 130
        assert f"{done} of 6 runs are kept" in err
        assert ours(tmp_path) == []
    before = {path.name: path.stat().st_mtime_ns for path in runs.glob("[0-9]*.json")}
    asked = len(log.read_text().splitlines())
    second = start(fake, tmp_path)
    err = second.communicate(timeout=60)[1]
    assert second.returncode == 0, err
    assert f"{done} of 6 runs are done" in err
    assert ours(tmp_path) == []  # what the killed one left running has ended
    orphan = 1 if signum == signal.SIGKILL else 0  # may write its line after it was counted
    assert 6 - done <= len(log.read_text().splitlines()) - asked <= 6 - done + orphan
    made = result(tmp_path / "out")
    assert [each["number"] for each in made["runs"]] == [1, 2, 3, 4, 5, 6]
    kept = tmp_path / "out" / "trial" / "runs"
    assert {name: (kept / name).stat().st_mtime_ns for name in before} == before
    assert len({each["began"] + each["file"] for each in made["runs"]}) == 6
