"""./duel machine: the record of this machine, and what of it will hurt a measurement. Changes nothing."""

from __future__ import annotations

import argparse
import textwrap
from typing import Any

from scripts.flags import absolute

SCHEMA_VERSION = 1

SUMMARY = "show what this machine is, or check what of it hurts a measurement"
DETAIL = """Needs no root and changes nothing.

  show    the machine record, as every result keeps it in machine.json; "?": empty, or cannot be read here
  check   what will hurt a measurement, why, and the command that mends it; the worst first
          high      figures measured here mislead      medium   they vary, or hold for few other machines
          low       worth stating                      unknown  cannot be read here

--json keys: show: those of machine.json. check: schema_version, kind, findings [{word, severity, value, why, fix}].
Exit status: 0, whatever was found."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=("show", "check"), help="the record, or what is wrong with it")
    parser.add_argument("--json", type=absolute, metavar="F", help="also write it to F")


def run(given: argparse.Namespace) -> int:
    from scripts import machine, results
    if given.json is not None:
        results.check_writable(given.json)
    record = machine.record()
    document = record if given.what == "show" else _check(record)
    if given.what == "show":
        _show(record)
    if given.json is not None:
        results.write_json(given.json, document)
    return 0


def _show(record: dict[str, Any]) -> None:
    from scripts import tables
    rows, sections = [], {}
    for section in ("cpu", "system", "build"):
        sections[len(rows)] = section
        for key, value in record[section].items():
            if key == "vulnerabilities":
                value = {name: state for name, state in value.items() if state != "Not affected"}
            if isinstance(value, dict) and value:
                rows += [[f"{key} {name}", _text(each)] for name, each in value.items()]
            else:
                rows.append([key, _text(value)])
    tables.show(tables.Table(["Key", "Value"], rows, sections, text_columns=2))


def _text(value: Any) -> str:
    if isinstance(value, dict):
        text = ", ".join(f"{key} {_text(each)}" for key, each in value.items()) or "none"
    elif isinstance(value, list | tuple):
        text = " ".join(map(_text, value))
    elif isinstance(value, bool):
        text = "yes" if value else "no"
    else:
        text = "?" if value is None else str(value) or "none"
    return text if len(text) <= 80 else text[:79] + "…"


def _check(record: dict[str, Any]) -> dict[str, Any]:
    from scripts import machine_check, tables

    def filled(text: str) -> str:
        return textwrap.fill(text, tables.WIDTH, subsequent_indent=" " * 8)

    found = machine_check.findings(record)
    for each in found:
        value = "" if each.severity == machine_check.UNKNOWN else f": {each.value}"
        print(filled(f"{each.severity:8}{each.word}{value}. {each.why[0].upper()}{each.why[1:]}."))
        print(filled(f"{'':8}mend it: {each.fix}"))
    counts = {word: sum(each.severity == word for each in found) for word in machine_check.SEVERITIES}
    said = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    print(f"{len(found)} findings: {said}" if found else "nothing found that hurts a measurement")
    return {"schema_version": SCHEMA_VERSION, "kind": "machine_check", "findings": [vars(each) for each in found]}
