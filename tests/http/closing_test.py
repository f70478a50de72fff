"""What a table cannot say: when 100 Continue is due, half-closed connections, and closes that lose no answer."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest
from cases import AFTERWARDS, CHUNKED, GET, POST, ask, chunked, post
from client import Client, mask_dates
from conversing import answers_of
from server import MODELS, Server, serving

MEBIBYTE = 1024 * 1024


# --- 9110-10.1.1: 100-continue -----------------------------------------------------------------------

@pytest.mark.parametrize(("field", "content"), [("Content-Length: 4", b"body"), (CHUNKED, b"4\r\nbody\r\n0\r\n\r\n")])
def test_9110_10_1_1_a_client_that_waits_is_asked_to_go_on(server: Server, field: str, content: bytes) -> None:
    with Client(server.port) as client:
        for _ in range(2):
            interim = client.ask(post("Expect: 100-continue", field))
            assert (interim.status, interim.headers) == ("100 Continue", {})
            assert client.ask(content).body == b"body"


@pytest.mark.parametrize(("asked", "status"), [
    (post("Expect: 100-continue", f"Content-Length: {MEBIBYTE + 1}"), "413 Content Too Large"),
    (post("Expect: 100-continue", "Content-Length: x"), "400 Bad Request"),
    (post("Expect: miracles", "Content-Length: 4"), "417 Expectation Failed")])
def test_9110_10_1_1_nobody_is_asked_for_what_is_refused(server: Server, asked: bytes, status: str) -> None:
    with Client(server.port) as client:
        client.say(asked)
        assert [answer.status for answer in answers_of(client.hear_all())] == [status]


def test_9110_10_1_1_no_100_for_http_1_0(server: Server) -> None:
    with Client(server.port) as client:
        client.say(ask("POST /echo HTTP/1.0", "Expect: 100-continue", "Content-Length: 4"))
        time.sleep(0.05)
        client.say(b"body")
        assert [answer.status for answer in answers_of(client.hear_all())] == ["200 OK"]


# --- 9112-9.6: half-closed connections -----------------------------------------------------------------

@pytest.mark.parametrize(("asked", "size"), [
    (ask(GET), 13), (ask("GET /bytes?n=5000000 HTTP/1.1"), 5_000_000), (ask("GET /sleep?ms=50 HTTP/1.1"), 12),
    (post("Content-Length: 4", body="body"), 4), (chunked("4\r\nbody\r\n0\r\n\r\n"), 4),
    (post(f"Content-Length: {MEBIBYTE}", body="b" * MEBIBYTE), MEBIBYTE)])
def test_9112_9_6_a_client_that_says_no_more_is_answered_in_full(server: Server, asked: bytes, size: int) -> None:
    with Client(server.port) as client:
        client.say(asked)
        client.say_no_more()
        assert [(answer.status, len(answer.body)) for answer in answers_of(client.hear_all())] == [("200 OK", size)]


def test_9112_9_6_all_that_was_pipelined_is_answered(server: Server) -> None:
    with Client(server.port) as client:
        client.say(ask(GET) * 200 + ask("GET /bytes?n=100000 HTTP/1.1") * 5 + ask(GET))
        client.say_no_more()
        answers = answers_of(client.hear_all())
    assert [len(answer.body) for answer in answers] == [13] * 200 + [100_000] * 5 + [13]


@pytest.mark.parametrize("part", [b"", b"\r\n", b"GE", ask(GET)[:-2], post("Content-Length: 4", body="bod"),
                                  chunked("4\r\nbody\r\n0\r\n")])
def test_9112_8_an_incomplete_request_has_no_answer(server: Server, part: bytes) -> None:
    with Client(server.port) as client:
        client.say(ask(GET) + part)
        client.say_no_more()
        assert [answer.body for answer in answers_of(client.hear_all())] == [b"Hello, World!"]


# --- 9112-9.6: closes ------------------------------------------------------------------------------------

@pytest.mark.parametrize("size", [MEBIBYTE + 1, 16 * MEBIBYTE])
def test_9112_9_6_the_answer_survives_what_comes_after_it(server: Server, size: int) -> None:
    """A reset would take the refusal with it."""
    with Client(server.port) as client:
        client.say(post(f"Content-Length: {size}"))
        for _ in range(size // MEBIBYTE):
            client.say(bytes(MEBIBYTE))
        assert [answer.status for answer in answers_of(client.hear_all())] == ["413 Content Too Large"]


def test_9112_9_6_late_bytes_are_no_reset(server: Server) -> None:
    with Client(server.port) as client:
        client.say(ask(GET, host=None))
        time.sleep(0.2)
        for _ in range(20):
            client.say(AFTERWARDS)
            time.sleep(0.005)
        assert [answer.status for answer in answers_of(client.hear_all())] == ["400 Bad Request"]


def test_9112_9_6_requests_behind_a_close_are_dropped_but_not_by_reset(server: Server) -> None:
    with Client(server.port) as client:
        client.say(ask("GET /bytes?n=200000 HTTP/1.1", "Connection: close") + AFTERWARDS * 1000)
        assert [len(answer.body) for answer in answers_of(client.hear_all())] == [200_000]


# --- 9110-9.3.2 -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("path", ["/", "/nowhere", "/bytes?n=100000", "/bytes", "/echo"])
def test_9110_9_3_2_head_has_the_header_fields_of_get(server: Server, path: str) -> None:
    heads = []
    for method in ("GET", "HEAD"):
        with Client(server.port) as client:
            client.say(ask(f"{method} {path} HTTP/1.1", "Connection: close"))
            head, mark, content = client.hear_all().partition(b"\r\n\r\n")
        assert mark and (content == b"") == (method == "HEAD")
        heads.append(mask_dates(head + b"\r\n"))
    assert heads[0] == heads[1]


def test_9112_9_3_2_a_thousand_answers_are_in_order(server: Server) -> None:
    with Client(server.port) as client:
        client.say(b"".join(ask(POST, f"Content-Length: {len(str(i))}", body=str(i)) for i in range(1000)) + AFTERWARDS)
        answers = answers_of(client.hear_all())
    assert [answer.body for answer in answers[:-1]] == [str(i).encode() for i in range(1000)]


# --- closes that a client could not expect -------------------------------------------------------------

@pytest.mark.parametrize("model", MODELS)
def test_9112_9_6_a_large_answer_survives_a_request_that_crosses_the_close(model: str) -> None:
    with serving(model, "--keep-alive", "off") as server, Client(server.port, receive_bytes=8192) as client:
        client.say(ask("GET /bytes?n=200000 HTTP/1.1"))
        time.sleep(0.05)
        client.say(ask(GET))
        time.sleep(0.05)
        [answer] = answers_of(client.hear_all())
        assert (len(answer.body), answer.closes) == (200_000, True)


@pytest.mark.parametrize("model", MODELS)
def test_9112_2_2_blank_lines_do_not_keep_a_connection(model: str) -> None:
    with serving(model, "--idle-timeout-ms", "400") as server, Client(server.port) as client:
        assert client.ask(ask(GET)).status == "200 OK"
        over = threading.Event()

        def trickle() -> None:
            with contextlib.suppress(OSError):
                while not over.wait(0.05):
                    client.say(b"\r\n")

        trickler = threading.Thread(target=trickle)
        trickler.start()
        try:
            with contextlib.suppress(ConnectionResetError):
                assert client.hear_all() == b""
        finally:
            over.set()
            trickler.join()
