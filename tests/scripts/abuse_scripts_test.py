"""./duel bench abuse against a fake server, and the slow clients it sends."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from scripts import abuse, processes, servers
from scripts.errors import UserError
from scripts.paths import ROOT


def test_a_pair_is_measured_and_written(fake, tmp_path, results_folder, capsys) -> None:
    file = tmp_path / "abuse.json"
    abuse.run(2, 1, file, "trial", False, {"fake/select": fake}, slow=5, idle=4)
    written = json.loads(file.read_text())
    assert (written["kind"], written["pairs"]) == ("abuse", 2)
    assert [each["beside"] for each in written["runs"]] == [False, True, True, False]
    assert [each["abuse"] and (each["abuse"]["slow"], each["abuse"]["idle"]) for each in written["runs"]] == [
        None, (5, 4), (5, 4), None]
    outcome, = written["outcomes"]
    assert outcome["errors"] == outcome["lost"] == 0
    assert 0 < outcome["ratio_min"] <= outcome["ratio"] <= outcome["ratio_max"]
    beside = [each["raw"]["stats_after"]["accepted"] for each in written["runs"] if each["beside"]]
    alone = [each["raw"]["stats_after"]["accepted"] for each in written["runs"] if not each["beside"]]
    assert min(beside) >= min(alone) + 5 + 4
    said = capsys.readouterr().out
    assert "fake/select" in said and "0.80" in said
    assert max(map(len, said.splitlines())) <= 120
    assert (results_folder / "trial" / "table.md").read_text().count("fake/select") == 1
    assert json.loads((results_folder / "trial" / "result.json").read_text())["name"] == "trial"


def test_a_server_that_ends_is_one_line(fake) -> None:
    with pytest.raises(UserError, match="ended .*out of luck"):
        abuse.run(1, 2, None, None, False, {"fake/select": [*fake, "--die-after", "1"]}, slow=2, idle=2)


def test_a_run_too_short_to_cut_a_head_is_refused() -> None:
    with pytest.raises(UserError, match="use 12 or more"):
        abuse.check(11)


def test_slow_clients_that_cannot_come_are_one_line(fake, tmp_path) -> None:
    with servers.serving(fake, tmp_path) as server:
        server.port = 1
        with pytest.raises(UserError, match="do not stand: ConnectionRefusedError"):
            with abuse.slow_clients(server, tmp_path, 1, 1, []):
                pass


def test_slow_clients_that_end_without_a_report_are_one_line(fake, tmp_path, monkeypatch) -> None:
    """Killed after their grace."""
    silent = [sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_DFL); "
                                    "print('holding', flush=True); time.sleep(60)"]
    monkeypatch.setattr(abuse, "running", lambda argv, **options: processes.running(silent, **options))
    with servers.serving(fake, tmp_path) as server:
        with pytest.raises(UserError, match="did not say what they did: they said nothing"):
            with abuse.slow_clients(server, tmp_path, 1, 1, []):
                pass


@contextmanager
def answering(replies: list[bytes]) -> Iterator[tuple[int, list[bytes]]]:
    """A server that says each reply to one connection and closes it; keeps the ones after, and what all said."""
    heard: list[bytes] = []
    kept: list[socket.socket] = []

    def serve() -> None:
        for reply in replies:
            client, _ = listener.accept()
            heard.append(client.recv(100))
            client.sendall(reply)
            client.close()
        kept.append(listener.accept()[0])
        heard.append(kept[0].recv(100))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], heard
        thread.join(10)
        assert not thread.is_alive()
        for each in kept:
            each.close()


def test_a_slow_client_comes_back_and_counts_why() -> None:
    replies = [b"HTTP/1.1 408 Request Timeout\r\n\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b""]
    with answering(replies) as (port, heard):
        argv = [sys.executable, "-m", "scripts.slow_clients", str(port), "--slow", "1", "--idle", "0",
                "--pause", "0.05"]
        with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
            try:
                assert child.stdout is not None and child.stdout.readline() == "holding\n"
                while len(heard) < 4:
                    assert child.poll() is None
                    threading.Event().wait(0.01)
                threading.Event().wait(0.3)
                child.send_signal(signal.SIGTERM)
                report = json.loads(child.stdout.readline())
            finally:
                child.kill()
    assert [each[:5] for each in heard] == [b"GET /"] * 4
    assert (report["cut"], report["lost"]) == (1, 2)
    assert report["sent"] >= 1
    assert 0 < report["cpu_s"] < report["seconds"]
