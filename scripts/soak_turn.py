"""What one model goes through in one turn of a soak (soak.py), and the servers for it.

The model's resident server meets clients that keep the rules (soak_clients.py) beside clients that break
them (soak_abuse.py); when all have left it must be as it was. A second server is ended by signals under
load and started again, a third has too few descriptors. Whatever must not be raises Wrong.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from scripts import procfs
from scripts.errors import UserError
from scripts.servers import Server, serving
from scripts.soak_abuse import ABUSERS
from scripts.soak_clients import (PATIENCE_S, WELL_BEHAVED, Client, Late, Peer, Stage, Wrong, answer, keeps_asking,
                                  request)
from scripts.suite import Tally

MODELS = {
    "serial": ("--model", "serial"),
    "threads": ("--model", "threads"),
    "stealing": ("--model", "stealing", "--driver", "epoll"),
    "stealing/uring": ("--model", "stealing", "--driver", "uring"),
    "sharded/epoll": ("--model", "sharded", "--driver", "epoll"),
    "sharded": ("--model", "sharded", "--driver", "uring"),
}
# What the servers that are started again draw from, with what all of a kind can do.
_STEALING = ("--lifo=off", "--steal=one", "--steal=off", "--queue=global", "--spin-us=20", "--pin=on")
_SHARDED = ("--accept=least-loaded", "--accept=round-robin", "--state=sharded", "--budget=1", "--spin-us=20")
_URING = ("--uring-flags=none", "--uring-flags=coop")
_VARIANTS: dict[str, tuple[str, ...]] = {
    "serial": ("--max-pipeline=1",),
    "threads": ("--max-pipeline=1",),
    "stealing": (*_STEALING, "--budget=1", "--reactor=thread", "--reactor=per-worker"),
    "stealing/uring": (*_STEALING, *_URING),
    "sharded/epoll": _SHARDED,
    "sharded": (*_SHARDED, *_URING, "--uring-recv=oneshot", "--uring-send=direct", "--flush=idle", "--flush=2"),
}
_LOAD, _RESTARTS = 0.55, 0.25  # of a turn; the rest is for calming down and too few descriptors
_DEADLINE_MS = {"serial": 600}
_OTHERS_MS = 2500
_STALL_S = 0.2
_PAUSE_S = 0.02
_WELL_BEHAVED = 6  # clients at a time
# More cannot be these clients' own fault: a stall of this process is one visit of each, and it has few stalls.
_MOST_LATE, _LATE_AT_ONCE = 0.1, 2 * _WELL_BEHAVED
_MOST_IDLE_CPU = 0.2  # of one CPU, while another model has its turn
_FEW_DESCRIPTORS, _MANY_CLIENTS = 64, 100


@dataclass
class Resident:
    """A model's server, from the first round to the last, and what has been seen of it."""

    server: Server
    work: Path
    descriptors: int
    counts: Counter[str] = field(default_factory=Counter)
    kib: list[int] = field(default_factory=list)
    idle_cpu: float | None = None  # the highest; None until the second round
    rested_at: tuple[float, float] | None = None  # when its last turn ended, and its CPU seconds then


@dataclass(frozen=True)
class Setting:
    program: Path
    seed: int
    is_sanitized: bool
    has_ubsan: bool
    launcher: tuple[str, ...] = ()


@contextlib.contextmanager
def counted(tally: Tally, name: str) -> Iterator[None]:
    """One check: it passes unless it raises."""
    try:
        yield
    except (Wrong, UserError, OSError) as error:
        tally.count(f"{name}: {error}", False)
    else:
        tally.count(name, True)


# --- servers -------------------------------------------------------------------------------------

def _argv(setting: Setting, model: str, work: Path, port: int = 0, workers: int = 2, variant: str = "") -> list[str]:
    deadline = str(_DEADLINE_MS.get(model, _OTHERS_MS))
    deadlines = [word for what in ("header", "body", "idle", "write") for word in (f"--{what}-timeout-ms", deadline)]
    return [*setting.launcher, str(setting.program), *MODELS[model], "--listen", f"127.0.0.1:{port}",
            "--workers", str(workers), *deadlines, "--drain-seconds", "1", "--stats-file", str(work / "stats.json"),
            *([variant] if variant else [])]


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="duel-soak-") as name:
        yield Path(name)


@contextlib.contextmanager
def resident(setting: Setting, model: str) -> Iterator[Resident]:
    variant = "--state=sharded" if model == "sharded/epoll" else ""
    with _folder() as work, serving(_argv(setting, model, work, variant=variant), work) as server:
        _ask(server)
        yield Resident(server, work, _settled_descriptors(server))


def _settled_descriptors(server: Server) -> int:
    """Once two readings agree: the first connection may still be on its way out."""
    before, now = -1, _descriptors(server)
    deadline = time.monotonic() + PATIENCE_S
    while now != before:
        if time.monotonic() > deadline:
            raise Wrong(f"its descriptors do not settle: {before}, then {now}")
        time.sleep(0.1)
        before, now = now, _descriptors(server)
    return now


def _descriptors(server: Server) -> int:
    return len(os.listdir(f"/proc/{server.pid}/fd"))


def _ask(server: Server) -> None:
    with Peer(_stage("serial", server.port)) as peer:
        peer.say(request("GET", "/", "Connection: close"))
        peer.hear(answer(b"Hello, World!", kind="text/plain", extra="Connection: close\r\n"))
        peer.hear_end()


def end(server: Server, work: Path, how: signal.Signals, times: int = 1) -> None:
    """Sends the signal, perhaps twice, and sees that all has ended as it must."""
    server.check()
    for _ in range(times):
        os.kill(server.pid, how)
        time.sleep(0.05)
    code = server.wait(PATIENCE_S)
    said = (work / "server.err").read_text(errors="replace")
    if code is None:
        raise Wrong(f"still running {PATIENCE_S:.0f} s after {how.name}: {said}")
    if code != 0 or "Sanitizer" in said or "runtime error" in said:
        raise Wrong(f"exit status {code} after {how.name}: {said}")
    live = json.loads((work / "stats.json").read_text())["live"]
    if any(live.values()) or not said.startswith("drained: "):
        raise Wrong(f"left alive after {how.name}: {live}; it said {said}")


# --- a turn --------------------------------------------------------------------------------------

def turn(setting: Setting, model: str, own: Resident, number: int, seconds: float, tally: Tally,
          tick: Callable[[], None]) -> None:
    name, draw = f"{model}, round {number}", random.Random(f"{setting.seed}/{model}/{number}")
    if own.rested_at is not None:
        with counted(tally, f"{name}: idle"):
            _check_idle(own, *own.rested_at)
    with counted(tally, f"{name}: clients"):
        _load(own, model, draw, _LOAD * seconds, tick)
    with counted(tally, f"{name}: at rest"):
        _calm_down(own)
    with counted(tally, f"{name}: restarts"):
        _restarts(setting, model, own.counts, draw, _RESTARTS * seconds, tick)
    if model != "serial" and not setting.has_ubsan:  # UBSan needs descriptors for its own checks
        with counted(tally, f"{name}: few descriptors"):
            _few_descriptors(setting, model, own.counts)
    with contextlib.suppress(OSError):
        own.rested_at = time.monotonic(), sum(procfs.cpu_times(own.server.pid))


def _check_idle(own: Resident, since: float, used: float) -> None:
    own.server.check("between turns")
    share = (sum(procfs.cpu_times(own.server.pid)) - used) / max(1.0, time.monotonic() - since)
    own.idle_cpu = max(own.idle_cpu or 0.0, share)
    if share > _MOST_IDLE_CPU:
        raise Wrong(f"{share:.0%} of a CPU while idle")


def _stage(model: str, port: int) -> Stage:
    return Stage(port, _DEADLINE_MS.get(model, _OTHERS_MS) / 1000, 2 if model == "serial" else 20)


def _load(own: Resident, model: str, draw: random.Random, seconds: float, tick: Callable[[], None]) -> None:
    stage = _stage(model, own.server.port)
    with _acting(stage, draw, {WELL_BEHAVED: _WELL_BEHAVED, ABUSERS: 2 if model == "serial" else 5}):
        _wait(stage, seconds, tick)
    own.counts += stage.counts
    own.server.check()
    _check_stage(stage)
    late, visits = stage.counts["late"], stage.counts["visits"]
    if visits == 0:
        raise Wrong("no valid client was served")
    if late > _LATE_AT_ONCE + _MOST_LATE * visits:
        raise Wrong(f"given up on {late} valid clients and served {visits}")


def _check_stage(stage: Stage) -> None:
    if stage.failures:
        raise Wrong("; ".join(stage.failures))


def _wait(stage: Stage, seconds: float, tick: Callable[[], None]) -> None:
    """Notes when this process itself stood still: its clients are then late."""
    before = time.monotonic()
    deadline = before + seconds
    while before < deadline and not stage.over.wait(0.05):
        tick()
        now = time.monotonic()
        if now - before > _STALL_S:
            stage.stalled_at = now
        before = now


@contextlib.contextmanager
def _acting(stage: Stage, draw: random.Random, crowds: dict[tuple[Client, ...], int]) -> Iterator[None]:
    """Threads that visit again and again until the stage is over, which it is when the block is left."""
    threads = [threading.Thread(target=_act, args=(stage, random.Random(draw.getrandbits(64)), acts), daemon=True)
               for acts, count in crowds.items() for _ in range(count)]
    for each in threads:
        each.start()
    try:
        yield
    except BaseException:
        stage.over.set()  # their server ends next, and they with it
        raise
    stage.over.set()
    deadline = time.monotonic() + 2 * PATIENCE_S
    for each in threads:
        each.join(max(0.0, deadline - time.monotonic()))
        if each.is_alive():
            raise Wrong("a client hangs")


def _act(stage: Stage, draw: random.Random, acts: tuple[Client, ...]) -> None:
    while not stage.over.is_set():
        act = draw.choice(acts)
        try:
            act(stage, draw)
            stage.count("visits", acts is not ABUSERS)
        except Late:
            stage.count("late")
        except Wrong as wrong:
            stage.fail(f"{act.__name__}: {wrong}")
        except OSError as error:
            if acts is not ABUSERS:
                stage.fail(f"{act.__name__}: {error}")
            stage.over.wait(_PAUSE_S)
        except Exception as error:  # or the thread would end in silence
            stage.fail(f"{act.__name__}: {error!r}")


def _calm_down(own: Resident) -> None:
    """All clients have left: what they held is given back. A connection closes first; only then is it counted out."""
    deadline = time.monotonic() + PATIENCE_S
    while problem := _held(own):
        own.server.check()
        if time.monotonic() > deadline:
            raise Wrong(f"{problem}, {PATIENCE_S:.0f} s after the last client")
        time.sleep(_PAUSE_S)
    time.sleep(0.1)
    own.kib.append(procfs.resident_kib(own.server.pid))


def _held(own: Resident) -> str | None:
    """What of its clients the server still has."""
    if (now := _descriptors(own.server)) != own.descriptors:
        return f"{now} descriptors where {own.descriptors} were"
    stats = own.server.stats(PATIENCE_S)
    if stats is None:
        return "no answer to GET /stats"
    others = stats["connections_now"] - 1
    return f"connections that nobody has: {others}" if others else None


# --- restarts ------------------------------------------------------------------------------------

def _restarts(setting: Setting, model: str, counts: Counter[str], draw: random.Random, seconds: float,
              tick: Callable[[], None]) -> None:
    """A server that a signal ends under load, and its successor at the same port, until the time is up."""
    stage = _stage(model, _free_port(draw))
    began = time.monotonic()
    with _acting(stage, draw, {(keeps_asking,): 2 if model == "serial" else 6, ABUSERS: 1 if model == "serial" else 2}):
        generations = 0
        while not stage.over.is_set() and (generations == 0 or time.monotonic() < began + seconds):
            how, times = draw.choice((signal.SIGTERM, signal.SIGHUP, signal.SIGINT)), draw.choice((1, 1, 2))
            stage.is_cut = times > 1
            variant = draw.choice(_VARIANTS[model])
            with _folder() as work:
                argv = _argv(setting, model, work, stage.port, draw.randrange(1, 4), variant)
                with _blaming(variant), serving(argv, work) as server:
                    _wait_for_answers(stage, server, tick)
                    end(server, work, how, times)
            generations += 1
            stage.count("restarts")
    counts += stage.counts
    _check_stage(stage)


@contextlib.contextmanager
def _blaming(variant: str) -> Iterator[None]:
    try:
        yield
    except Wrong as wrong:
        raise Wrong(f"{variant}: {wrong}") from None


def _wait_for_answers(stage: Stage, server: Server, tick: Callable[[], None]) -> None:
    target = stage.counts["verified"] + 20
    deadline = time.monotonic() + PATIENCE_S
    while stage.counts["verified"] < target and not stage.over.is_set():
        server.check()
        if time.monotonic() > deadline:
            raise Wrong("it serves nobody")
        tick()
        time.sleep(_PAUSE_S)


def _free_port(draw: random.Random) -> int:
    """Below those that the kernel gives to clients: one of them could take it between two servers."""
    for _ in range(100):
        port = draw.randrange(20_000, 30_000)
        with socket.socket() as attempt:
            with contextlib.suppress(OSError):
                attempt.bind(("127.0.0.1", port))
                return port
    raise UserError("no free port from 20000 to 30000 (stop what listens there)")


def _few_descriptors(setting: Setting, model: str, counts: Counter[str]) -> None:
    """More clients than descriptors: some wait until others leave, and all are served."""
    with _folder() as work, contextlib.ExitStack() as all_open:
        limited = ["sh", "-c", f'ulimit -n {_FEW_DESCRIPTORS} && exec "$@"', "sh", *_argv(setting, model, work)]
        server = all_open.enter_context(serving(limited, work))
        stage = _stage("serial", server.port)
        peers = [all_open.enter_context(Peer(stage)) for _ in range(_MANY_CLIENTS)]
        for number, each in enumerate(peers):
            each.say(request("POST", "/echo", "Connection: close", body=b"%d" % number))
        for number, each in enumerate(peers):
            each.hear(answer(b"%d" % number, extra="Connection: close\r\n"))
            each.hear_end()
        counts += stage.counts
        end(server, work, signal.SIGTERM)
