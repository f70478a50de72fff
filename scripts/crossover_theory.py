"""What theory says of the crossover: by costs, by formula, and by duel-sim (bench/sim/DESIGN.md)."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.errors import UserError
from scripts.processes import running

SIMULATOR = "build/release/bench/sim/duel-sim"
SCHEMA_VERSION = 1
LEAST_US = 0.1  # stands for a handler time of 0, which has no logarithm
CORES = (8, 64)  # beside this machine's
_BETWEEN = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_JOBS, _QUICK_JOBS = 20_000, 5_000
_PATIENCE_S = 900.0


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


def argv(program: list[str], costs_us: tuple[float, float], slo: float, on: list[int], at: list[float],
         has_own_reactors: bool, seed: int, is_quick: bool, json_file: Path) -> list[str]:
    """`costs_us`: of stealing and of sharded."""
    def words(values: list[Any]) -> str:
        return ",".join(f"{each:g}" for each in values)

    return [*program, "crossover", "--stealing-cost", f"{costs_us[0]:.3f}", "--sharded-cost", f"{costs_us[1]:.3f}",
            "--slo", f"{slo:g}", "--cores", words(on), "--handlers", words(at), "--place",
            "reactor" if has_own_reactors else "poller", "--jobs", str(_QUICK_JOBS if is_quick else _JOBS),
            "--seed", str(seed), "--json", str(json_file)]


def simulate(command: list[str], json_file: Path, work: Path, tick: Callable[[], None]) -> list[Curve]:
    deadline = time.monotonic() + _PATIENCE_S
    by_hand = f"(run it by hand: {' '.join(command)})"
    with (work / "sim.out").open("wb") as out, running(command, stdin=subprocess.DEVNULL, stdout=out,
                                                        stderr=out) as child:
        while child.poll() is None:
            if time.monotonic() > deadline:
                raise UserError(f"duel-sim did not end within {_PATIENCE_S:.0f} s {by_hand}")
            tick()
            time.sleep(0.05)
    if child.returncode != 0:
        said = (work / "sim.out").read_text(errors="replace").strip().splitlines() or ["it said nothing"]
        raise UserError(f"duel-sim failed: {said[-1]} {by_hand}")
    try:
        document = json.loads(json_file.read_text())
    except (OSError, ValueError):
        raise UserError("duel-sim exited 0 but left no readable JSON (rebuild: ./duel build)") from None
    return parse(document)


def parse(document: dict[str, Any]) -> list[Curve]:
    try:
        if (document["kind"], document["schema_version"]) != ("crossover", SCHEMA_VERSION):
            raise ValueError(f"{document['kind']} of version {document['schema_version']}")
        return [Curve(curve["cores"], [point["handler"] for point in curve["points"]],
                      [_interval(point["ratio"]) for point in curve["points"]],
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
