"""A fiber that burns CPU: whom it holds up under which model, by the order of the answers.

No time is asserted: answers that can overtake the burning request must all come before its own,
answers that cannot must all come after.
"""

from __future__ import annotations

import select
import time

import pytest
from client import GET, Client, get
from server import CONCURRENT, PATIENCE_S, serving

BURN = get("/work?us=200000")
OTHERS = 12
# Long enough for a request to be taken up while both workers burn, also on a loaded machine.
SETTLE_S = 0.05


def rounds_of_answers(clients: list[Client]) -> list[set[int]]:
    """Who has an answer, one set after the other; those of one set are a tie."""
    waiting = {c.fileno(): i for i, c in enumerate(clients)}
    rounds: list[set[int]] = []
    end = time.monotonic() + PATIENCE_S
    while waiting:
        ready, _, _ = select.select(list(waiting), [], [], max(0.0, end - time.monotonic()))
        assert ready, f"{len(waiting)} of {len(clients)} never answered"
        rounds.append({waiting.pop(fd) for fd in ready})
        for index in rounds[-1]:
            assert clients[index].hear().status == "200 OK"
    return rounds


def ahead_of_first(rounds: list[set[int]]) -> tuple[set[int], set[int]]:
    """Who was certainly answered before client 0; who was not certainly answered after it."""
    at = next(i for i, each in enumerate(rounds) if 0 in each)
    return set().union(*rounds[:at]), set().union(*rounds[:at + 1]) - {0}


def burn_with_requests_behind(model: str, *flags: str) -> tuple[list[set[int]], dict]:
    """Both workers are busy; then the burning request comes, and the others behind it, so that one
    poll takes them all. The answers, the burning one's being 0; the counters."""
    with serving(model, *flags) as server:
        clients = [Client(server.port) for _ in range(1 + OTHERS)]
        for each in clients:
            assert each.ask(GET).status == "200 OK"
        blockers = [Client(server.port) for _ in range(2)]
        for each in blockers:
            each.say(BURN)
            time.sleep(SETTLE_S)
        for each, request in zip(clients, [BURN] + [GET] * OTHERS, strict=True):
            each.say(request)
        rounds = rounds_of_answers(clients)
        for each in blockers:
            assert each.hear().status == "200 OK"
        return rounds, server.drain()


def test_stealing_takes_what_waits_behind_a_burning_fiber() -> None:
    rounds, stats = burn_with_requests_behind("stealing")
    assert len(ahead_of_first(rounds)[1]) == OTHERS, rounds
    assert sum(w["stolen"] for w in stats["workers"]) > 0
    assert max(w["longest_poll_ns"] for w in stats["workers"]) >= 200_000_000


def test_without_stealing_they_wait() -> None:
    rounds, stats = burn_with_requests_behind("stealing", "--steal=off")
    assert not ahead_of_first(rounds)[0], rounds
    assert sum(w["stolen"] + w["steal_attempts"] for w in stats["workers"]) == 0


@pytest.mark.parametrize("model", ["sharded", "sharded/epoll"])
def test_a_shard_makes_its_own_connections_wait_and_no_others(model: str) -> None:
    with serving(model, "--accept=round-robin") as server:
        clients = []
        for _ in range(1 + OTHERS):  # one after the other: every second one on each shard
            clients.append(Client(server.port))
            assert clients[-1].ask(GET).status == "200 OK"
        clients[0].say(BURN)
        time.sleep(SETTLE_S)
        for each in clients[1:]:
            each.say(GET)
        ahead, _ = ahead_of_first(rounds_of_answers(clients))
        assert ahead == set(range(1, 1 + OTHERS, 2))
        stats = server.drain()
        requests = sorted(w["requests"] for w in stats["workers"])
        assert requests == [OTHERS, OTHERS + 2], "half of the connections on each shard"


def test_somebody_polls_while_the_poller_burns() -> None:
    """The worker that polled the burning request alone leaves nobody in the driver: one that sleeps
    has to notice."""
    with serving("stealing") as server:
        clients = [Client(server.port) for _ in range(1 + OTHERS)]
        for each in clients:
            assert each.ask(GET).status == "200 OK"
        time.sleep(SETTLE_S)  # all asleep
        clients[0].say(BURN)
        time.sleep(SETTLE_S)
        for each in clients[1:]:
            each.say(GET)
        rounds = rounds_of_answers(clients)
        assert len(ahead_of_first(rounds)[1]) == OTHERS, rounds


@pytest.mark.parametrize("model", CONCURRENT)
def test_a_burning_connection_costs_only_time(model: str) -> None:
    with serving(model) as server:
        clients = [Client(server.port) for _ in range(8)]
        for each in clients:
            each.say(get("/work?us=20000") + GET)
        for each in clients:
            assert each.hear().body == b"worked 20000 us\n"
            assert each.hear().body == b"Hello, World!"
