"""Limits and deadlines of what clients send: each one holds, what is just within it passes."""

from __future__ import annotations

import contextlib
import re
import select
import subprocess
import time

import pytest
from client import GET, GET_AND_CLOSE, Client, check_closed_without_a_word, check_serves, get, post
from limits import BLOCK, DEFAULTS, not_before
from server import BINARY, MODELS, PATIENCE_S, serving

MOST_TARGET = 8192


def test_the_help_states_every_limit_and_its_default() -> None:
    text = subprocess.run([BINARY, "--help"], capture_output=True, text=True, check=True, timeout=PATIENCE_S).stdout
    stated = {name: int(value) for name, value in
              re.findall(r"^\s+--((?:\w+-timeout|max)-[\w-]+) UINT:\S+=(\d+)$", text, re.MULTILINE)}
    del stated["max-kv-bytes"]  # the store's, not a connection's
    assert stated == DEFAULTS
    assert str(MOST_TARGET) in text


# --- time ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("model", MODELS)
def test_a_head_has_its_time(model: str) -> None:
    with serving(model, "--header-timeout-ms", "1500") as server, Client(server.port) as client:
        client.say(GET[:9])
        time.sleep(0.1)
        assert client.ask(GET[9:]).status == "200 OK"
        with not_before(1.5):
            answer = client.ask(GET[:9])
        assert (answer.status, answer.closes) == ("408 Request Timeout", True)
        check_closed_without_a_word(client)
        check_serves(server)


@pytest.mark.parametrize("model", MODELS)
def test_the_next_request_has_its_time(model: str) -> None:
    with serving(model, "--idle-timeout-ms", "1500") as server, Client(server.port) as client:
        assert client.ask(GET).status == "200 OK"
        time.sleep(0.1)
        assert client.ask(GET).status == "200 OK"
        with not_before(1.5):
            check_closed_without_a_word(client)
        check_serves(server)


@pytest.mark.parametrize("model", MODELS)
def test_each_block_of_a_body_has_its_time(model: str) -> None:
    """A body may take longer than that in all, but not with a byte now and then."""
    with serving(model, "--body-timeout-ms", "1200") as server, Client(server.port) as client:
        body = b"b" * 14 * BLOCK
        whole = post(body)
        with not_before(1.2):
            client.say_in_pieces([whole[at:at + BLOCK] for at in range(0, len(whole), BLOCK)], 0.1)
        assert client.hear().body == body
        client.say(post(b"b" * 1000)[:-1000])
        with not_before(1.2), contextlib.suppress(ConnectionError):
            while not select.select([client], [], [], 0.02)[0]:
                client.say(b"b")
        answer = client.hear()
        assert (answer.status, answer.closes) == ("408 Request Timeout", True)
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
