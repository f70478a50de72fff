"""What every command line of ./duel shares: a parser with errors of one line, and types of values."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NoReturn

from scripts.errors import UserError


class Parser(argparse.ArgumentParser):
    """argparse with errors in one line, naming the fix."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} (see {self.prog} --help)", 2)


class Command(Parser):
    """Of one command among several. argparse leaves what it does not know to the parser of them all."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[argparse.Namespace, list[str]]:
        given, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return given, unknown


def positive(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return value


def words(text: str) -> list[str]:
    return [each for each in text.split(",") if each]


def absolute(text: str) -> Path:
    """A path as the user means it, whatever folder children run in."""
    return Path(text).absolute()


def percents(text: str) -> tuple[float, ...]:
    """`30,50` as shares: (0.3, 0.5). Each once, in rising order."""
    try:
        found = sorted({float(each) for each in words(text)})
    except ValueError:
        found = [-1.0]
    if any(not 0 < each <= 200 for each in found):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of percents, above 0 and at most 200 (as 30,50)")
    return tuple(each / 100 for each in found)


def handler_times(text: str) -> tuple[float, ...]:
    """`0,5,50` in microseconds, each once, in rising order. Longer ones make runs of minutes."""
    found = _numbers(text)
    if not found or not all(0 <= each <= 10_000 for each in found):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of microseconds, from 0 to 10,000 (as 0,5,50)")
    return tuple(sorted(set(found)))


def multiple(text: str) -> float:
    """A limit for p99 that an idle server keeps."""
    found = _numbers(text)
    if len(found) != 1 or not 5 <= found[0] <= 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 5 to 1,000,000 (p99 of exponential times alone "
                                         "is 4.6 times their mean)")
    return found[0]


def _numbers(text: str) -> list[float]:
    """None of them where one is no number; NaN lies in no range."""
    try:
        return [float(each) for each in words(text)]
    except ValueError:
        return []
