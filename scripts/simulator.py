"""duel-sim (bench/sim/DESIGN.md), for what holds its answers against something measured."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from typing import Any

from scripts import results
from scripts.errors import UserError
from scripts.processes import running

SIMULATOR = "build/release/bench/sim/duel-sim"
_PATIENCE_S, _EVERY_S, _USAGE = 900.0, 0.02, 2


def simulate(flags: list[str], tick: Callable[[], None] = lambda: None, program: list[str] | None = None,
             ) -> dict[str, Any]:
    """Its JSON. `tick` is called while it runs; `program` is run in its place."""
    argv = [*(program or [SIMULATOR]), *flags]
    by_hand, deadline = f"(run it by hand: {' '.join(argv)})", time.monotonic() + _PATIENCE_S
    with results.scratch() as work:
        with (work / "said").open("wb") as said, running([*argv, "--json", str(work / "sim.json")], stderr=said,
                                                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as child:
            while child.poll() is None:
                if time.monotonic() > deadline:
                    raise UserError(f"duel-sim did not end within {_PATIENCE_S:g} s {by_hand}")
                tick()
                time.sleep(_EVERY_S)
        if child.returncode != 0:
            words = (work / "said").read_text(errors="replace").strip().splitlines()
            last = words[-1] if words else f"duel-sim exited with {child.returncode} and said nothing"
            raise UserError(f"{last} {by_hand}", _USAGE if child.returncode == _USAGE else 1)
        try:
            return json.loads((work / "sim.json").read_text())
        except (OSError, ValueError):
            raise UserError("duel-sim exited 0 but left no readable JSON (rebuild: ./duel build)") from None
