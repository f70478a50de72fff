"""Predictions and reasons: mixtures of queues, planted ratios, made-up facts."""

from __future__ import annotations

import math

import pytest
from theory_fixture import exponential, simulated

from scripts import theory_model
from scripts.theory_model import Estimate, Facts, Predicted


# --- mixtures --------------------------------------------------------------------------------------

@pytest.mark.parametrize(("shares", "means"), [((0.5, 0.5), (100, 100)), ((0.4, 0.6), (100, 150)),
                                               ((0.1, 0.9), (100, 5000)), ((3, 1), (1, 2))])
def test_a_mixture_of_exponential_queues_is_exact(shares, means) -> None:
    weights = [share / sum(shares) for share in shares]
    made = theory_model.mixture([(share, exponential(mean)) for share, mean in zip(shares, means, strict=True)])
    assert made.mean.value == pytest.approx(sum(w * m for w, m in zip(weights, means, strict=True)))
    for estimate, share in zip(made.quantiles, (0.5, 0.1, 0.01, 0.001), strict=True):
        left = sum(w * math.exp(-estimate.value / m) for w, m in zip(weights, means, strict=True))
        assert left == pytest.approx(share, rel=1e-6)


def test_two_halves_stray_less_than_either() -> None:
    part = exponential(100, 0.1)
    both = theory_model.mixture([(0.5, part), (0.5, part), (0.0, exponential(9999))])
    assert both.of("p99").value == pytest.approx(part.of("p99").value)
    assert both.mean.spread == pytest.approx(10 / math.sqrt(2))
    assert both.mean.half == pytest.approx(1 / math.sqrt(2))


def test_steps_in_a_distribution_are_no_trouble() -> None:
    flat = Predicted(Estimate(100, 0, 0), tuple(Estimate(each, 0, 0) for each in (100, 100, 150, 150)))
    assert theory_model.mixture([(1, flat)]).of("p99").value == pytest.approx(150, rel=1e-3)
    assert theory_model.beyond(flat, 0) == 1
    assert theory_model.beyond(flat, 1e6) < 1e-9


def test_what_duel_sim_says_is_read() -> None:
    one, = theory_model.read(simulated(["--cores", "1", "--rate", "500", "--request-cost", "0"], 0.3))
    assert one.mean.value == pytest.approx(2000)
    assert one.mean.spread == pytest.approx(600)
    assert one.later(50).of("p99").value == pytest.approx(50 - math.log(0.01) * 2000)


@pytest.mark.parametrize(("degrees", "value"), [(5, 2.571), (9, 2.262), (39, 2.023), (1000, 1.962)])
def test_students_t(degrees: int, value: float) -> None:
    assert theory_model.student(degrees) == pytest.approx(value, rel=0.01)


# --- verdicts --------------------------------------------------------------------------------------

@pytest.mark.parametrize(("measure", "ratios", "verdict", "interval"), [
    ("mean", [1.1, 1.14, 1.3], "within", [1.1, 1.3]), ("mean", [1.16, 1.1, 1.3], "outside", [1.1, 1.3]),
    ("mean", [0.84], "outside", [0.84, 0.84]), ("p99", [0.8, 1.2], "within", [0.8, 1.2]),
    ("p99", [1.3, 1.1, 1.2, 1.21, 1.22, 1.23, 1.24, 1.25, 1.9], "within", [1.2, 1.3])])
def test_the_median_ratio_is_judged(measure, ratios, verdict, interval) -> None:
    found = theory_model.compared([100 * each for each in ratios], [Estimate(100, 1, 10)] * len(ratios), measure)
    assert (found["verdict"], found["n"]) == (verdict, len(ratios))
    assert found["interval"] == pytest.approx(interval)
    assert (found["coverage"] is None) == (len(ratios) < 6)
    assert found["chance"] == pytest.approx(0.1 / math.sqrt(len(ratios)) * (1.2533 if len(ratios) > 2 else 1), rel=1e-3)


def outside(ratio: float = 1.5, measure: str = "mean", chance: float = 0.01) -> dict:
    return {"measure": measure, "ratio": ratio, "verdict": "outside", "chance": chance, "n": 4}


@pytest.mark.parametrize(("found", "facts", "others", "apart", "said"), [
    (outside(), Facts(service_us=1020, waiting_us=0), {}, None,
     ["unexplained: not by lateness, chance, shares, what requests took, or the host"]),
    (outside(1.2, chance=0.03), Facts(), {}, None, ["chance: 4 runs of this length stray by ±6%"]),
    (outside(0.8, chance=0.03), Facts(), {}, None, ["chance: 4 runs of this length stray by ±6%"]),
    (outside(), Facts(busiest=0.97), {}, None, ["shares: a shard had a load of 0.97"]),
    (outside(), Facts(service_us=1150, waiting_us=40, expected_us=1020, explained=1.03), {}, None,
     ["time: a request took 1,150 µs, 40 of them waiting for a CPU, 1,020 predicted; with that x1.03"]),
    (outside(), Facts(service_us=1150, waiting_us=40, stolen_us=21.4, expected_us=1020, explained=1.03), {}, None,
     ["time: a request took 1,150 µs, 40 of them waiting for a CPU and 21 the hypervisor's, 1,020 predicted; with that "
      "x1.03"]),
    (outside(), Facts(service_us=1050, waiting_us=0, expected_us=1020, explained=1.2), {}, None,
     ["time: a request took 1,050 µs, 0 of them waiting for a CPU, 1,020 predicted; with that still x1.20"]),
    (outside(), Facts(service_us=990, waiting_us=0, expected_us=1020, explained=1.6, steal=0.05, other_work=0.2), {}, None,
     ["host: the hypervisor took 5.0% of the CPU time", "host: other processes took 20% of the CPUs"]),
    (outside(), Facts(), {"one poller": (1.02, None), "far": (3.0, 2.0)}, None,
     ["policy: one poller says x1.02 of the same runs"]),
    (outside(), Facts(), {"one poller": (1.2, 1.05)}, None,
     ["policy: one poller, given what requests took, says x1.05 of the same runs"]),
    (outside(), Facts(), {}, 0.8,
     ["policy: the row lies between this and queues that share nothing (x0.80 of those)"]),
    (outside(), Facts(spoiled=("schedule slipped in 1 of 4 runs",), busiest=1.1), {}, None,
     ["left out: schedule slipped in 1 of 4 runs", "shares: a shard had a load of 1.10"])])
def test_a_reason_is_a_figure(found, facts, others, apart, said) -> None:
    assert theory_model.reasons(found, facts, others, apart) == said


def test_what_is_within_needs_no_reason() -> None:
    assert theory_model.reasons({**outside(1.1), "verdict": "within"}, Facts(busiest=1.2, steal=0.5), {}) == []
