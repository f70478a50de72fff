"""A result for other tools: benchstat's text, HdrHistogram's percentile tables."""

from __future__ import annotations

from pathlib import Path

from scripts import benchstat, results
from scripts.compare import one_line
from scripts.errors import UserError
from scripts.report import histograms
from scripts.report.figures import slug
from scripts.report.model import Result

_UNITS = {"requests_per_s": "req/s", "cpu_us_total": "cpu-us/op", "p50_us": "p50-us", "p99_us": "p99-us",
          "p99_9_us": "p99.9-us", "switches_per_1000": "switches/kop"}


def benchstat_text(result: Result) -> str:
    """A line a run, so that the reader does its own statistics."""
    configuration = {"result": result.name, "began": result.began or "undated", "kind": result.kind}
    if result.machine is not None:
        try:
            configuration["machine"] = one_line(result.machine)
            configuration["commit"] = result.machine["build"]["commit"] or "unknown"
        except (KeyError, TypeError, AttributeError):
            configuration["machine"] = "recorded in part"
    loads = {point.name: "closed" if not point.is_open and point.name == "closed" else
             point.name if point.of_peak is None else f"{point.of_peak:g}" for point in result.points}
    runs = []
    for run in sorted(result.runs, key=lambda run: (run.block, run.number)):
        figures = {unit: run.figures[name] for name, unit in _UNITS.items() if name in run.figures}
        runs.append(({"row": run.row, "load": loads[run.point]}, figures))
    return benchstat.text(configuration, runs)


def require(result: Result, for_benchstat: bool, for_hgrm: bool) -> None:
    """UserError where there is nothing to export."""
    if for_benchstat and not any(name in run.figures for run in result.runs for name in _UNITS):
        raise UserError(f"{result.name} has no line for benchstat, as no run of it has a figure (measure it again)")
    if not for_hgrm:
        return
    if not any(run.file is not None for run in result.runs):
        why = "wrk keeps none" if result.by_wrk else "no run names a file"
        raise UserError(f"{result.name} has no histograms, as {why} (measure with ./duel bench NAME --blocks N)")
    if not any(histograms.of_runs(result, [run]) for run in result.runs):
        raise UserError(f"no histogram of {result.name} could be read (are the files of runs/ beside result.json?)")


def write_benchstat(result: Result, path: Path) -> None:
    results.write_text(path, benchstat_text(result))


def write_hgrm(result: Result, folder: Path) -> int:
    """A file a run and clock, ROW-POINT-RUN-CLOCK.hgrm; how many. UserError where no run has a histogram."""
    require(result, False, True)
    written = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise results.cannot_write(folder, error) from None
    for run in result.runs:
        for clocks in histograms.of_runs(result, [run]):
            for clock, found in clocks.items():
                name = f"{slug(run.row)}-{slug(run.point)}-{run.number:04}-{clock}.hgrm"
                results.write_text(folder / name, histograms.hgrm(found))
                written += 1
    return written
