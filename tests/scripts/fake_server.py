"""A stand-in for duel-server: the ready line, /stats, SIGTERM and --stats-file, and ways to fail.

--serial serves one connection until it closes, as the serial model does.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import socket
import sys
import time

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, World!"


class Server:
    def __init__(self, given: argparse.Namespace) -> None:
        self._given = given
        self._counters = {"accepted": 0, "served": 0, "requests": 0, "model": given.model}
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
            request = client.recv(4096)
            if not request:
                return False
            body = json.dumps(self._counters).encode()
            stats = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
            client.sendall(stats if b"GET /stats" in request else ANSWER)
        except OSError:
            return False
        self._counters["requests"] += 1
        if client not in self._served:
            self._served.add(client)
            self._counters["served"] += 1
        return True

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
    parser.add_argument("--serial", action="store_true")
    parser.add_argument("--never-ready", action="store_true")
    parser.add_argument("--no-stats", action="store_true")
    parser.add_argument("--die-after", type=float)
    parser.add_argument("--die-at-once", action="store_true")
    parser.add_argument("--exit-status", type=int, default=0)
    given = parser.parse_args()
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
