"""The crossover's pure parts, with made-up figures: search, limit, ratios, winners, predictions, table, chart."""

from __future__ import annotations

import math

import pytest

from scripts import crossover_plot, crossover_rules as rules, crossover_summary as summary, crossover_theory as theory
from scripts.errors import UserError

PAIR = "stealing/epoll", "sharded/uring"


def searched(limit: int, says=lambda step, met: met, steps: int = len(rules.SHARES)) -> tuple[rules.Search, list[int]]:
    """A search over a grid whose steps up to `limit` meet it."""
    state, tried = rules.search(steps), []
    while (step := state.next) is not None:
        tried.append(step)
        met = says(step, step <= limit)
        state = state.told(met, f"late at {step}" if met is None else "")
    return state, tried


@pytest.mark.parametrize("steps", [1, 2, 7, 31])
def test_a_search_finds_every_step_in_few_runs(steps: int) -> None:
    for limit in range(-1, steps):
        state, tried = searched(limit, steps=steps)
        assert (state.low, state.high) == (limit, limit + 1)
        assert len(tried) == len(set(tried)) <= rules.most_probes(steps)


def test_five_runs_are_enough_for_the_grid() -> None:
    assert rules.most_probes() == 5
    assert list(rules.SHARES) == sorted(set(rules.SHARES))
    assert (rules.SHARES[0], rules.SHARES[-1]) == (0.04, 1.0)
    assert rules.SHARES[0] < 1 - math.log(100) / 5  # what M/M/1 carries where p99 may take five services


def test_a_capacity_is_a_rate_of_the_grid_or_a_bound() -> None:
    rates = rules.grid(2, 95.0, 5.0)
    assert (rates[0], rates[-1]) == (800.0, 20000.0)
    assert rules.capacity(searched(4)[0], rates) == (rates[4], "", "")
    assert rules.capacity(searched(0)[0], rates) == (800.0, "", "")
    assert rules.capacity(searched(-1)[0], rates) == (800.0, "≤", "")
    assert rules.capacity(searched(30)[0], rates) == (20000.0, "≥", "")


def test_only_doubt_at_the_end_of_a_search_spoils_it() -> None:
    """A run that says nothing stands in for a failure; where a later, sound one lies below it, that one counts."""
    rates = rules.grid(2, 95.0, 5.0)
    always = searched(4, lambda step, met: met or None)[0]
    assert rules.capacity(always, rates) == (None, "", "late at 5")
    above = searched(4, lambda step, met: met or (None if step > 6 else False))[0]
    assert rules.capacity(above, rates) == (rates[4], "", "")


WORDS = {"schedule_slipped": "schedule slipped", "loader_saturated": "loader saturated", "censored": "censored",
         "drift": "drift", "offered_not_achieved": "not achieved"}


def run(p99: float, *words: str, count: int = 5000, **more) -> dict:
    return {"load": {"taints": list(words)}, "latency_intended_us": {"p99": p99, "count": count}, "errors": {},
            "zero_served": 0, "fallen_silent": 0, "requests_per_s": 1.0,
            "taints": [f"{WORDS[each]}: so much" for each in words], **more}


@pytest.mark.parametrize(("made", "says"), [
    (run(99), True), (run(100), True), (run(101), False), (run(50, "schedule_slipped"), True),
    (run(101, "schedule_slipped"), None), (run(101, "loader_saturated"), None), (run(101, "censored", "drift"), False),
    (run(99, taints=["other work: 60%"]), True), (run(101, taints=["other work: 60%"]), None),
    (run(101, taints=["throttled: 3 periods"]), None), (run(101, taints=["steal: 2%"]), False),
    (run(50, "schedule_slipped", errors={"status": 3}), None),
    (run(50, "offered_not_achieved"), None), (run(101, "offered_not_achieved"), False), (run(50, count=999), None),
    (run(50, errors={"status": 3}), False), (run(50, errors={"connect": 3}), True), (run(50, zero_served=1), False),
    (run(50) | {"load": None, "latency_intended_us": None}, None),
    (run(50) | {"latency_intended_us": {"p99": None, "count": 0}}, None)])
def test_a_kept_limit_is_kept_and_a_passed_one_needs_a_sound_run(made: dict, says: bool | None) -> None:
    assert rules.meets(made, 100.0)[0] is says


@pytest.mark.parametrize(("made", "why"), [
    (run(101, "drift", "schedule_slipped"), "schedule slipped: so much"),
    (run(101, taints=["drift: 1", "other work: 60%"]), "other work: 60%"), (run(50, "offered_not_achieved"),
                                                                        "not achieved: so much"),
    (run(50, count=812), "few answers: 812, and a p99 takes 1,000"),
    (run(50) | {"load": None, "latency_intended_us": None, "taints": ["server: it ended", "other work: 60%"]},
     "server: it ended"),
    (run(50) | {"load": None, "latency_intended_us": None}, "a run without figures"), (run(99, "drift"), ""),
    (run(101, "drift"), "")])
def test_a_run_that_does_not_say_says_why(made: dict, why: str) -> None:
    assert rules.meets(made, 100.0)[1] == why


def test_a_window_holds_enough_requests_for_a_p99() -> None:
    assert rules.open_s(100_000.0, 2) == 2
    assert rules.open_s(300.0, 2) == 4
    assert rules.open_s(300.0, 2) * 300 >= rules.P99_LEAST


def test_a_window_of_the_closed_loop_serves_everybody_often() -> None:
    assert rules.closed_s(256, 2, 50.0, 2) == 2
    assert rules.closed_s(256, 2, 1000.0, 2) == 3
    assert rules.closed_s(256, 2, 1000.0, 2) / 4 * 2 / 1000e-6 >= 4 * 256


def test_a_loader_on_the_same_cpus_bounds_the_handler_times() -> None:
    said = {handler: rules.not_here(handler, 6.0, 4.0, True) for handler in (0, 5, 20, 50, 1000)}
    assert [handler for handler, why in said.items() if why] == [0, 5, 20]
    assert "takes 67% of what the server takes" in said[0]
    assert not any(rules.not_here(handler, 6.0, 4.0, False) for handler in said)


@pytest.mark.parametrize(("ratios", "word", "is_interval"), [
    ([1.3, 1.4, 1.35], "stealing?", False), ([0.7, 0.8, 0.75], "sharded?", False), ([0.9, 1.2, 1.3], "~", False),
    ([1.01, 1.02, 1.02], "~", False), ([1.4], "~", False),
    ([1.3, 1.32, 1.4, 1.35, 1.31, 1.33, 1.36, 1.37], "stealing", True),
    ([1.3, 0.8, 1.4, 0.7, 1.31, 0.9, 1.36, 0.8], "~", True), ([1.01, 1.012] * 5, "~", True)])
def test_the_winner(ratios: list[float], word: str, is_interval: bool) -> None:
    found = summary.corrected({50.0: summary.compared(dict(enumerate(ratios)), dict.fromkeys(range(20), 1.0))})[50.0]
    made = summary.ratio_json(found)
    assert (made["winner"], made["is_interval"], made["n"]) == (word, is_interval, len(ratios))
    assert made["ratios"] == pytest.approx(ratios)
    assert min(ratios) - 1e-9 <= made["low"] <= made["ratio"] <= made["high"] <= max(ratios) + 1e-9


@pytest.mark.parametrize(("stealing", "sharded", "says"), [
    ({}, {}, ""), ({1: "≥"}, {}, "≥"), ({1: "≤"}, {}, "≤"), ({}, {1: "≤"}, "≥"), ({}, {1: "≥"}, "≤"),
    ({1: "≥", 2: "≥"}, {1: "≤"}, "≥"), ({1: "≤"}, {1: "≤"}, "≤≥"), ({1: "≥"}, {1: "≥"}, "≤≥"),
    ({1: "≥"}, {2: "≥"}, "≤≥")])
def test_edges_bound_a_ratio(stealing: dict, sharded: dict, says: str) -> None:
    assert summary.bound(stealing, sharded) == says


@pytest.mark.parametrize(("ratio", "bound", "word", "cell"), [
    (1.4, "≥", "stealing", "≥ x1.40 (1.40..1.40)"), (1.4, "≤", "~", "~ ≤ x1.40 (1.40..1.40)"),
    (0.7, "≤", "sharded", "≤ x0.70 (0.70..0.70)"), (0.7, "≥", "~", "~ ≥ x0.70 (0.70..0.70)"),
    (1.4, "≤≥", "~", "at the edge"), (1.4, "", "stealing", "x1.40 (1.40..1.40)")])
def test_a_bound_names_only_the_winner_that_it_cannot_take_back(ratio, bound, word, cell) -> None:
    for blocks, mark in ((8, ""), (3, "?")):
        found = summary.corrected({1.0: summary.compared(dict.fromkeys(range(blocks), ratio),
                                                         dict.fromkeys(range(blocks), 1.0))})[1.0]
        made = summary.ratio_json(found, bound)
        assert (made["winner"], made["bound"]) == (word if word == "~" else word + mark, bound or None)
        assert summary.cell(made) == cell


def test_a_block_without_one_of_the_two_does_not_count() -> None:
    found = summary.compared({1: 2.0, 2: 3.0, 3: 4.0}, {2: 1.0, 3: 1.0, 4: 1.0})
    assert summary.ratios_of(found) == pytest.approx([3.0, 4.0])
    assert summary.compared({1: 2.0}, {2: 1.0}) is None


def test_how_many_blocks_a_curve_takes() -> None:
    assert [summary.fewest_blocks(each) for each in (1, 2, 6)] == [6, 7, 8]
    eight = {h: summary.compared(dict.fromkeys(range(8), 1.3 + h / 1e4), dict.fromkeys(range(8), 1.0))
             for h in range(6)}
    assert {summary.winner(each) for each in summary.corrected(eight).values()} == {"stealing"}
    seven = {h: summary.compared(dict.fromkeys(range(7), 1.3), dict.fromkeys(range(7), 1.0)) for h in range(6)}
    assert {summary.winner(each) for each in summary.corrected(seven).values()} == {"~"}


# --- theory ----------------------------------------------------------------------------------------

AT = [0.1, 50.0]


def said(**more) -> dict:
    point = {"handler": 0.1, "ratio": None, "formula_ratio": 0.9}
    above = {"handler": 50.0, "ratio": {"value": 1.3, "low": 1.2, "high": 1.4}, "formula_ratio": 1.35}
    curve = {"cores": 2, "advantage": 1.41, "formula": None, "formula_says": "always", "simulated": None,
             "simulation_says": "below 0.1", "points": [point, above]}
    return {"kind": "crossover", "schema_version": 1, "curves": [curve], **more}


def test_what_the_simulator_says_is_read() -> None:
    curve, = theory.parse(said(), AT)
    assert (curve.cores, curve.handlers, curve.crossing) == (2, [0.1, 50.0], None)
    assert curve.at(0.0) == (None, 0.9)
    assert curve.at(50.0) == ((1.3, 1.2, 1.4), 1.35)


@pytest.mark.parametrize("document", [said(kind="sweep"), said(schema_version=2), {"kind": "crossover"},
                                      said(curves=[{"cores": 2}]), said(curves=None),
                                      said(curves=[{**said()["curves"][0], "points": []}])])
def test_another_simulators_json_is_refused(document: dict) -> None:
    with pytest.raises(UserError, match="duel-sim's JSON is not the one known here"):
        theory.parse(document, AT)


def test_the_formulas_break_even_is_the_references() -> None:
    """bench/sim/DESIGN.md: 9.5 and 5.15 µs on 4 cores within 10 services: 1.8 µs."""
    assert theory.break_even_us(9.5, 5.15, 1.62) == pytest.approx(1.87, abs=0.05)
    assert theory.break_even_us(5.0, 5.0, 1.62) < 0
    assert theory.break_even_us(9.5, 5.15, 1.0) is None


def test_by_cost_long_handlers_make_rows_alike() -> None:
    assert theory.peak_ratio((8.0, 5.0), 0.0, 0.0) == pytest.approx(0.625)
    assert theory.peak_ratio((8.0, 5.0), 0.0, 4.0) == pytest.approx(0.75)
    assert theory.peak_ratio((8.0, 5.0), 1000.0, 4.0) == pytest.approx(0.997, abs=1e-3)


def test_a_handler_time_is_found_whatever_its_digits() -> None:
    """The simulator's own figures may be rounded."""
    curve, = theory.parse(said(), [0.1, 333.33333])
    assert curve.at(333.33333) == ((1.3, 1.2, 1.4), 1.35)
    asked = theory.flags((8.0, 5.0), 10.000001, [2], [333.33333, 1234.56789], False, 7, True)
    assert asked[asked.index("--handlers") + 1] == "333.33333,1234.56789"
    assert asked[asked.index("--slo") + 1] == "10.000001"


def test_what_the_simulator_is_asked() -> None:
    argv = theory.flags((8.0, 5.25), 10.0, theory.cores(2), [0.1, 50], False, 7, True)
    words = dict(zip(argv[1::2], argv[2::2], strict=True))
    assert argv[0] == "crossover"
    assert (words["--stealing-cost"], words["--sharded-cost"]) == ("8.000", "5.250")
    assert (words["--cores"], words["--handlers"], words["--place"]) == ("2,8,64", "0.1,50", "poller")
    assert theory.cores(8) == [8, 64]
    assert theory.handlers([0.0, 50.0]) == [0.1, 1, 2, 5, 10, 20, 50]


# --- the table -------------------------------------------------------------------------------------

COSTS = {PAIR[0]: {"median": 8.0, "low": 7.5, "high": 9.0, "n": 3}, PAIR[1]: {"median": 5.0, "low": 4.5, "high": 5.5,
                                                                             "n": 3}}


def made_lines() -> list[dict]:
    curve, = theory.parse(said(), AT)
    peaks = {(PAIR[0], 0.0): {1: 90.0, 2: 92.0}, (PAIR[1], 0.0): {1: 120.0, 2: 121.0},
             (PAIR[0], 50.0): {1: 30.0, 2: 30.5}, (PAIR[1], 50.0): {1: 30.2, 2: 30.1}}
    capacities = {(PAIR[0], 50.0): {1: 26.0, 2: 27.0}, (PAIR[1], 50.0): {1: 20.0, 2: 20.0}}
    why = {(row, 0.0): [f"{rules.CANNOT}: shared"] for row in PAIR}
    return summary.lines(PAIR, [0.0, 50.0], peaks, capacities, {}, why, (8.0, 5.0), 4.0, curve)


def test_the_table_says_what_could_not_be_measured() -> None:
    lines = made_lines()
    first, second = summary.table(lines).rows
    assert first == ["0", "x0.76 (0.75..0.76)", "x0.75", "not here", "—", "x0.90", "sharded? (peak)"]
    assert second == ["50", "~ x1.00 (0.99..1.01)", "x0.95", "x1.32 (1.30..1.35)", "x1.30", "x1.35", "stealing?"]
    assert summary.table(lines).sections == {0: "stealing/epoll / sharded/uring"}


def test_notes_name_what_is_missing() -> None:
    why = {(PAIR[0], 0.0): ["shared"], (PAIR[0], 5.0): ["shared"], (PAIR[1], 50.0): ["late: 1 ms", "late: 2 ms"]}
    assert summary.missing_notes({0.0: "shared", 5.0: "shared"}, why, {(PAIR[0], 0.0): ["starved: 3 of 256"]}, 3) == [
        "not here: H = 0, 5 µs: shared.",
        "sharded/uring at H = 50 µs has no rate within the limit in 2 of 3 blocks: late: 1 ms.",
        "stealing/epoll at H = 0 µs has no peak in 1 of 3 blocks: starved: 3 of 256."]


def test_a_pair_that_one_block_measured_is_no_gap() -> None:
    curve, = theory.parse(said(), AT)
    line, = summary.lines(PAIR, [50.0], {}, {(row, 50.0): {1: 10.0} for row in PAIR}, {}, {(PAIR[0], 50.0): ["late"]},
                          (8.0, 5.0), 0.0, curve)
    assert (line["peak"], line["capacity"]["n"], line["winner"]) == (None, 1, "~")
    assert summary.table([line]).rows[0][3] == "~ x1.00"


def test_a_limit_that_nobody_keeps_is_a_finding() -> None:
    curve, = theory.parse(said(), AT)
    edges = {(row, 50.0): {1: "≤"} for row in PAIR}
    line, = summary.lines(PAIR, [50.0], {}, {(row, 50.0): {1: 10.0} for row in PAIR}, edges, {}, (8.0, 5.0), 0.0, curve)
    assert (line["winner"], summary.capacity_cell(line)) == ("~", "at the edge")
    assert summary.edge_notes(edges, 3)[0] == (
        "stealing/epoll at H = 50 µs passes the limit at the lowest rate of the grid already, in 1 of 3 blocks.")


def test_a_block_at_the_edge_is_not_forgotten() -> None:
    """Stealing wins where both have a rate; where sharded keeps everything, it does not."""
    curve, = theory.parse(said(), AT)
    capacities = {(PAIR[0], 50.0): {1: 20.0, 2: 20.0, 3: 20.0}, (PAIR[1], 50.0): {1: 15.0, 2: 15.0, 3: 19.0}}
    for edge, winner in (("≥", "~"), ("≤", "stealing?")):
        line, = summary.lines(PAIR, [50.0], {}, capacities, {(PAIR[1], 50.0): {3: edge}}, {}, (8.0, 5.0), 0.0, curve)
        assert (line["capacity"]["n"], line["winner"]) == (3, winner)


def test_crossings_tell_their_doubt() -> None:
    curve, = theory.parse(said(), AT)
    made = summary.crossings({PAIR: [curve]}, COSTS)
    assert made.rows == [["2 cores", "below 0.1", "2.3 (always..6.5)", "x1.41"]]
    assert made.sections == {0: "stealing/epoll / sharded/uring"}


def test_a_rows_own_figures_are_medians() -> None:
    peaks, rates = {(PAIR[0], 50.0): {1: 1000.0, 2: 3000.0}}, {(PAIR[1], 50.0): {2: 700.0}}
    made = summary.figures(list(PAIR), [50.0], peaks, rates, {})
    assert made.rows == [["50", "2,000", "—"], ["50", "—", "700"]]
    assert list(made.sections) == [0, 1]


@pytest.mark.parametrize(("rates", "edges", "cell"), [
    ({1: 8.0, 2: 90.0, 3: 100.0}, {1: "≤", 3: "≥"}, "90"), ({1: 8.0, 2: 8.0, 3: 100.0}, {1: "≤", 2: "≤"}, "≤ 8"),
    ({1: 100.0, 2: 90.0}, {1: "≥"}, "≥ 95"), ({1: 8.0, 2: 8.0, 3: 9.0}, {2: "≤"}, "8"),
    ({1: 8.0, 2: 100.0}, {1: "≤", 2: "≥"}, "at the edge")])
def test_a_median_may_be_a_bound(rates: dict, edges: dict, cell: str) -> None:
    place = PAIR[0], 50.0
    assert summary.figures([PAIR[0]], [50.0], {}, {place: rates}, {place: edges}).rows[1] == ["50", cell]


# --- the chart -------------------------------------------------------------------------------------

def document() -> dict:
    return {"lines": made_lines(), "settings": {"connections": 256, "blocks": 2, "duration_s": 2, "slo": 10.0,
                                                "workers": 2},
            "predictions": [{"stealing": PAIR[0], "sharded": PAIR[1], "cores": 2, "handlers": [0.1, 50.0],
                             "ratios": [None, (1.3, 1.2, 1.4)], "crossing": (7.0, 6.0, 9.0),
                             "simulation_says": "7 (6..9)"}]}


def test_the_chart_is_drawn_for_each_pair(tmp_path) -> None:
    crossover_plot.draw(document(), tmp_path)
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        f"crossover-stealing-epoll-sharded-uring.{ending}" for ending in ("png", "svg")]
    assert all(each.stat().st_size > 10_000 for each in tmp_path.iterdir())


def test_the_chart_has_a_mark_for_each_kind_of_bound(tmp_path) -> None:
    made = document()
    drawn = {}
    for bound in (None, "≥", "≤", "≤≥"):
        made["lines"][1]["capacity"]["bound"] = bound
        crossover_plot.draw(made, tmp_path)
        drawn[bound] = next(tmp_path.glob("*.svg")).read_text()
    assert len(set(drawn.values())) == 4


@pytest.mark.parametrize(("winners", "says"), [
    (["stealing?", "~"], "carries more at 50 µs (too few blocks to show it), no winner shown at 200 µs"),
    (["sharded?", "~"], "carries less at 50 µs (too few blocks to show it), no winner shown at 200 µs"),
    (["sharded", "stealing"], "carries more at 200 µs, carries less at 50 µs"),
    (["stealing", "sharded?"], "carries more at 50 µs, carries less at 200 µs (too few blocks to show it)"),
    (["stealing", "stealing"], "carries more at 50, 200 µs"), (["~", "~"], "no winner shown at 50, 200 µs"),
    ([None, "sharded"], "carries less at 200 µs"), ([None, None], "no rate within the limit measured")])
def test_its_title_says_what_was_found(winners: list[str | None], says: str) -> None:
    lines = [{"stealing": PAIR[0], "sharded": PAIR[1], "handler_us": at, "capacity": winner and {"n": 3},
              "winner": winner or "sharded? (peak)"} for at, winner in zip((50.0, 200.0), winners, strict=True)]
    assert crossover_plot.headline(lines, document()["predictions"], 2) == (
        f"stealing/epoll against sharded/uring: {says}; predicted H* on 2 cores 7 (6..9) µs")


def test_zero_stands_left_of_all_others() -> None:
    assert crossover_plot.place_of_zero([0.0, 0.1, 6.0, 50.0]) == 2.0
    assert math.isfinite(crossover_plot.place_of_zero([0.0]))
