"""Every model answers the same bytes to the same bytes, however they are split. Dates are masked.

Each conversation ends with the server closing, so a transcript is everything until then.
"""

from __future__ import annotations

import functools
import random
from dataclasses import dataclass

import pytest
from client import GET, GET_AND_CLOSE, Client, check_dates, get, mask_dates, post, take_answer
from server import FIBERS, MODELS, SANITIZER, WITH_STATE, Server, serving

HELLO = b"Hello, World!"
ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
CLOSE = "Connection: close"
CHUNKED = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@dataclass(frozen=True)
class Expected:
    status: str
    body: bytes | None = None  # None: not looked at
    length: int | None = None  # of HEAD's absent body
    allow: str | None = None
    connection: str | None = None  # the header's value; "close" is required of the last answer


@dataclass(frozen=True)
class Conversation:
    name: str
    said: bytes
    answers: tuple[Expected, ...]
    # Sent in one piece with the rest, past the request that closes: must not be answered. Sent
    # later it would meet a closed connection, and a reset.
    surplus: bytes = b""


def bytes_body(size: int) -> bytes:
    return (ALPHABET * (size // len(ALPHABET) + 1))[:size]


def goes_on(name: str, said: bytes, *answers: Expected) -> Conversation:
    """What leaves the connection usable: another request is answered after it."""
    return Conversation(name, said + GET_AND_CLOSE, (*answers, Expected("200 OK", HELLO)))


def put(key: str, body: bytes) -> bytes:
    return f"PUT /kv/{key} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def bodiless(method: str, path: str) -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


def refused(name: str, said: bytes, status: str) -> Conversation:
    """What ends the connection: the request before it is answered, the one after it is not."""
    return Conversation(name, GET + said, (Expected("200 OK", HELLO), Expected(status)))


def bad_head(name: str, line: str, status: str = "400 Bad Request") -> Conversation:
    return refused(name, get("/", line) + GET, status)


OK_EMPTY = Expected("200 OK", b"")
CONVERSATIONS = [
    goes_on("get", GET, Expected("200 OK", HELLO)),
    goes_on("get in absolute form", get("http://a:80/"), Expected("200 OK", HELLO)),
    goes_on("blank lines first", b"\r\n\r\n" + GET, Expected("200 OK", HELLO)),
    goes_on("head", b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", Expected("200 OK", length=13)),
    goes_on("head of many bytes", b"HEAD /bytes?n=100000 HTTP/1.1\r\nHost: a\r\n\r\n",
            Expected("200 OK", length=100_000)),
    goes_on("head of nothing", b"HEAD /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", Expected("404 Not Found", length=16)),
    goes_on("post", post(b"some body"), Expected("200 OK", b"some body")),
    goes_on("post nothing", post(b""), OK_EMPTY),
    goes_on("post all byte values", post(bytes(range(256)) * 600), Expected("200 OK", bytes(range(256)) * 600)),
    goes_on("post chunked", CHUNKED + b"5\r\nhello\r\n1;ext=1\r\n,\r\n6\r\n world\r\n0\r\n\r\n",
            Expected("200 OK", b"hello, world")),
    goes_on("post chunked with trailer", CHUNKED + b"A\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n",
            Expected("200 OK", b"0123456789")),
    goes_on("post no chunks", CHUNKED + b"0\r\n\r\n", OK_EMPTY),
    *(goes_on(f"{n} bytes", get(f"/bytes?n={n}"), Expected("200 OK", bytes_body(n))) for n in (0, 1, 100_000)),
    goes_on("version 1.2", b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", Expected("200 OK", HELLO)),
    goes_on("options", bodiless("OPTIONS", "*") + bodiless("OPTIONS", "/"),
            Expected("200 OK", b"", allow="GET, HEAD, POST, PUT, DELETE, OPTIONS"),
            Expected("200 OK", b"", allow="GET, HEAD, OPTIONS")),
    goes_on("404", get("/nowhere"), Expected("404 Not Found")),
    goes_on("405 get", get("/echo"), Expected("405 Method Not Allowed", allow="POST, OPTIONS")),
    goes_on("405 post", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab",
            Expected("405 Method Not Allowed", allow="GET, HEAD, OPTIONS")),
    goes_on("405 delete", b"DELETE / HTTP/1.1\r\nHost: a\r\n\r\n",
            Expected("405 Method Not Allowed", allow="GET, HEAD, OPTIONS")),
    *(goes_on(f"400 query {query!r}", get(f"/bytes{query}"), Expected("400 Bad Request"))
      for query in ("", "?n=", "?n=-1", "?n=1x", "?n=99999999999999999999", "?m=1")),
    goes_on("get with a body", b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", Expected("200 OK", HELLO)),
    Conversation("connection: close", GET_AND_CLOSE, (Expected("200 OK", HELLO),), GET),
    Conversation("connection: x, Close", get("/", "Connection: x, Close"), (Expected("200 OK", HELLO),), GET),
    Conversation("http/1.0", b"GET / HTTP/1.0\r\n\r\n", (Expected("200 OK", HELLO),), GET),
    Conversation("http/1.0 keep-alive", b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n",
                 (Expected("200 OK", HELLO, connection="keep-alive"), Expected("200 OK", HELLO))),
    Conversation("close on 404", get("/nowhere", CLOSE), (Expected("404 Not Found"),), GET),
    Conversation("close on head", b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
                 (Expected("200 OK", length=13),)),
    goes_on("work", get("/work?us=10"), Expected("200 OK", b"worked 10 us\n")),
    goes_on("sleep", get("/sleep?ms=1"), Expected("200 OK", b"slept 1 ms\n")),
    goes_on("block", get("/block?ms=1"), Expected("200 OK", b"blocked 1 ms\n")),
    goes_on("pipelined", GET + post(b"one") + get("/nowhere") + b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
            + CHUNKED + b"3\r\ntwo\r\n0\r\n\r\n" + get("/sleep?ms=2") + get("/bytes?n=70000") + post(b"three"),
            Expected("200 OK", HELLO), Expected("200 OK", b"one"), Expected("404 Not Found"),
            Expected("200 OK", length=13), Expected("200 OK", b"two"), Expected("200 OK", b"slept 2 ms\n"),
            Expected("200 OK", bytes_body(70_000)), Expected("200 OK", b"three")),
    goes_on("200 pipelined", GET * 200, *[Expected("200 OK", HELLO)] * 200),
    # Each leaves no key behind: it is said more than once to one server.
    goes_on("kv", get("/kv/a") + put("a", b"one") + get("/kv/a") + bodiless("HEAD", "/kv/a") + put("a", b"three")
            + get("/kv/%61?query") + bodiless("DELETE", "/kv/a") + bodiless("DELETE", "/kv/a") + get("/kv/a"),
            Expected("404 Not Found", b"no such key\n"), Expected("201 Created", b"created\n"),
            Expected("200 OK", b"one"), Expected("200 OK", length=3), Expected("200 OK", b"replaced\n"),
            Expected("200 OK", b"three"), Expected("200 OK", b"deleted\n"), Expected("404 Not Found"),
            Expected("404 Not Found")),
    # Keys of every shard.
    goes_on("many keys", b"".join(put(f"{i}", bytes_body(i * 300)) for i in range(20))
            + b"".join(get(f"/kv/{i}") + bodiless("DELETE", f"/kv/{i}") for i in range(20)),
            *[Expected("201 Created")] * 20,
            *(each for i in range(20) for each in (Expected("200 OK", bytes_body(i * 300)),
                                                   Expected("200 OK", b"deleted\n")))),
    goes_on("a value of any bytes", put("%00%ff/", bytes(range(256))) + get("/kv/%00%FF%2f")
            + bodiless("DELETE", "/kv/%00%ff/"),
            Expected("201 Created"), Expected("200 OK", bytes(range(256))), Expected("200 OK")),
    *(goes_on(f"400 key {key[:9]!r}", put(key, b"v") + get(f"/kv/{key}"), *[Expected("400 Bad Request")] * 2)
      for key in ("", "%", "%4", "a%4", "%4g", "%%41", "k" * 257, "%6b" * 257)),
    goes_on("longest key", get("/kv/" + "%6b" * 256), Expected("404 Not Found")),
    goes_on("405 kv", bodiless("POST", "/kv/a") + bodiless("PUT", "/") + get("/kv"),
            Expected("405 Method Not Allowed", allow="GET, HEAD, PUT, DELETE, OPTIONS"),
            Expected("405 Method Not Allowed", allow="GET, HEAD, OPTIONS"), Expected("404 Not Found")),
    # --- refused -----------------------------------------------------------------------------
    refused("no host", b"GET / HTTP/1.1\r\n\r\n" + GET, "400 Bad Request"),
    bad_head("two hosts", "Host: b"),
    bad_head("folded header", "X: a\r\n b"),
    bad_head("no header name", ": a"),
    bad_head("blank before the colon", "X : a"),
    bad_head("no colon", "nonsense"),
    bad_head("control character", "X: a\x01b"),
    bad_head("nul", "X: a\0b"),
    bad_head("bare carriage return", "X: a\rb"),
    bad_head("content-length of letters", "Content-Length: ten"),
    bad_head("negative content-length", "Content-Length: -1"),
    bad_head("signed content-length", "Content-Length: +1"),
    bad_head("huge content-length", "Content-Length: 99999999999999999999999"),
    bad_head("two content-lengths", "Content-Length: 1\r\nContent-Length: 2"),
    bad_head("content-length and chunked", "Content-Length: 1\r\nTransfer-Encoding: chunked"),
    bad_head("chunked twice", "Transfer-Encoding: chunked, chunked"),
    bad_head("a coding that is not chunked", "Transfer-Encoding: gzip"),
    bad_head("a coding before chunked", "Transfer-Encoding: gzip, chunked", "501 Not Implemented"),
    refused("a line feed alone", b"GET / HTTP/1.1\nHost: a\n\n" + GET, "400 Bad Request"),
    refused("no version", b"GET /\r\n\r\n" + GET, "400 Bad Request"),
    refused("no number", b"GET / HTTP/one\r\nHost: a\r\n\r\n", "400 Bad Request"),
    refused("another protocol", b"GET / ICY/1.1\r\nHost: a\r\n\r\n", "400 Bad Request"),
    refused("blank in the target", b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "400 Bad Request"),
    refused("not http", bytes(range(128, 256)), "400 Bad Request"),
    refused("tls hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64), "400 Bad Request"),
    refused("method of lower case", b"get / HTTP/1.1\r\nHost: a\r\n\r\n", "501 Not Implemented"),
    refused("unknown method", b"FROB / HTTP/1.1\r\nHost: a\r\n\r\n", "501 Not Implemented"),
    refused("connect", b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", "501 Not Implemented"),
    refused("no chunk size", CHUNKED + b"x\r\nabc\r\n", "400 Bad Request"),
    refused("chunk longer than announced", CHUNKED + b"2\r\nabc\r\n0\r\n\r\n", "400 Bad Request"),
    refused("version 2.0", b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505 HTTP Version Not Supported"),
    refused("version 3.7", b"GET / HTTP/3.7\r\nHost: a\r\n\r\n", "505 HTTP Version Not Supported"),
    refused("long target", get("/" + "a" * 9000), "414 URI Too Long"),
    refused("target longer than any head", get("/" + "a" * 40_000), "414 URI Too Long"),
    bad_head("long header", "X: " + "a" * 20_000, "431 Request Header Fields Too Large"),
    bad_head("many headers", "\r\n".join(f"X-{i}: {i}" for i in range(2000)), "431 Request Header Fields Too Large"),
    refused("long trailer", CHUNKED + b"0\r\nX: " + b"a" * 20_000, "431 Request Header Fields Too Large"),
    refused("long chunk extension", CHUNKED + b"1;" + b"a" * 20_000, "431 Request Header Fields Too Large"),
    bad_head("large body announced", f"Content-Length: {1024 * 1024 + 1}", "413 Content Too Large"),
    refused("large chunk announced", CHUNKED + b"100001\r\n", "413 Content Too Large"),
    bad_head("unknown expectation", "Expect: miracles", "417 Expectation Failed"),
]


def read_transcript(heard: bytes, expected: tuple[Expected, ...], name: str) -> None:
    check_dates(heard)
    for index, want in enumerate(expected):
        taken = take_answer(heard, is_head=want.length is not None)
        assert taken is not None, f"{name}: answer {index} is missing or cut: {heard[:300]!r}"
        got, heard = taken
        where = f"{name}: answer {index}"
        assert got.status == want.status, where
        assert "date" in got.headers and "content-type" in got.headers, where
        if want.body is not None:
            assert got.body == want.body, where
        if want.length is not None:
            assert got.headers["content-length"] == str(want.length), where
        assert got.headers.get("allow") == want.allow, where
        is_last = index == len(expected) - 1
        assert got.headers.get("connection") == ("close" if is_last else want.connection), where
    assert heard == b"", f"{name}: more than was asked for: {heard[:300]!r}"


def converse(server: Server, pieces: list[bytes], pause_s: float = 0.0) -> bytes:
    with Client(server.port) as client:
        client.say_in_pieces(pieces, pause_s)
        return client.hear_all()


@functools.cache
def transcripts(name: str) -> dict[str, bytes]:
    with serving(*WITH_STATE[name]) as server:
        return {each.name: converse(server, [each.said + each.surplus]) for each in CONVERSATIONS}


@pytest.mark.parametrize("name", WITH_STATE)
def test_answers_are_what_http_asks_for(name: str) -> None:
    for each in CONVERSATIONS:
        read_transcript(transcripts(name)[each.name], each.answers, f"{name}: {each.name}")


@pytest.mark.parametrize("name", list(WITH_STATE)[1:])
def test_models_answer_the_same_bytes(name: str) -> None:
    for each in CONVERSATIONS:
        here, there = (mask_dates(transcripts(n)[each.name]) for n in (name, MODELS[0]))
        assert b"Date: ????" in here
        assert here == there, each.name


@pytest.mark.parametrize("name", WITH_STATE)
def test_splits_change_nothing(name: str) -> None:
    """Each conversation in two pieces, cut at sampled places, one request everywhere."""
    choose = random.Random(1)
    short = next(each for each in CONVERSATIONS if each.name == "post chunked with trailer")
    with serving(*WITH_STATE[name]) as server:
        for each in CONVERSATIONS:
            size = len(each.said)
            cuts = range(1, size) if each is short else choose.sample(range(1, size), min(3, size - 1))
            for cut in cuts:
                heard = converse(server, [each.said[:cut], each.said[cut:]], pause_s=0.001)
                assert mask_dates(heard) == mask_dates(transcripts(name)[each.name]), f"{each.name} cut at {cut}"


@pytest.mark.parametrize("name", WITH_STATE)
def test_single_bytes_change_nothing(name: str) -> None:
    """Everything short, one byte a segment, as fast as they can be sent."""
    with serving(*WITH_STATE[name]) as server:
        for each in CONVERSATIONS:
            if len(each.said) < (300 if SANITIZER else 1000):
                heard = converse(server, [each.said[i:i + 1] for i in range(len(each.said))])
                assert mask_dates(heard) == mask_dates(transcripts(name)[each.name]), each.name


@pytest.mark.parametrize("model", MODELS)
def test_a_body_that_waits_to_be_asked_for(model: str) -> None:
    asked = post(b"body", "Expect: 100-continue")
    with serving(model) as server, Client(server.port) as client:
        for _ in range(2):
            interim = client.ask(asked[:-4])
            assert (interim.status, interim.headers) == ("100 Continue", {})
            assert client.ask(b"body").body == b"body"
        # The body came before it was asked for: no interim answer is owed.
        assert client.ask(asked).status == "200 OK"
        too_large = post(b"x" * (1024 * 1024 + 1), "Expect: 100-continue")
        assert client.ask(too_large[:200]).status == "413 Content Too Large"
        assert client.hear_all() == b""


@pytest.mark.parametrize("model", MODELS)
def test_keep_alive_off_closes_after_each_answer(model: str) -> None:
    with serving(model, "--keep-alive", "off") as server:
        for asked in (GET, get("/nowhere"), b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"):
            heard = converse(server, [asked + GET])
            taken = take_answer(heard)
            assert taken is not None and taken[0].closes and taken[1] == b"", heard
        assert server.drain()["served"] == 3


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("workers", [1, 2])
def test_the_ready_line_and_the_counters_tell_the_truth(model: str, workers: int) -> None:
    with serving(model, workers=workers) as server:
        name, _, driver = model.partition("/")
        assert f" model={name} driver={driver}" in server.ready_line
        for _ in range(3):
            with Client(server.port) as client:
                for _ in range(5):
                    client.ask(GET)
        stats = server.drain()
    assert (stats["accepted"], stats["served"], stats["requests"]) == (3, 3, 15)
    assert stats["model"] == name
    assert len(stats["workers"]) == (workers if model in FIBERS else 1)
    assert sum(each["requests"] for each in stats["workers"]) == 15
