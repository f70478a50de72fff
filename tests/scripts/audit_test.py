"""The audits, on figures whose verdict is known: the seed's own table among them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scripts import published
from scripts.audit import audit, littles_law, n_eff_word, per_request_us, taints
from scripts.measure import Measurement
from scripts.procfs import HostCpu, Usage
from scripts.wrk import Report

REPORT = Report(requests=100_000, duration_s=10, requests_per_s=10_000, mean_ms=100, max_ms=200, p50_ms=90,
                p75_ms=110, p90_ms=120, p99_ms=150, connect_errors=0, read_errors=0, write_errors=0, timeouts=0,
                non_2xx=0)
SOUND = Measurement(
    server_argv=["duel-server"], wrk_argv=["wrk"], ready_line="", connections=1000, warmup_s=1, report=REPORT,
    wrk_text="", wrk_cpu_s=8, before=Usage(1.0, 2.0, 100, 10, 3, 2048), after=Usage(1.1, 2.4, 300, 60, 3, 10_240),
    host_before=HostCpu(0, 0, 0), host_after=HostCpu(20, 1, 0), window_s=10,
    stats_before={"served": 1001, "requests": 5000}, stats_after={"served": 2001, "requests": 105_000},
    drained_while_held=True)


def test_a_sound_row_has_no_flags() -> None:
    figures = audit(SOUND)
    assert figures.flags == []
    assert figures.served == 1000
    assert figures.n_eff == pytest.approx(1.0)
    assert figures.user_us == pytest.approx(1.0)
    assert figures.system_us == pytest.approx(4.0)
    assert figures.cpu_us == pytest.approx(5.0)
    assert figures.switches_per_1000 == pytest.approx(2.5)
    assert figures.peak_mib == pytest.approx(10.0)


def test_starved_connections_are_named() -> None:
    starved = replace(SOUND, report=replace(REPORT, requests_per_s=50_000, mean_ms=0.02),
                      stats_after={"served": 1002, "requests": 105_000})
    figures = audit(starved)
    assert figures.served == 1
    assert figures.n_eff_word == "starved"
    assert any(flag.startswith("served 1 of 1,000 connections") for flag in figures.flags)


def test_reconnecting_is_not_starving() -> None:
    figures = audit(replace(SOUND, stats_after={"served": 101_001, "requests": 105_000}))
    assert figures.reconnects
    assert not any("served" in flag for flag in figures.flags)


def test_counters_that_cannot_be_read_are_unknown_not_zero() -> None:
    assert audit(replace(SOUND, stats_before=None)).served is None


@pytest.mark.parametrize(("n_eff", "word"), [(0.0, "low"), (0.89, "low"), (0.9, "ok"), (1.1, "ok"),
                                             (1.11, "inflated"), (2.64, "inflated")])
def test_littles_law_has_a_margin_of_a_tenth(n_eff: float, word: str) -> None:
    assert n_eff_word(n_eff, starved=False) == word
    assert n_eff_word(0.5, starved=True) == "starved"


def test_littles_law_on_a_public_table() -> None:
    """Pingora's steal row: 216,919/s at a mean of 12.16 ms makes 2638 of 1000 connections."""
    assert littles_law(216_919, 12.16, 1000) == pytest.approx(2.638, abs=1e-3)


def test_errors_and_lost_requests_are_flagged() -> None:
    bad = replace(SOUND, report=replace(REPORT, read_errors=7), stats_after={"served": 2001, "requests": 50_000})
    flags = " ".join(audit(bad).flags)
    assert "read 7" in flags
    assert "the server counted 45,000 requests, wrk 100,000" in flags


def test_a_run_without_requests_divides_by_nothing() -> None:
    assert per_request_us(1.0, 0) == 0.0
    assert audit(replace(SOUND, report=replace(REPORT, requests=0))).switches_per_1000 == 0.0


def test_taints_name_what_readers_should_hold_against_a_run() -> None:
    stolen = replace(SOUND, host_after=HostCpu(20, 1, 1))
    text = " ".join(taints([stolen], 2, 3.0, quick=True, dirty=True))
    for word in ("quick", "uncommitted", "share 2 CPUs", "load average 3.0", "5.0%"):
        assert word in text
    assert "steal" not in " ".join(taints([SOUND], 2, 0.1, quick=False, dirty=False))


def test_the_seeds_errors_are_one_an_answer() -> None:
    blocking = published.ROWS[0]
    assert blocking.errors / (blocking.requests_per_s * 30) == pytest.approx(1.002, abs=5e-4)
