"""One measurement against a fake server: the figures, and every way it can go wrong."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts import demo, results, servers, wrk
from scripts.errors import UserError
from scripts.measure import measure, require_descriptors
from scripts.paths import ROOT

LOAD = wrk.Load(2, 8, 1)


def test_counters_cover_the_run_and_not_the_warm_up(fake, tmp_path) -> None:
    got = measure(fake, LOAD, 1, tmp_path)
    assert got.counted("served") == 8
    assert got.report.requests > 0
    assert got.report.errors == 0
    assert 0 <= got.counted("requests") - got.report.requests <= 8 + 2
    assert got.after.user_s + got.after.system_s > got.before.user_s + got.before.system_s
    assert got.drained_while_held
    json.dumps(got.as_json())


def test_a_server_that_serves_one_connection_is_seen(fake, tmp_path) -> None:
    got = measure([*fake, "--serial"], LOAD, 1, tmp_path)
    assert got.counted("served") == 1


@pytest.mark.parametrize(("switches", "message"), [
    (["--die-at-once"], r"ended before it was ready \(exit status 1\): fake-server: port in use"),
    (["--die-after", "0.5"], r"ended during the run \(exit status 3\): fake-server: out of luck"),
    (["--exit-status", "4"], r"exited with 4 after SIGTERM"),
    (["--no-stats"], r"left no readable --stats-file")])
def test_a_failing_server_is_one_line(fake, tmp_path, switches, message) -> None:
    with pytest.raises(UserError, match=message) as caught:
        measure([*fake, *switches], LOAD, 0, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_server_that_is_never_ready_is_given_up(fake, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(servers, "READY_TIMEOUT_S", 0.5)
    with pytest.raises(UserError, match="did not say it was listening"):
        measure([*fake, "--never-ready"], LOAD, 0, tmp_path)


def test_a_missing_server_is_one_line(tmp_path) -> None:
    with pytest.raises(UserError, match=r"build/none/duel-server not found \(run ./duel"):
        measure(["build/none/duel-server"], LOAD, 0, tmp_path)


def test_too_few_descriptors_name_the_fix(monkeypatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 512))
    with pytest.raises(UserError, match=r"--connections 1000 needs 1064 .*ulimit -n 1064"):
        require_descriptors(1000)


def test_the_soft_limit_is_raised(monkeypatch) -> None:
    raised = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: raised.append(limits))
    require_descriptors(1000)
    assert raised == [(1064, 4096)]


def _row(fake: list[str], key: str, *switches: str) -> demo.Row:
    return demo.Row(key, key, "serial", [*fake, *switches])


def test_a_demo_leaves_a_whole_result(fake, results_folder, capsys) -> None:
    rows = [_row(fake, "serial", "--serial"), _row(fake, "threads")]
    demo.run(demo.Settings(8, 1, 1, True), "trial", False, rows)
    made = {each.name for each in (results_folder / "trial").iterdir()}
    assert made == {"result.json", "machine.json", "table.md", "wrk-serial.txt", "wrk-threads.txt",
                    "stats-serial.json", "stats-threads.json", "latency.png", "latency.svg", "throughput.png",
                    "throughput.svg", "cpu.png", "cpu.svg"}
    result = json.loads((results_folder / "trial" / "result.json").read_text())
    assert result["schema_version"] == 1
    assert [row["audit"]["served"] for row in result["rows"]] == [1, 8]
    assert len(result["published"]["rows"]) == 4
    assert "served 1 of 8 connections" in capsys.readouterr().out
    with pytest.raises(UserError, match="results/trial exists .*--force"):
        demo.check(demo.Settings(8, 1, 1, True), "trial", False)


def test_a_server_that_dies_leaves_no_result(fake, results_folder) -> None:
    rows = [_row(fake, "good"), _row(fake, "bad", "--die-after", "0.5")]
    with pytest.raises(UserError, match="out of luck"):
        demo.run(demo.Settings(8, 1, 0, True), "trial", False, rows)
    assert list(results_folder.iterdir()) == []


def test_machine_record_names_no_host_and_no_path(fake) -> None:
    from scripts import machine
    text = json.dumps(machine.record())
    assert os.uname().nodename not in text or len(os.uname().nodename) < 4
    assert str(ROOT) not in text


STOPPED = """
import sys
from pathlib import Path
from scripts import cli, demo, results
results.RESULTS = Path(sys.argv[1])
row = demo.Row("row", "row", "serial", [sys.executable, sys.argv[2]])
settings = demo.Settings(8, 20, 0, True)
sys.exit(cli.guarded(lambda: demo.run(settings, "trial", False, [row]) or 0))
"""


@pytest.mark.parametrize(("signum", "status"), [(2, 130), (15, 143)])
def test_a_signal_stops_everything_it_started(fake, tmp_path, signum: int, status: int) -> None:
    out = tmp_path / "results"
    child = subprocess.Popen([sys.executable, "-c", STOPPED, str(out), fake[1]], cwd=ROOT, text=True,
                             env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE)
    try:
        started = _wait_for_children(child.pid, 2)
        child.send_signal(signum)
        assert child.wait(20) == status
    finally:
        child.kill()
        child.wait()
    assert child.stderr.read().strip().splitlines()[-1].startswith("duel: stopped")
    child.stderr.close()
    assert not [pid for pid in started if _alive(pid)]
    assert list(out.iterdir()) == []


def _wait_for_children(pid: int, count: int) -> list[int]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        pids = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        if len(pids) >= count:
            return pids
        time.sleep(0.02)
    raise AssertionError("server and wrk did not start")


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_unwritable_results_are_one_line(tmp_path, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(results, "RESULTS", tmp_path / "file" / "results")
    with pytest.raises(UserError, match="cannot write .*results"):
        with results.folder("trial", False):
            pass


def test_a_full_disk_is_one_line() -> None:
    with pytest.raises(UserError, match="No space left on device .*free some disk space"):
        raise results.cannot_write(Path("x"), OSError(28, "No space left on device"))
