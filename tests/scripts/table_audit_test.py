"""./duel audit: public tables get the verdicts they deserve, and no sound run is ever accused."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy
import pytest

from scripts import table_read
from scripts.table_audit import (AMBER, GREEN, RED, UNDETERMINED, Figure, Row, audit, bracket, hidden_tail, mean_bounds,
                                 spelled)

TABLES = Path(__file__).with_name("tables")


def rules(row: Row) -> dict[str, str]:
    return {each.rule: each.verdict for each in audit(row).findings}


def written(text: str) -> Figure:
    """A figure as a table prints it, in milliseconds or as a plain number."""
    return table_read.number(text, {"": 1.0}, None)


def row(mean: str | None = None, rate: str = "100000", **other) -> Row:
    """1000 connections at 100,000/s: a mean of 10 ms is N_eff 1."""
    quantiles = {share: written(text) for share, text in other.pop("quantiles", {}).items()}
    return Row(name="row", requests_per_s=written(rate), mean_ms=written(mean) if mean else None, quantiles=quantiles,
               **{"connections": 1000, **other})


# --- public tables -------------------------------------------------------------------------------

def public() -> list[tuple[str, int, str]]:
    found = []
    for path in sorted(TABLES.iterdir()):
        if path.suffix == ".json":
            expected = [each["expected"] for each in json.loads(path.read_text())["rows"]]
        else:
            lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
            expected = [line.rsplit(",", 1)[1] for line in lines[1:]]
        found += [(path.name, index, word) for index, word in enumerate(expected)]
    return found


@pytest.mark.parametrize(("name", "index", "word"), public())
def test_public_rows_get_their_verdict(name: str, index: int, word: str) -> None:
    table = table_read.read(TABLES / name)
    assert table.source
    assert table.unused == ["expected"]
    assert audit(table.rows[index]).verdict == word


def test_the_public_tables_are_all_there() -> None:
    words = [word for _, _, word in public()]
    assert len(words) > 140
    assert {RED, AMBER, UNDETERMINED, GREEN} == set(words)


def of(name: str, label: str) -> Row:
    return next(each for each in table_read.read(TABLES / name).rows if each.name == label)


def test_the_seeds_blocking_rows_close_after_every_answer() -> None:
    for label in ("Single-threaded", "One-thread-per-connection"):
        assert rules(of("seed.csv", label)) == {"error-per-answer": RED}


def test_p50_never_stands_for_the_mean() -> None:
    """357,093/s x 2.01 ms would be 718 of 1000 connections; the percentiles leave 434 to 8044."""
    sound = audit(of("seed.csv", "async-rt"))
    assert sound.n_eff.low == pytest.approx(0.434, abs=5e-4)
    assert sound.n_eff.high == pytest.approx(8.04, abs=5e-3)
    assert sound.verdict == UNDETERMINED


def test_figures_of_the_known_cases() -> None:
    assert spelled(audit(of("pingora.csv", "no steal")).n_eff) == "0.994"
    assert spelled(audit(of("pingora.csv", "steal")).n_eff) == "2.64"
    assert "phantom" in audit(of("pingora.csv", "steal")).findings[0].means
    assert "1,018 of 4,096" in audit(of("httparena.csv", "h2o-mruby")).findings[0].says
    assert "at most 5,120 req/s" in audit(of("fasthttp.csv", "prefork")).findings[1].says
    assert "312 x p99" in audit(of("talon.csv", "io_uring 1024")).findings[0].says
    assert "430 x p99" in audit(of("nurl.csv", "NURL 200")).findings[0].says


# --- Little's law with a mean --------------------------------------------------------------------

@pytest.mark.parametrize(("mean", "word"), [
    ("7.98", RED), ("8.00", AMBER), ("8.50", AMBER), ("8.99", AMBER), ("9.00", GREEN), ("10.00", GREEN),
    ("10.20", GREEN), ("10.30", AMBER), ("11.00", AMBER), ("11.02", RED), ("26.40", RED), ("0.10", RED)])
def test_the_zones_of_a_mean(mean: str, word: str) -> None:
    assert audit(row(mean)).verdict == word


@pytest.mark.parametrize(("mean", "word"), [
    ("7.995", RED), ("8.0", AMBER), ("7.96", AMBER),  # 7.955..7.965 is red, 7.96 printed to 0.1 is not
    ("8.99", AMBER), ("9.0", GREEN), ("8.995", AMBER)])
def test_rounding_is_to_the_authors_good(mean: str, word: str) -> None:
    figure = written(mean)
    if mean == "7.96":
        figure = Figure(7.96, 7.91, 8.01)
    assert audit(Row("row", written("100000"), figure, connections=1000)).verdict == word


@pytest.mark.parametrize(("mean", "word"), [("1e1", UNDETERMINED), ("10", GREEN), ("8", UNDETERMINED), ("2", RED)])
def test_a_coarse_mean_is_judged_only_where_all_of_it_agrees(mean: str, word: str) -> None:
    """8 is 7.5 to 8.5: red to amber, so amber; 1e1 is 5 to 15."""
    assert audit(row(mean)).verdict == (AMBER if mean == "8" else word)


def test_think_time_and_pipeline_take_part() -> None:
    assert audit(row("2.00", think_ms=8.0)).verdict == GREEN
    assert audit(row("2.00")).verdict == RED
    assert audit(row("160.0", pipeline=16)).verdict == GREEN
    assert audit(row("160.0")).verdict == RED


def test_only_wrk_is_said_to_correct() -> None:
    assert "phantom" in audit(row("20.0", tool="wrk 4.2.0")).findings[0].means
    assert "phantom" not in audit(row("20.0", tool="oha")).findings[0].means


def test_a_low_row_asks_for_the_loaders_cpu_first() -> None:
    assert audit(row("5.00", tool="wrk")).findings[0].ask.startswith("first the loader's CPU")


# --- bounds from percentiles ---------------------------------------------------------------------

def test_the_bounds_by_hand() -> None:
    """L = .5x0 + .49x2 + .01x8, U = .5x2 + .49x8 + .01x100; each number by half a unit to the outside."""
    low, high = mean_bounds(row(quantiles={0.5: "2", 0.99: "8", 1.0: "100"}))
    assert low == pytest.approx(0.49 * 1.5 + 0.01 * 7.5)
    assert high == pytest.approx(0.5 * 2.5 + 0.49 * 8.5 + 0.01 * 100.5)


def test_the_minimum_lifts_the_lower_bound() -> None:
    low, _ = mean_bounds(row(quantiles={0.0: "1.000", 0.5: "2.000"}))
    assert low == pytest.approx(0.5 * 0.9995 + 0.5 * 1.9995)


@pytest.mark.parametrize(("tool", "timeout_s", "most"), [
    ("", None, float("inf")), ("oha", None, float("inf")), ("wrk", None, 2000), ("wrk", 8.0, 8000),
    ("hey", None, 20000), ("autocannon", None, 10000), ("", 1.0, 1000)])
def test_the_last_step_ends_at_the_tools_cap(tool: str, timeout_s: float | None, most: float) -> None:
    _, high = mean_bounds(row(quantiles={0.5: "1.000"}, tool=tool, timeout_s=timeout_s))
    assert high == pytest.approx(0.5 * 1.0005 + 0.5 * most)


def test_a_percentile_above_the_cap_shows_that_the_cap_was_another() -> None:
    _, high = mean_bounds(row(quantiles={0.5: "1.000", 0.99: "2500"}, tool="wrk"))
    assert high == float("inf")


def test_percentiles_alone_convict_only_by_their_bounds() -> None:
    assert rules(row(quantiles={0.0: "11.0", 0.5: "11.2", 1.0: "30"})) == {"littles-law": RED}  # even L is 1.105
    assert rules(row(quantiles={0.0: "10.7", 0.5: "11.2", 1.0: "30"})) == {"littles-law": UNDETERMINED}
    assert rules(row(quantiles={0.5: "2.00", 0.99: "3.00", 1.0: "9.00"})) == {"littles-law": RED}  # even U is 0.26
    assert rules(row(quantiles={0.5: "6.00", 0.99: "9.90", 1.0: "19.0"})) == {"littles-law": UNDETERMINED}  # U is 0.80
    assert rules(row(quantiles={0.5: "6.00", 0.99: "9.80", 1.0: "10.0"})) == {"littles-law": RED}  # U is 0.79
    assert rules(row(quantiles={0.0: "9.00", 0.5: "9.50", 0.99: "10.0", 1.0: "12.0"})) == {}
    assert rules(row(quantiles={0.0: "7.90", 0.5: "8.00", 0.99: "8.10", 1.0: "9.00"})) == {"littles-law": UNDETERMINED}


def test_the_same_percentiles_are_a_bound_with_a_maximum_and_none_without() -> None:
    printed = {0.5: "9.00", 0.9: "12.0", 0.99: "14.0"}
    assert audit(row(quantiles=printed)).verdict == UNDETERMINED
    assert audit(row(quantiles={0.0: "8.00", **printed, 1.0: "20.0"})).verdict == GREEN


@pytest.mark.parametrize(("p50", "p99", "word"), [
    ("0.30", "0.40", RED), ("0.30", "5.92", RED), ("0.30", "5.95", AMBER), ("0.30", "15.1", AMBER),
    ("6.00", "12.0", UNDETERMINED)])
def test_a_hidden_tail(p50: str, p99: str, word: str) -> None:
    """To fill 900 of 1000 the mean is 9 ms; with 0.30 and 5.93 the slowest 1 % has 100 times 5.93 to take."""
    printed = row(quantiles={0.5: p50, 0.99: p99})
    assert rules(printed) == {"hidden-tail" if word != UNDETERMINED else "littles-law": word}


def test_a_known_maximum_leaves_no_tail_to_hide() -> None:
    assert hidden_tail(row(quantiles={0.5: "0.30", 0.99: "0.40", 1.0: "900"})) is None
    assert hidden_tail(row(quantiles={0.5: "0.30", 0.99: "0.40"})) is not None


def test_a_fifth_is_left_to_a_busy_loader() -> None:
    """Tokio of the seed table: 90 % of the connections would need a tail of 5 x p99, 80 % none at all."""
    assert hidden_tail(of("seed.csv", "Tokio")) is None


# --- before all that -----------------------------------------------------------------------------

@pytest.mark.parametrize("broken", [
    row("10.0", rate="0"), row("0.00"), row("10.0", requests=0), row("10.0", quantiles={0.5: "9.00", 0.9: "8.98"}),
    row("10.0", quantiles={0.5: "12.0", 0.99: "30.0", 1.0: "29.0"}), row("10.0", quantiles={0.5: "20.2"}),
    row("10.0", quantiles={0.5: "1.00", 0.99: "2.00", 1.0: "9.00"})])
def test_malformed_rows_are_red_and_nothing_else_is_said(broken: Row) -> None:
    assert rules(broken) == {"malformed": RED}


@pytest.mark.parametrize("sound", [
    row("10.0", quantiles={0.5: "9.0", 0.9: "8.98"}), row("10.0", quantiles={0.5: "20"}),
    row("10.0", quantiles={0.5: "10.0", 0.9: "10.0", 0.99: "10.0", 1.0: "10.0"})])
def test_rounding_alone_makes_nothing_malformed(sound: Row) -> None:
    assert rules(sound) == {}


@pytest.mark.parametrize(("errors", "word"), [(0, GREEN), (99, GREEN), (100, AMBER), (999, AMBER), (1000, RED),
                                              (97_000, RED)])
def test_the_share_of_errors(errors: float, word: str) -> None:
    got = audit(row("10.0", errors=errors, duration_s=1.0))
    assert got.verdict == word
    assert {each.rule for each in got.findings} <= {"errors"}


@pytest.mark.parametrize("errors", [98_100, 100_000, 101_900])
def test_one_error_an_answer_is_a_connection_closed_each_time(errors: float) -> None:
    assert rules(row("10.0", errors=errors, duration_s=1.0)) == {"error-per-answer": RED}
    assert rules(row("10.0", errors=errors, requests=100_000)) == {"error-per-answer": RED}


def test_errors_without_a_duration() -> None:
    assert rules(row("10.0", errors=5)) == {"errors": UNDETERMINED}
    assert rules(row("10.0", errors=3_000_000)) == {"errors": AMBER}
    assert "3,000 s" in audit(row("10.0", errors=3_000_000)).findings[0].says


def test_service_floor_and_the_throughput_it_allows() -> None:
    assert rules(row("10.0", service_ms=10.0)) == {}
    assert rules(row("10.0", service_ms=10.06)) == {"service-floor": RED, "throughput-bound": RED}
    assert rules(row("10.0", service_ms=5.0, quantiles={0.0: "4.90"})) == {"service-floor": RED}
    assert rules(row(service_ms=20.0, pipeline=2)) == {"littles-law": UNDETERMINED}


def test_cpu_time_above_the_cores() -> None:
    assert rules(row("10.0", cpu_us=written("40"), cores=4.0)) == {}
    assert rules(row("10.0", cpu_us=written("43"), cores=4.0)) == {"cpu": RED}
    assert rules(row("10.0", cpu_us=written("43"))) == {}


@pytest.mark.parametrize(("rate", "word"), [("99000", GREEN), ("98998", RED), ("101000", GREEN), ("101002", RED),
                                            ("50000", RED)])
def test_an_open_loop_has_to_achieve_what_it_offers(rate: str, word: str) -> None:
    """Little's law says nothing there: requests may wait for a connection."""
    assert audit(row("90.0", rate=rate, tool="wrk2")).verdict == UNDETERMINED
    got = audit(Row("row", written(rate), written("90.0"), connections=1000, rate=100_000))
    assert got.verdict == word
    assert {each.rule for each in got.findings} <= {"open-loop"}


@pytest.mark.parametrize("lacking", [Row("row", None, written("1"), connections=9), Row("row", written("9"), None),
                                     Row("row", written("9"), None, connections=9),
                                     Row("row", written("9"), written("1"))])
def test_what_is_not_printed_is_asked_for(lacking: Row) -> None:
    got = audit(lacking)
    assert (got.verdict, got.n_eff) == (UNDETERMINED, None)
    assert got.findings[0].ask


# --- no false accusations ------------------------------------------------------------------------

SHARES = (0.0, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999, 1.0)


def latencies(draw: random.Random, generator: numpy.random.Generator) -> numpy.ndarray:
    n, kind, scale = 40_000, draw.randrange(5), 10 ** draw.uniform(-2, 1.5)
    if kind == 0:
        made = generator.lognormal(0, draw.uniform(0.05, 1.5), n)
    elif kind == 1:
        made = 1 + generator.pareto(draw.uniform(1.8, 4), n)
    elif kind == 2:
        made = numpy.where(generator.random(n) < 10 ** draw.uniform(-3, -0.5), draw.uniform(2, 500), 1.0)
    elif kind == 3:
        made = generator.exponential(1, n) + draw.choice((0, 0.5))
    else:
        made = numpy.full(n, 1.0)
    return numpy.minimum(made * scale, 1999.0)


def printed(draw: random.Random, value: float) -> Figure:
    """As tables print: significant digits or decimals, and never so few that nothing is left."""
    text = f"{value:.{draw.choice((2, 3, 4))}g}" if draw.random() < 0.5 else f"{value:.{draw.choice((2, 3))}f}"
    figure = written(text)
    return figure if figure.value > 0 else written(f"{value:.6f}")


def consistent(seed: int) -> tuple[Row, numpy.ndarray]:
    """What a sound closed loop prints: every connection always waits for an answer or thinks."""
    draw, generator = random.Random(seed), numpy.random.default_rng(seed)
    took, think = latencies(draw, generator), draw.choice((0.0, 0.0, 5.0))
    connections, pipeline = draw.randrange(1, 5000), draw.choice((1, 1, 1, 16))
    shares = draw.sample(SHARES, draw.randrange(1, len(SHARES) + 1))
    method = draw.choice(("linear", "higher", "lower", "inverted_cdf"))
    rate = connections * pipeline / (took.mean() + think) * 1e3
    figures = {share: printed(draw, float(numpy.quantile(took, share, method=method))) for share in shares}
    return Row("sound", written(f"{rate:.{draw.choice((0, 1, 2))}f}" if rate > 100 else f"{rate:.4f}"),
               printed(draw, float(took.mean())) if draw.random() < 0.3 else None, figures, connections, pipeline,
               think, tool=draw.choice(("", "wrk", "oha", "hey")), errors=0, duration_s=30), took


@pytest.mark.parametrize("block", range(8))
def test_no_sound_closed_loop_is_ever_red(block: int) -> None:
    words = set()
    for seed in range(block * 100, block * 100 + 100):
        sound, took = consistent(seed)
        got = audit(sound)
        words.add(got.verdict)
        for finding in got.findings:
            if finding.rule == "hidden-tail":  # says that the last percentile hides something: it does
                last = max(sound.quantiles)
                slowest = numpy.sort(took)[int(last * took.size):].mean()
                assert slowest > (100 if finding.verdict == RED else 1) * sound.quantiles[last].low, seed
            else:
                assert finding.verdict == UNDETERMINED, (seed, finding)
    assert {GREEN, UNDETERMINED} <= words  # it does decide


@pytest.mark.parametrize("factor", [0.3, 0.6, 1.4, 3.0])
def test_a_run_that_is_not_consistent_is_red_by_its_mean(factor: float) -> None:
    for seed in range(60):
        draw = random.Random(seed)
        took = float(latencies(draw, numpy.random.default_rng(seed)).mean())
        wrong = Row("wrong", written(f"{factor * 1000 / took * 1e3:.2f}"), written(f"{took:.6f}"), connections=1000)
        assert rules(wrong) == {"littles-law": RED}, seed


def test_the_bounds_hold_the_mean() -> None:
    for seed in range(200):
        sound, took = consistent(seed)
        low, high = mean_bounds(sound) or (0.0, float("inf"))
        assert low <= took.mean() * 1.001 and high >= took.mean() * 0.98, seed
        got = bracket(sound)
        assert got is None or got.low <= 1.1 and got.high >= 0.9, seed


def test_a_rate_of_zero_is_no_offered_rate() -> None:
    (finding,) = audit(Row("a", Figure(9, 9, 9), tool="wrk2", rate=0)).findings
    assert (finding.rule, finding.says) == ("open-loop", "no offered rate")


def test_an_error_for_each_answer_is_one_finding() -> None:
    row = Row("a", Figure(100, 99.5, 100.5), connections=10, errors=1000, requests=1000)
    assert [each.rule for each in audit(row).findings] == ["error-per-answer"]
