"""Positive controls: the sanitizers see through fibers, so that their silence means something."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from server import BUILD, SANITIZER

only_tsan = pytest.mark.skipif("thread" not in SANITIZER, reason="not a ThreadSanitizer build")
only_asan = pytest.mark.skipif("address" not in SANITIZER, reason="not an AddressSanitizer build")


def run(name: str, *flags: str) -> subprocess.CompletedProcess[str]:
    program = Path(BUILD) / "tests" / name
    assert program.exists(), f"{program} is missing: build the target {name}"
    return subprocess.run([str(program), *flags], capture_output=True, text=True, timeout=120, check=False)


@only_tsan
@pytest.mark.parametrize("flags", [(), ("--migrating",)])
def test_tsan_reports_a_race_between_fibers(flags: tuple[str, ...]) -> None:
    done = run("planted_race", *flags)
    assert done.returncode not in (0, 2, 3), done.stderr
    assert "WARNING: ThreadSanitizer: data race" in done.stderr
    assert "add_without_order" in done.stderr, "the report does not name the planted access"
    assert "'(anonymous namespace)::planted'" in done.stderr or "planted_race.cpp" in done.stderr


@only_tsan
def test_tsan_finds_nothing_in_the_ordered_twin() -> None:
    done = run("planted_race", "--fixed")
    assert (done.returncode, done.stdout, done.stderr) == (0, "2000\n", "")


@only_asan
@pytest.mark.parametrize(("where", "kind"), [("--stack", "stack-buffer-overflow"), ("--heap", "heap-buffer-overflow")])
def test_asan_reports_an_overflow_in_a_fiber(where: str, kind: str) -> None:
    done = run("planted_overflow", where)
    assert done.returncode not in (0, 2), done.stderr
    assert f"ERROR: AddressSanitizer: {kind}" in done.stderr
    assert "planted_overflow.cpp" in done.stderr


@only_asan
def test_asan_finds_nothing_in_the_sound_twin() -> None:
    done = run("planted_overflow", "--fixed")
    assert (done.returncode, done.stdout, done.stderr) == (0, "no report\n", "")
