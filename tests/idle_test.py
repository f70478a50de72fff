"""What an idle keep-alive connection costs, and that thousands of them disturb nobody."""

from __future__ import annotations

import resource

import pytest
import wrk
from client import GET, Client
from server import FIBERS, SANITIZER, serving

CONNECTIONS = 500 if SANITIZER else 10_000
ACTIVE = 40 if SANITIZER else 1000  # a multiple of wrk's 4 threads
MOST_KIB_EACH = 10.0
WARM_UP = 100  # connections whose memory is the server's own: pools, first-touched code


@pytest.mark.parametrize("model", FIBERS)
def test_idle_connections_are_cheap_and_disturb_nobody(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < CONNECTIONS + 1000:
        pytest.skip(f"{CONNECTIONS} connections need ulimit -Hn {CONNECTIONS + 1000}, here it is {hard}")
    idle: list[Client] = []
    with serving(model) as server:
        try:
            for _ in range(WARM_UP):
                with Client(server.port) as client:
                    client.ask(GET)
            before = server.rss_kib()
            while len(idle) < CONNECTIONS:
                batch = [Client(server.port) for _ in range(100)]
                idle += batch
                for each in batch:
                    each.say(GET)
                for each in batch:
                    assert each.hear().status == "200 OK"
            each_kib = (server.rss_kib() - before) / CONNECTIONS
            with capsys.disabled():
                print(f"\n{model}: {each_kib:.2f} KiB for each of {CONNECTIONS} idle connections")
            if not SANITIZER:
                assert each_kib <= MOST_KIB_EACH
            wrk.load(server.port, ACTIVE, 2).check()
            for each in idle:
                each.say(GET)
            for each in idle:
                assert each.hear().status == "200 OK"
        finally:
            for each in idle:
                each.close()
        stats = server.drain()
        assert stats["served"] == WARM_UP + CONNECTIONS + ACTIVE
