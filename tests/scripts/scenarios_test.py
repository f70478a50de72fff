"""Scenario files: those that ship are sound, and what is wrong with one is named in a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import bench, scenarios, wrk
from scripts.errors import UserError
from scripts.progress import Progress

SOUND = """
title = "T"
question = "Q?"
varies = "v"
expected = "e"
reason = "r"
source = "s"
[cores]
least = 1
enough = "always"
[load]
connections = 8
[[rows]]
name = "first"
model = "stealing"
[[rows]]
name = "second"
model = "sharded"
driver = "uring"
changes = "c"
switches = { budget = 8 }
"""


def read(folder: Path, text: str) -> scenarios.Scenario:
    path = folder / "trial.toml"
    path.write_text(text)
    return scenarios.read(path)


def test_the_issues_scenarios_are_there() -> None:
    assert set(scenarios.names()) >= {"seed", "matrix", "ladder", "reactor", "connections", "churn", "pipelined",
                                      "skew", "service-times", "blocking", "idle", "payload", "kv", "knobs"}


@pytest.mark.parametrize("name", scenarios.names())
def test_what_ships_is_sound_and_fits_a_table(name: str) -> None:
    scenario = scenarios.load(name)
    assert scenario.question.endswith("?")
    for row in scenario.rows:
        assert len(row.name) <= 26, row.name
        assert len(row.changes) <= 42, row.changes
    for each in scenario.sweep.values if scenario.sweep else [None]:
        load = scenario.at(each, 1)
        assert load.threads <= load.connections
        assert scenarios.VALUE not in " ".join(load.argv("http://x/"))


@pytest.mark.load
@pytest.mark.parametrize("name", scenarios.names())
def test_the_server_takes_every_row(name: str) -> None:
    from server import BINARY
    with Progress("test", 1) as progress:
        bench.check_starts(scenarios.load(name), [str(BINARY)], progress)


def test_a_sound_file_becomes_command_lines(tmp_path) -> None:
    scenario = read(tmp_path, SOUND)
    assert [row.argv(["server"]) for row in scenario.rows] == [
        ["server", "--model", "stealing"],
        ["server", "--model", "sharded", "--driver", "uring", "--budget=8"]]
    assert scenario.load == wrk.Load(2, 8, 10)
    assert not scenario.has_effects


@pytest.mark.parametrize(("old", "new", "message"), [
    ('title = "T"', 'title = "T"\nfoo = 1', "foo: is not a known key"),
    ('question = "Q?"', "", "question: is missing"),
    ('varies = "v"', "varies = 3", "varies: 3 is not text"),
    ('source = "s"', 'source = " "', "source: is empty"),
    ("least = 1", "least = true", "cores.least: True is not a whole number"),
    ("least = 1", "least = 2", "cores.fewer: is missing"),
    ("connections = 8", "connections = 0", "load.connections: 0 is below 1"),
    ("connections = 8", "connections = 8\nconections = 9", "load.conections: is not a known key"),
    ("connections = 8", 'connections = 8\ntool = "ab"', "load.tool: 'ab' is not one of wrk, idle"),
    ("connections = 8", 'connections = 8\npath = "x"', "load.path: 'x' is not a path"),
    ("connections = 8", 'connections = 8\npath = "/{value}"', "load.path: has {value} but"),
    ("connections = 8", 'connections = 8\nmix = [{ share = 0.5, path = "/" }]', "load.mix: the shares add up to 0.5"),
    ("connections = 8", 'connections = 8\nmix = [{ path = "/" }]', "load.mix[1].share: is missing"),
    ("connections = 8", "connections = 8\nmix = [3]", "load.mix[1]: 3 is not a table"),
    ("[[rows]]", '[sweep]\nof = "threads"\nvalues = [1]\nquick = [1]\n[[rows]]', "sweep.of: 'threads' is not one of"),
    ("[[rows]]", '[sweep]\nof = "connections"\nvalues = [1]\nquick = [2]\n[[rows]]', "sweep.quick: has a value"),
    ("[[rows]]", '[sweep]\nof = "connections"\nvalues = ["a"]\nquick = [1]\n[[rows]]', "sweep.values: ['a'] is not a"),
    ("[[rows]]", '[sweep]\nof = "value"\nvalues = [1]\nquick = [1]\n[[rows]]', "sweep.of: is \"value\", but"),
    ('model = "stealing"', 'model = "tokio"', "rows[1].model: 'tokio' is not one of serial"),
    ('driver = "uring"', 'driver = "kqueue"', "rows[2].driver: 'kqueue' is not one of"),
    ('changes = "c"', "", "rows[2].changes: is missing"),
    ("budget = 8", "lifo = true", "rows[2].switches.lifo: True is not text"),
    ('name = "second"', 'name = "First"', "rows[2].name: 'First' names two rows"),
    ('changes = "c"', 'changes = "c"\nagainst = "third"', "rows[2].against: 'third' is no row above"),
    ('title = "T"', 'title = "T"\nview = "matrix"', "view: a matrix has"),
    ('title = "T"', "title = T", "is not TOML")])
def test_what_is_wrong_is_one_line_with_file_and_key(tmp_path, old: str, new: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        read(tmp_path, SOUND.replace(old, new, 1))
    text = str(caught.value)
    assert message in text
    assert "trial.toml" in text
    assert "\n" not in text


def test_a_ladder_measures_from_the_row_above(tmp_path) -> None:
    scenario = read(tmp_path, SOUND.replace('title = "T"', 'title = "T"\nagainst = "previous"'))
    assert [row.against for row in scenario.rows] == ["", "first"]
    only = scenarios.chosen(scenario, ["sharded/uring"])
    assert [(row.name, row.against) for row in only.rows] == [("second", "")]
    with pytest.raises(UserError, match=r"trial has no rows of 'threads' \(it has sharded, sharded/uring, stealing\)"):
        scenarios.chosen(scenario, ["threads"])


def test_a_sweep_puts_its_value_into_paths(tmp_path) -> None:
    scenario = read(tmp_path, SOUND.replace("connections = 8", 'connections = 8\npath = "/bytes?n={value}"').replace(
        "[[rows]]", '[sweep]\nof = "value"\nvalues = [1, 10]\nquick = [1]\n[[rows]]', 1))
    assert scenario.at(10, 3) == wrk.Load(2, 8, 3, path="/bytes?n=10")


def test_one_connection_needs_one_thread(tmp_path) -> None:
    scenario = read(tmp_path, SOUND.replace(
        "[[rows]]", '[sweep]\nof = "connections"\nvalues = [1]\nquick = [1]\n[[rows]]', 1))
    assert scenario.at(1, 3) == wrk.Load(1, 1, 3)


def test_fewer_cores_give_the_other_reason() -> None:
    cores = scenarios.Cores(4, "enough", "fewer")
    assert cores.verdict(3) == (False, "fewer")
    assert cores.verdict(4) == (True, "enough")
