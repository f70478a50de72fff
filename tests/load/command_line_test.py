"""duel-load's flags, files, signals and exit statuses: 0 measured, 1 could not, 2 wrong usage."""

from __future__ import annotations

import json
import os
import platform
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from duel_load import PROGRAM, command, misbehaving, run, stopped_by
from server import PATIENCE_S, serving

WRONG = [("--connections", "0"), ("--threads", "9", "--connections", "8"), ("--service", "gauss:5us"),
         ("--service", "exp:50us"), ("--think-ms", "1", "--pipeline", "2"), ("--think-ms", "1", "--rate", "5"),
         ("--zipf", "1"), ("--cpus", "2-1"), ("--source", "nowhere"), ("--arrivals", "bursty"),
         ("--rate", "nan"), ("--duration", "nan"), ("--rate", "5", "--zipf", "nan"), ("--think-ms", "inf"),
         ("--expect-body", "a", "--any-body"), ("--expect-body", "@/nowhere/at/all"), ("--no-such-flag",)]


def tell(*argv: str) -> tuple[int, str, str]:
    if not PROGRAM.exists():
        pytest.skip(f"{PROGRAM} is not part of this build")
    done = subprocess.run([str(PROGRAM), *argv], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=4 * PATIENCE_S)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("flags", WRONG, ids=[" ".join(flags) for flags in WRONG])
def test_wrong_usage_is_one_line_and_2(flags: tuple[str, ...]) -> None:
    code, out, errors = tell(*flags, "http://127.0.0.1:1/")
    assert code == 2 and out == ""
    assert errors.startswith("duel-load: ") and errors.count("\n") == 1


@pytest.mark.parametrize("url", ["127.0.0.1:80", "http://example.org/", "http://127.0.0.1:0/", "http://127.0.0.1:a/",
                                 "http://127.0.0.1/a b"])
def test_a_bad_url_is_wrong_usage(url: str) -> None:
    code, _, errors = tell(url)
    assert code == 2 and errors.count("\n") == 1, errors


def test_help_lists_the_flags() -> None:
    code, out, _ = tell("--help")
    assert code == 0 and "--unique-ids" in out and "--rate" in out


def test_without_a_server_there_is_nothing_to_measure(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for more in ((), ("--expect-body", "x")):
        result = run(port, tmp_path, *more)
        assert result.code == 1 and "Connection refused" in result.errors and "(start the server" in result.errors
        assert list(tmp_path.iterdir()) == []


def test_what_the_machine_lacks_is_named_with_the_fix(tmp_path: Path) -> None:
    with misbehaving("well") as port:
        for flags, word in ((("--cpus", "1000"), "taskset"), (("--json", str(tmp_path / "no" / "f")), "cannot write")):
            code, _, errors = tell(*command(port)[1:], *flags)
            assert code == 1 and word in errors and errors.count("\n") == 1
        limited = subprocess.run(["bash", "-c", 'ulimit -n 50 && exec "$@"', "-", *command(port)], capture_output=True,
                                 text=True, timeout=PATIENCE_S)
        assert limited.returncode == 1 and "ulimit -n 72" in limited.stderr, limited.stderr


def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with misbehaving("well") as port:
        code, _, errors = tell(*command(port, duration=0.2, warmup=0)[1:], "--json", "/dev/full")
        assert code == 1 and "cannot write /dev/full" in errors


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_and_keeps_what_was_measured(signum: int, tmp_path: Path) -> None:
    with misbehaving("well") as port:
        result = stopped_by(signum, port, tmp_path, "*.part", duration=60)
    assert result.code == 128 + signum, result.errors
    assert "stopped" in result.taints and "Taints: stopped" in result.text
    window = result.result["window"]
    assert 0 < window["seconds"] < 60 and result.result["requests"]["ok"] > 0


def test_a_signal_before_the_window_leaves_nothing(tmp_path: Path) -> None:
    with misbehaving("well") as port:
        result = stopped_by(signal.SIGINT, port, tmp_path, "*.part", warmup=60)
    assert result.code == 130 and "before anything was measured" in result.errors
    assert list(tmp_path.iterdir()) == []


def test_a_signal_is_seen_while_the_first_answer_is_waited_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        result = stopped_by(signal.SIGINT, deaf.getsockname()[1], tmp_path, "*.part", "--connect-timeout", "3600")
    assert result.code == 130 and "before anything was measured" in result.errors
    assert list(tmp_path.iterdir()) == []


def test_addresses_that_this_machine_lacks_are_its_own_fault(tmp_path: Path) -> None:
    with misbehaving("well") as port:
        result = run(port, tmp_path, "--source", "127.0.0.1,192.0.2.1", "--connect-timeout", "0.3", duration=0.3)
    assert result.code == 0 and result.faults == {}, result.errors + result.text
    assert {"loader_exhausted", "connections_missing"} <= result.taints
    assert result.result["loader"]["exhausted_by"] == "EADDRNOTAVAIL" and result.result["loader"]["exhausted"] >= 4
    assert "EADDRNOTAVAIL: Cannot assign requested address (check --source" in result.text


def test_any_bytes_of_the_command_line_are_told(tmp_path: Path) -> None:
    with misbehaving("well") as port:
        result = run(port, tmp_path, "--header", os.fsdecode(b"X: \xff"), duration=0.2, warmup=0)
    assert result.code == 0 and "X: \ufffd" in result.result["argv"], result.errors


@pytest.mark.parametrize("flags", [("--zipf", "10", "--rate", "200"), ("--rate", "1e-10")])
def test_what_is_never_due_is_not_waited_for(flags: tuple[str, ...], tmp_path: Path) -> None:
    with misbehaving("well") as port:
        result = run(port, tmp_path, *flags, connections=100, duration=0.3, warmup=0)
    assert result.code == 0 and result.faults == {}, result.errors + result.text


def test_a_loader_that_has_to_wait_for_a_cpu_says_so(tmp_path: Path) -> None:
    """It has a CPU of which another process, that is favoured, wants all."""
    cpu = min(os.sched_getaffinity(0))
    hog = subprocess.Popen(["taskset", "-c", str(cpu), "sh", "-c", "while :; do :; done"])
    try:
        with serving("threads") as server:
            result = run(server.port, tmp_path, "--cpus", str(cpu), "--pipeline", "16", launcher=("nice", "-n", "19"))
    finally:
        hog.kill()
        hog.wait()
    assert "loader_saturated" in result.taints, result.text
    (thread,) = result.result["loader"]["threads"]
    assert thread["share"] < 0.8 < thread["share"] + thread["wait_share"], result.text


def test_only_the_open_loop_asks_for_short_slices(tmp_path: Path) -> None:
    """Linux 6.12 grants them, an older one does not know them."""
    grants = tuple(map(int, re.findall(r"\d+", platform.release())[:2])) >= (6, 12)
    with misbehaving("well") as port:
        opened, closed = run(port, tmp_path, "--rate", "300"), run(port, tmp_path)
        batch = run(port, tmp_path, "--rate", "300", launcher=("chrt", "--batch", "0"))
    assert [thread["slice_ns"] for thread in opened.result["loader"]["threads"]] == [
        100_000 if grants else None]
    for other in (closed, batch):
        assert [thread["slice_ns"] for thread in other.result["loader"]["threads"]] == [None]
    assert ("slices: 100.00us" if grants else "slices: the kernel's") in opened.text
    assert "slices: the kernel's" in batch.text
    assert "slices" not in closed.text


def test_the_histograms_agree_with_each_other_and_the_counts(tmp_path: Path) -> None:
    with misbehaving("well") as port:
        result = run(port, tmp_path, "--hgrm", str(tmp_path / "lat.hgrm"), "--rate", "500", "--cooldown", "20")
    for clock in ("intended", "sent"):
        latency = result.result["latency_ns"][clock]
        counts = latency["histogram"]["counts"]
        assert sum(count for _, count in counts) == latency["count"] == result.result["requests"]["offered"]
        assert [low for low, _ in counts] == sorted(low for low, _ in counts)
        at_least = next(low for low, _ in reversed(counts))
        assert at_least <= latency["max"] <= at_least * 1.01
        rising = [latency[key] for key in ("p50", "p75", "p90", "p99", "p99_9", "max")]
        assert rising == sorted(rising)
        text = (tmp_path / f"lat.{clock}.hgrm").read_text()
        assert f"Total count    = {latency['count']:12}]" in text
    intended, sent = (result.result["latency_ns"][clock]["mean"] for clock in ("intended", "sent"))
    assert intended >= sent > 0
    halves = [half["intended"]["count"] for half in result.result["halves"]]
    assert sum(halves) == result.result["requests"]["offered"]


def test_the_window_is_the_one_asked_for(tmp_path: Path) -> None:
    with misbehaving("well") as port:
        result = run(port, tmp_path, "--rate", "300", "--seed", "11", duration=0.5)
    window = result.result["window"]
    assert window["end_ns"] - window["begin_ns"] == 500_000_000 and window["seconds"] == 0.5
    assert result.result["requests"]["offered"] == round(result.result["rate"]["offered"] * 0.5)
    assert result.result["seed"] == 11 and result.result["schema_version"] == 1
    assert "--seed" in result.result["argv"]


def test_the_same_seed_offers_the_same_load_to_any_threads(tmp_path: Path) -> None:
    with misbehaving("well") as port:
        offered = {tuple(run(port, tmp_path, "--rate", "300", "--seed", "4", "--threads", threads).result["requests"]
                         ["offered"] for threads in ("1", "2", "2"))}
        other = run(port, tmp_path, "--rate", "300", "--seed", "5").result["requests"]["offered"]
    (counts,) = offered
    assert len(set(counts)) == 1
    assert 50 < other < 130


def test_expectations_are_checked(tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_text("Hello, World!")
    with misbehaving("well") as port:
        def faults(*flags: str) -> set[str]:
            return set(run(port, tmp_path, *flags).faults)
        assert faults("--expect-body", f"@{body}", "--expect-length", "13", "--expect-status", "200") == set()
        assert faults("--expect-body", "Hello, world!") == {"body"}
        assert faults("--expect-length", "12") == {"body"}
        assert faults("--expect-status", "204") == {"status"}
        assert faults("--any-body", "--expect-length", "13") == set()


def test_every_source_address_is_used(tmp_path: Path) -> None:
    sources = "127.0.0.1,127.0.0.2,127.0.0.3"
    with misbehaving("well") as port:
        child = subprocess.Popen(command(port, "--source", sources, duration=2), stdout=subprocess.DEVNULL)
        seen: set[str] = set()
        try:
            while child.poll() is None:
                for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
                    here, there, state = line.split()[1:4]
                    if state == "01" and there == f"0100007F:{port:04X}":
                        seen.add(here.split(":")[0])
                if len(seen) == 3:
                    break
                time.sleep(0.01)
        finally:
            child.kill()
            child.wait()
    assert seen == {"0100007F", "0200007F", "0300007F"}


@pytest.mark.parametrize("flags", [("--service", "exp:50us"), ("--service", "bimodal:10us,1ms,0.05", "--rate", "300"),
                                   ("--unique-ids", "--service", "det:20us")])
def test_the_kits_server_is_asked_to_work(flags: tuple[str, ...], tmp_path: Path) -> None:
    with serving("stealing") as server:
        result = run(server.port, tmp_path, *flags, path="/work")
    assert result.code == 0 and result.faults == {}, result.errors + result.text
    assert result.result["requests"]["ok"] > 0


@pytest.mark.parametrize("path", ["/echo", "/bytes", "/"])
@pytest.mark.parametrize("loop", [("--pipeline", "8", "--threads", "2"), ("--rate", "2000", "--zipf", "1"),
                                  ("--rate", "2000", "--arrivals", "onoff", "--burst-ms", "20", "--gap-ms", "80")],
                         ids=["closed", "open", "onoff"])
@pytest.mark.parametrize("model", ["threads", "stealing", "sharded"])
def test_the_kits_servers_mix_nothing_up(model: str, loop: tuple[str, ...], path: str, tmp_path: Path) -> None:
    with serving(model) as server:
        result = run(server.port, tmp_path, "--unique-ids", *loop, path=path, connections=32)
        stats = server.drain()
    assert result.code == 0 and result.faults == {}, result.errors + result.text
    assert result.result["connections"]["established"] == 32
    assert result.result["ids_checked"] == ("ids_unchecked" not in result.taints) == (path != "/")
    # The scout's connection, where there was something to learn, and its request.
    assert stats["accepted"] in (32, 33) and stats["requests"] >= result.result["requests"]["ok"]


def test_a_serial_server_is_seen_to_starve(tmp_path: Path) -> None:
    """What wrk cannot see: one connection is served, the others wait, and nothing is an error."""
    with serving("serial") as server:
        result = run(server.port, tmp_path, connections=16)
        os.kill(server.pid, signal.SIGTERM)
        server.await_end()
    of = result.result["connections"]
    assert result.code == 0 and result.faults == {}, result.text
    assert of["served"] == 1 and of["zero_served"] == 15 and "zero_served" in result.taints
    assert "littles_law" in result.taints and result.result["littles_law"] < 0.5
    assert json.dumps(of["zero_served_first"]).count("port") == 15
