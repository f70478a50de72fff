"""./duel stats as a program, and the small tools beside the comparison: medians, Holm, benchstat's text."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
from pathlib import Path

import numpy as np
import pytest

from scripts import benchstat
from scripts.commands import stats
from scripts.errors import UserError
from scripts.paths import ROOT
from scripts.summary import described, fewest, holm, median_interval, plain, sign_depth, tail


def duel_stats(*argv: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(ROOT / "duel"), "stats", *argv], input=text, capture_output=True, text=True, timeout=60,
                          check=False)


A = [100, 101, 99, 102, 98, 100, 103, 97, 100, 101]
B = [104, 103, 103, 105, 104, 102, 108, 101, 104, 103]


def test_a_difference_is_printed_as_json(tmp_path: Path) -> None:
    path = tmp_path / "samples.json"
    path.write_text(json.dumps({"a": A, "b": B}))
    done = duel_stats(str(path))
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    assert (said["n"], said["verdict"], said["different"]) == (10, "b is higher", True)
    assert said["a"] == {"median": 100, "interval": [98, 102], "coverage": pytest.approx(1 - 22 / 1024)}
    assert said["b"]["median"] == 103.5
    ratios = sorted(y / x for x, y in zip(A, B, strict=True))
    assert said["interval"] == [pytest.approx(ratios[1]), pytest.approx(ratios[8])]
    assert said["interval"][0] < said["ratio_b_over_a"] < said["interval"][1]
    assert said["p"] == pytest.approx(2 / 1024)
    assert 0 < said["minimum_detectable_effect"] < 0.1
    assert said["warnings"] == []
    assert set(said["methods"]) == {"median", "ratio", "interval", "p", "minimum_detectable_effect"}


def test_help_says_which_way_the_ratio_goes() -> None:
    done = duel_stats("--help")
    assert done.returncode == 0
    assert "ratio_b_over_a             above 1: b is higher" in done.stdout


def test_standard_input_and_flags() -> None:
    done = duel_stats("-", "--threshold", "0.05", "--confidence", "0.9", text=json.dumps({"a": B, "b": A}))
    said = json.loads(done.stdout)
    assert (said["different"], said["verdict"]) == (False, "~ b is lower, by less than the threshold of 5 %")
    assert said["ratio_b_over_a"] < 1
    assert (said["confidence"], said["threshold"]) == (0.9, 0.05)


def test_too_few_blocks_is_an_answer() -> None:
    done = duel_stats("-", text=json.dumps({"a": [1, 2, 3], "b": [2, 4.1, 6.3]}))
    assert done.returncode == 0
    said = json.loads(done.stdout)
    assert (said["different"], said["verdict"], said["interval"]) == (False, "~ too few blocks", None)
    assert "n = 3 has no 95 % interval without assumptions (measure at least 6 blocks)" in said["warnings"]


@pytest.mark.parametrize(("flags", "message"), [
    ([], "the following arguments are required: FILE"),
    (["-", "--confidence", "95"], "'95' is not from 0.5 to 0.9999 (0.95 for 95 %)"),
    (["-", "--confidence", "nan"], "'nan' is not from"),
    (["-", "--threshold", "3"], "'3' is not from 0 to 1 (0.03 for 3 %)")])
def test_wrong_usage_is_one_line(flags: list[str], message: str) -> None:
    done = duel_stats(*flags, text="{}")
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("text", ["", '{"a": [1, 2], "b": [1, "x\ny"]}'])
def test_bad_input_is_one_line_and_no_output(text: str) -> None:
    done = duel_stats("-", text=text)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("duel: ")
    assert done.stderr.count("\n") == 1


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    done = duel_stats(str(tmp_path / "none.json"))
    assert done.returncode == 1
    assert "No such file" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("text", "message"), [
    (b"", "F is not JSON: it is empty"),
    (b"a,b\n1,2\n", "F is not JSON: Expecting value"),
    (b"\xff\xfe\x00", "F is not JSON: "),
    (b"[" * 100_000, "F is not JSON: "),
    (b"[1, 2]", "F has no lists a and b"),
    (b'{"a": [1]}', "F has no lists a and b"),
    (b'{"a": 1, "b": [1]}', "F has no lists a and b"),
    (b'{"a": [1, 2], "b": [1]}', "a has 2 values and b 1: they are paired by block"),
    (b'{"a": [], "b": []}', "a and b are empty"),
    (b'{"a": [1, 0], "b": [1, 2]}', "a[1] is 0, and ratios need finite values above 0"),
    (b'{"a": [1, 2], "b": [1, -2]}', "b[1] is -2, and"),
    (b'{"a": [NaN], "b": [1]}', "a[0] is nan, and"),
    (b'{"a": [1], "b": [Infinity]}', "b[0] is inf, and"),
    (b'{"a": [1e999], "b": [1]}', "a[0] is inf, and"),
    (b'{"a": [1' + b"0" * 400 + b'], "b": [1]}', "a[0] is inf, and"),
    (b'{"a": [null], "b": [1]}', "a[0] is null, not a number"),
    (b'{"a": ["1"], "b": [1]}', 'a[0] is "1", not a number'),
    (b'{"a": [true], "b": [1]}', "a[0] is true, not a number"),
    (b'{"a": [1e-300], "b": [1e300]}', "have no ratio of sense (use one unit)"),
    (json.dumps({"a": [1] * 2001, "b": [1] * 2001}).encode(), "2,001 blocks, at most 2,000")])
def test_what_is_wrong_is_named_with_the_fix(text: bytes, message: str) -> None:
    with pytest.raises(UserError) as caught:
        stats.samples(text, "F")
    said = str(caught.value)
    assert message in said
    assert said.endswith(")")
    assert "\n" not in said
    assert len(said) < 250


# --- medians ---------------------------------------------------------------------------------------

def test_the_published_ranks() -> None:
    """n = 6 min..max 96.9 %, n = 10 second to ninth 97.9 %, n = 20 sixth to fifteenth 95.9 %."""
    for n, first, coverage in ((6, 1, 0.969), (10, 2, 0.979), (20, 6, 0.959)):
        bounds = median_interval(range(1, n + 1))
        assert bounds is not None
        assert (bounds.low, bounds.high) == (first, n + 1 - first)
        assert bounds.coverage == pytest.approx(coverage, abs=5e-4)
    assert median_interval(range(5)) is None
    assert described([3, 1, 2]) == {"median": 2, "interval": None, "coverage": None}
    assert (fewest(0.95), fewest(0.99), fewest(0.5)) == (6, 8, 2)


@pytest.mark.parametrize("n", [1, 4, 7, 10])
def test_coverage_is_the_count_of_all_patterns(n: int) -> None:
    """Which values lie below the median is a coin each: every pattern of coins, counted."""
    heads = [sum(coins) for coins in itertools.product((0, 1), repeat=n)]
    for most in range(n + 1):
        assert tail(n, most) == sum(each <= most for each in heads) / 2 ** n
    for confidence in (0.5, 0.75, 0.9, 0.9375, 0.95):
        depth = sign_depth(n, confidence)
        if depth is None:
            assert 1 - 2 * tail(n, 0) < confidence
        else:
            assert 1 - 2 * tail(n, depth) >= confidence > 1 - 2 * tail(n, depth + 1)


@pytest.mark.parametrize("n", [6, 10, 20, 41])
def test_the_interval_holds_the_median_of_any_shape(n: int) -> None:
    rng = np.random.default_rng(1)
    for drawn, median in ((rng.exponential(1, (2000, n)), math.log(2)), (rng.standard_cauchy((2000, n)), 0.0),
                          (rng.integers(0, 3, (2000, n)), 1)):
        bounds = [median_interval(sample.tolist()) for sample in drawn]
        held = np.mean([each is not None and median in each for each in bounds])
        assert held >= 0.95 - 4 * math.sqrt(0.05 * 0.95 / 2000)


# --- tables ----------------------------------------------------------------------------------------

def test_holm_by_hand() -> None:
    """0.01 x 4, 0.02 x 3, 0.03 x 2 (raised to what came before), 0.04 x 1 (likewise)."""
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([0.001]) == [0.001]
    assert holm([]) == []


def test_holm_rarely_errs_anywhere_in_the_table() -> None:
    p_values = np.random.default_rng(2).random((4000, 12))
    wrong = np.mean([min(holm(row.tolist())) <= 0.05 for row in p_values])
    assert 0.03 < wrong <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / 4000)


def test_percentages_are_plain() -> None:
    assert [plain(each) for each in (0.95, 0.9999, 0.03, 0.0312, 0.00412, 0.123, 12.5)] == [
        "95 %", "99.99 %", "3 %", "3.12 %", "0.412 %", "12.3 %", "1,250 %"]


def test_benchstat_reads_its_lines() -> None:
    """The Go benchmark format: `key: value`, then name, iterations and pairs of figure and unit."""
    text = benchstat.text({"cpu": "AMD  EPYC", "Kernel Version": "6.18"}, [
        ({"rt": "stealing", "load": 0.7, "dist": "exp"}, {"p99-us": 123.4, "req/s": 45678.0}),
        ({"row": "no stealing/a=b", "at": "x-2"}, {"CPU us": 1e-7, "bad": math.nan})])
    assert text == ("cpu: AMD EPYC\nkernel-version: 6.18\n"
                    "BenchmarkHTTP/rt=stealing/load=0.7/dist=exp 1 123.4 p99-us 45678 req/s\n"
                    "BenchmarkHTTP/row=no_stealing_a_b/at=x_2 1 1e-07 CPU-us\n")
