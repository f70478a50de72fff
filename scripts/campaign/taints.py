"""What a reader should hold against a run, or against a whole campaign, as `word: detail`.

Pure. The loader judges what only it can see, in words; here they get their figures. What the machine did to the
run is judged here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scripts.campaign.host import Reading
from scripts.campaign.plan import Plan
from scripts.summary import fewest, plain

STEAL_MOST, OTHERS_MOST = 0.01, 0.1
FEWEST = fewest(0.95)
_Load = dict[str, Any]


def _errors(load: _Load) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in load["errors"].items() if count)


def _of_connections(key: str, what: str) -> Callable[[_Load], str]:
    return lambda load: f"{load['connections'][key]:,} of {load['connections']['established']:,} connections {what}"


def _share(load: _Load) -> str:
    worst = max(load["loader"]["threads"], key=lambda each: each["share"] + (each.get("wait_share") or 0))
    waited = worst.get("wait_share") or 0
    found = f"its busiest thread used {worst['share']:.0%} of a CPU"
    return f"{found} and waited for one {waited:.0%} of the time" if waited > 0.01 else found


def _drift(load: _Load) -> str:
    first, second = load["halves"]
    said = [f"{first['rate']:,.0f} then {second['rate']:,.0f} requests/s"]
    medians = first["intended"]["p50"], second["intended"]["p50"]
    if None not in medians:
        said.append(f"p50 {medians[0] / 1e3:,.0f} then {medians[1] / 1e3:,.0f} µs")
    return ", ".join(said) + " in the two halves"


def _slip(load: _Load) -> str:
    late = load["lateness_ns"]
    return f"sent late by p50 {late['p50'] / 1e3:,.0f}, p99 {late['p99'] / 1e3:,.0f} µs"


# The loader's words, and what is said of each here.
DETAILS: dict[str, tuple[str, Callable[[_Load], str]]] = {
    "stopped": ("stopped", lambda load: f"after {load['window']['seconds']:.1f} s"),
    "no_samples": ("no samples", lambda load: "nothing was answered"),
    "errors": ("errors", _errors),
    "bodies_unchecked": ("unchecked", lambda load: "the bodies could not be verified"),
    "ids_unchecked": ("ids unchecked", lambda load: "no answer could be told from another request's"),
    "censored": ("censored", lambda load: f"{load['requests']['censored']:,} of {load['requests']['offered']:,} "
                 "requests had no answer: the latencies have how long they had waited, not how long they would have"),
    "connections_missing": ("connections", lambda load: f"{load['connections']['established']:,} of "
                            f"{load['connections']['asked_for']:,} established"),
    "zero_served": ("starved", _of_connections("zero_served", "never got an answer")),
    "fallen_silent": ("fallen silent", _of_connections("fallen_silent", "were served no more")),
    "unfinished": ("unfinished", lambda load: f"{load['requests']['unfinished']:,} requests had no answer"),
    "loader_saturated": ("loader saturated", _share),
    "loader_exhausted": ("loader exhausted", lambda load: f"{load['loader']['exhausted']:,} attempts to connect failed "
                         f"in the loader itself ({load['loader']['exhausted_by']})"),
    "schedule_slipped": ("schedule slipped", _slip),
    "littles_law": ("Little's law", lambda load: f"N_eff {load['littles_law']:.2f} a connection"),
    "offered_not_achieved": ("not achieved", lambda load: f"{load['rate']['achieved']:,.0f} of "
                             f"{load['rate']['offered']:,.0f} requests/s"),
    "drift": ("drift", _drift),
}


def of_load(load: _Load | None) -> list[str]:
    """In the loader's order. A word that is not known here is passed on."""
    found = []
    for word in load["taints"] if load is not None else []:
        name, detail = DETAILS.get(word, (word.replace("_", " "), lambda _: "says the loader"))
        found.append(f"{name}: {detail(load)}")
    return found


def steal_share(before: Reading, after: Reading) -> float:
    whole = after.cpu.total_s - before.cpu.total_s
    return (after.cpu.steal_s - before.cpu.steal_s) / whole if whole > 0 else 0.0


def others_share(before: Reading, after: Reading) -> float:
    """Of the machine's CPU time, what neither server nor loader had."""
    whole = after.cpu.total_s - before.cpu.total_s
    busy = whole - (after.cpu.idle_s - before.cpu.idle_s) - (after.own_s - before.own_s)
    return max(0.0, busy / whole) if whole > 0 else 0.0


def listen_grown(before: Reading, after: Reading) -> dict[str, int]:
    return {name: after.listen[name] - before.listen.get(name, 0) for name in after.listen
            if after.listen[name] > before.listen.get(name, 0)}


def of_machine(before: Reading, after: Reading) -> list[str]:
    found = []
    if (steal := steal_share(before, after)) > STEAL_MOST:
        found.append(f"steal: the hypervisor took {steal:.1%} of the CPU time")
    if (others := others_share(before, after)) > OTHERS_MOST:
        found.append(f"other work: other processes took {others:.0%} of the CPUs")
    if after.throttled > before.throttled:
        found.append(f"throttled: the CPU quota was used up in {after.throttled - before.throttled:,} periods")
    if grown := listen_grown(before, after):
        found.append("listen: " + ", ".join(f"{name} {count:,}" for name, count in grown.items())
                     + " (of the whole machine)")
    return found


def _has(run: dict[str, Any], *words: str) -> bool:
    return any(taint.partition(":")[0] == DETAILS[word][0] for taint in run["taints"] for word in words)


def is_unserved(run: dict[str, Any]) -> bool:
    """Whether less was served than was asked: wrong answers are fast, starved ones are missing, and a loader out of
    ports does not ask. A connection that was refused and tried again waited, and its requests know that."""
    wrong = {kind: count for kind, count in (run["errors"] or {}).items() if kind != "connect" and count}
    return bool(wrong or run["zero_served"] or run["fallen_silent"] or run["requests_per_s"] is None
                or _has(run, "loader_exhausted"))


def is_spoiled(run: dict[str, Any]) -> bool:
    """Whether the latencies are no measurement of the server: those of less than was asked, those that are only
    lower bounds, and those of a loader that was late to send or to look."""
    return is_unserved(run) or _has(run, "censored", "loader_saturated", "schedule_slipped")


def of_campaign(plan: Plan, runs: list[dict[str, Any]], starts: list[dict[str, Any]], load_before: float,
                is_dirty: bool) -> list[str]:
    """What holds against all of it, then how many runs have which taint."""
    found = []
    if plan.blocks < FEWEST:
        found.append(f"blocks: a {plain(0.95)} interval takes {FEWEST}, here are {plan.blocks}: nothing is shown")
    if plan.quick:
        found.append("quick: short runs")
    if is_dirty:
        found.append("dirty: built from uncommitted changes")
    allowed = len(set(plan.cpus.server) | set(plan.cpus.load))
    if plan.cpus.are_shared:
        found.append(f"shared: server and loader share {allowed} CPUs")
    if load_before > 0.5 * allowed:
        found.append(f"busy: load average {load_before:.1f} before the start")
    for start in starts[1:]:
        found.append(f"resumed: {start['at']}, after {start['runs_done']} of {len(plan.slots)} runs")
    words: dict[str, int] = {}
    for run in runs:
        for word in {taint.partition(":")[0] for taint in run["taints"]}:
            words[word] = words.get(word, 0) + 1
    return [*found, *(f"{word}: {count} of {len(runs)} runs" for word, count in sorted(words.items()))]
