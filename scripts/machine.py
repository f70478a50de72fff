"""The machine and build record: what a reader needs to judge figures from another machine.

Read without root. Deliberately absent: host and user names, paths, addresses, the environment.
"""

from __future__ import annotations

import os
import platform
import re
import resource
from pathlib import Path
from typing import Any

from scripts.paths import build_dir
from scripts.processes import output_of

_CPU = "/sys/devices/system/cpu"


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text().strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def _sysctl(name: str) -> str | None:
    value = _read("/proc/sys/" + name.replace(".", "/"))
    return " ".join(value.split()) if value else None


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
        "mhz_now": first("cpu MHz"), "governor": _read(f"{_CPU}/cpu0/cpufreq/scaling_governor"),
        "frequency_driver": _read(f"{_CPU}/cpu0/cpufreq/scaling_driver"),
        "boost": _read(f"{_CPU}/cpufreq/boost"), "no_turbo": _read(f"{_CPU}/intel_pstate/no_turbo"),
        "isolated": _read(f"{_CPU}/isolated"), "nohz_full": _read(f"{_CPU}/nohz_full"),
        "vulnerabilities": {each.name: _read(str(each))
                            for each in sorted(Path(f"{_CPU}/vulnerabilities").glob("*"))},
    }


def _system() -> dict[str, Any]:
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', _read("/etc/os-release") or "", re.MULTILINE))
    memory = re.search(r"^MemTotal:\s+(\d+)", _read("/proc/meminfo") or "", re.MULTILINE)
    swap = re.search(r"^SwapTotal:\s+(\d+)", _read("/proc/meminfo") or "", re.MULTILINE)
    names = ("kernel.io_uring_disabled", "kernel.randomize_va_space", "net.core.somaxconn",
             "net.ipv4.tcp_max_syn_backlog", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_tw_reuse",
             "net.core.busy_poll", "vm.overcommit_memory")

    return {
        "kernel": platform.release(), "distribution": release.get("PRETTY_NAME"),
        "libc": " ".join(platform.libc_ver()), "python": platform.python_version(),
        "memory_mib": int(memory[1]) // 1024 if memory else None,
        "swap_mib": int(swap[1]) // 1024 if swap else None,
        "transparent_hugepages": _read("/sys/kernel/mm/transparent_hugepage/enabled"),
        "clock_source": _read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "loopback_mtu": _read("/sys/class/net/lo/mtu"),
        "sysctl": {name: _sysctl(name) for name in names},
        "limits": {"nofile": resource.getrlimit(resource.RLIMIT_NOFILE),
                   "memlock": resource.getrlimit(resource.RLIMIT_MEMLOCK)},
        "load_average": [round(each, 2) for each in os.getloadavg()],
        "uptime_s": round(float((_read("/proc/uptime") or "0").split()[0])),
    }


def _build(preset: str) -> dict[str, Any]:
    cache = _read(str(build_dir(preset) / "CMakeCache.txt")) or ""
    kept = ("CMAKE_BUILD_TYPE", "CMAKE_CXX_FLAGS", "CMAKE_CXX_FLAGS_RELEASE", "DUEL_SANITIZE", "DUEL_CHECKS")
    flags = {key: value for key, value in re.findall(r"^(\w+):\w+=(.*)$", cache, re.MULTILINE) if key in kept}
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


def dirty() -> bool | None:
    """Whether tracked files differ from the commit; None outside a checkout."""
    changes = output_of(["git", "status", "--porcelain", "--untracked-files=no"])
    return None if changes is None else bool(changes)


def record(preset: str = "release") -> dict[str, Any]:
    """Everything, ready for machine.json. Values that cannot be read are null."""
    return {"schema_version": 1, "cpu": _cpu(), "system": _system(), "build": _build(preset)}
