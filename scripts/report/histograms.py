"""The histograms of duel-load: counts of nanoseconds in log-linear buckets, as its JSON has them.

A bucket is known by its lowest value; of values from 2^b on it is 2^(b - sub_bits) wide. A percentile
is the upper end of its bucket, never above the largest value: as duel-load itself says it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scripts.errors import UserError
from scripts.paths import shown
from scripts.report.load import inner, number, read_json
from scripts.report.model import Result, Run

CLOCKS = ("intended", "sent")
VALUE_BITS, SUB_BITS = 45, 7  # of duel-load


@dataclass(frozen=True)
class Histogram:
    """`lowest`, `highest`: ends of the buckets, rising, ns; `counts`: above 0."""

    lowest: np.ndarray
    highest: np.ndarray
    counts: np.ndarray
    mean: float
    max: float

    @property
    def count(self) -> int:
        return int(self.counts.sum())

    def at(self, fractions: np.ndarray | Sequence[float]) -> np.ndarray:
        """The value that each fraction of all do not exceed, in ns."""
        ranks = np.ceil(np.asarray(fractions) * self.count - 1e-9)
        place = np.searchsorted(np.cumsum(self.counts), np.maximum(ranks, 1))
        return np.minimum(self.highest[np.minimum(place, len(self.highest) - 1)], self.max)


def merged(several: Sequence[Histogram]) -> Histogram:
    """All their values as one."""
    highest, first, place = np.unique(np.concatenate([each.highest for each in several]), return_index=True,
                                      return_inverse=True)
    lowest = np.concatenate([each.lowest for each in several])[first]
    counts = np.bincount(place, np.concatenate([each.counts for each in several])).astype(np.int64)
    total = sum(each.count for each in several)
    return Histogram(lowest, highest, counts, sum(each.mean * each.count for each in several) / total,
                     max(each.max for each in several))


def of_file(path: Path) -> dict[str, Histogram]:
    """The histograms of one run, by clock; UserError when the file is not duel-load's."""
    load = read_json(path)
    load = load if inner(load, "latency_ns") else inner(load, "load")
    found = {}
    for clock in CLOCKS:
        told = inner(inner(load, "latency_ns"), clock)
        if number(told.get("count", 0)) == 0:
            continue
        try:
            found[clock] = _histogram(told)
        except (KeyError, TypeError, ValueError, IndexError, OverflowError):
            raise UserError(f"{shown(path)} has no histogram of the {clock} clock (measure the run again)") from None
    return found


def of_runs(result: Result, runs: Sequence[Run]) -> list[dict[str, Histogram]]:
    """Of each run that has any; a file that cannot be read is told once, in `unread`."""
    found = []
    for run in runs:
        if run.file is not None and run.file not in result.histograms:
            try:
                result.histograms[run.file] = of_file(run.file)
            except UserError as error:
                result.histograms[run.file] = {}
                result.unread.append(f"run {run.number} is in no percentile curve: {str(error).partition(' (')[0]}")
        if run.file is not None and result.histograms[run.file]:
            found.append(result.histograms[run.file])
    return found


def _histogram(told: dict[str, Any]) -> Histogram:
    bits = int(told["histogram"]["sub_bits"])
    pairs = sorted((int(lowest), int(count)) for lowest, count in told["histogram"]["counts"])
    if not pairs or not 1 <= bits <= 20 or pairs[0][0] < 0 or min(count for _, count in pairs) < 1:
        raise ValueError
    highest = [lowest + (1 << max(0, lowest.bit_length() - bits - 1)) - 1 for lowest, _ in pairs]
    lowest = np.array([lowest for lowest, _ in pairs], dtype=np.float64)
    return Histogram(lowest, np.array(highest, dtype=np.float64), np.array([count for _, count in pairs],
                     dtype=np.int64), float(told["mean"]), float(told["max"]))


def hgrm(histogram: Histogram) -> str:
    """The percentile table that plotters of HdrHistogram read, in milliseconds: five steps to each halving of
    what is left, until all are counted."""
    reached = np.cumsum(histogram.counts)
    lines = [f"{'Value':>12} {'Percentile':>14} {'TotalCount':>10} {'1/(1-Percentile)':>14}", ""]

    def add(fraction: float) -> bool:
        value = histogram.at([fraction])[0]
        below = int(reached[min(np.searchsorted(histogram.highest, value), len(reached) - 1)])
        inverse = f"{1 / (1 - fraction):14.2f}" if fraction < 1 else "inf"
        lines.append(f"{value / 1e6:12.6f} {fraction:14.12f} {below:10d} {inverse}")
        return below < histogram.count

    step = 0
    while add(1 - 0.5 ** (step // 5) * (1 - 0.1 * (step % 5))):
        step += 1
    add(1.0)
    middle = (histogram.lowest + histogram.highest) / 2
    deviation = float(np.sqrt(np.average((middle - histogram.mean) ** 2, weights=histogram.counts)))
    lines += [f"#[Mean    = {histogram.mean / 1e6:12.6f}, StdDeviation   = {deviation / 1e6:12.6f}]",
              f"#[Max     = {histogram.max / 1e6:12.6f}, Total count    = {histogram.count:12d}]",
              f"#[Buckets = {VALUE_BITS - SUB_BITS:12d}, SubBuckets     = {1 << SUB_BITS:12d}]"]
    return "\n".join(lines) + "\n"
