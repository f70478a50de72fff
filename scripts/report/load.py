"""Reads a result folder and checks it: a Result, or one line saying what is wrong with the file.

Text from the file loses its control characters here; escaping for HTML is page.py's.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.errors import UserError
from scripts.paths import shown
from scripts.report.model import MEASURES, Compared, Control, Point, Result, Row, Run, Summary

SCHEMA_VERSION = 1
_GIVE = "give a folder of results/ that ./duel bench or ./duel demo wrote"
_MOST_BYTES = 1 << 29


class Wrong(Exception):
    """What is wrong with a document, and where in it."""


def read(folder: Path) -> Result:
    """The result of `folder`, with those of wrk that lie beside it."""
    from scripts.report import earlier, predicted
    path = folder / "result.json" if folder.is_dir() else folder
    document = _document(path)
    machine = inner(document, "machine") or _machine(path.with_name("machine.json"))
    try:
        readers = {"campaign": _campaign, "scenario": earlier.scenario, "table": earlier.table,
                   "theory": predicted.theory, "crossover": predicted.crossover}
        kind = document.get("kind")
        if not isinstance(kind, str) or kind not in readers:
            raise Wrong(f"is of kind {kind!r}, and reports are made of {', '.join(readers)}")
        result = readers[kind](document, path.parent)
        if not result.runs:
            raise Wrong("has no run")
    except Wrong as wrong:
        raise UserError(f"{shown(path)} {wrong} ({_GIVE})") from None
    result.machine = machine
    if kind == "campaign":
        _join_wrk(result, path)
    return result


def _document(path: Path) -> dict[str, Any]:
    document = read_json(path)
    if not isinstance(document, dict) or "schema_version" not in document:
        raise UserError(f"{shown(path)} is not a result ({_GIVE})")
    if document["schema_version"] != SCHEMA_VERSION:
        raise UserError(f"{shown(path)} has schema_version {document['schema_version']!r}, known is {SCHEMA_VERSION} "
                        "(report it with the checkout that wrote it)")
    return document


def read_json(path: Path) -> Any:
    """Any JSON file, its text made printable; UserError when there is none."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UserError(f"{shown(path)} is larger than {_MOST_BYTES >> 20} MiB ({_GIVE})")
        return printable(json.loads(path.read_bytes()))
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{shown(path)} does not exist ({_GIVE})") from None
    except IsADirectoryError:
        raise UserError(f"{shown(path)} is a folder ({_GIVE})") from None
    except (ValueError, RecursionError):
        raise UserError(f"{shown(path)} is not JSON ({_GIVE})") from None


def printable(value: Any) -> Any:
    """The same value; in its strings, a space for white space and a question mark for what cannot be shown."""
    if isinstance(value, str):
        return value if value.isprintable() else "".join(
            each if each.isprintable() else " " if each.isspace() else "?" for each in value)
    if isinstance(value, list):
        return [printable(each) for each in value]
    if isinstance(value, dict):
        return {printable(key): printable(each) for key, each in value.items()}
    return value


def _machine(path: Path) -> dict[str, Any] | None:
    record = read_json(path) if path.is_file() else None
    return record if isinstance(record, dict) else None


# --- fields, each checked where it is read ---------------------------------------------------------

NUMBER, ABOVE_0, NOT_BELOW_0 = "a number", "a number above 0", "a number from 0 on"
_BOUNDS = {NUMBER: lambda _: True, ABOVE_0: lambda value: 1e-300 < value < 1e300,  # as far as a log axis goes
           NOT_BELOW_0: lambda value: value >= 0}


@dataclass(frozen=True)
class OrNull:
    shape: Any


def check(value: Any, shape: Any, where: str) -> None:
    """Wrong unless `value` is of `shape`: a type, NUMBER, ABOVE_0 or NOT_BELOW_0, OrNull; an object with these keys,
    where the key `...` stands for every key; a list of one shape, or one of as many as a tuple has."""
    if isinstance(shape, OrNull):
        if value is not None:
            check(value, shape.shape, where)
        return
    if isinstance(shape, dict):
        fits, wanted = isinstance(value, dict), "an object"
    elif isinstance(shape, list):
        fits, wanted = isinstance(value, list), "a list"
    elif isinstance(shape, tuple):
        fits, wanted = isinstance(value, list) and len(value) == len(shape), f"a list of {len(shape)}"
    elif shape in _BOUNDS:
        found = number(value)
        fits, wanted = found is not None and _BOUNDS[shape](found), shape
    else:
        fits = isinstance(value, shape) and not (shape is int and isinstance(value, bool))
        wanted = f"of type {shape.__name__}"
    if not fits:
        raise Wrong(f"has {json.dumps(value)[:40]} as {where}, which should be {wanted}")
    if isinstance(shape, dict):
        for key, inside in shape.items():
            for each in value if key is ... else (key,):
                if each not in value:
                    raise Wrong(f"lacks {where}.{each}")
                check(value[each], inside, f"{where}.{each}")
    elif isinstance(shape, (list, tuple)):
        for index, each in enumerate(value):
            check(each, shape[0], f"{where}[{index}]")


def take(holder: Any, key: str, shape: Any, where: str) -> Any:
    """A field that must be there."""
    check(holder, {key: shape}, where)
    return holder[key]


def objects(holder: Any, key: str, where: str) -> list[dict[str, Any]]:
    """A list of objects that must be there."""
    return take(holder, key, [{}], where)


def number(value: Any) -> float | None:
    """A finite number, or None for whatever else stands there."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def numbers(holder: Any) -> dict[str, float]:
    """The fields of an object that hold numbers."""
    found = {key: number(value) for key, value in holder.items()} if isinstance(holder, dict) else {}
    return {key: value for key, value in found.items() if value is not None}


def whole(value: Any) -> list[int]:
    """The numbers of a list, without fractions."""
    found = map(number, value) if isinstance(value, list) else ()
    return [int(each) for each in found if each is not None]


def words(value: Any) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []


def inner(holder: Any, key: str) -> dict[str, Any]:
    """An object that may be missing."""
    found = holder.get(key) if isinstance(holder, dict) else None
    return found if isinstance(found, dict) else {}


# --- campaigns -------------------------------------------------------------------------------------

def _campaign(document: dict[str, Any], folder: Path) -> Result:
    rows = [row(each, f"rows[{index}]") for index, each in enumerate(objects(document, "rows", "result"))]
    points = [_point(each, f"points[{index}]") for index, each in enumerate(objects(document, "points", "result"))]
    known = {"row": {row.name for row in rows}, "point": {point.name: point for point in points}}
    for kind, names, count in (("row", known["row"], len(rows)), ("point", known["point"], len(points))):
        if len(names) != count:
            raise Wrong(f"names a {kind} twice")
    runs = []
    for index, each in enumerate(objects(document, "runs", "result")):
        where = f"runs[{index}]"
        for kind in ("row", "point"):
            if take(each, kind, str, where) not in known[kind]:
                raise Wrong(f"has a {where}.{kind} that is not one of its {kind}s: {each[kind]}")
        runs.append(run(each, known["point"][each["point"]], folder, where))
    settings = inner(document, "settings")
    result = Result(
        folder, str(document.get("name") or folder.name), "campaign", str(document.get("began", "")),
        str(document.get("ended") or ""), inner(document, "scenario"), settings, rows, points, runs,
        _summaries(document), _comparisons(document, "comparisons"), _control(document),
        words(document.get("taints")), None, _again(document, settings))
    _note_what_is_missing(result, document)
    return result


def _note_what_is_missing(result: Result, document: dict[str, Any]) -> None:
    planned = sum(len(block) for block in document.get("order") or [] if isinstance(block, list))
    if document.get("complete") is not True:
        result.notes.append(f"incomplete: {len(result.runs):,} of {planned:,} runs were made; run the same command "
                            "again to resume it" if planned else "incomplete: it was stopped before its end")
    if result.control is None:
        result.notes.append("no A/A control row: the noise of the machine was not measured, so a small difference "
                            "means little")


def _again(document: dict[str, Any], settings: dict[str, Any]) -> str:
    flags = [f"--{flag} {settings[key]}" for flag, key in (("blocks", "blocks"), ("seed", "seed"),
                                                          ("duration", "duration_s"), ("at", "at"))
             if settings.get(key) is not None]
    shares = [number(each.get("of_peak")) for each in document["points"]]
    rates = ",".join(f"{100 * share:g}" for share in shares if share is not None)
    name = inner(document, "scenario").get("name") or document.get("name")
    return " ".join([f"./duel bench {name}", *flags, *([f"--rates {rates}"] if rates else []),
                     *(["--quick"] if settings.get("quick") is True else [])])


def row(each: dict[str, Any], where: str) -> Row:
    """A row as a file or a plan has it."""
    switches = each.get("switches")
    if isinstance(switches, dict):
        switches = " ".join(f"--{key} {value}" for key, value in switches.items())
    elif isinstance(switches, list):
        switches = " ".join(map(str, switches))
    control = each.get("control_of")
    return Row(take(each, "name", str, where), str(each.get("model") or ""), str(each.get("driver") or ""),
               str(switches or ""), str(each.get("changes") or ""), None if control is None else str(control))


def _point(each: dict[str, Any], where: str) -> Point:
    name = take(each, "name", str, where)
    is_open = each.get("kind", "closed" if name == "closed" else "open") == "open"
    rate = number(each.get("rate"))
    if is_open and (rate or 0) <= 0 and each.get("rate") is not None:
        raise Wrong(f"has {json.dumps(each['rate'])[:40]} as {where}.rate, which should be above 0")
    return Point(name, is_open, rate if is_open else None, number(each.get("of_peak")))


def run(each: dict[str, Any], point: Point, folder: Path, where: str) -> Run:
    """What duel-load said of one server start."""
    clocks = {clock: numbers(each.get(f"latency_{clock}_us")) for clock in ("intended", "sent")}
    cpu = inner(each, "cpu_us")
    figures = {f"cpu_us_{part}": value for part, value in numbers(cpu).items()}
    names = ("requests_per_s", "offered_per_s", "switches_per_1000", "peak_mib", "n_eff", "jain", "zero_served",
             "fallen_silent", "loader_cpu_share")
    figures |= {name: value for name in names if (value := number(each.get(name))) is not None}
    figures |= {f"lateness_{name}_us": value for name, value in numbers(each.get("lateness_us")).items()}
    told = {} if _is_spoiled(each) else clocks["intended" if point.is_open else "sent"]
    figures |= {f"{name}_us": told[name] for name in ("p50", "p99", "p99_9") if name in told}
    halves = tuple(_half(each.get(f"{half}_half"), point) for half in ("first", "second"))
    return Run(
        take(each, "number", int, where), take(each, "block", int, where), each["row"], point.name, figures,
        {clock: found for clock, found in clocks.items() if found},
        {kind: int(count) for kind, count in numbers(each.get("errors")).items() if count > 0},
        (halves[0], halves[1]) if all(halves) else None,
        whole(each.get("connections_per_worker")),
        words(each.get("taints")), words(each.get("server_argv")), words(each.get("load_argv")),
        str(each.get("ready_line") or ""), _inside(folder, each.get("file"), where))


def _is_spoiled(each: dict[str, Any]) -> bool:
    """Wrong answers are fast, starved ones missing, and a loader may time itself: such percentiles mean nothing."""
    from scripts.campaign import taints
    return taints.is_spoiled({"errors": numbers(each.get("errors")), "taints": words(each.get("taints")), **{
        key: number(each.get(key)) for key in ("zero_served", "fallen_silent", "requests_per_s")}})


def _half(half: Any, point: Point) -> dict[str, float]:
    """Rate and p99 of one half."""
    rate = numbers(half).get("requests_per_s")
    p99 = numbers(inner(half, f"latency_{'intended' if point.is_open else 'sent'}_us")).get("p99")
    return {key: value for key, value in (("rate", rate), ("p99", p99)) if value}


def _inside(folder: Path, file: Any, where: str) -> Path | None:
    if file is None:
        return None
    path = folder / str(file)
    if not path.resolve().is_relative_to(folder.resolve()):
        raise Wrong(f"has a {where}.file outside its folder: {file}")
    return path


def _summaries(document: dict[str, Any]) -> dict[tuple[str, str, str], Summary]:
    found = {}
    for index, each in enumerate(objects(document, "summaries", "result")):
        place = [take(each, key, str, f"summaries[{index}]") for key in ("row", "point", "measure")]
        median = number(each.get("median"))
        if median is not None:
            found[place[0], place[1], place[2]] = Summary(
                int(number(each.get("n")) or 0), median, number(each.get("low")), number(each.get("high")))
    return found


def _comparisons(holder: dict[str, Any], key: str) -> list[Compared]:
    found = []
    for index, each in enumerate(objects(holder, key, "result")):
        names = [take(each, name, str, f"{key}[{index}]") for name in ("row", "against", "point", "measure")]
        ratio, low, high = (number(each.get(name)) for name in ("ratio", "low", "high"))
        if ratio is not None and ratio > 0 and names[3] in MEASURES:
            bounds = None if low is None or high is None else (low, high)
            found.append(Compared(names[0], names[1], names[2], names[3], int(number(each.get("n")) or 0), ratio,
                                  bounds, bounds is not None, number(each.get("p_holm")),
                                  each.get("different") is True, str(each.get("doubt") or ""),
                                  number(each.get("minimum_detectable"))))
    return found


def _control(document: dict[str, Any]) -> Control | None:
    control = document.get("control")
    if not isinstance(control, dict):
        return None
    return Control(take(control, "row", str, "control"), take(control, "of", str, "control"),
                   _comparisons(control, "results"), numbers(control.get("minimum_detectable")),
                   str(control.get("verdict") or ""), control.get("steady") if isinstance(control.get("steady"), bool)
                   else None)


# --- wrk's results of the same rows ----------------------------------------------------------------

def _join_wrk(result: Result, own: Path) -> None:
    """Results of wrk in the same folder or in a folder of it; what cannot be read is a note."""
    from scripts.report import earlier
    candidates = [*sorted(own.parent.glob("*.json")), *sorted(own.parent.glob("*/result.json"))]
    for path in candidates:
        if path == own or path.name == "machine.json":
            continue
        try:
            document = read_json(path)
            kind = document.get("kind") if isinstance(document, dict) else None
            if kind in ("scenario", "table") and document.get("schema_version") == SCHEMA_VERSION:
                reader = earlier.scenario if kind == "scenario" else earlier.table
                result.beside.append(reader(document, path.parent))
        except (UserError, Wrong) as error:
            result.notes.append(f"not used: {str(error).partition(' (')[0]}")
