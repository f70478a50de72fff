"""Limits of crowds: many requests of one connection, many connections, and many slow ones beside others."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from client import GET, GET_AND_CLOSE, Client, get, post, take_answer
from limits import TABLE_EVERY_S, connect_small, pair, queued_bytes
from server import CONCURRENT, FIBERS, MODELS, PATIENCE_S, ROOT, SANITIZER, Server, serving, wait_until

# --- many requests of one connection -------------------------------------------------------------

@pytest.mark.parametrize("model", FIBERS)
def test_a_connection_gives_way_after_so_many_answers(model: str) -> None:
    """A step of its task at least for each round of answers, all of which come."""
    count = 300

    def steps(most: int) -> int:
        with serving(model, "--max-pipeline", str(most), workers=1) as server, Client(server.port) as client:
            client.say(GET * count + GET_AND_CLOSE)
            assert client.hear_all().count(b"HTTP/1.1 200 OK") == count + 1
            return int(server.drain()["workers"][0]["polls"])

    assert steps(1) > count > steps(1000) + 100


@pytest.mark.parametrize("model", MODELS)
def test_a_pipeline_longer_than_the_limit_is_answered_in_order(model: str) -> None:
    with serving(model, "--max-pipeline", "7") as server, Client(server.port) as client:
        bodies = [b"%d" % index for index in range(1000)]
        client.say(b"".join(map(post, bodies)))
        assert [client.hear().body for _ in bodies] == bodies


# --- connections ---------------------------------------------------------------------------------

def check_turned_away(client: Client) -> None:
    heard = take_answer(client.hear_all())
    assert heard is not None
    answer, rest = heard
    assert (answer.status, answer.closes, rest) == ("503 Service Unavailable", True, b"")


@pytest.mark.parametrize("model", CONCURRENT)
def test_connections_beyond_the_limit_are_told_so(model: str) -> None:
    """The answer arrives whatever the client has sent already; places become free."""
    with serving(model, "--max-connections", "3") as server, contextlib.ExitStack() as open_:
        inside = [open_.enter_context(Client(server.port)) for _ in range(3)]
        for each in inside:
            assert each.ask(GET).status == "200 OK"
        said = (b"", GET, GET * 1000, post(b"b" * 200_000), b"\xff" * 100)
        for what in said:
            with Client(server.port) as outside:
                outside.say(what)
                check_turned_away(outside)
        for each in inside:
            assert each.ask(GET).status == "200 OK"
        inside.pop().close()

        def is_served() -> bool:
            with Client(server.port) as client:
                client.say(GET_AND_CLOSE)
                return client.hear_all().startswith(b"HTTP/1.1 200 OK")

        wait_until(is_served, "the place that became free is taken")
        assert server.drain()["turned_away"] >= len(said)


def test_serial_lets_the_second_wait() -> None:
    with serving("serial", "--max-connections", "1") as server, Client(server.port) as second:
        with Client(server.port) as first:
            second.say(GET_AND_CLOSE)  # its connection came first
            first.say(GET_AND_CLOSE)
            assert second.hear().status == first.hear().status == "200 OK"
        assert server.drain()["turned_away"] == 0


@pytest.mark.parametrize("model", CONCURRENT)
def test_a_flood_of_refused_connections_costs_little(model: str) -> None:
    """As many as have places are told so with patience; the others may find a reset in place of the answer."""
    places, count = 10, 300 if SANITIZER else 2000
    with serving(model, "--max-connections", str(places)) as server, contextlib.ExitStack() as open_:
        inside = [open_.enter_context(Client(server.port)) for _ in range(places)]
        for each in inside:
            assert each.ask(GET).status == "200 OK"
        at_rest, before = server.descriptors(), server.rss_kib()
        outside = []
        for _ in range(count):
            outside.append(open_.enter_context(Client(server.port)))
            with contextlib.suppress(ConnectionError):
                outside[-1].say(GET)
        wait_until(lambda: server.descriptors() <= at_rest + places, "all but a few are closed, whatever they do")
        for each in inside:
            assert each.ask(GET).status == "200 OK"
        grown = server.rss_kib() - before
        told = 0
        for each in outside:
            with contextlib.suppress(ConnectionResetError):
                check_turned_away(each)
                told += 1
            each.close()
        assert told >= places
        wait_until(lambda: server.descriptors() == at_rest, "the descriptors are back")
        for each in inside:
            assert each.ask(GET).status == "200 OK"
        print(f"{model}: {grown} KiB for {count} refused connections at once")
        if not SANITIZER:
            assert grown < 16 * count
        assert server.drain()["turned_away"] == count


# --- all at once ---------------------------------------------------------------------------------

def check_answers(server: Server, over: threading.Event, errors: list[str], asked: list[int]) -> None:
    """One well-behaved client, until it is over."""
    try:
        with Client(server.port) as client:
            while not over.is_set():
                assert client.ask(GET).body == b"Hello, World!"
                asked[0] += 1
                assert client.ask(post(b"b" * 5000)).body == b"b" * 5000
                time.sleep(0.002)
    except (AssertionError, OSError) as error:
        errors.append(repr(error))


@contextlib.contextmanager
def well_behaved(server: Server, count: int) -> Iterator[None]:
    """So many clients for the length of the block, each of which is answered always and goes on being."""
    over, errors, asked = threading.Event(), list[str](), [[0] for _ in range(count)]
    threads = [threading.Thread(target=check_answers, args=(server, over, errors, each)) for each in asked]
    for each in threads:
        each.start()
    try:
        yield
        seen = [one[0] for one in asked]
        wait_until(lambda: errors != [] or all(one[0] > then for one, then in zip(asked, seen, strict=True)),
                   "every client is answered")
    finally:
        over.set()
        for each in threads:
            each.join()
    assert errors == []


@pytest.mark.parametrize("model", CONCURRENT)
def test_two_hundred_slow_ones_disturb_nobody_and_end(model: str) -> None:
    """Heads, bodies and answers that do not move."""
    half = 30 if SANITIZER else 100
    flags = [each for name in ("header", "body", "write") for each in (f"--{name}-timeout-ms", "3000")]
    with serving(model, *flags) as server, contextlib.ExitStack() as open_:
        at_rest = server.descriptors()
        with well_behaved(server, 3):
            senders = [open_.enter_context(Client(server.port)) for _ in range(half)]
            for index, each in enumerate(senders):
                each.say((GET, post(b"b" * 100))[index % 2][:-10])
            readers = [open_.enter_context(connect_small(server)) for _ in range(half)]
            for reader in readers:
                reader.sendall(get("/bytes?n=10000000"))
            wait_until(lambda: server.descriptors() > at_rest + half, "most are connected at once")
            for each in senders:
                assert each.hear().status == "408 Request Timeout"
            kept = {pair(server, reader) for reader in readers}
            wait_until(lambda: not any(size for of, size in queued_bytes(server.port).items() if of in kept),
                       "the readers are cut", 2 * PATIENCE_S, TABLE_EVERY_S)
        wait_until(lambda: server.descriptors() == at_rest, "the descriptors are back")


@pytest.mark.parametrize("model", CONCURRENT)
def test_a_thousand_slow_heads_and_a_thousand_idle_ones_disturb_nobody(model: str) -> None:
    count = 100 if SANITIZER else 1000
    with serving(model, "--header-timeout-ms", "1500") as server, contextlib.ExitStack() as open_:
        argv = [sys.executable, "-m", "scripts.slow_clients", str(server.port), "--slow", str(count), "--idle",
                str(count), "--pause", "0.7"]
        slow = open_.enter_context(subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True))
        open_.callback(slow.kill)
        assert slow.stdout is not None
        with well_behaved(server, 4):
            assert slow.stdout.readline() == "holding\n"
            asker = open_.enter_context(Client(server.port))
            wait_until(lambda: json.loads(asker.ask(get("/stats")).body)["accepted"] > 3 * count + 10,
                       "the slow ones have been cut and have come back", 2 * PATIENCE_S)
            slow.send_signal(signal.SIGTERM)
            report = json.loads(slow.stdout.readline())
        assert report["lost"] == 0, report
        assert report["cut"] >= count, report
