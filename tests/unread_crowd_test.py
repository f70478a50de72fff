"""A crowd that sends on while its first requests are under way: what nobody reads yet holds up nobody else, and
nothing of it is lost."""

from __future__ import annotations

import contextlib
import errno
import json
from collections.abc import Iterator

import pytest
from client import GET, Client, check_serves, get, post
from faults import check_books, faulty
from server import CONCURRENT, Server, serving

CROWD, AT_ONCE = 400, 25
# Unread, this is 33 buffers of a ring before it takes no more; the crowd's fill all that it ever has.
BODY = b"0123456789" * 7000
# An answer that waits for its client, whose kernel takes little.
SIZE, LITTLE = 300_000, 16 * 1024


@contextlib.contextmanager
def crowd(server: Server, asked: bytes) -> Iterator[list[Client]]:
    """Clients that asked and said more, and beside which others are served: one of before, new ones, and one in
    pieces. None of the crowd is answered before they are."""
    with contextlib.ExitStack() as open_:
        early, other = (open_.enter_context(Client(server.port)) for _ in range(2))
        assert early.ask(GET).status == "200 OK"
        clients = []
        for _ in range(CROWD // AT_ONCE):
            some = [open_.enter_context(Client(server.port, LITTLE)) for _ in range(AT_ONCE)]
            for each in some:
                each.say(asked)
            assert other.ask(GET).status == "200 OK"  # and so they have been heard
            for each in some:
                each.say(post(BODY))
            assert other.ask(GET).status == "200 OK"
            clients += some
        said = post(BODY)
        for each in (early, other):
            each.say_in_pieces([said[:9], said[9:99], said[99:]], 0.002)
            assert each.hear().body == BODY
        check_serves(server, 8)
        others_heard = 1 + 2 * CROWD // AT_ONCE + 2 + 8
        assert json.loads(early.ask(get("/stats")).body)["requests"] == others_heard
        yield clients


@pytest.mark.parametrize("model", CONCURRENT)
def test_a_crowd_that_takes_no_answer_holds_up_nobody(model: str) -> None:
    flags = ("--max-queued-bytes", "32768")
    with serving(model, *flags, workers=1) as server, crowd(server, get(f"/bytes?n={SIZE}")) as clients:
        for each in clients:
            assert len(each.hear().body) == SIZE
            assert each.hear().body == BODY
        check_books(server)


@pytest.mark.parametrize("model", CONCURRENT)
def test_a_crowd_behind_handlers_that_wait_holds_up_nobody(model: str) -> None:
    with serving(model, "--drain-seconds", "1", workers=1) as server:
        with crowd(server, get("/sleep?ms=60000")):
            pass
        check_books(server)
        assert f"{CROWD} cut" in server.errors


@pytest.mark.parametrize(("error", "cut"), [(errno.EINTR, 0), (errno.EAGAIN, 0), (0, 100)])
def test_others_are_heard_whatever_a_receive_without_a_buffer_meets(error: int, cut: int) -> None:
    """The only ones of this model that call recvfrom."""
    with faulty("sharded", ("recvfrom",), "--drain-seconds", "1", workers=1,
                at_start=lambda faults: faults.fail("recvfrom", error, cut=cut, every=2)) as (server, faults):
        with crowd(server, get("/sleep?ms=60000")):
            assert faults.hits("recvfrom") > 0
        check_books(server)
