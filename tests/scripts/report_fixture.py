"""Builds a campaign's result folder as ./duel bench --blocks writes it, from queues instead of servers.

The latencies are drawn from M/M/k and k x M/M/1, with a network's share added, so that the figures look
as a campaign's do. All randomness comes from one seed: the same call writes the same bytes.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from scripts.comparison import minimum_detectable_effect, paired_comparison, with_holm
from scripts.summary import median_interval

SHARES = (0.05, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95)
SUB_BITS = 7
# name: model, driver, CPU microseconds a request, one queue for all
ROWS = {"stealing/epoll": ("stealing", "epoll", 8.4, True), "stealing/uring": ("stealing", "uring", 7.6, True),
        "sharded/epoll": ("sharded", "epoll", 7.9, False), "sharded/uring": ("sharded", "uring", 5.6, False)}
CONTROL, CONTROL_OF = "A/A control", "stealing/epoll"
MEASURES = ("requests_per_s", "cpu_us_total", "p50_us", "p99_us", "p99_9_us", "switches_per_1000")
PERCENTILES = {"p50": 50, "p75": 75, "p90": 90, "p99": 99, "p99_9": 99.9}
WORKERS = 2


def bucket(value: int) -> int:
    """The lowest value of the bucket that holds `value`, as duel-load has them."""
    shift = max(0, value.bit_length() - SUB_BITS - 1)
    return value >> shift << shift


def clock(samples_us: np.ndarray) -> tuple[dict[str, float], dict[str, Any]]:
    """One clock as result.json has it (microseconds) and as duel-load has it (ns, with buckets)."""
    found = {"count": len(samples_us), "mean": float(samples_us.mean()), "max": float(samples_us.max()),
             **{name: float(np.percentile(samples_us, p)) for name, p in PERCENTILES.items()}}
    lowest, counts = np.unique([bucket(int(each * 1e3)) for each in samples_us], return_counts=True)
    full = {key: value if key == "count" else round(value * 1e3) for key, value in found.items()}
    full["histogram"] = {"sub_bits": SUB_BITS,
                         "counts": [[int(a), int(n)] for a, n in zip(lowest, counts, strict=True)]}
    return found, full


def waits(draw: np.random.Generator, service: float, rho: float, shared: bool, n: int) -> np.ndarray:
    """Response times of n requests, in the unit of `service`."""
    k = WORKERS if shared else 1
    rho = min(rho, 0.985)
    busy = rho if k == 1 else 2 * rho * rho / (1 + rho)
    waiting = draw.exponential(service / (k * (1 - rho)), n) * (draw.random(n) < busy)
    return 35 + draw.exponential(service, n) + waiting + 400 * (draw.random(n) < 0.002)


def run(draw: np.random.Generator, number: int, block: int, row: str, point: dict[str, Any], peak: float,
        samples: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """One run of result.json, and what runs/NNNN.json holds."""
    model, driver, cpu, shared = ROWS[CONTROL_OF if row == CONTROL else row]
    noise = math.exp(0.02 * draw.standard_normal() + 0.03 * math.sin(block))
    own, cpu = WORKERS / cpu * 1e6 * noise, cpu / noise
    closed = point["kind"] == "closed"
    rho = 0.98 if closed else point["rate"] / own
    sent = waits(draw, cpu, rho, shared, samples) * (12 if closed else 1)
    intended = sent if closed else sent + draw.exponential(3 + 400 * max(0.0, rho - 0.85), samples)
    rate = own if closed else min(own, point["rate"])
    clocks = {name: clock(each) for name, each in (("intended", intended), ("sent", sent))}
    spread = draw.integers(0, 8)
    taints = ["steal: the hypervisor took 2.1 % of the CPU time"] if number % 29 == 0 else []
    server = ["build/release/servers/duel-server", "--model", model, "--driver", driver, "--listen", "127.0.0.1:0"]
    arrivals = [] if closed else ["--rate", f"{point['rate']:g}", "--arrivals", "poisson"]
    load = ["build/release/bench/load/duel-load", "--connections", "64", "--threads", "2", *arrivals]
    halves = [{"requests_per_s": rate * math.exp(0.01 * draw.standard_normal()),
               **{f"latency_{name}_us": {**told, "p99": told["p99"] * math.exp(0.04 * draw.standard_normal())}
                  for name, (told, _) in clocks.items()}} for _ in range(2)]
    made = {"number": number, "block": block, "row": row, "point": point["name"],
            "began": "2026-01-01T00:00:00Z", "ended": "2026-01-01T00:00:12Z", "server_argv": server,
            "load_argv": load, "ready_line": f"listening on 127.0.0.1:4{number:04} model={model} driver={driver} "
            f"workers={WORKERS} state=shared", "requests_per_s": rate,
            "offered_per_s": None if closed else point["rate"], "latency_intended_us": clocks["intended"][0],
            "latency_sent_us": clocks["sent"][0], "errors": {},
            "cpu_us": {"user": cpu * 0.2, "system": cpu * 0.8, "total": cpu},
            "switches_per_1000": 120 * noise, "peak_mib": 9.5, "n_eff": 0.99 if closed else None, "jain": 0.998,
            "zero_served": 0, "fallen_silent": 0, "connections_per_worker": [32 - int(spread), 32 + int(spread)],
            "loader_cpu_share": 0.61, "lateness_us": {"p50": 2.0, "p99": 31.0, "max": 240.0},
            "first_half": halves[0], "second_half": halves[1],
            "server_stats": {}, "taints": taints, "file": f"runs/{number:04}.json"}
    return made, {"schema_version": 1, "tool": "duel-load", "argv": load,
                  "latency_ns": {name: full for name, (_, full) in clocks.items()}}


def campaign(folder: Path, blocks: int = 10, shares: tuple[float, ...] = SHARES, samples: int = 3000,
             rows: tuple[str, ...] = tuple(ROWS), seed: int = 7) -> dict[str, Any]:
    """Writes folder/result.json and folder/runs/; what result.json holds."""
    draw = np.random.default_rng(seed)
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    names = [*rows, CONTROL]
    peak = min(WORKERS / ROWS[row][2] * 1e6 for row in rows)
    points = [{"name": "closed", "kind": "closed"},
              *({"name": f"{100 * share:g} %", "kind": "open", "rate": round(share * peak), "of_peak": share}
                for share in shares)]
    order, runs = [], []
    for block in range(1, blocks + 1):
        places = [(row, point) for point in points for row in names]
        numbers = []
        for at in draw.permutation(len(places)):
            row, point = places[at]
            made, load = run(draw, len(runs) + 1, block, row, point, peak, samples)
            (folder / made["file"]).write_text(json.dumps({"load": load}))
            runs.append(made)
            numbers.append(made["number"])
        order.append(numbers)
    document = {
        "schema_version": 1, "kind": "campaign", "name": folder.name, "began": "2026-01-01T00:00:00Z",
        "ended": "2026-01-01T02:00:00Z", "complete": True,
        "scenario": {"name": "matrix", "title": "The 2x2", "question": "Which part of the difference is the "
                     "scheduler's, which the driver's?", "varies": "scheduler and driver",
                     "expected": "the driver explains more than the scheduler", "reason": "mostly kernel time",
                     "source": "a benchmark that changes both at once"},
        "settings": {"blocks": blocks, "seed": seed, "duration_s": 10, "warmup_s": 2, "connections": 64, "threads": 2,
                     "arrivals": "poisson", "service": None, "path": "/", "load_cpus": [0, 1], "server_cpus": [0, 1]},
        "rows": [{"name": row, "model": ROWS.get(row, ROWS[CONTROL_OF])[0],
                  "driver": ROWS.get(row, ROWS[CONTROL_OF])[1], "switches": {}, "argv": ["duel-server"],
                  "control_of": CONTROL_OF if row == CONTROL else None} for row in names],
        "points": points, "order": order, "runs": runs,
        "summaries": [], "comparisons": [], "control": None,
        "taints": ["server and duel-load share 2 CPUs"], "machine": machine()}
    judge(document)
    (folder / "result.json").write_text(json.dumps(document))
    return document


def value(made: dict[str, Any], measure: str) -> float | None:
    if measure.startswith("p"):
        which = "latency_intended_us" if made["offered_per_s"] else "latency_sent_us"
        return made[which][measure.removesuffix("_us")]
    if measure == "requests_per_s" and made["offered_per_s"]:
        return None
    return made["cpu_us"]["total"] if measure == "cpu_us_total" else made[measure]


def judge(document: dict[str, Any]) -> None:
    """Fills in summaries, comparisons and control, as a campaign's end does."""
    sample: dict[tuple[str, str, str], list[float]] = {}
    for made in document["runs"]:
        for measure in MEASURES:
            if (found := value(made, measure)) is not None:
                sample.setdefault((made["row"], made["point"], measure), []).append(found)
    for (row, point, measure), values in sample.items():
        bounds = median_interval(values)
        document["summaries"].append({
            "row": row, "point": point, "measure": measure, "n": len(values), "median": float(np.median(values)),
            "low": bounds and bounds.low, "high": bounds and bounds.high, "coverage": bounds and bounds.coverage})

    def compared(pairs: list[tuple[str, str]]) -> list[dict[str, Any]]:
        places = [(row, base, point, measure) for row, base in pairs for at, point, measure in sample if at == row]
        tested = []
        for one in MEASURES:  # a table a measure
            tested += with_holm([paired_comparison(sample[base, point, measure], sample[row, point, measure],
                                                   threshold=0.03) for row, base, point, measure in places
                                 if measure == one])
        places.sort(key=lambda place: MEASURES.index(place[3]))
        return [{"row": row, "against": base, "point": point, "measure": measure, "n": each.n, "ratio": each.ratio,
                 "low": each.interval and each.interval.low, "high": each.interval and each.interval.high, "p": each.p,
                 "p_holm": each.p_adjusted, "different": each.different,
                 "verdict": ("higher" if each.ratio > 1 else "lower") if each.different else "~"}
                for (row, base, point, measure), each in zip(places, tested, strict=True)]

    def least(point: str, measure: str) -> float | None:
        pairs = zip(sample[CONTROL_OF, point, measure], sample[CONTROL, point, measure], strict=True)
        return minimum_detectable_effect([math.log(b / a) for a, b in pairs])

    names = [row["name"] for row in document["rows"]]
    results = [{**each, "minimum_detectable": least(each["point"], each["measure"])}
               for each in compared([(CONTROL, CONTROL_OF)])]
    there = {(each["point"], each["measure"]): each["minimum_detectable"] or 0.0 for each in results}
    claims = compared([(row, names[0]) for row in names[1:] if row != CONTROL])
    document["comparisons"] = [{**each, "doubt": "machine too noisy" if each["different"] and max(
        each["ratio"], 1 / each["ratio"]) < 1 + there[each["point"], each["measure"]] else None} for each in claims]
    worst: dict[str, float | None] = {}
    for each in results:
        known = each["minimum_detectable"], worst.get(each["measure"], 0.0)
        worst[each["measure"]] = None if None in known else max(known)
    document["control"] = {"row": CONTROL, "of": CONTROL_OF, "steady": True, "results": results,
                           "minimum_detectable": worst, "verdict": "~ two identical rows differ by little"}


def machine() -> dict[str, Any]:
    return json.loads((Path(__file__).resolve().parents[2] / "results/reference-2cpu/machine.json").read_text())
