"""The page of ./duel bench answer, from a made-up document."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from report_page_test import check_stands_alone

from scripts import answer_page

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
    told = {"question": "Q?", "expected": "E.", "reason": "R.", "source": "S", "scenario": "matrix", "by": "duel-load",
            "duration_s": 2, "warmup_s": 0.5, "seed": 7}
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
    assert "sharded/epoll: the same driver" in text
    assert "- Expected: E. Because R. (Like scenario matrix: S.)" in text


@pytest.mark.parametrize(("by", "how"), [
    ("duel-load", "by duel-load, 2 s after 0.5 s of warm-up, in an order drawn from seed 7"),
    ("wrk", "2 s after 0.5 s of warm-up, in an order drawn from the number of the block"),
    ("idle", "without load, watched for 2 s, in an order drawn from the number of the block")])
def test_each_regime_says_how_its_own_runs_were_made(by: str, how: str) -> None:
    made = document()
    made["regimes"][0]["by"] = by
    said = answer_page.notes(made, made["regimes"][0])[2]
    assert said.startswith("Computed from short/ (11 blocks, ")
    assert f"{how}): table.md" in said
    assert ("./duel report" in said) == (by != "idle")
    assert "seed" not in " ".join(answer_page.reading(made))


def test_who_is_the_bottleneck_is_said_as_the_figures_are_taken() -> None:
    shared, apart = (" ".join(answer_page.reading(document(cpus_shared=each))) for each in (True, False))
    assert "for latencies a load generator that was itself the bottleneck. It shares the CPUs here" in shared
    assert "for latencies and requests a second a load generator that was itself the bottleneck." in apart
    assert "shares the CPUs" not in apart


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
