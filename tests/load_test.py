"""The seed's load, `wrk -c1000`, against every model: what wrk sees and what it cannot see."""

from __future__ import annotations

import time
from typing import Any

import pytest
import wrk
from server import CONCURRENT, SANITIZER, serving


def check_counts(stats: dict[str, Any], connections: int, report: wrk.Report) -> None:
    """Every connection got an answer; wrk opens one more than asked for, to try the address."""
    assert stats["served"] == connections, stats
    assert stats["accepted"] == connections + 1, stats
    assert stats["requests"] >= report.requests
    # wrk leaves one answer a connection uncounted when its time is up.
    assert stats["requests"] <= report.requests + connections


@pytest.mark.load
@pytest.mark.parametrize("model", CONCURRENT)
def test_a_thousand_connections_are_all_served(model: str) -> None:
    with serving(model) as server:
        report = wrk.load(server.port, 1000, 3)
        report.check()
        check_counts(server.drain(), 1000, report)


@pytest.mark.parametrize("model", CONCURRENT)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_hundred_connections_are_all_served(model: str, workers: int) -> None:
    with serving(model, workers=workers) as server:
        report = wrk.load(server.port, 100, 1)
        report.check()
        stats = server.drain()
        if SANITIZER:  # slow enough that some connections are not accepted before wrk leaves
            assert 1 < stats["served"] >= stats["accepted"] - 1, stats
        else:
            check_counts(stats, 100, report)


@pytest.mark.load
def test_serial_without_keep_alive_serves_the_seeds_load() -> None:
    with serving("serial", "--keep-alive", "off") as server:
        report = wrk.load(server.port, 1000, 3)
        report.check()
        # Each request is a connection; the last ones are cut by wrk, not by the server.
        stats = server.drain()
        assert stats["served"] == stats["requests"] >= report.requests


def test_serial_with_keep_alive_serves_one_and_starves_the_rest() -> None:
    """What wrk's table hides: one connection gets everything for as long as it stays."""
    with serving("serial") as server:
        starving = wrk.start(server.port, 100, 60)
        try:
            time.sleep(1.5)
            stats = server.drain()
        finally:
            starving.kill()
            starving.communicate()
    assert stats["served"] == 1, stats
    assert stats["accepted"] == 2, stats  # wrk's try of the address among them
    assert stats["requests"] > 10, stats
