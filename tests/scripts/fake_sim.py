"""A stand-in for duel-sim crossover: a ratio that grows with handler time and cores, in JSON of the same shape."""

from __future__ import annotations

import argparse
import json
import sys


def curve(cores: int, handlers: list[float]) -> dict[str, object]:
    points = [{"handler": at, "ratio": {"value": value, "low": value - 0.05, "high": value + 0.05},
               "formula_ratio": value + 0.1, "stealing_load": {}, "sharded_load": {}, "more": "~"}
              for at in handlers for value in [0.8 + 0.1 * at ** 0.25 + 0.01 * cores]]
    points[0]["ratio"] = None
    return {"cores": cores, "advantage": 1.4, "formula": 1.8, "formula_says": "1.8", "points": points,
            "simulated": {"value": 7.3, "low": 6.0, "high": 9.2}, "simulation_says": "7.3 (6..9.2)"}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("task")
    for name in ("stealing-cost", "sharded-cost", "slo", "place", "jobs", "seed", "json", "cores", "handlers"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("fail", "silent", "empty"):
        parser.add_argument(f"--{name}", action="store_true")
    given = parser.parse_args()
    if given.fail:
        print("fake-sim: out of memory (lower --jobs)", file=sys.stderr)
        return 1
    if given.silent or given.empty:
        return 3 if given.silent else 0
    handlers = [float(each) for each in given.handlers.split(",")]
    with open(given.json, "w") as file:
        json.dump({"kind": "crossover", "schema_version": 1,
                   "curves": [curve(int(each), handlers) for each in given.cores.split(",")]}, file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
