"""duel-load names what a misbehaving server does, and counts nothing that did not happen."""

from __future__ import annotations

import subprocess
import urllib.request
from pathlib import Path

import pytest
from duel_load import Run, command, misbehaving, run
from misbehaving_server import HELLO, framed
from server import PATIENCE_S, wait_until

# These say that a busy machine disturbed the run; every other taint says something of the server.
OF_THE_MACHINE = {"loader_saturated", "schedule_slipped", "drift", "littles_law", "offered_not_achieved"}


def told(result: Run) -> set[str]:
    assert result.code == 0, result.errors
    return result.taints - OF_THE_MACHINE


@pytest.mark.parametrize("mode", ["well", "torn"])
@pytest.mark.parametrize("flags", [(), ("--pipeline", "4"), ("--threads", "2", "--think-ms", "1"),
                                   ("--rate", "500"), ("--unique-ids",)])
def test_a_server_that_behaves_has_no_errors(mode: str, flags: tuple[str, ...], tmp_path: Path) -> None:
    with misbehaving(mode) as port:
        result = run(port, tmp_path, "--cooldown", "20", *flags)
    assert told(result) == set(), result.text
    assert result.faults == {} and result.result["reconnects"] == 0, result.text
    assert result.result["requests"]["ok"] > 0 and result.result["bodies_checked"]
    assert result.result["connections"]["zero_served"] == 0
    asked = result.result["requests"]
    assert result.result["latency_ns"]["intended"]["count"] == asked["ok" if asked["offered"] is None else "offered"]


# mode, the error and no other, whether connections are renewed for it
WRONG = [("wrong_body", "body", False), ("short_body", "body", False), ("long_body", "body", False),
         ("wrong_status", "status", False), ("double", "extra", True), ("early", "extra", True),
         ("truncated", "truncated", True), ("eof", "eof", True), ("malformed", "malformed", True),
         ("reset", "reset", True)]


@pytest.mark.parametrize(("mode", "kind", "renews"), WRONG, ids=[mode for mode, _, _ in WRONG])
def test_what_goes_wrong_is_named(mode: str, kind: str, renews: bool, tmp_path: Path) -> None:
    with misbehaving(mode) as port:
        result = run(port, tmp_path, "--threads", "2")
    assert set(result.faults) == {kind}, result.text
    assert "errors" in told(result)
    assert (result.result["reconnects"] > 0) == renews, result.text
    assert f" {kind} " in result.text
    assert result.result["requests"]["ok"] > 0 or mode == "early", result.text


@pytest.mark.parametrize("loop", [(), ("--rate", "2000")], ids=["closed", "open"])
def test_swapped_answers_are_caught_by_their_ids(loop: tuple[str, ...], tmp_path: Path) -> None:
    with misbehaving("swap") as port:
        result = run(port, tmp_path, "--unique-ids", *loop, path="/echo")
        assert set(result.faults) == {"body"}, result.text
    with misbehaving("swap") as port:  # a hello is a hello: without ids nobody can tell
        assert run(port, tmp_path, *loop).faults == {}


@pytest.mark.parametrize("path", ["/echo", "/any"])
def test_a_late_second_answer_is_caught_by_its_id(path: str, tmp_path: Path) -> None:
    with misbehaving("double") as port:
        result = run(port, tmp_path, "--unique-ids", "--pipeline", "4", path=path)
    assert set(result.faults) & {"body", "extra"}, result.text


def test_an_answer_that_never_ends_times_out(tmp_path: Path) -> None:
    with misbehaving("hang") as port:
        result = run(port, tmp_path, "--timeout", "0.3", duration=2)
        assert set(result.faults) == {"timeout"}, result.text
        assert result.result["reconnects"] > 0
        patient = run(port, tmp_path, "--timeout", "0", "--cooldown", "0.1", warmup=0)
    assert patient.faults == {} and patient.result["requests"]["unfinished"] == 8, patient.text
    assert {"unfinished", "fallen_silent"} <= told(patient)


@pytest.mark.parametrize("mode", ["close_each", "until_end", "idle_close"])
def test_a_close_that_is_announced_is_no_error(mode: str, tmp_path: Path) -> None:
    with misbehaving(mode) as port:
        result = run(port, tmp_path)
    assert result.result["reconnects"] > 0, result.text
    # Unannounced, it may cross the next request.
    assert set(result.faults) <= ({"eof", "reset"} if mode == "idle_close" else set()), result.text


@pytest.mark.parametrize("loop", [(), ("--rate", "2000")], ids=["closed", "open"])
def test_a_starved_connection_is_named(loop: tuple[str, ...], tmp_path: Path) -> None:
    with misbehaving("starve") as port:
        result = run(port, tmp_path, *loop, connections=8, duration=1)
    of = result.result["connections"]
    assert of["established"] == 8 and of["zero_served"] == 2 and of["served"] == 6, result.text
    assert of["requests"]["min"] == 0 and of["jain"] < 0.9
    assert len({each["port"] for each in of["zero_served_first"]} - {0}) == 2
    assert "zero_served" in told(result) and "Zero-served: 2" in result.text


def test_a_connection_that_falls_silent_is_named(tmp_path: Path) -> None:
    with misbehaving("fall_silent") as port:
        result = run(port, tmp_path, duration=1.2, warmup=0)
    of = result.result["connections"]
    assert of["fallen_silent"] == 2 and of["zero_served"] == 0, result.text
    assert len(of["fallen_silent_first"]) == 2
    assert "fallen_silent" in told(result)


def test_accepting_only_some_shows(tmp_path: Path) -> None:
    with misbehaving("accept_some") as port:
        result = run(port, tmp_path, "--connect-timeout", "2")
    # The kernel completes what the server never accepts.
    assert result.result["connections"]["served"] == 4, result.text
    assert result.result["connections"]["zero_served"] == 4
    assert "zero_served" in told(result)


def test_refusals_before_the_first_request_are_a_status(tmp_path: Path) -> None:
    with misbehaving("refuse_503") as port:
        result = run(port, tmp_path, "--connect-timeout", "1")
    assert "status" in result.faults and set(result.faults) <= {"status", "reset", "eof"}, result.text
    assert result.result["connections"]["served"] == 4, result.text


def test_a_server_that_ends_is_reported(tmp_path: Path) -> None:
    with misbehaving("vanish") as port:
        result = run(port, tmp_path)
    assert result.code == 0, result.errors
    assert set(result.faults) & {"eof", "reset"} and "connect" in result.faults, result.text


def test_a_slow_drift_taints(tmp_path: Path) -> None:
    with misbehaving("drift") as port:
        result = run(port, tmp_path, warmup=0.2, duration=2)
    assert result.code == 0 and "drift" in result.taints, result.text
    first, second = result.result["halves"]
    assert first["rate"] > second["rate"]


def test_a_stall_shows_from_intended_start_only(tmp_path: Path) -> None:
    """All wait through the stall, but only one request a connection has been sent by then."""
    with misbehaving("stall") as port:
        result = run(port, tmp_path, "--rate", "1000", "--arrivals", "uniform", connections=8, warmup=0.5, duration=2)
    assert result.code == 0, result.errors
    intended, sent = (result.result["latency_ns"][clock] for clock in ("intended", "sent"))
    assert intended["p99"] > 0.9e9, result.text
    assert sent["p99"] < 0.5 * intended["p99"], result.text
    assert intended["max"] >= 0.9e9 and sent["max"] >= 0.9e9
    assert result.faults == {}


@pytest.mark.parametrize("cooldown", ["10", "0.1"], ids=["answered", "censored"])
def test_a_stall_at_the_end_of_the_window_is_not_cut_off(cooldown: str, tmp_path: Path) -> None:
    """The server stalls from 1 s to 2 s after the first request; the window ends 0.4 s into that."""
    with misbehaving("stall") as port:
        result = run(port, tmp_path, "--rate", "500", "--arrivals", "uniform", "--cooldown", cooldown, warmup=0.6,
                     duration=0.8)
    of, intended = result.result["requests"], result.result["latency_ns"]["intended"]
    assert of["offered"] == 400 and result.faults == {}, result.text
    assert intended["count"] == of["offered"] > of["ok"], result.text  # whoever was due is told of
    assert intended["p99"] > 0.3e9, result.text
    is_censored = cooldown == "0.1"
    assert (of["censored"] > 0) == ("censored" in result.taints) == is_censored, result.text
    assert of["unsent"] + of["unfinished"] >= of["censored"]
    assert result.result["bytes"] == of["ok"] * len(framed(HELLO))  # of the window alone
    assert ("Unfinished" in result.text) == is_censored


def test_a_connection_closed_while_idle_is_renewed_before_it_is_needed(tmp_path: Path) -> None:
    """Its first request is due at once, the next after 100 s."""
    with misbehaving("idle_close_each") as port:
        child = subprocess.Popen(command(port, "--rate", "0.01", "--arrivals", "uniform", connections=1, warmup=0,
                                         duration=300), stdout=subprocess.DEVNULL)
        asked = 0

        def is_renewed() -> bool:
            nonlocal asked
            asked += 1
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=PATIENCE_S) as got:
                others = int(got.headers["X-Connections"]) - asked
            return others == 3  # the scout's, the first one, the new one
        try:
            wait_until(is_renewed, "there is a new connection")
        finally:
            child.kill()
            child.wait()


@pytest.mark.parametrize("flags", [("--think-ms", "3000"), ("--rate", "4")], ids=["pauses", "open"])
def test_who_has_nothing_due_is_not_accused(flags: tuple[str, ...], tmp_path: Path) -> None:
    with misbehaving("well") as port:
        result = run(port, tmp_path, *flags, connections=32)
    assert told(result) <= {"no_samples"}, result.text
    assert not result.taints & {"littles_law", "drift", "offered_not_achieved"}, result.text


def test_who_was_lost_with_nothing_due_is_not_silent(tmp_path: Path) -> None:
    """Each connection has two requests, a second apart; the second is lost."""
    with misbehaving("reset_second") as port:
        result = run(port, tmp_path, "--rate", "8", "--arrivals", "uniform", connections=8, warmup=0, duration=2)
    assert result.faults == {"reset": 8}, result.text
    assert result.result["connections"]["fallen_silent"] == 0, result.text
