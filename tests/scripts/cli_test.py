"""./duel itself: help everywhere, and wrong usage as one line."""

from __future__ import annotations

import subprocess

import pytest

from scripts import coverage, fuzz, results, scenarios, suite
from scripts.errors import UserError
from scripts.paths import ROOT


def duel(*argv: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(ROOT / "duel"), *argv], capture_output=True, text=True, timeout=60, check=False,
                          **options)


@pytest.mark.parametrize("argv", [[], ["setup"], ["build"], ["test"], ["fuzz"], ["demo"], ["bench"],
                                  ["bench", "answer"], ["bench", "table"], ["bench", "floor"], ["bench", "counters"],
                                  ["bench", "abuse"], ["bench", "micro"], ["bench", "crossover"], ["bench", "theory"],
                                  ["serve"], ["clean"], ["explore"], ["load"], ["simulate"], ["report"], ["compare"],
                                  ["stats"], ["audit"], ["machine"]])
def test_every_command_explains_itself(argv: list[str]) -> None:
    done = duel(*argv, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: ./duel")


@pytest.mark.parametrize(("argv", "message"), [
    (["frob"], "unknown command 'frob'"),
    (["demo", "--frob"], "unrecognized arguments: --frob (see ./duel demo --help)"),
    (["demo", "--connections", "0"], "'0' is not a whole number above 0"),
    (["demo", "--connections", "3"], "at least 4"),
    (["demo", "--duration", "x"], "'x' is not a whole number above 0"),
    (["demo", "--name", "a/b"], "is not a folder name"),
    (["build", "--preset", "fast"], "invalid choice: 'fast'"),
    (["test", "--preset"], "expected one argument"),
    (["test", "--coverage", "-k", "x"], "--coverage counts what the whole suite runs"),
    (["fuzz", "--target", "frob"], "no fuzz target 'frob' (one of chunked, request)"),
    (["fuzz", "--minutes", "0"], "'0' is not a whole number above 0"),
    (["bench"], "which benchmark?"),
    (["bench", "frob"], "no benchmark 'frob' (list them: ./duel bench --list)"),
    (["bench", "matrix", "floor"], "floor is not a scenario and runs alone: ./duel bench floor"),
    (["bench", "matrix", "--models", "tokio"], "--models: matrix has no rows of 'tokio'"),
    (["bench", "matrix", "--repeats", "0"], "'0' is not a whole number above 0"),
    (["bench", "matrix", "--name", "a/b"], "is not a folder name"),
    (["bench", "floor", "--frob"], "unrecognized arguments: --frob (see ./duel bench floor --help)"),
    (["bench", "counters", "--pairs", "5"], "5 pairs have no 95 % interval"),
    (["bench", "abuse", "--duration", "11"], "no slow connection is cut while wrk measures"),
    (["bench", "micro", "--filter", "("], "is not a regular expression"),
    (["setup", "--frob"], "setup takes no flags")])
def test_wrong_usage_is_one_line_and_exit_2(argv: list[str], message: str) -> None:
    done = duel(*argv)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("duel: ")


def test_the_list_says_what_means_something_here() -> None:
    done = duel("bench", "--list")
    assert done.returncode == 0
    for name in scenarios.names():
        assert f"\n  {name} " in done.stdout
    assert done.stdout.count("here: ") == len(scenarios.names()) + 1  # and the CPUs


def test_json_in_a_missing_folder_is_refused_before_measuring(tmp_path) -> None:
    done = duel("bench", "micro", "--json", str(tmp_path / "none" / "micro.json"))
    assert done.returncode == 1
    assert "make the folder first" in done.stderr
    assert done.stderr.count("\n") == 1


def test_too_few_descriptors_is_refused_before_building() -> None:
    done = subprocess.run(["bash", "-c", f"ulimit -n 256; '{ROOT}/duel' demo"], capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 1
    assert "ulimit -n 1064" in done.stderr
    assert done.stderr.count("\n") == 1


def test_help_works_from_another_folder(tmp_path) -> None:
    assert duel("demo", "--help", cwd=tmp_path).returncode == 0


def test_a_result_folder_appears_whole_or_not_at_all(results_folder) -> None:
    with pytest.raises(RuntimeError):
        with results.folder("trial", False) as folder:
            (folder / "half").write_text("x")
            raise RuntimeError
    assert list(results_folder.iterdir()) == []
    with results.folder("trial", False) as folder:
        (folder / "whole").write_text("first")
    with results.folder("trial", True) as folder:
        (folder / "whole").write_text("second")
    assert [each.name for each in results_folder.iterdir()] == ["trial"]
    assert (results_folder / "trial" / "whole").read_text() == "second"
    with pytest.raises(UserError, match="--force"):
        results.check_name("trial", False)


@pytest.mark.parametrize(("line", "name", "outcome"), [
    (" 3/21 Test  #2: task_test ........................   Passed    0.02 sec", "task_test", "Passed"),
    ("12/21 Test #12: stealing_test ....................***Failed    1.20 sec", "stealing_test", "Failed"),
    ("1/2 Test #1: a_test ...***Timeout 300.01 sec", "a_test", "Timeout"),
    ("1/2 Test #1: a_test ...........Subprocess aborted***Exception:   0.10 sec", "a_test", None)])
def test_ctest_lines_are_read(line: str, name: str, outcome: str | None) -> None:
    got = suite.read_ctest(line)
    assert got is not None
    assert got.name == name
    assert got.passed == (outcome == "Passed")


@pytest.mark.parametrize(("line", "read"), [
    ("[gw1] [  3%] PASSED tests/a_test.py::test_b[serial] \n", ("tests/a_test.py::test_b[serial]", "PASSED")),
    ("[gw0] [100%] FAILED tests/http/c_test.py::test_d[a b] ", ("tests/http/c_test.py::test_d[a b]", "FAILED")),
    ("tests/a_test.py::test_b[serial] \n", None)])
def test_pytest_lines_are_read(line: str, read: tuple[str, str] | None) -> None:
    assert suite.read_pytest(line) == read


def test_skipped_tests_are_read() -> None:
    assert suite.read_skipped("SKIPPED [12] tests/server.py:151: io_uring_setup is refused\n") == (
        12, "io_uring_setup is refused")
    assert suite.read_skipped("[gw1] [  3%] SKIPPED tests/a_test.py::test_b[serial] \n") is None


def test_default_suite_is_dev_then_the_sanitizers() -> None:
    assert suite.expand(None, False) == ["dev", "asan", "tsan"]
    assert suite.expand("release", False) == ["release"]
    assert suite.expand(None, True) == ["dev", "release", "asan", "tsan"]


def test_coverage_is_summed_by_folder_and_judged_by_runtimes(capsys) -> None:
    def counted(name: str, covered: int, total: int) -> dict:
        return {"filename": name, "line_covered": covered, "line_total": total}

    total = coverage.show([counted("runtimes/core/a.cpp", 8, 10), counted("runtimes/core/b.hpp", 4, 6),
                           counted("runtimes/models.cpp", 4, 4), counted("servers/http/c.cpp", 0, 80)])
    assert total == 80.0
    lines = [each.split() for each in capsys.readouterr().out.splitlines()]
    assert lines[1:] == [["runtimes", "4", "4", "100.0"], ["runtimes/core", "16", "12", "75.0"],
                         ["servers/http", "80", "0", "0.0"], ["total", "runtimes", "20", "16", "80.0"],
                         ["total", "servers", "80", "0", "0.0"]]


def test_an_input_that_fails_again_is_named_again() -> None:
    said = "artifact_prefix='build/fuzz/request/failures/'; Test unit written to build/fuzz/request/failures/crash-1f\n"
    assert fuzz.written(["==1== ERROR\n", said, said, "Base64: eA==\n"]) == ["build/fuzz/request/failures/crash-1f"]
    assert fuzz.written(["==1== ERROR\n"]) == []


def test_fuzz_targets_have_inputs_to_start_from() -> None:
    assert fuzz.targets() == ["chunked", "request"]
    assert all(any((fuzz.CORPUS / name).iterdir()) for name in fuzz.targets())
