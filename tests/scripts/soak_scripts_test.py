"""The soak notices: answers that are wrong in a byte, requests that are smuggled, what is not given back."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scripts import cli, processes, servers, soak, soak_abuse, soak_clients, soak_turn
from scripts.errors import UserError
from scripts.soak_clients import Late, Peer, Stage, Wrong, answer
from scripts.suite import Tally

HELLO = answer(b"Hello, World!", kind="text/plain")
REFUSAL = answer(b"no\n", "400 Bad Request", "text/plain", "Connection: close\r\n")
DATED = re.compile(rb"\?{29}")


GIVEN_UP = answer(b"no\n", "408 Request Timeout", "text/plain", "Connection: close\r\n")


@contextlib.contextmanager
def answering(say: Callable[[socket.socket], None]) -> Iterator[Stage]:
    """A server that waits for the first bytes of a connection, says something and closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = listener.accept()
                    with peer, contextlib.suppress(OSError):
                        peer.settimeout(10)
                        peer.recv(1 << 20)
                        say(peer)

        server = threading.Thread(target=serve, daemon=True)
        server.start()
        stage = Stage(listener.getsockname()[1], shortest_s=3, crowd=2)
        yield stage
        stage.over.set()
        listener.shutdown(socket.SHUT_RDWR)
        server.join(10)
        assert not server.is_alive()


def saying(words: bytes) -> Callable[[socket.socket], None]:
    dated = DATED.sub(b"Sun, 06 Nov 1994 08:49:37 GMT", words)
    return lambda peer: peer.sendall(dated)


def ask(stage: Stage, expected: bytes, patience_s: float = 0) -> None:
    with Peer(stage) as peer:
        time.sleep(patience_s)
        peer.say(soak_clients.GET)
        peer.hear(expected)
        peer.hear_end()


def test_the_right_answer_is_verified() -> None:
    with answering(saying(HELLO)) as stage:
        ask(stage, HELLO)
        assert stage.counts["verified"] == 1


@pytest.mark.parametrize("said", [HELLO.replace(b"World", b"Wor1d"), HELLO[:-1], HELLO + b"x", b"",
                                  HELLO.replace(b"200 OK", b"404 OK"), REFUSAL])
def test_any_other_answer_is_wrong(said: bytes) -> None:
    with answering(saying(said)) as stage, pytest.raises(Wrong) as raised:
        ask(stage, HELLO)
    assert not isinstance(raised.value, Late)


@pytest.mark.parametrize(("said", "is_late"), [
    (GIVEN_UP, True), (b"", True), (REFUSAL, False), (HELLO.replace(b"World", b"Wor1d"), False), (HELLO + b"x", False)])
def test_a_client_that_was_slow_itself_does_not_complain_of_the_end(said: bytes, is_late: bool) -> None:
    """But of every other answer."""
    with answering(saying(said)) as stage, pytest.raises(Wrong) as raised:
        stage.shortest_s = 0.1
        ask(stage, HELLO, patience_s=0.1)
    assert isinstance(raised.value, Late) == is_late


@pytest.mark.parametrize("visit", (*soak_clients.WELL_BEHAVED, soak_clients.keeps_asking),
                         ids=lambda each: each.__name__)
def test_a_server_that_hangs_is_wrong(visit: soak_clients.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a deadline that is: it accepts, by its kernel, and never says a word."""
    monkeypatch.setattr(soak_clients, "PATIENCE_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        stage = Stage(silent.getsockname()[1], shortest_s=0.01, crowd=1)
        timer = threading.Timer(1, stage.over.set)
        timer.start()
        soak_turn._act(stage, random.Random(1), (visit,))
        timer.cancel()
    assert stage.failures and all("timed out" in each for each in stage.failures)
    assert stage.counts["late"] == stage.counts["visits"] == 0


def test_a_server_that_gives_up_on_too_many_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of whom may have been late."""
    own = resident()
    own.server.port = 1

    def turn(visits: int, late: int) -> None:
        def wait(stage: Stage, *_: object) -> None:
            stage.over.set()
            stage.counts.update(visits=visits, late=late)

        monkeypatch.setattr(soak_turn, "_wait", wait)
        soak_turn._load(own, "threads", random.Random(1), 0, lambda: None)

    monkeypatch.setattr(soak_turn, "_act", lambda *_: None)
    turn(1000, 100)
    with pytest.raises(Wrong, match="given up on 200"):
        turn(1000, 200)
    with pytest.raises(Wrong, match="no valid client was served"):
        turn(0, 3)


@pytest.mark.parametrize("visit", soak_clients.WELL_BEHAVED, ids=lambda each: each.__name__)
def test_every_valid_client_sees_that_an_answer_is_not_its_own(visit: soak_clients.Client) -> None:
    with answering(saying(answer(b"somebody else's"))) as stage, pytest.raises(Wrong):
        visit(stage, random.Random(1))


def test_an_answer_that_a_drain_tears_is_wrong() -> None:
    with answering(saying(HELLO[:-5])) as stage, pytest.raises(Wrong, match="torn"):
        soak_clients.keeps_asking(stage, random.Random(1))


@pytest.mark.parametrize("is_cut", [False, True])
def test_an_answer_that_a_reset_tears_is_wrong_unless_all_is_to_be_cut(is_cut: bool) -> None:
    def tear(peer: socket.socket) -> None:
        saying(HELLO[:-5])(peer)
        time.sleep(0.1)  # it is heard before the reset
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with answering(tear) as stage, contextlib.nullcontext() if is_cut else pytest.raises(Wrong, match="torn"):
        stage.is_cut = is_cut
        soak_clients.keeps_asking(stage, random.Random(1))


@pytest.mark.parametrize("said", [HELLO, REFUSAL + HELLO, REFUSAL.replace(b"Connection: close\r\n", b"")])
def test_a_smuggled_request_is_noticed(said: bytes) -> None:
    with answering(saying(said)) as stage, pytest.raises(Wrong):
        soak_abuse.smuggler(stage, random.Random(1))


@pytest.mark.parametrize("said", [REFUSAL, b""])
def test_a_refusal_or_a_close_is_right(said: bytes) -> None:
    with answering(saying(said)) as stage:
        soak_abuse.smuggler(stage, random.Random(1))
        assert stage.counts["smuggling"] == 1


@pytest.mark.parametrize("act", soak_abuse.ABUSERS, ids=lambda each: each.__name__)
def test_every_abuser_leaves_when_the_turn_is_over(act: soak_clients.Client) -> None:
    with answering(lambda peer: time.sleep(0.2)) as stage:
        threading.Timer(0.3, stage.over.set).start()
        with contextlib.suppress(OSError):
            act(stage, random.Random(1))
        assert set(stage.counts) <= {*soak_abuse.KINDS, "ended", "refused"} and stage.counts.total() > 0


def resident(**what: Any) -> soak_turn.Resident:
    """This process, as if it were the server."""
    here = SimpleNamespace(pid=os.getpid(), check=lambda when="": None, stats=lambda patience: {"connections_now": 1})
    return soak_turn.Resident(**{"server": here, "work": Path(), "descriptors": len(os.listdir("/proc/self/fd")),
                                 **what})


def test_a_descriptor_that_is_not_given_back_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak_turn, "PATIENCE_S", 0.2)
    own = resident()
    soak_turn._calm_down(own)
    with socket.socket(), pytest.raises(Wrong, match="descriptors"):
        soak_turn._calm_down(own)


def test_a_connection_that_stays_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak_turn, "PATIENCE_S", 0.2)
    own = resident()
    own.server.stats = lambda patience: {"connections_now": 3}  # type: ignore[method-assign]
    with pytest.raises(Wrong, match="nobody has: 2"):
        soak_turn._calm_down(own)


def test_a_connection_may_be_counted_out_after_it_has_closed() -> None:
    own, told = resident(), iter([3, 1])
    own.server.stats = lambda patience: {"connections_now": next(told)}  # type: ignore[method-assign]
    soak_turn._calm_down(own)
    assert not list(told)


@pytest.mark.parametrize(("kib", "is_sanitized", "shown", "passed", "failed"), [
    ([5000], False, "not judged", 1, 0), ([5000, 50_000], False, "not judged", 1, 0),
    ([5000, 50_000, 50_000], False, "+0.0", 2, 0), ([5000, 50_000, 60_000], False, "+9.8", 1, 1),
    ([5000, 50_000, 60_000], True, "not judged", 1, 0)])
def test_growth_is_judged_from_the_second_round_on(kib: list[int], is_sanitized: bool, shown: str, passed: int,
                                                   failed: int, monkeypatch: pytest.MonkeyPatch,
                                                   capsys: pytest.CaptureFixture[str]) -> None:
    """A soak of rounds that were made up: beside its memory, only the end of the server is counted."""
    monkeypatch.setattr(soak, "MODELS", ("threads",))
    monkeypatch.setattr(soak, "resident", lambda *_: contextlib.nullcontext(resident()))
    monkeypatch.setattr(soak, "turn", lambda setting, model, own, number, *_: own.kib.append(kib[number - 1]))
    monkeypatch.setattr(soak, "end", lambda *_: None)
    assert soak.soak(soak_turn.Setting(Path(), 1, is_sanitized, False), len(kib), 0) == (failed == 0)
    told = capsys.readouterr().out
    assert told.endswith(f"\n{passed} passed, {failed} failed\n")
    assert f" {shown} " in told


def test_a_server_that_does_not_start_well_fails_its_model_only(monkeypatch: pytest.MonkeyPatch,
                                                                capsys: pytest.CaptureFixture[str]) -> None:
    def start(setting: soak_turn.Setting, model: str) -> Any:
        raise {"serial": Wrong("torn"), "threads": UserError("io_uring_setup is refused")}.get(model, OSError("gone"))

    monkeypatch.setattr(soak, "resident", start)
    assert not soak.soak(soak_turn.Setting(Path(), 1, False, False), 1, 0)
    told = capsys.readouterr().out
    assert "\nfailed: serial: start: torn\n" in told and "\nleft out: threads (" in told
    assert told.endswith(f"\n0 passed, {len(soak_turn.MODELS) - 1} failed\n")


def test_idle_is_judged_from_the_second_turn_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_load", "_calm_down", "_restarts", "_few_descriptors"):
        monkeypatch.setattr(soak_turn, name, lambda *_: None)
    own, tally = resident(), Tally()
    for _ in range(2):
        soak_turn.turn(soak_turn.Setting(Path(), 1, False, False), "threads", own, 1, 0, tally, lambda: None)
    assert (tally.passed, tally.failed) == (4 + 5, 0)
    assert own.idle_cpu is not None


def test_a_server_that_is_busy_with_nothing_is_noticed() -> None:
    used = sum(os.times()[:2])
    with pytest.raises(Wrong, match="while idle"):
        soak_turn._check_idle(resident(), time.monotonic() - 1, used - 1)


def test_descriptors_are_counted_when_they_have_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = iter((9, 8, 7, 7, 5))
    monkeypatch.setattr(soak_turn, "_descriptors", lambda server: next(seen))
    monkeypatch.setattr(soak_turn.time, "sleep", lambda _: None)
    assert soak_turn._settled_descriptors(resident().server) == 7


@pytest.mark.parametrize(("code", "said", "live", "message"), [
    (1, "drained: 0", 0, "exit status 1"), (0, "drained: 0", 1, "left alive"), (0, "", 0, "left alive"),
    (0, "drained: 0\nWARNING: ThreadSanitizer: data race", 0, "exit status 0")])
def test_an_end_that_is_not_clean_is_noticed(tmp_path: Path, code: int, said: str, live: int, message: str) -> None:
    (tmp_path / "stats.json").write_text('{"live": {"tasks": %d}}' % live)
    program = ("import signal, sys\n"
               f"signal.signal(signal.SIGTERM, lambda *_: (sys.stderr.write({said!r}), sys.exit({code})))\n"
               "print('listening on 127.0.0.1:1', flush=True)\nwhile True: signal.pause()")
    with servers.serving([sys.executable, "-c", program], tmp_path) as server, pytest.raises(Wrong, match=message):
        soak_turn.end(server, tmp_path, signal.SIGTERM)


def test_what_fails_is_counted_and_the_rest_goes_on() -> None:
    tally = Tally()
    for error in (None, Wrong("a"), Late("b"), UserError("c"), OSError("d")):
        with soak_turn.counted(tally, "it"):
            if error is not None:
                raise error
    assert (tally.passed, tally.failed, tally.failures) == (1, 4, ["it: a", "it: b", "it: c", "it: d"])


@pytest.mark.parametrize(("argv", "message"), [
    (["--soak", "0"], "'0' is not a whole number above 0"),
    (["--seed", "3"], "--seed is for the soak"),
    (["--soak", "1", "-k", "x"], "--soak runs alone"),
    (["--soak", "1", "--coverage"], "--soak runs alone"),
    (["--soak", "1", "--all-presets"], "--soak runs alone")])
def test_wrong_usage_is_one_line(argv: list[str], message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)) as raised:
        cli.dispatch(["test", *argv])
    assert raised.value.exit_code == 2


def test_stopping_it_ends_everything(monkeypatch: pytest.MonkeyPatch, fake: list[str]) -> None:
    """An exception in the middle of a turn, as Ctrl-C is one, leaves no server."""
    started: list[int] = []
    original = processes._start

    def start(argv: list[str], options: dict[str, Any]) -> Any:
        child = original(argv, options)
        started.append(child.pid)
        return child

    class Enough(BaseException):
        pass

    def enough(*_: object) -> None:
        raise Enough

    monkeypatch.setattr(processes, "_start", start)
    monkeypatch.setattr(soak_turn, "_argv", lambda *_, **__: fake)
    monkeypatch.setattr(soak_turn, "_ask", lambda server: None)
    monkeypatch.setattr(soak_turn, "_wait", enough)
    with pytest.raises(Enough):
        soak.soak(soak_turn.Setting(Path("server"), 1, False, False), 1, 1)
    assert len(started) == len(soak_turn.MODELS)
    for pid in started:
        assert not Path(f"/proc/{pid}").exists()
