"""Results that are broken, foreign, hostile or half there: a Result, or one line naming what is wrong."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import report_fixture

from scripts.errors import UserError
from scripts.paths import RESULTS
from scripts.report import load, verdicts


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> dict[str, Any]:
    return report_fixture.campaign(tmp_path_factory.mktemp("report") / "good", 2, (0.5, 0.9), 200,
                                   ("stealing/epoll", "sharded/uring"))


def read(folder: Path, document: Any):
    folder.mkdir(exist_ok=True)
    (folder / "result.json").write_text(document if isinstance(document, str) else json.dumps(document))
    return load.read(folder)


def broken(good: dict[str, Any], *path: Any, value: Any = None, gone: bool = False) -> dict[str, Any]:
    """A copy with one thing changed, or gone."""
    document = copy.deepcopy(good)
    holder: Any = document
    for each in path[:-1]:
        holder = holder[each]
    if gone:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return document


def test_a_campaign_is_read(tmp_path: Path, good) -> None:
    result = read(tmp_path / "r", good)
    assert (result.kind, len(result.rows), len(result.points), len(result.runs)) == ("campaign", 3, 3, 18)
    assert [point.rate for point in result.open] == sorted(point.rate for point in result.open)
    run = next(run for run in result.runs if run.point == "50 %")
    raw = next(each for each in good["runs"] if each["number"] == run.number)
    assert run.figures["p99_us"] == raw["latency_intended_us"]["p99"]
    closed = next(run for run in result.runs if run.point == "closed")
    raw = next(each for each in good["runs"] if each["number"] == closed.number)
    assert closed.figures["p99_us"] == raw["latency_sent_us"]["p99"]
    assert result.reproduce == "./duel bench matrix --blocks 2 --seed 7 --duration 10 --rates 50,90"
    assert result.notes == []


@pytest.mark.parametrize(("path", "change", "message"), [
    (("schema_version",), {"value": 0}, "has schema_version 0, known is 1"),
    (("schema_version",), {"value": "1"}, "has schema_version '1', known is 1"),
    (("schema_version",), {"gone": True}, "is not a result"),
    (("kind",), {"value": "floor"}, "is of kind 'floor', and reports are made of campaign, scenario, table"),
    (("kind",), {"gone": True}, "is of kind None"),
    (("kind",), {"value": {"a": 1}}, "is of kind {'a': 1}"),
    (("rows",), {"gone": True}, r"lacks result\.rows"),
    (("rows",), {"value": 7}, r"has 7 as result\.rows, which should be a list"),
    (("rows", 0), {"value": "x"}, r'has "x" as result\.rows\[0\], which should be an object'),
    (("rows", 0, "name"), {"value": 3}, r"has 3 as rows\[0\]\.name, which should be of type str"),
    (("rows", 1, "name"), {"value": "stealing/epoll"}, "names a row twice"),
    (("points", 0, "name"), {"gone": True}, r"lacks points\[0\]\.name"),
    (("points", 1, "rate"), {"value": -1}, r"has -1 as points\[1\]\.rate, which should be above 0"),
    (("runs", 3, "row"), {"value": "nobody"}, r"has a runs\[3\]\.row that is not one of its rows: nobody"),
    (("runs", 3, "block"), {"gone": True}, r"lacks runs\[3\]\.block"),
    (("runs", 3, "number"), {"value": True}, r"has true as runs\[3\]\.number"),
    (("runs", 0, "file"), {"value": "../../../etc/passwd"}, r"has a runs\[0\]\.file outside its folder"),
    (("runs",), {"value": []}, "has no run"),
    (("summaries",), {"gone": True}, r"lacks result\.summaries"),
    (("comparisons", 0, "against"), {"gone": True}, r"lacks comparisons\[0\]\.against"),
    (("control", "of"), {"gone": True}, r"lacks control\.of"),
])
def test_what_is_wrong_is_named(tmp_path: Path, good, path, change, message) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read(tmp_path / "r", broken(good, *path, **change))
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(")"), "names the fix"


@pytest.mark.parametrize(("text", "message"), [
    ("", "is not JSON"), ("{", "is not JSON"), ("[" * 100_000, "is not JSON"), ("[]", "is not a result"),
    ("null", "is not a result"), ('"x"', "is not a result")])
def test_files_that_are_no_result(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(tmp_path / "r", text)


def test_places_without_a_result(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none", tmp_path / "none" / "result.json"):
        with pytest.raises(UserError, match="does not exist"):
            load.read(path)


def test_missing_pieces_are_left_out(tmp_path: Path, good) -> None:
    """All that a run may lack, at once: what remains is read, and nothing becomes 0."""
    document = copy.deepcopy(good)
    keep = {"number", "block", "row", "point"}
    document["runs"] = [{key: value if key in keep else None for key, value in run.items()} for run in document["runs"]]
    for key in ("machine", "scenario", "settings", "taints", "ended", "control"):
        document[key] = None
    document["summaries"], document["comparisons"], document["complete"] = [], [], False
    result = read(tmp_path / "r", document)
    assert all(run.figures == {} and run.clocks == {} and run.halves is None for run in result.runs)
    assert any(note.startswith("incomplete: 18 of 18 runs") for note in result.notes)
    assert "noise of the machine was not measured" in verdicts.noise(result)


def test_numbers_that_are_none(tmp_path: Path, good) -> None:
    """JSON of Python may hold NaN and Infinity."""
    document = broken(good, "runs", 0, "requests_per_s", value=float("nan"))
    document["runs"][0]["cpu_us"] = {"total": float("inf"), "user": "7", "system": True}
    document["summaries"][0]["median"] = float("nan")
    document["runs"][0]["connections_per_worker"], document["runs"][1]["peak_mib"] = 10**400, 10**400
    document["machine"] = -5
    result = read(tmp_path / "r", document)
    assert not {"requests_per_s", "cpu_us_total", "cpu_us_user", "cpu_us_system"} & result.runs[0].figures.keys()
    assert len(result.summaries) == len(good["summaries"]) - 1
    assert result.runs[0].connections_per_worker == []
    assert "peak_mib" not in result.runs[1].figures
    assert result.machine is None


@pytest.mark.parametrize(("key", "value"), [("errors", {"timeout": 3}), ("zero_served", 2), ("fallen_silent", 1)])
def test_percentiles_of_a_spoiled_run_are_no_figures(tmp_path: Path, good, key: str, value: Any) -> None:
    result = read(tmp_path / "r", broken(good, "runs", 0, key, value=value))
    assert "p99_us" not in result.runs[0].figures
    assert "p99_us" in result.runs[1].figures


def test_text_loses_what_cannot_be_printed(tmp_path: Path, good) -> None:
    document = json.loads(json.dumps(good).replace("sharded/uring", "a\\u0000b\\nc\\ud800\\u202e"))
    assert [row.name for row in read(tmp_path / "r", document).rows][1] == "a?b c??"


@pytest.mark.parametrize("name", ["reference-2cpu", "reference-2cpu-ladder", "reference-2cpu-matrix"])
def test_committed_results_are_read(name: str) -> None:
    result = load.read(RESULTS / name)
    assert all(run.figures["requests_per_s"] > 0 and run.figures["cpu_us_total"] > 0 for run in result.runs)
    assert result.machine is not None
    assert not any(each.different for each in result.comparisons), "three repeats show nothing"
    starved = [run for run in result.runs if run.row in ("serial", "serial, keep-alive on")]
    assert all("p99_us" not in run.figures for run in starved)


def test_results_of_wrk_beside_a_campaign_are_found(tmp_path: Path, good) -> None:
    (tmp_path / "r" / "wrk").mkdir(parents=True)
    (tmp_path / "r" / "wrk" / "result.json").write_bytes((RESULTS / "reference-2cpu-matrix/result.json").read_bytes())
    (tmp_path / "r" / "other.json").write_text('{"kind": "micro"}')
    (tmp_path / "r" / "broken.json").write_text("{")
    result = read(tmp_path / "r", good)
    assert [each.name for each in result.beside] == ["reference-2cpu-matrix"]
    assert any("broken.json is not JSON" in note for note in result.notes)
