"""./duel load: builds duel-load and becomes it."""

from __future__ import annotations

import argparse
import os

from scripts.paths import build_dir

SUMMARY = "load an HTTP server and measure it"
DETAIL = """All flags go to duel-load. Every
answer is checked; latencies are from when a request was due and from when it was sent
(bench/load/DESIGN.md). Example: ./duel load --rate 2000 http://127.0.0.1:8080/"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.prefix_chars = "\0"  # nothing is a flag of ours, not even --help
    parser.add_argument("flags", nargs="*", metavar="FLAGS", help="for duel-load")
    parser.set_defaults(help=parser.format_help)


def run(given: argparse.Namespace) -> int:
    """Becomes the program, so that signals and the exit status are its own."""
    program = build_dir("release") / "bench" / "duel-load"
    if {"-h", "--help"} & set(given.flags):
        print(given.help())
        if not program.is_file():
            print("The flags of duel-load are listed here once it is built (./duel build).")
            return 0
        print(end="", flush=True)
    else:
        from scripts.build import build
        build("release", ["duel-load"])
    os.execv(program, [program.name, *given.flags])
