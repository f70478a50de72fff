"""Reads a benchmark table, JSON, CSV or Markdown, as people write them, into the rows of table_audit.

Column names are tolerant (p99, p99_us, "p99 (ms)", 99%), values too (1.42ms, 312,071, 1.2k). Each number keeps the
interval that its last digit stands for. What cannot be read is an error that names the line and the column.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from scripts.errors import UserError
from scripts.paths import shown
from scripts.table_audit import Figure, Row

_MS = {"ns": 1e-6, "us": 1e-3, "ms": 1.0, "s": 1e3, "sec": 1e3, "secs": 1e3, "second": 1e3, "seconds": 1e3,
       "m": 60e3, "min": 60e3}
_MANY = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}
_NUMBER = r"((?:[1-9]\d{0,2}(?:[,_ \u00a0\u202f]\d{3})+|\d+)(?:\.\d*)?(?:e[-+]?\d{1,2})?|\.\d+)\s*([a-z]*)"
_PER_S = re.compile(r"\s*(?:(?:(?:req|reqs|request|requests|r)?/(?:s|sec|second))|rps|qps)$", re.IGNORECASE)
_SEPARATOR = re.compile(r"\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?")
_MISSING = {"", "-", "–", "—", "n/a", "na", "none", "null", "?"}
_ALIASES = {
    "name": "row model framework server architecture runtime implementation label entry case",
    "requests_per_s": "rps qps req/s reqs/s requests/s req/sec reqs/sec requests/sec requestssec requestspersec "
                      "requestspersecond reqpersec reqpers throughput throughputreq/s",
    "mean": "avg average", "min": "minimum fastest", "max": "maximum slowest worst", "connections": "conns conn "
    "clients concurrency c", "pipeline": "pipelining pipelinedepth depth", "think": "thinktime pause",
    "errors": "error errs failures failed", "requests": "totalrequests completed responses answers",
    "duration": "runtimeduration testduration", "timeout": "", "tool": "loader loadgenerator generator",
    "rate": "offered offeredrate targetrate targetrps offeredrps", "service": "servicetime handlertime",
    "cpu_us": "cpuperrequest cpu/req cpu/request", "cores": "cpus vcpus", "source": "", "note": "notes",
}
_FIELDS = {_squeezed: field for field, others in _ALIASES.items()
           for _squeezed in (field.replace("_", ""), *others.split())}
_TIMES = {"mean", "min", "max", "think", "duration", "timeout", "service", "cpu_us"}
_UNITLESS = {"duration": "s", "timeout": "s", "cpu_us": "us"}  # others: ms


@dataclass(frozen=True)
class Column:
    """What a heading stands for: a field of _ALIASES or a share of the answers, and the unit it names."""

    heading: str
    field: str | float
    unit: str | None

    @property
    def is_time(self) -> bool:
        return isinstance(self.field, float) or self.field in _TIMES


@dataclass(frozen=True)
class ReadTable:
    rows: list[Row]
    source: str
    unused: list[str]  # headings that mean nothing here
    assumed_ms: bool  # some latency had no unit


def column(heading: str) -> Column | None:
    """None: not one of ours."""
    text = re.sub(r"[*`]", "", heading.lower().replace("µ", "u").replace("μ", "u")).strip(" :")
    unit = None
    if _field(text) is None:
        named = re.fullmatch(r"(.*?)[\s_(\[,]+(ns|us|ms|s|secs?|seconds?)[)\]]?", text)
        if named is not None:
            text, unit = named[1], named[2]
    field = _field(text)
    return None if field is None else Column(heading.strip(), field, unit)


def _field(text: str) -> str | float | None:
    squeezed = re.sub(r"[\s_()\[\]-]|latency|latencies", "", text)
    if squeezed in _FIELDS:
        return _FIELDS[squeezed]
    if squeezed in ("median", "p100", "p0"):
        return {"median": 0.5, "p100": "max", "p0": "min"}[squeezed]
    bare = re.sub(r"(?<=\d)_(?=\d)", ".", text)
    found = re.fullmatch(r"(?:p|percentile|pct)(\d+(?:\.\d+)?)|(\d+(?:\.\d+)?)(?:%|th|thpercentile|percentile|%ile)",
                         re.sub(r"[\s_()\[\]-]|latency|latencies", "", bare))
    if found is None:
        return None
    digits = found[1] or found[2]
    if "." not in digits and len(digits) > 2:  # p999 is 99.9
        digits = digits[:2] + "." + digits[2:]
    share = float(Decimal(digits) / 100)
    return share if 0 < share < 1 else None


# --- values --------------------------------------------------------------------------------------

def number(text: str, units: dict[str, float], unit: str | None) -> Figure:
    """A written number with an optional suffix from `units`, else in `unit`. ValueError: not one."""
    plain = text.lower().replace("µ", "u").replace("μ", "u").strip("*` ")
    found = re.fullmatch(_NUMBER, plain)
    if found is None:
        raise ValueError
    exact, suffix = Decimal(re.sub(r"[,_ \u00a0\u202f]", "", found[1])), found[2] or unit or ""
    if suffix not in units or exact.adjusted() > 30:
        raise ValueError
    factor, half = units[suffix], float(Decimal(5).scaleb(int(exact.as_tuple().exponent) - 1))
    value = float(exact)
    return Figure(value * factor, max(0.0, value - half) * factor, (value + half) * factor)


def _cell(where: str, one: Column, text: str, default_unit: str) -> Figure:
    try:
        if one.is_time:
            unit = one.unit or (_UNITLESS.get(one.field, default_unit) if isinstance(one.field, str) else default_unit)
            return number(text, _MS, unit)
        is_rate = one.field in ("requests_per_s", "rate")
        return number(_PER_S.sub("", text.strip("*` ")) if is_rate else text, _MANY, None)
    except ValueError:
        wanted = ("a number (a decimal comma? write 0.123)" if re.match(r"\W*0\d*,\d", text) else
                  "a time (write 1.42ms, or 1.42 under a heading that names the unit)" if one.is_time
                  else "a number (write 312071, 312,071 or 312k)")
        raise UserError(f"{where}, column {one.heading!r}: {text!r} is not {wanted}", 2) from None


# --- rows ----------------------------------------------------------------------------------------

def _row(where: str, cells: Iterable[tuple[Column, str]], default_unit: str, name: str) -> Row:
    given: dict[str, Any] = {"name": name}
    quantiles: dict[float, Figure] = {}
    for one, text in cells:
        if one.field in ("name", "tool"):
            given[str(one.field)] = text.strip("*` ")
            continue
        if one.field in ("source", "note"):
            continue
        if one.field == "errors" and text.endswith("%"):
            given["error_share"] = _cell(where, one, text[:-1].strip(), default_unit).value / 100
            continue
        figure = _cell(where, one, text, default_unit)
        if isinstance(one.field, float):
            quantiles[one.field] = figure
        elif one.field in ("min", "max"):
            quantiles[0.0 if one.field == "min" else 1.0] = figure
        elif one.field in ("requests_per_s", "mean"):
            given["mean_ms" if one.field == "mean" else one.field] = figure
        elif one.field == "cpu_us":
            given["cpu_us"] = Figure(*(each * 1e3 for each in (figure.value, figure.low, figure.high)))
        elif one.field in ("duration", "timeout"):
            given[f"{one.field}_s"] = figure.value / 1e3
        elif one.field in ("think", "service"):
            given[f"{one.field}_ms"] = figure.value
        else:
            given[str(one.field)] = figure.value
            if figure.value == 0 and one.field in ("connections", "pipeline", "rate"):
                raise UserError(f"{where}, column {one.heading!r} is 0 (leave it out if it is not known)", 2)
    return Row(**given, quantiles=quantiles)


Rows = list[tuple[str, dict[str, str]]]  # where each stands, and its cells by heading


def _table(path: str, outside: dict[str, str], defaults: dict[str, str], rows: Rows) -> ReadTable:
    if not rows:
        raise UserError(f"{path} has no rows (a heading alone is no table)", 2)
    default_unit = (defaults.pop("unit", None) or outside.pop("unit", "ms")).lower().replace("µ", "u")
    if default_unit not in _MS:
        raise UserError(f"{path}: unit {default_unit!r} is not one of {', '.join(sorted(_MS))}", 2)
    headings = dict.fromkeys([*outside, *defaults, *(heading for _, cells in rows for heading in cells)])
    columns = {heading: column(heading) for heading in headings}
    if not any(one and one.field == "requests_per_s" for one in columns.values()):
        raise UserError(f"{path}: no column of requests per second (name it req/s or requests_per_s; found: "
                        f"{', '.join(headings)})", 2)
    read, assumed = [], False
    for index, (where, cells) in enumerate(rows):
        merged: dict[str | float, tuple[Column, str]] = {}
        for given in (outside, defaults, cells):
            seen: dict[str | float, str] = {}
            for heading, text in given.items():
                one = columns[heading]
                if one is None or text.strip().lower() in _MISSING:
                    continue
                if one.field in seen:
                    raise UserError(f"{where}: columns {seen[one.field]!r} and {heading!r} say the same "
                                    "(keep one of them)", 2)
                seen[one.field] = heading
                merged[one.field] = (one, text.strip())
        assumed = assumed or any(one.is_time and one.unit is None and re.fullmatch(r"[\d.,]+", text)
                                 and one.field not in _UNITLESS for one, text in merged.values())
        read.append(_row(where, merged.values(), default_unit, f"row {index + 1}"))
    unused = [heading for heading, one in columns.items() if one is None and heading]
    return ReadTable(read, defaults.get("source", ""), unused, assumed and default_unit == "ms")


# --- files ---------------------------------------------------------------------------------------

def outside(given: Iterable[str]) -> dict[str, str]:
    """What a command line says of all rows, as KEY=VALUE: where the file says it too, the file is right."""
    made: dict[str, str] = {}
    for each in given:
        key, equals, value = each.partition("=")
        if not equals or not value or (column(key) is None and key != "unit"):
            raise UserError(f"--with {each!r} is not a column and its value (write connections=1000, or tool=wrk)", 2)
        made[key] = value
    return made


def read(path: Path, given: Iterable[str] = ()) -> ReadTable:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{shown(path)} is not a text file in UTF-8 (give a table as JSON or CSV)", 2) from None
    except OSError as error:
        raise UserError(f"cannot read {shown(path)}: {error.strerror} (give a table as JSON or CSV)", 2) from None
    return parse(text, shown(path), given)


def parse(text: str, path: str, given: Iterable[str] = ()) -> ReadTable:
    defaults, rows = _text_or_json(text, path) if text.lstrip()[:1] in ("{", "[") else _csv(text, path)
    return _table(path, outside(given), defaults, rows)


def _text_or_json(text: str, path: str) -> tuple[dict[str, str], Rows]:
    """A text may begin with a bracket, too: a badge, a link."""
    try:
        return _json(text, path)
    except UserError:
        if not _markdown(text.splitlines()):
            raise
        return _csv(text, path)


def _json(text: str, path: str) -> tuple[dict[str, str], Rows]:
    def refused(word: str) -> None:
        raise UserError(f"{path}: {word} is not a number (leave the value out)", 2)

    try:  # numbers as they are written, since their last digit counts
        document = json.loads(text, parse_float=Decimal, parse_int=Decimal, parse_constant=refused)
    except json.JSONDecodeError as error:
        raise UserError(f"{path} line {error.lineno}, column {error.colno}: {error.msg} (it is not valid JSON)",
                        2) from None
    except RecursionError:
        raise UserError(f"{path} is nested too deeply to be a table", 2) from None
    if isinstance(document, list):
        document = {"rows": document}
    rows = document.get("rows")
    if not isinstance(rows, list):
        raise UserError(f"{path} has no list of rows (write {{\"rows\": [{{…}}, …]}})", 2)
    defaults = {key: value for key, value in document.items() if not isinstance(value, list | dict)}
    read = []
    for index, each in enumerate(rows):
        if not isinstance(each, dict):
            raise UserError(f"{path} row {index + 1} is not an object (write {{\"req/s\": 1000, …}})", 2)
        read.append((f"{path} row {index + 1}", _flat(each)))
    return _flat(defaults), read


def _flat(given: dict[str, Any]) -> dict[str, str]:
    """Values as text; one level of nesting is taken apart: {"latency": {"p50": 1}} is latency_p50."""
    made: dict[str, str] = {}
    for key, value in given.items():
        if isinstance(value, dict):
            made |= {f"{key}_{inner}": _text(each) for inner, each in value.items()
                     if not isinstance(each, list | dict)}
        elif not isinstance(value, list):
            made[key] = _text(value)
    return made


def _text(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}" if value.is_finite() and abs(value.adjusted()) < 30 else str(value)
    return "" if value is None or isinstance(value, bool) else str(value)


def _csv(text: str, path: str) -> tuple[dict[str, str], Rows]:
    defaults: dict[str, str] = {}
    lines: list[tuple[int, str]] = []
    for line_number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#"):
            key, colon, value = line.lstrip("# ").partition(":")
            if colon and (column(key) is not None or key.strip().lower() == "unit"):
                defaults[key.strip().lower()] = value.strip()
        elif line.strip():
            lines.append((line_number, line.strip()))
    framed = _markdown(text.splitlines())
    lines = framed or lines
    if not lines:
        raise UserError(f"{path} has no rows (give a table as JSON or CSV)", 2)
    delimiter = "|" if framed else max("|\t;,", key=lines[0][1].count)
    try:
        cells = [[cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))]
                 for _, line in lines]
    except csv.Error as error:
        raise UserError(f"{path}: {error} (give a table as JSON or CSV)", 2) from None
    headings = cells[0]
    for heading in headings:
        if headings.count(heading) > 1:
            raise UserError(f"{path} line {lines[0][0]}: two columns are called {heading!r} (rename one)", 2)
    rows = []
    for (line_number, _), each in zip(lines[1:], cells[1:], strict=True):
        if len(each) != len(headings):
            raise UserError(f"{path} line {line_number} has {len(each)} cells, the heading {len(headings)} (put "
                            "numbers with a comma into quotes)", 2)
        if sum(map(bool, each)) > 1 or len(each) == 1:  # else a heading between rows
            rows.append((f"{path} line {line_number}", dict(zip(headings, each, strict=True))))
    return defaults, rows


def _markdown(lines: list[str]) -> list[tuple[int, str]]:
    """The first table of a text that has a column of requests per second, without its frame; else nothing. It ends
    where its pipes do. Without outer pipes it is a table by the separator below its heading."""
    found: list[tuple[int, str]] = []
    frame = ""
    for number, line in enumerate(map(str.strip, lines), 1):
        if not found:
            is_framed = line.startswith("|")
            below = lines[number].strip() if number < len(lines) else ""
            if not (is_framed or ("|" in line and "|" in below and _SEPARATOR.fullmatch(below))):
                continue
            if not any(one and one.field == "requests_per_s" for one in map(column, line.split("|"))):
                continue
            frame = "|" if is_framed else ""
        elif "|" not in line or not line.startswith(frame):
            break
        if not re.fullmatch(r"[\s|:-]+", line):
            found.append((number, line.removeprefix("|").removesuffix("|")))
    return found
