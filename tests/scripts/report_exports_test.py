"""What other tools are given: benchstat's lines, HdrHistogram's tables, figures as files."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import report_fixture

from scripts.errors import UserError
from scripts.paths import RESULTS, ROOT
from scripts.report import exports, histograms, load


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("report") / "campaign"
    report_fixture.campaign(made, 2, (0.5, 0.9), 2000, ("stealing/epoll", "sharded/uring"))
    return made


def of_samples(samples_us: np.ndarray) -> histograms.Histogram:
    return histograms._histogram(report_fixture.clock(samples_us)[1])


def test_percentiles_of_buckets_are_those_of_the_samples() -> None:
    """Within one bucket, 1/128 of the value, and never below."""
    samples = np.random.default_rng(3).lognormal(4, 1, 5000)
    found = of_samples(samples)
    assert found.count == 5000
    for fraction in (0.0, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0):
        exact = np.sort(samples)[max(0, int(np.ceil(fraction * 5000 - 1e-9)) - 1)] * 1e3
        assert exact - 1 <= found.at([fraction])[0] <= exact * (1 + 1 / 128) + 1


def test_merging_adds() -> None:
    draw = np.random.default_rng(4)
    a, b = draw.exponential(100, 1000), draw.exponential(300, 3000)
    both, merged = of_samples(np.concatenate([a, b])), histograms.merged([of_samples(a), of_samples(b)])
    assert (merged.highest == both.highest).all()
    assert (merged.counts == both.counts).all()
    assert (merged.max, merged.mean) == (both.max, pytest.approx(both.mean, abs=1))


@pytest.mark.parametrize("told", [
    {}, {"histogram": None}, {"histogram": {"sub_bits": 7, "counts": []}, "mean": 1, "max": 1},
    {"histogram": {"sub_bits": 7, "counts": [[1, 0]]}, "mean": 1, "max": 1},
    {"histogram": {"sub_bits": 7, "counts": [[1, "x"]]}, "mean": 1, "max": 1},
    {"histogram": {"sub_bits": 99, "counts": [[1, 1]]}, "mean": 1, "max": 1},
    {"histogram": {"sub_bits": 7, "counts": [[-5, 1]]}, "mean": 1, "max": 1}])
def test_a_histogram_that_is_none(tmp_path: Path, told) -> None:
    (tmp_path / "1.json").write_text(json.dumps({"load": {"latency_ns": {"sent": {"count": 1, **told}}}}))
    with pytest.raises(UserError, match="has no histogram of the sent clock"):
        histograms.of_file(tmp_path / "1.json")


LINE = re.compile(r"\s*(\d+\.\d{6}) (\d\.\d{12})\s+(\d+)\s+(\d+\.\d\d|inf)")


def test_a_percentile_table() -> None:
    samples = np.random.default_rng(5).exponential(100, 3000)
    found = of_samples(samples)
    lines = histograms.hgrm(found).splitlines()
    assert lines[0].split() == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]
    rows = [LINE.fullmatch(line) for line in lines[2:-3]]
    assert all(rows)
    values, fractions, counts = ([float(row[column]) for row in rows if row] for column in (1, 2, 3))
    assert values == sorted(values)
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[5], fractions[10], fractions[-1]) == (0.0, 0.5, 0.75, 1.0)
    assert (counts[-1], values[-1]) == (3000, round(found.max / 1e6, 6))
    for value, fraction, count in zip(values, fractions, counts, strict=True):
        assert count == sum(found.counts[found.highest <= max(value * 1e6 + 1, 0)]) or count == 3000
        assert count >= fraction * 3000 - 1e-6
    assert re.fullmatch(r"#\[Mean    = +\d+\.\d{6}, StdDeviation   = +\d+\.\d{6}\]", lines[-3])
    mean, deviation = map(float, re.findall(r"= +([\d.]+)", lines[-3]))
    assert (mean, deviation) == (pytest.approx(samples.mean() / 1e3, rel=0.01),
                                 pytest.approx(samples.std() / 1e3, rel=0.01))
    assert lines[-1] == "#[Buckets =           38, SubBuckets     =          128]"


def test_each_run_and_clock_has_its_table(folder, tmp_path: Path) -> None:
    result = load.read(folder)
    written = exports.write_hgrm(result, tmp_path / "h")
    names = sorted(path.name for path in (tmp_path / "h").iterdir())
    assert len(names) == written == 2 * len(result.runs)
    run = result.runs[0]
    text = (tmp_path / "h" / f"{exports.slug(run.row)}-{exports.slug(run.point)}-0001-intended.hgrm").read_text()
    told = json.loads((folder / "runs" / "0001.json").read_text())["load"]["latency_ns"]["intended"]
    assert f"Total count    = {told['count']:12d}" in text
    assert f"{told['max'] / 1e6:12.6f} {1:14.12f}" in text


def test_results_without_histograms_say_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"reference-2cpu has no histograms, as wrk keeps none"):
        exports.write_hgrm(load.read(RESULTS / "reference-2cpu"), tmp_path / "h")
    assert not (tmp_path / "h").exists()


def test_benchstat_has_a_line_a_run(folder) -> None:
    result = load.read(folder)
    lines = exports.benchstat_text(result).splitlines()
    runs = [line for line in lines if line.startswith("Benchmark")]
    assert len(runs) == len(result.runs)
    assert all(re.fullmatch(r"BenchmarkHTTP/row=\S+/load=(closed|0\.5|0\.9) 1( [\d.e+]+ \S+)+", line) for line in runs)
    assert all(": " in line for line in lines[:len(lines) - len(runs)])
    closed = next(run for run in result.runs if run.point == "closed" and run.row == "sharded/uring")
    mine = [line for line in runs if line.startswith("BenchmarkHTTP/row=sharded_uring/load=closed ")]
    assert f" {closed.figures['requests_per_s']:.10g} req/s" in mine[0]
    assert all(" p99-us" in line and " cpu-us/op" in line for line in runs)


def test_the_command_writes_all_of_it(folder, tmp_path: Path) -> None:
    done = subprocess.run(
        [str(ROOT / "duel"), "report", str(folder), "-o", "page.html", "--figures", "f", "--benchstat", "b.txt",
         "--hgrm", "h"], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"report: {tmp_path / 'page.html'}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.txt", "f", "h", "page.html"]
    shown = set(re.findall(r'<figure id="figure-([^"]+)"', (tmp_path / "page.html").read_text()))
    assert {path.name for path in (tmp_path / "f").iterdir()} == {f"{each}{end}" for each in shown
                                                                 for end in (".svg", ".png")}
    assert not (folder / "report.html").exists()


def test_a_folder_that_is_no_result_is_one_line(tmp_path: Path) -> None:
    done = subprocess.run([str(ROOT / "duel"), "report", str(tmp_path)], capture_output=True, text=True, timeout=60,
                          check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "result.json does not exist (give a folder of results/" in done.stderr
    assert list(tmp_path.iterdir()) == []
