"""Queues with Poisson arrivals and exponential service, in closed form: what waiting alone does.

Unit of time: the mean service time S of one server. `rho`: offered load over what all servers can do,
below 1. One queue for `k` servers is M/M/k, the ideal of a runtime that shares all work. A queue a
server, the connections spread evenly, is k x M/M/1: each server is M/M/1 at the same rho, so `k = 1`.
"""

from __future__ import annotations

import math
from collections.abc import Callable


def erlang_c(k: int, rho: float) -> float:
    """The share of the requests that find all servers busy."""
    blocked = 1.0
    for servers in range(1, k + 1):  # Erlang B, which no k overflows
        blocked = k * rho * blocked / (servers + k * rho * blocked)
    return blocked / (1 - rho * (1 - blocked))


def mean(k: int, rho: float) -> float:
    """Mean response time, waiting and service."""
    return 1 + erlang_c(k, rho) / (k * (1 - rho))


def tail(k: int, rho: float, t: float) -> float:
    """P(response time > t)."""
    gap = k * (1 - rho) - 1
    waited = t if gap == 0 else -math.expm1(-gap * t) / gap
    return math.exp(-t) * (1 + erlang_c(k, rho) * waited)


def quantile(k: int, rho: float, p: float) -> float:
    """The response time that a share `p` of the requests does not exceed."""
    return _bisected(lambda t: tail(k, rho, t) <= 1 - p, 0.0, -math.log1p(-p) / (1 - rho))


def highest_load(k: int, p: float, limit: float) -> float:
    """The largest rho whose quantile `p` is within `limit`; 0 when not even an idle server keeps it."""
    return _bisected(lambda rho: quantile(k, rho, p) > limit, 0.0, 1 - 1e-9)


def _bisected(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Where `holds`, false at first and true from some point on, becomes true."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
