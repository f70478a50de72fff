"""./duel simulate: the scheduling policies on any number of cores, simulated beside theory."""

from __future__ import annotations

import argparse
import os

from scripts.paths import ROOT

SUMMARY = "simulate scheduling policies on any number of cores"
DETAIL = "All flags go to duel-sim."

_PROGRAM = ROOT / "build" / "release" / "bench" / "sim" / "duel-sim"


def add_flags(parser: argparse.ArgumentParser) -> None:
    # Nothing is a flag to this parser, so that all of them, --help too, reach the program.
    parser.prefix_chars = "\0"
    parser.add_argument("flags", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)


def run(given: argparse.Namespace) -> int:
    """Becomes the program, so that signals and the exit status are its own."""
    if any(flag in ("-h", "--help") for flag in given.flags):
        print(f"usage: ./duel simulate [crossover | tables] [flags]\n\n{SUMMARY.capitalize()}: bench/sim/DESIGN.md.\n",
              flush=True)
        if not _PROGRAM.is_file():
            print("Its flags are listed here once it is built (./duel build).")
            return 0
    else:
        from scripts.build import build
        build("release", ["duel-sim"])
    os.execv(_PROGRAM, [_PROGRAM.name, *given.flags])
