"""A stand-in for duel-server: the ready line, /stats, SIGTERM and --stats-file, and ways to fail.

--serial serves one connection until it closes, as the serial model does. --counters adds workers to
the counters, --log adds what was asked, by request line. Switches of the real server are ignored.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import select
import signal
import socket
import sys
import time

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, World!"
LAST_ANSWER = ANSWER.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
REQUEST = re.compile(rb"(?:GET|PUT) \S+ HTTP/1.1")
NAMES = ("connections", "requests", "polls", "longest_poll_ns", "forced_yields", "lifo_hits", "inject_pops", "overflow",
         "steal_attempts", "steals", "stolen", "parks", "wake_ups", "spurious", "running_ns", "idle_ns",
         "searching_ns", "messages", "message_ns", "timed", "driver_calls", "events", "again")


class Server:
    def __init__(self, given: argparse.Namespace) -> None:
        self._given = given
        self._counters = {"accepted": 0, "served": 0, "requests": 0, "model": given.model}
        if given.log:
            self._counters["asked"] = {}
        if given.counters:
            self._counters["workers"] = [dict.fromkeys(NAMES, 0) for _ in range(2)]
        self._served: set[socket.socket] = set()
        self._stop = False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        signal.signal(signal.SIGTERM, self._on_term)

    def _on_term(self, *_: object) -> None:
        self._stop = True

    def run(self) -> None:
        began = time.monotonic()
        print(f"listening on 127.0.0.1:{self._listener.getsockname()[1]} model={self._given.model}", flush=True)
        clients: list[socket.socket] = []
        while not self._stop:
            if self._given.die_after and time.monotonic() - began > self._given.die_after:
                print("fake-server: out of luck (try again)", file=sys.stderr)
                os._exit(3)
            waiting = clients if self._given.serial and clients else [self._listener, *clients]
            for ready in select.select(waiting, [], [], 0.02)[0]:
                if ready is self._listener:
                    clients.append(self._listener.accept()[0])
                    self._counters["accepted"] += 1
                elif not self._answer(ready):
                    clients.remove(ready)
                    ready.close()

    def _answer(self, client: socket.socket) -> bool:
        try:
            text = client.recv(65536)
            requests = REQUEST.findall(text)
            if not requests:
                return text != b""  # part of a head
            closes = b"Connection: close" in text
            body = json.dumps(self._counters).encode()
            stats = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
            answer = LAST_ANSWER if closes else ANSWER
            client.sendall(stats if b"GET /stats" in text else answer * len(requests))
        except OSError:
            return False
        self._count(client, requests)
        return not closes

    def _count(self, client: socket.socket, requests: list[bytes]) -> None:
        self._counters["requests"] += len(requests)
        if client not in self._served:
            self._served.add(client)
            self._counters["served"] += 1
        for request in requests if self._given.log else []:
            line = request.decode().removesuffix(" HTTP/1.1")
            self._counters["asked"][line] = self._counters["asked"].get(line, 0) + 1
        if self._given.counters:
            first, second = self._counters["workers"]
            first["polls"] += 3 * len(requests)
            second["running_ns"] += 10

    def finish(self) -> int:
        if self._given.stats_file and not self._given.no_stats:
            with open(self._given.stats_file, "w") as file:
                json.dump(self._counters, file)
        return self._given.exit_status


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="fake")
    parser.add_argument("--listen")
    parser.add_argument("--stats-file")
    parser.add_argument("--workers")
    parser.add_argument("--counters", action="store_true")
    parser.add_argument("--log", action="store_true")
    parser.add_argument("--serial", action="store_true")
    parser.add_argument("--never-ready", action="store_true")
    parser.add_argument("--no-stats", action="store_true")
    parser.add_argument("--die-after", type=float)
    parser.add_argument("--die-at-once", action="store_true")
    parser.add_argument("--exit-status", type=int, default=0)
    given, _ = parser.parse_known_args()
    if given.die_at_once:
        print("fake-server: port in use (choose another)", file=sys.stderr)
        return 1
    if given.never_ready:
        time.sleep(60)
    server = Server(given)
    server.run()
    return server.finish()


if __name__ == "__main__":
    sys.exit(main())
