"""What of a machine record will hurt a measurement: the word, how badly, why, and the command that mends it.

Pure functions of the record; nothing is changed and nothing is read here. Keys that an older record lacks, and
values that could not be read, are "unknown" where they would matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

HIGH, MEDIUM, LOW, UNKNOWN = "high", "medium", "low", "unknown"
SEVERITIES = (HIGH, MEDIUM, LOW, UNKNOWN)

CPUS_LEAST = 4  # two for the server, two for the loader
NOFILE_LEAST = 65_536
BACKLOG_LEAST = 4096
PORTS_LEAST = 50_000
MEMLOCK_LEAST = 8 << 20
DEEP_IDLE_US = 20
FINE_CLOCKS = ("tsc", "arch_sys_counter", "kvm-clock", "hyperv_clocksource_tsc_page")

_SYS_CPU = "/sys/devices/system/cpu"


@dataclass(frozen=True)
class Finding:
    word: str
    severity: str
    value: str
    why: str
    fix: str  # a command, or what to do where there is none


def findings(record: dict[str, Any]) -> list[Finding]:
    """The worst first."""
    cpu, system = record.get("cpu") or {}, record.get("system") or {}
    found = [*_sharing(cpu), *_clock_speed(cpu), *_cores(cpu), *_virtual(cpu, system), *_other_work(cpu, system),
             *_io_uring(system), *_limits(system), *_network(system), *_kernel(cpu, system)]
    return sorted(found, key=lambda each: SEVERITIES.index(each.severity))


def _unknown(word: str, what: str, fix: str) -> Finding:
    return Finding(word, UNKNOWN, "?", f"{what} cannot be read here", fix)


def _cpus(cpu: dict[str, Any]) -> int:
    return len(cpu.get("allowed") or []) or cpu.get("online") or 1


def _sharing(cpu: dict[str, Any]) -> Iterator[Finding]:
    cpus, online, quota = _cpus(cpu), cpu.get("online") or 1, cpu.get("quota_cpus")
    if isinstance(quota, int | float) and quota < cpus:
        yield Finding("cpu quota", HIGH, f"{quota:g} CPUs", f"threads run on {cpus} CPUs until the quota is used up, "
                      "then all stop for the rest of the period: a tail of up to 100 ms that no server made",
                      "start the container without --cpus (or --cpu-quota); a service: systemctl set-property UNIT "
                      "CPUQuota=")
    elif quota is None:
        yield _unknown("cpu quota", "the control group's quota", "cat /sys/fs/cgroup/cpu.max inside the container")
    if cpus < CPUS_LEAST:
        yield Finding("few cpus", HIGH, str(cpus), "server and loader take CPU time from each other: Req/s says what "
                      "both can do, and a busy loader looks like a slow server",
                      f"use a machine with {CPUS_LEAST} CPUs or more; here compare CPU time a request, not Req/s")
    if cpus < online:
        yield Finding("affinity", LOW, f"{cpus} of {online} CPUs", "a server that starts a worker for each CPU online "
                      "starts too many", "state --workers, or: taskset -c 0-" + str(online - 1) + " bash")


def _clock_speed(cpu: dict[str, Any]) -> Iterator[Finding]:
    governor = cpu.get("governor")
    if governor is None:
        yield _unknown("governor", "how the clock speed is chosen", "in a virtual machine: ask the host; else: "
                       "modprobe the cpufreq driver, or set the performance profile in the firmware")
    elif governor != "performance":
        yield Finding("governor", HIGH, governor, "the clock speed follows the load: light load is measured on slow "
                      "cores", "sudo cpupower frequency-set -g performance")
    if cpu.get("boost") == "1" or cpu.get("no_turbo") == "0":
        intel = cpu.get("no_turbo") is not None
        place, word = ("intel_pstate/no_turbo", "1") if intel else ("cpufreq/boost", "0")
        yield Finding("boost", MEDIUM, "on", "the clock speed depends on temperature and on how many cores are busy, "
                      "so rows run at different speeds", f"echo {word} | sudo tee {_SYS_CPU}/{place}")
    preference = cpu.get("energy_preference")
    if preference not in (None, "performance"):
        yield Finding("energy preference", LOW, preference, "the hardware trades speed for energy on its own",
                      f"echo performance | sudo tee {_SYS_CPU}/cpu*/cpufreq/energy_performance_preference")
    if cpu.get("thermal_throttles"):
        yield Finding("throttling", MEDIUM, f"{cpu['thermal_throttles']} times since boot", "cores slowed down because "
                      "they were hot: late rows are slower", "cool the machine, switch boost off, pause between rows")
    deep = [f"{name} ({state['latency_us']} µs)" for name, state in (cpu.get("idle_states") or {}).items()
            if not state.get("disabled") and (state.get("latency_us") or 0) > DEEP_IDLE_US]
    if deep:
        yield Finding("deep idle states", MEDIUM, ", ".join(deep), "a core that slept takes that long to wake: light "
                      "load pays it on every request", f"sudo cpupower idle-set -D {DEEP_IDLE_US}")


def _cores(cpu: dict[str, Any]) -> Iterator[Finding]:
    smt = cpu.get("smt_active")
    if smt == "1":
        yield Finding("smt", MEDIUM, "on", "two threads share a core: whether server and loader meet on one changes "
                      "from run to run", f"echo off | sudo tee {_SYS_CPU}/smt/control; or pin one thread a core")
    elif smt is None:
        yield _unknown("smt", "whether CPUs share a core", f"cat {_SYS_CPU}/cpu0/topology/thread_siblings_list")
    if (cpu.get("numa_nodes") or 1) > 1:
        yield Finding("numa", MEDIUM, f"{cpu['numa_nodes']} nodes", "memory of another node is slower, and where it "
                      "lies changes from run to run", "numactl --cpunodebind=0 --membind=0 ./duel …")
    if not cpu.get("isolated") and _cpus(cpu) >= CPUS_LEAST:
        yield Finding("no isolated cpus", LOW, "none", "the kernel and other work run on the measured CPUs too",
                      "boot with isolcpus=, nohz_full= and rcu_nocbs= for the server's CPUs, and pin it there")


def _virtual(cpu: dict[str, Any], system: dict[str, Any]) -> Iterator[Finding]:
    if cpu.get("hypervisor"):
        yield Finding("virtual machine", MEDIUM, "yes", "other guests share caches, memory and clock speed, and waking "
                      "a sleeping CPU goes through the hypervisor",
                      "repeat and interleave rows; tails want a bare machine")
    steal = system.get("steal_share")
    if steal is None:
        yield _unknown("steal time", "what the hypervisor takes", "grep '^cpu ' /proc/stat (the eighth figure)")
    elif steal > 0.01:
        yield Finding("steal time", HIGH, f"{steal:.1%} since boot", "the hypervisor gave this machine's CPUs to "
                      "others: p99 measures them", "use a dedicated host, or another time of day")
    if system.get("container"):
        yield Finding("container", LOW, system["container"], "its network, limits and filter of system calls are not "
                      "the host's", "where a figure surprises, run it on the host too")


def _other_work(cpu: dict[str, Any], system: dict[str, Any]) -> Iterator[Finding]:
    load = (system.get("load_average") or [None])[0]
    if load is None:
        yield _unknown("other work", "the load average", "uptime")
    elif load > 0.5 * _cpus(cpu):
        yield Finding("other work", HIGH, f"load average {load:.2f}", "something else is running on these CPUs",
                      "wait, or find it: ps -eo pcpu,pid,comm --sort=-pcpu | head")
    if (system.get("swap_used_mib") or 0) > 0:
        yield Finding("swap", MEDIUM, f"{system['swap_used_mib']} MiB used", "memory that was swapped out comes back "
                      "in the middle of a run", "sudo swapoff -a")
    if system.get("irqbalance"):
        yield Finding("irqbalance", LOW, "running", "interrupts move between CPUs during a run",
                      "sudo systemctl stop irqbalance")


def _io_uring(system: dict[str, Any]) -> Iterator[Finding]:
    disabled = (system.get("sysctl") or {}).get("kernel.io_uring_disabled")
    works = system.get("io_uring")
    if disabled == "2" or (disabled == "1" and works != "works"):
        yield Finding("io_uring", HIGH, f"kernel.io_uring_disabled={disabled}", "no row with io_uring can run",
                      "sudo sysctl kernel.io_uring_disabled=0")
    elif works is None:
        yield _unknown("io_uring", "whether a ring can be made", "./duel serve --model sharded --driver uring")
    elif works != "works":
        yield Finding("io_uring", HIGH, works, "no row with io_uring can run: " + (
            "this kernel has none" if works == "ENOSYS" else "a filter of system calls forbids it"),
            "boot a kernel of 5.19 or later" if works == "ENOSYS" else
            "start the container with --security-opt seccomp=unconfined")


def _limits(system: dict[str, Any]) -> Iterator[Finding]:
    limits = system.get("limits") or {}
    hard = (limits.get("nofile") or [None, None])[1]
    if hard is None:
        yield _unknown("nofile", "the limit of open files", "ulimit -Hn")
    elif 0 <= hard < NOFILE_LEAST:
        yield Finding("nofile", MEDIUM if hard >= 2048 else HIGH, str(hard), "each connection is an open file in "
                      "server and loader: more connections than this cannot be measured",
                      f"as root: ulimit -n {NOFILE_LEAST} (a container: --ulimit nofile={NOFILE_LEAST})")
    memlock = (limits.get("memlock") or [None, None])[0]
    if memlock is not None and 0 <= memlock < MEMLOCK_LEAST:
        yield Finding("memlock", LOW, f"{memlock >> 10} KiB", "registered buffers, and before kernel 5.12 the rings "
                      "themselves, count against it", f"as root: ulimit -l {MEMLOCK_LEAST >> 10}")


def _network(system: dict[str, Any]) -> Iterator[Finding]:
    sysctl = system.get("sysctl") or {}
    for name, severity, why in (
            ("net.core.somaxconn", MEDIUM, "a burst of new connections overflows the accept queue; a client whose "
             "handshake is dropped waits a second"),
            ("net.ipv4.tcp_max_syn_backlog", LOW, "a burst of handshakes is dropped or answered with cookies")):
        value = _number(sysctl.get(name))
        if value is None:
            yield _unknown(name, "its value", f"sysctl {name}")
        elif value < BACKLOG_LEAST:
            yield Finding(name, severity, str(value), why, f"sudo sysctl -w {name}={BACKLOG_LEAST}")
    ports = re.fullmatch(r"(\d+)\s+(\d+)", sysctl.get("net.ipv4.ip_local_port_range") or "")
    if ports is None:
        yield _unknown("net.ipv4.ip_local_port_range", "its value", "sysctl net.ipv4.ip_local_port_range")
    elif (count := int(ports[2]) - int(ports[1]) + 1) < PORTS_LEAST:
        yield Finding("net.ipv4.ip_local_port_range", LOW, f"{count} ports", "servers that close after each answer use "
                      "them up in seconds, since a closed one stays taken for a minute",
                      'sudo sysctl -w net.ipv4.ip_local_port_range="1024 65535"')
    if sysctl.get("net.ipv4.tcp_tw_reuse") == "0":
        yield Finding("net.ipv4.tcp_tw_reuse", LOW, "0", "ports of closed connections stay taken for a minute, also on "
                      "loopback", "sudo sysctl -w net.ipv4.tcp_tw_reuse=2")
    if _number(system.get("loopback_mtu")) == 65536:
        yield Finding("loopback mtu", LOW, "65536", "an answer of 60 KiB is one segment, on a network it is forty",
                      "sudo ip link set lo mtu 1500 (afterwards: mtu 65536)")


def _kernel(cpu: dict[str, Any], system: dict[str, Any]) -> Iterator[Finding]:
    clock = system.get("clock_source")
    if clock is None:
        yield _unknown("clock source", "how the kernel reads the time",
                       "cat /sys/devices/system/clocksource/clocksource0/current_clocksource")
    elif clock not in FINE_CLOCKS:
        yield Finding("clock source", HIGH, clock, "reading the time is a system call and takes a microsecond, several "
                      "times a request", "boot with clocksource=tsc tsc=reliable")
    huge = re.search(r"\[(\w+)\]", system.get("transparent_hugepages") or "")
    if huge is not None and huge[1] == "always":
        yield Finding("huge pages", LOW, "always", "the kernel merges pages behind a server's back: memory grows, and "
                      "some requests wait for it",
                      "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled")
    options = system.get("kernel_options") or {}
    if options.get("mitigations") == "off":
        yield Finding("mitigations", MEDIUM, "off", "system calls are cheaper than where servers run, so models that "
                      "make many look better", "boot without mitigations=off, or say so with every figure")
    else:
        active = [name for name, state in (cpu.get("vulnerabilities") or {}).items()
                  if (state or "").startswith("Mitigation")]
        if active:
            yield Finding("mitigations", LOW, ", ".join(active), "system calls cost more than without (one server "
                          "gained 28 %): figures of machines that differ in this do not compare",
                          "leave them on, and say so")


def _number(text: Any) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"\d+", str(text)) else None
