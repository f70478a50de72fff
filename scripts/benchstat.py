"""Results as the text that benchstat reads: configuration lines, then one line a run.

`BenchmarkHTTP/rt=stealing/load=0.7 1 123.4 p99-us 45678 req/s`: a name of key=value parts, one
iteration, then pairs of figure and unit. Every run is a line: the reader does its own statistics.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

Run = tuple[Mapping[str, object], Mapping[str, float]]  # what it was; unit -> figure


def line(parts: Mapping[str, object], figures: Mapping[str, float], name: str = "HTTP") -> str:
    """One run; a figure that is not finite is left out."""
    path = "".join(f"/{_word(key)}={_word(value)}" for key, value in parts.items())
    path = re.sub(r"-(\d+)$", r"_\1", path)  # a last -N would be read as the number of processors
    pairs = "".join(f" {value:.10g} {'-'.join(unit.split())}"
                    for unit, value in figures.items() if math.isfinite(value))
    return f"Benchmark{name}{path} 1{pairs}"


def text(configuration: Mapping[str, object], runs: Sequence[Run]) -> str:
    """`configuration`: what holds for all runs (cpu, commit, ...), a `key: value` line each."""
    head = [f"{re.sub(r'[^a-z0-9_.-]', '-', key.lower())}: {' '.join(str(value).split())}"
            for key, value in configuration.items()]
    return "\n".join([*head, *(line(parts, figures) for parts, figures in runs)]) + "\n"


def _word(part: object) -> str:
    """A name holds no space, and a slash or = would begin another part."""
    return re.sub(r"[\s/=]+", "_", str(part)) or "_"
