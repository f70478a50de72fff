"""What duel-sim says that the runs of ./duel bench theory should have shown, and the outcomes."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from scripts import machine, theory_model
from scripts.campaign import taints
from scripts.errors import UserError
from scripts.scenarios import Row
from scripts.simulator import simulate
from scripts.theory_model import Facts, Predicted

CONNECTIONS, REPLICATIONS = 256, 40


class Theory(NamedTuple):
    """`flags` of duel-sim; `per_shard`: a queue of one core for each shard, at its measured rate."""

    name: str
    flags: tuple[str, ...]
    per_shard: bool = False


class Subject(NamedTuple):
    """A row, and what it is held against: first what it does, then what it stands for."""

    row: Row
    theories: tuple[str, ...]


@dataclass(frozen=True)
class Point:
    """A load. `load`: of the row that spends most on a request."""

    name: str
    service: str
    load: float
    duration_s: float
    rate: float = 0.0


def theories(k: int) -> dict[str, Theory]:
    apart, pooled = (f"{k} x M/G/1", f"M/G/{k}")
    many = ("--cores", str(k), "--connections", str(CONNECTIONS))
    return {"apart": Theory(apart, ("--policy", "partitioned", "--cores", "1"), True),
            "even": Theory(apart, ("--policy", "partitioned", "--cores", str(k))),
            "pooled": Theory(pooled, ("--policy", "central", "--cores", str(k))),
            "poller": Theory("one poller", ("--policy", "stealing", "--place", "poller", *many)),
            "pollers": Theory("a poller each", ("--policy", "stealing", "--place", "reactor", *many))}


def _row(name: str, model: str, driver: str, **switches: str) -> Row:
    return Row(name, model, driver, 0, switches, "", "")


SUBJECTS = (Subject(_row("sharded/uring", "sharded", "uring"), ("apart",)),
            Subject(_row("sharded/epoll", "sharded", "epoll"), ("apart",)),
            Subject(_row("stealing/epoll", "stealing", "epoll"), ("poller", "pooled")),
            Subject(_row("stealing/epoll per-worker", "stealing", "epoll", reactor="per-worker"),
                    ("pollers", "pooled")))


def subjects() -> list[Subject]:
    """Those that can run here."""
    has_uring = machine.io_uring() == "works"
    return [each for each in SUBJECTS if each.row.driver != "uring" or has_uring]


def mean_of(service: str) -> float:
    """Microseconds, of what duel-load draws."""
    found = simulate(["--policy", "central", "--cores", "1", "--load", "0.1", "--jobs", "100", "--replications", "2",
                      "--service", service])
    mean = found["rows"][0]["given"]["service"]["mean"]
    if not 1 <= mean <= 1e6:
        raise UserError(f"--service {service}: its mean is {mean:g} µs (between 1us and 1s is of use here)", 2)
    return mean


def shares(run: dict[str, Any]) -> list[float]:
    """Of each worker, of the requests."""
    each = run["requests_per_worker"] or []
    return [count / sum(each) for count in each] if sum(each) else []


def predicted(theory: Theory, point: Point, costs_us: list[float], runs: list[dict[str, Any]], k: int, seed: int,
              tick: Callable[[], None]) -> list[Predicted]:
    """For each run, at its own cost a request; of queues side by side, at its own shares."""
    rates = [[share * point.rate for share in shares(run)] if theory.per_shard else [point.rate] for run in runs]
    if not all(rates):
        raise UserError("the server does not count requests by worker (rebuild: ./duel build)")
    rates = [[max(round(rate, 2), 0.01) for rate in of] for of in rates]
    jobs = max(100, round(point.rate * point.duration_s / (k if theory.per_shard else 1)))
    found: dict[tuple[float, float], Predicted] = {}
    for cost in dict.fromkeys(costs_us):
        distinct = sorted({rate for of, own in zip(rates, costs_us, strict=True) if own == cost for rate in of})
        document = simulate([
            *theory.flags, "--rate", ",".join(f"{rate:.2f}" for rate in distinct), "--service", point.service,
            "--request-cost", f"{cost:.3f}", "--jobs", str(jobs), "--replications", str(REPLICATIONS), "--seed",
            str(seed)], tick)
        found |= {(cost, rate): each for rate, each in zip(distinct, theory_model.read(document), strict=True)}
    return [theory_model.mixture([(rate, found[cost, rate]) for rate in of])
            for of, cost in zip(rates, costs_us, strict=True)]


def judged(point: Point, mean_us: float, runs: list[dict[str, Any]], calibration: dict[str, Any], k: int, seed: int,
           tick: Callable[[], None]) -> list[dict[str, Any]]:
    """The outcomes of all rows at a point."""
    found = []
    for each in subjects():
        own = [run for run in runs if run["row"] == each.row.name and run["point"] == point.name]
        found += _judged(each, point, mean_us, own, calibration[each.row.name], k, seed, tick)
    return found


def _judged(subject: Subject, point: Point, mean_us: float, own: list[dict[str, Any]], paid: dict[str, Any], k: int,
            seed: int, tick: Callable[[], None]) -> list[dict[str, Any]]:
    sound = [run for run in own if not taints.is_spoiled(run)]
    known = theories(k)

    def against(key: str, costs_us: list[float], delay_us: float) -> dict[str, dict[str, Any]]:
        """By measure."""
        said = predicted(known[key], point, costs_us, sound, k, seed, tick)
        return {measure: theory_model.compared(
            [run["latency_intended_us"][measure] for run in sound],
            [each.later(delay_us).of(measure) for each in said], measure) for measure in theory_model.MEASURES}

    is_sharded = subject.row.model == "sharded"
    facts = facts_of(own, sound, point, mean_us, paid, k, is_sharded)
    compared = {key: against(key, [paid["cost_us"]] * len(sound), paid["delay_us"])
                for key in (*subject.theories, *(() if is_sharded else ("even",)))}
    given: dict[str, dict[str, dict[str, Any]]] = {}
    for key in subject.theories:
        if facts.service_us is not None and any(one["verdict"] == "outside" for one in compared[key].values()):
            # Part of an idle server's delay is its threads' waiting to get a CPU: not to be counted twice.
            given[key] = against(key, [max(0.0, sum(_took_us(run, k)) - mean_us) for run in sound],
                                 max(0.0, paid["delay_us"] - (paid["waiting_us"] or 0.0)))

    def explained(key: str, measure: str) -> float | None:
        return given[key][measure]["ratio"] if key in given else None

    found = []
    for key in subject.theories:
        for measure, one in compared[key].items():
            others = {known[other].name: (compared[other][measure]["ratio"], explained(other, measure))
                      for other in subject.theories if other != key}
            apart = None if is_sharded else compared["even"][measure]["ratio"]
            found.append({
                "row": subject.row.name, "model": subject.row.model, "theory": known[key].name, "point": point.name,
                "rate": point.rate, "load": point.rate * (mean_us + paid["cost_us"]) / 1e6 / k, **one,
                "explained": explained(key, measure),
                "reasons": theory_model.reasons(one, replace(facts, explained=explained(key, measure)), others, apart)})
    return found


def _took_us(run: dict[str, Any], k: int) -> tuple[float, float, float]:
    """How long the server's threads were not asleep, a request: CPU time, waiting for a CPU, and what the hypervisor
    took of its CPUs meanwhile, which the kernel counts as neither."""
    return run["cpu_us"]["total"], run["waiting_us"], run["machine"]["steal_share"] * k * 1e6 / run["requests_per_s"]


def facts_of(own: list[dict[str, Any]], sound: list[dict[str, Any]], point: Point, mean_us: float,
             paid: dict[str, Any], k: int, is_apart: bool) -> Facts:
    words: dict[str, int] = {}
    for run in own:
        for word in {taint.partition(":")[0] for taint in run["taints"]} if run not in sound else ():
            words[word] = words.get(word, 0) + 1
    spoiled = tuple(f"{word} in {count} of {len(own)} runs" for word, count in sorted(words.items()))
    expected = mean_us + paid["cost_us"]
    if not sound:
        return Facts(spoiled, expected_us=expected)
    service, waiting, stolen = None, 0.0, 0.0
    if all(run["cpu_us"] is not None and run["waiting_us"] is not None for run in sound):
        took = [_took_us(run, k) for run in sound]
        service = statistics.median(map(sum, took))
        _, waiting, stolen = (statistics.median(part) for part in zip(*took, strict=True))
    rates = [share * point.rate * expected / 1e6 for run in sound for share in shares(run)] if is_apart else []
    machines = [run["machine"] for run in sound]
    return Facts(spoiled, service, waiting, stolen, expected, None, max(rates, default=0.0),
                 statistics.median(each["steal_share"] for each in machines),
                 statistics.median(each["others_share"] for each in machines))
