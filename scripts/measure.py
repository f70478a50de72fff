"""One measurement: start a server, warm it up, load it, read every counter, stop it.

The order matters. The counters are read when wrk has stopped sending but still holds its
connections: threads that serve a connection are still there to be counted, and a server with a
backlog cannot answer clients that have gone. SIGTERM follows, and the server's final counters come
from its --stats-file. Read audit.py next for what is made of the figures.
"""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from scripts import procfs, wrk
from scripts.errors import UserError
from scripts.servers import Server, program, serving

_SPARE_DESCRIPTORS = 64
_DRAIN_TIMEOUT_S = 8.0  # the server's own default is 5 s


@dataclass(frozen=True)
class Measurement:
    """Raw figures of one server start; `as_json` is what result.json keeps."""

    server_argv: list[str]
    wrk_argv: list[str]
    ready_line: str
    connections: int
    warmup_s: int
    report: wrk.Report
    wrk_text: str
    wrk_cpu_s: float
    before: procfs.Usage
    after: procfs.Usage
    host_before: procfs.HostCpu
    host_after: procfs.HostCpu
    window_s: float
    stats_before: dict[str, Any] | None
    stats_after: dict[str, Any]
    drained_while_held: bool
    pipeline: int = 1
    think_ms: float = 0.0

    def as_json(self) -> dict[str, Any]:
        raw = asdict(self)
        del raw["wrk_text"]
        return raw

    def counted(self, key: str) -> int | None:
        """How much a server counter grew during the run; None when it was not there to read."""
        after = self.stats_after.get(key)
        if after is None or (self.warmup_s > 0 and self.stats_before is None):
            return None
        return int(after) - int((self.stats_before or {}).get(key, 0))


def require_descriptors(connections: int, asked: str = "") -> None:
    """Raises the soft limit as far as needed; UserError when the hard limit is too low.

    Children inherit it: wrk and the server each need one descriptor a connection.
    """
    needed = connections + _SPARE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise UserError(f"{asked or f'--connections {connections}'} needs {needed} file descriptors, but the hard "
                        f"limit is {hard} (as root: ulimit -n {needed}; or use fewer connections)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def measure(server_argv: list[str], load: wrk.Load, warmup_s: int, work: Path,
            tick: Callable[[], None] = lambda: None,
            beside: Callable[[Server], AbstractContextManager[None]] = lambda server: nullcontext()) -> Measurement:
    """Runs `server_argv` with --listen and --stats-file added. `work` is an empty scratch folder.

    `tick` is called about ten times a second. `beside` is entered before the warm-up and left when
    the load has stopped, before the server is told to.
    """
    stats_file = work / "stats.json"
    argv = [*server_argv, "--listen", "127.0.0.1:0", "--stats-file", str(stats_file)]
    with serving(argv, work) as server, ExitStack() as others:
        def watch() -> None:
            server.check()
            tick()

        others.enter_context(beside(server))
        if warmup_s > 0:
            _warm_up(server, load, warmup_s, work, watch)
        stats_before = _settled_stats(server, watch)
        before, host_before, began = procfs.usage(server.pid), procfs.host_cpu(), time.monotonic()
        with wrk.loading(load, server.url, work) as run:
            run.measured(watch)
            server.check()
            after, host_after, window_s = procfs.usage(server.pid), procfs.host_cpu(), time.monotonic() - began
            others.close()
            code = server.stop(_DRAIN_TIMEOUT_S)
            drained = code is not None
            report, text = run.report()
        if code is None:
            code = server.wait(_DRAIN_TIMEOUT_S)
        if code != 0:
            how = f"did not exit within {2 * _DRAIN_TIMEOUT_S:.0f} s" if code is None else f"exited with {code}"
            raise UserError(f"{program(argv)} {how} after SIGTERM: {server.last_words()}")
    return Measurement(
        [*server_argv, "--listen", "127.0.0.1:0"], run.argv, server.ready_line, load.connections, warmup_s,
        report, text, run.cpu_s, before, after, host_before, host_after, window_s,
        stats_before, _final_stats(stats_file, program(argv)), drained, load.pipeline, load.think_ms)


def _warm_up(server: Server, load: wrk.Load, seconds: int, work: Path, watch: Callable[[], None]) -> None:
    """A run of the same shape whose figures are thrown away."""
    with wrk.loading(replace(load, duration_s=seconds, fills=True), server.url, work) as run:
        run.measured(watch)
        run.report()


def _settled_stats(server: Server, watch: Callable[[], None]) -> dict[str, Any] | None:
    """The server's counters once the warm-up's connections are gone; None when it cannot be asked."""
    previous = None
    for _ in range(20):
        watch()
        counters = server.stats()
        if counters is None:
            return None
        # Two readings use at most two connections each; anything more is still the warm-up.
        if previous is not None and counters.get("accepted", 0) - previous.get("accepted", 0) <= 2:
            return counters
        previous = counters
        time.sleep(0.05)
    return None


def _final_stats(path: Path, server: str) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        raise UserError(f"{server} exited 0 but left no readable --stats-file "
                        "(rebuild: ./duel build)") from None
