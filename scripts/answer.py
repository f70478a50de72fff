"""./duel bench answer: measures every regime that means something on this machine, and says on one page what came out.

A regime is one campaign, or, where duel-load cannot ask for it, one scenario with wrk or without load. What is done
stands in results/NAME.unfinished/ until the page is written; then the folder becomes results/NAME.

    plan.json     what was asked for, and the machine and build it was begun on
    REGIME/       one a regime, a whole result (result.json, table.md, runs/)

So the same command goes on where it was cut off. answer_regimes.py has the regimes, answer_verdicts.py what they say.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scripts import answer_page, answer_regimes, bench, machine, results, scenarios, tables, theory_predict, wrk
from scripts.answer_regimes import LOADER, REGIMES, WRK, Regime
from scripts.answer_verdicts import CANNOT, TITLES, USUAL_BLOCKS, Part, Verdict, verdicts
from scripts.campaign import host, journal, plan
from scripts.campaign import run as campaigns
from scripts.errors import Stopped, UserError
from scripts.measure import require_descriptors
from scripts.paths import shown
from scripts.progress import duration
from scripts.summary import fewest

SCHEMA_VERSION = 1
PROGRAMS = ["duel-server", "duel-load", "duel-sim"]
BLOCKS, QUICK_BLOCKS = USUAL_BLOCKS + 1, 2  # one more than it takes: a block may be lost to a taint
SECONDS, QUICK_SECONDS, WARMUP_S = 2, 1, 1
_PLAN = "plan.json"


@dataclass(frozen=True)
class Settings:
    """As asked for. `only`: keys of regimes; None: all."""

    blocks: int
    quick: bool = False
    seed: int | None = None
    only: tuple[str, ...] | None = None

    @property
    def duration_s(self) -> int:
        return QUICK_SECONDS if self.quick else SECONDS

    @property
    def regimes(self) -> list[Regime]:
        return [each for each in REGIMES if self.only is None or each.key in self.only]


def settings(blocks: int | None, quick: bool, seed: int | None, only: list[str] | None) -> Settings:
    known = [each.key for each in REGIMES]
    for key in only or []:
        if key not in known:
            raise UserError(f"--only: no regime {key!r} (one of {', '.join(known)})", 2)
    if only == []:
        raise UserError(f"--only: names no regime (one of {', '.join(known)})", 2)
    return Settings(blocks or (QUICK_BLOCKS if quick else BLOCKS), quick, seed, tuple(only) if only else None)


def show_list() -> None:
    cores = bench.effective_cores()
    print(f"regimes (here: {cores} CPU{'' if cores == 1 else 's'} for the server beside the loader):")
    for each in REGIMES:
        why = answer_regimes.cannot(each, cores)
        print(f"  {each.key:<10} {each.words}: {each.question}")
        print(tables.wrapped(each.asks, " " * 13))
        print(tables.wrapped(f"here: {'yes' if why is None else f'no, {why}'}", " " * 13))


def possible(given: Settings) -> list[Regime]:
    cores = bench.effective_cores()
    return [each for each in given.regimes if answer_regimes.cannot(each, cores) is None]


def check(given: Settings, name: str | None, force: bool) -> None:
    """What can be wrong before anything is built."""
    if name is not None:
        results.check_name(name, force)
    for each in possible(given):
        if each.by == WRK:
            wrk.require()
        load = answer_regimes.scenario(each, True).load
        require_descriptors(load.connections, f"{each.key} with {load.connections} connections")


def run(given: Settings, name: str | None, force: bool, server: list[str] | None = None,
        loader: list[str] | None = None) -> dict[str, Any]:
    """Measures what is not yet measured, writes results/NAME, prints the verdicts; what answer.json holds."""
    record = machine.record()
    has_uring = machine.io_uring() == "works"
    asked = {"blocks": given.blocks, "quick": given.quick, "duration_s": given.duration_s, "uring": has_uring,
             "regimes": [each.key for each in given.regimes], "cores": bench.effective_cores()}
    where = campaigns.where(record, [server or [campaigns.SERVER], loader or [campaigns.LOADER]])
    called = name or _same(asked, given.seed) or results.default_name("answer")
    results.check_name(called, force)
    folder = journal.unfinished(called)
    for each in given.regimes if not (folder / _PLAN).exists() else []:
        results.check_name(f"{called}-{each.key}", force)
    with journal.locked(folder):
        kept = _begun(folder, {**asked, "seed": given.seed}, json.loads(json.dumps(where)), force)
        given = replace(given, seed=kept["settings"]["seed"])
        try:
            parts = _parts(given, folder, called, kept["began"], has_uring, force, server, loader)
        except (UserError, Stopped) as error:
            if not any(folder.glob("*/result.json")) and not any(results.RESULTS.glob(
                    f"{called}-*{journal.UNFINISHED}/plan.json")):
                shutil.rmtree(folder)  # nothing that is worth going on with
            elif isinstance(error, Stopped):
                print(f"what is measured stands in {shown(folder)} and beside it: the same command goes on",
                      file=sys.stderr)
            raise
        document = _document(parts, given, kept, called, record, has_uring)
        answer_page.write(document, folder)
        results.replace(folder, results.RESULTS / called)
    _show(document)
    print(f"\nwritten to {shown(results.RESULTS / called)}/: answer.html, answer.md, answer.json", flush=True)
    return document


def _same(asked: dict[str, Any], seed: int | None) -> str | None:
    """The newest unfinished answer of these settings that nobody named."""
    for folder in sorted(results.RESULTS.glob(f"answer-*{journal.UNFINISHED}"), reverse=True):
        kept = journal.read(folder / _PLAN)
        if kept is not None and "settings" in kept and not _other(kept["settings"], asked, seed):
            return folder.name.removesuffix(journal.UNFINISHED)
    return None


def _other(kept: dict[str, Any], asked: dict[str, Any], seed: int | None) -> list[str]:
    return journal.differences(kept, {**asked, "seed": kept["seed"] if seed is None else seed})


def _begun(folder: Path, asked: dict[str, Any], where: dict[str, Any], force: bool) -> dict[str, Any]:
    """The plan on disk: a new one, or that of an answer that was cut off. `force` starts over when it differs."""
    kept = journal.read(folder / _PLAN)
    if kept is not None and "settings" in kept:
        other = _other(kept["settings"], asked, asked["seed"]) or journal.differences(kept["where"], where)
        if not other:
            print(f"going on with {shown(folder)} (remove that folder to start over)", file=sys.stderr)
            return kept
        if not force:
            raise UserError(f"{shown(folder)} was begun otherwise: {'; '.join(other[:4])} "
                            "(undo that, or start over with --force)")
        print(f"starting over: {shown(folder)} was begun otherwise: {'; '.join(other[:4])}", file=sys.stderr)
    elif any(folder.iterdir()) and not force:
        raise UserError(f"{shown(folder)} holds no answer that can be taken up (remove it, or start over with --force)")
    _clear(folder)
    seed = asked["seed"] or random.SystemRandom().randrange(1, 1 << 31)
    made = {"schema_version": SCHEMA_VERSION, "began": results.utc_now(), "settings": {**asked, "seed": seed},
            "where": where}
    results.write_json(folder / _PLAN, made)
    return made


def _clear(folder: Path) -> None:
    try:
        for each in folder.iterdir():
            shutil.rmtree(each) if each.is_dir() else each.unlink()
    except OSError as error:
        raise results.cannot_write(folder, error) from None


def _parts(given: Settings, folder: Path, name: str, began: str, has_uring: bool, force: bool,
           server: list[str] | None, loader: list[str] | None) -> list[Part]:
    """Each regime, measured now or before. A part is measured as results/NAME-REGIME, and moves in when it is whole."""
    can = {each.key for each in possible(given)}
    for each in given.regimes:
        whole = results.RESULTS / f"{name}-{each.key}"
        if not (folder / each.key).exists() and (journal.read(whole / "result.json") or {}).get("began", "") >= began:
            whole.rename(folder / each.key)  # cut off just before that
    missing = [each for each in given.regimes if each.key in can and not (folder / each.key).exists()]
    for index, each in enumerate(missing):
        left = sum(seconds(other, given, has_uring) for other in missing[index:])
        print(f"answer: {each.words.lower()}, {index + 1} of {len(missing)} (about {duration(left)} left of all)",
              file=sys.stderr, flush=True)
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # its tables are in its folder
                _measure(each, given, f"{name}-{each.key}", has_uring, force, server, loader)
        except UserError as error:
            raise UserError(f"{each.key}: {error}", error.exit_code) from None
        (results.RESULTS / f"{name}-{each.key}").rename(folder / each.key)
    cores = bench.effective_cores()
    return [Part(each, journal.read(folder / each.key / "result.json"), None, each.key) if each.key in can
            else Part(each, None, answer_regimes.cannot(each, cores)) for each in given.regimes]


def _campaign(regime: Regime, given: Settings) -> plan.Settings:
    return plan.Settings(given.blocks, given.seed, regime.rates, True, given.duration_s, None, regime.at)


def _runs(regime: Regime, given: Settings) -> bench.Settings:
    seconds = given.duration_s if regime.by == WRK else QUICK_SECONDS  # memory does not change
    return bench.Settings(True, seconds, given.blocks, warmup_s=WARMUP_S)


def seconds(regime: Regime, given: Settings, has_uring: bool) -> float:
    """About how long a regime takes."""
    scenario = answer_regimes.scenario(regime, has_uring)
    if regime.by == LOADER:
        return campaigns.seconds(plan.make(scenario, replace(_campaign(regime, given), seed=1), host.cpus()))
    return bench.seconds(scenario, _runs(regime, given))


def _measure(regime: Regime, given: Settings, name: str, has_uring: bool, force: bool, server: list[str] | None,
             loader: list[str] | None) -> None:
    scenario = answer_regimes.scenario(regime, has_uring)
    if regime.by == LOADER:
        campaigns.run(scenario, _campaign(regime, given), name, force, server, loader)
    else:
        bench.run(scenario, _runs(regime, given), name, force, server)


def _document(parts: list[Part], given: Settings, kept: dict[str, Any], name: str, record: dict[str, Any],
              has_uring: bool) -> dict[str, Any]:
    found = verdicts(parts)
    family = sum(each.p is not None for each in found)
    said: Callable[[Part], list[Verdict]] = lambda part: [each for each in found if each.regime == part.regime.key]
    cpus = host.cpus()
    return {
        "schema_version": SCHEMA_VERSION, "kind": "answer", "name": name, "began": kept["began"],
        "ended": results.utc_now(),
        "settings": {"blocks": given.blocks, "quick": given.quick, "seed": given.seed, "duration_s": given.duration_s,
                     "cores": bench.effective_cores(), "cpus_shared": cpus.are_shared, "load_cpus": list(cpus.load),
                     "server_cpus": list(cpus.server), "io_uring": has_uring, "family": family,
                     "blocks_needed": fewest(1 - 0.05 / max(1, family))},
        "regimes": [_regime(part, said(part)) for part in parts],
        "counts": {kind: sum(each.kind == kind for each in found) for kind in TITLES}, "machine": record}


def _regime(part: Part, found: list[Verdict]) -> dict[str, Any]:
    of, document = part.regime, part.document
    told = scenarios.load(of.scenario)
    return {"key": of.key, "words": of.words, "question": of.question, "asks": of.asks, "scenario": of.scenario,
            "by": of.by, "expected": told.expected, "reason": told.reason, "source": told.source,
            "predicted": predicted(of), "folder": part.folder, "why_not": part.why_not,
            "control": (document or {}).get("control", {}).get("verdict"),
            "taints": (document or {}).get("taints", []), "verdicts": [each.as_json() for each in found]}


def predicted(regime: Regime) -> dict[str, Any] | None:
    """p99 in µs by duel-sim; None where queueing is not what decides."""
    if not regime.predicted_by:
        return None
    flags = regime.predicted_by.replace(answer_regimes.WORKERS, str(len(host.cpus().server))).split()
    rows = theory_predict.simulate([*flags, "--policy", "stealing,partitioned"])["rows"]
    return {"flags": flags, "cores": rows[0]["given"]["cores"],
            "p99_us": {row["given"]["policy"]: row["results"]["p99"]["value"] for row in rows}}


def _show(document: dict[str, Any]) -> None:
    print(answer_page.headline(document))
    for regime in document["regimes"]:
        print(f"\n{regime['words']} ({regime['asks']})")
        for each in regime["verdicts"] if regime["why_not"] is None else []:
            print(tables.wrapped(f"{answer_page.asked(each)}, {each['row']}: {each['words']}", "  "))
        if regime["why_not"] is not None:
            print(tables.wrapped(f"{TITLES[CANNOT]}: {regime['why_not']}", "  "))
