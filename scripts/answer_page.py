"""The page of an answer sheet, as Markdown and as one HTML file that needs nothing else. Pure but for `write`.

All of it is made from the document (answer.json), so that a page can be made again from the file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts import results, tables
from scripts.answer_regimes import LOADER, MEASURES, PAIRS, SILENT, STEALING, WRK
from scripts.answer_verdicts import (CANNOT, NONE, SHARDS, SHORT, STEALS, THRESHOLD, TITLES, USUAL_BLOCKS, change,
                                     percent)
from scripts.campaign.plan import CLOSED
from scripts.campaign.show import figure
from scripts.summary import plain
from scripts.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Work stealing or thread-per-core? What this machine says"
_TEMPLATE = Path(__file__).with_name("answer.html.j2")
_REPORT = Path(__file__).with_name("report") / "report.html.j2"
_COLOURS = {STEALS: "#0050b5", SHARDS: "#00734a", NONE: "#555555", SHORT: "#8a8a8a"}
_BY = {LOADER: "by duel-load, {duration_s} s after {warmup_s:g} s of warm-up, in an order drawn from seed {seed}",
       WRK: "by wrk, for duel-load asks for one path only (its latencies are not used), {duration_s} s after "
            "{warmup_s:g} s of warm-up, in an order drawn from the number of the block",
       SILENT: "without load, watched for {duration_s} s, in an order drawn from the number of the block"}
# Taints of all regimes alike: the page says them once, in its own words.
_SAID_ABOVE = ("shared:", "dirty:", "quick:", "blocks:", "busy:", "built from", "server and wrk",
               "other work was running")
_WEATHER = {"other work": "Other processes took more than a tenth of the CPUs",
            "throttled": "The CPU quota was used up", "steal": "The hypervisor took CPU time away"}
_FIX = ": verdicts of a quieter machine would be sharper (./duel machine check)"
_Document = dict[str, Any]
_Said = dict[str, Any]  # a verdict, as JSON has it


def write(document: _Document, folder: Path) -> None:
    """answer.json, answer.md and answer.html."""
    results.write_json(folder / "answer.json", document)
    results.write_text(folder / "answer.md", markdown(document))
    results.write_text(folder / "answer.html", html(document))


def asked(said: _Said) -> str:
    """What a verdict is about: `p99 latency at 70 % of the peak`."""
    name, point = MEASURES[said["measure"]].name, said["point"]
    return name if point == CLOSED else f"{name} at {point} of the peak"


def headline(document: _Document) -> str:
    """What came out, counted."""
    counts, parts = document["counts"], []
    for kind, words in ((STEALS, "work stealing better in {}"), (SHARDS, "thread-per-core better in {}"),
                        (NONE, "no difference shown in {}"), (SHORT, "{} too short to decide"),
                        (CANNOT, "{} cannot be measured here")):
        if counts[kind]:
            parts.append(words.format(counts[kind]))
    total = sum(counts.values())
    return f"Of {total} verdict{'' if total == 1 else 's'}: {', '.join(parts)}."


def warnings(document: _Document) -> list[str]:
    """What holds against all of it."""
    settings, found = document["settings"], []
    if settings["blocks"] < settings["blocks_needed"]:
        found.append(f"Too short to decide: {settings['blocks']} blocks; {settings['family']} verdicts "
                     f"take {settings['blocks_needed']} (the usual ./duel bench answer has {USUAL_BLOCKS + 1}).")
    if settings["cpus_shared"]:
        cpus = sorted({*settings["load_cpus"], *settings["server_cpus"]})
        found.append(f"Server and load generator share {len(cpus)} CPU{'' if len(cpus) == 1 else 's'}: requests a "
                     "second and latencies are what both can do together; CPU time and memory are the server's own.")
    if document["machine"].get("build", {}).get("dirty"):
        found.append("Built from uncommitted changes.")
    busy = [float(load[1]) for each in document["regimes"] for taint in each["taints"]
            if (load := re.search(r"load average ([\d.]+) before the start", taint))]
    if busy:
        found.append(f"Other work was running: load average {max(busy):.1f} before one of the regimes.")
    for word, what in _WEATHER.items():
        seen = [(int(count[1]), int(count[2])) for each in document["regimes"] for taint in each["taints"]
                if (count := re.fullmatch(rf"{word}: (\d+) of (\d+) runs", taint))]
        if seen:
            bad, runs = map(sum, zip(*seen, strict=True))
            found.append(f"{what} in {bad:,} of {runs:,} runs{_FIX if bad > runs / 4 else ''}.")
    return found


def predicted(regime: dict[str, Any]) -> str:
    """What the simulator says; empty where it was not asked."""
    if regime["predicted"] is None:
        return ""
    told = regime["predicted"]
    p99 = {policy: f"{figure(value / 1e3)} ms" for policy, value in told["p99_us"].items()}
    return (f"Simulated for {told['cores']} CPUs at that load, evenly spread: p99 {p99['stealing']} with stealing, "
            f"{p99['partitioned']} with a queue for each CPU.")


def reading(document: _Document) -> list[str]:
    settings = document["settings"]
    shared = settings["cpus_shared"]
    return [
        f"Each regime races {STEALING} (fibers, idle workers steal) against sharded/epoll (a task stays on its shard; "
        "the driver is the same, so only the scheduler differs, and for shared state also where it lives) and "
        "sharded/uring (thread-per-core as one would deploy it).",
        f"A verdict compares servers within a block: {settings['blocks']} blocks, in each of which every server is "
        "started anew, in random order. Runs are short (the regimes below say how long; their own tables call that "
        "quick). In brackets: the 95 % interval of that effect alone.",
        f"\"Better\" takes two exact tests, {plain(THRESHOLD)} or more, and Holm's correction across the "
        f"{settings['family']} verdicts that had figures: with no difference anywhere, a page like this claims one in "
        "at most 5 % of cases. It must also exceed what two identical servers, measured beside, differ by.",
        "\"No difference shown\" is not \"equal\": a difference smaller than the one named would most likely not have "
        "shown.",
        f"\"Cannot be measured here\": the regime needs more CPUs (here {settings['cores']} for the server), could not "
        "be run, or its runs were spoiled: failed requests, starved connections, for latencies"
        f"{'' if shared else ' and requests a second'} a load generator that was itself the bottleneck."
        f"{' It shares the CPUs here: what both can do together is all that requests a second say.' if shared else ''}",
        "At a share of the peak, every server is sent the same number of requests a second, whether or not they are "
        "answered, and latency counts from when a request was due; the peak is the smallest of the servers'. Else each "
        "connection asks again when it is answered.",
        "Loopback on one machine: there is no network, and no client elsewhere."]


def summary_table(document: _Document) -> Table:
    """A line a question, a column a pair."""
    lines = []
    for each in document["regimes"]:
        by_question: dict[str, list[_Said]] = {}
        for said in each["verdicts"]:
            by_question.setdefault(asked(said), []).append(said)
        for index, (question, found) in enumerate(by_question.items()):
            cells = [said["words"] for said in found] if each["why_not"] is None else [
                f"{TITLES[CANNOT]}: {each['why_not']}. {predicted(each)}".strip(), *["the same"] * (len(found) - 1)]
            lines.append([each["words"] if index == 0 else "", question, *cells])
    return Table(["regime", "measured", *(f"{row}: {words}" for row, words in PAIRS.items())], lines,
                 text_columns=2 + len(PAIRS))


def figures_table(regime: dict[str, Any]) -> Table | None:
    """Medians of one regime, and the smallest difference that would have shown."""
    lines: dict[str, list[str]] = {}
    for said in regime["verdicts"]:
        if said["medians"] is None:
            continue
        unit = MEASURES[said["measure"]].unit
        cells = lines.setdefault(asked(said) + (f", {unit}" if unit else ""), [""] * (1 + 2 * len(PAIRS)))
        at = 1 + 2 * list(PAIRS).index(said["row"])
        least = said["minimum_detectable"]
        cells[0] = figure(said["medians"][STEALING])
        cells[at:at + 2] = [figure(said["medians"][said["row"]]),
                            f"{said['n']}; {'?' if least is None else percent(change(least, said['measure']))}"]
    if not lines:
        return None
    heads = [head for row in PAIRS for head in (row, "blocks; shows from")]
    return Table(["median", STEALING, *heads], [[name, *cells] for name, cells in lines.items()])


def notes(document: _Document, regime: dict[str, Any]) -> list[str]:
    """Where a regime's verdicts come from."""
    said = [f"Asked: {regime['asks']}.",
            f"Expected: {regime['expected']} Because {regime['reason']} (Like scenario {regime['scenario']}: "
            f"{regime['source']}.)"]
    if regime["predicted"] is not None:
        said.append(f"{predicted(regime)} Nothing but queueing and who polls is in it: ./duel simulate "
                    f"{' '.join(regime['predicted']['flags'])}")
    if regime["why_not"] is not None:
        return said
    said.append(f"Computed from {regime['folder']}/ ({document['settings']['blocks']} blocks, "
                f"{_BY[regime['by']].format(**regime)}): table.md has its tables"
                + (f"; ./duel report results/{document['name']}/{regime['folder']} makes its report."
                   if regime["by"] != SILENT else "."))
    if regime["control"]:
        said.append(f"Control: {regime['control']}.")
    held = [taint for taint in regime["taints"] if not taint.startswith(_SAID_ABOVE)]
    return [*said, *([f"Held against it: {'; '.join(held)}."] if held else [])]


def head(document: _Document) -> str:
    from scripts.compare import one_line
    try:
        line = one_line(document["machine"])
    except (KeyError, TypeError):
        line = "machine recorded in part"
    return f"{document['name']}, {document['began'][:10]}; {line}"


def markdown(document: _Document) -> str:
    lines = [f"# {TITLE}\n", head(document) + "\n", f"**{headline(document)}**\n"]
    lines += [f"> {each}\n" for each in warnings(document)]
    lines += [tables.markdown(summary_table(document)), "## How to read it\n",
              "".join(f"- {each}\n" for each in reading(document)), "## Where each verdict comes from\n"]
    for each in document["regimes"]:
        table = figures_table(each)
        lines += [f"### {each['words']}\n", f"{each['question']}\n",
                  *([tables.markdown(table)] if table is not None else []),
                  "".join(f"- {note}\n" for note in notes(document, each))]
    return "\n".join(lines)


def html(document: _Document) -> str:
    """With the report's style. No script, nothing that is fetched."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup, escape

    from scripts.report import style
    css = _REPORT.read_text(encoding="utf-8").partition("<style>")[2].partition("</style>")[0]
    drawn = draw(document)
    svg = Markup(style.inline_svg(drawn, "answer", str(escape(TITLE)))) if drawn is not None else ""
    regimes = [{**each, "table": figures_table(each), "notes": notes(document, each),
                "lines": _lines(each), "simulated": predicted(each)} for each in document["regimes"]]
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(
        _TEMPLATE.read_text(encoding="utf-8"))
    return template.render(title=TITLE, css=Markup(css), head=head(document), headline=headline(document),
                           warnings=warnings(document), pairs=PAIRS, regimes=regimes, svg=svg, colours=_COLOURS,
                           reading=reading(document), titles=TITLES, name=document["name"])


def _lines(regime: dict[str, Any]) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """(question, [(kind, verdict, the rest)])."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    for said in regime["verdicts"]:
        rest = said["words"].removeprefix(TITLES[said["verdict"]]).lstrip(": ")
        found.setdefault(asked(said), []).append((said["verdict"], TITLES[said["verdict"]], rest))
    return list(found.items())


def draw(document: _Document) -> Figure | None:
    """Every verdict with figures, on one axis: left of 1 stealing is better, right of it thread-per-core."""
    seen = [(each["words"], said) for each in document["regimes"] for said in each["verdicts"]
            if said["ratio"] is not None and said["verdict"] != CANNOT]
    if not seen:
        return None
    from matplotlib.figure import Figure

    from scripts import plots
    from scripts.report import style
    style.prepare()
    figure_ = Figure(figsize=(14, 1.8 + 0.62 * len(seen)), layout="constrained")
    axes = figure_.add_subplot()
    for y, (_, said) in enumerate(seen):
        more = MEASURES[said["measure"]].more_is_better
        ends = said["low"] or said["ratio"], said["ratio"], said["high"] or said["ratio"]
        low, middle, high = ends if more else [1 / each for each in ends]
        colour = _COLOURS[said["verdict"]]
        axes.plot([low, high], [y, y], color=colour, linewidth=3)
        axes.plot([middle], [y], "o" if said["row"].endswith("epoll") else "s", color=colour, markersize=11)
        axes.annotate(f"{middle:.2f}", (max(low, high), y), (10, 0), textcoords="offset points", va="center",
                      fontsize=style.SMALL, color=colour)
    axes.axvline(1, color=plots.INK, linewidth=1.5)
    style.log_ticks(axes.xaxis)
    axes.margins(x=0.12)
    names = [f"{words}: {asked(said)}, {said['row'].partition('/')[2]}" for words, said in seen]
    axes.set_yticks(range(len(seen)), names, fontsize=style.SMALL)
    axes.set_ylim(len(seen) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    style.grid(axes, "x")
    for side, words in (("left", "← stealing better"), ("right", "thread-per-core better →")):
        axes.set_title(words, loc=side, fontsize=style.SMALL)
    axes.set_xlabel("how many times as good as stealing", fontsize=style.SMALL)
    return figure_
