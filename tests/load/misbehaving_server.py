"""An HTTP server that misbehaves in one chosen way, and well in all others.

Run it with the name of a mode. It prints `listening on 127.0.0.1:PORT` and serves until it is
ended. `GET` is answered with hello, or with its id= if it has one, `POST` with its own body.
Connection 0 is the scout of duel-load: it is always treated well, so that what is right can be
learnt. One thread, so that a stall stalls everything.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import struct
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

HELLO = b"Hello, World!"
EVERY = 5  # of a connection's requests, the one that goes wrong
TAKEN = 5   # connections that the picky modes accept, the scout's among them
STARVED = 4  # of the connections, every such one
STALL_S = 1.0


@dataclass
class Asked:
    connection: int
    number: int  # of this connection, from 1
    body: bytes
    writer: asyncio.StreamWriter

    @property
    def is_chosen(self) -> bool:
        return self.connection > 0 and self.number % EVERY == 0


@dataclass
class State:
    mode: str
    connections: int = 0
    first_load: float = 0.0  # when the first request after the scout's came
    has_stalled: bool = False
    held: list[Asked] = field(default_factory=list)


def framed(body: bytes, status: str = "200 OK", length: int | None = None, more: str = "") -> bytes:
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\n{more}\r\n".encode() + body


def answer(asked: Asked, data: bytes) -> bool:
    asked.writer.write(data)
    return True


def leave(asked: Asked, data: bytes = b"") -> bool:
    asked.writer.write(data)
    return False


def reset(asked: Asked, data: bytes) -> bool:
    asked.writer.write(data)
    asked.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    asked.writer.transport.abort()
    return False


async def well(state: State, asked: Asked) -> bool:
    return answer(asked, framed(asked.body))


async def stall(state: State, asked: Asked) -> bool:
    if state.first_load and not state.has_stalled and time.monotonic() - state.first_load > 1.0:
        state.has_stalled = True
        time.sleep(STALL_S)
    return await well(state, asked)


async def starve(state: State, asked: Asked) -> bool:
    if asked.connection % STARVED == 1:
        await asyncio.sleep(3600)
    return await well(state, asked)


async def fall_silent(state: State, asked: Asked) -> bool:
    if asked.connection % STARVED == 1 and time.monotonic() - state.first_load > 0.6:
        await asyncio.sleep(3600)
    return await well(state, asked)


async def drift(state: State, asked: Asked) -> bool:
    if state.first_load:
        await asyncio.sleep(0.02 * (time.monotonic() - state.first_load))
    return await well(state, asked)


async def swap(state: State, asked: Asked) -> bool:
    """Now and then two connections get each other's answers."""
    if asked.connection == 0 or asked.number % 4:
        return await well(state, asked)
    if not state.held or state.held[0].connection == asked.connection:
        state.held.append(asked)
        return True
    other = state.held.pop()
    return answer(other, framed(asked.body)) and answer(asked, framed(other.body))


async def torn(state: State, asked: Asked) -> bool:
    """Well, but in pieces, with an interim answer before."""
    whole = b"HTTP/1.1 100 Continue\r\n\r\n" + framed(asked.body)
    for at in range(0, len(whole), 20):
        asked.writer.write(whole[at:at + 20])
        await asked.writer.drain()
        await asyncio.sleep(0)
    return True


def sometimes(wrong: Callable[[Asked], bool]) -> Callable[[State, Asked], Awaitable[bool]]:
    async def handle(state: State, asked: Asked) -> bool:
        return wrong(asked) if asked.is_chosen else await well(state, asked)
    return handle


async def idle_close_each(state: State, asked: Asked) -> bool:
    """A while after each answer, unannounced."""
    answer(asked, framed(asked.body, more=f"X-Connections: {state.connections}\r\n"))
    await asyncio.sleep(0.05)
    return asked.connection == 0


async def reset_second(state: State, asked: Asked) -> bool:
    return reset(asked, b"") if asked.number == 2 else await well(state, asked)


def half(asked: Asked) -> bytes:
    return framed(asked.body[:len(asked.body) // 2], length=len(asked.body))


UNTIL_END = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
MODES: dict[str, Callable[[State, Asked], Awaitable[bool]]] = {
    "well": well, "stall": stall, "starve": starve, "fall_silent": fall_silent, "drift": drift, "swap": swap,
    "torn": torn, "accept_some": well, "early": well, "refuse_503": well,
    "wrong_body": sometimes(lambda a: answer(a, framed(b"J" + a.body[1:]))),
    "short_body": sometimes(lambda a: answer(a, framed(a.body[:-1]))),
    "long_body": sometimes(lambda a: answer(a, framed(a.body + b"!"))),
    "wrong_status": sometimes(lambda a: answer(a, framed(a.body, "500 Oops"))),
    "double": sometimes(lambda a: answer(a, 2 * framed(a.body))),
    "truncated": sometimes(lambda a: leave(a, half(a))),
    "eof": sometimes(leave),
    "reset": sometimes(lambda a: reset(a, half(a))),
    "malformed": sometimes(lambda a: answer(a, b"HTP/1.1 200 OK\r\n\r\n")),
    "hang": sometimes(lambda a: answer(a, half(a))),  # the rest never comes
    "close_each": sometimes(lambda a: leave(a, framed(a.body, more="Connection: close\r\n"))),
    "until_end": sometimes(lambda a: leave(a, UNTIL_END + a.body)),
    "idle_close": sometimes(lambda a: leave(a, framed(a.body))),
    "idle_close_each": idle_close_each, "reset_second": reset_second,
    "vanish": sometimes(lambda a: os._exit(0)),
}


async def read_request(reader: asyncio.StreamReader) -> bytes | None:
    """What its answer must be; None at the end."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        size = re.search(rb"\r\nContent-Length: (\d+)", head)
        if size:
            return await reader.readexactly(int(size[1]))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    own = re.search(rb"[?&]id=(\w+)", head)
    return own[1] if own else HELLO


async def converse(state: State, number: int, own: socket.socket) -> None:
    reader, writer = await asyncio.open_connection(sock=own)
    handle, count = MODES[state.mode], 0
    if number > 0 and state.mode == "early":
        writer.write(framed(HELLO))
    if number >= TAKEN and state.mode == "refuse_503":
        writer.write(framed(b"", "503 Full", more="Connection: close\r\n"))
        writer.close()
        return
    try:
        while (body := await read_request(reader)) is not None:
            count += 1
            if number > 0 and not state.first_load:
                state.first_load = time.monotonic()
            if not await handle(state, Asked(number, count, body, writer)):
                break
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def serve(mode: str) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    listener.setblocking(False)
    print(f"listening on 127.0.0.1:{listener.getsockname()[1]}", flush=True)
    state, running = State(mode), set()
    while not (mode == "accept_some" and state.connections >= TAKEN):
        own, _ = await asyncio.get_running_loop().sock_accept(listener)
        own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = asyncio.create_task(converse(state, state.connections, own))
        running.add(task)
        task.add_done_callback(running.discard)
        state.connections += 1
    await asyncio.sleep(3600)


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in MODES:
        asyncio.run(serve(sys.argv[1]))
    else:
        sys.exit(f"usage: misbehaving_server.py {'|'.join(MODES)}")
