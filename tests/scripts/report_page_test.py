"""The page, read as a browser reads it: whole, nothing fetched, nothing run, every row and figure there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import report_fixture

from scripts.paths import RESULTS, ROOT
from scripts.report import curves, load, page, style

VOID = {"meta", "link", "br", "img", "hr", "input"}
REFERENCES = {"src", "href", "xlink:href", "srcset", "data", "action", "poster", "formaction", "background", "ping"}
ROWS = ("stealing/epoll", "sharded/epoll", "sharded/uring")
FIGURES = {"load-p99", "load-p50", "load-stealing-epoll", "load-sharded-epoll", "load-sharded-uring", "percentiles-50",
           "percentiles-90", "percentiles-closed", "overlay", "cpu", "load-cpu", "dots-requests", "dots-cpu",
           "dots-p99", "workers", "halves"}


class Page(HTMLParser):
    """All that a browser would act on; fails on tags that do not pair."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.references: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.ids: list[str] = []
        self.styles: list[str] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        if tag not in VOID:
            self.open.append(tag)
        for key, value in attrs:
            self.attributes.append((key, value or ""))
            if key in REFERENCES:
                self.references.append(value or "")
            if key == "id":
                self.ids.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        (self.styles if self.open and self.open[-1] == "style" else self.text).append(data)

    @property
    def said(self) -> str:
        return " ".join(" ".join(self.text).replace("\u00a0", " ").split())


def check_stands_alone(text: str) -> Page:
    """Nothing in it is fetched from anywhere, and nothing of it runs."""
    found = Page(text)
    assert [each for each in found.references if not each.startswith(("#", "data:"))] == []
    assert found.tags.keys().isdisjoint({"script", "iframe", "object", "embed", "base", "form", "img", "foreignobject"})
    assert [key for key, _ in found.attributes if key.startswith("on")] == []
    for css in [*found.styles, *(value for _, value in found.attributes)]:
        assert "@import" not in css
        assert [each for each in re.findall(r"url\(\s*['\"]?([^)]*)", css) if not each.startswith(("#", "data:"))] == []
    assert max(Counter(found.ids).values()) == 1, "ids are unique across figures"
    assert {each[1:] for each in found.references if len(each) > 1 and each[0] == "#"} <= set(found.ids)
    return found


def check_in_a_browser(path: Path, work: Path) -> None:
    """Without a network, at the size of a projector: no word on the console, a picture that is not blank, and nothing
    wider than the window."""
    def chromium(*flags: str) -> str:
        done = subprocess.run(
            ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
             f"--user-data-dir={work / 'profile'}", "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr",
             "--v=0", "--window-size=1280,720", *flags], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0
        assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
        return done.stdout

    from PIL import Image
    picture, probe = work / "page.png", work / "probe.html"
    chromium(f"--screenshot={picture}", f"file://{path}")
    with Image.open(picture) as image:
        assert image.size == (1280, 720)
        assert len(image.convert("L").getcolors() or []) > 10
    probe.write_text(path.read_text() + """<script>document.title = "wider: " + [document.documentElement,
        ...document.querySelectorAll(".wide")].filter(each => each.scrollWidth > each.clientWidth).length + " of " +
        document.querySelectorAll(".wide").length;</script>""")
    found = re.search(r"<title>wider: (\d+) of (\d+)", chromium("--dump-dom", f"file://{probe}"))
    assert found, "the probe ran"
    assert (found[1], found[2] != "0") == ("0", True)


@pytest.fixture(scope="module")
def campaign(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "campaign"
    report_fixture.campaign(folder, 6, (0.5, 0.9), 300, ROWS)
    return folder


@pytest.fixture(scope="module")
def made(campaign) -> str:
    page.write(load.read(campaign), campaign / "report.html")
    return (campaign / "report.html").read_text()


def written(folder: Path, document: dict[str, Any]) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "result.json").write_text(json.dumps(document))
    page.write(load.read(folder), folder / "report.html")
    return (folder / "report.html").read_text()


def test_the_page_stands_alone(made) -> None:
    found = check_stands_alone(made)
    assert found.tags["svg"] == len(FIGURES)
    assert {each.removeprefix("figure-") for each in found.ids if each.startswith("figure-")} == FIGURES
    for row in (*ROWS, report_fixture.CONTROL):
        assert row in found.said


def test_everything_is_told_in_order(made) -> None:
    said = Page(made).said
    expected = ["The 2x2", "Which part of the difference", "Verdict", "against stealing/epoll",
                "Noise of this machine.", "What to hold against it", "server and duel-load share 2 CPUs",
                "Tables", "What was measured", "Paired ratios", "Two rows that are the same",
                "Health of the runs", "Figures", "Machine", "AMD EPYC", "Command lines",
                "How to reproduce", "./duel bench matrix --blocks 6 --seed 7", "schema_version 1"]
    place = 0
    for each in expected:
        place = said.find(each, place)
        assert place >= 0, f"{each} is not there, or too early"
        if each.startswith("Which"):
            place = said.index("How to reproduce")  # the list of contents names them all


def test_every_command_line_is_there(campaign, made) -> None:
    said = Page(made).said
    document = json.loads((campaign / "result.json").read_text())
    assert said.count("--model sharded --driver uring --listen") == sum(
        run["row"] == "sharded/uring" for run in document["runs"])
    assert all(f"# run {run['number']}, block {run['block']}, {run['point']}" in said for run in document["runs"])


def test_the_same_result_makes_the_same_page(campaign, made) -> None:
    page.write(load.read(campaign), campaign / "again.html")
    assert (campaign / "again.html").read_text() == made


HOSTILE = [("<script>alert(1)</script>", "$x^2$ \\frac{", "\"'><a href=//evil>", "{{ 7 * 7 }}{% raw %}"),
           ("</svg></pre><img src=x onerror=alert(2)>", "名前 🦆 é", "-->", "x" * 300)]


@pytest.mark.parametrize("names", HOSTILE)
def test_names_are_only_names(tmp_path: Path, names: tuple[str, ...]) -> None:
    """Whatever stands in the file is shown as text, in the tables and in the figures."""
    document = report_fixture.campaign(tmp_path / "r", 2, (0.5, 0.9), 100, ("stealing/epoll", "sharded/uring"))
    text = json.dumps(document)
    for plain, name in zip(("sharded/uring", "stealing/epoll", "server and duel-load share 2 CPUs", "The 2x2"), names,
                           strict=True):
        text = text.replace(plain, json.dumps(name)[1:-1])
    found = check_stands_alone(written(tmp_path / "r", json.loads(text)))
    for name, least in zip(names, (5, 5, 1, 2), strict=True):
        assert found.said.count(" ".join(name.split())) >= least, name
    assert found.tags["h1"] == 1
    assert found.tags["svg"] > 10


def test_missing_pieces_leave_figures_out_with_the_reason(tmp_path: Path) -> None:
    document = report_fixture.campaign(tmp_path / "r", 4, (), 100, ("stealing/epoll",))
    for run in document["runs"]:
        run["connections_per_worker"] = run["first_half"] = None
    shutil.rmtree(tmp_path / "r" / "runs")
    found = check_stands_alone(written(tmp_path / "r", document))
    assert "and so with one more" in found.said, "four runs, of which three are named"
    for expected in ("Latency against offered load: it takes at least two loads of an open loop, and 0 was measured.",
                     "Percentiles: no histogram of a run could be read",
                     "First half against second: no run has figures",
                     "wrk-corrected, raw and open loop: it takes a closed and an open loop of the same row.",
                     "Connections of each worker: no server counted its connections"):
        assert expected in found.said, expected


def test_a_run_without_its_file_is_named(campaign, tmp_path: Path) -> None:
    shutil.copytree(campaign, tmp_path / "r")
    runs = json.loads((campaign / "result.json").read_text())["runs"]
    drawn = [run["number"] for run in runs if run["row"] != report_fixture.CONTROL and run["point"] == "closed"]
    paths = [tmp_path / "r" / "runs" / f"{number:04}.json" for number in drawn]
    paths[0].unlink()
    paths[1].write_text('{"load": {"latency_ns": {"sent": {"count": 3}}}}')
    paths[2].write_text("{")
    result = load.read(tmp_path / "r")
    assert [each.name for each in curves.percentiles(result)] == ["percentiles-50", "percentiles-90",
                                                                  "percentiles-closed"]
    whys = ("does not exist", "has no histogram of the sent clock", "is not JSON")
    for number, why in zip(drawn, whys, strict=False):
        assert any(each.startswith(f"run {number} is in no percentile curve: ") and each.endswith(why)
                   for each in result.unread), why
    assert len(result.unread) == 3


def test_nothing_at_all_was_measured(tmp_path: Path) -> None:
    document = report_fixture.campaign(tmp_path / "r", 2, (0.5, 0.9), 100, ("stealing/epoll",))
    keep = {"number", "block", "row", "point"}
    document["runs"] = [{key: value for key, value in run.items() if key in keep} for run in document["runs"]]
    document.update(summaries=[], comparisons=[], control=None, machine=None, scenario={}, settings={})
    found = check_stands_alone(written(tmp_path / "r", document))
    assert found.tags["svg"] == 0
    assert "machine not recorded" in found.said


@pytest.mark.parametrize(("name", "figures"), [("reference-2cpu", 5), ("reference-2cpu-ladder", 6),
                                               ("reference-2cpu-matrix", 6)])
def test_results_of_wrk_have_a_page_too(tmp_path: Path, name: str, figures: int) -> None:
    result = load.read(RESULTS / name)
    page.write(result, tmp_path / "report.html")
    found = check_stands_alone((tmp_path / "report.html").read_text())
    assert found.tags["svg"] == figures
    assert all(row.name in found.said for row in result.rows)
    assert "wrk-corrected" in found.said
    assert "noise of the machine was not measured" in found.said


def test_a_sweep_has_its_own_figures(tmp_path: Path) -> None:
    document = json.loads((RESULTS / "reference-2cpu-matrix/result.json").read_text())
    document["scenario"]["sweep"] = {"of": "connections", "label": "connections", "values": [4, 64, 256]}
    document["rows"] = [{**row, "value": value} for value in (4, 64, 256) for row in document["rows"]]
    found = check_stands_alone(written(tmp_path / "r", document))
    assert {"figure-sweep-requests", "figure-sweep-p99"} <= set(found.ids)
    assert all(f"connections = {value}" in found.said for value in (4, 64, 256))


def test_more_rows_than_can_be_told_apart_are_a_table_only(tmp_path: Path) -> None:
    document = report_fixture.campaign(tmp_path / "r", 2, (0.5,), 100, ("stealing/epoll",))
    document["rows"] += [{**document["rows"][0], "name": f"row {number}"} for number in range(12)]
    found = check_stands_alone(written(tmp_path / "r", document))
    assert found.tags["svg"] == 0
    assert "Every run a dot: 14 rows, at most 12 can be told apart on a slide." in found.said


def test_wrk_beside_a_campaign_is_overlaid(campaign, tmp_path: Path) -> None:
    shutil.copytree(campaign, tmp_path / "r")
    shutil.copytree(RESULTS / "reference-2cpu-matrix", tmp_path / "r" / "wrk")
    style.prepare()
    drawn, = curves.overlay(load.read(tmp_path / "r"))
    assert "wrk-corrected, raw, open loop" in drawn.title
    assert drawn.caption.endswith("wrk had 256 connections and duel-load 64: only the shapes compare.")
    assert [text.get_text() for text in drawn.figure.legends[0].get_texts()] == [
        "open loop, 90 %, as due", "closed loop, raw", "closed loop, wrk-corrected"]
    assert sum(axes.get_visible() for axes in drawn.figure.axes) == 3


def test_a_page_that_cannot_be_written(campaign, tmp_path: Path) -> None:
    done = subprocess.run([str(ROOT / "duel"), "report", str(campaign), "-o", str(tmp_path / "none" / "r.html")],
                          capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "duel: cannot write" in done.stderr.splitlines()[-1]
    assert "(make the folder first)" in done.stderr


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium here")
def test_a_browser_has_nothing_to_complain_of(made, campaign, tmp_path: Path) -> None:
    assert made
    check_in_a_browser(campaign / "report.html", tmp_path)
