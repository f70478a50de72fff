"""Verdicts from made-up runs: what is better, by how much, what is not shown, and what cannot be said at all."""

from __future__ import annotations

import random
from typing import Any

import pytest

from scripts import answer_regimes, answer_verdicts, scenarios
from scripts.answer_regimes import LOADER, PAIRS, REGIMES, SILENT, STEALING, WRK, Question, Regime
from scripts.answer_verdicts import CANNOT, NONE, SHARDS, SHORT, STEALS, Part, Verdict
from scripts.campaign import plan
from scripts.campaign.plan import CLOSED, CONTROL, Cpus

SHARED = Cpus((0, 1), (0, 1))
NAMES = (STEALING, *PAIRS, CONTROL)


def regime(*questions: Question, key: str = "trial", by: str = LOADER) -> Regime:
    return Regime(key, key.capitalize(), "Q?", "matrix", "GET /", "E.", "R.", questions, by)


def verdicts(parts: list[Part]) -> list[Verdict]:
    return answer_verdicts.verdicts(parts)[0]


def run_of(row: str, point: str, block: int, figure: float, **change: object) -> dict[str, Any]:
    latency = {"count": 100_000, "p50": figure, "p99": figure, "p99_9": figure}
    return {"row": row, "point": point, "block": block, "requests_per_s": figure,
            "offered_per_s": None if point == CLOSED else figure, "cpu_us": {"total": figure},
            "latency_sent_us": latency, "latency_intended_us": latency, "switches_per_1000": figure, "errors": {},
            "zero_served": 0, "fallen_silent": 0, "taints": [], **change}


def campaign(factors: dict[str, float], blocks: int = 11, noise: float = 0.01, points: tuple[str, ...] = (CLOSED,),
             seed: int = 1, shared: bool = True, **change: object) -> dict[str, Any]:
    """Each server's figures are 100 times its factor, and some noise."""
    draw = random.Random(seed)
    runs = [run_of(name, point, block, 100 * factors.get(name, 1.0) * draw.lognormvariate(0, noise), **change)
            for block in range(1, blocks + 1) for point in points for name in NAMES]
    return {"kind": "campaign", "settings": {"blocks": blocks, "cpus_shared": shared},
            "rows": [{"name": name} for name in NAMES], "runs": runs}


def only(found: list[Verdict], row: str = "sharded/epoll") -> Verdict:
    (wanted,) = [each for each in found if each.row == row]
    return wanted


# --- better ------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("measure", "factor", "kind", "words"), [
    ("requests_per_s", 1.25, SHARDS, "more requests a second"),
    ("requests_per_s", 0.80, STEALS, "more requests a second"),
    ("cpu_us_total", 0.80, SHARDS, "less CPU time a request"),
    ("cpu_us_total", 1.25, STEALS, "less CPU time a request"),
    ("p99_us", 1.25, STEALS, "lower p99"),
    ("p99_us", 0.80, SHARDS, "lower p99")])
def test_the_better_one_is_named_with_effect_and_interval(measure: str, factor: float, kind: str, words: str) -> None:
    found = only(verdicts([Part(regime(Question(measure)), campaign({"sharded/epoll": factor}))]))
    assert found.kind == kind
    assert found.words.startswith(f"{kind} better: 2")  # of 25 % more, or 20 % less
    assert f" % {words} [" in found.words
    assert found.interval is not None
    assert found.interval[0] < factor * 1.02
    assert found.interval[1] > factor * 0.98
    assert found.medians is not None
    assert found.medians[1] / found.medians[0] == pytest.approx(factor, rel=0.02)


def test_an_effect_is_the_better_ones_against_the_other() -> None:
    twice = answer_verdicts.paired_comparison([1.0] * 12, [2.0] * 12, 0.95, 0.03)
    assert answer_verdicts.effect(twice, "requests_per_s") == "100 % more requests a second [100 %, 100 %]"
    assert answer_verdicts.effect(twice, "cpu_us_total") == "50 % less CPU time a request [50 %, 50 %]"
    half = answer_verdicts.paired_comparison([2.0] * 12, [1.0] * 12, 0.95, 0.03)
    assert answer_verdicts.effect(half, "requests_per_s") == "100 % more requests a second [100 %, 100 %]"
    assert answer_verdicts.effect(half, "p99_us") == "50 % lower p99 [50 %, 50 %]"


@pytest.mark.parametrize(("measure", "half"), [("requests_per_s", 1.0), ("cpu_us_total", 0.5), ("p99_us", 0.5)])
def test_what_would_show_is_said_as_effects_are(measure: str, half: float) -> None:
    """Twice the requests are 100 % more, half the time is 50 % less."""
    assert answer_verdicts.change(1.0, measure) == half


# --- no difference -----------------------------------------------------------------------------------

def test_no_difference_says_what_would_have_shown() -> None:
    found = only(verdicts([Part(regime(Question("cpu_us_total")), campaign({}, noise=0.05))]))
    assert found.kind == NONE
    assert found.words.startswith("no difference shown (this machine would show ")
    assert found.least is not None
    assert found.least > 0.03


def test_below_the_threshold_does_not_matter() -> None:
    found = only(verdicts([Part(regime(Question("cpu_us_total")), campaign({"sharded/epoll": 1.015}, noise=0.001))]))
    assert found.kind == NONE
    assert "is below the 3 % that matter" in found.words


def test_a_difference_that_two_identical_servers_have_too_is_none() -> None:
    document = campaign({"sharded/epoll": 1.1, CONTROL: 1.15})
    found = only(verdicts([Part(regime(Question("cpu_us_total")), document)]))
    assert found.kind == NONE
    assert "less CPU time a request" in found.words
    assert ", but two identical servers differ by up to 1" in found.words
    little = only(verdicts([Part(regime(Question("cpu_us_total")), campaign({"sharded/epoll": 1.1, CONTROL: 1.03}))]))
    assert little.kind == STEALS


def test_what_one_verdict_shows_a_page_of_them_may_not() -> None:
    """All blocks but one on one side: p = 0.012 and so, enough alone, not among eight."""
    def document() -> dict[str, Any]:
        made = campaign({"sharded/epoll": 1.1, "sharded/uring": 1.1}, noise=0.0)
        for run in made["runs"]:
            if run["block"] == 4 and run["row"].startswith("sharded"):
                run["cpu_us"]["total"] = 99.0
            if run["row"] == CONTROL:  # noise that stays within what is claimed
                run["cpu_us"]["total"] *= 1.01 if run["block"] % 2 else 0.99
        return made

    alone = verdicts([Part(regime(Question("cpu_us_total")), document())])
    assert {each.kind for each in alone} == {STEALS}
    crowd = verdicts([Part(regime(Question("cpu_us_total"), key=f"r{index}"), document()) for index in range(8)])
    assert {each.kind for each in crowd} == {NONE}
    assert "alone would be one, among so many verdicts it may be chance" in crowd[0].words
    assert crowd[0].p == alone[0].p
    assert crowd[0].p_holm == pytest.approx(16 * crowd[0].p)
    assert crowd[0].least >= alone[0].least


def test_pages_without_any_difference_claim_one_seldom(monkeypatch) -> None:
    """Six regimes, two verdicts each, all of one distribution: at most 5 % of pages, here 60."""
    monkeypatch.setattr(answer_verdicts, "smallest", lambda *_: 0.05)  # takes most of the time, and decides nothing
    wrong = 0
    for page in range(60):
        parts = [Part(regime(Question("cpu_us_total"), key=f"r{index}"),
                      campaign({}, noise=0.05, seed=100 * page + index)) for index in range(6)]
        wrong += any(each.kind in (STEALS, SHARDS) for each in verdicts(parts))
    assert wrong <= 6  # P(more | 5 %) < 2 %, and the level is well below 5 %


# --- cannot be measured ------------------------------------------------------------------------------

def test_too_few_cpus_is_said_with_the_reason() -> None:
    unequal = next(each for each in REGIMES if each.key == "unequal")
    why = answer_regimes.cannot(unequal, 1, 2)
    assert why is not None
    assert why.startswith("it takes 4 CPUs for the server alone, here is 1: with fewer than 4 ")
    assert answer_regimes.cannot(unequal, 4, 4) is None
    found = verdicts([Part(unequal, None, why)])
    assert [each.kind for each in found] == [CANNOT, CANNOT]
    assert found[0].words == f"cannot be measured here: {why}"
    assert found[0].ratio is None


@pytest.mark.parametrize("each", REGIMES, ids=lambda each: each.key)
def test_with_one_cpu_no_schedulers_are_compared(each: Regime) -> None:
    why = answer_regimes.cannot(each, 1, 1)
    if each.by == SILENT:
        assert why is None
    else:
        assert why is not None
        assert why.startswith("with one CPU there is nobody to steal from")
        assert "run on two or more" in why


@pytest.mark.parametrize("measure", ["requests_per_s", "cpu_us_total"])
@pytest.mark.parametrize(("change", "words"), [
    ({"errors": {"status": 3}, "taints": ["errors: 3 status"]}, "errors"),
    ({"zero_served": 2, "taints": ["starved: 2 of 64 connections never got an answer"]}, "starved"),
    ({"fallen_silent": 1, "taints": ["fallen silent: 1 of 64"]}, "fallen silent")])
def test_what_failed_or_starved_has_no_figure(measure: str, change: dict[str, Any], words: str) -> None:
    """A server that answers half of its clients spends less on the others, and is not better."""
    document = campaign({"sharded/epoll": 0.5, "sharded/uring": 0.5})
    for run in document["runs"]:
        if run["row"] == "sharded/epoll":
            run.update(change)
    found = verdicts([Part(regime(Question(measure)), document)])
    assert only(found).words == f"cannot be measured here: {words} in 11 of 22 runs"
    assert only(found, "sharded/uring").kind in (STEALS, SHARDS)


@pytest.mark.parametrize(("shared", "kinds"), [(True, [SHARDS, SHARDS]), (False, [CANNOT, SHARDS])])
def test_a_loader_on_its_own_cpus_does_not_give_its_throughput_as_the_servers(shared: bool, kinds: list[str]) -> None:
    document = campaign({}, shared=shared, taints=["loader saturated: 99 %"])
    for run in document["runs"]:
        if run["row"] == "sharded/epoll":
            run["requests_per_s"], run["cpu_us"] = run["requests_per_s"] * 1.5, {"total": run["cpu_us"]["total"] / 1.5}
    found = [each for each in verdicts([Part(regime(Question("requests_per_s"), Question("cpu_us_total")), document)])
             if each.row == "sharded/epoll"]
    assert [each.kind for each in found] == kinds
    assert shared or found[0].words == "cannot be measured here: loader saturated in 22 of 22 runs"


def test_a_saturated_loader_takes_the_percentiles_and_not_the_throughput() -> None:
    busy = campaign({"sharded/epoll": 1.5}, points=(CLOSED, "50 %"), taints=["loader saturated: 97 %", "drift: x"])
    found = [each for each in verdicts([Part(regime(Question("requests_per_s"), Question("p99_us", 0.5)), busy)])
             if each.row == "sharded/epoll"]
    assert [each.kind for each in found] == [SHARDS, CANNOT]
    assert found[1].words == "cannot be measured here: loader saturated in 22 of 22 runs"


def test_blocks_lost_to_a_taint_leave_too_few() -> None:
    document = campaign({"sharded/epoll": 1.5})
    for run in document["runs"]:
        if run["block"] <= 7 and run["row"] == "sharded/epoll":
            run["taints"] = ["schedule slipped: late"]
    found = verdicts([Part(regime(Question("p99_us")), document)])
    assert only(found).words == ("cannot be measured here: 4 of 7 blocks that it takes are left "
                                 "(schedule slipped in 7 of 22 runs)")
    assert only(found, "sharded/uring").kind == NONE
    _, family, needed = answer_verdicts.verdicts([Part(regime(Question("p99_us")), document)])
    assert (family, needed) == (2, 7), "Holm's correction went across the one with too few blocks, too"
    one_lost = campaign({"sharded/epoll": 1.5})
    one_lost["runs"][1]["taints"] = ["schedule slipped: late"]
    assert only(verdicts([Part(regime(Question("p99_us")), one_lost)])).kind == STEALS


def test_too_few_requests_for_a_percentile() -> None:
    document = campaign({})
    for run in document["runs"]:
        run["latency_sent_us"]["count"] = 900
    assert only(verdicts([Part(regime(Question("p99_us")), document)])).words == (
        "cannot be measured here: too few requests for a p99 latency in 22 of 22 runs")


def test_cpu_time_that_is_missing_is_no_lack_of_requests() -> None:
    document = campaign({})
    for run in document["runs"]:
        run["cpu_us"] = None
    assert only(verdicts([Part(regime(Question("cpu_us_total")), document)])).words == (
        "cannot be measured here: no CPU time a request in 22 of 22 runs")


def test_a_server_that_does_not_run_here() -> None:
    document = campaign({})
    document["rows"] = [each for each in document["rows"] if each["name"] != "sharded/uring"]
    found = verdicts([Part(regime(Question("cpu_us_total")), document)])
    assert only(found, "sharded/uring").words == ("cannot be measured here: sharded/uring does not run here "
                                                  "(what io_uring lacks: ./duel machine check)")
    assert only(found).kind == NONE


def test_too_few_blocks_decide_nothing_and_say_what_enough_would_show() -> None:
    found = only(verdicts([Part(regime(Question("cpu_us_total")), campaign({"sharded/epoll": 3.0}, blocks=2))]))
    assert found.kind == SHORT
    assert found.words.startswith("too short to decide: 2 of 7 blocks; 10 would show, by the noise of so few, about ")
    assert "(seen: stealing 6" in found.words
    assert found.least is not None


# --- parts that are no campaigns -----------------------------------------------------------------------

def by_wrk(factor: float, **change: object) -> dict[str, Any]:
    draw = random.Random(1)
    rows = [{"value": None, "row": name, "runs": [
        {"audit": {"starved": False}, "figures": {"errors": 0, **change, "cpu_us": draw.lognormvariate(0, 0.01) * (
            factor if name == "sharded/epoll" else 1.0)}} for _ in range(11)]} for name in NAMES]
    return {"kind": "scenario", "settings": {"repeats": 11}, "scenario": {"rows": [{"name": name} for name in NAMES]},
            "rows": rows}


def test_runs_by_wrk_count_as_blocks() -> None:
    asked = regime(Question("cpu_us_total"), by=WRK)
    assert only(verdicts([Part(asked, by_wrk(0.5))])).words.startswith("thread-per-core better: 50 % less CPU time")
    failed = only(verdicts([Part(asked, by_wrk(0.5, errors=3))]))
    assert failed.words == "cannot be measured here: runs failed requests or starved connections"


def test_runs_without_load_are_read() -> None:
    document = by_wrk(1.0)
    for row in document["rows"]:
        row["runs"] = [{"kib_a_connection": 6.0 if row["row"].startswith("sharded") else 12.0} for _ in range(11)]
    found = only(verdicts([Part(regime(Question("kib_a_connection")), document)]))
    assert found.words == "thread-per-core better: 50 % less memory a connection [50 %, 50 %]"


# --- the regimes ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("each", REGIMES, ids=lambda each: each.key)
@pytest.mark.parametrize("has_uring", [True, False])
def test_every_regime_is_a_scenario_that_can_be_run(each: Regime, has_uring: bool) -> None:
    made = answer_regimes.scenario(each, has_uring)
    names = [row.name for row in made.rows]
    assert names[:2] == [STEALING, "sharded/epoll"]
    assert ("sharded/uring" in names) == has_uring
    assert made.cores == scenarios.load(each.scenario).cores
    assert (made.question, made.expected, made.reason) == (each.question, each.expected, each.reason)
    for question in each.questions:
        assert question.measure in answer_regimes.MEASURES
    if each.by != LOADER:
        assert names[-1] == CONTROL
        return
    planned = plan.make(made, plan.Settings(2, 1, each.rates, True, 1, None, each.at), SHARED)
    assert [row.name for row in planned.rows] == [*names, CONTROL]
    assert planned.control_of == STEALING
    points = {point.name for point in planned.points}
    assert {question.point for question in each.questions} <= points
    assert points == {CLOSED, *(question.point for question in each.questions)}
    assert plan.pairs(made) == [(name, STEALING) for name in names[1:]]


def test_regimes_have_keys_of_their_own() -> None:
    assert len({each.key for each in REGIMES}) == len(REGIMES)
