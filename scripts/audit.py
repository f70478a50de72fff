"""What wrk cannot see: the figures beside its table, and the words that flag a row.

Pure functions of a Measurement. Little's law holds for any stable closed loop: throughput x mean
latency = connections that take part. Less means connections were starved; more means wrk's own
correction inflated the mean. The 10 % margin covers its sampling.
"""

from __future__ import annotations

from dataclasses import dataclass

from scripts.measure import Measurement

NEFF_LOW, NEFF_HIGH = 0.9, 1.1


@dataclass(frozen=True)
class Audit:
    """Figures of one row. CPU in microseconds a request, memory in MiB, n_eff per connection."""

    served: int | None  # connections that got an answer during the run
    reconnects: bool  # the server closes after every answer: `served` counts requests, not clients
    n_eff: float
    n_eff_word: str
    starved: bool  # some connections got no answer during the run
    user_us: float
    system_us: float
    switches_per_1000: float
    peak_mib: float
    flags: list[str]

    @property
    def cpu_us(self) -> float:
        return self.user_us + self.system_us


def littles_law(requests_per_s: float, mean_ms: float, connections: int) -> float:
    """The share of the connections that throughput and mean latency account for (1.0: all)."""
    return requests_per_s * mean_ms / 1e3 / connections


def n_eff_word(n_eff: float, starved: bool) -> str:
    """What to call an n_eff; `starved`: some connections are known to have got no answer."""
    if n_eff < NEFF_LOW:
        return "starved" if starved else "low"
    return "inflated" if n_eff > NEFF_HIGH else "ok"


def per_request_us(seconds: float, requests: int) -> float:
    return seconds * 1e6 / requests if requests > 0 else 0.0


def audit(raw: Measurement) -> Audit:
    report, connections = raw.report, raw.connections
    requests = report.requests
    # With requests sent in batches wrk times the batch; a connection that thinks takes part too.
    n_eff = littles_law(report.requests_per_s, report.mean_ms + raw.think_ms, connections * raw.pipeline)
    served = raw.counted("served")
    starved = served < connections if served is not None else n_eff < 0.5
    reconnects = served is not None and served > connections + 2
    switches = (raw.after.voluntary_switches - raw.before.voluntary_switches
                + raw.after.involuntary_switches - raw.before.involuntary_switches)
    return Audit(
        served=served,
        reconnects=reconnects,
        n_eff=n_eff,
        n_eff_word=n_eff_word(n_eff, starved),
        starved=starved,
        user_us=per_request_us(raw.after.user_s - raw.before.user_s, requests),
        system_us=per_request_us(raw.after.system_s - raw.before.system_s, requests),
        switches_per_1000=max(0, switches) * 1000 / requests if requests else 0.0,
        peak_mib=raw.after.peak_kib / 1024,
        flags=_flags(raw, served, reconnects, n_eff))


def _flags(raw: Measurement, served: int | None, reconnects: bool, n_eff: float) -> list[str]:
    report, connections = raw.report, raw.connections
    flags = []
    if served is not None and served < connections:
        flags.append(f"served {served:,} of {connections:,} connections: the others never got an answer, "
                     "and wrk has no figure for that")
    if reconnects:
        flags.append("closes after every answer, so clients reconnect for each request")
    if n_eff < NEFF_LOW:
        flags.append(f"N_eff {n_eff:.2f}: throughput and latency account for {n_eff * connections:,.0f} of "
                     f"{connections:,} connections; waits for a connection or beyond the run are in no percentile")
    if n_eff > NEFF_HIGH:
        flags.append(f"N_eff {n_eff:.2f}: wrk's correction inflated the mean, and with it the upper percentiles")
    if report.errors:
        flags.append(f"errors: connect {report.connect_errors:,}, read {report.read_errors:,}, "
                     f"write {report.write_errors:,}, timeout {report.timeouts:,}, non-2xx {report.non_2xx:,}")
    answered = raw.counted("requests")
    if answered is not None and answered + 3 < report.requests:
        flags.append(f"the server counted {answered:,} requests, wrk {report.requests:,}")
    if not raw.drained_while_held:
        flags.append("did not drain while clients held their connections open")
    return flags


def taints(rows: list[Measurement], cpus: int, load_before: float, quick: bool, dirty: bool,
           repeats: int = 1) -> list[str]:
    """Everything about a run that a reader should hold against its figures."""
    found = []
    if repeats == 1:
        found.append("one run a row: no intervals, small differences mean nothing")
    if quick:
        found.append("quick: short runs")
    if dirty:
        found.append("built from uncommitted changes")
    found.append(f"server and wrk share {cpus} CPUs")
    if load_before > 0.5 * cpus:
        found.append(f"other work was running: load average {load_before:.1f} before the start")
    steal = _steal_share(rows)
    if steal > 0.01:
        found.append(f"steal time: the hypervisor took {steal:.1%} of the CPU time")
    return found


def _steal_share(rows: list[Measurement]) -> float:
    total = sum(row.host_after.total_s - row.host_before.total_s for row in rows)
    steal = sum(row.host_after.steal_s - row.host_before.steal_s for row in rows)
    return steal / total if total > 0 else 0.0
