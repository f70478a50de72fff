"""Scenarios: one experiment each, as data in bench/scenarios/NAME.toml.

A file says what is asked, what varies, what should come out and why, the load, and the rows (server
configurations). Every key is checked; what is wrong is one line naming file and key.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scripts import wrk
from scripts.errors import UserError
from scripts.paths import ROOT, shown

FOLDER = ROOT / "bench" / "scenarios"
MODELS = ("serial", "threads", "stealing", "sharded")
DRIVERS = ("", "blocking", "epoll", "uring")
TOOLS = ("wrk", "idle")
VIEWS = ("table", "matrix")
SWEEPS = ("connections", "pipeline", "value")
VALUE = "{value}"


@dataclass(frozen=True)
class Row:
    """One server configuration. `against`: the row its effect is measured from; empty: none."""

    name: str
    model: str
    driver: str
    workers: int  # 0: the server's default
    switches: dict[str, str]
    changes: str
    against: str

    @property
    def key(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")

    def argv(self, server: list[str]) -> list[str]:
        driver = ["--driver", self.driver] if self.driver else []
        workers = ["--workers", str(self.workers)] if self.workers else []
        flags = [f"--{name}={value}" for name, value in self.switches.items()]
        return [*server, "--model", self.model, *driver, *workers, *flags]


@dataclass(frozen=True)
class Cores:
    """Whether the scenario means something here: it needs `least` CPUs beside the loader's."""

    least: int
    enough: str
    fewer: str

    def verdict(self, effective: int) -> tuple[bool, str]:
        return (True, self.enough) if effective >= self.least else (False, self.fewer)


@dataclass(frozen=True)
class Sweep:
    of: str
    label: str
    values: tuple[int, ...]
    quick: tuple[int, ...]


@dataclass(frozen=True)
class Campaign:
    """What `--blocks` asks where [load] cannot say it: duel-load has one path, or drawn service times."""

    rates: tuple[float, ...] | None = None  # shares of the smallest peak; None: the usual ones
    service: str = ""  # as duel-load's --service; VALUE stands for the swept value
    at: int | None = None  # the sweep's value
    control: str = ""  # the row that is measured twice; empty: the first


@dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    question: str
    varies: str
    expected: str
    reason: str
    source: str
    view: str
    cores: Cores
    tool: str
    load: wrk.Load
    sweep: Sweep | None
    rows: tuple[Row, ...]
    campaign: Campaign = Campaign()

    @property
    def has_effects(self) -> bool:
        return any(row.against for row in self.rows)

    def at(self, value: int | None, duration_s: int) -> wrk.Load:
        """The load at one point of the sweep (None: there is none)."""
        load = replace(self.load, duration_s=duration_s)
        if self.sweep is not None and value is not None:
            if self.sweep.of == "value":
                def put(path: str) -> str:
                    return path.replace(VALUE, str(value))
                load = replace(load, path=put(load.path),
                               mix=tuple(replace(kind, path=put(kind.path)) for kind in load.mix))
            elif self.sweep.of == "connections":
                load = replace(load, connections=value)
            else:
                load = replace(load, pipeline=value)
        return replace(load, threads=min(load.threads, load.connections))


class _Table:
    """One table of a file; every key is taken once, and what is left over is unknown."""

    def __init__(self, file: str, values: dict[str, Any], where: str = "") -> None:
        self._file, self._left, self._where = file, dict(values), where

    def fail(self, key: str, message: str) -> UserError:
        return UserError(f"{self._file}: {self._where}{key}: {message}", 2)

    def has(self, key: str) -> bool:
        return key in self._left

    def take(self, key: str, kind: type, default: Any = None, least: float | None = None) -> Any:
        """The value of `key`; without a default it must be there."""
        if key not in self._left:
            if default is None:
                raise self.fail(key, "is missing (every scenario states it; see the other files)")
            return default
        value = self._left.pop(key)
        fits = isinstance(value, (int, float) if kind is float else kind) and (
            kind is bool or not isinstance(value, bool))
        if not fits:
            names = {str: "text", int: "a whole number", float: "a number", bool: "true or false", list: "a list",
                     dict: "a table"}
            raise self.fail(key, f"{value!r} is not {names[kind]}")
        if kind is str and not value.strip():
            raise self.fail(key, "is empty")
        if least is not None and value < least:
            raise self.fail(key, f"{value} is below {least:g}")
        return value

    def choice(self, key: str, allowed: tuple[str, ...], default: str | None = None) -> str:
        value = self.take(key, str, default)
        if value not in allowed:
            raise self.fail(key, f"{value!r} is not one of {', '.join(filter(None, allowed))}")
        return value

    def tables(self, key: str, default: list[Any] | None = None) -> list[_Table]:
        given = self.take(key, list, default)
        for index, each in enumerate(given, 1):
            if not isinstance(each, dict):
                raise self.fail(f"{key}[{index}]", f"{each!r} is not a table")
        return [_Table(self._file, each, f"{self._where}{key}[{i}].") for i, each in enumerate(given, 1)]

    def table(self, key: str) -> _Table:
        return _Table(self._file, self.take(key, dict), f"{self._where}{key}.")

    def done(self) -> None:
        for key in self._left:
            raise self.fail(key, "is not a known key (remove it, or correct its name)")


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load(name: str) -> Scenario:
    path = FOLDER / f"{name}.toml"
    if name not in names():
        raise UserError(f"no benchmark {name!r} (list them: ./duel bench --list)", 2)
    return read(path)


def read(path: Path) -> Scenario:
    """The scenario in a file. Raises UserError when it is not one."""
    file = shown(path)
    try:
        top = _Table(file, tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: is not TOML: {error}", 2) from None
    words = {key: top.take(key, str) for key in ("title", "question", "varies", "expected", "reason", "source")}
    view = top.choice("view", VIEWS, "table")
    against = top.choice("against", ("", "first", "previous"), "")
    tool, request = _load(top.table("load"))
    sweep = _sweep(top.table("sweep"), request) if top.has("sweep") else None
    rows = _rows(top, against)
    campaign = _campaign(top.table("campaign"), sweep, rows) if top.has("campaign") else Campaign()
    if sweep is None and VALUE in "".join([request.path, *(kind.path for kind in request.mix)]):
        raise top.fail("load.path", f"has {VALUE} but there is no [sweep] of = \"value\"")
    cores = _cores(top.table("cores"))
    if view == "matrix" and (len(rows) != 4 or sweep is not None or len({(row.model, row.driver) for row in rows}) != 4
                             or len({row.model for row in rows}) != 2 or len({row.driver for row in rows}) != 2):
        raise top.fail("view", "a matrix has no sweep and four rows: two models with the same two drivers")
    if tool == "idle" and sweep is not None and sweep.of != "connections":
        raise top.fail("sweep.of", "an idle load has connections only")
    top.done()
    return Scenario(path.stem, **words, view=view, cores=cores, tool=tool, load=request, sweep=sweep, rows=rows,
                    campaign=campaign)


def _load(table: _Table) -> tuple[str, wrk.Load]:
    tool = table.choice("tool", TOOLS, "wrk")
    kinds = []
    for each in table.tables("mix", []):
        kinds.append(wrk.Kind(each.take("share", float, least=0), each.take("path", str),
                              each.choice("method", ("GET", "PUT", "POST"), "GET"),
                              each.take("body_bytes", int, 0, least=0)))
        each.done()
    if kinds and abs(sum(kind.share for kind in kinds) - 1) > 1e-6:
        raise table.fail("mix", f"the shares add up to {sum(kind.share for kind in kinds):g}, not 1")
    made = wrk.Load(
        threads=table.take("threads", int, 2, least=1), connections=table.take("connections", int, least=1),
        duration_s=table.take("duration_s", int, 10, least=1), path=table.take("path", str, "/"),
        keep_alive=table.take("keep_alive", bool, True), pipeline=table.take("pipeline", int, 1, least=1),
        think_ms=table.take("think_ms", float, 0.0, least=0), mix=tuple(kinds),
        keys=table.take("keys", int, 1, least=1))
    for path in (made.path, *(kind.path for kind in kinds)):
        if not path.startswith("/") or " " in path:
            raise table.fail("path", f"{path!r} is not a path (it begins with / and holds no space)")
    table.done()
    return tool, made


def _sweep(table: _Table, request: wrk.Load) -> Sweep:
    of = table.choice("of", SWEEPS)
    label = table.take("label", str, of)

    def points(key: str, default: list[int] | None = None) -> tuple[int, ...]:
        values = table.take(key, list, default)
        if not values or not all(isinstance(each, int) and not isinstance(each, bool) and each > 0 for each in values):
            raise table.fail(key, f"{values!r} is not a list of whole numbers above 0")
        return tuple(values)

    made = Sweep(of, label, points("values"), points("quick"))
    if not set(made.quick) <= set(made.values):
        raise table.fail("quick", "has a value that is not in values")
    if of == "value" and VALUE not in "".join([request.path, *(kind.path for kind in request.mix)]):
        raise table.fail("of", f"is \"value\", but no path in [load] has {VALUE}")
    table.done()
    return made


def _campaign(table: _Table, sweep: Sweep | None, rows: tuple[Row, ...]) -> Campaign:
    rates = None
    if table.has("rates"):
        rates = table.take("rates", list)
        if not all(isinstance(each, (int, float)) and not isinstance(each, bool) and 0 < each <= 200
                   for each in rates):
            raise table.fail("rates", f"{rates!r} is not a list of percents of the peak (above 0, at most 200)")
        rates = tuple(each / 100 for each in rates)
    at = table.take("at", int, 0, least=1) or None
    if at is not None and (sweep is None or at not in sweep.values):
        raise table.fail("at", f"{at} is no value of the sweep")
    made = Campaign(rates, table.take("service", str) if table.has("service") else "", at,
                    table.take("control", str) if table.has("control") else "")
    if made.control and made.control not in {row.name for row in rows}:
        raise table.fail("control", f"{made.control!r} names no row")
    table.done()
    return made


def _cores(table: _Table) -> Cores:
    least = table.take("least", int, least=1)
    made = Cores(least, table.take("enough", str), table.take("fewer", str) if least > 1 else "")
    table.done()
    return made


def _rows(top: _Table, against: str) -> tuple[Row, ...]:
    rows: list[Row] = []
    tables = top.tables("rows")
    if not tables:
        raise top.fail("rows", "is empty")
    for index, table in enumerate(tables):
        usual = {"first": rows[0].name, "previous": rows[-1].name}.get(against, "") if rows else ""
        row = Row(table.take("name", str), table.choice("model", MODELS), table.choice("driver", DRIVERS, ""),
                  table.take("workers", int, 0, least=1), _switches(table),
                  table.take("changes", str, None if index else ""), table.take("against", str, usual))
        table.done()
        if row.key in {each.key for each in rows}:
            raise table.fail("name", f"{row.name!r} names two rows")
        if row.against and row.against not in {each.name for each in rows}:
            raise table.fail("against", f"{row.against!r} is no row above this one")
        rows.append(row)
    return tuple(rows)


def _switches(table: _Table) -> dict[str, str]:
    given = table.take("switches", dict, {})
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, (str, int)) or str(value) == "":
            raise table.fail(f"switches.{name}", f"{value!r} is not text or a whole number (on and off are text)")
    return {name: str(value) for name, value in given.items()}


def chosen(scenario: Scenario, models: list[str] | None) -> Scenario:
    """The scenario with only the rows of these models, each `MODEL` or `MODEL/DRIVER`."""
    if models is None:
        return scenario
    known = {row.model for row in scenario.rows} | {f"{row.model}/{row.driver}" for row in scenario.rows if row.driver}
    for each in models:
        if each not in known:
            raise UserError(f"--models: {scenario.name} has no rows of {each!r} (it has {', '.join(sorted(known))})", 2)
    rows = [row for row in scenario.rows if row.model in models or f"{row.model}/{row.driver}" in models]
    kept = {row.name for row in rows}
    rows = [replace(row, against=row.against if row.against in kept else "") for row in rows]
    view = scenario.view if len(rows) == len(scenario.rows) else "table"
    control = scenario.campaign.control if scenario.campaign.control in kept else ""
    return replace(scenario, rows=tuple(rows), view=view, campaign=replace(scenario.campaign, control=control))
