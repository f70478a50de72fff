"""One run of a campaign: start a server, load it with duel-load, read every counter, stop it.

What the server used is read while the loader runs, every few milliseconds; the loader says afterwards which
seconds it measured, and the figures are those of that window. A server or loader that fails makes a tainted run
without figures, for the campaign goes on; what nobody can measure (a wrong flag) is a UserError.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts import counters, procfs
from scripts.campaign import host, taints
from scripts.campaign.plan import Plan, Point
from scripts.errors import UserError
from scripts.paths import shown
from scripts.processes import running
from scripts.scenarios import Row
from scripts.servers import Server, program, serving

STATS, LOAD = "stats.json", "load.json"  # in the run's scratch folder
_EVERY_S = 0.02
_PATIENCE_S = 30.0  # over warm-up and window: connecting, the last answers, a busy machine
_DRAIN_TIMEOUT_S = 8.0  # the server's own default is 5 s
_USAGE = 2


class _Failed(Exception):
    """What kept a run from being sound."""


@dataclass
class Watched:
    """The server's use of the machine. cpu: (monotonic ns, CPU ns) in time order."""

    cpu: list[tuple[int, int]]
    early: tuple[int, procfs.Usage] | None = None  # late in the warm-up
    late: tuple[int, procfs.Usage] | None = None  # late in the window


def server_argv(plan: Plan, row: Row, command: list[str]) -> list[str]:
    pinned = [] if plan.cpus.are_shared else ["taskset", "-c", ",".join(map(str, plan.cpus.server))]
    return [*pinned, *row.argv(command), "--listen", "127.0.0.1:0"]


def load_argv(plan: Plan, point: Point, rate: float | None, seed: int, command: list[str]) -> list[str]:
    """All but the URL and --json."""
    open_loop = [] if point.of_peak is None else ["--rate", f"{rate:g}", "--arrivals", "poisson"]
    optional = [*(["--pipeline", str(plan.pipeline)] if plan.pipeline > 1 else []),
                *(["--service", plan.service] if plan.service else []),
                *([] if plan.keep_alive else ["--header", "Connection: close"]),
                *([] if plan.cpus.are_shared else ["--cpus", ",".join(map(str, plan.cpus.load))])]
    return [*command, "--connections", str(plan.connections), "--threads", str(plan.threads), "--duration",
            str(plan.duration_s), "--warmup", f"{plan.warmup_s:g}", "--seed", str(seed), *open_loop, *optional]


def replicate(server: list[str], load: list[str], plan: Plan, point: Point, work: Path,
              tick: Callable[[], None] = lambda: None, look: Callable[[int], None] = lambda pid: None,
              ) -> dict[str, Any]:
    """The figures of one server start, as result.json has them, and `load`, the loader's own JSON. `look` is called
    with the server's pid as often as its CPU time is read."""
    before = host.reading()
    run: dict[str, Any] = {"server_argv": server, "load_argv": load, "peak_mib": None}
    failures: list[str] = []
    watched, found = Watched([]), None
    with serving([*server, "--stats-file", shown(work / STATS)], work) as child:
        run["ready_line"] = child.ready_line
        try:
            found = _load(child, load, plan, work, watched, tick, look)
            run["peak_mib"] = procfs.usage(child.pid).peak_kib / 1024
            _stop(child)
        except _Failed as failed:
            failures.append(str(failed))
    after = host.reading()
    run["server_stats"] = _stats(work / STATS)
    run["connections_per_worker"] = _connections(run["server_stats"], run["ready_line"])
    run.update(figures(found, watched, point))
    run["machine"] = _machine(before, after)
    run["taints"] = [*failures, *taints.of_load(found), *taints.of_machine(before, after)]
    run["load"] = found
    return run


def _stop(server: Server) -> None:
    try:
        code = server.stop(_DRAIN_TIMEOUT_S)
    except UserError as error:
        raise _Failed(f"server: {error}") from None
    if code != 0:
        how = "does not end" if code is None else f"exited with {code}"
        raise _Failed(f"server: {program(server.argv)} {how} after SIGTERM: {server.last_words()}")


def _load(server: Server, argv: list[str], plan: Plan, work: Path, watched: Watched,
          tick: Callable[[], None], look: Callable[[int], None]) -> dict[str, Any]:
    full = [*argv, "--json", shown(work / LOAD), f"{server.url.rstrip('/')}{plan.path}"]
    began = time.monotonic()
    early_at, late_at = began + 0.8 * plan.warmup_s, began + plan.warmup_s + 0.95 * plan.duration_s
    deadline = began + plan.warmup_s + plan.duration_s + _PATIENCE_S
    with (work / "load.out").open("wb") as out, (work / "load.err").open("wb") as err, running(
            full, stdin=subprocess.DEVNULL, stdout=out, stderr=err) as child:
        while child.poll() is None:
            _sample(server, watched, early_at, late_at)
            look(server.pid)
            if time.monotonic() > deadline:
                raise _Failed(f"loader: did not end within {_PATIENCE_S:g} s of its time")
            tick()
            time.sleep(_EVERY_S)
        _sample(server, watched, math.inf, math.inf)
        words = (work / "load.err").read_text(errors="replace").strip().splitlines() or ["it said nothing"]
        if child.returncode == _USAGE:
            raise UserError(f"{Path(argv[0]).name} refuses its command line: {words[-1]} (rebuild: ./duel build)")
        if child.returncode != 0:
            raise _Failed(f"loader: exit status {child.returncode}: {words[-1]}")
    try:
        return json.loads((work / LOAD).read_text())
    except (OSError, ValueError):
        raise UserError(f"{Path(argv[0]).name} exited 0 but left no readable JSON (rebuild: ./duel build)") from None


def _sample(server: Server, watched: Watched, early_at: float, late_at: float) -> None:
    try:
        server.check()
        watched.cpu.append((time.monotonic_ns(), host.cpu_ns(server.pid)))
        if watched.early is None and time.monotonic() >= early_at:
            watched.early = time.monotonic_ns(), procfs.usage(server.pid)
        if watched.late is None and time.monotonic() >= late_at:
            watched.late = time.monotonic_ns(), procfs.usage(server.pid)
    except (UserError, OSError) as error:
        raise _Failed(f"server: {error}") from None


def cpu_at(samples: list[tuple[int, int]], at: int) -> float | None:
    """CPU time at a moment, in ns, between the two samples around it; None outside of them."""
    for (t, used), (later, more) in zip(samples, samples[1:], strict=False):
        if t <= at <= later:
            return used + (more - used) * (at - t) / max(1, later - t)
    return None


def figures(load: dict[str, Any] | None, watched: Watched, point: Point) -> dict[str, Any]:
    """What the loader says, in the units of result.json; every figure null when there was no load."""
    keys = ("requests_per_s", "offered_per_s", "requests", "window_s", "latency_intended_us", "latency_sent_us",
            "errors", "reconnects", "cpu_us", "switches_per_1000", "n_eff", "jain", "zero_served", "fallen_silent",
            "loader_cpu_share", "lateness_us", "first_half", "second_half")
    if load is None:
        return dict.fromkeys(keys)
    try:
        connections, halves = load["connections"], load["halves"]
        return dict(zip(keys, (
            load["rate"]["achieved"], load["rate"]["offered"], load["requests"]["ok"], load["window"]["seconds"],
            _us(load["latency_ns"]["intended"]), _us(load["latency_ns"]["sent"]),
            {kind: count for kind, count in load["errors"].items() if count}, load["reconnects"],
            _cpu(load, watched), _switches(load, watched),
            load["littles_law"] if point.of_peak is None else None, connections["jain"], connections["zero_served"],
            connections["fallen_silent"], max(each["share"] for each in load["loader"]["threads"]),
            _us(load["lateness_ns"], ("p50", "p99", "max")),
            *({"requests_per_s": half["rate"], "latency_intended_us": _us(half["intended"]),
               "latency_sent_us": _us(half["sent"])} for half in halves)), strict=True))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"the loader's JSON is not the one known here: {error!r} (rebuild: ./duel build)") from None


def _us(latency: dict[str, Any], which: tuple[str, ...] = ("count", "mean", "p50", "p75", "p90", "p99", "p99_9", "max"),
        ) -> dict[str, Any]:
    return {key: latency[key] if key == "count" or latency[key] is None else latency[key] / 1e3 for key in which}


def _cpu(load: dict[str, Any], watched: Watched) -> dict[str, float] | None:
    """The server's CPU time a request within the window, split as the kernel's ticks are."""
    begin, end = (cpu_at(watched.cpu, load["window"][key]) for key in ("begin_ns", "end_ns"))
    if begin is None or end is None or not load["requests"]["ok"]:
        return None
    total = (end - begin) / 1e3 / load["requests"]["ok"]
    user = None
    if watched.early is not None and watched.late is not None:
        first, last = watched.early[1], watched.late[1]
        ticks = last.user_s - first.user_s, last.system_s - first.system_s
        user = total * ticks[0] / sum(ticks) if sum(ticks) > 0 else None
    return {"user": user, "system": None if user is None else total - user, "total": total}


def _switches(load: dict[str, Any], watched: Watched) -> float | None:
    """Context switches per 1,000 requests, of the threads alive at both readings, which lie under load."""
    window, rate = load["window"], load["rate"]["achieved"]
    if watched.early is None or watched.late is None or not rate:
        return None
    (start, first), (stop, last) = watched.early, watched.late
    loaded_from = window["begin_ns"] - window["warmup_seconds"] * 1e9
    if start < loaded_from or stop > window["end_ns"]:
        return None
    switches = (last.voluntary_switches + last.involuntary_switches
                - first.voluntary_switches - first.involuntary_switches)
    return max(0, switches) * 1e12 / (stop - start) / rate


def _machine(before: host.Reading, after: host.Reading) -> dict[str, Any]:
    return {"steal_share": taints.steal_share(before, after), "others_share": taints.others_share(before, after),
            "throttled_periods": after.throttled - before.throttled, "listen": taints.listen_grown(before, after)}


def _stats(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def _connections(stats: dict[str, Any] | None, ready_line: str) -> list[int] | None:
    """Those that started at each worker, the loader's first look included. A reactor thread has none."""
    said = re.search(r"\bworkers=(\d+)", ready_line)
    return counters.each_of(counters.of_workers(stats)[:int(said[1]) if said else None], "connections")
