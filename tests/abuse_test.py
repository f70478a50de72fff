"""Clients that misbehave and descriptors that run out: bounded cost, recovery, and never another
client's bytes. Each server must then still serve, drain, and leave nothing."""

from __future__ import annotations

import contextlib
import random
import resource
import selectors
import socket
import threading
import time

import pytest
from client import GET, Client, check_serves, get, post, take_answer
from server import CONCURRENT, MODELS, PATIENCE_S, SANITIZER, serving, wait_until


@pytest.mark.parametrize("model", MODELS)
def test_garbage_is_refused(model: str) -> None:
    draw = random.Random(7)
    with serving(model) as server:
        for size in (1, 10, 100, 1000, 10_000, 100_000):
            with Client(server.port) as client, contextlib.suppress(ConnectionError):
                client.say(b"\xff" + draw.randbytes(size))
                assert client.hear_all().startswith(b"HTTP/1.1 400 Bad Request\r\n")
        check_serves(server)


@pytest.mark.parametrize("model", MODELS)
def test_clients_that_reset_do_no_harm(model: str) -> None:
    """At every stage: silent, half a head, half a body, in a handler, with an answer unread."""
    stages = [b"", GET[:10], post(b"x" * 1000)[:200], get("/sleep?ms=50"), get("/bytes?n=3000000"), GET * 50]
    with serving(model) as server:
        for said in stages * 5:
            client = Client(server.port)
            client.say(said)
            time.sleep(0.003)
            client.reset()
        check_serves(server)


@pytest.mark.parametrize("model", MODELS)
def test_a_slow_head_is_given_up_at_its_deadline(model: str) -> None:
    """However steadily it trickles."""
    with serving(model, "--header-timeout-ms", "400") as server, Client(server.port) as client:
        began = time.monotonic()
        over = threading.Event()

        def trickle() -> None:
            with contextlib.suppress(OSError):
                client.say(b"GET / HTTP/1.1\r\nX: ")
                while not over.wait(0.02):
                    client.say(b"x")

        trickler = threading.Thread(target=trickle)
        trickler.start()
        try:
            assert client.hear().status == "408 Request Timeout"
        finally:
            over.set()
            trickler.join()
        assert 0.35 <= time.monotonic() - began  # not before its time
        client.close()
        check_serves(server)


@pytest.mark.parametrize("model", MODELS)
def test_a_silent_client_is_closed_when_idle_too_long(model: str) -> None:
    with serving(model, "--idle-timeout-ms", "300") as server:
        for said in (b"", GET):
            with Client(server.port) as client:
                client.say(said)
                assert client.hear_all().count(b"HTTP/1.1 200 OK") == len(said) // len(GET)


@pytest.mark.parametrize("model", MODELS)
def test_a_client_that_never_reads_is_cut_and_costs_little(model: str) -> None:
    with serving(model, "--write-timeout-ms", "500") as server:
        at_rest = server.descriptors()
        check_serves(server)
        wait_until(lambda: server.descriptors() == at_rest, "the first client is gone")
        before = peak = server.rss_kib()
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as greedy:
            wait_until(lambda: server.descriptors() > at_rest, "the greedy client is connected")
            greedy.setblocking(False)
            left = get("/bytes?n=100000") * 2000
            deadline = time.monotonic() + PATIENCE_S
            # The client's kernel may never hear of the close; the server's descriptors tell.
            while server.descriptors() > at_rest:
                assert time.monotonic() < deadline, "still connected"
                with contextlib.suppress(BlockingIOError, ConnectionError):
                    left = left[greedy.send(left):]
                peak = max(peak, server.rss_kib())
                time.sleep(0.01)
        if not SANITIZER:
            assert peak - before < 8 * 1024, f"{peak - before} KiB for one client"
        check_serves(server)


@pytest.mark.parametrize("model", CONCURRENT)
@pytest.mark.parametrize("workers", [1, 2])
def test_nobody_gets_anothers_bytes(model: str, workers: int) -> None:
    """Bodies of one letter a client, in small and large pieces, at the same time."""
    wrong: list[str] = []
    rounds = 30 if SANITIZER else 150

    def echo(letter: bytes, port: int) -> None:
        draw = random.Random(letter)
        with Client(port) as client:
            for _ in range(rounds):
                body = letter * draw.choice((1, 100, 5000, 16384, 50_000))
                asked = post(body)
                cut = draw.randrange(len(asked))
                client.say(asked[:cut])
                client.say(asked[cut:])
                if (heard := client.hear().body) != body:
                    wrong.append(f"{letter!r} x {len(body)} came back as {heard[:50]!r} x {len(heard)}")

    with serving(model, workers=workers) as server:
        threads = [threading.Thread(target=echo, args=(bytes([letter]), server.port)) for letter in b"abcdef"]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert wrong == []
        assert server.drain()["requests"] == len(threads) * rounds


def allow_64_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


@pytest.mark.skipif("undefined" in SANITIZER, reason="UBSan itself needs a descriptor for each check of a type")
@pytest.mark.parametrize("model", CONCURRENT)
def test_too_few_descriptors_delay_but_do_not_spin(model: str) -> None:
    """500 clients that keep their connections: some wait in the backlog until others leave."""
    count = 500
    with serving(model, before_exec=allow_64_descriptors) as server, selectors.DefaultSelector() as wait:
        clients = [socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) for _ in range(count)]
        for each in clients:
            each.sendall(GET)
            wait.register(each, selectors.EVENT_READ)
        time.sleep(0.5)
        served_at_once = len(wait.select(0))
        assert 10 <= served_at_once < 64, "the limit did not bite"
        before = server.cpu_seconds()
        time.sleep(1)
        used = server.cpu_seconds() - before
        assert used < 0.5, f"{used:.2f} s of CPU in a second of waiting"

        deadline = time.monotonic() + PATIENCE_S
        answered = 0
        while answered < count:
            assert time.monotonic() < deadline, f"only {answered} of {count} were served"
            for key, _ in wait.select(0.2):
                mine = key.fileobj
                assert isinstance(mine, socket.socket)
                taken = take_answer(mine.recv(65536))
                assert taken is not None and taken[0].status == "200 OK"
                answered += 1
                wait.unregister(mine)
                mine.close()
        check_serves(server, times=1)
        stats = server.drain()
        assert (stats["accepted"], stats["served"]) == (count + 1, count + 1)


@pytest.mark.skipif("undefined" in SANITIZER, reason="UBSan itself needs a descriptor for each check of a type")
@pytest.mark.parametrize("model", CONCURRENT)
def test_a_drain_needs_no_descriptor(model: str) -> None:
    """Those who were let in are answered, those who wait outside see the end."""
    with serving(model, before_exec=allow_64_descriptors) as server, contextlib.ExitStack() as all_open:
        clients = [all_open.enter_context(Client(server.port)) for _ in range(100)]
        for each in clients:
            each.say(get("/sleep?ms=700"))
        time.sleep(0.3)
        stats = server.drain()
        assert 10 <= stats["accepted"] < 64 and stats["requests"] == stats["accepted"]
        answered = 0
        for each in clients:
            with contextlib.suppress(ConnectionError):
                answered += each.hear_all().endswith(b"slept 700 ms\n")
        assert answered == stats["requests"]
