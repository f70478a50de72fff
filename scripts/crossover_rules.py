"""The crossover's rules: which rates are tried, what a run says about a limit, and what cannot be measured. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from scripts.campaign import taints

# Of workers / (H + the smallest cost of a row); a bisection takes five runs. From low on: where p99 may take five
# times a request, M/M/1 carries 0.08.
SHARES = tuple(round(0.04 + 0.032 * step, 3) for step in range(31))
AT_MOST, AT_LEAST = "≤", "≥"  # a rate beyond the grid's edge is known as a bound
P99_LEAST = 1000  # requests; fewer leave less than ten beyond p99
CANNOT = "cannot be measured here"
MOST_LOADER = 0.10  # of the server's CPU time; beyond, a shared CPU's capacity is also the loader's
# As campaign/taints.py calls them: the loader's doing, then the machine's.
_ANOTHERS = {"loader saturated", "schedule slipped", "loader exhausted", "stopped", "other work", "throttled"}
_NOT_ASKED = {"not achieved"}


@dataclass(frozen=True)
class Search:
    """The largest step of a rising grid that meets a limit, by bisection. `low`: the largest known to meet it, -1: none
    yet; `high`: the smallest known not to; `doubt`: why what happened at `high` may not be the server's doing."""

    low: int
    high: int
    doubt: str = ""

    @property
    def next(self) -> int | None:
        return (self.low + self.high) // 2 if self.high - self.low > 1 else None

    def told(self, meets: bool | None, doubt: str = "") -> Search:
        """After the run at `next`; None: it says nothing, and `doubt` why."""
        assert self.next is not None
        return replace(self, low=self.next) if meets else Search(self.low, self.next, doubt)


def search(steps: int = len(SHARES)) -> Search:
    return Search(-1, steps)


def most_probes(steps: int = len(SHARES)) -> int:
    return steps.bit_length()


def capacity(found: Search, rates: list[float]) -> tuple[float | None, str, str]:
    """What a finished search found: a rate, or why there is none; between them AT_MOST or AT_LEAST, where all rates of
    the grid passed the limit or kept it."""
    if found.doubt:
        return None, "", found.doubt
    if found.low < 0:
        return rates[0], AT_MOST, ""
    return rates[found.low], AT_LEAST if found.high == len(rates) else "", ""


def grid(workers: int, handler_us: float, cost_us: float) -> list[float]:
    """Requests a second, the same for all rows."""
    return [round(share * workers * 1e6 / (handler_us + cost_us), 1) for share in SHARES]


def open_s(rate: float, duration_s: int) -> int:
    """A window long enough for a p99."""
    return max(duration_s, -int(-1.1 * P99_LEAST // rate))


def closed_s(connections: int, workers: int, handler_us: float, duration_s: int) -> int:
    """A window whose last quarter is four turns of all connections: one that got nothing in it was left out."""
    return max(duration_s, -int(-16 * connections * handler_us / 1e6 // workers))


def meets(run: dict[str, Any], limit_us: float) -> tuple[bool | None, str]:
    """Whether p99, from when requests were due, is within the limit; None, and why, where the run does not say. A late
    loader or a busy machine only add to it, so a limit that is kept is kept; one that is passed is the server's doing
    only where neither was so."""
    latency = run["latency_intended_us"]
    if run["load"] is None or latency is None:
        return None, next(iter(run["taints"]), "a run without figures")
    if latency["p99"] is None or latency["count"] < P99_LEAST:
        return None, f"few answers: {latency['count']:,}, and a p99 takes {P99_LEAST:,}"
    is_kept = latency["p99"] <= limit_us and not taints.is_unserved(run)
    doubts = _NOT_ASKED if is_kept else _ANOTHERS
    why = next((each for each in run["taints"] if each.partition(":")[0] in doubts), "")
    return None if why else is_kept, why


def not_here(handler_us: float, cost_us: float, loader_us: float, is_shared: bool) -> str:
    """Why no open loop can tell the server's capacity at this handler time; empty: it can."""
    share = loader_us / (handler_us + cost_us) if handler_us + cost_us > 0 else 1.0
    if not is_shared or share <= MOST_LOADER:
        return ""
    return f"{CANNOT}: the loader shares the CPUs and takes {share:.0%} of what the server takes"
