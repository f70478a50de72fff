"""./duel test --soak: valid load, abuse and restarts against every model, for minutes.

Each model has one server from start to end, which takes its turn in every round (soak_turn.py). When all
its clients have left it must be as it was: descriptors, connections, memory. At the end nothing is left
alive, and no sanitizer spoke.
"""

from __future__ import annotations

import contextlib
import random
import signal
import time

from scripts.build import build
from scripts.errors import UserError
from scripts.paths import build_dir
from scripts.progress import Progress
from scripts.soak_abuse import KINDS
from scripts.soak_clients import Wrong
from scripts.soak_turn import MODELS, Resident, Setting, counted, end, resident, turn
from scripts.suite import Tally, prefix
from scripts.tables import Table, show, wrapped

TURN_S = 15.0
_MOST_GROWTH_KIB = 8 * 1024  # from the second round's end to the last one's: stacks and blocks that are kept
_NOT_JUDGED = "not judged"
_READING = (
    "Verified: answers compared byte for byte. Late: visits of valid clients that had kept the server waiting "
    "themselves and were given up; many of them fail. Abusive: connections of those who break rules; ended: of these, "
    "how many the server closed before they left; refused: how many got an error and a close. Restarts: ends under "
    "load by a signal. MiB: resident at rest after the first and the last round; grown: from the second to the last, "
    f"where more than {_MOST_GROWTH_KIB // 1024} fail. A sanitizer keeps what was freed: its growth is not judged. "
    "Idle: of one CPU between turns.")


def run(minutes: int, preset: str, seed: int | None) -> bool:
    """True when nothing failed; the last line printed is `N passed, N failed`."""
    build(preset, ["duel-server"])
    setting = Setting(build_dir(preset) / "servers" / "duel-server",
                      seed if seed is not None else random.SystemRandom().randrange(1, 1 << 32),
                      preset in ("asan", "tsan"), preset == "asan", tuple(prefix(preset)))
    rounds = max(3, round(minutes * 60 / (TURN_S * len(MODELS))))
    return soak(setting, rounds, minutes * 60 / (rounds * len(MODELS)))


def soak(setting: Setting, rounds: int, turn_s: float) -> bool:
    print(f"soak: {rounds} rounds of {len(MODELS)} models, {turn_s:.0f} s a turn, seed {setting.seed}")
    tally = Tally()
    residents: dict[str, Resident] = {}
    with contextlib.ExitStack() as alive, Progress("soak", rounds * len(MODELS) * turn_s) as progress:
        for model in MODELS:
            try:
                residents[model] = alive.enter_context(resident(setting, model))
            except (Wrong, UserError, OSError) as error:
                if "io_uring_setup is refused" in str(error):
                    print(f"left out: {model} ({error})")
                else:
                    tally.count(f"{model}: start: {error}", False)
        ends, turns = time.monotonic() + rounds * len(MODELS) * turn_s, rounds * len(residents)
        for number in range(1, rounds + 1):
            for model, own in residents.items():
                with progress.step(f"round {number}/{rounds}, {model}", turn_s):
                    seconds = max(1.0, (ends - time.monotonic()) / turns)  # some took longer than their share
                    turn(setting, model, own, number, seconds, tally, progress.tick)
                turns -= 1
        for model, own in residents.items():
            with counted(tally, f"{model}: end"):
                end(own.server, own.work, signal.SIGTERM)
            if (growth := _growth_kib(own, setting)) is not None:
                with counted(tally, f"{model}: memory"):
                    _check_growth(own, growth)
    _show(setting, residents, tally)
    for name in tally.failures:
        print(f"failed: {name}")
    print(f"{tally.passed} passed, {tally.failed} failed", flush=True)
    return tally.failed == 0


def _growth_kib(own: Resident, setting: Setting) -> int | None:
    """None when it says nothing: there is no round after the second, or a sanitizer keeps what was freed."""
    return own.kib[-1] - own.kib[1] if len(own.kib) > 2 and not setting.is_sanitized else None


def _check_growth(own: Resident, growth_kib: int) -> None:
    if growth_kib > _MOST_GROWTH_KIB:
        raise Wrong(f"{growth_kib} KiB more after the last round than after the second: {own.kib}")


def _show(setting: Setting, residents: dict[str, Resident], tally: Tally) -> None:
    def row(model: str, of: Resident) -> list[str]:
        mib = [f"{each / 1024:.1f}" for each in (of.kib[0], of.kib[-1])] if of.kib else ["", ""]
        growth = _growth_kib(of, setting)
        failed = sum(name.startswith((f"{model}:", f"{model},")) for name in tally.failures)
        return [model, str(len(of.kib)), f"{of.counts['verified']:,}", str(of.counts["late"]),
                f"{sum(of.counts[kind] for kind in KINDS):,}", f"{of.counts['ended']:,}", f"{of.counts['refused']:,}",
                str(of.counts["restarts"]), *mib, _NOT_JUDGED if growth is None else f"{growth / 1024:+.1f}",
                str(of.descriptors), _NOT_JUDGED if of.idle_cpu is None else f"{of.idle_cpu:.1%}",
                f"{failed} FAILED" if failed else "sound"]

    print()
    show(Table(["Model", "rounds", "verified", "late", "abusive", "ended", "refused", "re-\nstarts", "MiB\nfirst",
                "MiB\nlast", "MiB\ngrown", "descrip-\ntors", "idle", "verdict"],
               [row(*each) for each in residents.items()]))
    print()
    show(Table(["abusive connections", *residents],
               [[kind, *(f"{each.counts[kind]:,}" for each in residents.values())] for kind in KINDS]))
    print("\n" + wrapped(_READING) + "\n")
