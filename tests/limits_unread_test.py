"""Limits of what waits for a client that does not read, or slowly: in time, in the kernel and in the server."""

from __future__ import annotations

import contextlib
import time

import pytest
from client import GET, GET_AND_CLOSE, Client, check_serves, get, take_answer
from limits import BLOCK, DEFAULTS, TABLE_EVERY_S, connect_small, not_before, pair, queued_bytes
from server import MODELS, PATIENCE_S, SANITIZER, serving, wait_until

PIECE = BLOCK // 4


@pytest.mark.parametrize("model", MODELS)
def test_each_block_of_an_answer_has_its_time(model: str) -> None:
    """A steady reader gets all of an answer that takes longer; one that stops is cut, and nothing waits for it."""
    flags = ("--write-timeout-ms", "1000", "--max-queued-bytes", str(BLOCK))
    with serving(model, *flags) as server, connect_small(server) as client:
        size = 80 * PIECE
        client.sendall(get(f"/bytes?n={size}"))
        heard = b""
        with not_before(1.0):
            while (taken := take_answer(heard)) is None:
                heard += client.recv(PIECE)
                time.sleep(0.02)
        assert len(taken[0].body) == size
        held = server.descriptors()
        with not_before(1.0):
            client.sendall(get(f"/bytes?n={100 * size}"))
            wait_until(lambda: server.descriptors() < held, "the client that stopped is gone")
        wait_until(lambda: not queued_bytes(server.port).get(pair(server, client)),
                   "what it did not read has left the kernel", every_s=TABLE_EVERY_S)
        with pytest.raises(ConnectionResetError):
            while client.recv(BLOCK):
                pass
        check_serves(server)


@pytest.mark.parametrize("model", MODELS)
def test_the_kernel_keeps_few_bytes_for_a_client_that_never_reads(model: str) -> None:
    """Without the limit, many. Beyond it may be one block, and what the client's kernel has not acknowledged."""
    limit = DEFAULTS["max-queued-bytes"] + 3 * BLOCK
    bounds = {("--max-queued-bytes", "32768"): (0, 32_768 + 3 * BLOCK), (): (0, limit),
              ("--max-queued-bytes", "0"): (limit, 1 << 30)}
    with contextlib.ExitStack() as open_:
        servers = [open_.enter_context(serving(model, *flags)) for flags in bounds]
        clients = [open_.enter_context(connect_small(server)) for server in servers]
        for client in clients:
            client.sendall(get("/bytes?n=100000000"))
        seen: list[list[int]] = []

        def is_full() -> bool:
            """The servers have said all that their kernel takes."""
            found = queued_bytes(*(server.port for server in servers))
            seen.append([found.get(pair(*each), 0) for each in zip(servers, clients, strict=True)])
            return len(seen) >= 4 and all(seen[-1]) and seen[-4:] == [seen[-1]] * 4

        wait_until(is_full, "the queues are full", every_s=TABLE_EVERY_S)
        for (flags, (least, most)), queued in zip(bounds.items(), zip(*seen, strict=True), strict=True):
            assert least < max(queued) <= most, flags


@pytest.mark.parametrize("model", MODELS)
def test_a_client_that_pipelines_and_never_reads_costs_little_and_is_cut(model: str) -> None:
    count = 5000 if SANITIZER else 100_000
    with serving(model, "--write-timeout-ms", "1000") as server:
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
            read_at = 0.0
            while server.descriptors() > at_rest:
                assert time.monotonic() < deadline, "still connected"
                with contextlib.suppress(BlockingIOError, ConnectionError):
                    left = left[greedy.send(left):]
                peak = max(peak, server.rss_kib())
                if time.monotonic() > read_at + TABLE_EVERY_S:
                    most = max(most, queued_bytes(server.port).get(pair(server, greedy), 0))
                    read_at = time.monotonic()
                time.sleep(0.02)
            wait_until(lambda: not queued_bytes(server.port).get(pair(server, greedy)),
                       "its bytes have left the kernel", every_s=TABLE_EVERY_S)
        assert 0 < most <= DEFAULTS["max-queued-bytes"] + 3 * BLOCK
        if not SANITIZER:
            assert peak - before < 1024, f"{peak - before} KiB for one client"
        check_serves(server)
