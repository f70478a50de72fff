"""wrk: its command line, its text output, and one run of it.

wrk has no machine-readable output. Times come as us, ms, s, m or h; `parse` turns them into
milliseconds. Its latencies are "corrected" by wrk itself (phantom samples are added for every
latency above twice the mean): they are reported as wrk-corrected, never as measurements.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts import procfs
from scripts.errors import UserError
from scripts.paths import ROOT
from scripts.processes import running

_HOLD, _MIX = "scripts/hold.lua", "scripts/mix.lua"
_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 60e3, "h": 3600e3}


@dataclass(frozen=True)
class Kind:
    """One kind of request in a mix; `{key}` in its path becomes a random key."""

    share: float
    path: str
    method: str = "GET"
    body_bytes: int = 0

    def as_argument(self) -> str:
        return f"{self.share} {self.method} {self.body_bytes} {self.path}"


@dataclass(frozen=True)
class Load:
    """A closed loop: every connection sends its next request when the last one is answered."""

    threads: int
    connections: int
    duration_s: int
    cpu: int | None = None  # pinned to this CPU; None: wherever the kernel likes
    path: str = "/"
    keep_alive: bool = True  # False: every request asks the server to close
    pipeline: int = 1  # requests sent at once; wrk then times the batch
    think_ms: float = 0.0  # mean pause between an answer and the next request
    mix: tuple[Kind, ...] = ()  # instead of `path`
    keys: int = 1
    fills: bool = False  # PUT every key first

    def argv(self, url: str, hold: bool = False) -> list[str]:
        pinned = [] if self.cpu is None else ["taskset", "-c", str(self.cpu)]
        script = ["-s", _MIX] if self._arguments() else ["-s", _HOLD] if hold else []
        return [*pinned, "wrk", *self._shape(), *script, url.rstrip("/") + self.path,
                *(["--", *self._arguments()] if self._arguments() else [])]

    def as_typed(self) -> str:
        shape = ["-H 'Connection: close'" if each == "-HConnection: close" else each for each in self._shape()]
        words = [f"{each!r}" if " " in each else each for each in self._arguments()]
        script = f" -s {_MIX}" if words else ""
        path = "" if self.path == "/" else f" {self.path}"
        return " ".join(["wrk", *shape]) + script + path + (" -- " + " ".join(words) if words else "")

    def _shape(self) -> list[str]:
        closing = [] if self.keep_alive else ["-HConnection: close"]
        return [f"-t{self.threads}", f"-c{self.connections}", f"-d{self.duration_s}s", "--latency", *closing]

    def _arguments(self) -> list[str]:
        """For mix.lua; empty: a plain path, which costs wrk no script."""
        if not self.mix and self.pipeline == 1 and self.think_ms == 0:
            return []
        settings = [f"depth={self.pipeline}", f"think={self.think_ms:g}", f"keys={self.keys}",
                    f"fill={int(self.fills)}"]
        return [*settings, *(kind.as_argument() for kind in self.mix or (Kind(1, self.path),))]


@dataclass(frozen=True)
class Report:
    """What wrk printed. Latencies in milliseconds; p50 to p99 and the mean are wrk-corrected."""

    requests: int
    duration_s: float
    requests_per_s: float
    mean_ms: float
    max_ms: float
    p50_ms: float
    p75_ms: float
    p90_ms: float
    p99_ms: float
    connect_errors: int
    read_errors: int
    write_errors: int
    timeouts: int
    non_2xx: int

    @property
    def errors(self) -> int:
        sockets = self.connect_errors + self.read_errors + self.write_errors + self.timeouts
        return sockets + self.non_2xx


def milliseconds(text: str) -> float:
    """A time as wrk prints it (`850.00us`, `9.86ms`, `1.20s`), in milliseconds."""
    match = re.fullmatch(r"([\d.]+)(us|ms|s|m|h)", text)
    if match is None:
        raise ValueError(f"not a wrk time: {text}")
    return float(match[1]) * _MS[match[2]]


def parse(text: str) -> Report:
    """Reads wrk's report. Raises UserError when it is not one."""

    def find(pattern: str) -> re.Match[str]:
        match = re.search(pattern, text, re.MULTILINE)
        if match is None:
            last = text.strip().rsplit("\n", 1)[-1] or "nothing"
            raise UserError(f"wrk printed no report but: {last} (run the command by hand to see why)")
        return match

    def count(pattern: str) -> int:
        match = re.search(pattern, text, re.MULTILINE)
        return int(match[1]) if match else 0

    latency = find(r"^\s+Latency\s+(\S+)\s+(\S+)\s+(\S+)")
    total = find(r"^\s+(\d+) requests in (\S+),")
    return Report(
        requests=int(total[1]),
        duration_s=milliseconds(total[2]) / 1e3,
        requests_per_s=float(find(r"^Requests/sec:\s+([\d.]+)")[1]),
        mean_ms=milliseconds(latency[1]),
        max_ms=milliseconds(latency[3]),
        **{f"p{p}_ms": milliseconds(find(rf"^\s+{p}%\s+(\S+)")[1]) for p in (50, 75, 90, 99)},
        connect_errors=count(r"Socket errors: connect (\d+)"),
        read_errors=count(r"Socket errors: .*read (\d+)"),
        write_errors=count(r"Socket errors: .*write (\d+)"),
        timeouts=count(r"Socket errors: .*timeout (\d+)"),
        non_2xx=count(r"Non-2xx or 3xx responses: (\d+)"))


class Run:
    """One wrk at work. `measured` ends with its connections still open; `report` lets them go."""

    def __init__(self, child, out: Path, err: Path, argv: list[str], load: Load) -> None:
        self._child, self._out, self._err, self._load = child, out, err, load
        self.argv = argv
        self.cpu_s = 0.0

    def measured(self, tick: Callable[[], None]) -> None:
        """Returns when the load has stopped. `tick` runs ten times a second and may raise."""
        deadline = time.monotonic() + self._load.duration_s + 30
        while "measured" not in self._err.read_text():
            if self._child.poll() is not None:
                raise UserError(f"wrk failed: {self._last_words()} (run it by hand: {' '.join(self.argv)})")
            if time.monotonic() > deadline:
                raise UserError("wrk did not end 30 s after its time (is the machine overloaded?)")
            tick()
            time.sleep(0.1 if deadline - time.monotonic() > 30.3 else 0.005)
        self.cpu_s = sum(procfs.cpu_times(self._child.pid))

    def report(self) -> tuple[Report, str]:
        """Closes the connections; what wrk printed, parsed and raw."""
        self._child.stdin.close()
        self._child.wait(30)
        text = self._out.read_text()
        return parse(text), text

    def _last_words(self) -> str:
        text = (self._err.read_text() + self._out.read_text()).strip()
        return text.rsplit("\n", 1)[-1] or f"exit status {self._child.returncode}"


@contextlib.contextmanager
def loading(load: Load, url: str, work: Path) -> Iterator[Run]:
    """wrk for the length of the block; its output goes to files in `work`."""
    require()
    argv = load.argv(url, hold=True)
    out, err = work / "wrk.out", work / "wrk.err"
    with out.open("w") as to_out, err.open("w") as to_err:
        with running(argv, stdin=subprocess.PIPE, stdout=to_out, stderr=to_err) as child:
            yield Run(child, out, err, argv, load)


def require() -> None:
    if shutil.which("wrk") is None:
        raise UserError("wrk not found (install it: ./duel setup, or apt-get install wrk)")
    for script in (_HOLD, _MIX):
        if not (ROOT / script).is_file():
            raise UserError(f"{script} is missing (restore it: git checkout {script})")
