"""Clients of the soak that keep every rule, and compare every byte that they get.

Each is a function that visits a server once. Bodies and keys are drawn, so that no answer can pass for
another one's. A client that was itself slower than the server's deadlines allow is late, not wronged.
"""

from __future__ import annotations

import random
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

PATIENCE_S = 60.0  # beyond it something hangs
MOST_FAILURES = 5  # a turn: then it is over
DATE = re.compile(rb"^Date: ((?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
                  rb" \d{4} \d\d:\d\d:\d\d GMT)\r$", re.MULTILINE)
_NO_DATE = b"?" * 29
_GIVEN_UP = b"HTTP/1.1 408 "
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_OCTETS, _TEXT = "application/octet-stream", "text/plain"
GET = b"GET / HTTP/1.1\r\nHost: soak\r\n\r\n"


class Wrong(Exception):
    """What a server must not do."""


class Late(Wrong):
    """The server gave up on a client that had kept it waiting."""


@dataclass
class Stage:
    """What the clients of one turn share. Any thread."""

    port: int
    shortest_s: float  # of the server's deadlines
    crowd: int  # connections of an abuser at a time
    over: threading.Event = field(default_factory=threading.Event)
    stalled_at: float = 0.0  # when this whole process last got no CPU for long
    is_cut: bool = False  # the server will be told to cut what is under way
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, name: str, times: int = 1) -> None:
        with self._lock:
            self.counts[name] += times

    def fail(self, what: str) -> None:
        with self._lock:
            self.failures.append(what)
            if len(self.failures) >= MOST_FAILURES:
                self.over.set()


Client = Callable[[Stage, random.Random], None]


def answer(body: bytes, status: str = "200 OK", kind: str = _OCTETS, extra: str = "") -> bytes:
    """What the server must say, to the byte, but for the date."""
    head = (f"HTTP/1.1 {status}\r\nDate: {_NO_DATE.decode()}\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(body)}\r\n{extra}\r\n")
    return head.encode() + body


def mask_dates(heard: bytes) -> bytes:
    """As long as it was; what is no date stays."""
    return DATE.sub(b"Date: " + _NO_DATE + b"\r", heard)


def pattern(size: int) -> bytes:
    """The body of GET /bytes?n=SIZE."""
    return (_ALPHABET * (size // len(_ALPHABET) + 1))[:size]


def unique(draw: random.Random, most: int = 50_000) -> bytes:
    """A body that nobody else sends, of a size that is often small."""
    mark = f"{draw.getrandbits(80):020x}.".encode()
    return mark * (draw.choice((1, 1, 5, 50, most)) // len(mark) + 1)


def request(method: str, path: str, *headers: str, body: bytes | None = None) -> bytes:
    sized = [] if body is None else [f"Content-Length: {len(body)}"]
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: soak", *headers, *sized, "", ""]).encode() + (body or b"")


class Peer:
    """One connection. Knows how long it kept the server waiting; while it waits itself, the server is the one."""

    def __init__(self, stage: Stage) -> None:
        self._stage, self._began, self._gap = stage, time.monotonic(), 0.0
        self._socket = socket.create_connection(("127.0.0.1", stage.port), PATIENCE_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._quiet_since = time.monotonic()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _closed(self, what: str) -> Exception:
        """What to raise when the server gave up: the blame is this client's where it could have met a deadline."""
        is_late = self._gap > self._stage.shortest_s / 3 or self._stage.stalled_at > self._began
        return Late(what) if is_late else Wrong(what)

    def _failed(self, error: OSError, what: str) -> Exception:
        return Wrong(f"{error} {what}") if isinstance(error, TimeoutError) else self._closed(f"{error} {what}")

    def _speaks(self) -> None:
        now = time.monotonic()
        self._gap, self._quiet_since = max(self._gap, now - self._quiet_since), now

    def say(self, data: bytes) -> None:
        self._speaks()
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise self._failed(error, f"when sending {len(data)} bytes") from None
        self._quiet_since = time.monotonic()

    def say_no_more(self) -> None:
        self._speaks()
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise self._failed(error, "when sending no more") from None

    def hear(self, expected: bytes, answers: int = 1, slowly: bool = False) -> None:
        """Exactly this. `slowly`: in small pieces, with pauses before the first of them."""
        heard = bytearray()
        pauses = 20 if slowly else 0
        while len(heard) < len(expected):
            if pauses > 0:
                pauses -= 1
                time.sleep(0.005)
            self._speaks()
            try:
                part = self._socket.recv(min(len(expected) - len(heard), 4000 if slowly else 1 << 18))
            except OSError as error:
                raise self._failed(error, f"after {len(heard)} of {len(expected)} bytes") from None
            self._quiet_since = time.monotonic()
            if not part:
                raise self._closed(f"closed after {len(heard)} of {len(expected)} bytes: {bytes(heard[:60])!r}")
            heard += part
        if (said := mask_dates(bytes(heard))) != expected:
            at = next(i for i, (a, b) in enumerate(zip(said, expected, strict=True)) if a != b)
            what = f"byte {at} of {len(expected)}: {said[at:at + 60]!r} instead of {expected[at:at + 60]!r}"
            given_up = _GIVEN_UP in said[max(0, at - len(_GIVEN_UP)):][:2 * len(_GIVEN_UP)]
            raise self._closed(what) if given_up else Wrong(what)
        self._stage.count("verified", answers)

    def hear_end(self) -> None:
        self._speaks()
        try:
            part = self._socket.recv(4096)
        except OSError as error:
            raise self._failed(error, "instead of the end") from None
        if part:
            raise Wrong(f"{part[:60]!r} after the last answer")


# --- visits --------------------------------------------------------------------------------------

def keep_alive(stage: Stage, draw: random.Random) -> None:
    """One request after another."""
    with Peer(stage) as peer:
        for _ in range(draw.randrange(1, 40)):
            body = unique(draw)
            peer.say(request("POST", "/echo", body=body))
            peer.hear(answer(body))
            if stage.over.is_set():
                return


def pipeliner(stage: Stage, draw: random.Random) -> None:
    """Many at once, in pieces that end anywhere."""
    bodies = [unique(draw, 500) for _ in range(draw.randrange(2, 60))]
    said = b"".join(request("POST", "/echo", body=body) for body in bodies)
    cut = draw.randrange(len(said))
    with Peer(stage) as peer:
        peer.say(said[:cut])
        peer.say(said[cut:])
        peer.hear(b"".join(map(answer, bodies)), answers=len(bodies))


def downloader(stage: Stage, draw: random.Random) -> None:
    size = draw.choice((0, 1, 70_000, 1_000_000, 3_000_000))
    with Peer(stage) as peer:
        peer.say(request("GET", f"/bytes?n={size}"))
        peer.hear(answer(pattern(size), kind=_TEXT), slowly=draw.random() < 0.3)


def chunked_uploader(stage: Stage, draw: random.Random) -> None:
    body = unique(draw, 200_000)
    sizes = (1, 10, 100) if len(body) < 1000 else (700, 9000, 40_000)
    with Peer(stage) as peer:
        peer.say(request("POST", "/echo", "Transfer-Encoding: chunked"))
        at = 0
        while at < len(body):
            piece = body[at:at + draw.choice(sizes)]
            peer.say(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            at += len(piece)
        peer.say(b"0\r\n\r\n")
        peer.hear(answer(body))


def key_user(stage: Stage, draw: random.Random) -> None:
    """The life of a key of its own."""
    key, first, second = f"/kv/{draw.getrandbits(80):020x}", unique(draw, 5000), unique(draw, 5000)
    missing = answer(b"no such key\n", "404 Not Found", _TEXT)
    with Peer(stage) as peer:
        for said, expected in (
                (request("GET", key), missing),
                (request("PUT", key, body=first), answer(b"created\n", "201 Created", _TEXT)),
                (request("GET", key), answer(first)),
                (request("PUT", key, body=second), answer(b"replaced\n", kind=_TEXT)),
                (request("GET", key) * 3, answer(second) * 3),
                (request("DELETE", key), answer(b"deleted\n", kind=_TEXT)),
                (request("GET", key), missing)):
            peer.say(said)
            peer.hear(expected)


def half_closer(stage: Stage, draw: random.Random) -> None:
    """Says that it will say no more, and still gets its answers."""
    bodies = [unique(draw) for _ in range(draw.randrange(1, 5))]
    with Peer(stage) as peer:
        peer.say(b"".join(request("POST", "/echo", body=body) for body in bodies))
        peer.say_no_more()
        peer.hear(b"".join(map(answer, bodies)), answers=len(bodies))
        peer.hear_end()


def by_the_book(stage: Stage, draw: random.Random) -> None:
    """HEAD, Expect, a wait in the handler, and a close that was asked for."""
    body = unique(draw)
    with Peer(stage) as peer:
        peer.say(request("HEAD", "/bytes?n=1000"))
        peer.hear(answer(pattern(1000), kind=_TEXT)[:-1000])
        peer.say(request("POST", "/echo", "Expect: 100-continue", body=body)[:-len(body)])
        peer.hear(b"HTTP/1.1 100 Continue\r\n\r\n", answers=0)
        peer.say(body)
        peer.hear(answer(body))
        ms = draw.randrange(1, 30)
        peer.say(request("GET", f"/sleep?ms={ms}"))
        peer.hear(answer(f"slept {ms} ms\n".encode(), kind=_TEXT))
        peer.say(request("GET", "/", "Connection: close"))
        peer.hear(answer(b"Hello, World!", kind=_TEXT, extra="Connection: close\r\n"))
        peer.hear_end()


def keeps_asking(stage: Stage, draw: random.Random) -> None:
    """Whole answers, each its own, until the server closes: for servers that end."""
    try:
        mine = socket.create_connection(("127.0.0.1", stage.port), PATIENCE_S)
    except ConnectionError:
        stage.over.wait(0.02)
        return
    with mine:
        may_be_torn = stage.is_cut  # whoever answers has not ended yet, so this is said of it
        while not stage.over.is_set():
            body = unique(draw, 3000)
            right = answer(body), answer(body, extra="Connection: close\r\n")
            heard, is_reset = b"", False
            try:
                mine.sendall(request("POST", "/echo", body=body))
                while mask_dates(heard) not in right and (part := mine.recv(65536)):
                    heard += part
            except ConnectionError:
                is_reset = True
            if mask_dates(heard) not in right:
                if heard and not (is_reset and may_be_torn):
                    raise Wrong(f"torn: {heard[:200]!r}")
                return
            stage.count("verified")


WELL_BEHAVED: tuple[Client, ...] = (
    keep_alive, pipeliner, downloader, chunked_uploader, key_user, half_closer, by_the_book)
