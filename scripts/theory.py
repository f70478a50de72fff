"""./duel bench theory: do the measured hockey sticks follow the queues they stand for?

Sharded should be k queues side by side, each with its measured share of the requests; stealing should be one queue for
all. duel-load draws the service times, Poisson and open loop, the same for every row of a block; duel-sim says what
the queue would do (theory_predict.py). theory_model.py compares them and looks for reasons, theory_report.py tells it.
"""

from __future__ import annotations

import os
import random
import re
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from scripts import counters, machine, results, theory_model, theory_report
from scripts.campaign import host, plan, replicate, taints
from scripts.campaign.run import LOADER, SERVER
from scripts.errors import UserError
from scripts.measure import require_descriptors
from scripts.progress import Progress
from scripts.scenarios import Row
from scripts.theory_predict import CONNECTIONS, REPLICATIONS, Point, judged, mean_of, subjects

SCHEMA_VERSION = 1
PROGRAMS = ["duel-server", "duel-load", "duel-sim"]
SERVICE, BIMODAL, BIMODAL_LOAD = "exp:1ms", "bimodal:500us,5500us,0.1", 0.5
LOADS, QUICK_LOADS = (0.3, 0.5, 0.7, 0.8), (0.5, 0.8)
_SHORT_UP_TO = 0.5  # half as long: a queue forgets the faster the less it is loaded
_BUSY, _IDLE = 0.7, 0.1  # loads of the calibration
_WARMUP_S, _OVERHEAD_S, _CALIBRATION_S, _SIMULATION_S = 1.0, 0.8, 3, 8.0
_SERVICE = re.compile(r"(det|exp|bimodal|lognormal|pareto):.*\d(us|ms|s)\b.*")


@dataclass(frozen=True)
class Settings:
    blocks: int | None = None
    duration_s: int | None = None
    quick: bool = False
    seed: int | None = None
    service: str | None = None


def points(settings: Settings) -> list[Point]:
    longest = settings.duration_s or (5 if settings.quick else 12)
    service = settings.service or SERVICE
    loads = [(load, service) for load in (QUICK_LOADS if settings.quick else LOADS)]
    if settings.service is None and not settings.quick:
        loads.append((BIMODAL_LOAD, BIMODAL))
    return [Point(f"{each.partition(':')[0]} {load:g}", each, load, longest / (2 if load <= _SHORT_UP_TO else 1))
            for load, each in loads]


def seconds(settings: Settings) -> float:
    each = sum(point.duration_s + _WARMUP_S + _OVERHEAD_S for point in points(settings))
    calibration = 2 * (_CALIBRATION_S + _WARMUP_S + _OVERHEAD_S)
    return len(subjects()) * (blocks_of(settings) * each + calibration) + len(points(settings)) * _SIMULATION_S


def blocks_of(settings: Settings) -> int:
    return settings.blocks or (2 if settings.quick else 4)


def check(settings: Settings) -> None:
    """What can be wrong before anything is built."""
    if settings.service is not None and _SERVICE.fullmatch(settings.service) is None:
        raise UserError(f"--service {settings.service!r} is no service time (as exp:1ms or "
                        "bimodal:500us,5500us,0.1; all kinds: ./duel load --help)", 2)
    require_descriptors(CONNECTIONS, f"{CONNECTIONS} connections")


def run(settings: Settings, name: str, force: bool, server: list[str] | None = None,
        loader: list[str] | None = None) -> None:
    """Measures, simulates, prints the table, writes results/`name`."""
    began, load_before, record, cpus = results.utc_now(), os.getloadavg()[0], machine.record(), host.cpus()
    seed = settings.seed if settings.seed is not None else random.SystemRandom().randrange(1, 1 << 31)
    with results.folder(name, force) as folder, Progress("bench theory", seconds(settings)) as progress:
        (folder / "runs").mkdir()
        trial = Trial(settings, folder, seed, cpus, server or [SERVER], loader or [LOADER], progress)
        services = {each.service: mean_of(each.service) for each in points(settings)}
        calibration = trial.calibrate(services)
        dearest = max(each["cost_us"] for each in calibration.values())
        loads = [replace(each, rate=round(each.load * trial.k * 1e6 / (services[each.service] + dearest), 1))
                 for each in points(settings)]
        runs = trial.blocks(loads)
        outcomes = []
        for point in loads:
            with progress.step(f"simulating {point.name}", _SIMULATION_S):
                outcomes += judged(point, services[point.service], runs, calibration, trial.k, seed, progress.tick)
        document = {
            "schema_version": SCHEMA_VERSION, "kind": "theory", "name": name, "began": began,
            "ended": results.utc_now(), "settings": {
                "blocks": blocks_of(settings), "seed": seed, "quick": settings.quick, "workers": trial.k,
                "connections": CONNECTIONS, "threads": trial.threads, "warmup_s": _WARMUP_S,
                "replications": REPLICATIONS, "limits": theory_model.LIMITS, "cpus_shared": cpus.are_shared},
            "calibration": calibration, "points": [asdict(each) for each in loads],
            "order": [run["number"] for run in runs], "runs": runs, "outcomes": outcomes,
            "taints": theory_report.held(trial.plan(loads[0]), runs, calibration, load_before,
                                         bool(record["build"]["dirty"]))}
        theory_report.write(folder, document, record)
    theory_report.show(document)
    print(f"\nwritten to results/{name}/", flush=True)


# --- measuring -------------------------------------------------------------------------------------

class Trial:
    """What all runs have in common. Used from one thread."""

    def __init__(self, settings: Settings, folder: Path, seed: int, cpus: plan.Cpus, server: list[str],
                 loader: list[str], progress: Progress) -> None:
        self.folder, self.seed, self.cpus, self.k = folder, seed, cpus, len(cpus.server)
        self.threads = 1 if cpus.are_shared else min(4, len(cpus.load))
        self._settings, self._commands, self._progress = settings, (server, loader), progress

    def calibrate(self, services: dict[str, float]) -> dict[str, Any]:
        """What a request costs a row beyond its handler, by fixed service times that leave nothing to chance. CPU time
        under load, for a server that never sleeps saves system calls; the delay of one that does, from requests that
        meet nobody: their median, which a busy neighbour does not move."""
        mean = max(services.values())
        found = {}
        for each in subjects():
            busy, idle = (self._once(each.row, Point(name, f"det:{mean:g}us", load, _CALIBRATION_S, round(
                load * self.k * 1e6 / mean, 1)), self.seed, f"calibration of {each.row.name}, {name}", arrivals)
                for name, load, arrivals in (("busy", _BUSY, "poisson"), ("idle", _IDLE, "uniform")))
            for made in (busy, idle):
                if made["cpu_us"] is None or taints.is_unserved(made):
                    said = "; ".join(made["taints"]) or "no figures"
                    raise UserError(f"{each.row.name} could not be calibrated: {said} (see what ails it: ./duel serve)")
            found[each.row.name] = {
                "cost_us": max(0.0, busy["cpu_us"]["total"] - mean), "service_us": mean,
                "idle_cpu_us": idle["cpu_us"]["total"] - mean,
                "overhead_us": idle["latency_intended_us"]["p50"] - mean,
                "delay_us": max(0.0, idle["latency_intended_us"]["p50"] - idle["cpu_us"]["total"]),
                "waiting_us": idle["waiting_us"], "taints": [*busy["taints"], *idle["taints"]]}
        return found

    def blocks(self, loads: list[Point]) -> list[dict[str, Any]]:
        """Each row at each point once a block, in random order; what is compared gets the same requests."""
        draw, runs = random.Random(self.seed), []
        for block in range(1, blocks_of(self._settings) + 1):
            for point in draw.sample(loads, len(loads)):
                for each in draw.sample(subjects(), len(subjects())):
                    made = self._once(each.row, point, self.seed + block, f"block {block}: {each.row.name}, "
                                      f"{point.name}")
                    number = len(runs) + 1
                    file = f"runs/{number:04}.json"
                    results.write_json(self.folder / file, made.pop("load"))
                    runs.append({"number": number, "block": block, "row": each.row.name, "point": point.name, **made,
                                 "file": file})
        return runs

    def _once(self, row: Row, point: Point, seed: int, step: str, arrivals: str = "poisson") -> dict[str, Any]:
        asked = self.plan(point)
        open_loop = plan.Point(point.name, point.load)
        server = replicate.server_argv(asked, row, self._commands[0])
        loader = [arrivals if word == "poisson" else word for word in
                  replicate.load_argv(asked, open_loop, point.rate, seed, self._commands[1])]
        waited: list[tuple[int, int | None]] = []
        with self._progress.step(step, point.duration_s + _WARMUP_S + _OVERHEAD_S), results.scratch() as work:
            made = replicate.replicate(server, loader, asked, open_loop, work, self._progress.tick,
                                       lambda pid: waited.append((time.monotonic_ns(), waiting_ns(pid))))
        requests = counters.each_of(counters.of_workers(made["server_stats"])[:self.k], "requests")
        return {**made, "requests_per_worker": requests, "waiting_us": waiting_us(made["load"], waited)}

    def plan(self, point: Point) -> plan.Plan:
        return plan.Plan(
            scenario=None, seed=self.seed, blocks=blocks_of(self._settings), quick=self._settings.quick,
            duration_s=point.duration_s, warmup_s=_WARMUP_S, calibrations=0, connections=CONNECTIONS,
            threads=self.threads, pipeline=1, keep_alive=True, path="/work", service=point.service, at=None,
            cpus=self.cpus, points=(), rows=(), control_of="", order=())


def waiting_ns(pid: int, root: Path = Path("/proc")) -> int | None:
    """How long the threads of `pid` that are alive have been ready without a CPU; None where the kernel does not say:
    it has no such file, or one of zeros."""
    ran = waited = 0
    for task in (root / str(pid) / "task").glob("*/schedstat"):
        try:
            on_cpu, ready, _ = map(int, task.read_text().split())
        except OSError:
            continue  # a thread that has ended since
        ran, waited = ran + on_cpu, waited + ready
    return waited if ran else None


def waiting_us(load: dict[str, Any] | None, samples: list[tuple[int, int | None]]) -> float | None:
    """The same a request, within the window."""
    if load is None or not load["requests"]["ok"]:
        return None
    known = [(at, waited) for at, waited in samples if waited is not None]
    begin, end = (replicate.cpu_at(known, load["window"][key]) for key in ("begin_ns", "end_ns"))
    return None if begin is None or end is None else (end - begin) / 1e3 / load["requests"]["ok"]
