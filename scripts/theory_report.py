"""How ./duel bench theory tells what it found: table, notes, plot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts import plots, results, tables
from scripts.campaign import taints
from scripts.campaign.plan import Plan
from scripts.summary import fewest
from scripts.theory_predict import SUBJECTS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LOOKS = {"mean": ("o", "-"), "p99": ("s", "--")}
VERDICTS = ("within", "outside", "not measured")
_READING = (
    "A row is held against duel-sim's answer for the measured CPU cost a request, run by run; sharded, with each "
    "shard's measured share of the requests. x: measured / theory, median of the blocks")
_LIMITS = (
    "Near saturation the mean time is S / (1 - load), so 3 % of S, which is what sharing CPUs with the loader costs, "
    "is 15 % of it at load 0.8; p99 errs as much, and by chance besides.")
_TICK = 44  # the length of a prediction's tick, wider than a measured mark
_ROOM = 0.05  # of load beside the outermost: rows at one load differ by hundredths, which is not to fill the panel
_BURNS = ("Handlers burn CPU time, not wall time: a worker that is preempted takes that much longer, and the "
          "prediction does not know it. A reason that starts with time: says how long it was, by the kernel's count, "
          "and what the same queue says when each run is given that.")


def held(made: Plan, runs: list[dict[str, Any]], calibration: dict[str, Any], load_before: float, is_dirty: bool,
         ) -> list[str]:
    """What holds against all of it."""
    found = taints.of_campaign(made, runs, [{}], load_before, is_dirty)
    if left_out := sum(map(taints.is_spoiled, runs)):
        found.append(f"left out: {left_out} of {len(runs)} runs, whose latencies measure no server")
    if missing := sorted({each.row.name for each in SUBJECTS} - calibration.keys()):
        found.append(f"left out: {', '.join(missing)}, for io_uring does not work here (./duel machine check)")
    for row, paid in calibration.items():
        if words := dict.fromkeys(taint.partition(":")[0] for taint in paid["taints"]):
            found.append(f"calibration of {row}: {', '.join(words)}")
    return found


def table(document: dict[str, Any]) -> tables.Table:
    """A line for each row and theory at a point, mean and p99 side by side."""
    rows, sections, last = [], {}, None
    outcomes = document["outcomes"]
    at, limits = {each["name"]: each for each in document["points"]}, document["settings"]["limits"]
    for mean, p99 in zip(outcomes[::2], outcomes[1::2], strict=True):
        if mean["point"] != last:
            last = mean["point"]
            sections[len(rows)] = (f"{last}: {at[last]['service']}, {mean['rate']:,.0f} requests/s "
                                   f"(load {at[last]['load']:g})")
        rows.append([mean["row"], mean["theory"], f"{mean['load']:.2f}", *_cells(mean), *_cells(p99)])
    return tables.Table(["row", "theory", "load", "mean\nms", "theory", "x", "range", f"{limits['mean']:.0%}",
                         "p99\nms", "theory", "x", "range", f"{limits['p99']:.0%}"], rows, sections, 2)


def _cells(one: dict[str, Any]) -> list[str]:
    if one["ratio"] is None:
        return ["—", "—", "—", "—", "—"]
    return [tables.milliseconds(one["measured_us"] / 1e3), tables.milliseconds(one["predicted_us"]["value"] / 1e3),
            _short(one["ratio"]), "..".join(map(_short, one["interval"])), one["verdict"]]


def _short(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:,.0f}"


def reasons(document: dict[str, Any]) -> list[str]:
    """One line for all that a row has the same reasons for at a point."""
    same: dict[tuple[str, str, str], list[str]] = {}
    for one in document["outcomes"]:
        if one["reasons"]:
            what = f"{one['measure']} against {one['theory']}" if one["ratio"] is not None else one["verdict"]
            same.setdefault((one["row"], one["point"], "; ".join(one["reasons"])), []).append(what)
    return [f"{row}, {point}, {', '.join(dict.fromkeys(what))}: {why}." for (row, point, why), what in same.items()]


def in_short(document: dict[str, Any]) -> list[str]:
    """A line for each row, theory and kind of reason: where it holds, and how it reads where it is off most."""
    kinds: dict[tuple[str, str, str], dict[str, tuple[float, str]]] = {}
    for one in document["outcomes"]:
        for each in one["reasons"]:
            found = kinds.setdefault((one["row"], one["theory"], each.partition(":")[0]), {})
            off = abs((one["ratio"] or 1.0) - 1)
            found[one["point"]] = max(found.get(one["point"], (off, each)), (off, each))
    return [f"{row} against {theory}, {', '.join(found)}: {max(found.values())[1]}."
            for (row, theory, _), found in kinds.items()]


def reading(document: dict[str, Any]) -> list[str]:
    """What to know of the table."""
    settings = document["settings"]
    limits = settings["limits"]
    paid = "; ".join(f"{row} {each['overhead_us']:.0f} µs over the handler when idle, of which "
                     f"{each['idle_cpu_us']:.0f} CPU, and {each['cost_us']:.0f} CPU when busy"
                     for row, each in document["calibration"].items())
    interval = " and its interval" if settings["blocks"] >= fewest(0.95) else ", and the least and the largest"
    return [f"{_READING}{interval}. {settings['blocks']} blocks, {settings['connections']} connections, "
            f"{settings['workers']} workers, seed {settings['seed']}.",
            f"within: the mean by {limits['mean']:.0%}, p99 by {limits['p99']:.0%}. {_LIMITS}",
            f"{_BURNS} A request costs: {paid}."]


def notes(document: dict[str, Any]) -> list[str]:
    return [*reading(document), f"Held against this run: {'; '.join(document['taints']) or 'nothing'}."]


def write(folder: Path, document: dict[str, Any], record: dict[str, Any]) -> None:
    results.write_json(folder / "result.json", document)
    results.write_json(folder / "machine.json", record)
    lines = "".join(f"- {each}\n" for each in [*reasons(document), *notes(document)])
    results.write_text(folder / "table.md", f"{tables.markdown(table(document))}\n{lines}")
    draw(document, folder)


def show(document: dict[str, Any]) -> None:
    tables.show(table(document))
    print()
    for each in in_short(document):
        print(tables.wrapped(f"! {each}"))
    print("\n".join(map(tables.wrapped, notes(document))))


def finding(document: dict[str, Any]) -> str:
    """How often a row follows its queue."""
    outcomes, limits = document["outcomes"], document["settings"]["limits"]
    within, outside, missing = (sum(one["verdict"] == verdict for one in outcomes) for verdict in VERDICTS)
    lost = f"; {missing} could not be measured" if missing else ""
    return (f"{within} of {within + outside} comparisons are within the tolerance, mean by {limits['mean']:.0%} and "
            f"p99 by {limits['p99']:.0%} of the simulated queue, and {outside} are not{lost}. A comparison is the mean "
            "or p99 of a row at a load, held against one queue.")


def findings(document: dict[str, Any]) -> list[str]:
    """A line for each row and theory: where it is within, where not."""
    seen: dict[tuple[str, str], dict[str, dict[str, list[str]]]] = {}
    for one in document["outcomes"]:
        by_verdict = seen.setdefault((one["row"], one["theory"]), {})
        by_verdict.setdefault(one["verdict"], {}).setdefault(one["point"], []).append(one["measure"])
    return [f"{row} against {theory}: " + "; ".join(
        f"{verdict} at " + ", ".join(point if len(measures) > 1 else f"{point} ({measures[0]})"
                                     for point, measures in by_verdict[verdict].items())
        for verdict in VERDICTS if verdict in by_verdict) + "." for (row, theory), by_verdict in seen.items()]


def draw(document: dict[str, Any], folder: Path) -> None:
    """Each service's figure as .png and .svg."""
    plots.prepare()
    for name, _, made in figures(document):
        plots.save(made, name, folder)


def measured(document: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """By service, the outcomes that have a ratio."""
    services = {each["name"]: each["service"] for each in document["points"]}
    found: dict[str, list[dict[str, Any]]] = {service: [] for service in services.values()}
    for one in document["outcomes"]:
        if one["ratio"] is not None:
            found[services[one["point"]]].append(one)
    return found


def figures(document: dict[str, Any]) -> Iterator[tuple[str, str, Figure]]:
    """The name of its file, the service and the figure, of each service that has anything to draw."""
    from scripts.report.figures import slug
    known = {service: own for service, own in measured(document).items() if own}
    for index, (service, own) in enumerate(known.items()):
        name = f"theory-{slug(service.partition(':')[0])}" if index else "theory"
        yield name, service, _figure(service, own, document["settings"]["blocks"])


def _figure(service: str, chosen: list[dict[str, Any]], blocks: int) -> Figure:
    """A panel a row, mean and p99 against load. Marks are measured, lines are theory, or a tick where a line would
    have one point."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    rows = list(dict.fromkeys(one["row"] for one in chosen))
    made = Figure(figsize=(18, 10), layout="constrained")
    panels = made.subplots(-(-len(rows) // 2), 2, sharex=True, sharey=True, squeeze=False)
    for axes in panels.flat[len(rows):]:
        axes.set_visible(False)
    for axes, row in zip(panels.flat, rows, strict=False):
        own = [one for one in chosen if one["row"] == row]
        _panel(axes, own, plots.COLOURS.get(own[0]["model"], plots.INK))
        axes.set_title(row, fontsize=18)
    loads = [one["load"] for one in chosen]
    panels[0, 0].set_xlim(min(loads) - _ROOM, max(loads) + _ROOM)
    for axes in panels[:, 0]:
        axes.set_ylabel("ms, log scale")
    for axes in panels[-1]:
        axes.set_xlabel("load")
    made.legend(handles=[Line2D([], [], color=plots.INK, marker=mark, linestyle=dash, linewidth=2.5, markersize=11,
                                label=measure) for measure, (mark, dash) in _LOOKS.items()],
                loc="outside lower center", ncols=2, fontsize=16, frameon=False)
    made.suptitle(f"{_found(chosen)}\n{service}, Poisson; lines or ticks: theory, marks: medians of {blocks} blocks "
                  "with their range", x=0.01, ha="left", fontsize=20)
    return made


def _panel(axes, own: list[dict[str, Any]], colour: str) -> None:
    from scripts.report import style
    names = list(dict.fromkeys(one["theory"] for one in own))
    for measure, (mark, dash) in _LOOKS.items():
        for theory, width, ink in zip(names, (3.0, 2.0), (colour, "#777777"), strict=False):
            line = sorted((one["load"], one["predicted_us"]["value"] / 1e3) for one in own
                          if one["measure"] == measure and one["theory"] == theory)
            lone = {"marker": "_", "markersize": _TICK, "markeredgewidth": width} if len(line) == 1 else {}
            axes.plot([load for load, _ in line], [ms for _, ms in line], dash, color=ink, linewidth=width, zorder=1,
                      label=theory if measure == "mean" else None, **lone)
        seen = sorted((one["load"], one["measured_us"] / 1e3, *one["interval"], one["ratio"]) for one in own
                      if one["measure"] == measure and one["theory"] == names[0])
        if not seen:
            continue
        x, y, low, high, middle = zip(*seen, strict=True)
        bars = ([value * max(0.0, 1 - a / m) for value, a, m in zip(y, low, middle, strict=True)],
                [value * max(0.0, b / m - 1) for value, b, m in zip(y, high, middle, strict=True)])
        axes.errorbar(x, y, yerr=bars, fmt=mark, color=colour, markersize=11, capsize=6, elinewidth=2.5)
    axes.set_yscale("log")
    style.log_ticks(axes.yaxis)
    style.grid(axes)
    axes.legend(loc="upper left", fontsize=16, frameon=False)


def _found(known: list[dict[str, Any]]) -> str:
    said = []
    for theory in dict.fromkeys(one["theory"] for one in known):
        own = [one for one in known if one["theory"] == theory]
        within = sum(one["verdict"] == "within" for one in own)
        said.append(f"{theory}: {within} of {len(own)} within")
    return "; ".join(said)
