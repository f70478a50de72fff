"""/kv: a value that was put is there for every connection, whichever worker or shard has either."""

from __future__ import annotations

import hashlib
import itertools
import signal
import threading
from collections.abc import Callable

import pytest
from client import GET_AND_CLOSE, Answer, Client, take_answer
from server import WITH_STATE, serving

CONCURRENT = {name: flags for name, flags in WITH_STATE.items() if name != "serial"}


def request(method: str, key: str, body: bytes = b"", *headers: str) -> bytes:
    return "\r\n".join([f"{method} /kv/{key} HTTP/1.1", "Host: a", f"Content-Length: {len(body)}", *headers, "", ""]
                       ).encode() + body


def ask(client: Client, method: str, key: str, body: bytes = b"") -> Answer:
    return client.ask(request(method, key, body), is_head=method == "HEAD")


def together(count: int, work: Callable[[int], None]) -> None:
    """work(0) ... work(count - 1) in threads at once; the first failure is raised."""
    failures: list[BaseException] = []

    def guarded(index: int) -> None:
        try:
            work(index)
        except BaseException as failure:  # noqa: BLE001
            failures.append(failure)

    threads = [threading.Thread(target=guarded, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


@pytest.mark.parametrize("flags", WITH_STATE.values(), ids=WITH_STATE)
def test_every_connection_sees_what_was_put(flags: tuple[str, ...]) -> None:
    values = {f"key-{i}": hashlib.sha256(str(i).encode()).digest() * (i * 40 + 1) for i in range(40)}
    with serving(*flags) as server:
        with Client(server.port) as client:
            for key, value in values.items():
                assert ask(client, "GET", key).status == "404 Not Found"
                assert ask(client, "PUT", key, b"first").status == "201 Created"
                assert ask(client, "PUT", key, value).status == "200 OK"
        for _ in range(4):  # connections of either shard
            with Client(server.port) as client:
                for key, value in values.items():
                    answer = ask(client, "GET", key)
                    assert (answer.status, answer.body) == ("200 OK", value)
                    assert answer.headers["content-type"] == "application/octet-stream"
                    assert ask(client, "HEAD", key).headers["content-length"] == str(len(value))
        with Client(server.port) as client:
            assert ask(client, "DELETE", "key-0").status == "200 OK"
            assert ask(client, "DELETE", "key-0").status == "404 Not Found"
            assert ask(client, "GET", "key-0").status == "404 Not Found"


@pytest.mark.parametrize("flags", CONCURRENT.values(), ids=CONCURRENT)
def test_a_value_is_one_that_somebody_put(flags: tuple[str, ...]) -> None:
    """Writers and readers of one key at once: never a mixture, never nothing."""
    values = {bytes([letter]) * size for letter, size in ((65, 1), (66, 3_000), (67, 200_000))}

    def work(index: int) -> None:
        with Client(server.port) as client:
            for value in [*values] * 10:
                if index % 2:
                    assert ask(client, "PUT", "one", value).status == "200 OK"
                else:
                    assert ask(client, "GET", "one").body in values

    with serving(*flags) as server:
        with Client(server.port) as client:
            ask(client, "PUT", "one", min(values))
        together(6, work)


@pytest.mark.parametrize("flags", WITH_STATE.values(), ids=WITH_STATE)
def test_the_store_has_a_bound(flags: tuple[str, ...]) -> None:
    value = b"v" * 10_000
    with serving(*flags, "--max-kv-bytes", "100000") as server, Client(server.port) as client:
        answers = [ask(client, "PUT", f"key-{i}", value) for i in range(12)]
        assert [each.status for each in answers] == ["201 Created"] * 9 + ["507 Insufficient Storage"] * 3
        assert b"--max-kv-bytes" in answers[-1].body
        for i in range(12):
            answer = ask(client, "GET", f"key-{i}")
            assert answer.status == ("200 OK" if i < 9 else "404 Not Found")
        assert ask(client, "PUT", "key-0", b"").status == "200 OK"
        assert ask(client, "PUT", "key-9", value).status == "201 Created"


@pytest.mark.parametrize("flags", WITH_STATE.values(), ids=WITH_STATE)
def test_pipelined_requests_are_done_in_order(flags: tuple[str, ...]) -> None:
    said = b"".join(request("PUT", f"k{i % 5}", str(i).encode()) + request("GET", f"k{i % 5}") for i in range(100))
    with serving(*flags) as server, Client(server.port) as client:
        client.say(said)
        for i in range(100):
            assert client.hear().status == ("201 Created" if i < 5 else "200 OK")
            assert client.hear().body == str(i).encode()


def test_only_the_sharded_state_hops() -> None:
    """Sixty keys on two shards, asked for from one of them: about half are the other's."""
    def messages(*flags: str) -> int:
        with serving("sharded", *flags) as server:
            with Client(server.port) as client:
                for i in range(60):
                    ask(client, "PUT", f"key-{i}", b"v")
            return sum(each["messages"] for each in server.drain()["workers"])

    # Starting and stopping a server takes some as well.
    assert messages("--state", "sharded") >= messages() + 20


@pytest.mark.parametrize("flags", CONCURRENT.values(), ids=CONCURRENT)
def test_a_drain_tears_no_request(flags: tuple[str, ...]) -> None:
    """SIGTERM under load: an answer that begins is whole, and nothing is left over."""
    answered: list[Answer] = []

    def work(index: int) -> None:
        for i in itertools.count():
            try:
                with Client(server.port) as client:
                    client.say(request("PUT", f"{index}-{i % 50}", b"v" * 5_000, "Connection: close"))
                    heard = client.hear_all()
            except OSError:  # it no longer listens
                return
            if heard:
                taken = take_answer(heard)
                assert taken is not None and taken[1] == b"", heard
                answered.append(taken[0])

    with serving(*flags) as server:
        stopper = threading.Timer(0.3, server.signal, [signal.SIGTERM])
        stopper.start()
        together(4, work)
        stopper.join()
        assert server.await_end() == 0, server.errors
    assert answered and {each.status for each in answered} <= {"200 OK", "201 Created"}
    assert server.stats["requests"] >= len(answered)


def test_the_default_is_shared() -> None:
    for flags, state in (((), "shared"), (("--state", "sharded"), "sharded")):
        with serving("sharded", *flags) as server, Client(server.port) as client:
            assert f" state={state}" in server.ready_line
            assert client.ask(GET_AND_CLOSE).status == "200 OK"
        assert server.stats["switches"]["state"] == state
