"""./duel bench answer: whole sheets with fake servers, cut off and taken up, and the command line."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from answer_page_test import RECORD
from report_page_test import check_stands_alone

from scripts import answer, bench, machine, results, theory_predict, wrk
from scripts.answer_regimes import REGIMES
from scripts.campaign import host, journal, run
from scripts.campaign.plan import Cpus
from scripts.errors import Stopped, UserError
from scripts.paths import ROOT

SIMULATOR = ROOT / os.environ.get("DUEL_BUILD", "build/dev") / "bench" / "sim" / "duel-sim"
FAKE_LOAD = [sys.executable, str(Path(__file__).with_name("fake_load.py")), "--speed", "20"]


# --- whole sheets, with fakes --------------------------------------------------------------------------

GIVEN = answer.Settings(2, True, 7, ("unequal", "payload", "silent"))


@pytest.fixture
def sheet(fake, results_folder, monkeypatch):
    """One CPU for the server; a campaign with fakes; a made-up result for what needs no load."""
    monkeypatch.setattr(machine, "record", lambda: RECORD)
    monkeypatch.setattr(machine, "io_uring", lambda: "works")
    monkeypatch.setattr(bench, "effective_cores", lambda: 1)
    monkeypatch.setattr(host, "cpus", lambda: Cpus((0, 1), (0, 1)))
    monkeypatch.setattr(run, "where", lambda *_: {"programs": {"duel-server": "abc"}})
    monkeypatch.setattr(theory_predict, "simulate", lambda _: {"rows": [
        {"given": {"policy": policy, "cores": 8}, "results": {"p99": {"value": p99}}}
        for policy, p99 in (("stealing", 2500.0), ("partitioned", 9600.0))]})

    def silent(scenario, settings, name, force, server=None) -> None:
        kept = {"kind": "scenario", "began": results.utc_now(), "taints": ["built from uncommitted changes"],
                "settings": {"repeats": settings.times, "duration_s": settings.duration_s},
                "scenario": {"name": scenario.name, "rows": [{"name": row.name} for row in scenario.rows]},
                "rows": [{"value": None, "row": row.name, "runs": [{"kib_a_connection": 9.0 + index + block / 10}
                                                                   for block in range(settings.times)]}
                         for index, row in enumerate(scenario.rows)]}
        with results.folder(name, force) as folder:
            results.write_json(folder / "result.json", kept)

    monkeypatch.setattr(bench, "run", silent)

    def start(given: answer.Settings = GIVEN, name: str | None = "trial", force: bool = False) -> dict[str, Any]:
        return answer.run(given, name, force, fake, FAKE_LOAD)

    return start


def test_a_sheet_is_one_folder_with_page_and_parts(sheet, results_folder, capsys) -> None:
    made = sheet()
    told = capsys.readouterr()
    folder = results_folder / "trial"
    assert [each.name for each in results_folder.iterdir()] == ["trial"]
    assert sorted(each.name for each in folder.iterdir()) == ["answer.html", "answer.json", "answer.md", "payload",
                                                              "plan.json", "silent"]
    assert json.loads((folder / "answer.json").read_text()) == json.loads(json.dumps(made))
    assert [each["key"] for each in made["regimes"]] == ["unequal", "payload", "silent"]
    unequal, payload, silent = made["regimes"]
    assert unequal["why_not"].startswith("it takes 4 CPUs for the server alone, here is 1")
    assert unequal["predicted"]["p99_us"] == {"stealing": 2500.0, "partitioned": 9600.0}
    assert {each["verdict"] for each in payload["verdicts"] + silent["verdicts"]} == {"too short"}
    assert [each["n"] for each in payload["verdicts"]] == [2, 2]
    assert sum(made["counts"].values()) == 6
    assert "Built from uncommitted changes." in made["taints"]
    assert [(each["duration_s"], each["seed"]) for each in made["regimes"]] == [(None, None), (1, 7), (1, None)]
    check_stands_alone((folder / "answer.html").read_text())
    assert re.search(r"answer: large answers, 1 of 2 \(about \d+ s left of all\)", told.err)
    assert re.search(r"answer: many silent connections, 2 of 2 \(about \d+ s left of all\)", told.err)
    assert told.out.startswith("Of 6 verdicts: 4 too short to decide, 2 cannot be measured here.")
    assert "cannot be measured here: it takes 4 CPUs" in told.out
    assert "Larger answers" not in told.out, "the campaign's own tables are in its folder"
    assert (folder / "payload" / "table.md").exists()


def test_enough_blocks_give_a_verdict(sheet) -> None:
    made = sheet(answer.Settings(7, True, 7, ("payload",)))
    assert (made["settings"]["family"], made["settings"]["blocks_needed"]) == (2, 7)
    for each in made["regimes"][0]["verdicts"]:
        assert each["verdict"] in ("stealing", "thread-per-core", "no difference")
        assert each["low"] <= each["ratio"] <= each["high"]
        assert each["minimum_detectable"] >= 0.03


def test_a_lost_block_leaves_the_family_as_it_is(sheet, monkeypatch) -> None:
    whole, seen = run.replicate, []

    def starved_once(server: list[str], *rest: Any) -> dict[str, Any]:
        found = whole(server, *rest)
        if "sharded" in server and "epoll" in server:
            seen.append(1)
            if len(seen) == 3:  # the first is the peak's
                found["zero_served"] = 1
        return found

    monkeypatch.setattr(run, "replicate", starved_once)
    made = sheet(answer.Settings(7, True, 7, ("payload",)))
    lost = next(each for each in made["regimes"][0]["verdicts"] if each["row"] == "sharded/epoll")
    assert (lost["verdict"], lost["n"]) == ("cannot", 6)
    assert (made["settings"]["family"], made["settings"]["blocks_needed"]) == (2, 7)


def test_without_io_uring_its_server_is_left_out(sheet, monkeypatch) -> None:
    monkeypatch.setattr(machine, "io_uring", lambda: "EPERM")
    made = sheet(answer.Settings(2, True, 7, ("payload",)))
    assert [each["words"] for each in made["regimes"][0]["verdicts"] if each["row"] == "sharded/uring"] == [
        "cannot be measured here: sharded/uring does not run here (what io_uring lacks: ./duel machine check)"]


@pytest.mark.parametrize("name", ["trial", None])
def test_a_sheet_cut_off_is_taken_up(sheet, results_folder, monkeypatch, capsys, name: str | None) -> None:
    """In a campaign, then between the parts; nothing is measured twice, and a drawn seed is kept."""
    given = answer.Settings(2, True, None, GIVEN.only)
    measured = []
    whole = run.replicate

    def cut(*argv: Any) -> dict[str, Any]:
        if len(measured) == 5:
            raise Stopped(2)
        measured.append(1)
        return whole(*argv)

    with monkeypatch.context() as patch:
        patch.setattr(run, "replicate", cut)
        with pytest.raises(Stopped):
            sheet(given, name)
    assert "the same command goes on" in capsys.readouterr().err
    (state,) = [each for each in results_folder.glob("*.unfinished") if ".part-payload" not in each.name]
    seed = json.loads((state / "plan.json").read_text())["settings"]["seed"]

    def count(*argv: Any) -> dict[str, Any]:
        measured.append(1)
        return whole(*argv)

    with monkeypatch.context() as patch:
        patch.setattr(run, "replicate", count)
        patch.setattr(bench, "run", no_room)
        with pytest.raises(UserError, match="silent: cannot write .*No space left"):
            sheet(given, name)
    assert (state / "payload" / "result.json").exists()
    made = sheet(given, name)
    assert len(measured) == 3 + 2 * 4  # three peaks, two blocks of four servers
    assert made["settings"]["seed"] == seed
    assert [each["n"] for each in made["regimes"][1]["verdicts"]] == [2, 2]
    assert len(list(results_folder.iterdir())) == 1


def stopped(*_: Any) -> None:
    raise Stopped(2)


def stop_at_wrk(sheet, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(bench, "run", stopped)
        with pytest.raises(Stopped):
            sheet()


def test_a_part_that_was_whole_but_not_in_its_place_is_taken(sheet, results_folder, monkeypatch) -> None:
    stop_at_wrk(sheet, monkeypatch)
    whole = results_folder / "trial.part-payload"
    (results_folder / "trial.unfinished" / "payload").rename(whole)
    monkeypatch.setattr(run, "replicate", stopped)
    text = (whole / "result.json").read_text()
    for old, new in (('"seed": 7,', '"seed": 8,'), ('"blocks": 2,', '"blocks": 3,'),
                     ('"name": "payload"', '"name": "x"'), ('"kind": "campaign"', '"kind": "scenario"')):
        assert old in text
        (whole / "result.json").write_text(text.replace(old, new))
        with pytest.raises(UserError, match=r"results/trial\.part-payload exists"):
            sheet()
    (whole / "result.json").write_text(text)
    assert [each["n"] for each in sheet()["regimes"][1]["verdicts"]] == [2, 2]


def test_results_and_leftovers_of_others_are_no_parts(sheet, results_folder) -> None:
    """./duel bench payload --name trial-payload; and a sheet whose folder was removed to start over."""
    theirs = results_folder / "trial-payload" / "result.json"
    results_folder.mkdir()
    theirs.parent.mkdir()
    theirs.write_text('{"kind": "campaign", "began": "2999-01-01T00:00:00Z"}')
    left = journal.unfinished("trial.part-payload")
    left.mkdir()
    (left / "plan.json").write_text('{"plan": {"seed": 1}, "where": {}}')
    made = sheet()
    assert [each["n"] for each in made["regimes"][1]["verdicts"]] == [2, 2]
    assert theirs.exists()
    assert sorted(each.name for each in results_folder.iterdir()) == ["trial", "trial-payload"]


def no_server(*_: Any, **__: Any) -> None:
    raise UserError("no row has a peak")


def no_room(*_: Any, **__: Any) -> None:
    raise results.cannot_write(results.RESULTS, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))


def test_a_regime_that_cannot_be_measured_costs_no_other_one(sheet, results_folder, monkeypatch, capsys) -> None:
    def fail_later(scenario: Any, settings: Any, name: str, *_: Any) -> None:
        (journal.unfinished(name) / "runs").mkdir(parents=True)
        no_server()

    monkeypatch.setattr(run, "run", fail_later)
    made = sheet()
    _, payload, silent = made["regimes"]
    assert (payload["why_not"], payload["folder"]) == ("no row has a peak", None)
    assert {each["words"] for each in payload["verdicts"]} == {"cannot be measured here: no row has a peak"}
    assert [each["n"] for each in silent["verdicts"]] == [2, 2]
    assert "answer: large answers cannot be measured here: no row has a peak" in capsys.readouterr().err
    assert "cannot be measured here: no row has a peak" in (results_folder / "trial" / "answer.md").read_text()
    assert [each.name for each in results_folder.iterdir()] == ["trial"]


def test_a_full_disk_ends_the_command(sheet, monkeypatch) -> None:
    monkeypatch.setattr(run, "run", no_room)
    with pytest.raises(UserError, match="payload: cannot write .*No space left"):
        sheet()


def test_what_was_begun_otherwise_ends_the_command(sheet, monkeypatch) -> None:
    def begun(scenario: Any, settings: Any, name: str, *_: Any) -> None:
        raise UserError(f"{journal.unfinished(name)} was begun with another plan: x (undo that)")

    monkeypatch.setattr(run, "run", begun)
    with pytest.raises(UserError, match="payload: .*begun with another plan"):
        sheet()


def test_nothing_is_left_where_nothing_was_measured(sheet, results_folder, monkeypatch) -> None:
    monkeypatch.setattr(run, "run", no_server)
    with pytest.raises(UserError, match="payload: no row has a peak"):
        sheet(answer.Settings(2, True, 7, ("unequal", "payload")))
    assert list(results_folder.iterdir()) == []


def test_wrk_is_asked_for_only_where_its_regime_was_chosen(monkeypatch) -> None:
    def missing() -> None:
        raise UserError("wrk not found")

    monkeypatch.setattr(wrk, "require", missing)
    monkeypatch.setattr(host, "cpus", lambda: Cpus((0, 1), (0, 1)))
    for only in (None, ["payload"]):
        answer.check(answer.settings(None, False, None, only), None, False)
    with pytest.raises(UserError, match="wrk not found"):
        answer.check(answer.settings(None, False, None, ["state"]), None, False)


@pytest.mark.parametrize("key", ["unequal", "blocking"])
@pytest.mark.parametrize(("cpus", "cores"), [(1, 8), (2, 2), (16, 8), (24, 12)])
def test_the_servers_that_are_raced_are_simulated(sheet, monkeypatch, key: str, cpus: int, cores: int) -> None:
    """With the workers that they have here; 8 where the regime cannot be measured. The page shows what was asked."""
    half = tuple(range(max(1, cpus // 2))) if cpus >= 4 else tuple(range(cpus))
    monkeypatch.setattr(bench, "effective_cores", lambda: max(1, cpus // 2))
    monkeypatch.setattr(host, "cpus", lambda: Cpus(half, half))
    asked: list[list[str]] = []
    fake = theory_predict.simulate
    monkeypatch.setattr(theory_predict, "simulate", lambda flags: (asked.append(flags), fake(flags))[1])
    told = answer.predicted(next(each for each in REGIMES if each.key == key))
    assert asked == [told["flags"]]
    said = " ".join(told["flags"])
    assert f"--cores {8 if key == 'unequal' and cpus < 8 else cores} " in said
    assert "--policy stealing,partitioned --place poller" in said
    done = subprocess.run([SIMULATOR, *told["flags"], "--jobs", "200", "--replications", "2"], capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_another_build_or_plan_is_refused_unless_forced(sheet, results_folder, monkeypatch, capsys) -> None:
    stop_at_wrk(sheet, monkeypatch)
    with pytest.raises(UserError, match=r"trial\.unfinished was begun otherwise: blocks: there 2, now 3 \(undo that"):
        sheet(answer.Settings(3, True, 7, GIVEN.only))
    monkeypatch.setattr(run, "where", lambda *_: {"programs": {"duel-server": "def"}})
    with pytest.raises(UserError, match="begun otherwise: programs.duel-server: there"):
        sheet()
    sheet(force=True)
    assert "starting over" in capsys.readouterr().err
    with pytest.raises(UserError, match="results/trial exists"):
        sheet()
    assert not journal.unfinished("trial").exists()


# --- the command line ------------------------------------------------------------------------------------

def duel(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(ROOT / "duel"), "bench", "answer", *argv], capture_output=True, text=True, timeout=60,
                          check=False)


@pytest.mark.parametrize(("argv", "message"), [
    (["--only", "fast"], "--only: no regime 'fast' (one of short, unequal, "),
    (["--only", ","], "--only: names no regime"),
    (["--blocks", "0"], "'0' is not a whole number above 0"),
    (["--name", "a/b"], "is not a folder name"),
    (["--frob"], "unrecognized arguments: --frob"),
    (["extra"], "unrecognized arguments: extra")])
def test_wrong_usage_is_one_line_and_exit_2(argv: list[str], message: str) -> None:
    done = duel(*argv)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_list_names_every_regime() -> None:
    done = duel("--list")
    assert done.returncode == 0
    for each in REGIMES:
        assert f"\n  {each.key} " in done.stdout
    assert len(re.findall(r"^ +here: (?:yes|no, )", done.stdout, re.MULTILINE)) == len(REGIMES)


def test_the_usual_sheet_takes_twenty_to_thirty_minutes_and_a_quick_one_five() -> None:
    def minutes(quick: bool, *but: str) -> float:
        given = answer.settings(None, quick, None, None)
        return sum(answer.seconds(each, given, True) for each in REGIMES if each.key not in but) / 60

    assert minutes(False, "unequal", "skew") < 20
    assert minutes(False) < 30
    assert minutes(True) < 5
