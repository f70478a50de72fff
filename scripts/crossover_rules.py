"""The crossover's rules: which rates are tried, what a run says about a limit, and what cannot be measured. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from scripts.campaign import taints

# Of workers / (H + the smallest cost of a row); a bisection takes four runs.
SHARES = tuple(round(0.30 + 0.05 * step, 2) for step in range(15))
P99_LEAST = 1000  # requests; fewer leave less than ten beyond p99
CANNOT = "cannot be measured here"
MOST_LOADER = 0.10  # of the server's CPU time; beyond, a shared CPU's capacity is also the loader's
_LOADERS_FAULT = {"loader_saturated", "schedule_slipped", "loader_exhausted", "stopped"}
_MACHINES_FAULT = {"other work", "throttled"}  # as campaign/taints.py calls them


@dataclass(frozen=True)
class Search:
    """The largest step of a rising grid that meets a limit, by bisection. `low`: the largest known to meet it, -1: none
    yet; `high`: the smallest known not to; `in_doubt`: what happened at `high` was not the server's doing."""

    low: int
    high: int
    in_doubt: bool = False

    @property
    def next(self) -> int | None:
        return (self.low + self.high) // 2 if self.high - self.low > 1 else None

    def told(self, meets: bool | None) -> Search:
        """After the run at `next`; None: it says nothing."""
        assert self.next is not None
        return replace(self, low=self.next) if meets else Search(self.low, self.next, meets is None)


def search(steps: int = len(SHARES)) -> Search:
    return Search(-1, steps)


def most_probes(steps: int = len(SHARES)) -> int:
    return steps.bit_length()


def capacity(found: Search, rates: list[float]) -> tuple[float | None, str]:
    """The rate that a finished search found, or why there is none."""
    if found.in_doubt:
        return None, f"{CANNOT}: where the limit was passed the loader was late, or others had the CPUs"
    if found.low < 0:
        return None, f"the limit is passed at the lowest rate of the grid already, {SHARES[0]:.0%} of the capacity"
    if found.high == len(rates):
        return None, "the limit is kept at every rate of the grid"
    return rates[found.low], ""


def grid(workers: int, handler_us: float, cost_us: float) -> list[float]:
    """Requests a second, the same for all rows."""
    return [round(share * workers * 1e6 / (handler_us + cost_us), 1) for share in SHARES]


def open_s(rate: float, duration_s: int) -> int:
    """A window long enough for a p99."""
    return max(duration_s, -int(-1.1 * P99_LEAST // rate))


def closed_s(connections: int, workers: int, handler_us: float, duration_s: int) -> int:
    """A window whose last quarter is four turns of all connections: one that got nothing in it was left out."""
    return max(duration_s, -int(-16 * connections * handler_us / 1e6 // workers))


def meets(run: dict[str, Any], limit_us: float) -> bool | None:
    """Whether p99, from when requests were due, is within the limit. A late loader or a busy machine only add to it, so
    a limit that is kept is kept; one that is passed is the server's doing only where neither was so."""
    load, latency = run["load"], run["latency_intended_us"]
    if load is None or latency is None or latency["p99"] is None or latency["count"] < P99_LEAST:
        return None
    if latency["p99"] <= limit_us and not taints.is_unserved(run):
        return None if "offered_not_achieved" in load["taints"] else True
    is_anothers = _LOADERS_FAULT & set(load["taints"]) or _MACHINES_FAULT & {
        taint.partition(":")[0] for taint in run["taints"]}
    return None if is_anothers else False


def not_here(handler_us: float, cost_us: float, loader_us: float, is_shared: bool) -> str:
    """Why no open loop can tell the server's capacity at this handler time; empty: it can."""
    share = loader_us / (handler_us + cost_us) if handler_us + cost_us > 0 else 1.0
    if not is_shared or share <= MOST_LOADER:
        return ""
    return f"{CANNOT}: the loader shares the CPUs and takes {share:.0%} of what the server takes"
