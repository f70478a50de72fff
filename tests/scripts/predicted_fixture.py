"""Results that hold rows against predictions, as ./duel bench theory and crossover write them, from made-up runs.

The runs are report_fixture's; what is judged of them goes through the code that judges measured ones.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import report_fixture

from scripts import crossover_summary as summary
from scripts import crossover_theory, theory_model
from scripts.campaign.plan import CLOSED
from scripts.theory_model import Estimate

SERVICE_US = 1000.0
THEORIES = {"sharded/uring": ("sharded", ("2 x M/G/1",)), "sharded/epoll": ("sharded", ("2 x M/G/1",)),
            "stealing/epoll": ("stealing", ("one poller", "M/G/2"))}
FACTORS = {"sharded/uring": 1.02, "sharded/epoll": 1.6, "stealing/epoll": 1.1}  # measured / the row's first theory
REASON = "time: a request took 1,200 µs, 1,020 predicted; with that x1.05"
LATE = "left out: schedule slipped in 2 of 2 runs"
PAIRS = (("stealing/epoll", "sharded/epoll"), ("stealing/epoll", "sharded/uring"))
HANDLERS = (0.0, 50.0, 1000.0)


def theory(folder: Path, loads: tuple[float, ...] = (0.5, 0.8), lost: tuple[str, ...] = ("sharded/epoll",),
           ) -> dict[str, Any]:
    """Of the rows of `lost` the first load could not be measured. Writes folder/result.json and folder/runs/."""
    draw = np.random.default_rng(3)
    (folder / "runs").mkdir(parents=True)
    points = [{"name": f"exp {load:g}", "service": "exp:1ms", "load": load, "duration_s": 12.0,
               "rate": load * 2e6 / SERVICE_US} for load in loads]
    runs, outcomes = [], []
    for point in points:
        for row, (model, theories) in THEORIES.items():
            for block in (1, 2):
                made, raw = report_fixture.run(draw, len(runs) + 1, block, row, {**point, "kind": "open"}, 2000.0, 300)
                (folder / made["file"]).write_text(json.dumps(raw))
                runs.append({**made, "requests_per_worker": [500, 500], "waiting_us": 1.0})
            is_lost = row in lost and point == points[0]
            for theory, more in zip(theories, (1.0, 0.7), strict=False):
                mean = more * SERVICE_US / (1 - point["load"])
                for measure in theory_model.MEASURES:
                    said = mean if measure == "mean" else -math.log(0.01) * mean
                    seen = [] if is_lost else [FACTORS[row] / more * said * each for each in (0.99, 1.01)]
                    one = theory_model.compared(seen, [Estimate(said, 1, 10)] * len(seen), measure)
                    outcomes.append({
                        "row": row, "model": model, "theory": theory, "point": point["name"], "rate": point["rate"],
                        "load": point["load"], **one, "explained": None,
                        "reasons": {"within": [], "outside": [REASON], "not measured": [LATE]}[one["verdict"]]})
    document = {
        "schema_version": 1, "kind": "theory", "name": folder.name, "began": "2026-01-01T00:00:00Z",
        "ended": "2026-01-01T00:10:00Z", "settings": {
            "blocks": 2, "seed": 7, "quick": True, "workers": 2, "connections": 64, "threads": 1, "warmup_s": 1.0,
            "replications": 40, "limits": theory_model.LIMITS, "cpus_shared": True},
        "calibration": {row: {"cost_us": 20.0, "service_us": SERVICE_US, "idle_cpu_us": 40.0, "overhead_us": 120.0,
                              "delay_us": 80.0, "waiting_us": 16.0, "taints": []} for row in THEORIES},
        "points": points, "order": [run["number"] for run in runs], "runs": runs, "outcomes": outcomes,
        "taints": ["shared: server and loader share 2 CPUs"]}
    (folder / "machine.json").write_text(json.dumps(report_fixture.machine()))
    (folder / "result.json").write_text(json.dumps(document))
    return document


def crossover(folder: Path) -> dict[str, Any]:
    """Sharded/uring wins at 50 µs, stealing at 1000; at 0 there are peaks only. Writes folder/result.json and runs/."""
    draw = np.random.default_rng(4)
    (folder / "runs").mkdir(parents=True)
    rows = list(dict.fromkeys(row for pair in PAIRS for row in pair))
    costs = {row: {"median": cost, "low": cost, "high": cost, "n": 2, "is_interval": False}
             for row, cost in (("stealing/epoll", 8.0), ("sharded/epoll", 8.0), ("sharded/uring", 5.0))}
    runs, searches = [], []
    for block in (0, 1, 2):
        for handler in HANDLERS if block else HANDLERS[:1]:
            for row in rows:
                carried = 0.5e6 / (handler + costs[row]["median"]) * (1.4 if row[:8] == "stealing" and handler > 500
                                                                      else 1.0)
                for rate in (None, carried) if block and handler else (None,):
                    point = ({"name": CLOSED, "kind": "closed"} if rate is None else
                             {"name": "within the limit", "kind": "open", "rate": rate})
                    made, raw = report_fixture.run(draw, len(runs) + 1, block, row, point, 2000.0, 300)
                    made |= {"requests_per_s": 2 * carried, "handler_us": handler, "rate": rate, "taints": []}
                    (folder / made["file"]).write_text(json.dumps(made | {"load": raw}))
                    runs.append(made)
                if block and handler:
                    searches.append({"block": block, "row": row, "handler_us": handler, "limit_us": 10 * handler,
                                     "rate": carried, "edge": None, "why": None, "runs": [len(runs)]})
    found = summary.gathered(runs, searches)
    at = crossover_theory.handlers(list(HANDLERS))
    curves = {pair: [crossover_theory.Curve(cores, at, [None, *((1 + each / 1e4, 1.0, 1.2) for each in at[1:])],
                                            [1.1] * len(at), 1.4, "1.8", "7.3 (6..9.2)", (7.3, 6.0, 9.2))
                     for cores in (2, 8, 64)] for pair in PAIRS}
    why = {(row, 0.0): ["cannot be measured here: the loader is in the way"] for row in rows}
    document = {
        "schema_version": 1, "kind": "crossover", "name": folder.name, "began": "2026-01-01T00:00:00Z",
        "ended": "2026-01-01T00:10:00Z", "settings": {
            "blocks": 2, "seed": 7, "quick": False, "duration_s": 2, "warmup_s": 0.5, "connections": 64, "threads": 1,
            "arrivals": "poisson", "service": "exp", "path": "/work", "handlers_us": list(HANDLERS), "slo": 10.0,
            "shares": [0.5, 1.0], "workers": 2, "load_cpus": [0, 1], "server_cpus": [0, 1], "cpus_shared": True},
        "rows": [{"name": row, "model": row.partition("/")[0], "driver": row.partition("/")[2], "switches": {},
                  "changes": "", "argv": ["duel-server"]} for row in rows],
        "costs_us": costs, "loader_us": 4.0, "lines": [line for pair in PAIRS for line in summary.lines(
            pair, HANDLERS, found.peaks, found.capacities, found.edges, why,
            (costs[pair[0]]["median"], costs[pair[1]]["median"]), 4.0, curves[pair][0])],
        "searches": searches, "predictions": [{"stealing": pair[0], "sharded": pair[1], "new": 1, **vars(curve)}
                                              for pair in PAIRS for curve in curves[pair]],
        "notes": [summary.reading_note(10.0, len(HANDLERS)), "not here: H = 0 µs: the loader is in the way."],
        "machine": report_fixture.machine(), "runs": runs, "taints": ["blocks: a 95 % interval takes 6, here are 2"]}
    (folder / "result.json").write_text(json.dumps(document))
    return json.loads(json.dumps(document))
