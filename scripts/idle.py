"""What a server costs that has nothing to do: connections that ask once and then stay silent."""

from __future__ import annotations

import contextlib
import socket
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scripts import procfs
from scripts.counters import of_workers, total
from scripts.errors import UserError
from scripts.servers import Server, program, serving
from scripts.tables import Table

_REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
_SETTLE_S = 0.3
_PATIENCE_S = 8.0
_COUNTED = ("parks", "wake_ups", "spurious", "driver_calls")
_COLUMNS = ["idle", "CPU\nppm", "min..max", "switches\n/s", *(f"{key.replace('_', ' ')}\n/s" for key in _COUNTED),
            "threads", "KiB a\nconnection"]
READING = ("CPU ppm: millionths of one CPU, from the kernel's own nanoseconds. Per second: over the idle time, with "
           "the few that the two readings of /stats cost. KiB a connection: what opening and one answer each added to "
           "resident memory, stacks and buffers included.")


@dataclass(frozen=True)
class Silence:
    """One server start. `counted`: per second; None where the server has no such counter."""

    server_argv: list[str]
    ready_line: str
    connections: int
    window_s: float
    cpu_s: float
    switches: int
    threads: int
    kib_a_connection: float
    counted: dict[str, float | None]

    @property
    def cpu_ppm(self) -> float:
        return self.cpu_s / self.window_s * 1e6

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "cpu_ppm": self.cpu_ppm}


def measure(server_argv: list[str], connections: int, duration_s: int, work: Path,
            tick: Callable[[], None] = lambda: None) -> Silence:
    """Opens `connections`, has one answer on each, and watches the server do nothing."""
    argv = [*server_argv, "--listen", "127.0.0.1:0", "--stats-file", str(work / "stats.json")]
    with serving(argv, work) as server, contextlib.ExitStack() as held:
        empty_kib = procfs.resident_kib(server.pid)
        for _ in range(connections):
            held.enter_context(_answered(server))
            tick()
        kib = (procfs.resident_kib(server.pid) - empty_kib) / connections
        stats = server.stats()
        _wait(server, _SETTLE_S, tick)
        before, cpu_s, began = procfs.usage(server.pid), procfs.on_cpu_s(server.pid), time.monotonic()
        _wait(server, duration_s, tick)
        cpu_s = procfs.on_cpu_s(server.pid) - cpu_s
        after, window_s = procfs.usage(server.pid), time.monotonic() - began
        counted = _per_second(stats, server.stats(), window_s + _SETTLE_S)
        if server.stop(_PATIENCE_S) != 0:
            raise UserError(f"{program(argv)} did not drain with idle connections: {server.last_words()}")
    switches = (after.voluntary_switches - before.voluntary_switches
                + after.involuntary_switches - before.involuntary_switches)
    return Silence([*server_argv, "--listen", "127.0.0.1:0"], server.ready_line, connections, window_s,
                   max(0.0, cpu_s), max(0, switches), after.threads, kib, counted)


def _answered(server: Server) -> socket.socket:
    """A connection that has had one answer."""
    try:
        client = socket.create_connection(("127.0.0.1", server.port), _PATIENCE_S)
        client.sendall(_REQUEST)
        if not client.recv(4096):
            raise ConnectionError("it closed the connection")
    except OSError as error:
        server.check()
        raise UserError(f"{program(server.argv)} does not answer an idle connection: {error} "
                        "(a model that serves one connection at a time cannot be measured so)") from None
    return client


def _wait(server: Server, seconds: float, tick: Callable[[], None]) -> None:
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        server.check()
        tick()
        time.sleep(min(0.1, left))


def _per_second(before: dict[str, Any] | None, after: dict[str, Any] | None, seconds: float) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for key in _COUNTED:
        first, last = total(of_workers(before), key), total(of_workers(after), key)
        found[key] = None if first is None or last is None else (last - first) / seconds
    return found


def table(runs: dict[tuple[int | None, str], list[Silence]], label: str) -> Table:
    """One line a row, a section a number of connections."""
    lines: list[list[str]] = []
    sections: dict[int, str] = {}
    for (value, name), repeats in runs.items():
        title = f"{label} = {value:,}" if value is not None else f"{repeats[0].connections:,} connections"
        if title not in sections.values():
            sections[len(lines)] = title
        ppm = [each.cpu_ppm for each in repeats]
        counted = [[rate for each in repeats if (rate := each.counted[key]) is not None] for key in _COUNTED]
        lines.append([
            name, f"{statistics.median(ppm):,.0f}", f"{min(ppm):,.0f}..{max(ppm):,.0f}",
            f"{statistics.median(each.switches / each.window_s for each in repeats):,.1f}",
            *(f"{statistics.median(rates):,.1f}" if rates else "—" for rates in counted),
            f"{repeats[0].threads}", f"{statistics.median(each.kib_a_connection for each in repeats):,.1f}"])
    return Table(_COLUMNS, lines, sections)
