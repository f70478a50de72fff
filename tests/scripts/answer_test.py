"""./duel bench answer: the page, and whole sheets with fake servers, cut off and taken up."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from report_page_test import check_stands_alone

from scripts import answer, answer_page, bench, machine, results, theory_predict
from scripts.answer_regimes import REGIMES
from scripts.campaign import journal, run
from scripts.errors import Stopped, UserError
from scripts.paths import ROOT

FAKE_LOAD = [sys.executable, str(Path(__file__).with_name("fake_load.py")), "--speed", "20"]
RECORD = {"cpu": {"model": "A <CPU>", "allowed": [0, 1], "hypervisor": True},
          "system": {"kernel": "6.1", "distribution": "Debian", "memory_mib": 1},
          "build": {"dirty": True, "commit": "0123456789", "compiler": "GCC 12"}}


def verdict(row: str, kind: str, words: str, measure: str = "cpu_us_total", **change: Any) -> dict[str, Any]:
    return {"row": row, "against": "stealing/epoll", "measure": measure, "point": "closed", "n": 11,
            "medians": {"stealing/epoll": 8.0, row: 6.0}, "ratio": 0.75, "low": 0.7, "high": 0.8, "p": 0.001,
            "p_holm": 0.004, "minimum_detectable": 0.0512, "verdict": kind, "words": words, **change}


def document(**settings: Any) -> dict[str, Any]:
    """A sheet of a regime with figures and one without."""
    nothing = {"medians": None, "ratio": None, "low": None, "high": None, "p": None, "p_holm": None,
               "minimum_detectable": None}
    told = {"question": "Q?", "expected": "E.", "reason": "R.", "source": "S", "scenario": "matrix", "by": "duel-load"}
    why = "it takes 4 CPUs"
    return {
        "schema_version": 1, "kind": "answer", "name": "trial", "began": "2026-01-02T03:04:05Z", "ended": "later",
        "settings": {"blocks": 11, "quick": False, "seed": 7, "duration_s": 2, "cores": 1, "cpus_shared": True,
                     "load_cpus": [0, 1], "server_cpus": [0, 1], "io_uring": True, "family": 2, "blocks_needed": 7,
                     **settings},
        "counts": {"thread-per-core": 1, "no difference": 1, "cannot": 2, "stealing": 0, "too short": 0},
        "machine": RECORD,
        "regimes": [
            {**told, "key": "short", "words": "Equal <short> requests", "asks": "GET /", "predicted": None,
             "folder": "short", "why_not": None, "control": "~ two identical rows differ by x1.010",
             "taints": ["shared: server and loader share 2 CPUs", "drift: 3 of 88 runs"], "verdicts": [
                 verdict("sharded/epoll", "thread-per-core", "thread-per-core better: 25 % less [20 %, 30 %]"),
                 verdict("sharded/uring", "no difference", "no difference shown (this machine would show 5 % or more)",
                         ratio=0.99, low=0.9, high=1.1)]},
            {**told, "key": "unequal", "words": "Unequal requests", "asks": "/work",
             "predicted": {"flags": ["--cores", "8"], "cores": 8,
                           "p99_us": {"stealing": 2502.3, "partitioned": 9616}},
             "folder": None, "why_not": why, "control": None, "taints": [], "verdicts": [
                 verdict(row, "cannot", f"cannot be measured here: {why}", "p99_us", point="70 %", n=0, **nothing)
                 for row in ("sharded/epoll", "sharded/uring")]}]}


# --- the page ----------------------------------------------------------------------------------------

def test_the_markdown_page_says_it_all() -> None:
    text = answer_page.markdown(document())
    assert text.startswith("# Work stealing or thread-per-core? What this machine says\n")
    assert "**Of 4 verdicts: thread-per-core better in 1, no difference shown in 1, 2 cannot be measured here.**" in (
        text)
    assert "trial, 2026-01-02; A <CPU>; 2 CPUs, virtual; Linux 6.1; Debian; GCC 12; commit 012345678 and more" in text
    assert "> Server and load generator share 2 CPUs" in text
    assert "> Built from uncommitted changes." in text
    assert ("| Equal <short> requests | CPU time a request | thread-per-core better: 25 % less [20 %, 30 %] | "
            "no difference shown (this machine would show 5 % or more) |") in text
    assert ("| Unequal requests | p99 latency at 70 % of the peak | cannot be measured here: it takes 4 CPUs. "
            "Simulated for 8 CPUs at that load, evenly spread: p99 2.5 ms with stealing, 9.62 ms with a queue for each "
            "CPU. | the same |") in text
    assert "| CPU time a request, µs | 8 | 6 | 11; 4.9 % | 6 | 11; 4.9 % |" in text
    assert "./duel report results/trial/short" in text
    assert "./duel simulate --cores 8" in text
    assert "- Held against it: drift: 3 of 88 runs." in text
    assert "Too short" not in text


def test_what_else_ran_is_said_above_all() -> None:
    made = document()
    made["regimes"][0]["taints"] += ["other work: 60 of 72 runs", "steal: 2 of 72 runs"]
    made["regimes"][1]["taints"] += ["busy: load average 3.5 before the start", "other work: 1 of 8 runs"]
    said = answer_page.warnings(made)
    assert said[2:] == [
        "Other work was running: load average 3.5 before one of the regimes.",
        "Other processes took more than a tenth of the CPUs in 61 of 80 runs: verdicts of a quieter machine would be "
        "sharper (./duel machine check).", "The hypervisor took CPU time away in 2 of 72 runs."]


def test_a_quick_page_says_first_that_it_decides_nothing() -> None:
    text = answer_page.markdown(document(blocks=2, quick=True))
    assert "> Too short to decide: 2 blocks; 2 verdicts take 7 (the usual ./duel bench answer has 11)." in text
    assert text.index("Too short") < text.index("| regime")


def test_the_html_page_stands_alone() -> None:
    text = answer_page.html(document())
    page = check_stands_alone(text)
    assert page.tags["svg"] == 1
    assert "Equal <short> requests" in page.said
    assert "thread-per-core better 25 % less [20 %, 30 %]" in page.said
    assert "cannot be measured here it takes 4 CPUs" in page.said
    assert page.said.count("it takes 4 CPUs") == 1
    links = {each for each in page.references if each.startswith("#")}
    assert links <= {f"#{each}" for each in page.ids}


def test_a_page_without_any_figure_has_no_picture() -> None:
    made = document()
    made["regimes"] = made["regimes"][1:]
    page = check_stands_alone(answer_page.html(made))
    assert page.tags["svg"] == 0
    assert "cannot be measured here" in answer_page.markdown(made)


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium here")
def test_a_browser_has_nothing_to_complain_of(tmp_path: Path) -> None:
    (tmp_path / "answer.html").write_text(answer_page.html(document()))
    done = subprocess.run(
        ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
         f"--user-data-dir={tmp_path / 'profile'}", "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr",
         "--v=0", "--window-size=1280,720", f"--screenshot={tmp_path / 'page.png'}", f"file://{tmp_path}/answer.html"],
        capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    assert (tmp_path / "page.png").stat().st_size > 10_000


# --- whole sheets, with fakes --------------------------------------------------------------------------

GIVEN = answer.Settings(2, True, 7, ("unequal", "payload", "silent"))


@pytest.fixture
def sheet(fake, results_folder, monkeypatch):
    """One CPU for the server; a campaign with fakes; a made-up result for what needs no load."""
    monkeypatch.setattr(machine, "record", lambda: RECORD)
    monkeypatch.setattr(machine, "io_uring", lambda: "works")
    monkeypatch.setattr(bench, "effective_cores", lambda: 1)
    monkeypatch.setattr(run, "where", lambda *_: {"programs": {"duel-server": "abc"}})
    monkeypatch.setattr(theory_predict, "simulate", lambda _: {"rows": [
        {"given": {"policy": policy, "cores": 8}, "results": {"p99": {"value": p99}}}
        for policy, p99 in (("stealing", 2500.0), ("partitioned", 9600.0))]})

    def silent(scenario, settings, name, force, server=None) -> None:
        kept = {"kind": "scenario", "settings": {"repeats": settings.times, "duration_s": settings.duration_s},
                "taints": ["built from uncommitted changes"],
                "scenario": {"rows": [{"name": row.name} for row in scenario.rows]},
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


def test_without_io_uring_its_server_is_left_out(sheet, monkeypatch) -> None:
    monkeypatch.setattr(machine, "io_uring", lambda: "EPERM")
    made = sheet(answer.Settings(2, True, 7, ("payload",)))
    assert [each["words"] for each in made["regimes"][0]["verdicts"] if each["row"] == "sharded/uring"] == [
        "cannot be measured here: sharded/uring does not run here"]


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
    (state,) = [each for each in results_folder.glob("*.unfinished") if "payload" not in each.name]
    seed = json.loads((state / "plan.json").read_text())["settings"]["seed"]

    def count(*argv: Any) -> dict[str, Any]:
        measured.append(1)
        return whole(*argv)

    def no_room(*_: Any) -> None:
        raise UserError("no space")

    with monkeypatch.context() as patch:
        patch.setattr(run, "replicate", count)
        patch.setattr(bench, "run", no_room)
        with pytest.raises(UserError, match="silent: no space"):
            sheet(given, name)
    assert (state / "payload" / "result.json").exists()
    made = sheet(given, name)
    assert len(measured) == 3 + 2 * 4  # three peaks, two blocks of four servers
    assert made["settings"]["seed"] == seed
    assert [each["n"] for each in made["regimes"][1]["verdicts"]] == [2, 2]
    assert len(list(results_folder.iterdir())) == 1


def test_a_part_that_was_whole_but_not_in_its_place_is_taken(sheet, results_folder, monkeypatch) -> None:
    def cut(*_: Any) -> None:
        raise Stopped(15)

    with monkeypatch.context() as patch:
        patch.setattr(bench, "run", cut)
        with pytest.raises(Stopped):
            sheet()
    (results_folder / "trial.unfinished" / "payload").rename(results_folder / "trial-payload")
    monkeypatch.setattr(run, "replicate", cut)
    assert [each["n"] for each in sheet()["regimes"][1]["verdicts"]] == [2, 2]


def test_nothing_is_left_where_nothing_was_measured(sheet, results_folder, monkeypatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise UserError("no server")

    monkeypatch.setattr(run, "run", fail)
    with pytest.raises(UserError, match="payload: no server"):
        sheet()
    assert list(results_folder.iterdir()) == []


def test_another_build_or_plan_is_refused_unless_forced(sheet, results_folder, monkeypatch, capsys) -> None:
    def cut(*_: Any) -> None:
        raise Stopped(2)

    with monkeypatch.context() as patch:
        patch.setattr(bench, "run", cut)
        with pytest.raises(Stopped):
            sheet()
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


def test_the_usual_sheet_takes_about_twenty_minutes_and_a_quick_one_four() -> None:
    def minutes(quick: bool) -> float:
        given = answer.settings(None, quick, None, None)
        return sum(answer.seconds(each, given, True) for each in REGIMES if each.key not in ("unequal", "skew")) / 60

    assert minutes(False) < 20
    assert minutes(True) < 4
