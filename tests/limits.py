"""What the tests of limits share: the defaults, clients that take little, and what waits for them."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from server import PATIENCE_S, Server

# What `duel-server --help` says of each, and that a server without flags is safe with.
DEFAULTS = {"header-timeout-ms": 10_000, "body-timeout-ms": 30_000, "idle-timeout-ms": 60_000,
            "write-timeout-ms": 30_000, "max-header-bytes": 16_384, "max-body-bytes": 1 << 20, "max-pipeline": 64,
            "max-connections": 0, "max-queued-bytes": 262_144}
# The size of the blocks that a write's deadline is for, which is also what a system call may queue at once.
BLOCK = 64 * 1024
TABLE_EVERY_S = 0.1  # what the kernel does to list all its connections is felt by the server


@contextlib.contextmanager
def not_before(seconds: float) -> Iterator[None]:
    """A deadline that comes early is wrong on any machine; how late it comes is the machine's affair."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began > seconds - 0.05


def connect_small(server: Server) -> socket.socket:
    """A client whose kernel takes little: 16 KiB and what belongs to it."""
    made = socket.socket()
    made.settimeout(PATIENCE_S)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
    made.connect(("127.0.0.1", server.port))
    return made


def _kernel_sockets(*ports: int) -> Iterator[tuple[tuple[int, int], list[str]]]:
    """A line of the kernel's list for each client of servers at these ports, by both ports."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        port, of = (int(each.partition(":")[2], 16) for each in fields[1:3])
        if port in ports and of:
            yield (port, of), fields


def queued_bytes(*ports: int) -> dict[tuple[int, int], int]:
    """What the kernel keeps for each client of servers at these ports, sent or not, by both ports."""
    return {where: int(fields[4].partition(":")[0], 16) for where, fields in _kernel_sockets(*ports)}


def taken(server: Server) -> set[int]:
    """The ports of clients that the server has accepted and of whom nothing waits in the kernel at its end."""
    return {of for (_, of), fields in _kernel_sockets(server.port)
            if fields[9] != "0" and int(fields[4].partition(":")[2], 16) == 0}


def pair(server: Server, client: socket.socket) -> tuple[int, int]:
    """Where queued_bytes() has what the server keeps for the client; nothing when the connection is gone."""
    return server.port, client.getsockname()[1]
