"""What a campaign will do, fixed before its first run: rows, points, load, and the order of every block.

Pure: the same scenario, settings and CPUs give the same plan. A run is known by its number in the plan, so that
a campaign that was cut off can be taken up again and counts nothing twice.
"""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, replace
from typing import Any

from scripts import scenarios
from scripts.errors import UserError
from scripts.scenarios import Row, Scenario

CONTROL = "A/A control"
CLOSED = "closed"
RATES, QUICK_RATES = (0.3, 0.5, 0.7, 0.85), (0.5,)
WARMUP_S, QUICK_WARMUP_S, QUICK_S = 2.0, 0.5, 2
CALIBRATIONS, QUICK_CALIBRATIONS = 3, 1  # closed-loop runs a row, before block 1


@dataclass(frozen=True)
class Settings:
    """As asked for. None: the scenario's, or the usual."""

    blocks: int
    seed: int | None = None
    rates: tuple[float, ...] | None = None
    quick: bool = False
    duration_s: int | None = None
    models: list[str] | None = None
    at: int | None = None


@dataclass(frozen=True)
class Cpus:
    """Who may run where. The same for both: they share."""

    server: tuple[int, ...]
    load: tuple[int, ...]

    @property
    def are_shared(self) -> bool:
        return bool(set(self.server) & set(self.load))


@dataclass(frozen=True)
class Point:
    """A load. of_peak: the share of the smallest peak that arrives; None: closed loop."""

    name: str
    of_peak: float | None = None

    @property
    def kind(self) -> str:
        return "closed" if self.of_peak is None else "open"


@dataclass(frozen=True)
class Slot:
    """One run: row and point by name, number and block from 1."""

    number: int
    block: int
    row: str
    point: str


@dataclass(frozen=True)
class Plan:
    scenario: Scenario
    seed: int
    blocks: int
    quick: bool
    duration_s: int
    warmup_s: float
    calibrations: int
    connections: int
    threads: int
    pipeline: int
    keep_alive: bool
    path: str
    service: str  # empty: none
    at: int | None
    cpus: Cpus
    points: tuple[Point, ...]
    rows: tuple[Row, ...]  # the control is the last
    control_of: str
    order: tuple[tuple[Slot, ...], ...]

    def row(self, name: str) -> Row:
        return next(row for row in self.rows if row.name == name)

    def point(self, name: str) -> Point:
        return next(point for point in self.points if point.name == name)

    @property
    def slots(self) -> list[Slot]:
        return [slot for block in self.order for slot in block]

    def as_json(self) -> dict[str, Any]:
        """Everything that must be the same when the campaign is taken up again."""
        made = asdict(replace(self, order=()))
        made["order"] = [[[slot.number, slot.row, slot.point] for slot in block] for block in self.order]
        return made


def make(scenario: Scenario, settings: Settings, cpus: Cpus) -> Plan:
    """UserError when duel-load cannot ask what the scenario asks."""
    _check(scenario, settings)
    at = settings.at or scenario.campaign.at
    seconds = settings.duration_s or (QUICK_S if settings.quick else scenario.load.duration_s)
    load = scenario.at(at, seconds)
    service = scenario.campaign.service.replace(scenarios.VALUE, str(at))
    seed = settings.seed if settings.seed is not None else random.SystemRandom().randrange(1, 1 << 31)
    rates = settings.rates
    if rates is None:
        rates = QUICK_RATES if settings.quick else scenario.campaign.rates or RATES
    points = (Point(CLOSED), *(Point(f"{100 * share:g} %", share) for share in rates))
    doubled = next((row for row in scenario.rows if row.name == scenario.campaign.control), scenario.rows[0])
    rows = (*scenario.rows, replace(doubled, name=CONTROL, against="", changes=f"nothing: the same as {doubled.name}"))
    threads = load.threads if cpus.are_shared else len(cpus.load)
    return Plan(
        scenario, seed, settings.blocks, settings.quick, seconds, QUICK_WARMUP_S if settings.quick else WARMUP_S,
        QUICK_CALIBRATIONS if settings.quick else CALIBRATIONS, load.connections, min(threads, load.connections),
        load.pipeline, load.keep_alive, "/work" if service else load.path, service, at, cpus, points, rows,
        doubled.name, _order(seed, settings.blocks, points, rows))


def _check(scenario: Scenario, settings: Settings) -> None:
    def refuse(what: str, fix: str) -> UserError:
        return UserError(f"--blocks: {scenario.name} {what} ({fix})", 2)

    without = "run it without --blocks"
    if scenario.tool != "wrk":
        raise refuse("watches idle connections, which need no load", without)
    if scenario.load.mix and not scenario.campaign.service:
        raise refuse("mixes requests, and duel-load asks for one path", without)
    if scenario.sweep is None and settings.at is not None:
        raise UserError(f"--at: {scenario.name} has no sweep (leave it out)", 2)
    if scenario.sweep is not None:
        values = ", ".join(map(str, scenario.sweep.values))
        if settings.at is None and scenario.campaign.at is None:
            raise refuse(f"sweeps {scenario.sweep.label}", f"choose one with --at: {values}")
        if settings.at is not None and settings.at not in scenario.sweep.values:
            raise UserError(f"--at {settings.at}: {scenario.name} has no such {scenario.sweep.label} "
                            f"(it has {values})", 2)
    if any(row.name == CONTROL for row in scenario.rows):
        raise refuse(f"has a row {CONTROL!r}, which is the control's name", "give it another")


def _order(seed: int, blocks: int, points: tuple[Point, ...], rows: tuple[Row, ...]) -> tuple[tuple[Slot, ...], ...]:
    """Every row at every point once a block. The points come in random order, and the rows of a point one after
    the other in random order: what is compared is near in time, and a coin says which comes first."""
    draw = random.Random(seed)
    order, number = [], 0
    for block in range(1, blocks + 1):
        slots = []
        for point in draw.sample(points, len(points)):
            for row in draw.sample(rows, len(rows)):
                number += 1
                slots.append(Slot(number, block, row.name, point.name))
        order.append(tuple(slots))
    return tuple(order)


def pairs(scenario: Scenario) -> list[tuple[str, str]]:
    """(row, against): what the tables compare. A matrix has its four edges; without `against`, all with the first."""
    rows = scenario.rows
    if scenario.view == "matrix":
        return [(b.name, a.name) for index, a in enumerate(rows) for b in rows[index + 1:]
                if (a.model == b.model) != (a.driver == b.driver)]
    if scenario.has_effects:
        return [(row.name, row.against) for row in rows if row.against]
    return [(row.name, rows[0].name) for row in rows[1:]]
