"""The closed forms against tables computed elsewhere, and against what they must be at their ends."""

from __future__ import annotations

import math

import pytest

from scripts import queueing

KS = (1, 2, 4, 8, 16)
P99 = {0.5: (9.2, 5.7, 4.8, 4.6, 4.6), 0.7: (15.4, 8.3, 5.5, 4.8, 4.6), 0.8: (23.0, 11.9, 6.9, 5.2, 4.7),
       0.9: (46.1, 23.3, 12.2, 7.1, 5.3), 0.95: (92.1, 46.3, 23.6, 12.4, 7.2)}
HIGHEST = {6: (0.23, 0.54, 0.75, 0.87, 0.93), 10: (0.54, 0.76, 0.88, 0.94, 0.97),
           20: (0.77, 0.88, 0.94, 0.97, 0.985), 50: (0.91, 0.95, 0.98, 0.99, 0.99)}


@pytest.mark.parametrize("rho", P99)
def test_p99_of_the_published_table(rho: float) -> None:
    assert [queueing.quantile(k, rho, 0.99) for k in KS] == pytest.approx(P99[rho], abs=0.051)


def test_means_of_the_published_table() -> None:
    assert [queueing.mean(k, 0.8) for k in KS] == pytest.approx([5.00, 2.78, 1.75, 1.29, 1.10], abs=0.0051)


@pytest.mark.parametrize("limit", HIGHEST)
def test_highest_load_within_a_limit(limit: float) -> None:
    assert [queueing.highest_load(k, 0.99, limit) for k in KS] == pytest.approx(HIGHEST[limit], abs=0.0051)


def test_one_server_is_exponential() -> None:
    for rho in (0.01, 0.5, 0.99):
        assert queueing.erlang_c(1, rho) == pytest.approx(rho)
        assert queueing.mean(1, rho) == pytest.approx(1 / (1 - rho))
        assert queueing.quantile(1, rho, 0.5) == pytest.approx(math.log(2) / (1 - rho))


def test_an_idle_server_only_serves() -> None:
    for k in KS:
        assert queueing.mean(k, 1e-9) == pytest.approx(1)
        assert queueing.quantile(k, 1e-9, 0.99) == pytest.approx(-math.log(0.01))
    assert queueing.highest_load(4, 0.99, 4.0) == pytest.approx(0, abs=1e-9)


def test_the_tail_is_smooth_where_service_and_waiting_have_one_rate() -> None:
    """k (1 - rho) = 1: the textbook form divides zero by zero there."""
    for k in (2, 4, 8):
        at = 1 - 1 / k
        expected = math.exp(-3) * (1 + queueing.erlang_c(k, at) * 3)
        assert [queueing.tail(k, rho, 3) for rho in (at - 1e-9, at, at + 1e-9)] == pytest.approx([expected] * 3)


def test_more_servers_than_a_power_can_hold() -> None:
    assert queueing.mean(5000, 0.9) == pytest.approx(1, abs=1e-3)
