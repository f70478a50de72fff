"""GET /stats and GET /metrics tell the same, in JSON and in Prometheus' text format, and the truth."""

from __future__ import annotations

import json
from typing import Any

import pytest
from client import GET, Client, get
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from server import CONCURRENT, MODELS, Server, serving, wait_until

MAXIMA = {"connections_max", "longest_poll_ns"}


class Metrics:
    """One answer to GET /metrics, read by Prometheus' own parser."""

    def __init__(self, client: Client) -> None:
        answer = client.ask(get("/metrics"))
        assert answer.status == "200 OK"
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        text = answer.body.decode()
        assert text.endswith("\n")
        self.families: dict[str, Metric] = {}
        for family in text_string_to_metric_families(text):
            assert family.name not in self.families, f"{family.name} comes twice"
            assert family.documentation and family.type in ("counter", "gauge"), family
            self.families[family.name] = family
        self.samples = {(each.name, each.labels.get("worker")): each.value
                        for family in self.families.values() for each in family.samples}

    def value(self, name: str, worker: int | None = None) -> float:
        return self.samples[name, None if worker is None else str(worker)]


def stats_of(client: Client) -> dict[str, Any]:
    answer = client.ask(get("/stats"))
    assert answer.status == "200 OK"
    stats: dict[str, Any] = json.loads(answer.body)
    return stats


def sample_name(counter: str) -> str:
    """What a counter of /stats is called in /metrics."""
    plain = f"duel_{counter.removesuffix('_ns')}" + ("_seconds" if counter.endswith("_ns") else "")
    return plain if counter in MAXIMA else plain + "_total"


def counters_of(stats: dict[str, Any]) -> list[str]:
    return [name for name in stats["workers"][0] if name != "busy_ns"]


@pytest.mark.parametrize("model", MODELS)
def test_both_have_every_counter_and_agree(model: str) -> None:
    with serving(model) as server:
        with Client(server.port) as client:
            for _ in range(20):
                client.ask(GET)
            before, stats, after = Metrics(client), stats_of(client), Metrics(client)
    workers = range(len(stats["workers"]))
    names = counters_of(stats)
    assert len(names) == 31 and "requests" in names and "again" in names
    for name in names:
        for worker in workers:
            told = stats["workers"][worker][name] / (1e9 if name.endswith("_ns") else 1)
            sample = sample_name(name)
            # All of them only grow, and the answers were asked for in this order.
            assert before.value(sample, worker) <= told <= after.value(sample, worker), (sample, worker)
    per_worker = {name for name, worker in before.samples if worker is not None}
    assert per_worker == {sample_name(name) for name in names}
    assert sum(before.value("duel_requests_total", worker) for worker in workers) == 20
    assert stats["requests"] == 21
    info = before.families["duel_info"].samples[0]
    assert info.value == 1
    chosen = {"model": stats["model"], "driver": stats["driver"], **stats["switches"]}
    assert info.labels == {name.replace("-", "_"): value for name, value in chosen.items()}


@pytest.mark.parametrize("model", MODELS)
def test_totals_only_grow(model: str) -> None:
    with serving(model) as server, Client(server.port) as client:
        seen = [Metrics(client)]
        for _ in range(5):
            for path in ("/", "/sleep?ms=2", "/work?us=2000", "/bytes?n=100000", "/kv/none"):
                client.ask(get(path))
            seen.append(Metrics(client))
    for earlier, later in zip(seen, seen[1:], strict=False):
        assert earlier.samples.keys() == later.samples.keys()
        for key, value in earlier.samples.items():
            if key[0].endswith("_total"):
                assert value <= later.samples[key], key
    for name in ("process_cpu_seconds_total", "duel_uptime_seconds"):
        assert seen[0].value(name) < seen[-1].value(name)


@pytest.mark.parametrize("model", MODELS)
def test_the_process_is_told_as_the_kernel_sees_it(model: str) -> None:
    with serving(model) as server, Client(server.port) as client:
        client.ask(GET)
        wait_until(lambda: Metrics(client).value("process_open_fds") == server.descriptors(), "it has as many as it says")
        metrics = Metrics(client)
        assert 0.5 < metrics.value("process_resident_memory_bytes") / (server.rss_kib() * 1024) < 2
        assert 0 < metrics.value("process_cpu_seconds_total") <= server.cpu_seconds() + 0.05
        assert metrics.value("duel_uptime_seconds") <= stats_of(client)["uptime_s"]


def open_and_ask(server: Server, count: int) -> list[Client]:
    clients = [Client(server.port) for _ in range(count)]
    for each in clients:
        each.ask(GET)
    return clients


@pytest.mark.parametrize("model", CONCURRENT)
def test_open_connections_are_counted(model: str) -> None:
    with serving(model) as server:
        clients = open_and_ask(server, 7)
        stats, metrics = stats_of(clients[0]), Metrics(clients[0])
        assert (stats["connections_now"], stats["connections_max"]) == (7, 7)
        for name, value in (("duel_open_connections", 7), ("duel_open_connections_max", 7)):
            assert metrics.value(name) == value
        for each in clients:
            each.close()
        final = server.drain()
    assert (final["connections_now"], final["connections_max"], final["accepted"]) == (0, 7, 7)
    assert final["uptime_s"] >= stats["uptime_s"]


@pytest.mark.parametrize("model", MODELS)
def test_switches_are_those_of_the_ready_line(model: str) -> None:
    with serving(model) as server, Client(server.port) as client:
        stats = stats_of(client)
        words = dict(word.split("=", 1) for word in server.ready_line.split() if "=" in word)
    assert words == {"model": stats["model"], "driver": stats["driver"], **stats["switches"]}
    assert words["state"] == "shared"


@pytest.mark.parametrize("model", MODELS)
def test_time_is_spent_somewhere(model: str) -> None:
    with serving(model) as server, Client(server.port) as client:
        for _ in range(3):
            client.ask(get("/work?us=20000"))
            for each in stats_of(client)["workers"]:
                assert each["busy_ns"] <= each["running_ns"]
        final = server.drain()
    for each in final["workers"]:
        assert each["busy_ns"] == each["running_ns"] - each["idle_ns"] - each["searching_ns"]
