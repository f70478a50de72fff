"""Connections that cost a server and give it nothing: heads that never end, and idle keep-alive.

A process of its own (python -m scripts.slow_clients PORT), at a low priority. It prints `holding` when every connection
stands, and at SIGTERM what it did since, as JSON. A connection that the server closes comes back at once.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import selectors
import signal
import socket
import time
from dataclasses import asdict, dataclass

_GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
_NICENESS = 5  # below the server and its clients, and yet it gets its few per cent
_GRAIN_S = 0.01


@dataclass
class Report:
    """From `holding` on."""

    seconds: float = 0.0
    cpu_s: float = 0.0
    sent: int = 0  # bytes of the heads, one at a time
    cut: int = 0  # heads that got 408
    lost: int = 0  # connections that ended in any other way


class Clients:
    def __init__(self, port: int, slow: int, idle: int, pause_s: float) -> None:
        self._port, self._pause_s = port, pause_s
        self._wait = selectors.DefaultSelector()
        self._due: collections.deque[tuple[float, socket.socket]] = collections.deque()
        self._stop = False
        self.report = Report()
        signal.signal(signal.SIGTERM, self._on_term)
        silent = [self._open(_GET, False) for _ in range(idle)]
        for each in silent:
            each.settimeout(10)
            each.recv(4096)  # its answer
            each.setblocking(False)
        now = time.monotonic()
        for index in range(slow):
            self._due.append((now + pause_s * index / slow, self._begin()))

    def _on_term(self, *_: object) -> None:
        self._stop = True

    def _open(self, says: bytes, is_slow: bool) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self._port), 10)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.sendall(says)
        made.setblocking(False)
        self._wait.register(made, selectors.EVENT_READ, is_slow)
        return made

    def _begin(self) -> socket.socket:
        return self._open(b"GET /", True)

    def hold(self) -> None:
        """Until SIGTERM."""
        began, cpu_s = time.monotonic(), time.process_time()
        while not self._stop:
            left_s = self._due[0][0] - time.monotonic() if self._due else 0.1
            for key, _ in self._wait.select(min(max(_GRAIN_S, left_s), 0.1)):
                if not self._stop:
                    assert isinstance(key.fileobj, socket.socket)
                    self._hear(key.fileobj, key.data)
            self._trickle()
        self.report.seconds, self.report.cpu_s = time.monotonic() - began, time.process_time() - cpu_s

    def _hear(self, client: socket.socket, is_slow: bool) -> None:
        try:
            said = client.recv(4096)
        except OSError:
            said = b""
        if said.startswith(b"HTTP/1.1 200 "):
            return  # an idle one that came back
        if is_slow and said.startswith(b"HTTP/1.1 408 "):
            self.report.cut += 1
        else:
            self.report.lost += 1
        self._replace(client, is_slow)

    def _replace(self, ended: socket.socket, is_slow: bool) -> None:
        self._wait.unregister(ended)
        ended.close()
        if is_slow:
            self._due.append((time.monotonic() + self._pause_s, self._begin()))
        else:
            self._open(_GET, False)

    def _trickle(self) -> None:
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            _, client = self._due.popleft()
            if client.fileno() < 0:
                continue  # another has taken its place
            try:
                self.report.sent += client.send(b"a")
            except OSError:
                pass  # it is cut at this moment, and the selector will say so
            self._due.append((now + self._pause_s, client))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--slow", type=int, default=1000)
    parser.add_argument("--idle", type=int, default=1000)
    parser.add_argument("--pause", type=float, default=3.0, metavar="S", help="between two bytes of a head")
    given = parser.parse_args()
    os.nice(_NICENESS)
    clients = Clients(given.port, given.slow, given.idle, given.pause)
    print("holding", flush=True)
    clients.hold()
    print(json.dumps(asdict(clients.report)), flush=True)


if __name__ == "__main__":
    main()
