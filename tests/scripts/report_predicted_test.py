"""Pages of ./duel bench theory and crossover: what they say, in a browser too, and files that are broken."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import predicted_fixture
import pytest
from report_page_test import check_in_a_browser, check_stands_alone

from scripts import crossover_summary, theory_report
from scripts.errors import UserError
from scripts.paths import ROOT
from scripts.report import exports, load, page

MAKERS = {"theory": predicted_fixture.theory, "crossover": predicted_fixture.crossover}
FIGURES = {"theory": ["theory"], "crossover": ["crossover-stealing-epoll-sharded-epoll",
                                              "crossover-stealing-epoll-sharded-uring"]}
_PAGE_OF = 10


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    made = tmp_path_factory.mktemp("predicted")
    for kind, make in MAKERS.items():
        make(made / kind)
        page.write(load.read(made / kind), made / kind / "report.html")
    return {kind: made / kind for kind in MAKERS}


def document(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "result.json").read_text())


@pytest.mark.parametrize("kind", MAKERS)
def test_the_page_stands_alone_and_tells_everything(folders, kind: str) -> None:
    found, made = check_stands_alone((folders[kind] / "report.html").read_text()), document(folders[kind])
    assert [each.removeprefix("figure-") for each in found.ids if each.startswith("figure-")] == FIGURES[kind]
    for run in made["runs"]:
        assert f"# run {run['number']}, block {run['block']}, " in found.said
    for expected in ("Verdict", *made["taints"], "Health of the runs", "AMD EPYC", "Command lines",
                     f"./duel bench {kind} --blocks 2 --seed 7", f"kind {kind}, schema_version 1"):
        assert expected in found.said, expected
    assert "Noise of this machine" not in found.said


def test_theory_says_what_is_within_and_why_the_rest_is_not(folders) -> None:
    found, made = check_stands_alone((folders["theory"] / "report.html").read_text()), document(folders["theory"])
    for expected in (
            "8 of 14 comparisons are within the tolerance, mean by 15% and p99 by 25% of the simulated queue, and 6 "
            "are not; 2 could not be measured.",
            "sharded/uring against 2 x M/G/1: within at exp 0.5, exp 0.8.",
            "sharded/epoll against 2 x M/G/1: outside at exp 0.8; not measured at exp 0.5.",
            "stealing/epoll against M/G/2: outside at exp 0.5, exp 0.8.",
            *theory_report.reasons(made), *theory_report.reading(made), "exp 0.8: exp:1ms, 1,600 requests/s (load 0.8)",
            "mean 0.15, p99 0.25",
            "./duel bench theory --blocks 2 --seed 7 --quick --duration 12 --service exp:1ms"):
        assert expected in found.said, expected
    assert sum(each.startswith("sharded/epoll, exp 0.5, not measured: left out") for each in
               theory_report.reasons(made)) == 1
    for row in theory_report.table(made).rows:
        assert " ".join(row) in found.said


def test_the_tolerance_is_that_of_the_file(folders, tmp_path: Path) -> None:
    made = document(folders["theory"])
    made["settings"]["limits"] = {"mean": 0.07, "p99": 0.31}
    said = check_stands_alone(written(tmp_path / "r", made)).said
    assert "mean by 7% and p99 by 31%" in said
    assert "within: the mean by 7%, p99 by 31%" in said
    assert "15%" not in said


def test_the_crossover_says_who_wins_where_and_h_star(folders) -> None:
    found, made = check_stands_alone((folders["crossover"] / "report.html").read_text()), document(folders["crossover"])
    for expected in (
            "stealing carries more in 2 and sharded in 1 of 6 comparisons (3 of these 3 rest on too few blocks to show "
            "it); in 1 no winner is shown; 2 could not be measured.",
            "stealing/epoll against sharded/uring: carries more at 1000 µs (too few blocks to show it), carries less "
            "at 50 µs (too few blocks to show it); predicted H* on 2 cores 7.3 (6..9.2) µs; measured H* between 50 "
            "and 1000 µs (too few blocks to show it).",
            *made["notes"], "--duration 2 --slo 10 --handler-us 0,50,1000"):
        assert expected in found.said, expected
    for table in crossover_summary.tables(made):
        for row in table.rows:
            assert " ".join(row) in found.said, row


@pytest.mark.parametrize(("winners", "words"), [
    (["sharded", "~", "stealing"], "between 5 and 50 µs"), (["~", "stealing", "stealing"], "at most 20 µs"),
    (["sharded", "sharded?", "~"], "at least 20 µs (too few blocks to show it)"), (["~", "~", "~"], "not shown"),
    (["stealing", "sharded", "~"], "not one: the winner changes otherwise"), ([None, None, None], "not shown"),
    ([None, "sharded", "stealing"], "between 20 and 50 µs")])
def test_where_the_winner_changes(winners: list[str | None], words: str) -> None:
    lines = [{"handler_us": at, "winner": winner or "sharded (peak)", "capacity": winner and {"n": 8}}
             for at, winner in zip((5.0, 20.0, 50.0), winners, strict=True)]
    assert crossover_summary.crossing(list(reversed(lines))) == words


def rewritten(folder: Path, made: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "result.json").write_text(json.dumps(made))
    return folder


def broken(made: dict[str, Any], path: tuple, value: Any) -> dict[str, Any]:
    made = json.loads(json.dumps(made))
    holder: Any = made
    for each in path[:-1]:
        holder = holder[each]
    if value == "gone":
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return made


def written(folder: Path, made: dict[str, Any]) -> str:
    page.write(load.read(rewritten(folder, made)), folder / "report.html")
    return (folder / "report.html").read_text()


@pytest.mark.parametrize("kind", MAKERS)
def test_names_are_only_names(folders, tmp_path: Path, kind: str) -> None:
    text = json.dumps(document(folders[kind]))
    for plain, name in (("sharded/uring", "</svg><script>alert(1)</script>"), ("sharded/epoll", "$x^2$ {{ 7 * 7 }}")):
        text = text.replace(plain, json.dumps(name)[1:-1])
    found = check_stands_alone(written(tmp_path / "r", json.loads(text)))
    assert found.said.count("</svg><script>alert(1)</script>") >= 5
    assert found.tags["svg"] == len(FIGURES[kind])


def test_bimodal_points_have_a_figure_and_a_command_line_can_be_pasted(folders, tmp_path: Path) -> None:
    made = document(folders["theory"])
    bimodal, ugly = "bimodal:500us,5500us,0.1", "exp:1ms; $(touch x) ../../y"
    made["points"][1]["service"] = bimodal
    found = check_stands_alone(written(tmp_path / "r", made))
    assert [each for each in found.ids if each.startswith("figure-")] == ["figure-theory", "figure-theory-bimodal"]
    assert f"Measured against theory, {bimodal}" in found.said
    assert "--service" not in found.said
    for point in made["points"]:
        point["service"] = ugly
    reproduced = shlex.split(load.read(rewritten(tmp_path / "r", made)).reproduce)
    assert reproduced[-2:] == ["--service", ugly]


def test_nothing_left_of_theory_is_no_figure(folders, tmp_path: Path) -> None:
    made = document(folders["theory"])
    for one in made["outcomes"]:
        one |= dict.fromkeys(("ratio", "measured_us", "predicted_us", "interval")) | {"verdict": "not measured"}
    found = check_stands_alone(written(tmp_path / "r", made))
    assert found.tags["svg"] == 0
    assert "Measured against theory: no row could be measured with exp:1ms." in found.said
    assert "0 of 0 comparisons are within the tolerance" in found.said


@pytest.mark.parametrize(("kind", "path", "value", "message"), [
    ("theory", ("outcomes",), "gone", r"lacks result\.outcomes"),
    ("theory", ("outcomes", 0, "ratio"), 0, r"has 0 as result\.outcomes\[0\]\.ratio, which should be a number above 0"),
    ("theory", ("outcomes", 1, "interval"), [1], r"has \[1\] as result\.outcomes\[1\]\.interval, .* a list of 2"),
    ("theory", ("outcomes", 1, "interval"), None, r"has a result\.outcomes\[1\] that is measured in part"),
    ("theory", ("outcomes", 1, "measure"), "mean", r"has 'within' of the mean as result\.outcomes\[1\]"),
    ("theory", ("outcomes", 0, "verdict"), "fine", r"has 'fine' of the mean as result\.outcomes\[0\]"),
    ("theory", ("outcomes", 1, "row"), "x", r"has a result\.outcomes\[1\] of another row than the mean before it"),
    ("theory", ("outcomes", 0, "point"), "x", r"has a result\.outcomes\[0\]\.point that is not one of its points: x"),
    ("theory", ("outcomes", 0, "reasons"), [3], r"has 3 as result\.outcomes\[0\]\.reasons\[0\], .* of type str"),
    ("theory", ("calibration", "sharded/uring"), 7, r"has 7 as result\.calibration\.sharded/uring, .* an object"),
    ("theory", ("points",), [], "has no point"),
    ("theory", ("settings", "limits", "p99"), "gone", r"lacks result\.settings\.limits\.p99"),
    ("theory", ("settings", "blocks"), True, r"has true as result\.settings\.blocks, which should be of type int"),
    ("theory", ("runs", 0, "row"), "x", r"has a runs\[0\]\.row that is not one of its rows: x"),
    ("theory", ("runs", 0, "point"), "x", r"has a runs\[0\]\.point that is not one of its points: x"),
    ("theory", ("runs", 0, "file"), "../../x", r"has a runs\[0\]\.file outside its folder"),
    ("theory", ("runs",), [], "has no run"),
    ("crossover", ("lines",), [], "compares no pair of rows"),
    ("crossover", ("lines", 0, "handler_us"), -1, r"has -1 as result\.lines\[0\]\.handler_us, .* a number from 0 on"),
    ("crossover", ("lines", 1, "capacity", "low"), float("nan"), r"has NaN as result\.lines\[1\]\.capacity\.low"),
    ("crossover", ("lines", 0, "sharded"), "x", "has no prediction of stealing/epoll / x for its 2 workers"),
    ("crossover", ("settings", "workers"), 3, "has no prediction of .* for its 3 workers"),
    ("crossover", ("predictions", 0, "ratios"), [], r"has a result\.predictions\[0\] without a ratio for each"),
    ("crossover", ("predictions", 0, "sharded"), "x", r"has a result\.predictions\[0\] of rows that costs_us does not"),
    ("crossover", ("searches", 0, "rate"), "x", r'has "x" as result\.searches\[0\]\.rate'),
    ("crossover", ("rows", 0, "name"), "x", r"has a runs\[\d+\]\.row that is not one of its rows"),
    ("crossover", ("runs", 0, "taints"), None, r"has null as result\.runs\[0\]\.taints, which should be a list"),
    ("crossover", ("lines", 0, "peak", "low"), 1e-320, r"has 1e-320 as result\.lines\[0\]\.peak\.low")])
def test_what_is_wrong_is_named(folders, tmp_path: Path, kind: str, path: tuple, value: Any, message: str) -> None:
    made = broken(document(folders[kind]), path, value)
    with pytest.raises(UserError, match=message) as caught:
        load.read(rewritten(tmp_path, made))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", MAKERS)
def test_no_broken_piece_is_a_traceback(folders, tmp_path: Path, kind: str) -> None:
    """Every key, of lists in the first and the last item, gone or with half of what should not stand there: it is read,
    or told in a line. Of those that are read a sample is made a page of; then, with all figures, what has lost every
    key that may be gone."""
    good, told, read = document(folders[kind]), [], 0
    measured = [run for run in good["runs"] if run["block"] == 1]
    good["runs"] = [measured[0], measured[-1]]
    good.pop("machine", None)
    bare = good

    def places(value: Any, at: tuple = ()) -> list[tuple]:
        inside = (value.items() if isinstance(value, dict) else {0: value[0], len(value) - 1: value[-1]}.items()
                  if isinstance(value, list) and value else ())
        return [*([at] if at else []), *(each for key, part in inside for each in places(part, (*at, key)))]

    for index, path in enumerate(places({key: value for key, value in good.items() if key != "order"})):
        for value in ("gone", *(None, "x", -1, 10**400, [], {})[index % 2::2]):
            try:
                result = load.read(rewritten(tmp_path, broken(good, path, value)))
            except UserError as error:
                told.append(str(error))
                continue
            read += 1
            if read % _PAGE_OF == 0:
                page._html(result, [], [])
            if value == "gone" and isinstance(path[-1], str):
                with suppress(KeyError):  # what held it is gone already
                    bare = broken(bare, path, value)
    found = check_stands_alone(written(tmp_path, bare))
    assert [each.removeprefix("figure-") for each in found.ids if each.startswith("figure-")] == FIGURES[kind]
    assert min(len(told), read) > 200
    assert all("\n" not in each and each.endswith(")") for each in told)


@pytest.mark.parametrize("kind", MAKERS)
def test_the_command_writes_all_of_it(folders, tmp_path: Path, kind: str) -> None:
    done = subprocess.run(
        [str(ROOT / "duel"), "report", str(folders[kind]), "-o", "page.html", "--figures", "f", "--benchstat", "b.txt",
         "--hgrm", "h"], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.txt", "f", "h", "page.html"]
    runs = document(folders[kind])["runs"]
    assert len(list((tmp_path / "h").iterdir())) == 2 * len(runs)
    assert {path.name for path in (tmp_path / "f").iterdir()} == {f"{each}{end}" for each in FIGURES[kind]
                                                                 for end in (".svg", ".png")}
    lines = [line for line in (tmp_path / "b.txt").read_text().splitlines() if line.startswith("Benchmark")]
    assert len(lines) == len(runs)
    assert all(" cpu-us/op" in line for line in lines)


@pytest.mark.parametrize(("kind", "flag", "message"), [
    ("theory", "--hgrm", "no histogram of r could be read"), ("crossover", "--hgrm", "no histogram of r could be read"),
    ("theory", "--benchstat", "r has no line for benchstat, as no run of it has a figure")])
def test_nothing_is_written_where_there_is_nothing_to_export(folders, tmp_path: Path, kind, flag, message) -> None:
    made = document(folders[kind]) | {"name": "r"}
    if flag == "--benchstat":
        keep = {"number", "block", "row", "point"}
        made["runs"] = [{key: value for key, value in run.items() if key in keep} for run in made["runs"]]
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "result.json").write_text(json.dumps(made))
    done = subprocess.run([str(ROOT / "duel"), "report", "r", flag, "out"], cwd=tmp_path, capture_output=True,
                          text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
    assert message in done.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["r", "result.json"]


def test_results_of_wrk_have_no_histograms_to_export() -> None:
    result = load.read(ROOT / "results" / "reference-2cpu")
    with pytest.raises(UserError, match="as wrk keeps none"):
        exports.require(result, True, True)
    exports.require(result, True, False)


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium here")
def test_a_browser_has_nothing_to_complain_of(folders, tmp_path: Path, kind: str) -> None:
    check_in_a_browser(folders[kind] / "report.html", tmp_path)
