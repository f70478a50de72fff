"""Two results compared by ratios: planted ones, the committed ones, and pairs that must be refused."""

from __future__ import annotations

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scripts import compare
from scripts.errors import UserError
from scripts.paths import RESULTS, ROOT

NOISE = [1.0, 1.02, 0.99, 1.01, 0.98, 1.005, 0.995, 1.015, 0.985, 1.0]
LOAD = {"threads": 2, "connections": 256, "duration_s": 10, "path": "/", "pipeline": 1}


def document(speed: float, factors: dict[str, float], repeats: int = 10, **load: Any) -> dict[str, Any]:
    """A scenario on a machine of that speed; `factors`: each row's req/s against the first."""
    def run(row: int, factor: float, repeat: int) -> dict[str, Any]:
        # What a repeat has in common swings by far more than the rows differ.
        common = speed * (1 + 0.5 * (repeat % 2))
        own = NOISE[(repeat * (row + 3)) % 10]
        return {"figures": {"requests_per_s": common * factor * own, "cpu_us": 10 / factor / own, "p99_ms": 5.0,
                            "errors": 0}, "audit": {"starved": False}}

    return {"schema_version": 1, "kind": "scenario", "began": "2026-01-01T00:00:00Z", "taints": ["shared CPUs"],
            "settings": {"duration_s": 10},
            "scenario": {"name": "ladder", "load": {**LOAD, **load}, "sweep": None, "rows": [
                {"name": name, "model": "stealing", "driver": "epoll", "workers": 0, "switches": {}}
                for name in factors]},
            "rows": [{"value": None, "row": name, "runs": [run(row, factor, repeat) for repeat in range(repeats)]}
                     for row, (name, factor) in enumerate(factors.items())]}


def written(path: Path, content: Any) -> compare.Result:
    path.mkdir(exist_ok=True)
    (path / "result.json").write_text(json.dumps(content))
    return compare.read(path)


def estimate(cell: str) -> float:
    """Of a difference that is shown."""
    assert cell.startswith("x"), cell
    return float(cell[1:].split()[0])


FACTORS = {"base": 1.0, "fast": 1.3, "alike": 1.0, "turns": 1.2}


@pytest.fixture
def two(tmp_path: Path) -> tuple[compare.Result, compare.Result]:
    return (written(tmp_path / "a", document(1e5, FACTORS)),
            written(tmp_path / "b", document(7e5, {**FACTORS, "fast": 1.7, "turns": 0.8})))


def test_ratios_are_compared_whatever_the_machines_do(two) -> None:
    table = compare.table(compare.pair(*two))
    assert table.headers == ["ratio to base", "A", "B", "B / A", "direction"]
    assert table.sections == {0: "req/s", 3: "CPU µs a request", 6: "p99"}
    fast, alike, turns = table.rows[:3]
    assert (fast[0], fast[4]) == ("fast", "same")
    assert [estimate(cell) for cell in fast[1:4]] == pytest.approx([1.3, 1.7, 1.31], rel=0.02)
    assert (alike[4], alike[3][:2]) == ("~", "~ ")
    assert turns[4] == "OPPOSITE"
    assert estimate(turns[3]) == pytest.approx(0.8 / 1.2, rel=0.02)
    assert estimate(table.rows[3][1]) == pytest.approx(1 / 1.3, rel=0.02)  # CPU goes the other way


def test_another_reference(two) -> None:
    table = compare.table(compare.pair(*two, reference="fast"))
    assert [row[0] for row in table.rows[:3]] == ["base", "alike", "turns"]
    with pytest.raises(UserError, match="--reference 'none' is not a row of both") as caught:
        compare.pair(*two, reference="none")
    assert caught.value.exit_code == 2


def test_what_cannot_be_compared_is_said(tmp_path: Path, two) -> None:
    other = document(1e5, {"base": 1.0, "fast": 1.3, "turns": 1.0, "new": 1.0})
    other["scenario"]["rows"][2]["switches"] = {"steal": "off"}
    pairing = compare.pair(two[0], written(tmp_path / "c", other))
    assert [place[1] for place in pairing.places] == ["fast"]
    said = " ".join(compare.notes(pairing))
    for expected in ("not compared: alike: only in", "not compared: new: only in", "not compared: turns: set up differ",
                     "taint of A: shared CPUs"):
        assert expected in said


def test_too_few_repeats_show_nothing(tmp_path: Path, two) -> None:
    pairing = compare.pair(two[0], written(tmp_path / "c", document(1e5, FACTORS, repeats=5)))
    assert {row[4] for row in compare.table(pairing).rows} == {"too few repeats"}
    assert all(row[2].startswith("~ ") for row in compare.table(pairing).rows)
    assert "B has too few repeats (5) for an interval, which takes 6: nothing is shown" in compare.notes(pairing)


def test_percentiles_of_a_row_with_errors_are_no_figures(tmp_path: Path, two) -> None:
    failing = document(1e5, FACTORS)
    for run in failing["rows"][1]["runs"]:
        run["figures"]["errors"] = 3
    table = compare.table(compare.pair(two[0], written(tmp_path / "c", failing)))
    assert table.rows[6][2:] == [compare.BLANK] * 3
    assert table.rows[0][2] != compare.BLANK


def test_different_loads_and_questions_are_refused(tmp_path: Path, two) -> None:
    with pytest.raises(UserError, match="different load: connections 256 and 64"):
        compare.pair(two[0], written(tmp_path / "c", document(1e5, FACTORS, connections=64)))
    longer = document(1e5, FACTORS)
    longer["settings"]["duration_s"] = 3
    notes = compare.pair(two[0], written(tmp_path / "d", longer)).notes
    assert notes == ["load differs a little: duration_s 10 and 3"]
    renamed = document(1e5, FACTORS)
    renamed["scenario"]["name"] = "skew"
    with pytest.raises(UserError, match="scenario ladder and .* scenario skew: different questions"):
        compare.pair(two[0], written(tmp_path / "e", renamed))
    with pytest.raises(UserError, match="fewer than two rows"):
        compare.pair(two[0], written(tmp_path / "f", document(1e5, {"base": 1.0, "else": 1.0})))


def test_points_of_a_sweep_are_compared_each_with_its_own(tmp_path: Path) -> None:
    swept = document(1e5, FACTORS)
    swept["scenario"]["sweep"] = {"of": "connections"}
    more = copy.deepcopy(swept["rows"])
    swept["rows"] = [{**row, "value": 4} for row in swept["rows"]] + [{**row, "value": 64} for row in more[1:]]
    result = written(tmp_path / "s", swept)
    pairing = compare.pair(result, result)
    assert pairing.places == [(4, "fast"), (4, "alike"), (4, "turns")]
    assert pairing.refused[0] == "fast at 64: base was not measured there"


@pytest.mark.parametrize(("content", "message"), [
    ({}, "is not a result with rows"), ([], "is not a result with rows"),
    ({"schema_version": 2}, "has schema_version 2, known is 1"),
    ({"schema_version": 1, "kind": "floor", "outcomes": []}, "is not a result with rows"),
    ({**document(1, FACTORS), "rows": []}, "has no row with figures")])
def test_what_is_no_result_is_named(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        written(tmp_path / "x", content)


def test_files_that_are_not_there_or_not_json(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        compare.read(tmp_path)
    (tmp_path / "result.json").write_text("{")
    with pytest.raises(UserError, match="is not JSON"):
        compare.read(tmp_path / "result.json")


@pytest.mark.parametrize("name", ["reference-2cpu", "reference-2cpu-matrix"])
def test_the_committed_results_compare_with_themselves(name: str) -> None:
    done = subprocess.run([str(ROOT / "duel"), "compare", str(RESULTS / name), str(RESULTS / name / "result.json")],
                          capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("AMD EPYC") == 2
    assert "x1.00" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 120


# --- campaigns -------------------------------------------------------------------------------------

def campaign(speed: float, factors: dict[str, float], blocks: int = 10, **settings: Any) -> dict[str, Any]:
    """Blocks swing by far more than the rows differ, and their runs come in any order."""
    def run(number: int, row: str, point: dict[str, Any], block: int) -> dict[str, Any]:
        cost = (1 + block % 3) / factors.get(row, 1.0) / speed * NOISE[block * ([*factors, row].index(row) + 3) % 10]
        latency = {"count": 1_000_000, **{name: 100 * cost for name in ("p50", "p99", "p99_9")}}
        return {"number": number, "block": block, "row": row, "point": point["name"], "requests_per_s": 1e5 / cost,
                "offered_per_s": point["rate"], "errors": {}, "zero_served": 0, "fallen_silent": 0, "taints": [],
                "cpu_us": {"total": cost}, "switches_per_1000": 0.0, "latency_intended_us": latency,
                "latency_sent_us": latency}

    points = [{"name": "closed", "kind": "closed", "rate": None, "of_peak": None},
              {"name": "50 %", "kind": "open", "rate": 1e4 * speed, "of_peak": 0.5}]
    places = [(block, point, row) for block in range(1, blocks + 1) for point in points
              for row in (*factors, "A/A control")]
    runs = [run(number, row, point, block) for number, (block, point, row) in enumerate(places, 1)]
    return {"schema_version": 1, "kind": "campaign", "began": "2026-01-01T00:00:00Z", "taints": ["shared: all"],
            "scenario": {"name": "ladder"}, "settings": {"blocks": blocks, "connections": 64, "path": "/", **settings},
            "rows": [{"name": name, "model": "stealing", "driver": "epoll", "workers": 0, "switches": {},
                      "control_of": "base" if name == "A/A control" else None} for name in (*factors, "A/A control")],
            "points": points, "runs": runs[::-1], "control": {"verdict": "~ two identical rows"}}


def lines_of(table, measure: str) -> list[list[str]]:
    starts = sorted(table.sections)
    begin = next(at for at in starts if table.sections[at] == measure)
    return table.rows[begin:next((at for at in starts if at > begin), None)]


def test_campaigns_are_paired_by_block_at_each_point_in_each_measure(tmp_path: Path) -> None:
    a = campaign(1, FACTORS)
    b = campaign(7, {**FACTORS, "turns": 0.8})
    # By position base's 2nd run would meet the others' 3rd, and so on, in blocks that differ threefold.
    b["runs"] = [run for run in b["runs"] if (run["row"], run["block"]) != ("base", 2)]
    pairing = compare.pair(written(tmp_path / "a", a), written(tmp_path / "b", b))
    table = compare.table(pairing)
    assert list(table.sections.values()) == ["req/s", "CPU µs", "p50 µs", "p99 µs", "p99.9 µs"]  # no switches at all
    assert [row[0] for row in lines_of(table, "req/s")] == ["fast at closed", "alike at closed", "turns at closed"]
    for measure in ("CPU µs", "p50 µs", "p99 µs", "p99.9 µs"):
        found = {row[0]: row for row in lines_of(table, measure)}
        assert len(found) == 6
        for point in ("closed", "50 %"):
            assert [estimate(cell) for cell in found[f"fast at {point}"][1:3]] == pytest.approx([1 / 1.3] * 2, rel=0.03)
            assert found[f"fast at {point}"][4] == "same"
            assert found[f"turns at {point}"][4] == "OPPOSITE"
            assert found[f"alike at {point}"][4] == "~"
    said = " ".join(compare.notes(pairing))
    for expected in ("50 % is 10,000 requests/s in", "and 70,000 in", "control of A: ~ two identical rows",
                     "taint of B: shared: all"):
        assert expected in said


def test_a_campaigns_spoiled_latencies_are_left_out(tmp_path: Path) -> None:
    spoiled = campaign(1, FACTORS)
    for run in spoiled["runs"]:
        run["taints"] = ["loader saturated: x"] if run["row"] == "fast" else []
    table = compare.table(compare.pair(written(tmp_path / "a", spoiled), written(tmp_path / "b", spoiled)))
    assert "fast at closed" in [row[0] for row in lines_of(table, "CPU µs")]
    assert "fast at closed" not in [row[0] for row in lines_of(table, "p99 µs")]


def test_campaigns_that_asked_different_things_are_refused(tmp_path: Path) -> None:
    a = written(tmp_path / "a", campaign(1, FACTORS))
    with pytest.raises(UserError, match="different load: connections 64 and 8"):
        compare.pair(a, written(tmp_path / "b", campaign(1, FACTORS, connections=8)))
    with pytest.raises(UserError, match="different questions"):
        compare.pair(a, written(tmp_path / "c", document(1e5, FACTORS)))
    assert "duration_s 1 and None" in " ".join(compare.pair(
        written(tmp_path / "d", campaign(1, FACTORS, duration_s=1)), a).notes)


def test_few_blocks_show_nothing(tmp_path: Path) -> None:
    few = written(tmp_path / "a", campaign(1, FACTORS, blocks=3))
    assert {row[4] for row in compare.table(compare.pair(few, few)).rows} == {"too few repeats"}
