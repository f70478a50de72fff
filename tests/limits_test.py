"""Limits and deadlines: each one holds, what is just within it passes, and nobody else notices."""

from __future__ import annotations

import contextlib
import json
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from client import GET, GET_AND_CLOSE, Client, get, post, take_answer
from server import BINARY, CONCURRENT, FIBERS, MODELS, PATIENCE_S, ROOT, SANITIZER, Server, serving, wait_until

# What `duel-server --help` says of each, and that a server without flags is safe with.
DEFAULTS = {"header-timeout-ms": 10_000, "body-timeout-ms": 30_000, "idle-timeout-ms": 60_000,
            "write-timeout-ms": 30_000, "max-header-bytes": 16_384, "max-body-bytes": 1 << 20, "max-pipeline": 64,
            "max-connections": 0, "max-queued-bytes": 262_144}
MOST_TARGET = 8192
# The size of the blocks that a write's deadline is for, which is also what a system call may queue at once.
BLOCK = 64 * 1024


def test_the_help_states_every_limit_and_its_default() -> None:
    text = subprocess.run([BINARY, "--help"], capture_output=True, text=True, check=True, timeout=PATIENCE_S).stdout
    stated = {name: int(value) for name, value in
              re.findall(r"^\s+--((?:\w+-timeout|max)-[\w-]+) UINT:\S+=(\d+)$", text, re.MULTILINE)}
    del stated["max-kv-bytes"]  # the store's, not a connection's
    assert stated == DEFAULTS
    assert str(MOST_TARGET) in text


def check_serves(server: Server) -> None:
    with Client(server.port) as client:
        assert client.ask(GET).body == b"Hello, World!"


def check_closed_without_a_word(client: Client) -> None:
    assert client.hear_all() == b""


@contextlib.contextmanager
def not_before(seconds: float) -> Iterator[None]:
    """A deadline that comes early is wrong on any machine; how late it comes is the machine's affair."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began > seconds - 0.05


# --- time ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("model", MODELS)
def test_a_head_has_its_time(model: str) -> None:
    with serving(model, "--header-timeout-ms", "1000") as server, Client(server.port) as client:
        client.say(GET[:9])
        time.sleep(0.3)
        assert client.ask(GET[9:]).status == "200 OK"
        with not_before(1.0):
            answer = client.ask(GET[:9])
        assert (answer.status, answer.closes) == ("408 Request Timeout", True)
        check_closed_without_a_word(client)
        check_serves(server)


@pytest.mark.parametrize("model", MODELS)
def test_the_next_request_has_its_time(model: str) -> None:
    with serving(model, "--idle-timeout-ms", "1000") as server, Client(server.port) as client:
        assert client.ask(GET).status == "200 OK"
        time.sleep(0.3)
        assert client.ask(GET).status == "200 OK"
        with not_before(1.0):
            check_closed_without_a_word(client)
        check_serves(server)


@pytest.mark.parametrize("model", MODELS)
def test_each_block_of_a_body_has_its_time(model: str) -> None:
    """A body may take longer than that in all, but not with a byte now and then."""
    with serving(model, "--body-timeout-ms", "1600") as server, Client(server.port) as client:
        whole = post(b"b" * 4 * BLOCK)
        with not_before(1.6):
            client.say_in_pieces([whole[at:at + BLOCK] for at in range(0, len(whole), BLOCK)], 0.45)
        assert client.hear().body == b"b" * 4 * BLOCK
        client.say(post(b"b" * 1000)[:-1000])
        with not_before(1.6), contextlib.suppress(ConnectionError):
            while not select.select([client], [], [], 0.02)[0]:
                client.say(b"b")
        answer = client.hear()
        assert (answer.status, answer.closes) == ("408 Request Timeout", True)
        check_serves(server)


def connect_small(server: Server) -> socket.socket:
    """A client whose kernel takes little: 16 KiB and what belongs to it."""
    made = socket.socket()
    made.settimeout(PATIENCE_S)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
    made.connect(("127.0.0.1", server.port))
    return made


@pytest.mark.parametrize("model", MODELS)
def test_each_block_of_an_answer_has_its_time(model: str) -> None:
    """A steady reader gets all of an answer that takes longer; one that stops is cut, and nothing waits for it."""
    flags = ("--write-timeout-ms", "1000", "--max-queued-bytes", str(BLOCK))
    with serving(model, *flags) as server, connect_small(server) as client:
        size = 3 << 20
        client.sendall(get(f"/bytes?n={size}"))
        heard = b""
        with not_before(1.0):
            while (taken := take_answer(heard)) is None:
                heard += client.recv(BLOCK)
                time.sleep(0.02)
        assert len(taken[0].body) == size
        held = server.descriptors()
        with not_before(1.0):
            client.sendall(get(f"/bytes?n={100 * size}"))
            wait_until(lambda: server.descriptors() < held, "the client that stopped is gone")
        wait_until(lambda: queued_bytes(server, client) <= 0, "what it did not read has left the kernel")
        with pytest.raises(ConnectionResetError):
            while client.recv(BLOCK):
                pass
        check_serves(server)


# --- bytes ---------------------------------------------------------------------------------------

def sized_head(size: int) -> bytes:
    return GET_AND_CLOSE[:-2] + b"X: " + b"x" * (size - len(GET_AND_CLOSE) - 5) + b"\r\n\r\n"


def chunked(*sizes: int) -> bytes:
    return (b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"".join(b"%x\r\n%s\r\n" % (size, b"b" * size) for size in sizes) + b"0\r\n\r\n")


@pytest.mark.parametrize("model", MODELS)
def test_requests_have_their_sizes(model: str) -> None:
    """To the byte, with limits as they are and as they are set."""
    for flags, head, body in (((), DEFAULTS["max-header-bytes"], DEFAULTS["max-body-bytes"]),
                              (("--max-header-bytes", "300", "--max-body-bytes", "1000"), 300, 1000)):
        cases = [(sized_head(head), "200 OK"), (sized_head(head + 1), "431 Request Header Fields Too Large"),
                 (post(b"b" * body), "200 OK"), (post(b"b" * (body + 1)), "413 Content Too Large"),
                 (chunked(body - 7, 7), "200 OK"), (chunked(body - 7, 8), "413 Content Too Large")]
        if head > MOST_TARGET + 100:
            cases += [(get("/" + "a" * (MOST_TARGET - 1)), "404 Not Found"),
                      (get("/" + "a" * MOST_TARGET), "414 URI Too Long")]
        with serving(model, *flags) as server:
            for asked, status in cases:
                with Client(server.port) as client:
                    answer = client.ask(asked)
                    assert answer.status == status, asked[:100]
                    if not status.startswith(("200", "404")):
                        assert answer.closes
                        check_closed_without_a_word(client)


# --- bytes on the way to a client ----------------------------------------------------------------

def queued_bytes(server: Server, client: socket.socket) -> int:
    """What the server's kernel keeps for the client, sent or not; -1 when the connection is gone."""
    here = f"0100007F:{server.port:04X} 0100007F:{client.getsockname()[1]:04X} "
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, _, rest = line.partition(": ")
        if rest.startswith(here):
            return int(rest.split()[3].partition(":")[0], 16)
    return -1


def most_queued(server: Server, client: socket.socket) -> int:
    """Once the server has said all that its kernel takes."""
    seen = [0]
    deadline = time.monotonic() + PATIENCE_S
    while len(seen) < 15 or len(set(seen[-15:])) > 1 or seen[-1] == 0:
        assert time.monotonic() < deadline, seen
        seen.append(queued_bytes(server, client))
        time.sleep(0.02)
    return max(seen)


@pytest.mark.parametrize("model", MODELS)
def test_the_kernel_keeps_few_bytes_for_a_client_that_never_reads(model: str) -> None:
    """Without the limit, many. Beyond it may be one block, and what the client's kernel has not acknowledged."""
    for flags, least, most in ((("--max-queued-bytes", "32768"), 0, 32_768 + 3 * BLOCK),
                               ((), 0, DEFAULTS["max-queued-bytes"] + 3 * BLOCK),
                               (("--max-queued-bytes", "0"), DEFAULTS["max-queued-bytes"] + 3 * BLOCK, 1 << 30)):
        with serving(model, *flags) as server, connect_small(server) as client:
            client.sendall(get("/bytes?n=100000000"))
            assert least < most_queued(server, client) <= most, flags


@pytest.mark.parametrize("model", MODELS)
def test_a_client_that_pipelines_and_never_reads_costs_little_and_is_cut(model: str) -> None:
    count = 5000 if SANITIZER else 100_000
    with serving(model, "--write-timeout-ms", "2000") as server:
        at_rest = server.descriptors()
        for _ in range(3):
            with Client(server.port) as warm_up:
                warm_up.say(GET * 1000 + GET_AND_CLOSE)
                assert warm_up.hear_all().count(b"HTTP/1.1 200 OK") == 1001
        wait_until(lambda: server.descriptors() == at_rest, "the first clients are gone")
        before = peak = server.rss_kib()
        most = 0
        with connect_small(server) as greedy:
            greedy.setblocking(False)
            left = get("/bytes?n=1000") * count
            deadline = time.monotonic() + PATIENCE_S
            wait_until(lambda: server.descriptors() > at_rest, "the greedy client is connected")
            while server.descriptors() > at_rest:
                assert time.monotonic() < deadline, "still connected"
                with contextlib.suppress(BlockingIOError, ConnectionError):
                    left = left[greedy.send(left):]
                peak = max(peak, server.rss_kib())
                most = max(most, queued_bytes(server, greedy))
                time.sleep(0.02)
            wait_until(lambda: queued_bytes(server, greedy) <= 0, "its bytes have left the kernel")
        assert 0 < most <= DEFAULTS["max-queued-bytes"] + 3 * BLOCK
        if not SANITIZER:
            assert peak - before < 1024, f"{peak - before} KiB for one client"
        check_serves(server)


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
    count = 300 if SANITIZER else 2000
    with serving(model, "--max-connections", "10") as server, contextlib.ExitStack() as open_:
        inside = [open_.enter_context(Client(server.port)) for _ in range(10)]
        for each in inside:
            assert each.ask(GET).status == "200 OK"
        at_rest, before = server.descriptors(), server.rss_kib()
        outside = []
        for _ in range(count):
            outside.append(open_.enter_context(Client(server.port)))
            outside[-1].say(GET)
        for each in inside:
            assert each.ask(GET).status == "200 OK"
        grown = server.rss_kib() - before
        for each in outside:
            check_turned_away(each)
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
    flags = [each for name in ("header", "body", "write") for each in (f"--{name}-timeout-ms", "3000")]
    with serving(model, *flags) as server, contextlib.ExitStack() as open_:
        at_rest = server.descriptors()
        with well_behaved(server, 3):
            senders = [open_.enter_context(Client(server.port)) for _ in range(100)]
            for index, each in enumerate(senders):
                each.say((GET, post(b"b" * 100))[index % 2][:-10])
            readers = [open_.enter_context(connect_small(server)) for _ in range(100)]
            for reader in readers:
                reader.sendall(get("/bytes?n=10000000"))
            wait_until(lambda: server.descriptors() > at_rest + 100, "most are connected at once")
            for each in senders:
                assert each.hear().status == "408 Request Timeout"
            for reader in readers:
                wait_until(lambda: queued_bytes(server, reader) <= 0, "it is cut")
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
