"""SIGTERM, SIGINT and SIGHUP: what was asked is answered, what is idle is closed, nothing is left."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
from client import GET, Client, check_closed_without_a_word, get, post, take_answer
from limits import TABLE_EVERY_S, taken
from server import CONCURRENT, MODELS, Server, serving, wait_until


def is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def begin(server: Server, count: int, request: bytes) -> list[Client]:
    """Connections with a request in flight: the server has received it, and had time to begin."""
    clients = [Client(server.port) for _ in range(count)]
    for each in clients:
        each.say(request)
    ports = {each.own_port for each in clients}
    wait_until(lambda: ports <= taken(server), "the requests have been received", every_s=TABLE_EVERY_S)
    time.sleep(0.2)
    return clients


@pytest.mark.parametrize("what", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("model", MODELS)
def test_requests_in_flight_are_answered(model: str, what: signal.Signals) -> None:
    in_flight, at_rest = (1, 0) if model == "serial" else (50, 20)
    with serving(model) as server:
        idle = [Client(server.port) for _ in range(at_rest)]
        for each in idle:
            assert not each.ask(GET).closes
        never_spoke = [Client(server.port) for _ in range(at_rest)]
        busy = begin(server, in_flight, get("/sleep?ms=1500"))
        server.signal(what)
        for each in idle + never_spoke:
            check_closed_without_a_word(each)
        wait_until(lambda: is_refused(server.port), "new connections are refused")
        for each in busy:
            answer = each.hear()
            assert (answer.status, answer.body) == ("200 OK", b"slept 1500 ms\n")
            assert answer.closes
            check_closed_without_a_word(each)
        assert server.await_end() == 0, server.errors
        stats = server.drain()
        assert (stats["accepted"], stats["requests"]) == (in_flight + 2 * at_rest, in_flight + at_rest)
        assert "0 cut" in server.errors


@pytest.mark.parametrize("model", MODELS)
def test_a_pipeline_that_has_arrived_is_answered_to_its_end(model: str) -> None:
    with serving(model) as server, Client(server.port) as client:
        client.say(get("/sleep?ms=500") + GET * 3)
        time.sleep(0.2)
        server.signal(signal.SIGTERM)
        answers = [client.hear() for _ in range(4)]
        assert [each.closes for each in answers] == [False, False, False, True]
        check_closed_without_a_word(client)


@pytest.mark.parametrize("model", CONCURRENT)
@pytest.mark.parametrize("workers", [1, 2])
def test_no_answer_is_torn_under_load(model: str, workers: int) -> None:
    """Clients ask without pause through the drain: each hears whole answers, then the end."""
    torn: list[bytes] = []
    answers = [0] * 20

    def keep_asking(index: int, port: int) -> None:
        with socket.create_connection(("127.0.0.1", port), 30) as mine, contextlib.suppress(ConnectionError):
            heard = b""
            while True:
                mine.sendall(GET)
                while (taken := take_answer(heard)) is None:
                    part = mine.recv(65536)
                    if not part:
                        if heard:
                            torn.append(heard)
                        return
                    heard += part
                heard = taken[1]
                answers[index] += 1

    with serving(model, workers=workers) as server:
        threads = [threading.Thread(target=keep_asking, args=(i, server.port)) for i in range(len(answers))]
        for each in threads:
            each.start()
        wait_until(lambda: min(answers) > 10, "every client is served")
        server.signal(signal.SIGTERM)
        assert server.await_end() == 0, server.errors
        for each in threads:
            each.join()
        assert torn == []
        # What a client counted the server counted; at most one answer each was lost to a reset.
        assert sum(answers) <= server.drain()["requests"] <= sum(answers) + len(answers)


SECOND = {"second SIGTERM": signal.SIGTERM, "second SIGINT": signal.SIGINT, "second SIGHUP": signal.SIGHUP}


@pytest.mark.parametrize("how", ["impatient", *SECOND])
@pytest.mark.parametrize("model", MODELS)
def test_the_end_of_patience_cuts(model: str, how: str) -> None:
    count = 1 if model == "serial" else 10
    with serving(model, "--drain-seconds", "1" if how == "impatient" else "600") as server:
        clients = begin(server, count, get("/sleep?ms=60000"))
        server.signal(signal.SIGTERM)
        if how != "impatient":
            time.sleep(0.2)
            assert server.is_running()
            server.signal(SECOND[how])
        assert server.await_end() == 0, server.errors
        assert f"{count} cut" in server.errors
        for each in clients:
            with contextlib.suppress(ConnectionResetError):
                check_closed_without_a_word(each)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("said", [get("/", "X: y"), post(b"x" * 100)], ids=["head", "body"])
def test_a_request_that_has_begun_is_still_answered(model: str, said: bytes) -> None:
    with serving(model) as server, Client(server.port) as client:
        client.say(said[:-10])
        time.sleep(0.2)
        server.signal(signal.SIGTERM)
        if model == "serial":  # who accepts is who serves
            time.sleep(0.2)
        else:
            wait_until(lambda: is_refused(server.port), "new connections are refused")
        client.say(said[-10:])
        answer = client.hear()
        assert answer.status == "200 OK" and answer.closes
        check_closed_without_a_word(client)
        assert server.await_end() == 0, server.errors
        assert "0 cut" in server.errors


# What can hold up a drain: each with a request that has begun and does not end.
HOLDING_UP = {"head": GET[:-2], "body": post(b"x" * 1000)[:-10], "handler": get("/sleep?ms=60000"),
              "unread answer": get("/bytes?n=30000000")}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("what", HOLDING_UP)
def test_what_holds_up_a_drain_is_cut_and_counted(model: str, what: str) -> None:
    """Within --drain-seconds, in whatever state; those beside it that are idle are none of them."""
    count, at_rest = (1, 0) if model == "serial" else (7, 5)
    with serving(model, "--drain-seconds", "1") as server, contextlib.ExitStack() as all_open:
        for each in [all_open.enter_context(Client(server.port)) for _ in range(at_rest)]:
            assert not each.ask(GET).closes
        for each in begin(server, count, HOLDING_UP[what]):
            all_open.enter_context(each)
        server.signal(signal.SIGTERM)
        assert server.await_end() == 0, server.errors
        assert f", {count} cut" in server.errors


@pytest.mark.parametrize("model", MODELS)
def test_signals_at_once_and_at_rest(model: str) -> None:
    """Straight after the ready line, and several at a time."""
    for _ in range(5):
        with serving(model) as server:
            for _ in range(3):
                server.signal(signal.SIGTERM)
            assert server.await_end() == 0, server.errors


@pytest.mark.parametrize("model", MODELS)
def test_who_was_answered_is_not_counted_as_cut(model: str) -> None:
    """However long the client keeps its end open."""
    with serving(model, "--drain-seconds", "1") as server, Client(server.port) as client:
        client.say(get("/sleep?ms=500"))
        time.sleep(0.2)
        server.signal(signal.SIGTERM)
        assert client.hear().closes
        assert server.await_end() == 0, server.errors
        assert "0 cut" in server.errors


def ignore_hangups() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def test_nohup_holds() -> None:
    with serving("serial", before_exec=ignore_hangups) as server:
        server.signal(signal.SIGHUP)
        time.sleep(0.2)
        with Client(server.port) as client:
            assert client.ask(GET).status == "200 OK"


@pytest.mark.parametrize("model", MODELS)
def test_stopping_and_going_on_does_not_end_patience(model: str) -> None:
    with serving(model) as server:
        [client] = begin(server, 1, get("/sleep?ms=1500"))
        server.signal(signal.SIGTERM)
        time.sleep(0.3)
        server.signal(signal.SIGSTOP)
        wait_until(lambda: " (duel-server) T " in Path(f"/proc/{server.pid}/stat").read_text(), "it has stopped")
        server.signal(signal.SIGCONT)
        assert client.hear().body == b"slept 1500 ms\n"
        assert server.await_end() == 0, server.errors
        assert "0 cut" in server.errors


@pytest.mark.parametrize("model", MODELS)
def test_blank_lines_do_not_hold_up_a_drain(model: str) -> None:
    with serving(model, "--drain-seconds", "600") as server, Client(server.port) as client:
        server.signal(signal.SIGTERM)
        with contextlib.suppress(OSError):
            for _ in range(100_000):
                client.say(b"\r\n")
                time.sleep(0.001)
        assert server.await_end() == 0, server.errors
