"""A raw HTTP client that waits for nothing longer than server.PATIENCE_S.

It sends what it is told, byte for byte, and keeps what it gets. Use from one thread.
"""

from __future__ import annotations

import email.utils
import socket
import struct
import time
from dataclasses import dataclass

from server import PATIENCE_S, Server

from scripts.soak_clients import DATE, mask_dates  # noqa: F401 (for the tests, too)

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
GET_AND_CLOSE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True)
class Answer:
    status: str  # "200 OK"
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def closes(self) -> bool:
        return self.headers.get("connection") == "close"


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: a", *headers, "", ""]).encode()


def post(body: bytes, *headers: str) -> bytes:
    return "\r\n".join(["POST /echo HTTP/1.1", "Host: a", f"Content-Length: {len(body)}", *headers, "", ""]
                       ).encode() + body


def take_answer(data: bytes, is_head: bool = False) -> tuple[Answer, bytes] | None:
    """The first answer in `data` and what follows it; None when it is not complete."""
    head, mark, rest = data.partition(b"\r\n\r\n")
    if not mark:
        return None
    status_line, *lines = head.decode("latin-1").split("\r\n")
    version, _, status = status_line.partition(" ")
    assert version == "HTTP/1.1", f"no status line: {status_line!r}"
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(": ")
        assert colon and name.lower() not in headers, f"bad or repeated header line {line!r}"
        headers[name.lower()] = value
    is_interim = status.startswith("1")
    size = 0 if is_head or is_interim else int(headers["content-length"])
    if len(rest) < size:
        return None
    return Answer(status, headers, rest[:size]), rest[size:]


def check_dates(data: bytes) -> None:
    """Every date is of this minute."""
    for each in DATE.findall(data):
        when = email.utils.parsedate_to_datetime(each.decode()).timestamp()
        assert abs(time.time() - when) < 60 + PATIENCE_S, each


class Client:
    def __init__(self, port: int, receive_bytes: int = 0) -> None:
        """`receive_bytes`: what the kernel keeps for this end, at least; 0: as it likes."""
        self._socket = socket.socket()
        self._socket.settimeout(PATIENCE_S)
        if receive_bytes:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self._socket.connect(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._heard = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def own_port(self) -> int:
        return self._socket.getsockname()[1]

    def close(self) -> None:
        self._socket.close()

    def reset(self) -> None:
        """Closes so that the peer sees a reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def say(self, data: bytes) -> None:
        self._socket.sendall(data)

    def say_no_more(self) -> None:
        """The peer sees the end of the stream; what it says is still heard."""
        self._socket.shutdown(socket.SHUT_WR)

    def say_in_pieces(self, pieces: list[bytes], pause_s: float) -> None:
        """The pause is what makes the server see them one by one, most of the time."""
        for index, piece in enumerate(pieces):
            if index:
                time.sleep(pause_s)
            self.say(piece)

    def hear(self, is_head: bool = False) -> Answer:
        """The next answer. A server that closes before it is complete fails the test."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            taken = take_answer(self._heard, is_head)
            if taken is not None:
                answer, self._heard = taken
                return answer
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            part = self._socket.recv(1 << 20)
            assert part, f"closed in the middle of an answer, after {self._heard[:200]!r}"
            self._heard += part

    def hear_all(self) -> bytes:
        """Everything until the server closes. A reset raises ConnectionResetError."""
        deadline = time.monotonic() + PATIENCE_S
        parts = [self._heard]
        self._heard = b""
        while True:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            part = self._socket.recv(1 << 20)
            if not part:
                return b"".join(parts)
            parts.append(part)

    def ask(self, request: bytes, is_head: bool = False) -> Answer:
        self.say(request)
        return self.hear(is_head)


def check_serves(server: Server, times: int = 8) -> None:
    """Later connections find nothing wrong, on whichever worker they arrive."""
    for _ in range(times):
        with Client(server.port) as client:
            assert client.ask(GET).body == b"Hello, World!"


def check_closed_without_a_word(client: Client) -> None:
    assert client.hear_all() == b""
    client.close()
