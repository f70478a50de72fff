"""The plan of a campaign: the same from the same seed, whole and balanced; and what duel-load cannot ask."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from scenarios_test import SOUND, read

from scripts import cli, flags, scenarios
from scripts.campaign import host, plan, replicate
from scripts.campaign.plan import CONTROL, Cpus, Settings
from scripts.errors import UserError

SHARED, APART = Cpus((0, 1), (0, 1)), Cpus((0, 1), (2, 3))
SWEPT = SOUND.replace("[[rows]]", '[sweep]\nof = "connections"\nvalues = [2, 4]\nquick = [2]\n[[rows]]', 1)


@pytest.fixture
def scenario(tmp_path) -> scenarios.Scenario:
    return read(tmp_path, SOUND)


def order(made: plan.Plan) -> list[tuple[str, str]]:
    return [(slot.row, slot.point) for slot in made.slots]


def test_the_seed_says_the_order(scenario) -> None:
    made, again, other = (plan.make(scenario, Settings(10, seed), SHARED) for seed in (7, 7, 8))
    assert made == again
    assert order(made) != order(other)


def test_without_a_seed_each_campaign_draws_one(scenario) -> None:
    assert plan.make(scenario, Settings(1), SHARED).seed != plan.make(scenario, Settings(1), SHARED).seed


def test_every_block_is_complete_and_numbers_follow_the_order(scenario) -> None:
    made = plan.make(scenario, Settings(6, 1), SHARED)
    everything = Counter((row.name, point.name) for row in made.rows for point in made.points)
    assert sum(everything.values()) == 3 * 5
    for block, slots in enumerate(made.order, 1):
        assert Counter((slot.row, slot.point) for slot in slots) == everything
        assert {slot.block for slot in slots} == {block}
    assert [slot.number for slot in made.slots] == list(range(1, 6 * 15 + 1))


def test_a_coin_says_who_comes_first(scenario) -> None:
    """Each of two rows comes first in about half of the blocks, at each point, and rows of a point are neighbours."""
    made = plan.make(scenario, Settings(400, 1), SHARED)
    first = Counter()
    for slots in made.order:
        for point in made.points:
            places = [index for index, slot in enumerate(slots) if slot.point == point.name]
            assert places == list(range(places[0], places[0] + 3))
            here = [slots[index].row for index in places]
            first[point.name] += here.index(CONTROL) < here.index("first")
    assert all(150 < count < 250 for count in first.values()), first  # 5 standard deviations
    assert len({slots[0].point for slots in made.order}) == 5


def test_the_control_is_the_first_row_once_more(scenario, tmp_path) -> None:
    made = plan.make(scenario, Settings(1, 1), SHARED)
    assert made.rows[-1].name == CONTROL
    assert made.rows[-1].argv(["s"]) == made.rows[0].argv(["s"])
    assert made.control_of == "first"
    other = read(tmp_path, SOUND + '[campaign]\ncontrol = "second"\n')
    assert plan.make(other, Settings(1, 1), SHARED).control_of == "second"


def test_rates_are_the_commands_then_quick_then_the_files(scenario, tmp_path) -> None:
    def names(of: scenarios.Scenario, settings: Settings) -> list[str]:
        return [point.name for point in plan.make(of, settings, SHARED).points]

    stated = read(tmp_path, SOUND + "[campaign]\nrates = [20, 60.5]\n")
    assert names(scenario, Settings(1)) == ["closed", "30 %", "50 %", "70 %", "85 %"]
    assert names(stated, Settings(1)) == ["closed", "20 %", "60.5 %"]
    assert names(stated, Settings(1, quick=True)) == ["closed", "50 %"]
    assert names(stated, Settings(1, rates=(0.9,), quick=True)) == ["closed", "90 %"]
    assert names(stated, Settings(1, rates=())) == ["closed"]


@pytest.mark.parametrize(("line", "message"), [
    ("rates = [0]", "percents of the peak"), ('rates = ["a"]', "percents of the peak"), ("at = 3", "no value of the"),
    ('control = "none"', "names no row"), ("colour = 1", "not a known key"), ('service = ""', "is empty")])
def test_what_is_wrong_in_a_file_is_named(tmp_path, line: str, message: str) -> None:
    with pytest.raises(UserError, match=rf"trial.toml: campaign\.\w+: .*{message}"):
        read(tmp_path, f"{SOUND}[campaign]\n{line}\n")


@pytest.mark.parametrize(("text", "settings", "message"), [
    (SOUND.replace("connections = 8", 'connections = 8\ntool = "idle"'), Settings(1), "need no load"),
    (SOUND.replace("connections = 8", 'connections = 8\nmix = [{ share = 1, path = "/a" }]'), Settings(1),
     "duel-load asks for one path"),
    (SWEPT, Settings(1), r"choose one with --at: 2, 4"), (SWEPT, Settings(1, at=3), "no such connections"),
    (SOUND, Settings(1, at=3), "has no sweep"), (SOUND.replace('"second"', f'"{CONTROL}"'), Settings(1), "another")])
def test_what_duel_load_cannot_ask_is_an_error(tmp_path, text: str, settings: Settings, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        plan.make(read(tmp_path, text), settings, SHARED)
    assert caught.value.exit_code == 2


def test_a_swept_value_reaches_load_and_service(tmp_path) -> None:
    assert plan.make(read(tmp_path, SWEPT), Settings(1, at=4), SHARED).connections == 4
    text = SOUND.replace("connections = 8", 'connections = 8\npath = "/work?us={value}"')
    text = text.replace("[[rows]]", '[sweep]\nof = "value"\nvalues = [5, 9]\nquick = [5]\n[[rows]]', 1)
    made = plan.make(read(tmp_path, text + '[campaign]\nservice = "exp:{value}us"\nat = 9\n'), Settings(1), SHARED)
    assert (made.path, made.service) == ("/work", "exp:9us")


@pytest.mark.parametrize("name", scenarios.names())
def test_what_ships_makes_a_plan_or_says_why_not(name: str) -> None:
    scenario = scenarios.load(name)
    values = scenario.sweep.values if scenario.sweep and scenario.campaign.at is None else [None]
    try:
        made = plan.make(scenario, Settings(1, at=values[0]), SHARED)
    except UserError as error:
        assert scenario.tool == "idle" or scenario.load.mix, error
        return
    assert made.threads <= made.connections
    assert len(plan.pairs(scenario)) >= 1


def test_what_is_compared() -> None:
    def row(name: str, model: str, driver: str, against: str = "") -> scenarios.Row:
        return scenarios.Row(name, model, driver, 0, {}, "", against)

    some = replace(scenarios.load("matrix"), view="table", rows=(
        row("a", "x", "e"), row("b", "x", "u"), row("c", "y", "e", "b")))
    assert plan.pairs(some) == [("c", "b")]
    assert plan.pairs(replace(some, rows=(*some.rows[:2], row("c", "y", "e")))) == [("b", "a"), ("c", "a")]
    edges = plan.pairs(scenarios.load("matrix"))
    assert sorted(edges) == [("sharded/epoll", "stealing/epoll"), ("sharded/uring", "sharded/epoll"),
                             ("sharded/uring", "stealing/uring"), ("stealing/uring", "stealing/epoll")]


# --- command lines and CPUs ------------------------------------------------------------------------

def test_each_side_gets_its_own_cpus_where_there_are_enough(scenario) -> None:
    together, apart = (plan.make(scenario, Settings(1, 1), cpus) for cpus in (SHARED, APART))
    assert replicate.server_argv(together, scenario.rows[0], ["s"])[0] == "s"
    assert replicate.server_argv(apart, scenario.rows[0], ["s"])[:4] == ["taskset", "-c", "0,1", "s"]
    load = replicate.load_argv(apart, apart.points[1], 1234.5, 9, ["l"])
    assert load[load.index("--cpus") + 1] == "2,3"
    assert load[load.index("--rate") + 1] == "1234.5"
    assert "--cpus" not in replicate.load_argv(together, together.points[1], 1.0, 9, ["l"])
    assert "--rate" not in replicate.load_argv(apart, apart.points[0], None, 9, ["l"])


@pytest.mark.parametrize(("siblings", "server", "load"), [
    ({0: "0", 1: "1"}, (0, 1), (0, 1)), ({0: "a", 1: "a", 2: "a", 3: "a"}, (0, 1, 2, 3), (0, 1, 2, 3)),
    ({0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"}, (0, 2), (1, 3)), (dict(enumerate("abcd")), (0, 1), (2, 3)),
    (dict(enumerate("abcde")), (0, 1), (2, 3, 4))])
def test_no_core_serves_both(siblings: dict[int, str], server: tuple[int, ...], load: tuple[int, ...]) -> None:
    assert host.split(siblings) == Cpus(server, load)


@pytest.mark.parametrize(("argv", "message"), [
    (["matrix", "--blocks", "6", "--repeats", "3"], "--repeats and --blocks exclude each other"),
    (["matrix", "--seed", "3"], "--seed belongs to a campaign"), (["matrix", "--rates", "50"], "--rates belongs"),
    (["matrix", "--at", "5"], "--at belongs"), (["matrix", "--blocks", "0"], "not a whole number above 0"),
    (["matrix", "--blocks", "2", "--rates", "0,50"], "not a list of percents"),
    (["matrix", "--blocks", "2", "--rates", "fast"], "not a list of percents"),
    (["idle", "--blocks", "2"], "watches idle connections"), (["nothing", "--blocks", "2"], "no benchmark 'nothing'"),
    (["matrix", "--blocks", "2", "--models", "serial"], "has no rows of 'serial'"),
    (["connections", "--blocks", "2"], "choose one with --at"),
    (["matrix", "--blocks", "2", "--name", "a/b"], "is not a folder name")])
def test_what_does_not_apply_is_an_error(argv: list[str], message: str, results_folder) -> None:
    with pytest.raises(UserError, match=message) as caught:
        cli.dispatch(["bench", *argv])
    assert caught.value.exit_code == 2
    assert not results_folder.exists()


def test_percents_rise_and_come_once() -> None:
    assert flags.percents("85,30,85") == (0.3, 0.85)
    assert flags.percents("") == ()
