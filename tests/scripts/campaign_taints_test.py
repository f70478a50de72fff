"""What is held against a run, from made-up figures; and one run each way, with a fake server and a fake loader."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest
from scenarios_test import SOUND, read

from scripts import procfs
from scripts.campaign import host, plan, replicate, run, taints
from scripts.campaign.host import Reading
from scripts.errors import UserError
from scripts.procfs import HostCpu, Usage

FAKE_LOAD = [sys.executable, str(Path(__file__).with_name("fake_load.py"))]
SHARED = plan.Cpus((0, 1), (0, 1))
LOAD = {
    "taints": [], "errors": {"connect": 0, "status": 1200, "body": 3},
    "connections": {"asked_for": 64, "established": 60, "zero_served": 12, "fallen_silent": 2, "jain": 0.5},
    "loader": {"threads": [{"share": 0.5}, {"share": 0.93}], "exhausted": 9, "exhausted_by": "EMFILE"},
    "requests": {"ok": 1000, "unfinished": 7, "offered": 1000, "censored": 30},
    "halves": [{"rate": 1000.0, "intended": {"p50": 100_000}}, {"rate": 700.0, "intended": {"p50": 900_000}}],
    "lateness_ns": {"p50": 1000, "p99": 250_000, "max": 1_000_000}, "littles_law": 0.61,
    "rate": {"achieved": 610.0, "offered": 1000.0}, "window": {"seconds": 2.0}}


def reading(total: float = 0, idle: float = 0, steal: float = 0, own: float = 0, throttled: int = 0, **listen: int,
            ) -> Reading:
    return Reading(HostCpu(total, idle, steal), own, throttled, listen)


# --- what the loader says --------------------------------------------------------------------------

@pytest.mark.parametrize(("word", "said"), [
    ("errors", "errors: 1,200 status, 3 body"), ("zero_served", "starved: 12 of 60 connections never got an answer"),
    ("fallen_silent", "fallen silent: 2 of 60 connections were served no more"),
    ("loader_saturated", "loader saturated: its busiest thread used 93% of a CPU"),
    ("drift", "drift: 1,000 then 700 requests/s, p50 100 then 900 µs in the two halves"),
    ("schedule_slipped", "schedule slipped: sent late by p50 1, p99 250 µs"),
    ("littles_law", "Little's law: N_eff 0.61 a connection"),
    ("offered_not_achieved", "not achieved: 610 of 1,000 requests/s"),
    ("connections_missing", "connections: 60 of 64 established"),
    ("unfinished", "unfinished: 7 requests had no answer"), ("stopped", "stopped: after 2.0 s"),
    ("censored", "censored: 30 of 1,000 requests had no answer: the latencies have how long they had waited, not "
     "how long they would have"),
    ("ids_unchecked", "ids unchecked: no answer could be told from another request's"),
    ("loader_exhausted", "loader exhausted: 9 attempts to connect failed in the loader itself (EMFILE)"),
    ("no_samples", "no samples: nothing was answered"), ("of_tomorrow", "of tomorrow: says the loader")])
def test_the_loaders_words_get_their_figures(word: str, said: str) -> None:
    assert taints.of_load({**LOAD, "taints": [word]}) == [said]


def test_a_sound_load_has_no_taint() -> None:
    assert taints.of_load(LOAD) == []
    assert taints.of_load(None) == []


def test_a_run_without_samples_has_words() -> None:
    empty = {"rate": 0.0, "intended": {"p50": None}}
    assert taints.of_load({**LOAD, "taints": ["drift"], "halves": [empty, empty]}) == [
        "drift: 0 then 0 requests/s in the two halves"]


# --- what the machine did --------------------------------------------------------------------------

@pytest.mark.parametrize(("after", "said"), [
    (reading(total=10, idle=9, own=1), []), (reading(total=10, idle=1, own=8.5), []),
    (reading(total=10, idle=9.5, steal=0.2), ["steal: the hypervisor took 2.0% of the CPU time"]),
    (reading(total=10, idle=1, own=4), ["other work: other processes took 50% of the CPUs"]),
    (reading(total=10, idle=10, throttled=3), ["throttled: the CPU quota was used up in 3 periods"]),
    (reading(total=10, idle=10, ListenOverflows=5, ListenDrops=7), ["listen: ListenOverflows 5, ListenDrops 2 "
                                                                    "(of the whole machine)"])])
def test_the_machine_is_held_to_account(after: Reading, said: list[str]) -> None:
    assert taints.of_machine(reading(ListenDrops=5), after) == said


def test_both_kinds_of_control_groups_are_read(tmp_path) -> None:
    for group, count in (("cpu/a/b", 2), ("cpu/a", 30), ("x", 400)):
        (tmp_path / group).mkdir(parents=True, exist_ok=True)
        (tmp_path / group / "cpu.stat").write_text(f"nr_periods 9\nnr_throttled {count}\nthrottled_time 1\n")
    assert host.throttled("4:memory:/m\n3:cpu,cpuacct:/a/b\n0::/x\n", str(tmp_path)) == 432
    assert host.throttled("0::/none\n", str(tmp_path)) == 0


def test_listen_counters_are_found_by_name() -> None:
    text = ("TcpExt: A ListenOverflows B ListenDrops\nTcpExt: 1 2 3 4\n"
            "IpExt: ListenDrops\nIpExt: 99\n")
    assert host.listen_counters(text) == {"ListenOverflows": 2, "ListenDrops": 4}


def test_this_machine_can_be_read() -> None:
    before = host.reading()
    assert host.cpu_ns(1) >= 0
    assert host.reading().own_s >= before.own_s
    assert set(before.listen) <= set(host.LISTEN)
    assert before.listen


# --- what runs are good for ------------------------------------------------------------------------

@pytest.mark.parametrize(("change", "spoiled"), [
    ({}, False), ({"errors": {"connect": 5}}, False), ({"errors": {"body": 1}}, True), ({"zero_served": 1}, True),
    ({"fallen_silent": 1}, True), ({"requests_per_s": None, "errors": None}, True), ({"taints": ["drift: a"]}, False),
    *(({"taints": taints.of_load({**LOAD, "taints": [word]})}, True)
      for word in ("censored", "loader_exhausted", "loader_saturated", "schedule_slipped"))])
def test_which_runs_have_no_percentiles(change: dict, spoiled: bool) -> None:
    sound = {"errors": {}, "zero_served": 0, "fallen_silent": 0, "requests_per_s": 1.0, "taints": []}
    assert taints.is_spoiled({**sound, **change}) is spoiled


def test_a_campaigns_taints_count_its_runs(tmp_path) -> None:
    made = plan.make(read(tmp_path, SOUND), plan.Settings(3, 1, quick=True), SHARED)
    runs = [{"taints": ["drift: a", "drift: b", "steal: 2 %"]}, {"taints": ["drift: c"]}, {"taints": []}]
    starts = [{"at": "then", "runs_done": 0}, {"at": "later", "runs_done": 4}]
    assert taints.of_campaign(made, runs, starts, 1.5, True) == [
        "blocks: a 95 % interval takes 6, here are 3: nothing is shown", "quick: short runs",
        "dirty: built from uncommitted changes", "shared: server and loader share 2 CPUs",
        "busy: load average 1.5 before the start", "resumed: later, after 4 of 18 runs",
        "drift: 2 of 3 runs", "steal: 1 of 3 runs"]
    apart = plan.make(read(tmp_path, SOUND), plan.Settings(6, 1), plan.Cpus((0, 1), (2, 3)))
    assert taints.of_campaign(apart, [], starts[:1], 0.5, False) == []


# --- one run ---------------------------------------------------------------------------------------

@pytest.fixture
def made(tmp_path) -> plan.Plan:
    (tmp_path / "work").mkdir()
    return plan.make(read(tmp_path, SOUND), plan.Settings(1, 1, quick=True, duration_s=1), SHARED)


def once(fake: list[str], made: plan.Plan, folder: Path, *loader: str, point: int = 0) -> dict:
    load = replicate.load_argv(made, made.points[point], 5000.0, 3, [*FAKE_LOAD, *loader])
    server = replicate.server_argv(made, made.rows[0], fake)
    return replicate.replicate(server, load, made, made.points[point], folder / "work")


def test_a_run_has_every_figure(fake, made, tmp_path) -> None:
    """At the real pace: only then do the readings fall where they should."""
    found = once([*fake, "--counters"], made, tmp_path, point=1)
    assert found["taints"] in ([], [taint for taint in found["taints"] if taint.startswith(("other work", "steal"))])
    assert (found["offered_per_s"], found["n_eff"]) == (5000.0, None)
    assert found["requests"] == pytest.approx(5000, rel=0.03)
    cpu = found["cpu_us"]
    assert 0 < cpu["total"] < 1e6 / 5000 * 1.1  # one thread, one second, 5,000 requests
    assert found["switches_per_1000"] is None or found["switches_per_1000"] >= 0
    assert found["latency_intended_us"]["p99"] > found["latency_sent_us"]["p99"] > 0
    assert found["peak_mib"] > 1
    assert found["connections_per_worker"] == [0, 0]
    assert found["server_stats"]["requests"] > 0
    assert "--json" not in found["load_argv"]
    assert "--stats-file" not in found["server_argv"]
    json.dumps(found)


@pytest.mark.parametrize(("server", "loader", "said"), [
    (["--die-after", "0.05"], ["--hang"], "server: python.* ended during the run .*out of luck"),
    (["--exit-status", "4"], [], "server: .* exited with 4 after SIGTERM"),
    ([], ["--fail", "1"], "loader: exit status 1: fake-load: could not measure"),
    ([], ["--starve"], "starved: 3 of 8 connections never got an answer")])
def test_a_run_that_fails_is_tainted(fake, made, tmp_path, server: list[str], loader: list[str], said: str) -> None:
    found = once([*fake, *server], made, tmp_path, "--speed", "20", *loader)
    assert [taint for taint in found["taints"] if re.match(said, taint)]
    assert (found["load"] is None) == (found["requests_per_s"] is None) == ("--hang" in loader or "--fail" in loader)


def test_a_loader_that_does_not_end_is_given_up(fake, made, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(replicate, "_PATIENCE_S", -1.0)
    assert "loader: did not end within -1 s of its time" in once(fake, made, tmp_path, "--hang")["taints"]


@pytest.mark.parametrize(("server", "loader", "message"), [
    ([], ["--fail", "2"], "refuses its command line: fake-load: could not measure"),
    (["--die-at-once"], [], "ended before it was ready")])
def test_what_nobody_can_measure_is_an_error(fake, made, tmp_path, server, loader, message) -> None:
    with pytest.raises(UserError, match=message):
        once([*fake, *server], made, tmp_path, *loader)


def test_a_json_of_another_shape_is_an_error() -> None:
    with pytest.raises(UserError, match=r"not the one known here: KeyError\('connections'\) \(rebuild"):
        replicate.figures({"taints": []}, replicate.Watched([]), plan.Point("closed"))


def test_cpu_time_is_that_of_the_window() -> None:
    samples = [(0, 0), (100, 50), (200, 150), (300, 150)]
    assert [replicate.cpu_at(samples, at) for at in (50, 150, 300, 301)] == [25, 100, 150, None]
    load = {"window": {"begin_ns": 50, "end_ns": 150, "warmup_seconds": 0}, "requests": {"ok": 3}}
    early, late = Usage(1.0, 1.0, 10, 0, 1, 0), Usage(2.0, 4.0, 70, 40, 1, 0)
    watched = replicate.Watched(samples, (60, early), (140, late))
    cpu = replicate._cpu(load, watched)
    assert (cpu["total"], cpu["user"], cpu["system"]) == pytest.approx((0.025, 0.00625, 0.01875))
    # 100 switches in 80 ns at a rate of 1.25e9 a second are 100 requests.
    assert replicate._switches({**load, "rate": {"achieved": 1.25e9}}, watched) == pytest.approx(1000)
    beyond = replicate.Watched(samples, (60, early), (151, late))
    assert replicate._switches({**load, "rate": {"achieved": 1.25e9}}, beyond) is None
    assert replicate._cpu({**load, "window": {"begin_ns": 50, "end_ns": 301}}, watched) is None


def test_the_kernels_clock_of_a_process_agrees_with_its_ticks() -> None:
    user, system = procfs.cpu_times(os.getpid())
    assert host.cpu_ns(os.getpid()) / 1e9 == pytest.approx(user + system, abs=0.1)


# --- peaks -----------------------------------------------------------------------------------------

def closed(row: str, rate: float, **change: object) -> dict:
    return {"row": row, "requests_per_s": rate, "errors": {}, "zero_served": 0, "fallen_silent": 0, "taints": [],
            **change}


POINTS = (plan.Point("closed"), plan.Point("30 %", 0.3), plan.Point("50 %", 0.5))


def test_rates_come_from_the_smallest_median_of_rows_that_serve_all() -> None:
    starved = closed("c", 10, zero_served=3, taints=["starved: 3 of 8 connections never got an answer"])
    found = run.peaks([closed("a", 1000), closed("b", 500), starved, closed("a", 3000), closed("b", 700),
                       closed("c", 900), closed("a", 2000), closed("b", 9000), closed("c", 900)], POINTS)
    assert (found["row"], found["peak"]) == ("b", 700)
    assert found["rates"] == {"30 %": 210.0, "50 %": 350.0}
    assert found["peaks"] == {"a": 2000, "b": 700}
    assert found["left_out"] == {"c": "starved: 3 of 8 connections never got an answer"}


def test_a_busy_loader_has_peaks_and_one_out_of_ports_none() -> None:
    busy = closed("a", 1000, taints=["loader saturated: its busiest thread used 93% of a CPU"])
    out = closed("b", 500, taints=["loader exhausted: 9 attempts to connect failed in the loader itself (EMFILE)"])
    found = run.peaks([busy, out], POINTS)
    assert (found["peaks"], list(found["left_out"])) == ({"a": 1000}, ["b"])


def test_without_any_peak_there_is_no_campaign() -> None:
    with pytest.raises(UserError, match=r"no row has a peak to take rates from: a: starved: 3 of 8 \("):
        run.peaks([closed("a", 10, zero_served=3, taints=["starved: 3 of 8"])], POINTS)
