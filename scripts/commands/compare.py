"""./duel compare A B: two results by their ratios."""

from __future__ import annotations

import argparse

from scripts.flags import absolute

SUMMARY = "compare two results, also of two machines, by ratios"
DETAIL = """A and B are folders
of results/ (or their result.json) of the same scenario, campaign (bench --blocks) or ./duel demo, under
the same load. Each row is divided by a reference row of its own result, repeat by repeat (block by
block, at each point): what is left of the machine is what the question is about. Says what cannot be
compared, and why."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("a", metavar="A", type=absolute, help="a result")
    parser.add_argument("b", metavar="B", type=absolute, help="another one")
    parser.add_argument("--reference", metavar="ROW", help="the row to divide by (default: the first that both have)")


def run(given: argparse.Namespace) -> int:
    from scripts import compare, tables
    pairing = compare.pair(compare.read(given.a), compare.read(given.b), given.reference)
    for letter, result in (("A", pairing.a), ("B", pairing.b)):
        print(tables.wrapped(f"{letter}  {result.name} ({result.document.get('began', 'undated')}): {result.machine}"))
    print()
    tables.show(compare.table(pairing))
    print()
    for note in compare.notes(pairing):
        print(tables.wrapped(note))
    return 0
