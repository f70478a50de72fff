"""./duel bench agreement: does duel-load say the same of a server as wrk and h2load do?

A closed loop of one thread, the server alone on one CPU and the loader on another. Each request costs the server some
CPU time, so that it is what limits the rate: with `GET /` a loader is as dear as the server, and the ratio would say
which loader is cheaper. Each run has a server start of its own. A pair is one run of every loader, back to back; every
other pair goes the other way round, so that drift cancels. Ratios are taken within a pair, and their interval holds
whatever the noise (summary.py).
"""

from __future__ import annotations

import json
import re
import resource
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from scripts import floor, machine, results, tables, wrk
from scripts.audit import per_request_us
from scripts.errors import UserError
from scripts.processes import running
from scripts.progress import Progress
from scripts.servers import Server, serving
from scripts.summary import fewest, median_interval

SCHEMA_VERSION = 1
PROGRAMS = ["duel-server", "duel-load"]
OURS, PATH, LIMIT, _WARMUP_S, _OVERHEAD_S, _PATIENCE_S = "duel-load", "work?us=20", 0.05, 1, 0.6, 30.0
_LOADER, _SERVER = "build/release/bench/duel-load", ["build/release/servers/duel-server", "--model", "stealing"]
_LEFT_OUT = "h2load is not installed and was left out (apt-get install nghttp2-client)"


class Loader(NamedTuple):
    """`argv`: of seconds, URL and a file for JSON. `read`: requests, their rate and errors, from it or what is said."""

    argv: Callable[[int, str, Path], list[str]]
    read: Callable[[str], tuple[int, float, int]]


def read_duel_load(text: str) -> tuple[int, float, int]:
    made = json.loads(text)
    return made["requests"]["ok"], made["rate"]["achieved"], sum(made["errors"].values())


def read_wrk(text: str) -> tuple[int, float, int]:
    return (report := wrk.parse(text)).requests, report.requests_per_s, report.errors


def read_h2load(text: str) -> tuple[int, float, int]:
    rate = re.search(r"^finished in .*?, ([\d.]+) req/s", text, re.MULTILINE)
    counts = re.search(r"^requests: .* (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", text, re.MULTILINE)
    if rate is None or counts is None:
        raise UserError("h2load's output is not the one known here (see what it prints: h2load --h1 -D 1 URL)")
    succeeded, failed, _, _ = map(int, counts.groups())  # those with errors and timeouts have failed, too
    return succeeded, float(rate[1]), failed


def loaders() -> dict[str, Loader]:
    """Those that are installed; ours is the first."""
    found = {
        OURS: Loader(lambda s, url, file: [_LOADER, "--threads", "1", "--connections", "64", "--warmup", "0",
                                           "--duration", str(s), "--json", str(file), url], read_duel_load),
        "wrk": Loader(lambda s, url, _: ["wrk", "-t1", "-c64", f"-d{s}s", "--latency", url], read_wrk)}
    if shutil.which("h2load"):
        found["h2load"] = Loader(lambda s, url, _: ["h2load", "--h1", "-t1", "-c64", "-D", str(s), url], read_h2load)
    return found


def check(duration_s: int) -> None:
    """What can be wrong before anything is built."""
    wrk.require()
    floor.settings(duration_s)


def run(pairs: int, duration_s: int, json_file: Path | None, name: str | None, force: bool,
        server: list[str] | None = None, chosen: dict[str, Loader] | None = None) -> None:
    """Prints the table; writes JSON to `json_file` and results/`name`."""
    setting, each = floor.settings(duration_s)[0], chosen or loaders()
    argv = ["taskset", "-c", str(setting.server_cpu), *(server or _SERVER), "--workers", "1", "--listen", "127.0.0.1:0"]
    run_s = duration_s + _WARMUP_S + _OVERHEAD_S
    began, record, runs = results.utc_now(), machine.record(), []
    with Progress("bench agreement", pairs * len(each) * run_s) as progress:
        for pair in range(pairs):
            for who in list(each) if pair % 2 == 0 else reversed(each):
                step = progress.step(f"pair {pair + 1}, {who}", run_s)
                with step, results.scratch() as work, serving(argv, work) as child:
                    for seconds in (_WARMUP_S, duration_s):
                        found = _load(each[who], seconds, child, setting.load.cpu, work, progress.tick)
                runs.append({"pair": pair, "loader": who, **found})
    outcomes = [outcome(who, runs) for who in each if who != OURS]
    notes = [f"{pairs} interleaved pairs of {duration_s} s, 64 connections on /{PATH}, server alone on CPU "
             f"{setting.server_cpu}, one loader thread on CPU {setting.load.cpu}. Ratio: duel-load / the other, within "
             f"a pair. Met: the interval of the median ratio lies within {LIMIT:.0%}; ~: not shown (it takes {fewest(0.95)} pairs, and "
             "runs without errors). CPU µs: the loader's own, a request.", *([] if "h2load" in each else [_LEFT_OUT])]
    tables.show(table(outcomes))
    print("\n" + "\n".join(map(tables.wrapped, notes)))
    floor.publish({"schema_version": SCHEMA_VERSION, "kind": "agreement", "began": began, "ended": results.utc_now(),
                   "pairs": pairs, "duration_s": duration_s, "server_argv": argv, "limit": LIMIT, "notes": notes,
                   "outcomes": outcomes, "runs": runs}, record, table(outcomes), json_file, name, force)


def _load(loader: Loader, seconds: int, server: Server, cpu: int | None, work: Path,
          tick: Callable[[], None]) -> dict[str, Any]:
    """One run of a loader: what it says, and what CPU time the kernel says it used."""
    file, out = work / "load.json", work / "load.out"
    argv = ["taskset", "-c", str(cpu), *loader.argv(seconds, f"{server.url.rstrip('/')}/{PATH}", file)]
    by_hand = f"(run it by hand: {' '.join(argv)})"
    deadline, before = time.monotonic() + seconds + _PATIENCE_S, resource.getrusage(resource.RUSAGE_CHILDREN)
    with out.open("wb") as to, running(argv, stdin=subprocess.DEVNULL, stdout=to, stderr=to) as child:
        while child.poll() is None:
            server.check()
            if time.monotonic() > deadline:
                raise UserError(f"{argv[3]} did not end {_PATIENCE_S:.0f} s after its time {by_hand}")
            tick()
            time.sleep(0.05)
    after, text = resource.getrusage(resource.RUSAGE_CHILDREN), out.read_text(errors="replace")
    if child.returncode != 0:
        raise UserError(f"{argv[3]} failed: {(text.strip() or 'it said nothing').splitlines()[-1]} {by_hand}")
    requests, per_s, errors = loader.read(file.read_text() if file.exists() else text)
    if requests == 0 or per_s <= 0:
        raise UserError(f"{argv[3]} got no answer {by_hand}")
    cpu_us = per_request_us(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, requests)
    return {"argv": argv, "requests": requests, "per_s": per_s, "errors": errors, "cpu_us": cpu_us}


def outcome(against: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    ours, theirs = ([run for run in runs if run["loader"] == who] for who in (OURS, against))  # both by pair
    ratios = [a["per_s"] / b["per_s"] for a, b in zip(ours, theirs, strict=True)]
    bounds, errors = median_interval(ratios), sum(run["errors"] for run in ours + theirs)
    verdict = "~"
    if bounds is not None and errors == 0:
        verdict = ("met" if bounds.low >= 1 - LIMIT and bounds.high <= 1 + LIMIT else
                   "NOT met" if bounds.high < 1 - LIMIT or bounds.low > 1 + LIMIT else "~")
    return {"against": against, "ratio": statistics.median(ratios), "min": min(ratios), "max": max(ratios),
            "interval": bounds and [bounds.low, bounds.high], "coverage": bounds and bounds.coverage,
            **{f"{key}{whose}": statistics.median(run[key] for run in each) for key in ("per_s", "cpu_us")
               for whose, each in (("", ours), ("_against", theirs))}, "errors": errors, "verdict": verdict}


def table(outcomes: list[dict[str, Any]]) -> tables.Table:
    return tables.Table(["duel-load against", "req/s", "other\nreq/s", "ratio\nmedian", "min..max", "interval", "limit",
                         "CPU\nµs", "other\nµs", "errors"], [
        [one["against"], f"{one['per_s']:,.0f}", f"{one['per_s_against']:,.0f}", f"{one['ratio']:.3f}",
         f"{one['min']:.3f}..{one['max']:.3f}", "{:.3f}..{:.3f}".format(*one["interval"]) if one["interval"] else "—",
         f"{LIMIT:.0%} {one['verdict']}", f"{one['cpu_us']:.2f}", f"{one['cpu_us_against']:.2f}", f"{one['errors']:,}"]
        for one in outcomes])
