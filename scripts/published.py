"""The seed's four rows, as published: other code, another machine. Latencies in milliseconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedRow:
    model: str
    requests_per_s: int
    p50_ms: float
    p75_ms: float
    p90_ms: float
    p99_ms: float
    errors: int


SOURCE = "github.com/abh1nav10/async-rt, on WSL2 with 8 threads, wrk -t4 -c1000 -d30s --latency"

NOTE = ("Its two blocking servers answer without reading the request and close without "
        "`Connection: close`, so wrk counts one read error an answer: 3,294,267 errors for "
        "109,586/s x 30 s = 3,287,580 answers, a ratio of 1.002. Those rows measure reconnecting; "
        "the other two keep their connections.")

ROWS = (
    PublishedRow("Single-threaded", 109_586, 0.86, 1.42, 99.17, 923, 3_294_267),
    PublishedRow("One-thread-per-connection", 13_545, 9.48, 10.28, 11.15, 223, 407_287),
    PublishedRow("async-rt", 357_093, 2.01, 2.57, 3.17, 4.37, 0),
    PublishedRow("Tokio", 411_404, 1.45, 1.97, 2.62, 4.05, 0),
)
