"""The machine record and what it says about measuring: made-up machines, and this one."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from scripts import cli, machine, machine_check
from scripts.machine_check import HIGH, LOW, MEDIUM, UNKNOWN, findings
from scripts.paths import ROOT

# A machine that nothing can be said against.
SOUND: dict[str, Any] = {
    "cpu": {"online": 8, "allowed": list(range(8)), "smt_active": "0", "numa_nodes": 1, "hypervisor": False,
            "quota_cpus": "unlimited", "governor": "performance", "energy_preference": "performance", "boost": "0",
            "no_turbo": None, "isolated": "2-7", "idle_states": {"POLL": {"latency_us": 0, "disabled": False},
                                                                 "C6": {"latency_us": 133, "disabled": True}},
            "thermal_throttles": 0, "vulnerabilities": {"meltdown": "Not affected", "mds": None}},
    "system": {"container": None, "io_uring": "works", "swap_mib": 8, "swap_used_mib": 0, "clock_source": "tsc",
               "transparent_hugepages": "always [madvise] never", "loopback_mtu": "1500", "kernel_options": {},
               "limits": {"nofile": [1024, 524_288], "memlock": [8 << 20, 8 << 20]}, "load_average": [0.1, 0.2, 0.3],
               "steal_share": 0.0, "irqbalance": False,
               "sysctl": {"kernel.io_uring_disabled": "0", "net.core.somaxconn": "4096",
                          "net.ipv4.tcp_max_syn_backlog": "4096", "net.ipv4.ip_local_port_range": "1024 65535",
                          "net.ipv4.tcp_tw_reuse": "2"}}}


def but(path: str, value: Any) -> dict[str, Any]:
    """SOUND with one value changed; `path` has its keys between slashes."""
    record = copy.deepcopy(SOUND)
    *above, last = path.split("/")
    at = record
    for key in above:
        at = at[key]
    at[last] = value
    return record


def test_a_sound_machine_has_no_findings() -> None:
    assert findings(SOUND) == []


@pytest.mark.parametrize(("path", "value", "word", "severity", "fix"), [
    ("cpu/quota_cpus", 2.5, "cpu quota", HIGH, "--cpus"), ("cpu/quota_cpus", None, "cpu quota", UNKNOWN, "cpu.max"),
    ("cpu/allowed", [0, 1, 2, 3], "affinity", LOW, "taskset"),
    ("cpu/governor", "powersave", "governor", HIGH, "cpupower frequency-set -g performance"),
    ("cpu/governor", "performance schedutil", "governor", HIGH, "cpupower"),
    ("cpu/governor", None, "governor", UNKNOWN, "host"), ("cpu/boost", "1", "boost", MEDIUM, "echo 0 | sudo tee"),
    ("cpu/no_turbo", "0", "boost", MEDIUM, "echo 1 | sudo tee /sys/devices/system/cpu/intel_pstate/no_turbo"),
    ("cpu/energy_preference", "balance_power", "energy preference", LOW, "energy_performance_preference"),
    ("cpu/thermal_throttles", 3, "throttling", MEDIUM, "cool"),
    ("cpu/idle_states/C6/disabled", False, "deep idle states", MEDIUM, "cpupower idle-set -D 20"),
    ("cpu/smt_active", "1", "smt", MEDIUM, "smt/control"), ("cpu/smt_active", None, "smt", UNKNOWN, "siblings"),
    ("cpu/numa_nodes", 2, "numa", MEDIUM, "numactl"), ("cpu/isolated", None, "no isolated cpus", LOW, "isolcpus="),
    ("cpu/hypervisor", True, "virtual machine", MEDIUM, "interleave"),
    ("cpu/vulnerabilities/mds", "Mitigation: Clear CPU buffers", "mitigations", LOW, "say so"),
    ("system/steal_share", 0.05, "steal time", HIGH, "dedicated"),
    ("system/steal_share", None, "steal time", UNKNOWN, "/proc/stat"),
    ("system/container", "podman", "container", LOW, "host"),
    ("system/load_average", [4.5, 1, 1], "other work", HIGH, "ps -eo"),
    ("system/load_average", None, "other work", UNKNOWN, "uptime"),
    ("system/swap_used_mib", 12, "swap", MEDIUM, "swapoff -a"),
    ("system/irqbalance", True, "irqbalance", LOW, "systemctl stop"),
    ("system/sysctl/kernel.io_uring_disabled", "2", "io_uring", HIGH, "sysctl kernel.io_uring_disabled=0"),
    ("system/io_uring", "EPERM", "io_uring", HIGH, "seccomp=unconfined"),
    ("system/io_uring", "ENOSYS", "io_uring", HIGH, "kernel of 5.19"),
    ("system/io_uring", None, "io_uring", UNKNOWN, "uring"),
    ("system/limits/nofile", [1024, 1024], "nofile", HIGH, "ulimit -n 65536"),
    ("system/limits/nofile", [1024, 20_000], "nofile", MEDIUM, "ulimit -n 65536"),
    ("system/limits/nofile", None, "nofile", UNKNOWN, "ulimit -Hn"),
    ("system/limits/memlock", [65_536, 65_536], "memlock", LOW, "ulimit -l 8192"),
    ("system/sysctl/net.core.somaxconn", "128", "net.core.somaxconn", MEDIUM, "sysctl -w net.core.somaxconn=4096"),
    ("system/sysctl/net.core.somaxconn", None, "net.core.somaxconn", UNKNOWN, "sysctl"),
    ("system/sysctl/net.ipv4.tcp_max_syn_backlog", "512", "net.ipv4.tcp_max_syn_backlog", LOW, "=4096"),
    ("system/sysctl/net.ipv4.ip_local_port_range", "32768 60999", "net.ipv4.ip_local_port_range", LOW, "1024 65535"),
    ("system/sysctl/net.ipv4.ip_local_port_range", None, "net.ipv4.ip_local_port_range", UNKNOWN, "sysctl"),
    ("system/sysctl/net.ipv4.tcp_tw_reuse", "0", "net.ipv4.tcp_tw_reuse", LOW, "=2"),
    ("system/loopback_mtu", "65536", "loopback mtu", LOW, "ip link set lo mtu 1500"),
    ("system/clock_source", "hpet", "clock source", HIGH, "clocksource=tsc"),
    ("system/clock_source", None, "clock source", UNKNOWN, "current_clocksource"),
    ("system/transparent_hugepages", "[always] madvise never", "huge pages", LOW, "echo madvise"),
    ("system/kernel_options", {"mitigations": "off"}, "mitigations", MEDIUM, "mitigations=off")])
def test_each_thing_that_hurts_is_named_with_its_mending(path: str, value: Any, word: str, severity: str,
                                                         fix: str) -> None:
    (found,) = findings(but(path, value))
    assert (found.word, found.severity) == (word, severity)
    assert fix in found.fix
    assert found.why


@pytest.mark.parametrize(("path", "value"), [
    ("cpu/quota_cpus", 8.0), ("cpu/no_turbo", "1"), ("cpu/idle_states", None), ("cpu/thermal_throttles", None),
    ("system/load_average", [3.9, 9, 9]), ("system/limits/nofile", [1024, -1]), ("system/limits/memlock", [-1, -1]),
    ("system/limits/memlock", None), ("system/clock_source", "kvm-clock"), ("system/transparent_hugepages", None),
    ("system/sysctl/kernel.io_uring_disabled", "1"), ("system/steal_share", 0.01)])
def test_what_does_not_hurt_is_not_named(path: str, value: Any) -> None:
    assert findings(but(path, value)) == []


def test_too_few_cpus_for_server_and_loader() -> None:
    small = but("cpu", {**SOUND["cpu"], "allowed": [0, 1], "online": 2})
    assert [each.word for each in findings(small)] == ["few cpus"]


def test_the_worst_comes_first_and_nothing_known_is_all_unknown() -> None:
    order = [machine_check.SEVERITIES.index(each.severity) for each in findings(but("cpu/allowed", [0, 1]))]
    assert order == sorted(order)
    empty = findings({})
    assert {each.severity for each in empty if each.word != "few cpus"} == {UNKNOWN}
    assert len(empty) >= 8


def test_records_of_earlier_results_are_still_read() -> None:
    kept = sorted((ROOT / "results").glob("reference-*/machine.json"))
    assert kept
    for path in kept:
        assert {"few cpus", "virtual machine"} <= {each.word for each in findings(json.loads(path.read_text()))}


def test_the_record_keeps_its_version_and_its_keys() -> None:
    old = json.loads((ROOT / "results" / "reference-2cpu" / "machine.json").read_text())
    new = machine.record()
    assert new["schema_version"] == old["schema_version"] == 1
    for section in ("cpu", "system", "build"):
        assert set(old[section]) <= set(new[section])
    assert json.loads(json.dumps(new)) == json.loads(json.dumps(new, allow_nan=False))


@pytest.mark.parametrize(("files", "own", "cpus"), [
    ({"cpu.max": "150000 100000"}, "0::/\n", 1.5), ({"cpu.max": "max 100000"}, "0::/\n", "unlimited"),
    ({}, "0::/\n", None), ({"cgroup.controllers": "cpu"}, "0::/user.slice\n", "unlimited"),
    ({"a/cpu.max": "max 100000", "a/b/cpu.max": "50000 100000"}, "0::/a/b\n", 0.5),
    ({"a/cpu.max": "300000 100000", "a/b/cpu.max": "900000 100000"}, "0::/a/b\n", 3.0),
    ({"cpu.max": "400000 100000"}, "0::/not/seen/here\n", 4.0),
    ({"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}, "3:memory:/x\n1:cpu:/\n0::/\n", 2.0),
    ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, "1:cpu,cpuacct:/docker/1\n", "unlimited")])
def test_the_quota_is_the_least_of_the_groups_around(tmp_path: Path, files: dict[str, str], own: str,
                                                     cpus: float | str | None) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content + "\n")
    assert machine.quota_cpus(own, str(tmp_path)) == cpus


def test_the_kernels_command_line_is_not_recorded_whole() -> None:
    options = machine.record()["system"]["kernel_options"]
    assert set(options) <= {"isolcpus", "nohz_full", "rcu_nocbs", "mitigations", "nosmt", "idle", "preempt",
                            "intel_idle.max_cstate", "processor.max_cstate", "intel_pstate", "amd_pstate",
                            "clocksource", "tsc"}


def test_asking_for_a_ring_says_how_it_went() -> None:
    said = machine.io_uring()
    assert said == "works" or said.isupper()


@pytest.mark.parametrize("what", ["show", "check"])
def test_the_command_on_this_machine(what: str, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out.json"
    assert cli.dispatch(["machine", what, "--json", str(out)]) == 0
    said = capsys.readouterr().out
    assert said
    assert all(len(line) <= 120 for line in said.splitlines())
    document = json.loads(out.read_text())
    assert document["schema_version"] == 1
    if what == "show":
        assert set(document) == {"schema_version", "cpu", "system", "build"}
        assert document["system"]["kernel"] in said
    else:
        assert document["kind"] == "machine_check"
        assert all(list(each) == ["word", "severity", "value", "why", "fix"] for each in document["findings"])
        assert all(each["word"] in said for each in document["findings"])


@pytest.mark.parametrize(("commands", "expected"), [
    (json.dumps([{"file": "/x/other.cpp", "command": "c++ -O0 -c other.cpp"},
                 {"file": "/x/servers/duel_server.cpp",
                  "command": "c++ -DX=1 -I/x -O2 -g1 -flto=auto -Wall -std=c++23 -o s.o -c /x/servers/duel_server.cpp"}]),
     "-DX=1 -O2 -g1 -flto=auto -std=c++23"), ("[]", None), ('[{"file"', None), (None, None)])
def test_the_flags_are_those_that_the_compiler_got(commands: str | None, expected: str | None) -> None:
    assert machine.compiler_flags(commands) == expected
