"""./duel stats FILE: two paired samples compared, as JSON."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

from scripts.errors import UserError

SUMMARY = "compare two paired samples: ratio, interval, verdict"
DETAIL = """FILE holds {"a": [...], "b": [...]}:
the figure of two rows in each block, in order; "-" reads standard input. Prints JSON:

  n, confidence, threshold   blocks; the two flags
  a, b                       median, its interval and that interval's exact coverage
  ratio_b_over_a             above 1: b is higher. interval, coverage_at_least: of this ratio
  p                          two-sided; at most 1 - confidence exactly when the interval excludes 1
  different, verdict         true, "b is higher" or "b is lower"; or false and "~ ..."
  minimum_detectable_effect  what so many blocks of this noise show in 80 % of cases (0.03: 3 %)
  methods, warnings          how each figure came about; what to hold against it

Needs blocks that are independent, or whose order within the block a coin chose. Then a difference
that is not there is claimed in at most 1 - confidence of cases, whatever the shape of the noise."""

EXAMPLE = 'for example {"a": [101.5, 99.2], "b": [104.0, 103.1]}'


def _between(low: float, high: float, hint: str):
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not from {low:g} to {high:g} ({hint})")
        return value
    return parse


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help='the samples, or "-"')
    parser.add_argument("--confidence", type=_between(0.5, 0.9999, "0.95 for 95 %"), default=0.95, metavar="C",
                        help="default: 0.95")
    parser.add_argument("--threshold", type=_between(0, 1, "0.03 for 3 %"), default=0.0, metavar="T",
                        help="a ratio nearer to 1 than this does not matter (default: 0; campaigns use 0.03)")


def _value(sample: str, index: int, value: Any) -> float:
    place = f"{sample}[{index}]"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UserError(f"{place} is {json.dumps(value)[:40]}, not a number (leave out blocks with a run that failed)")
    try:
        figure = float(value)
    except OverflowError:
        figure = math.inf
    if not math.isfinite(figure) or figure <= 0:
        raise UserError(f"{place} is {figure:g}, and ratios need finite values above 0 (leave that block out of both)")
    return figure


def samples(text: bytes, name: str) -> tuple[list[float], list[float]]:
    """a and b, or a UserError naming the first thing that is wrong."""
    try:
        read = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "it is empty" if not text.strip() else str(error).splitlines()[0][:100]
        raise UserError(f"{name} is not JSON: {reason} (write {EXAMPLE})") from None
    if not isinstance(read, dict) or not all(isinstance(read.get(each), list) for each in "ab"):
        raise UserError(f"{name} has no lists a and b (write {EXAMPLE})")
    a, b = ([_value(each, index, value) for index, value in enumerate(read[each])] for each in "ab")
    if len(a) != len(b):
        raise UserError(f"a has {len(a)} values and b {len(b)}: they are paired by block (give both the same blocks)")
    if not a:
        raise UserError(f"a and b are empty (give one value a block, {EXAMPLE})")
    from scripts.comparison import MOST_BLOCKS
    if len(a) > MOST_BLOCKS:
        raise UserError(f"{len(a):,} blocks, at most {MOST_BLOCKS:,} (give one value a server start, not a request)")
    for index, (first, second) in enumerate(zip(a, b, strict=True)):
        if abs(math.log(second) - math.log(first)) > 300:
            raise UserError(f"a[{index}] {first:g} and b[{index}] {second:g} have no ratio of sense (use one unit)")
    return a, b


def run(given: argparse.Namespace) -> int:
    named = "standard input" if given.file == "-" else given.file
    text = sys.stdin.buffer.read() if given.file == "-" else Path(given.file).read_bytes()
    a, b = samples(text, named)
    from scripts.comparison import METHODS, paired_comparison
    from scripts.summary import described
    compared = paired_comparison(a, b, given.confidence, given.threshold).as_json()
    del compared["p_adjusted"]  # one comparison is no table
    print(json.dumps({"schema_version": 1, "a": described(a, given.confidence), "b": described(b, given.confidence),
                      **compared, "methods": METHODS}, indent=2, ensure_ascii=False))
    return 0
