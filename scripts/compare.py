"""Two results, perhaps of two machines, compared by what can be: the ratio of each row to a reference row.

Absolute figures belong to the machine. A ratio is taken within a repeat of one result, so that result's
machine cancels; only then are the two results held against each other.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.campaign import summary
from scripts.campaign.plan import Point
from scripts.comparison import Comparison, paired_comparison, with_holm
from scripts.effects import MEASURES
from scripts.errors import UserError
from scripts.paths import shown
from scripts.summary import fewest, plain
from scripts.tables import Table

SCHEMA_VERSION = 1
BLANK = "—"
HARMLESS = {"duration_s", "threads", "cpu", "warmup_s", "cpus_shared"}  # of a load: said, not refused
Place = tuple[int | str | None, str]  # value of the swept axis or point of a campaign, row


@dataclass(frozen=True)
class Result:
    """One result.json. `setups`: how each row's server was set up; `load`: what all rows were asked."""

    name: str
    document: dict[str, Any]
    machine: str
    question: str
    load: dict[str, Any]
    setups: dict[str, Any]
    runs: dict[Place, list[dict[str, float]]]  # of a campaign by block, empty where there is no run

    @property
    def measures(self) -> dict[str, str]:
        return summary.MEASURES if self.document["kind"] == "campaign" else MEASURES

    @property
    def repeats(self) -> int:
        return min(map(len, self.runs.values()))


def read(path: Path) -> Result:
    """A result's folder, or its result.json."""
    path = path / "result.json" if path.is_dir() else path
    document = _json(path)
    if document is None:
        raise UserError(f"{shown(path)} does not exist (give a folder of results/ or its result.json)")
    try:
        if document["schema_version"] != SCHEMA_VERSION:
            raise UserError(f"{shown(path)} has schema_version {document['schema_version']}, known is {SCHEMA_VERSION} "
                            "(compare it with the checkout that wrote it)")
        question, load, setups, runs = _KINDS[document["kind"]](document)
        machine = one_line(document.get("machine") or _json(path.with_name("machine.json")))
    except (KeyError, TypeError, AttributeError):
        raise UserError(f"{shown(path)} is not a result with rows (give one of ./duel demo, a scenario or a campaign)"
                        ) from None
    runs = {place: each for place, each in runs.items() if any(each)}
    if not runs:
        raise UserError(f"{shown(path)} has no row with figures (give one of ./duel demo, a scenario or a campaign)")
    return Result(shown(path.parent), document, machine, question, load, setups, runs)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        raise UserError(f"{shown(path)} is not JSON (give a folder of results/ or its result.json)") from None


def _usable(figures: dict[str, Any], starved: bool, errors: int) -> dict[str, float]:
    """The figures that stand for what was asked: percentiles of a row that failed requests do not."""
    kept = {measure: figures[measure] for measure in MEASURES if (figures.get(measure) or 0) > 0}
    if starved or errors:
        kept.pop("p99_ms", None)
    return kept


def _scenario(document: dict[str, Any]) -> tuple[str, dict[str, Any], dict[str, Any], dict[Place, list[Any]]]:
    scenario = document["scenario"]
    setups = {row["name"]: {key: row[key] for key in ("model", "driver", "workers", "switches")}
              for row in scenario["rows"]}
    load = {**scenario["load"], "duration_s": document["settings"]["duration_s"]}
    if scenario["sweep"] is not None:
        load["sweep of"] = scenario["sweep"]["of"]
        load.pop(scenario["sweep"]["of"], None)
    runs = {(row["value"], row["row"]): [
        _usable(run["figures"], run["audit"]["starved"], run["figures"].get("errors") or 0)
        for run in row["runs"] if "figures" in run] for row in document["rows"]}
    return f"scenario {scenario['name']}", load, setups, runs


def _seed_table(document: dict[str, Any]) -> tuple[str, dict[str, Any], dict[str, Any], dict[Place, list[Any]]]:
    rows = document["rows"]
    errors = ("connect_errors", "read_errors", "write_errors", "timeouts", "non_2xx")
    runs = {(None, row["label"]): [
        _usable({**row["raw"]["report"], "cpu_us": row["audit"]["cpu_us"]}, row["audit"]["starved"],
                sum(row["raw"]["report"][each] for each in errors))] for row in rows}
    load = {key: document["settings"][key] for key in ("connections", "duration_s")}
    return "the seed table", load, {row["label"]: row["model"] for row in rows}, runs


def _campaign(document: dict[str, Any]) -> tuple[str, dict[str, Any], dict[str, Any], dict[Place, list[Any]]]:
    """Without the control row, which is for the noise."""
    asked = ("connections", "threads", "duration_s", "warmup_s", "pipeline", "keep_alive", "arrivals", "service",
             "path", "at", "cpus_shared")
    settings, placed = document["settings"], summary.by_place(document["runs"])
    setups = {row["name"]: {key: row[key] for key in ("model", "driver", "workers", "switches")}
              for row in document["rows"] if row["control_of"] is None}

    def figures(run: dict[str, Any] | None, point: Point) -> dict[str, float]:
        found = {each: summary.value(run, each) for each in summary.measures_at(point)} if run is not None else {}
        return {measure: value for measure, value in found.items() if (value or 0) > 0}

    runs: dict[Place, list[Any]] = {}
    for point in (Point(each["name"], each["of_peak"]) for each in document["points"]):
        for row in setups:
            by_block = placed.get((row, point.name), {})
            runs[point.name, row] = [figures(by_block.get(block + 1), point) for block in range(settings["blocks"])]
    return f"campaign {document['scenario']['name']}", {key: settings.get(key) for key in asked}, setups, runs


_KINDS = {"scenario": _scenario, "table": _seed_table, "campaign": _campaign}


def one_line(record: dict[str, Any] | None) -> str:
    """A machine in a line."""
    if record is None:
        return "machine not recorded"
    cpu, system, build = record["cpu"], record["system"], record["build"]
    said = [cpu["model"], f"{len(cpu['allowed'])} CPUs" + (", virtual" if cpu["hypervisor"] else ""),
            f"Linux {system['kernel']}", system["distribution"], build["compiler"],
            f"commit {(build['commit'] or '?')[:9]}" + (" and more" if build["dirty"] else "")]
    return "; ".join(str(each) for each in said if each)


@dataclass(frozen=True)
class Pairing:
    """What of two results can be compared. `refused`: what cannot, and why; `notes`: what to bear in mind."""

    a: Result
    b: Result
    reference: str
    places: list[Place]
    refused: list[str]
    notes: list[str]


def pair(a: Result, b: Result, reference: str | None = None) -> Pairing:
    """UserError when nothing can be compared, or when the two were asked different things."""
    if a.question != b.question:
        raise UserError(f"{a.name} is {a.question} and {b.name} {b.question}: different questions "
                        "(compare two results of the same one)")
    differing = sorted(key for key in a.load.keys() | b.load.keys() if a.load.get(key) != b.load.get(key))
    words = [f"{key} {a.load.get(key)} and {b.load.get(key)}" for key in differing]
    if not HARMLESS.issuperset(differing):
        raise UserError(f"different load: {', '.join(words)} (run both with the same, ratios depend on it)")
    refused = [f"{_called(place)}: only in {has.name}" for has, lacks in ((a, b), (b, a))
               for place in has.runs if place not in lacks.runs]
    both = [place for place in a.runs if place in b.runs]
    changed = {row for _, row in both if a.setups.get(row) != b.setups.get(row)}
    refused += [f"{row}: set up differently, {a.setups.get(row)} and {b.setups.get(row)}" for row in sorted(changed)]
    both = [place for place in both if place[1] not in changed]
    rows = list(dict.fromkeys(row for _, row in both))
    if len(rows) < 2:
        raise UserError(f"{a.name} and {b.name} share fewer than two rows: no ratio to compare (run the same rows)")
    if reference is not None and reference not in rows:
        raise UserError(f"--reference {reference!r} is not a row of both (one of {', '.join(rows)})", 2)
    chosen = reference or rows[0]
    refused += [f"{_called(place)}: {chosen} was not measured there"
                for place in both if (place[0], chosen) not in both]
    places = [place for place in both if place[1] != chosen and (place[0], chosen) in both]
    notes = [f"load differs a little: {', '.join(words)}"] if words else []
    notes += [f"{point} is {first:,.0f} requests/s in {a.name} and {second:,.0f} in {b.name}"
              for point, first in _rates(a).items() if (second := _rates(b).get(point)) is not None]
    return Pairing(a, b, chosen, places, refused, notes)


def _rates(result: Result) -> dict[str, float]:
    """What a campaign's points offered: shares of that machine's smallest peak."""
    return {each["name"]: each["rate"] for each in result.document.get("points", []) if each["rate"] is not None}


def _called(place: Place) -> str:
    value, row = place
    return row if value is None else f"{row} at {value}" if isinstance(value, str) else f"{row} at {value:,}"


def ratios(result: Result, pairing: Pairing, measure: str, confidence: float) -> dict[Place, Comparison]:
    """Each row's ratio to the reference row, repeat by repeat; Holm makes up for there being several."""
    found = {}
    for place in pairing.places:
        pairs = [(base[measure], run[measure]) for base, run in
                 zip(result.runs[place[0], pairing.reference], result.runs[place], strict=False)
                 if measure in base and measure in run]
        if pairs:
            found[place] = paired_comparison(*zip(*pairs, strict=True), confidence)
    return dict(zip(found, with_holm(list(found.values())), strict=True))


def quotient(a: Comparison, b: Comparison) -> str:
    """The second ratio over the first. Each interval may miss with half of what the quotient's may, so that
    it holds however the two are related."""
    if a.interval is None or b.interval is None:
        return f"~ x{b.ratio / a.ratio:.2f}"
    low, high = b.interval.low / a.interval.high, b.interval.high / a.interval.low
    return f"{'~ ' if low <= 1 <= high else ''}x{b.ratio / a.ratio:.2f} ({low:.2f}..{high:.2f})"


def table(pairing: Pairing, confidence: float = 0.95) -> Table:
    lines: list[list[str]] = []
    sections: dict[int, str] = {}
    for measure, called in pairing.a.measures.items():
        a, b = (ratios(each, pairing, measure, confidence) for each in (pairing.a, pairing.b))
        joint = 1 - (1 - confidence) / (2 * max(1, len(a.keys() & b.keys())))
        wide_a, wide_b = (ratios(each, pairing, measure, joint) for each in (pairing.a, pairing.b))
        known = [place for place in pairing.places if place in a or place in b]
        if known:
            sections[len(lines)] = called
        for place in known:
            both = place in a and place in b
            lines.append([_called(place), str(a.get(place, BLANK)), str(b.get(place, BLANK)),
                          quotient(wide_a[place], wide_b[place]) if both else BLANK,
                          direction(a[place], b[place]) if both else BLANK])
    return Table([f"ratio to {pairing.reference}", "A", "B", "B / A", "direction"], lines, sections)


def direction(a: Comparison, b: Comparison) -> str:
    """Whether the two results say the same of the row."""
    if a.interval is None or b.interval is None:
        return "too few repeats"
    if a.different and b.different:
        return "same" if (a.ratio > 1) == (b.ratio > 1) else "OPPOSITE"
    return "~" if not a.different and not b.different else "only A" if a.different else "only B"


def notes(pairing: Pairing, confidence: float = 0.95) -> list[str]:
    """Below the table."""
    level, both = plain(confidence), (("A", pairing.a), ("B", pairing.b))
    said = [f"A and B: ratio within a repeat and its {level} interval; ~: no difference shown, given the number of "
            f"rows (Holm). B / A: its interval holds for all rows at once with {level}. direction: same or OPPOSITE "
            f"where both results show a difference from {pairing.reference}, else which of them does."]
    said += [f"{letter} has too few repeats ({each.repeats}) for an interval, which takes {fewest(confidence)}: "
             "nothing is shown" for letter, each in both if each.repeats < fewest(confidence)]
    said += pairing.notes
    said += [f"control of {letter}: {each.document['control']['verdict']}" for letter, each in both
             if each.document.get("control")]
    said += [f"not compared: {each}" for each in pairing.refused]
    said += [f"taint of {letter}: {taint}" for letter, each in both for taint in each.document.get("taints", [])]
    return said
