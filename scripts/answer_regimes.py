"""What ./duel bench answer asks, as data: each regime in a user's words, its load, and what its verdicts are about.

A regime takes its load from a scenario and races the same servers in it: stealing on epoll, sharded on epoll (only the
scheduler differs, and with shared state where that lives) and sharded on io_uring (what one would deploy).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from scripts import scenarios
from scripts.campaign.plan import CLOSED, CONTROL
from scripts.scenarios import Campaign, Row, Scenario

LOADER, WRK, SILENT = "duel-load", "wrk", "idle"
STEALING = "stealing/epoll"
WORKERS, ELSEWHERE = "{workers}", 8
PAIRS = {"sharded/epoll": "the same driver", "sharded/uring": "as one would deploy them"}
_OURS = "--policy stealing,partitioned --place poller"  # as stealing/epoll polls


@dataclass(frozen=True)
class Measure:
    """`differs`: how one that is better is better."""

    name: str
    unit: str
    more_is_better: bool
    differs: str


MEASURES = {
    "requests_per_s": Measure("requests a second", "", True, "more requests a second"),
    "cpu_us_total": Measure("CPU time a request", "µs", False, "less CPU time a request"),
    "p99_us": Measure("p99 latency", "µs", False, "lower p99"),
    "kib_a_connection": Measure("memory a connection", "KiB", False, "less memory a connection"),
}


@dataclass(frozen=True)
class Question:
    """A measure, in the closed loop or at a share of the smallest peak (0.7)."""

    measure: str
    of_peak: float | None = None

    @property
    def point(self) -> str:
        return CLOSED if self.of_peak is None else f"{100 * self.of_peak:g} %"


@dataclass(frozen=True)
class Regime:
    """`asks`: the load in words, which is not the scenario's to the letter. `path`: instead of its mix, for duel-load
    asks for one path; `at`: the value of its sweep; `switches`: by model. `predicted_by`: flags of duel-sim where
    queueing alone decides. WORKERS in it: what the servers have here, or ELSEWHERE where this machine is too small."""

    key: str
    words: str
    question: str
    scenario: str
    asks: str
    expected: str
    reason: str
    questions: tuple[Question, ...]
    by: str = LOADER
    path: str = ""
    at: int | None = None
    connections: int | None = None
    switches: dict[str, dict[str, str]] = field(default_factory=dict)
    predicted_by: str = ""

    @property
    def rates(self) -> tuple[float, ...]:
        return tuple(sorted({each.of_peak for each in self.questions if each.of_peak is not None}))


REGIMES = (
    Regime("short", "Equal short requests", "Which serves more of them, and for less CPU time?", "matrix",
           "GET /, 256 connections, as many as it serves and half of that",
           "on one driver little difference; io_uring takes less CPU time.",
           "GET / is nearly all kernel time, and one io_uring_enter brings many completions where epoll needs a call "
           "for each receive and send.",
           (Question("requests_per_s"), Question("cpu_us_total"), Question("p99_us", 0.5))),
    Regime("unequal", "Unequal requests", "Do short requests wait behind long ones?", "service-times",
           "50 µs of work, for 2 % of the requests 2.5 ms; 64 connections, at 70 % of the peak",
           "sharding has a far higher p99 than stealing.",
           "what stands behind a shard's long request waits for it, and be another shard idle.",
           (Question("p99_us", 0.7),), at=2500,
           predicted_by=f"--cores {WORKERS} --load 0.7 --service bimodal:50us,2500us,0.02 {_OURS}"),
    Regime("skew", "A few connections carry the load", "Does their load reach every CPU?", "skew",
           "GET /, 8 connections, as many as it serves and 70 % of that",
           "stealing serves more and has the lower p99.",
           "a hash deals connections out to shards, and one that got more than its share is full while others idle.",
           (Question("requests_per_s"), Question("p99_us", 0.7)), at=8),
    Regime("blocking", "Handlers that block", "Who waits while a handler blocks its thread?", "blocking",
           "every request blocks its thread for 1 ms; 64 connections, as many as it serves and 70 % of that",
           "about the same requests a second, 1,000 for each worker or shard; below the peak a lower p99 of stealing.",
           "what waits behind a blocked worker can go to one that is free; a shard's connections can run nowhere else.",
           (Question("requests_per_s"), Question("p99_us", 0.7)), path="/block?ms=1",
           predicted_by=f"--cores {WORKERS} --load 0.7 --service det:1ms {_OURS}"),
    Regime("churn", "A connection for every request", "What does a request cost that brings its own connection?",
           "churn", "GET /, 64 clients that close after each answer",
           "little difference.",
           "accept, close and the kernel's handshake are the same for everybody and outweigh the scheduler.",
           (Question("cpu_us_total"),)),
    Regime("payload", "Large answers", "Does it matter yet when copying is most of the work?", "payload",
           "answers of 64 KiB, 32 connections, as many as it serves",
           "less difference than with short answers.", "copying and TCP cost the same for everybody.",
           (Question("cpu_us_total"),), at=65536),
    Regime("state", "State that requests share", "A lock around one map, or an owner that must be asked?", "kv",
           "90 % GET and 10 % PUT of 1,000 keys, 64 connections: stealing with one locked map, thread-per-core with an "
           "owner shard for each key",
           "with few CPUs the locked map takes less CPU time; with many the lock becomes the limit.",
           "an uncontended lock costs less than two messages, and perhaps two wake-ups, to the owner of a key.",
           (Question("cpu_us_total"),), by=WRK,
           switches={"stealing": {"state": "shared"}, "sharded": {"state": "sharded"}}),
    Regime("silent", "Many silent connections", "What does a connection cost that only stays open?", "idle",
           "1,000 connections that have asked once and say no more",
           "little difference.", "either model keeps a stack for each open connection.",
           (Question("kib_a_connection"),), by=SILENT, connections=1000),
)


def rows(regime: Regime, has_uring: bool) -> tuple[Row, ...]:
    """The servers. One that cannot run here is left out."""
    def row(name: str) -> Row:
        model, _, driver = name.partition("/")
        return Row(name, model, driver, 0, regime.switches.get(model, {}),
                   "" if name == STEALING else PAIRS[name], "" if name == STEALING else STEALING)

    return tuple(row(name) for name in (STEALING, *PAIRS) if has_uring or not name.endswith("/uring"))


def scenario(regime: Regime, has_uring: bool) -> Scenario:
    """The scenario that is run, with the regime's words. Campaigns add the control row by themselves; here the others
    get it."""
    of, servers = scenarios.load(regime.scenario), rows(regime, has_uring)
    load = of.load
    if regime.by == LOADER:
        load = replace(load, mix=(), think_ms=0.0, path=regime.path or load.path)
    else:
        servers = (*servers, replace(servers[0], name=CONTROL, changes=f"nothing: the same as {STEALING}"))
    if regime.connections is not None:
        load = replace(load, connections=regime.connections)
    return replace(of, name=regime.key, title=regime.words, question=regime.question, varies="the server",
                   expected=regime.expected, reason=regime.reason, view="table", load=load, rows=servers,
                   sweep=of.sweep if regime.by == LOADER else None,
                   campaign=Campaign(service=of.campaign.service) if regime.by == LOADER else Campaign())


def cannot(regime: Regime, cores: int, workers: int) -> str | None:
    """Why it means nothing with so many CPUs for the server, and so many workers; None: it does."""
    if workers < 2 and regime.by != SILENT:
        return ("with one CPU there is nobody to steal from and no other shard, so the schedulers do not differ (let "
                "it run on two or more: nproc says how many it may use)")
    of = scenarios.load(regime.scenario).cores
    means, why = of.verdict(cores)
    return None if means else (f"it takes {of.least} CPUs for the server alone, here {'is' if cores == 1 else 'are'} "
                               f"{cores}: {why.rstrip('.')}")
