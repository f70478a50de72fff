"""What the other end of a connection, and whoever may send signals, can do to a running server: nothing that
lasts. Every connection ends, everybody else is served, and a server that is left alone does nothing."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import select
import signal
import socket
import struct
import time

import pytest
from client import GET, Client, check_serves, get, post
from faults import EPOLL, URING, check_books
from server import MODELS, PATIENCE_S, Server, serving

# A head, a body in chunks, a trailer, and another request in the same breath.
WHOLE = (b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
         b"5\r\nhello\r\n1a\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nTrailer: x\r\n\r\n") + GET
HEAD_SIZE = len(b"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/plain\r\n"
                b"Content-Length: 3000000\r\n\r\n")
SAMPLED = (0, 1, HEAD_SIZE - 1, HEAD_SIZE, HEAD_SIZE + 1, 2048, 16_383, 16_384, 65_535, 65_536, 65_537, 200_000,
           1_000_000, 2_999_999, HEAD_SIZE + 2_999_999, HEAD_SIZE + 3_000_000)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("pause_s", [0, 0.002], ids=["at once", "once it has arrived"])
def test_a_reset_after_every_byte_of_a_request(model: str, pause_s: float) -> None:
    with serving(model) as server:
        for size in range(len(WHOLE) + 1):
            client = Client(server.port)
            client.say(WHOLE[:size])
            time.sleep(pause_s)
            client.reset()
        check_serves(server)
        check_books(server)


def take(client: socket.socket, size: int) -> None:
    while size > 0:
        part = client.recv(min(size, 1 << 16))
        assert part, f"{size} bytes are missing"
        size -= len(part)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("how", ["reset", "close"])
@pytest.mark.parametrize("asked", [get("/bytes?n=3000000"), get("/bytes?n=3000000") * 3 + GET],
                         ids=["one answer", "more to come"])
def test_gone_at_any_byte_of_an_answer(model: str, how: str, asked: bytes) -> None:
    """Those that close leave bytes unread, or not."""
    with serving(model) as server:
        for size in SAMPLED:
            with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as client:
                client.sendall(asked)
                take(client, size)
                if how == "reset":
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        check_serves(server)
        check_books(server)


@pytest.mark.parametrize("model", MODELS)
def test_answers_to_nobody(model: str) -> None:
    """Gone before the handler has an answer, which then meets a closed connection again and again."""
    with serving(model) as server:
        for _ in range(20):
            with Client(server.port) as client:
                client.say(get("/sleep?ms=20") + get("/bytes?n=100000") * 20)
        check_serves(server)
        server.signal(signal.SIGPIPE)
        check_serves(server)
        check_books(server)


# --- urgent data ---------------------------------------------------------------------------------

def say_urgently(client: socket.socket, said: bytes, cut: int) -> None:
    """With a byte between that is none of the stream's."""
    client.sendall(said[:cut])
    client.send(b"!", socket.MSG_OOB)
    client.sendall(said[cut:])


@pytest.mark.parametrize("model", MODELS)
def test_urgent_data_is_left_out(model: str) -> None:
    """A request around it is answered as if it were not there, when its rest comes after the mark was met."""
    said = post(b"hello")
    with serving(model) as server:
        for cut in range(1, len(said), 7):
            with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as client:
                client.sendall(said[:cut])
                client.send(b"!", socket.MSG_OOB)
                time.sleep(0.02)
                client.sendall(said[cut:])
                assert select.select([client], [], [], PATIENCE_S)[0], f"no answer, cut at {cut}"
                heard = client.recv(65536)
                assert heard.startswith(b"HTTP/1.1 200 OK\r\n") and heard.endswith(b"\r\n\r\nhello"), heard
        check_serves(server)
        check_books(server)


@pytest.mark.parametrize("model", MODELS)
def test_what_waits_behind_an_urgent_mark_is_read_or_times_out(model: str) -> None:
    """The kernel ends a read at the mark. epoll's edge for what stands behind it has passed by then: the
    deadline ends what a reader of short reads believes to be all (runtimes/drivers/epoll/readiness.hpp)."""
    with serving(model, "--header-timeout-ms", "500") as server:
        with Client(server.port) as client, socket.socket(fileno=os.dup(client.fileno())) as same:
            client.say(get("/sleep?ms=200"))
            time.sleep(0.05)
            say_urgently(same, GET, 10)  # all of it is there when the server reads again
            assert client.hear().body == b"slept 200 ms\n"
            assert client.hear().status in (("200 OK", "408 Request Timeout") if model in EPOLL else ("200 OK",))
        check_serves(server)
        check_books(server)


# --- signals, and nothing at all -----------------------------------------------------------------

@pytest.mark.parametrize("model", MODELS)
def test_signals_that_mean_nothing_disturb_nobody(model: str) -> None:
    """Stopping and going on interrupts every wait, for real."""
    with serving(model) as server:
        for what in (signal.SIGPIPE, signal.SIGCHLD, signal.SIGWINCH, signal.SIGURG):
            server.signal(what)
        body = b"0123456789" * 5000
        with Client(server.port) as client:
            for _ in range(20):
                client.say(post(body)[:30_000])
                server.signal(signal.SIGSTOP)
                server.signal(signal.SIGCONT)
                client.say(post(body)[30_000:])
                assert client.hear().body == body
        check_serves(server)
        check_books(server)


def disturb(server: Server) -> None:
    for said in (b"", GET[:10], post(b"x" * 1000)[:200], get("/bytes?n=3000000"), b"\xff\xff"):
        with Client(server.port) as client:
            client.say(said)
        client = Client(server.port)
        client.say(said)
        client.reset()


@pytest.mark.parametrize("model", MODELS)
def test_a_server_that_is_left_alone_does_nothing(model: str) -> None:
    """Whatever it has seen before, and with connections that say nothing or only half of a request."""
    with serving(model) as server, contextlib.ExitStack() as all_open:
        check_serves(server)
        disturb(server)
        count = 1 if model == "serial" else 20
        idle = [all_open.enter_context(Client(server.port)) for _ in range(count)]
        for number, each in enumerate(idle):
            if number % 2 == 0:
                assert each.ask(GET).status == "200 OK"
            if number % 4 > 1:
                each.say(GET[:10])
        time.sleep(0.3)
        before = server.cpu_seconds()
        time.sleep(1)
        used = server.cpu_seconds() - before
        assert used < 0.3, f"{used:.2f} s of CPU in a second of nothing"


# --- what runs out -------------------------------------------------------------------------------

@pytest.mark.parametrize("model", URING)
@pytest.mark.parametrize("flags", [(), ("--uring-recv", "oneshot")], ids=["", "oneshot"])
def test_more_unread_bytes_than_buffers(model: str, flags: tuple[str, ...]) -> None:
    """A ring begins with 128 of 2 KiB, and gets more when somebody asks for bytes. Here nobody does: behind
    requests that wait, 500 connections send 20 of them each."""
    count, body = 500, b"0123456789" * 4000
    if model == "stealing/uring" and flags:
        pytest.skip("a switch of sharded")
    with serving(model, *flags, workers=1) as server, contextlib.ExitStack() as all_open:
        clients = [all_open.enter_context(Client(server.port)) for _ in range(count)]
        for each in clients:
            each.say(get("/sleep?ms=1000"))
        for each in clients:
            each.say(post(body))
        for each in clients:
            assert each.hear().body == b"slept 1000 ms\n"
            assert each.hear().body == body
        check_serves(server)
        check_books(server)


def allow_small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))


@pytest.mark.parametrize("model", ["serial", "stealing"])
def test_a_stats_file_that_may_not_grow_is_reported(model: str) -> None:
    """The kernel says it by a signal as well."""
    with serving(model, before_exec=allow_small_files) as server:
        check_serves(server)
        server.signal(signal.SIGTERM)
        assert server.await_end() == 1, server.errors
        assert os.strerror(errno.EFBIG) in server.errors and "(" in server.errors
        server.stats = {"live": {"tasks": 0, "stacks": 0, "descriptors": 0}}  # it could not say so
