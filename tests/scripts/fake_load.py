"""A stand-in for duel-load: it asks a little, in a window --speed times shorter, and writes JSON of the same shape.

--fail, --hang and --starve are ways to fail; --slow-model M makes the figures of one model twice as bad. --log FILE
gets a line a run. The figures are made up but for the window.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import sys
import time


ERRORS = ("connect", "reset", "eof", "truncated", "status", "body", "extra", "malformed", "timeout")


def latency(scale_us: float, count: int) -> dict[str, object]:
    points = {"mean": 1.2, "deviation": 0.5, "max": 20, "p50": 1, "p75": 1.5, "p90": 2, "p99": 5, "p99_9": 10}
    return {"count": count, **{key: value * scale_us * 1e3 for key, value in points.items()}}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    for name in ("json", "arrivals", "header", "service", "cpus", "log"):
        parser.add_argument(f"--{name}")
    for name in ("connections", "threads", "seed", "pipeline"):
        parser.add_argument(f"--{name}", type=int, default=1)
    for name in ("duration", "warmup", "rate"):
        parser.add_argument(f"--{name}", type=float, default=0.0)
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--fail", type=int, default=0)
    parser.add_argument("--hang", action="store_true")
    parser.add_argument("--slow-model")
    parser.add_argument("--starve", action="store_true")
    given = parser.parse_args()
    if given.log:
        with open(given.log, "a") as file:
            file.write(" ".join(sys.argv[1:]) + "\n")
    if given.hang:
        time.sleep(60)
    if given.fail:
        print("fake-load: could not measure (try again)", file=sys.stderr)
        return given.fail
    host, _, port = given.url.removeprefix("http://").partition("/")[0].partition(":")
    talk = http.client.HTTPConnection(host, int(port), timeout=5)
    talk.request("GET", "/stats")
    model = json.loads(talk.getresponse().read()).get("model")
    time.sleep(given.warmup / given.speed)
    begin = time.monotonic_ns()
    end = begin + int(given.duration / given.speed * 1e9)
    asked = 0
    while time.monotonic_ns() < end:
        talk.request("GET", "/")
        talk.getresponse().read()
        asked += 1
    talk.close()
    noise = random.Random(time.monotonic_ns()).uniform(0.98, 1.02)
    slower = 2.0 if model == given.slow_model else 1.0
    rate = (given.rate or 20_000 / slower) * noise
    count = int(rate * given.duration)
    half = {"rate": rate, "intended": latency(100 * slower, count // 2), "sent": latency(90 * slower, count // 2)}
    made = {
        "schema_version": 1, "tool": "duel-load", "argv": sys.argv, "seed": given.seed,
        "window": {"begin_ns": begin, "end_ns": end, "seconds": given.duration,
                   "warmup_seconds": given.warmup / given.speed},
        "rate": {"offered": given.rate or None, "achieved": rate},
        "requests": {"ok": count, "offered": count if given.rate else None, "in_flight_at_end": 0, "unfinished": 0,
                     "unsent": 0, "longest_wait_ns": 0},
        "errors": dict.fromkeys(ERRORS, 0), "reconnects": 0, "bytes": asked, "bodies_checked": True,
        "connections": {"asked_for": given.connections, "established": given.connections,
                        "served": given.connections, "zero_served": 3 if given.starve else 0, "fallen_silent": 0,
                        "requests": {"min": 1, "median": 1, "max": 1}, "jain": 0.99},
        "latency_ns": {"intended": latency(100 * slower * noise, count), "sent": latency(90 * slower * noise, count)},
        "lateness_ns": latency(1, count), "halves": [half, half],
        "loader": {"threads": [{"cpu_seconds": 0.1, "share": 0.25}]}, "littles_law": 1.0,
        "taints": ["zero_served"] if given.starve else []}
    with open(given.json, "w") as file:
        json.dump(made, file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
