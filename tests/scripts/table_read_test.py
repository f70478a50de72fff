"""Tables as people write them are read; what cannot be read is named by line and column."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from scripts import cli, results, table_read
from scripts.errors import UserError
from scripts.paths import ROOT
from scripts.table_audit import Figure

MS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


@pytest.mark.parametrize(("heading", "field", "unit"), [
    ("p99", 0.99, None), ("P99", 0.99, None), ("p99_ms", 0.99, "ms"), ("p99_us", 0.99, "us"), ("p50 (ms)", 0.5, "ms"),
    ("99%", 0.99, None), ("99.9%", 0.999, None), ("p999", 0.999, None), ("p99.99", 0.9999, None),
    ("p99_9", 0.999, None),
    ("99th percentile (µs)", 0.99, "us"), ("latency_p50_ms", 0.5, "ms"), ("p99_latency", 0.99, None),
    ("p75 [us]", 0.75, "us"), ("median", 0.5, None), ("p100", "max", None), ("Max ms", "max", "ms"),
    ("Slowest", "max", None), ("min_us", "min", "us"), ("avg_latency", "mean", None), ("mean_ms", "mean", "ms"),
    ("Average", "mean", None), ("Req/s", "requests_per_s", None), ("requests_per_s", "requests_per_s", None),
    ("Requests/sec:", "requests_per_s", None), ("RPS", "requests_per_s", None), ("c", "connections", None),
    ("Connections", "connections", None), ("duration_s", "duration", "s"), ("Timeout", "timeout", None),
    ("think_ms", "think", "ms"), ("service_ms", "service", "ms"), ("cpu_us", "cpu_us", None),
    ("Architecture", "name", None), ("offered rate", "rate", None), ("Errors", "errors", None)])
def test_headings(heading: str, field: str | float, unit: str | None) -> None:
    found = table_read.column(heading)
    assert (found.field, found.unit) == (field, unit)


@pytest.mark.parametrize("heading", ["cpu", "memory", "stdev", "p", "512", "p0.0", "status_2xx", "threads", "latency",
                                     ""])
def test_headings_that_mean_nothing_here(heading: str) -> None:
    assert table_read.column(heading) is None


@pytest.mark.parametrize(("text", "value", "half"), [
    ("1.42ms", 1.42, 0.005), ("850us", 0.85, 0.0005), ("1,057 µs", 1.057, 0.0005), ("1.20s", 1200, 5),
    ("2s", 2000, 500), ("0", 0, 0.5), ("*5.58ms*", 5.58, 0.005), ("923", 923, 0.5), (".5", 0.5, 0.05)])
def test_a_number_stands_for_half_a_unit_of_its_last_digit(text: str, value: float, half: float) -> None:
    got = table_read.number(text, MS, "ms")
    assert got.value == pytest.approx(value)
    assert got.high - got.value == pytest.approx(half)
    assert got.low == pytest.approx(max(0, value - half))


@pytest.mark.parametrize(("text", "value"), [
    ("312,071", 312_071), ("14 451", 14_451), ("411_404", 411_404), ("1.2k", 1200), ("4.15 M", 4.15e6), ("1e6", 1e6),
    ("104861.58", 104_861.58)])
def test_counts(text: str, value: float) -> None:
    assert table_read.number(text, {"": 1, "k": 1e3, "m": 1e6}, None).value == pytest.approx(value)


@pytest.mark.parametrize("text", ["fast", "1,42", "1.2.3", "-5", "1 2", "12 MB", "", "nan", "1e999", "~5", "<1",
                                  "12,34,567", "0,123", "00,123", "012,345"])
def test_what_is_not_a_number(text: str) -> None:
    with pytest.raises(ValueError):
        table_read.number(text, {"": 1, "k": 1e3}, None)


ROW = {"req/s": 312071, "p50": "2.92ms", "p99_us": 5580, "connections": 1000}


def test_one_table_four_ways() -> None:
    """JSON with defaults, a bare list, CSV and a Markdown table say the same."""
    texts = ['{"connections": 1000, "rows": [{"req/s": 312071, "p50": "2.92ms", "p99_us": 5580}]}', json.dumps([ROW]),
             '# connections: 1000\nreq/s,p50,p99_us\n"312,071",2.92ms,5580\n',
             "# connections: 1000\n| Req/s | *p50* (ms) | p99 |\n|---:|---|---|\n| 312,071 | **2.92** | 5580us |\n"]
    read = [table_read.parse(text, "t").rows for text in texts]
    assert all(each == read[0] for each in read)
    (only,) = read[0]
    assert only.connections == 1000
    assert only.quantiles[0.99].value == pytest.approx(5.58)
    assert only.quantiles[0.99].high - only.quantiles[0.99].value == pytest.approx(0.0005)


def test_digits_count_as_written_in_json() -> None:
    (one, two) = table_read.parse('[{"rps": 9, "mean": 1.50}, {"rps": 9, "mean": 1.5}]', "t").rows
    assert one.mean_ms == Figure(1.5, 1.495, 1.505)
    assert two.mean_ms == Figure(1.5, 1.45, 1.55)


def test_a_row_overrides_the_default_whatever_both_are_called() -> None:
    rows = '[{"rps": 1}, {"rps": 1, "connections": 20}, {"rps": 1, "c": "-"}]'
    table = table_read.parse(f'{{"conns": 10, "rows": {rows}}}', "t")
    assert [each.connections for each in table.rows] == [10, 20, 10]


def test_what_is_missing_and_what_is_not_used() -> None:
    table = table_read.parse("name;rps;p50;memory\nA;n/a;-;1GiB\n;7;3;\n", "t")
    assert table.rows[0].requests_per_s is None
    assert (table.rows[0].name, table.rows[1].name) == ("A", "row 2")
    assert table.unused == ["memory"]
    assert table.assumed_ms


def test_a_unit_for_the_whole_table() -> None:
    table = table_read.parse("# unit: us\nrps,p50,duration\n9,850,30\n", "t")
    assert table.rows[0].quantiles[0.5].value == pytest.approx(0.85)
    assert table.rows[0].duration_s == 30
    assert not table.assumed_ms


def test_errors_as_a_percentage_and_latencies_one_level_down() -> None:
    (only,) = table_read.parse('[{"rps": 9, "errors": "0.4%", "latency": {"p50": "1ms", "max": "2ms"}}]', "t").rows
    assert only.error_share == pytest.approx(0.004)
    assert set(only.quantiles) == {0.5, 1.0}


@pytest.mark.parametrize(("text", "message"), [
    ("", "t has no rows"), ("name,rps\n", "t has no rows"), ("# only: this\n", "t has no rows"),
    ("[]", "t has no rows"),
    ("name,p50\nA,1\n", "no column of requests per second (name it req/s or requests_per_s; found: name, p50)"),
    ("rps,p50\n1,2\n3,fast\n", "t line 3, column 'p50': 'fast' is not a time"),
    ("rps,p50\n109,586,0.86ms\n", "t line 2 has 3 cells, the heading 2 (put numbers with a comma into quotes)"),
    ("rps;p50\n9;1,42\n", "t line 2, column 'p50': '1,42' is not a time"),
    ("rps,p50\n-9,1\n", "t line 2, column 'rps': '-9' is not a number"),
    ("rps,p50,p50\n9,1,2\n", "two columns are called 'p50'"),
    ("rps,mean,avg\n9,1,2\n", "t line 2: columns 'mean' and 'avg' say the same"),
    ("rps,connections\n9,0\n", "t line 2, column 'connections' is 0"),
    ("rps,Offered rate\n9,0\n", "t line 2, column 'Offered rate' is 0 (leave it out"),
    ('[{"rps": 9, "rate": 0}]', "t row 1, column 'rate' is 0"),
    ("rps;p50\n9;0,123\n", "t line 2, column 'p50': '0,123' is not a number (a decimal comma? write 0.123)"),
    ("rps;p50\n9;0,123ms\n", "t line 2, column 'p50': '0,123ms' is not a number (a decimal comma?"),
    ("# unit: h\nrps\n9\n", "unit 'h' is not one of"),
    ('[{"rps": 9,}]', "t line 1, column 12: "), ('{"rows": 3}', "no list of rows"), ('{"a": 1}', "no list of rows"),
    ("[3]", "t row 1 is not an object"), ('[{"rps": NaN}]', "NaN is not a number"),
    ('[{"rps": 9, "p50": "x"}]', "t row 1, column 'p50': 'x' is not a time"), ("[" * 100_000, "nested too deeply")])
def test_bad_input_is_one_line_that_names_the_place(text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        table_read.parse(text, "t")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


PROPOSAL = """# A talk: about schedulers
| not | this |
|---|---|
| one | 2 |

Following is the result of the benchmark -
| Architecture | Req/sec | p50 | p99 | Errors |
|---|---|---|---|---|
| Single-threaded | 109,586 | 0.86ms | 923ms | 3,294,267 |
| *others* | | | | |
| Tokio | 411,404 | 1.45ms | 4.05ms | 0 |
wrk with the following inputs, and so on; with, commas.
"""


@pytest.mark.parametrize("text", ["411,404 req/s", "411,404 r/s", "411404/s", "411,404 rps", "**411,404 Req/s**",
                                  "411.404k requests/sec"])
def test_a_rate_may_bring_its_unit(text: str) -> None:
    (only,) = table_read.parse(f"name;rps;rate\nA;{text};{text}\n", "t").rows
    assert only.requests_per_s.value == pytest.approx(411_404)
    assert only.rate == pytest.approx(411_404)


def test_a_time_is_no_rate() -> None:
    with pytest.raises(UserError, match="column 'p50': '5 req/s' is not a time"):
        table_read.parse("rps;p50\n9;5 req/s\n", "t")


TABLE = "| Name | Req/s | p50 |\n|---|---:|---|\n| A | 100 | 1ms |\n| B | 200 | 2ms |\n"


@pytest.mark.parametrize("text", [
    f"[![CI](https://x/y.svg)](https://x)\n\n# Fast\n\n{TABLE}",  # a README begins with badges
    f"{{placeholder}}\n{TABLE}",
    f"{TABLE}\n| Name | Memory |\n|---|---|\n| A | 1 GiB |\n",  # another table below, and one above
    f"| Name | Memory |\n|---|---|\n| A | 1 GiB |\n\n{TABLE}\nText, with | a pipe.\n",
    f"{TABLE}## Next\n| Name | Memory |\n|---|---|\n| A | 1 GiB |\n",
    "Text | with req/s\n\nName | Req/s | p50\n--- | ---: | ---\nA | 100 | 1ms\nB | 200 | 2ms\n\nText | more\n",
    "Name | Req/s | p50\n:-|-|-:\nA | 100 | 1ms\nB | 200 | 2ms\n", ])
def test_tables_as_they_stand_in_a_readme(text: str) -> None:
    read = table_read.parse(text, "t")
    assert [(each.name, each.requests_per_s.value) for each in read.rows] == [("A", 100), ("B", 200)]
    assert [each.quantiles[0.5].value for each in read.rows] == [1, 2]


def test_a_text_that_begins_with_a_bracket_and_has_no_table_is_bad_json() -> None:
    with pytest.raises(UserError, match="not valid JSON"):
        table_read.parse("[![CI](https://x)](https://y)\nreq/s, 5\n", "t")


def test_the_table_of_a_text_and_what_the_command_line_adds() -> None:
    read = table_read.parse(PROPOSAL, "t", ["connections=1000", "duration=30s", "tool=wrk"])
    assert [each.name for each in read.rows] == ["Single-threaded", "Tokio"]
    assert [(each.connections, each.duration_s, each.tool) for each in read.rows] == [(1000, 30, "wrk")] * 2
    assert read.rows[0].errors == 3_294_267


def test_the_file_is_right_where_the_command_line_says_it_too() -> None:
    (only,) = table_read.parse("# conns: 7\nrps,p50\n9,1ms\n", "t", ["connections=1000", "unit=us"]).rows
    assert only.connections == 7


@pytest.mark.parametrize("given", ["conections=9", "connections", "connections=", "=9"])
def test_what_the_command_line_adds_has_to_be_a_column(given: str) -> None:
    with pytest.raises(UserError, match="is not a column and its value") as caught:
        table_read.parse(PROPOSAL, "t", [given])
    assert caught.value.exit_code == 2


# --- the command ---------------------------------------------------------------------------------

def test_the_command_prints_and_writes_the_verdicts(tmp_path, capsys) -> None:
    out = tmp_path / "audit.json"
    table = ROOT / "tests" / "scripts" / "tables" / "seed.csv"
    assert cli.dispatch(["audit", str(table), "--json", str(out)]) == 0
    said = capsys.readouterr().out
    assert "5 rows: 2 red, 3 undetermined" in said
    assert all(len(line) <= 120 for line in said.splitlines())
    document = json.loads(out.read_text())
    assert list(document) == ["schema_version", "kind", "file", "source", "unused", "summary", "rows"]
    assert document["summary"] == {"red": 2, "amber": 0, "undetermined": 3, "green": 0}
    assert list(document["rows"][0]) == ["name", "verdict", "n_eff", "findings"]
    assert list(document["rows"][0]["findings"][0]) == ["rule", "verdict", "says", "means", "ask"]
    assert document["rows"][0]["n_eff"]["source"] == "percentiles"


def test_what_is_no_file_is_written_to_not_replaced(tmp_path) -> None:
    """As --json /dev/stdout, or a FIFO that another program reads."""
    fifo, table = tmp_path / "fifo", ROOT / "tests" / "scripts" / "tables" / "seed.csv"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert cli.dispatch(["audit", str(table), "--json", str(fifo)]) == 0
        assert json.loads(os.read(reader, 1 << 16))["kind"] == "table_audit"
    finally:
        os.close(reader)
    assert fifo.is_fifo()
    assert [each.name for each in tmp_path.iterdir()] == ["fifo"]


def test_standard_output_in_a_file_gets_both(tmp_path) -> None:
    table = ROOT / "tests" / "scripts" / "tables" / "seed.csv"
    argv = [sys.executable, "-m", "scripts.cli", "audit", str(table), "--json", "/dev/stdout"]
    with (tmp_path / "out").open("w") as out:
        subprocess.run(argv, cwd=ROOT, stdout=out, check=True, timeout=120)
        subprocess.run(["echo", "the end"], stdout=out, check=True, timeout=120)
    said, brace, rest = (tmp_path / "out").read_text().partition("\n{\n")
    assert "5 rows: 2 red, 3 undetermined" in said
    assert json.loads(brace + rest.removesuffix("the end\n"))["kind"] == "table_audit"
    assert rest.endswith("}\nthe end\n")


def test_a_link_stays_one_and_its_target_is_whole_or_not_there(tmp_path, monkeypatch) -> None:
    (tmp_path / "there").mkdir()
    link, target = tmp_path / "link.json", tmp_path / "there" / "target.json"
    link.symlink_to("there/target.json")
    results.check_writable(link)
    for text in ("first", "second"):  # made, then replaced
        results.write_text(link, text)
        assert link.is_symlink()
        assert target.read_text() == text

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left"):
        results.write_text(link, "third")
    assert target.read_text() == "second"
    assert [each.name for each in target.parent.iterdir()] == ["target.json"]


def test_no_upper_bound_is_null(tmp_path) -> None:
    (tmp_path / "t.csv").write_text("rps,p50,c\n100,1ms,10\n")
    assert cli.dispatch(["audit", str(tmp_path / "t.csv"), "--json", str(tmp_path / "o.json")]) == 0
    assert json.loads((tmp_path / "o.json").read_text())["rows"][0]["n_eff"]["high"] is None


@pytest.mark.parametrize(("content", "message"), [(None, "cannot read"), (b"\xff\xfe\x00", "not a text file"),
                                                  (b"rps,p50\n1,x\n", "t.csv line 2, column 'p50'")])
def test_bad_files_end_with_2_and_one_line(tmp_path, content: bytes | None, message: str) -> None:
    path = tmp_path / "t.csv"
    if content is not None:
        path.write_bytes(content)
    done = subprocess.run([str(ROOT / "duel"), "audit", str(path)], capture_output=True, text=True, timeout=120,
                          check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_help_names_every_verdict_and_rule() -> None:
    done = subprocess.run([str(ROOT / "duel"), "audit", "--help"], capture_output=True, text=True, timeout=120,
                          check=False)
    assert done.returncode == 0
    source = (ROOT / "scripts" / "table_audit.py").read_text()
    for word in ("red", "amber", "undetermined", "green", "malformed", "errors", "error-per-answer", "service-floor",
                 "throughput-bound", "cpu", "littles-law", "hidden-tail", "open-loop"):
        assert word in done.stdout
        assert f'"{word}"' in source
