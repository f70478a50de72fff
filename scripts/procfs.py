"""What the kernel knows about a process and the machine, read from /proc. Linux only, no root."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """One process at one moment. CPU times include threads that have ended; switches do not."""

    user_s: float
    system_s: float
    voluntary_switches: int
    involuntary_switches: int
    threads: int
    peak_kib: int  # VmHWM: the most memory ever resident


@dataclass(frozen=True)
class HostCpu:
    """CPU seconds of the whole machine since boot, all CPUs added up."""

    total_s: float
    idle_s: float
    steal_s: float


def cpu_times(pid: int) -> tuple[float, float]:
    """User and system CPU seconds of all threads of `pid`, past and present."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) * _TICK_S, int(fields[12]) * _TICK_S


def usage(pid: int) -> Usage:
    """A snapshot of `pid`. Raises OSError when the process is gone."""
    user_s, system_s = cpu_times(pid)
    voluntary = involuntary = threads = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            status = _status(task / "status")
        except OSError:
            continue  # a thread that ended since the listing
        voluntary += int(status["voluntary_ctxt_switches"])
        involuntary += int(status["nonvoluntary_ctxt_switches"])
        threads += 1
    peak = _status(Path(f"/proc/{pid}/status")).get("VmHWM", "0 kB")
    return Usage(user_s, system_s, voluntary, involuntary, threads, int(peak.split()[0]))


def host_cpu() -> HostCpu:
    ticks = [int(each) for each in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return HostCpu(sum(ticks) * _TICK_S, (ticks[3] + ticks[4]) * _TICK_S, ticks[7] * _TICK_S)


def _status(path: Path) -> dict[str, str]:
    pairs = (line.partition(":") for line in path.read_text().splitlines())
    return {key: value.strip() for key, _, value in pairs}


def on_cpu_s(pid: int) -> float:
    """CPU seconds of the threads alive now, to the nanosecond where /proc/PID/stat has ticks of 10 ms."""
    ns = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            ns += int((task / "schedstat").read_text().split()[0])
        except OSError:
            continue  # a thread that ended since the listing
    return ns / 1e9


def resident_kib(pid: int) -> int:
    return int(_status(Path(f"/proc/{pid}/status")).get("VmRSS", "0 kB").split()[0])
