"""Clients of the soak that break rules, each in its own way.

Each is a function that visits a server once, with up to `stage.crowd` connections; it leaves when the
turn is over at the latest. Where a rule says what the server must do, it is held to that.
"""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import time
from collections.abc import Iterator

from scripts.soak_clients import GET, Client, Stage, Wrong, request

_STEP_S = 0.05
_BY_RESET = struct.pack("ii", 1, 0)


@contextlib.contextmanager
def _crowd(stage: Stage, name: str, count: int, room: int = 0) -> Iterator[list[socket.socket]]:
    """Connections for the length of the block. `room`: bytes that the kernel keeps for an unread answer."""
    with contextlib.ExitStack() as all_open:
        opened = []
        for _ in range(count):
            each = all_open.enter_context(socket.socket())
            each.settimeout(5)
            if room:
                each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
            each.connect(("127.0.0.1", stage.port))
            opened.append(each)
            stage.count(name)
        yield opened


def _reset(each: socket.socket) -> None:
    each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _BY_RESET)
    each.close()


def _hear_all(stage: Stage, each: socket.socket) -> bytes | None:
    """Until the server closes; None when the turn was over first."""
    heard = b""
    each.settimeout(_STEP_S)
    while True:
        try:
            part = each.recv(65536)
        except TimeoutError:
            if stage.over.is_set():
                return None
            continue
        except ConnectionError:
            return heard
        if not part:
            return heard
        heard += part


def _is_refusal(heard: bytes) -> bool:
    """One answer, which is an error and the last."""
    return (heard.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5")) and heard.count(b"HTTP/1.1 ") == 1
            and b"\r\nConnection: close\r\n" in heard)


def _check_refused(stage: Stage, each: socket.socket, said: bytes) -> None:
    """A reset may have destroyed the answer, a drain come before it; another answer is wrong."""
    with contextlib.suppress(ConnectionError, TimeoutError):
        each.sendall(said)
    heard = _hear_all(stage, each)
    if heard and not _is_refusal(heard):
        raise Wrong(f"{said[:80]!r} got {heard[:200]!r}")
    stage.count("refused", bool(heard))


def slowloris(stage: Stage, draw: random.Random) -> None:
    """A byte of a request now and then."""
    begun = [GET[:-2] + b"X: ", request("POST", "/echo", body=b"x" * 70_000)[:90]]
    with _crowd(stage, "slowloris", stage.crowd) as crowd:
        alive = list(crowd)
        for each in alive:
            each.sendall(draw.choice(begun))
        while alive and not stage.over.wait(_STEP_S):
            for each in list(alive):
                try:
                    each.sendall(b"x")
                except OSError:
                    alive.remove(each)
                    stage.count("ended")


def hoard(stage: Stage, draw: random.Random) -> None:
    """Connections that ask once, or never, and stay."""
    with _crowd(stage, "hoard", 3 * stage.crowd) as crowd:
        for each in crowd:
            if draw.random() < 0.5:
                each.sendall(GET)
        for each in crowd:
            stage.count("ended", _hear_all(stage, each) is not None)


def never_reader(stage: Stage, draw: random.Random) -> None:
    """Asks for much, again and again, and reads nothing."""
    asks = draw.choice((request("GET", "/bytes?n=100000"), GET * 50)) * 400
    with _crowd(stage, "never reads", max(1, stage.crowd // 5), room=4096) as crowd:
        alive = {each: asks for each in crowd}
        for each in crowd:
            each.setblocking(False)
        while alive and not stage.over.wait(_STEP_S):
            for each in list(alive):
                try:
                    alive[each] = alive[each][each.send(alive[each]):] or GET
                except BlockingIOError:
                    continue
                except OSError:
                    del alive[each]
                    stage.count("ended")


def resets_in_request(stage: Stage, draw: random.Random) -> None:
    said = draw.choice((GET, request("POST", "/echo", body=b"x" * 30_000), request("GET", "/sleep?ms=20"), GET * 30))
    with _crowd(stage, "reset asking", stage.crowd) as crowd:
        for each in crowd:
            each.sendall(said[:draw.randrange(len(said) + 1)])
            time.sleep(draw.choice((0, 0.001)))
            _reset(each)


def resets_in_answer(stage: Stage, draw: random.Random) -> None:
    with _crowd(stage, "reset answered", max(1, stage.crowd // 2)) as crowd:
        for each in crowd:
            each.sendall(request("GET", "/bytes?n=1000000") * 2)
        for each in crowd:
            left = draw.choice((1, 1000, 70_000, 500_000))
            with contextlib.suppress(TimeoutError):
                while left > 0 and (part := each.recv(min(left, 65536))):
                    left -= len(part)
            _reset(each)


def leaver(stage: Stage, draw: random.Random) -> None:
    """Gone while its handler waits, without a reset."""
    with _crowd(stage, "leaves early", stage.crowd) as crowd:
        for each in crowd:
            each.sendall(draw.choice((request("GET", "/sleep?ms=100"), request("GET", "/bytes?n=3000000"))))


def garbage(stage: Stage, draw: random.Random) -> None:
    with _crowd(stage, "garbage", max(1, stage.crowd // 2)) as crowd:
        for each in crowd:
            _check_refused(stage, each, b"\xff" + draw.randbytes(draw.choice((1, 30, 3000, 100_000))))


def half_request(stage: Stage, draw: random.Random) -> None:
    """Closes its side in the middle of a request."""
    said = draw.choice((GET, request("POST", "/echo", body=b"x" * 3000)))
    with _crowd(stage, "half request", stage.crowd) as crowd:
        for each in crowd:
            each.sendall(said[:draw.randrange(1, len(said))])
            each.shutdown(socket.SHUT_WR)
        for each in crowd:
            heard = _hear_all(stage, each)
            if heard and not _is_refusal(heard):
                raise Wrong(f"half a request got {heard[:200]!r}")


_HIDDEN = b"GET /kv/hidden HTTP/1.1\r\nHost: soak\r\n\r\n"
_SMUGGLED = tuple(b"POST /echo HTTP/1.1\r\nHost: soak\r\n" + fields + b"\r\n\r\n" + body + _HIDDEN for fields, body in (
    (b"Content-Length: 5\r\nTransfer-Encoding: chunked", b"0\r\n\r\n"),
    (b"Transfer-Encoding: chunked\r\nContent-Length: 5", b"0\r\n\r\n"),
    (b"Content-Length: 5\r\nContent-Length: 6", b"xxxxx"),
    (b"Content-Length: 5, 6", b"xxxxx"),
    (b"Content-Length: +5", b"xxxxx"),
    (b"Content-Length: 0x5", b"xxxxx"),
    (b"Content-Length : 5", b"xxxxx"),
    (b"Transfer-Encoding: chunked, identity", b"0\r\n\r\n"),
    (b"Transfer-Encoding: xchunked", b"0\r\n\r\n"),
    (b"Transfer-Encoding: chunked", b"5;\nxxxxx\r\n0\r\n\r\n"),
    (b"Transfer-Encoding: chunked", b"-5\r\nxxxxx\r\n0\r\n\r\n"),
    (b"Transfer-Encoding: chunked", b"fffffffffffffffff\r\n"),
    (b" Content-Length: 5", b"xxxxx"),
    (b"X: a\0b\r\nContent-Length: 5", b"xxxxx")))


def smuggler(stage: Stage, draw: random.Random) -> None:
    """One request that another reader might take for two."""
    with _crowd(stage, "smuggling", max(1, stage.crowd // 2)) as crowd:
        for each in crowd:
            _check_refused(stage, each, draw.choice(_SMUGGLED))


def claimer(stage: Stage, draw: random.Random) -> None:
    """More than any limit."""
    with _crowd(stage, "oversize", max(1, stage.crowd // 4)) as crowd:
        for each in crowd:
            _check_refused(stage, each, draw.choice((
                b"GET /" + b"x" * 2_000_000, GET[:-2] + b"X: " + b"x" * 2_000_000, GET[:-2] + b"X: y\r\n" * 300_000,
                request("POST", "/echo", "Content-Length: 99999999999"))))


def churner(stage: Stage, draw: random.Random) -> None:
    """Connections that end as soon as they have begun."""
    for _ in range(5 * stage.crowd):
        if stage.over.is_set():
            return
        with _crowd(stage, "churn", 1) as (each,):
            if draw.random() < 0.5:
                _reset(each)


def urgent_speaker(stage: Stage, draw: random.Random) -> None:
    """Urgent bytes between those of a request."""
    cut = draw.randrange(1, len(GET))
    with _crowd(stage, "urgent", max(1, stage.crowd // 4)) as crowd:
        for each in crowd:
            each.sendall(GET[:cut])
            each.send(b"!", socket.MSG_OOB)
            each.sendall(GET[cut:])
        stage.over.wait(draw.choice((0, 0.1)))


ABUSERS: tuple[Client, ...] = (
    slowloris, hoard, never_reader, resets_in_request, resets_in_answer, leaver, garbage, half_request, smuggler,
    claimer, churner, urgent_speaker)
KINDS = ("slowloris", "hoard", "never reads", "reset asking", "reset answered", "leaves early", "garbage",
         "half request", "smuggling", "oversize", "churn", "urgent")
