"""What the server counted about itself, as figures a request: the "why" beside a row.

`workers` of /stats holds one object a worker or shard, with the names of runtimes/core/counters.hpp.
A figure is None where a counter it needs was not there to read. Two counters are a maximum since the
server's start, warm-up included: longest_poll_ns and connections_max.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

from scripts.audit import audit
from scripts.measure import Measurement

FIBERS = ("stealing", "sharded")
# figure -> the models it says something about
APPLIES = {
    **dict.fromkeys(("polls", "parks", "wake_ups", "spurious", "forced_yields", "longest_poll_ms", "busy", "idle",
                     "searching", "driver_calls", "events_per_call", "again", "skew", "connections_per_worker"),
                    FIBERS),
    **dict.fromkeys(("lifo_hits", "steal_attempts", "steals", "stolen", "inject_pops", "overflow"), ("stealing",)),
    **dict.fromkeys(("messages", "hop_us"), ("sharded",))}


def applies(figure: str, model: str) -> bool:
    return model in APPLIES.get(figure, (model,))


def of_workers(stats: dict[str, Any] | None) -> list[dict[str, Any]]:
    workers = (stats or {}).get("workers")
    return [each for each in workers if isinstance(each, dict)] if isinstance(workers, list) else []


def each_of(workers: list[dict[str, Any]], key: str) -> list[int] | None:
    """A counter of every worker; None when one has not got it."""
    values = [each[key] for each in workers if key in each]
    return values if values and len(values) == len(workers) else None


def total(workers: list[dict[str, Any]], key: str) -> int | None:
    values = each_of(workers, key)
    return None if values is None else sum(values)


def grown(raw: Measurement) -> list[dict[str, int]] | None:
    """Per worker, how much each counter grew during the run; None when that cannot be known."""
    after, before = of_workers(raw.stats_after), of_workers(raw.stats_before)
    if not after or (raw.warmup_s > 0 and len(before) != len(after)):
        return None
    return [{key: value - (before[index].get(key, 0) if before else 0)
             for key, value in each.items() if isinstance(value, int)} for index, each in enumerate(after)]


def worker_count(raw: Measurement) -> int | None:
    """As the ready line says; None: it does not."""
    match = re.search(r"\bworkers=(\d+)", raw.ready_line)
    return int(match[1]) if match else None


def _times(workers: list[dict[str, int]]) -> tuple[list[tuple[int, int, int]], bool]:
    """Busy, idle and searching nanoseconds of each worker; False when a counter is missing."""
    running, idle, searching = (each_of(workers, key) for key in ("running_ns", "idle_ns", "searching_ns"))
    if running is None or idle is None or searching is None:
        return [], False
    return [(max(0, whole - asleep - looking), asleep, looking)
            for whole, asleep, looking in zip(running, idle, searching, strict=True)], True


def figures(raw: Measurement) -> dict[str, Any]:
    """Everything the tables and effects use, of one run. Rates are a request, or 1,000 where named so."""
    seen, report = audit(raw), raw.report
    found: dict[str, Any] = {
        "requests_per_s": report.requests_per_s, "p50_ms": report.p50_ms, "p99_ms": report.p99_ms,
        "errors": report.errors, "served": seen.served, "n_eff": seen.n_eff, "user_us": seen.user_us,
        "system_us": seen.system_us, "cpu_us": seen.cpu_us, "switches_per_1000": seen.switches_per_1000,
        "peak_mib": seen.peak_mib}
    return {**found, **_counted(raw, grown(raw) or [])}


def _counted(raw: Measurement, workers: list[dict[str, int]]) -> dict[str, Any]:
    requests = raw.counted("requests") or raw.report.requests

    def ratio(key: str, by: float | None, scale: float = 1.0) -> float | None:
        value = total(workers, key)
        return None if value is None or by is None else value * scale / by if by else 0.0

    longest = each_of(of_workers(raw.stats_after), "longest_poll_ns")
    running = workers[:worker_count(raw)]  # a reactor thread counts too, but runs no tasks
    busy, known = _times(running)
    whole = sum(sum(each) for each in busy)

    def share(kind: int) -> float | None:
        return sum(each[kind] for each in busy) / whole if known and whole else None

    most, mean = (max(each[0] for each in busy), sum(each[0] for each in busy) / len(busy)) if known else (0, 0)

    return {
        "polls": ratio("polls", requests),
        **{key: ratio(key, requests, 1000) for key in (
            "forced_yields", "lifo_hits", "inject_pops", "steal_attempts", "steals", "stolen", "parks", "wake_ups",
            "spurious", "again", "messages")},
        "overflow": total(workers, "overflow"),
        "driver_calls": ratio("driver_calls", requests),
        "events_per_call": ratio("events", total(workers, "driver_calls")),
        "hop_us": ratio("message_ns", total(workers, "timed"), 1e-3),
        "longest_poll_ms": max(longest) / 1e6 if longest else None,
        "timed": total(workers, "timed"),
        "busy": share(0),
        "idle": share(1),
        "searching": share(2),
        "skew": most / mean if mean else None,
        "connections_per_worker": each_of(running, "connections")}


def forced(asked: dict[str, str], stats: dict[str, Any]) -> list[str]:
    """The switches that the server set to something other than asked, in words."""
    effective = stats.get("switches")
    if not isinstance(effective, dict):
        return []
    return [f"--{name}={value} became {effective[name]}" for name, value in asked.items()
            if name in effective and str(effective[name]) != value]


def as_json(raw: Measurement) -> dict[str, Any]:
    seen = audit(raw)
    return {"raw": raw.as_json(), "audit": {**asdict(seen), "cpu_us": seen.cpu_us}, "figures": figures(raw)}
