"""duel-explore as a program: what it prints of programs that are wrong on purpose, replays of it in
other processes, JSON, and wrong usage."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from server import ROOT, SANITIZER

PROGRAM = ROOT / "build" / "release" / "runtimes" / "explore" / "duel-explore"
EXAMPLES = {"store_buffering": "requirement broken", "data_race": "data race", "deadlock": "deadlock",
            "lost_wake_up": "deadlock", "livelock": "livelock", "leak": "leak", "double_free": "memory error",
            "use_after_free": "memory error"}

pytestmark = pytest.mark.skipif(bool(SANITIZER), reason="the explorer is built without sanitizers")


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    from scripts.explore import build
    build()


def explore(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(PROGRAM), *argv], capture_output=True, text=True, timeout=120, check=False)


def story_of(output: str) -> str:
    """From the verdict to the replay string."""
    found = re.search(r"^(example/\S+, \w+ memory: .*?^reproduce: .*?$)", output, re.MULTILINE | re.DOTALL)
    assert found, output
    return found[1]


def replay_in(output: str) -> str:
    return re.search(r"--replay '(.*)'$", output, re.MULTILINE)[1]


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_replay_tells_the_same_story_in_another_process(name: str) -> None:
    found = explore(f"example/{name}", "--memory", "tso")
    assert found.returncode == 1
    assert f"tso memory: {EXAMPLES[name]}" in found.stdout
    again = explore(f"example/{name}", "--memory", "tso", "--replay", replay_in(found.stdout))
    assert again.returncode == 1
    assert story_of(again.stdout) == story_of(found.stdout)


def test_a_weakened_place_of_the_kit_is_found_and_replayed() -> None:
    text = (ROOT / "runtimes/stealing/parker.hpp").read_text().splitlines()
    line = next(number for number, each in enumerate(text, 1) if "word_.exchange(" in each)
    mutate = ["--mutate", f"runtimes/stealing/parker.hpp:{line}:relax"]
    found = explore("parker/", "--memory", "weak", *mutate)
    assert found.returncode == 1, found.stdout
    flags = re.search(r"^reproduce: \./duel explore (\S+) --memory weak .*$", found.stdout, re.MULTILINE)
    again = explore(flags[1], "--memory", "weak", *mutate, "--replay", replay_in(found.stdout))
    assert again.returncode == 1
    assert again.stdout.strip() in found.stdout
    assert explore("parker/", "--memory", "weak").returncode == 0


def test_a_missing_store_load_order_loses_a_wake_up_only_where_stores_are_buffered(tmp_path: Path) -> None:
    """A load in place of the producer's read-modify-write: wrong on every machine that buffers stores (tokio#1788)."""
    source = "runtimes/stealing/parking.hpp"
    text = (ROOT / source).read_text().splitlines()
    line = next(number for number, each in enumerate(text, 1) if "fetch_add(0" in each and "(P2)" in each)
    found = tmp_path / "found.json"
    argv = ["parking/push_beside_sleep", "--mutate", f"{source}:{line}:load", "--json", str(found)]
    assert explore(*argv, "--memory", "tso").returncode == 1
    result = json.loads(found.read_text())["results"][0]
    assert result["verdict"] == "deadlock"
    assert result["executions"] <= 10_000
    plain = explore(*argv, "--memory", "interleaving")
    assert plain.returncode == 0, plain.stdout
    assert json.loads(found.read_text())["results"][0]["executions"] > result["executions"]


def test_json_has_the_steps_of_the_text(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    found = explore("example/data_race", "--memory", "weak", "--json", str(file))
    result = json.loads(file.read_text())["results"][0]
    assert (result["model"], result["memory"], result["verdict"]) == ("example/data_race", "weak", "data race")
    steps = result["trace"]["steps"]
    assert int(re.search(r"^(\d+) steps", found.stdout, re.MULTILINE)[1]) == len(steps)
    assert [each["step"] for each in steps] == list(range(1, len(steps) + 1))
    assert [each["kind"] for each in steps if each.get("racing")] == ["plain_write", "plain_read"]
    assert len({each["thread"] for each in steps if each.get("racing")}) == 2


def test_every_thread_of_a_deadlock_says_what_it_waits_for() -> None:
    out = explore("example/deadlock", "--memory", "interleaving").stdout
    assert re.search(r"^  A waits for a lock that B holds \(right\), in\n      deadlock  models/example_models", out,
                     re.MULTILINE)
    assert re.search(r"^  B waits for a lock that A holds \(left\), in\n", out, re.MULTILINE)


def test_stale_and_buffered_values_are_marked() -> None:
    def told(memory: str) -> str:
        return " ".join(explore("example/store_buffering", "--memory", memory).stdout.split())

    assert "[stale: the newest is 1]" in told("weak")
    assert 0 < told("tso").find("[buffered]") < told("tso").find("[reaches")


def test_memory_errors_say_where_it_was_freed() -> None:
    out = explore("example/double_free", "--memory", "interleaving").stdout
    assert re.search(r"bytes, allocated by A in\n(?:      .*\n)+    freed by [AB] in\n      ", out)
    assert "bytes, allocated by B in" in explore("example/leak", "--memory", "interleaving").stdout


def test_drawn_executions_repeat_with_their_seed() -> None:
    flags = ["example/data_race", "--memory", "interleaving", "--random", "7", "--executions", "100"]
    assert story_of(explore(*flags).stdout) == story_of(explore(*flags).stdout)


def test_help_and_list() -> None:
    told = explore("--help")
    assert told.returncode == 0
    for flag in ("--all", "--list", "--memory", "--bound", "--time", "--replay", "--random", "--depth", "--executions",
                 "--json", "--trace", "--mutate", "--sites", "--weaken"):
        assert flag in told.stdout
    assert "parker/" in explore("--list").stdout


@pytest.mark.parametrize(("argv", "message"), [
    ([], "which model?"),
    (["nothing/here"], "no model 'nothing/here'"),
    (["--all", "example/leak"], "exclude each other"),
    (["example/leak", "--memory", "strong"], "strong"),
    (["example/leak", "--bound", "x"], "--bound"),
    (["example/leak", "--replay", "1B"], "--replay needs one NAME and one --memory"),
    (["example/leak", "--memory", "tso", "--replay", "nonsense"], "is no replay string"),
    (["example/leak", "--mutate", "here"], "is not FILE:LINE:WHAT"),
    (["example/leak", "--mutate", "a.hpp:3:break"], "none of relax, load, drop"),
    (["example/leak", "--part", "3/2"], "is not K/N"),
    (["example/leak", "--depth", "2"], "--random"),
    (["example/leak", "--frob"], "--frob")])
def test_wrong_usage_is_one_line_and_exit_2(argv: list[str], message: str) -> None:
    done = explore(*argv)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("duel-explore: ")
