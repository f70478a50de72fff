"""Reading wrk's text: units, errors, and output that is no report."""

from __future__ import annotations

import pytest

from scripts import wrk
from scripts.errors import UserError

REPORT = """\
Running 30s test @ http://127.0.0.1:8080/
  4 threads and 1000 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    11.05ms    7.75ms   1.20s    93.24%
    Req/Sec    23.09k     2.40k   33.88k    76.25%
  Latency Distribution
     50%  860.00us
     75%   12.54ms
     90%   99.17ms
     99%    1.92s
  2758207 requests in 30.09s, 342.00MB read
Requests/sec:  91665.16
Transfer/sec:     11.37MB
"""
ERRORS = """\
  Socket errors: connect 1, read 3294267, write 2, timeout 40
  Non-2xx or 3xx responses: 12
Requests/sec:"""


def test_reads_every_figure() -> None:
    report = wrk.parse(REPORT)
    assert report.requests == 2758207
    assert report.duration_s == pytest.approx(30.09)
    assert report.requests_per_s == pytest.approx(91665.16)
    assert report.mean_ms == pytest.approx(11.05)
    assert report.max_ms == pytest.approx(1200)
    assert (report.p50_ms, report.p75_ms, report.p90_ms, report.p99_ms) == pytest.approx((0.86, 12.54, 99.17, 1920))
    assert report.errors == 0


def test_counts_every_kind_of_error() -> None:
    report = wrk.parse(REPORT.replace("Requests/sec:", ERRORS, 1))
    assert (report.connect_errors, report.read_errors, report.write_errors, report.timeouts) == (1, 3294267, 2, 40)
    assert report.non_2xx == 12
    assert report.errors == 1 + 3294267 + 2 + 40 + 12


@pytest.mark.parametrize(("text", "expected"), [
    ("0.00us", 0), ("850.00us", 0.85), ("9.86ms", 9.86), ("1.20s", 1200), ("1.50m", 90_000), ("1.00h", 3_600_000)])
def test_times_become_milliseconds(text: str, expected: float) -> None:
    assert wrk.milliseconds(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "12", "ms", "1.2xs", "-1ms"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        wrk.milliseconds(text)


def test_output_without_a_report_is_a_user_error() -> None:
    with pytest.raises(UserError, match="unable to connect to 127.0.0.1"):
        wrk.parse("Running 1s test\nunable to connect to 127.0.0.1:1 Connection refused\n")


def test_command_line_is_the_seeds() -> None:
    load = wrk.Load(4, 1000, 30)
    assert load.argv("http://x/") == ["wrk", "-t4", "-c1000", "-d30s", "--latency", "http://x/"]
    assert load.as_typed() == "wrk -t4 -c1000 -d30s --latency"


def test_pinning_goes_through_taskset() -> None:
    assert wrk.Load(1, 64, 3, cpu=1).argv("u")[:4] == ["taskset", "-c", "1", "wrk"]


def test_missing_wrk_is_one_line(monkeypatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(UserError, match=r"wrk not found .*\./duel setup"):
        wrk.require()
