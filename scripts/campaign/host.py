"""What the machine did while a run was measured, read from /proc, /sys/fs/cgroup and the kernel's clocks."""

from __future__ import annotations

import os
import resource
import time
from dataclasses import dataclass
from pathlib import Path

from scripts import procfs
from scripts.campaign.plan import Cpus

LISTEN = ("ListenOverflows", "ListenDrops", "TCPReqQFullDoCookies", "TCPReqQFullDrop")
_LEAST_TO_SPLIT = 4  # with fewer CPUs each side would have one, and models differ only with two


@dataclass(frozen=True)
class Reading:
    """Counters since boot. throttled: periods in which the control groups' quota was used up. own_s: CPU time of
    this process and of its children that have ended."""

    cpu: procfs.HostCpu
    own_s: float
    throttled: int
    listen: dict[str, int]


def reading() -> Reading:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return Reading(procfs.host_cpu(), sum(each.ru_utime + each.ru_stime for each in used), throttled(
        Path("/proc/self/cgroup").read_text()), listen_counters(Path("/proc/net/netstat").read_text()))


def cpu_ns(pid: int) -> int:
    """CPU time of all threads of `pid`, past and present, to the nanosecond. OSError when it is gone."""
    return time.clock_gettime_ns((~pid << 3) | 2)  # the kernel's number for that process's clock


def throttled(own: str, root: str = "/sys/fs/cgroup") -> int:
    """nr_throttled of the control groups around this process; `own`: /proc/self/cgroup."""
    found = 0
    for line in own.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        for group in dict.fromkeys((path, *map(str, Path(path).parents))):
            try:
                lines = Path(f"{root}{'/cpu' if controllers else ''}{group}/cpu.stat").read_text().splitlines()
            except OSError:
                continue
            found += sum(int(each.split()[1]) for each in lines if each.startswith("nr_throttled "))
    return found


def listen_counters(text: str) -> dict[str, int]:
    """Those of /proc/net/netstat that say that connections were turned away."""
    names, values = (line.split()[1:] for line in text.splitlines() if line.startswith("TcpExt:"))
    counters = dict(zip(names, map(int, values), strict=True))
    return {name: counters[name] for name in LISTEN if name in counters}


def cpus() -> Cpus:
    """This machine's CPUs for server and loader."""
    allowed = sorted(os.sched_getaffinity(0))
    siblings = {}
    for cpu in allowed:
        try:
            siblings[cpu] = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text().strip()
        except OSError:
            siblings[cpu] = str(cpu)
    return split(siblings)


def split(siblings: dict[int, str]) -> Cpus:
    """Half of the cores each, so that no core serves both; all for both on a small machine. The server
    has the first half. `siblings`: what names the core of each CPU."""
    cores: dict[str, list[int]] = {}
    for cpu, core in siblings.items():
        cores.setdefault(core, []).append(cpu)
    groups, everything = list(cores.values()), tuple(siblings)
    if len(everything) < _LEAST_TO_SPLIT or len(groups) < 2:
        return Cpus(everything, everything)
    half = len(groups) // 2
    return Cpus(tuple(sorted(sum(groups[:half], []))), tuple(sorted(sum(groups[half:], []))))
