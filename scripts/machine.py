"""The machine and build record: what a reader needs to judge figures from another machine.

Read without root, and nothing is changed. Deliberately absent: host and user names, paths, addresses, the
environment, and of the kernel's command line everything but the options that shift a measurement. Keys are only ever
added under one schema_version.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import re
import resource
import shlex
from pathlib import Path
from typing import Any

from scripts import procfs
from scripts.paths import build_dir
from scripts.processes import output_of

_CPU = "/sys/devices/system/cpu"
_CGROUPS = "/sys/fs/cgroup"
_KERNEL_OPTIONS = ("isolcpus", "nohz_full", "rcu_nocbs", "mitigations", "nosmt", "idle", "intel_idle.max_cstate",
                   "processor.max_cstate", "intel_pstate", "amd_pstate", "clocksource", "tsc", "preempt")


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text().strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def _sysctl(name: str) -> str | None:
    value = _read("/proc/sys/" + name.replace(".", "/"))
    return " ".join(value.split()) if value else None


def _number(path: str) -> int | None:
    text = _read(path)
    return int(text) if text is not None and re.fullmatch(r"-?\d+", text) else None


def _of_every_cpu(name: str) -> str | None:
    """The value that the CPUs agree on, or all their values."""
    values = {_read(str(path)) for path in Path(_CPU).glob(f"cpu[0-9]*/{name}")} - {None}
    return " ".join(sorted(map(str, values))) or None


def quota_cpus(own: str, root: str = _CGROUPS) -> float | str | None:
    """The least CPU quota of the control groups around this process, in CPUs; `own`: /proc/self/cgroup."""
    found: list[float] = []
    known = Path(f"{root}/cgroup.controllers").exists()  # no group with a file of its own: no limit is set
    for line in own.splitlines():
        _, controllers, path = line.split(":", 2)
        names = controllers.split(",")
        if controllers and "cpu" not in names:
            continue
        # A container sees its own group as the root, whatever the path says.
        for group in (path, *map(str, Path(path).parents)):
            if controllers:
                quota, period = (_number(f"{root}/cpu{group}/cpu.cfs_{each}_us") for each in ("quota", "period"))
                limit = [str(quota), str(period)] if quota is not None and period else []
            else:
                limit = (_read(f"{root}{group}/cpu.max") or "").split()
            known = known or len(limit) == 2
            if len(limit) == 2 and limit[0] not in ("max", "-1"):
                found.append(int(limit[0]) / int(limit[1]))
    return min(found) if found else "unlimited" if known else None


def _idle_states() -> dict[str, dict[str, Any]] | None:
    """By name: what leaving the state costs, and whether it is switched off on CPU 0."""
    return {str(_read(f"{state}/name")): {"latency_us": _number(f"{state}/latency"),
                                          "disabled": _read(f"{state}/disable") == "1"}
            for state in sorted(Path(f"{_CPU}/cpu0/cpuidle").glob("state*"))} or None


def _throttled() -> int | None:
    counts = [_number(str(path)) for path in Path(_CPU).glob("cpu[0-9]*/thermal_throttle/core_throttle_count")]
    return sum(each or 0 for each in counts) if counts else None


def _cpu() -> dict[str, Any]:
    info = _read("/proc/cpuinfo") or ""

    def first(key: str) -> str | None:
        match = re.search(rf"^{key}\s*:\s*(.+)$", info, re.MULTILINE)
        return match[1] if match else None

    caches = {}
    for index in sorted(Path(f"{_CPU}/cpu0/cache").glob("index*")):
        kind = _read(f"{index}/type")
        name = f"L{_read(f'{index}/level')}" + ("" if kind == "Unified" else f" {kind}")
        caches[name] = {"size": _read(f"{index}/size"), "shared_cpus": _read(f"{index}/shared_cpu_list")}
    return {
        "model": first("model name"), "stepping": first("stepping"), "microcode": first("microcode"),
        "architecture": platform.machine(), "online": os.cpu_count(),
        "allowed": sorted(os.sched_getaffinity(0)), "smt_active": _read(f"{_CPU}/smt/active"), "caches": caches,
        "numa_nodes": len(list(Path("/sys/devices/system/node").glob("node[0-9]*"))) or None,
        "hypervisor": "hypervisor" in (first("flags") or ""),
        "cgroup_cpu_max": _read("/sys/fs/cgroup/cpu.max"),
        "quota_cpus": quota_cpus(_read("/proc/self/cgroup") or ""),
        "mhz_now": first("cpu MHz"), "governor": _of_every_cpu("cpufreq/scaling_governor"),
        "energy_preference": _of_every_cpu("cpufreq/energy_performance_preference"),
        "khz_least": _number(f"{_CPU}/cpu0/cpufreq/cpuinfo_min_freq"),
        "khz_most": _number(f"{_CPU}/cpu0/cpufreq/cpuinfo_max_freq"),
        "idle_driver": _read(f"{_CPU}/cpuidle/current_driver"), "idle_states": _idle_states(),
        "thermal_throttles": _throttled(),
        "frequency_driver": _read(f"{_CPU}/cpu0/cpufreq/scaling_driver"),
        "boost": _read(f"{_CPU}/cpufreq/boost"), "no_turbo": _read(f"{_CPU}/intel_pstate/no_turbo"),
        "isolated": _read(f"{_CPU}/isolated"), "nohz_full": _read(f"{_CPU}/nohz_full"),
        "vulnerabilities": {each.name: _read(str(each))
                            for each in sorted(Path(f"{_CPU}/vulnerabilities").glob("*"))},
    }


def io_uring() -> str:
    """`works`, or the error that a process gets when it asks for a ring."""
    libc = ctypes.CDLL(None, use_errno=True)
    ring = libc.syscall(425, 1, ctypes.create_string_buffer(120))  # io_uring_setup, struct io_uring_params
    if ring < 0:
        return errno.errorcode.get(ctypes.get_errno(), str(ctypes.get_errno()))
    os.close(ring)
    return "works"


def _container() -> str | None:
    for name, mark in (("docker", "/.dockerenv"), ("podman", "/run/.containerenv")):
        if Path(mark).exists():
            return name
    return _read("/run/systemd/container")


def _kernel_options() -> dict[str, str]:
    words = (word.partition("=") for word in (_read("/proc/cmdline") or "").split())
    return {name: value or "on" for name, _, value in words if name in _KERNEL_OPTIONS}


def _irqbalance() -> bool:
    return any(_read(str(path)) == "irqbalance" for path in Path("/proc").glob("[0-9]*/comm"))


def _steal_share() -> float | None:
    try:
        since_boot = procfs.host_cpu()
    except (OSError, ValueError, IndexError):
        return None
    return round(since_boot.steal_s / since_boot.total_s, 4) if since_boot.total_s > 0 else None


def _pressure() -> float | None:
    """The share of the last 10 s in which some thread waited for a CPU, in percent."""
    found = re.search(r"^some avg10=([\d.]+)", _read("/proc/pressure/cpu") or "", re.MULTILINE)
    return float(found[1]) if found else None


def _system() -> dict[str, Any]:
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', _read("/etc/os-release") or "", re.MULTILINE))
    memory = re.search(r"^MemTotal:\s+(\d+)", _read("/proc/meminfo") or "", re.MULTILINE)
    swap = re.search(r"^SwapTotal:\s+(\d+)", _read("/proc/meminfo") or "", re.MULTILINE)
    swap_free = re.search(r"^SwapFree:\s+(\d+)", _read("/proc/meminfo") or "", re.MULTILINE)
    names = ("kernel.io_uring_disabled", "kernel.randomize_va_space", "net.core.somaxconn",
             "net.ipv4.tcp_max_syn_backlog", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_tw_reuse",
             "net.core.busy_poll", "net.netfilter.nf_conntrack_max", "vm.overcommit_memory")
    runnable = re.search(r" (\d+)/", _read("/proc/loadavg") or "")

    return {
        "kernel": platform.release(), "distribution": release.get("PRETTY_NAME"),
        "libc": " ".join(platform.libc_ver()), "python": platform.python_version(),
        "memory_mib": int(memory[1]) // 1024 if memory else None,
        "swap_mib": int(swap[1]) // 1024 if swap else None,
        "swap_used_mib": (int(swap[1]) - int(swap_free[1])) // 1024 if swap and swap_free else None,
        "kernel_options": _kernel_options(), "container": _container(), "io_uring": io_uring(),
        "transparent_hugepages": _read("/sys/kernel/mm/transparent_hugepage/enabled"),
        "clock_source": _read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "loopback_mtu": _read("/sys/class/net/lo/mtu"),
        "sysctl": {name: _sysctl(name) for name in names},
        "limits": {"nofile": resource.getrlimit(resource.RLIMIT_NOFILE),
                   "memlock": resource.getrlimit(resource.RLIMIT_MEMLOCK)},
        "load_average": [round(each, 2) for each in os.getloadavg()],
        "runnable_threads": int(runnable[1]) if runnable else None, "cpu_pressure_percent": _pressure(),
        "steal_share": _steal_share(), "irqbalance": _irqbalance(),
        "uptime_s": round(float((_read("/proc/uptime") or "0").split()[0])),
    }


def _build(preset: str) -> dict[str, Any]:
    cache = _read(str(build_dir(preset) / "CMakeCache.txt")) or ""
    kept = ("CMAKE_BUILD_TYPE", "CMAKE_CXX_FLAGS", "DUEL_SANITIZE", "DUEL_CHECKS")
    flags = {key: value for key, value in re.findall(r"^(\w+):\w+=(.*)$", cache, re.MULTILINE) if key in kept}
    flags["compiler"] = compiler_flags(_read(str(build_dir(preset) / "compile_commands.json")))
    compiler = re.search(r"^CMAKE_CXX_COMPILER:\w+=(.*)$", cache, re.MULTILINE)
    banner = output_of([compiler[1] if compiler else "c++", "--version"])
    packages = ("libevent_core", "liburing", "fmt", "libllhttp")
    wrk = output_of(["dpkg-query", "-W", "-f", "${Version}", "wrk"])
    return {
        "preset": preset, "commit": output_of(["git", "rev-parse", "HEAD"]), "dirty": dirty(),
        "compiler": banner.split("\n", 1)[0] if banner else None, "flags": flags,
        "libraries": {name: output_of(["pkg-config", "--modversion", name]) for name in packages},
        "wrk": wrk,
    }


def compiler_flags(commands: str | None, of: str = "servers/duel_server.cpp") -> str | None:
    """What a source file of the kit was compiled with, but for warnings and folders."""
    try:
        found = [each["command"] for each in json.loads(commands or "[]") if each["file"].endswith(of)]
    except ValueError:  # half written
        found = []
    return " ".join(word for word in shlex.split(found[0]) if re.match("-(O|g|f|m|std|D)", word)) if found else None


def dirty() -> bool | None:
    """Whether tracked files differ from the commit; None outside a checkout."""
    changes = output_of(["git", "status", "--porcelain", "--untracked-files=no"])
    return None if changes is None else bool(changes)


def record(preset: str = "release") -> dict[str, Any]:
    """Everything, ready for machine.json. Values that cannot be read are null."""
    return {"schema_version": 1, "cpu": _cpu(), "system": _system(), "build": _build(preset)}
