"""What theory says of the crossover: by costs, by formula, and by duel-sim (bench/sim/DESIGN.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scripts.errors import UserError

SCHEMA_VERSION = 1
LEAST_US = 0.1  # stands for a handler time of 0, which has no logarithm
CORES = (8, 64)  # beside this machine's
_BETWEEN = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_JOBS, _QUICK_JOBS = 20_000, 5_000


@dataclass(frozen=True)
class Curve:
    """Predicted SLO capacity, stealing / sharded, on so many cores. A ratio is value, low, high; None: nobody keeps
    the limit. `crossing`: H* by simulation as value, low, high."""

    cores: int
    handlers: list[float]
    ratios: list[tuple[float, float, float] | None]
    formula_ratios: list[float]
    advantage: float
    formula_says: str
    simulation_says: str
    crossing: tuple[float, float, float] | None

    def at(self, handler_us: float) -> tuple[tuple[float, float, float] | None, float]:
        index = self.handlers.index(max(handler_us, LEAST_US))
        return self.ratios[index], self.formula_ratios[index]


def handlers(measured: list[float]) -> list[float]:
    """Where a curve is computed: at the measured handler times and, for its shape, between them."""
    return sorted({max(each, LEAST_US) for each in measured} | {each for each in _BETWEEN if each <= max(measured)})


def cores(workers: int) -> list[int]:
    return sorted({workers, *CORES})


def flags(costs_us: tuple[float, float], slo: float, on: list[int], at: list[float], has_own_reactors: bool, seed: int,
          is_quick: bool) -> list[str]:
    """Of duel-sim. `costs_us`: of stealing and of sharded."""
    def words(values: list[Any]) -> str:
        return ",".join(map(repr, values))

    return ["crossover", "--stealing-cost", f"{costs_us[0]:.3f}", "--sharded-cost", f"{costs_us[1]:.3f}", "--slo",
            repr(slo), "--cores", words(on), "--handlers", words(at), "--place",
            "reactor" if has_own_reactors else "poller", "--jobs", str(_QUICK_JOBS if is_quick else _JOBS), "--seed",
            str(seed)]


def parse(document: dict[str, Any], at: list[float]) -> list[Curve]:
    """What duel-sim said of the handler times that it was asked for, in this order."""
    try:
        if (document["kind"], document["schema_version"]) != ("crossover", SCHEMA_VERSION):
            raise ValueError(f"{document['kind']} of version {document['schema_version']}")
        if any(len(curve["points"]) != len(at) for curve in document["curves"]):
            raise ValueError(f"not a point for each of {len(at)} handler times")
        return [Curve(curve["cores"], at, [_interval(point["ratio"]) for point in curve["points"]],
                      [point["formula_ratio"] for point in curve["points"]], curve["advantage"],
                      curve["formula_says"], curve["simulation_says"], _interval(curve["simulated"]))
                for curve in document["curves"]]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"duel-sim's JSON is not the one known here: {error!r} (rebuild: ./duel build)") from None


def _interval(said: dict[str, float] | None) -> tuple[float, float, float] | None:
    return None if said is None else (said["value"], said["low"], said["high"])


def break_even_us(stealing_us: float, sharded_us: float, advantage: float) -> float | None:
    """H* by formula: (c_stealing - b c_sharded) / (b - 1). At most 0: stealing always wins; None: it never does."""
    return (stealing_us - advantage * sharded_us) / (advantage - 1) if advantage > 1 else None


def peak_ratio(costs_us: tuple[float, float], handler_us: float, loader_us: float) -> float:
    """Stealing / sharded in a closed loop that keeps all workers busy: by the time of a request alone. `loader_us`:
    what a request costs the loader where it runs on the same CPUs, else 0."""
    return (costs_us[1] + loader_us + handler_us) / (costs_us[0] + loader_us + handler_us)
