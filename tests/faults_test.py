"""What fails under a running server: the connection that it hits ends, or the call is made again; all others
are served, at the end nothing is left, and whatever is answered is exact to the byte."""

from __future__ import annotations

import contextlib
import errno
import resource
import select
import socket
import time

import pytest
from client import GET, GET_AND_CLOSE, Client, check_serves, get, mask_dates, post, take_answer
from faults import ALWAYS, BLOCKING, EPOLL, URING, check_books, faulty, is_older_than
from server import CONCURRENT, FIBERS, MODELS, PATIENCE_S, SANITIZER, Server, serving, wait_until


def need_results(point: str) -> None:
    if point.startswith("ring.") and is_older_than(6, 10):
        pytest.skip("a request of io_uring cannot be told its result before Linux 6.10")


def holding(server: Server, count: int) -> tuple[int, int]:
    """That many connections at a time, each asking once: how many were answered, how many closed."""
    answered = closed = 0
    with contextlib.ExitStack() as all_open:
        clients = [all_open.enter_context(socket.create_connection(("127.0.0.1", server.port), PATIENCE_S))
                   for _ in range(count)]
        for each in clients:
            with contextlib.suppress(ConnectionError):
                each.sendall(GET)
        for each in clients:
            heard = b""
            with contextlib.suppress(ConnectionError):
                heard = each.recv(65536)
            if heard:
                assert take_answer(heard), heard
            answered += heard != b""
            closed += heard == b""
    return answered, closed


# --- memory and threads for a connection ---------------------------------------------------------

@pytest.mark.parametrize(("model", "point", "error"),
                         [*((model, point, errno.ENOMEM) for model in FIBERS
                            for point in ("mmap.fiber", "madvise.guard")),
                          ("threads", "mmap.thread", errno.ENOMEM), ("threads", "clone3", errno.EAGAIN)])
def test_what_gets_no_stack_is_closed_and_later_ones_are_served(model: str, point: str, error: int) -> None:
    count = 150  # more than are mapped at once
    with faulty(model, (point,)) as (server, faults):
        faults.fail(point, error)
        answered, closed = holding(server, count)
        if not faults.hits(point) and point == "madvise.guard":
            pytest.skip("this kernel has no guard pages: mprotect guards the stacks")
        assert closed > 0 and faults.hits(point) > 0
        assert answered + closed == count
        assert answered > 0 or model == "threads"
        faults.stop(point)
        assert holding(server, count) == (count, 0)
        check_books(server)


@pytest.mark.parametrize("model", EPOLL)
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.ENOMEM])
def test_what_epoll_does_not_take_is_closed(model: str, error: int) -> None:
    with faulty(model, ("epoll_ctl.add",)) as (server, faults):
        faults.fail("epoll_ctl.add", error, every=2, times=5)
        assert holding(server, 20) == (15, 5)
        check_serves(server)
        check_books(server)
        assert server.errors.count("\n") == 1, server.errors  # the line at the end


# --- waiting for events --------------------------------------------------------------------------

@pytest.mark.parametrize(("model", "point", "error"),
                         [*((model, "epoll_wait", errno.EINTR) for model in EPOLL),
                          *((model, "io_uring_enter", error) for model in URING
                            for error in (errno.EINTR, errno.EAGAIN, errno.EBUSY))])
@pytest.mark.parametrize("every", [1, 2, 3])
def test_a_wait_that_fails_is_made_again(model: str, point: str, error: int, every: int) -> None:
    """The first 20 in a row, or every second or third of them."""
    with faulty(model, (point,)) as (server, faults):
        check_serves(server)
        faults.fail(point, error, every=every, times=20)
        deadline = time.monotonic() + PATIENCE_S
        while faults.hits(point) < 20:
            assert time.monotonic() < deadline, "it hardly waits"
            assert holding(server, 10) == (10, 0)
            with Client(server.port) as client:
                for _ in range(5):
                    assert client.ask(GET).body == b"Hello, World!"
        check_books(server)


@pytest.mark.parametrize("model", [*EPOLL, *URING])
def test_waits_that_fail_do_not_hold_up_a_drain(model: str) -> None:
    point, error = ("epoll_wait", errno.EINTR) if model in EPOLL else ("io_uring_enter", errno.EAGAIN)
    with faulty(model, (point,)) as (server, faults), Client(server.port) as client:
        client.say(get("/sleep?ms=300"))
        time.sleep(0.1)
        faults.fail(point, error, every=2)
        server.drain()
        assert client.hear().body == b"slept 300 ms\n"
        assert faults.hits(point) > 0


# --- accepting -----------------------------------------------------------------------------------

EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def accept_point(model: str) -> str:
    return "ring.accept" if model in URING else "accept4"


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("error", [*EXHAUSTED, errno.ECONNABORTED, errno.EINTR])
def test_an_accept_that_fails_is_made_again(model: str, error: int) -> None:
    point = accept_point(model)
    need_results(point)
    with faulty(model, (point,), at_start=lambda faults: faults.fail(point, error, times=4)) as (server, faults):
        check_serves(server)
        wait_until(lambda: faults.hits(point) == 4, "four failures")
        check_serves(server)
        check_books(server)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("error", [*EXHAUSTED, errno.EPERM, errno.EINVAL, errno.EOPNOTSUPP])
def test_accepting_rests_while_it_cannot(model: str, error: int) -> None:
    """At most one attempt in 20 ms for each listening socket, counted; then all who waited are served."""
    point = accept_point(model)
    need_results(point)
    began = time.monotonic()
    with faulty(model, (point,), at_start=lambda faults: faults.fail(point, error)) as (server, faults):
        with contextlib.ExitStack() as open_clients:
            clients = [open_clients.enter_context(Client(server.port)) for _ in range(10)]
            for each in clients:
                each.say(GET_AND_CLOSE)
            wait_until(lambda: faults.hits(point) >= 5, "five failures")
            hits, passed = faults.hits(point), time.monotonic() - began
            assert hits <= 2 * passed / 0.02 + 10
            faults.stop(point)
            for each in clients:
                assert each.hear().body == b"Hello, World!"
        check_books(server)


def allow_64_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


@pytest.mark.skipif("undefined" in SANITIZER, reason="UBSan itself needs a descriptor for each check of a type")
@pytest.mark.parametrize("model", CONCURRENT)
def test_out_of_descriptors_for_real(model: str) -> None:
    """More clients than descriptors; attempts to accept are counted, not time."""
    point, count = accept_point(model), 100
    with faulty(model, (point,), before_exec=allow_64_descriptors) as (server, faults):
        check_serves(server)
        before = faults.calls(point)
        began = time.monotonic()
        with contextlib.ExitStack() as open_clients:
            clients = [open_clients.enter_context(Client(server.port)) for _ in range(count)]
            for each in clients:
                each.say(GET)
            wait_until(lambda: faults.calls(point) >= before + 10, "accepting is tried again")
            time.sleep(0.3)
            attempts, passed = faults.calls(point) - before, time.monotonic() - began
            assert attempts <= count + 2 * passed / 0.02 + 10, "it spins"
            # Whoever is served leaves, and makes room for one who waits.
            waiting = clients
            deadline = time.monotonic() + PATIENCE_S
            while waiting:
                assert time.monotonic() < deadline, f"{len(waiting)} of {count} wait for ever"
                waiting = [each for each in waiting if not answered_and_closed(each)]
        check_serves(server)
        check_books(server)


def answered_and_closed(client: Client) -> bool:
    if not select.select([client], [], [], 0.01)[0]:
        return False
    assert client.hear().body == b"Hello, World!"
    client.close()
    return True


# --- sending and receiving -----------------------------------------------------------------------

def conversation() -> list[bytes]:
    """Said at once each, and every answer compared: pipelined, large out, large in."""
    return [GET * 40, get("/bytes?n=300000") + GET + get("/bytes?n=70000"), post(b"0123456789" * 6000),
            GET + post(b"x" * 9)]


def converse(port: int, slowly: bool = False) -> list[bytes]:
    heard = []
    for said in conversation():
        with socket.socket() as client:
            if slowly:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(PATIENCE_S)
            client.connect(("127.0.0.1", port))
            last = get("/", "Connection: close")
            client.sendall(said + last)
            parts = []
            while part := client.recv(3000 if slowly else 1 << 20):
                parts.append(part)
                if slowly:
                    time.sleep(0.001)
            heard.append(mask_dates(b"".join(parts)))
    return heard


# What a transfer may meet and recover from: the error, or how few bytes it carries.
MISHAPS: list[tuple[str, str, int, int, tuple[str, ...]]] = [
    *((model, point, error, cut, ()) for model in BLOCKING for point, error, cut in
      [("sendto", errno.EINTR, 0), ("sendto", errno.EAGAIN, 0), ("sendto", 0, 100), ("sendto", 0, 1),
       ("recvfrom", errno.EINTR, 0), ("recvfrom", errno.EAGAIN, 0), ("recvfrom", 0, 100), ("recvfrom", 0, 1)]),
    *((model, point, errno.EINTR, 0, ()) for model in EPOLL for point in ("sendto", "recvfrom")),
    *((model, point, error, cut, ()) for model in URING for point, error, cut in
      [("ring.send", errno.EINTR, 0), ("ring.send", 0, 100), ("ring.send", 0, 1),
       ("ring.recv", errno.EINTR, 0), ("ring.recv", errno.ENOBUFS, 0), ("ring.recv", 0, 100), ("ring.recv", 0, 1)]),
    *(("sharded", "sendto", error, cut, ("--uring-send", "direct")) for error, cut in
      [(errno.EINTR, 0), (errno.EAGAIN, 0), (0, 100)]),
    *(("sharded", "ring.send_zc", error, cut, ("--uring-send", "zero-copy")) for error, cut in
      [(errno.EINTR, 0), (errno.ENOMEM, 0), (0, 100)]),
]


def explain(value: object) -> str:
    return "" if value == () or value == 0 else str(value)


@pytest.mark.parametrize(("model", "point", "error", "cut", "flags"), MISHAPS, ids=explain)
def test_the_bytes_are_exact_whatever_a_transfer_meets(model: str, point: str, error: int, cut: int,
                                                       flags: tuple[str, ...]) -> None:
    if error:
        need_results(point)
    with faulty(model, (point,), *flags) as (server, faults):
        expected = converse(server.port)
        # One byte at a time is for the first 200: an answer has more of them than a test has time.
        faults.fail(point, error, cut=cut, every=2, times=200 if cut == 1 else ALWAYS)
        assert converse(server.port) == expected
        assert faults.hits(point) > 0
        check_books(server)


@pytest.mark.parametrize("model", MODELS)
def test_the_bytes_are_exact_for_a_client_with_no_room(model: str) -> None:
    """The kernel takes less than it is offered, for real."""
    with serving(model) as server:
        assert converse(server.port, slowly=True) == converse(server.port)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("which", ["send", "receive"])
@pytest.mark.parametrize("error", [errno.ECONNRESET, errno.EIO, errno.ENOMEM])
def test_a_transfer_that_fails_ends_its_connection_only(model: str, which: str, error: int) -> None:
    point = {"send": "ring.send", "receive": "ring.recv"}[which] if model in URING else \
        {"send": "sendto", "receive": "recvfrom"}[which]
    need_results(point)
    with faulty(model, (point,)) as (server, faults):
        check_serves(server)
        faults.fail(point, error, skip=1, every=2, times=4)
        for _ in range(12):
            with Client(server.port) as client, contextlib.suppress(ConnectionError):
                client.say(get("/bytes?n=100000", "Connection: close"))
                heard = client.hear_all()
                assert heard.startswith(b"HTTP/1.1 200 OK\r\n") or heard == b""
        assert faults.hits(point) == 4
        faults.stop(point)
        check_serves(server)
        check_books(server)
