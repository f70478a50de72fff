"""duel-load against other loaders: planted ratios, what h2load prints, and runs with a fake server and fake loaders."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from scripts import agreement, cli, floor, wrk
from scripts.errors import UserError

FAKE_LOAD = str(Path(__file__).with_name("fake_load.py"))
H2LOAD = """starting benchmark...
finished in 3.00s, 41234.50 req/s, 6.17MB/s
requests: 123704 total, 123710 started, 123704 done, 123701 succeeded, 3 failed, 2 errored, 1 timeout
status codes: 123701 2xx, 0 3xx, 0 4xx, 1 5xx
"""


def runs(ratios: list[float], errors: int = 0) -> list[dict]:
    """What a pair has in common swings by far more than the loaders differ."""
    return [{"pair": pair, "loader": who, "per_s": 1000.0 * (1 + pair) * (ratio if who == agreement.OURS else 1),
             "cpu_us": 2.0 if who == agreement.OURS else 4.0, "errors": errors if pair == 0 and who == "wrk" else 0}
            for pair, ratio in enumerate(ratios) for who in (agreement.OURS, "wrk")]


@pytest.mark.parametrize(("ratios", "errors", "verdict"), [
    ([0.97, 1.0, 1.01, 1.02, 1.03, 1.04], 0, "met"), ([0.94, 1.0, 1.01, 1.02, 1.03, 1.04], 0, "~"),
    ([1.0, 1.0, 1.01, 1.02, 1.03, 1.06], 0, "~"), ([0.7, 0.8, 0.9, 0.91, 0.92, 0.94], 0, "NOT met"),
    ([1.06, 1.07, 1.08, 1.09, 1.1, 1.2], 0, "NOT met"), ([1.0] * 5, 0, "~"), ([1.0] * 6, 0, "met"),
    ([1.0] * 6, 1, "~"), ([1.05, 1.06, 1.06, 1.06, 1.06, 1.06], 0, "~")])
def test_the_whole_interval_has_to_lie_within_the_limit(ratios: list[float], errors: int, verdict: str) -> None:
    found = agreement.outcome("wrk", runs(ratios, errors))
    assert found["verdict"] == verdict
    assert (found["min"], found["max"]) == pytest.approx((min(ratios), max(ratios)))
    assert (found["cpu_us"], found["cpu_us_against"], found["errors"]) == (2.0, 4.0, errors)
    assert (found["interval"] is None) == (len(ratios) < 6)
    cells = agreement.table([found]).rows[0]
    assert cells[6] == f"5% {verdict}"


def test_what_h2load_prints() -> None:
    assert agreement.read_h2load(H2LOAD) == (123_701, 41_234.5, 3)
    with pytest.raises(UserError, match="not the one known here"):
        agreement.read_h2load("h2load: nothing")


@pytest.mark.parametrize("installed", [False, True])
def test_h2load_takes_part_where_it_is_installed(installed: bool, monkeypatch) -> None:
    monkeypatch.setattr(agreement.shutil, "which", lambda name: f"/usr/bin/{name}" if installed else None)
    found = agreement.loaders()
    assert list(found) == [agreement.OURS, "wrk", *(["h2load"] if installed else [])]
    for each in found.values():
        argv = each.argv(3, "http://127.0.0.1:1/", Path("f"))
        assert "http://127.0.0.1:1/" in argv
        assert {"3", "-d3s"} & set(argv)
        assert {"64", "-c64"} & set(argv)


@pytest.fixture
def two_cpus(monkeypatch) -> None:
    setting = floor.Setting("pinned", "", 1, 0, wrk.Load(1, 64, 1, 0))
    monkeypatch.setattr(floor, "settings", lambda _: [setting])


def fake_loaders(log: Path, *switches: str) -> dict[str, agreement.Loader]:
    def argv(who: str):
        return lambda seconds, url, file: [sys.executable, FAKE_LOAD, "--duration", str(seconds), "--speed", "20",
                                           "--log", str(log), "--header", who, *switches, "--json", str(file), url]

    return {who: agreement.Loader(argv(who), agreement.read_duel_load) for who in (agreement.OURS, "wrk")}


def test_pairs_alternate_and_each_run_has_a_server_of_its_own(fake, two_cpus, tmp_path, results_folder, capsys) -> None:
    log, out = tmp_path / "log", tmp_path / "out.json"
    agreement.run(2, 2, out, "trial", False, fake, fake_loaders(log))
    made = json.loads(out.read_text())
    assert [(run["pair"], run["loader"]) for run in made["runs"]] == [
        (0, "duel-load"), (0, "wrk"), (1, "wrk"), (1, "duel-load")]
    asked = [line.split() for line in log.read_text().splitlines()]
    assert [words[words.index("--duration") + 1] for words in asked] == ["1", "2"] * 4  # a warm-up before each
    assert len({words[-1] for words in asked}) == 4  # a port each
    assert all(run["requests"] > 0 and run["cpu_us"] > 0 for run in made["runs"])
    assert all(run["argv"][:3] == ["taskset", "-c", "0"] for run in made["runs"])
    assert (made["kind"], made["outcomes"][0]["verdict"]) == ("agreement", "~")
    assert json.loads((results_folder / "trial" / "result.json").read_text())["name"] == "trial"
    said = capsys.readouterr().out
    assert "5% ~" in said
    assert "h2load is not installed and was left out (apt-get install nghttp2-client)" in said
    assert all(len(line) <= 120 for line in said.splitlines() if str(tmp_path) not in line)


@pytest.mark.parametrize(("server", "loader", "message"), [
    ([], ["--fail", "1"], "failed: fake-load: could not measure .*run it by hand: taskset -c 0"),
    (["--die-after", "0.1"], ["--hang"], "ended during the run")])
def test_a_run_that_fails_leaves_nothing(fake, two_cpus, tmp_path, results_folder, server, loader, message) -> None:
    with pytest.raises(UserError, match=message):
        agreement.run(1, 1, tmp_path / "out.json", "trial", False, [*fake, *server], fake_loaders(tmp_path / "log",
                                                                                                 *loader))
    assert not (tmp_path / "out.json").exists()
    assert not (results_folder / "trial").exists()


def test_a_loader_that_does_not_end_is_given_up(fake, two_cpus, tmp_path, results_folder, monkeypatch) -> None:
    monkeypatch.setattr(agreement, "_PATIENCE_S", -2.0)
    with pytest.raises(UserError, match="did not end -2 s after its time"):
        agreement.run(1, 1, None, None, False, fake, fake_loaders(tmp_path / "log", "--hang"))


def test_the_command_line(monkeypatch, tmp_path) -> None:
    from scripts import build
    ran = []
    monkeypatch.setattr(build, "build", lambda preset, targets: ran.append((preset, targets)))
    monkeypatch.setattr(agreement, "check", lambda duration: ran.append(duration))
    monkeypatch.setattr(agreement, "run", lambda *given: ran.append(given))
    assert cli.dispatch(["bench", "agreement", "--pairs", "6", "--duration", "2", "--json", str(tmp_path / "f")]) == 0
    assert ran == [2, ("release", ["duel-server", "duel-load"]), (6, 2, tmp_path / "f", None, False)]
