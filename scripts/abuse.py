"""What clients that misbehave cost the others: wrk with and without them, in interleaved pairs.

A pair is one run of wrk alone and one beside a process (slow_clients.py) that holds heads which never
end, a byte every few seconds, and idle keep-alive connections; every other pair begins with the
latter. The server has its default limits: heads are cut after ten seconds with a 408, and a run is
long enough that every slow connection is cut and comes back while wrk measures.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scripts import floor, machine, results, tables, wrk
from scripts.errors import UserError
from scripts.measure import measure, require_descriptors
from scripts.processes import running
from scripts.progress import Progress
from scripts.servers import Server

SCHEMA_VERSION = 1
PROGRAMS = ["duel-server"]
LEAST_S = 12  # the heads' ten seconds, and time to come back
LEAST_RATIO = 0.80
MODELS = ("threads/blocking", "stealing/epoll", "stealing/uring", "sharded/uring", "sharded/epoll")
_SLOW, _IDLE, _PAUSE_S = 1000, 1000, 3.0
_WARMUP_S = 1
_OVERHEAD_S = 1.2
_READY_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Abuse:
    """What the slow clients report, and of how many connections they are."""

    slow: int
    idle: int
    seconds: float
    cpu_s: float
    sent: int
    cut: int
    lost: int


@dataclass(frozen=True)
class Outcome:
    """Medians over the pairs of one model; ratios are with / without, within a pair."""

    model: str
    pairs: int
    alone_per_s: float
    beside_per_s: float
    ratio: float
    ratio_min: float
    ratio_max: float
    ratio_limit: float
    cpu_ratio: float
    errors: int
    cut: float
    lost: int
    sent_per_s: float
    abuser_cpu: float


def check(duration_s: int) -> None:
    """What can be wrong before anything is built."""
    if duration_s < LEAST_S:
        raise UserError(f"--duration {duration_s}: no slow connection is cut while wrk measures (use {LEAST_S} or "
                        "more: a head has 10 s)", 2)
    wrk.require()
    require_descriptors(_SLOW + _IDLE + 64, "bench abuse")


def argv_of(model: str) -> list[str]:
    name, driver = model.split("/")
    return ["build/release/servers/duel-server", "--model", name, "--driver", driver]


@contextlib.contextmanager
def slow_clients(server: Server, work: Path, slow: int, idle: int, found: list[Abuse]) -> Iterator[None]:
    """All of them, for the length of the block; what they did goes to `found`."""
    argv = [sys.executable, "-m", "scripts.slow_clients", str(server.port), "--slow", str(slow), "--idle", str(idle),
            "--pause", str(_PAUSE_S)]
    out, err = work / "slow.out", work / "slow.err"
    with out.open("wb") as to_out, err.open("wb") as to_err:
        with running(argv, stdin=subprocess.DEVNULL, stdout=to_out, stderr=to_err) as child:
            deadline = time.monotonic() + _READY_TIMEOUT_S
            while not out.read_text():
                server.check("while the slow clients came")
                if child.poll() is not None or time.monotonic() > deadline:
                    raise UserError(f"the slow clients do not stand: {_last_line(err)} (try again on a quiet machine)")
                time.sleep(0.02)
            yield
            if child.poll() is not None:
                raise UserError(f"the slow clients ended during the run: {_last_line(err)} (try again)")
    said = out.read_text().splitlines()
    if len(said) < 2:
        raise UserError(f"the slow clients did not say what they did: {_last_line(err)} (try again on a quiet machine)")
    found.append(Abuse(slow, idle, **json.loads(said[1])))


def _last_line(path: Path) -> str:
    return (path.read_text(errors="replace").strip().splitlines() or ["they said nothing"])[-1]


def run(pairs: int, duration_s: int, json_file: Path | None, name: str | None, force: bool,
        servers: dict[str, list[str]] | None = None, slow: int = _SLOW, idle: int = _IDLE) -> None:
    """Prints the table; writes JSON to `json_file` and results/`name`."""
    each = servers or {model: argv_of(model) for model in MODELS}
    load = wrk.Load(2, 64, duration_s)
    run_s = duration_s + _WARMUP_S + _OVERHEAD_S
    began, record = results.utc_now(), machine.record()
    runs: list[dict[str, Any]] = []
    with Progress("bench abuse", len(each) * pairs * 2 * run_s) as progress:
        for pair in range(pairs):
            for model, argv in each.items():
                for beside in (False, True) if pair % 2 == 0 else (True, False):
                    where = "beside slow clients" if beside else "alone"
                    step = progress.step(f"pair {pair + 1}, {model}, wrk {where}", run_s)
                    with step, results.scratch() as work:
                        runs.append(_run(argv, load, work, progress, slow if beside else 0, idle if beside else 0)
                                    | {"model": model, "pair": pair, "beside": beside})
    outcomes = [_outcome(model, runs) for model in each]
    document = {
        "schema_version": SCHEMA_VERSION, "kind": "abuse", "began": began, "ended": results.utc_now(),
        "pairs": pairs, "duration_s": duration_s, "outcomes": [asdict(one) for one in outcomes], "runs": runs}
    table = _table(outcomes)
    tables.show(table)
    print("\n" + tables.wrapped(_note(load, outcomes, slow, idle)))
    floor.publish(document, record, table, json_file, name, force)


def _run(argv: list[str], load: wrk.Load, work: Path, progress: Progress, slow: int, idle: int) -> dict[str, Any]:
    found: list[Abuse] = []

    def beside(server: Server) -> contextlib.AbstractContextManager[None]:
        return slow_clients(server, work, slow, idle, found) if slow + idle > 0 else contextlib.nullcontext()

    measured = measure(argv, load, _WARMUP_S, work, progress.tick, beside)
    return {"per_s": measured.report.requests_per_s, "cpu_us": sum(floor.cpu_us(measured)),
            "errors": measured.report.errors, "abuse": asdict(found[0]) if found else None, "raw": measured.as_json()}


def _outcome(model: str, runs: list[dict[str, Any]]) -> Outcome:
    mine = sorted((each for each in runs if each["model"] == model), key=lambda each: each["pair"])
    alone = [each for each in mine if not each["beside"]]
    beside = [each for each in mine if each["beside"]]

    def ratios(key: str) -> list[float]:
        return [b[key] / a[key] for a, b in zip(alone, beside, strict=True)]

    def median(group: list[dict[str, Any]], key: str) -> float:
        return statistics.median(each[key] for each in group)

    abuse = [each["abuse"] for each in beside]
    rates = ratios("per_s")
    return Outcome(
        model, len(rates), median(alone, "per_s"), median(beside, "per_s"), statistics.median(rates), min(rates),
        max(rates), LEAST_RATIO, statistics.median(ratios("cpu_us")), sum(each["errors"] for each in mine),
        median(abuse, "cut"), sum(each["lost"] for each in abuse),
        statistics.median(each["sent"] / each["seconds"] for each in abuse),
        statistics.median(each["cpu_s"] / each["seconds"] for each in abuse))


def _table(outcomes: list[Outcome]) -> tables.Table:
    return tables.Table(
        ["wrk -c64", "req/s\nalone", "req/s\nbeside", "ratio\nmedian", "min..max", "ratio\nlimit", "errors\nof wrk",
         "CPU µs\nratio", "heads\ncut", "others\nlost", "bytes/s\nof heads", "abuser\nCPU"],
        [[one.model, f"{one.alone_per_s:,.0f}", f"{one.beside_per_s:,.0f}", f"{one.ratio:.3f}",
          f"{one.ratio_min:.3f}..{one.ratio_max:.3f}",
          f"{one.ratio_limit:.2f} {'met' if one.ratio >= one.ratio_limit else 'NOT met'}", f"{one.errors:,}",
          f"{one.cpu_ratio:.3f}", f"{one.cut:,.0f}", f"{one.lost:,}", f"{one.sent_per_s:,.0f}",
          f"{one.abuser_cpu:.1%}"]
         for one in outcomes])


def _note(load: wrk.Load, outcomes: list[Outcome], slow: int, idle: int) -> str:
    return (
        f"{outcomes[0].pairs} interleaved pairs of {load.duration_s} s; a ratio is beside / alone within a pair, CPU "
        f"µs is the server's for each answer to wrk. Beside: {slow:,} connections that send a byte of a head every "
        f"{_PAUSE_S:.0f} s, come back when they are cut, and {idle:,} idle ones that got one answer. The limits are "
        "the server's defaults: a head has 10 s, so about one cut a slow connection falls into each run. Server, wrk "
        "and the slow clients (one process of lower priority; its CPU time in CPUs) share all CPUs, so what the slow "
        "clients use themselves is in the ratio. Lost: connections of theirs that ended in any other way than a 408.")
