"""./duel report DIR: a result folder as one HTML page, its figures, and exports for other tools."""

from __future__ import annotations

import argparse

from scripts.errors import UserError
from scripts.flags import absolute

SUMMARY = "a result as one HTML page to share; figures and exports"
DETAIL = """DIR is a folder of results/:
a campaign, a scenario, ./duel demo, ./duel bench theory or crossover. Writes DIR/report.html, one file that
needs no network: verdict, noise, taints, tables, figures, machine, every command line. What the data cannot
support is left out, and the page says why. Results of wrk in the same folder are drawn beside the campaign's."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", type=absolute, help="a result (or its result.json)")
    parser.add_argument("-o", "--output", metavar="FILE", type=absolute, help="the page (default: DIR/report.html)")
    parser.add_argument("--figures", metavar="FOLDER", type=absolute, help="also every figure as .png and .svg")
    parser.add_argument("--benchstat", metavar="FILE", type=absolute, help="also every run as a line for benchstat")
    parser.add_argument("--hgrm", metavar="FOLDER", type=absolute,
                        help="also each run's histograms, one .hgrm a clock, for HdrHistogram's plotters")


def run(given: argparse.Namespace) -> int:
    from scripts import results
    from scripts.paths import shown
    from scripts.progress import Line
    from scripts.report import exports, figures, load, page
    result = load.read(given.folder)
    output = given.output or result.folder / "report.html"
    for path in (output, given.benchstat):
        if path is not None and path.is_dir():
            raise UserError(f"{shown(path)} is a folder (name a file in it)")
        if path is not None:
            results.check_writable(path)
    exports.require(result, given.benchstat is not None, given.hgrm is not None)
    line = Line("report")
    steps, done = len(figures.painters(result)) + (given.figures is not None), 0

    def tick(step: str) -> None:
        nonlocal done
        line.update(done, steps, step)
        done += 1

    drawn, left_out = page.write(result, output, tick)
    if given.figures is not None:
        tick("figures as .png and .svg")
        figures.write(drawn, given.figures)
    line.finish(f"{len(drawn)} figure{'' if len(drawn) == 1 else 's'}")
    if given.benchstat is not None:
        exports.write_benchstat(result, given.benchstat)
        print(f"benchstat: {shown(given.benchstat)}")
    if given.hgrm is not None:
        print(f"histograms: {exports.write_hgrm(result, given.hgrm)} files in {shown(given.hgrm)}")
    if given.figures is not None:
        print(f"figures: {shown(given.figures)}")
    for each in left_out:
        print(f"left out: {each.title}: {each.why}")
    print(f"report: {shown(output)}")
    return 0
