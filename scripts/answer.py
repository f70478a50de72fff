"""./duel bench answer: measures every regime that means something on this machine, and says on one page what came out.

A regime is one campaign, or, where duel-load cannot ask for it, one scenario with wrk or without load. What is done
stands in results/NAME.unfinished/ until the page is written; then the folder becomes results/NAME.

    plan.json     what was asked for, and the machine and build it was begun on
    REGIME/       one a regime, a whole result (result.json, table.md, runs/); until it is whole, it is measured in
                  results/NAME.part-REGIME.unfinished/

So the same command goes on where it was cut off. A regime that cannot be measured costs no other one its verdicts.
answer_regimes.py has the regimes, answer_verdicts.py what they say.
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
from scripts.answer_verdicts import CANNOT, TITLES, USUAL_BLOCKS, Part, Verdict, blocks_of, verdicts
from scripts.campaign import host, journal, plan
from scripts.campaign import run as campaigns
from scripts.errors import Stopped, UserError
from scripts.measure import require_descriptors
from scripts.paths import shown
from scripts.progress import duration

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
        why = cannot(each)
        print(f"  {each.key:<10} {each.words}: {each.question}")
        print(tables.wrapped(each.asks, " " * 13))
        print(tables.wrapped(f"here: {'yes' if why is None else f'no, {why}'}", " " * 13))


def cannot(regime: Regime) -> str | None:
    """Why this machine is too small for it; None: it is not."""
    return answer_regimes.cannot(regime, bench.effective_cores(), len(host.cpus().server))


def possible(given: Settings) -> list[Regime]:
    return [each for each in given.regimes if cannot(each) is None]


def check(given: Settings, name: str | None, force: bool) -> None:
    """What can be wrong before anything is built. A regime that nobody named may turn out not to be measurable."""
    if name is not None:
        results.check_name(name, force)
    for each in possible(given) if given.only is not None else []:
        _require(each)


def _require(regime: Regime) -> None:
    if regime.by == WRK:
        wrk.require()
    load = answer_regimes.scenario(regime, True).load
    require_descriptors(load.connections, f"{regime.key} with {load.connections} connections")


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
    with journal.locked(folder):
        kept = _begun(folder, called, {**asked, "seed": given.seed}, json.loads(json.dumps(where)), force)
        given = replace(given, seed=kept["settings"]["seed"])
        try:
            parts = _parts(given, folder, called, kept["began"], has_uring, force, server, loader)
        except (UserError, Stopped) as error:
            if not any(folder.glob("*/result.json")) and not any(results.RESULTS.glob(_part(called, "*"))):
                shutil.rmtree(folder)  # nothing that is worth going on with
            elif isinstance(error, Stopped):
                print(f"what is measured stands in {shown(folder)} and beside it: the same command goes on",
                      file=sys.stderr)
            raise
        document = _document(parts, given, kept, called, record, has_uring)
        answer_page.write(document, folder)
        _remove(_unfinished_parts(called))  # of regimes that could not be measured
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


def _begun(folder: Path, name: str, asked: dict[str, Any], where: dict[str, Any], force: bool) -> dict[str, Any]:
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
    _remove([*folder.iterdir(), *_unfinished_parts(name)])
    seed = asked["seed"] or random.SystemRandom().randrange(1, 1 << 31)
    made = {"schema_version": SCHEMA_VERSION, "began": results.utc_now(), "settings": {**asked, "seed": seed},
            "where": where}
    results.write_json(folder / _PLAN, made)
    return made


def _remove(paths: list[Path]) -> None:
    for each in paths:
        try:
            shutil.rmtree(each) if each.is_dir() else each.unlink()
        except OSError as error:
            raise results.cannot_write(each, error) from None


def _part(name: str, key: str) -> str:
    """Where a regime is measured. Other results have no such names."""
    return f"{name}.part-{key}"


def _unfinished_parts(name: str) -> list[Path]:
    return list(results.RESULTS.glob(_part(name, f"*{journal.UNFINISHED}")))


def _is_of(document: dict[str, Any] | None, regime: Regime, given: Settings, began: str) -> bool:
    """Whether a whole result is that regime's of this sheet: cut off just before it moved in."""
    if document is None or document.get("kind") != ("campaign" if regime.by == LOADER else "scenario"):
        return False
    return (document["began"] >= began and document["scenario"]["name"] == regime.key
            and blocks_of(document) == given.blocks and document["settings"].get("seed", given.seed) == given.seed)


def _parts(given: Settings, folder: Path, name: str, began: str, has_uring: bool, force: bool,
           server: list[str] | None, loader: list[str] | None) -> list[Part]:
    """Each regime, measured now or before, or why it is not."""
    why_not = {each.key: cannot(each) for each in given.regimes}
    missing = [each for each in given.regimes if why_not[each.key] is None and not (folder / each.key).exists()]
    for each in missing[:]:
        whole = results.RESULTS / _part(name, each.key)
        if _is_of(journal.read(whole / "result.json"), each, given, began):
            whole.rename(folder / each.key)
            missing.remove(each)
        else:
            results.check_name(whole.name, force)
    failed: list[UserError] = []
    for index, each in enumerate(missing):
        left = sum(seconds(other, given, has_uring) for other in missing[index:])
        print(f"answer: {each.words.lower()}, {index + 1} of {len(missing)} (about {duration(left)} left of all)",
              file=sys.stderr, flush=True)
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # its tables are in its folder
                _measure(each, given, _part(name, each.key), has_uring, force, server, loader)
        except UserError as error:
            failed.append(UserError(f"{each.key}: {error}", error.exit_code))
            if _is_of_files(error, _part(name, each.key)):
                raise failed[-1] from None
            print(f"answer: {each.words.lower()} cannot be measured here: {error}", file=sys.stderr, flush=True)
            why_not[each.key] = str(error)
            continue
        (results.RESULTS / _part(name, each.key)).rename(folder / each.key)
    if failed and not any(folder.glob("*/result.json")):
        raise failed[0]
    return [Part(each, journal.read(folder / each.key / "result.json"), None, each.key) if why_not[each.key] is None
            else Part(each, None, why_not[each.key]) for each in given.regimes]


def _is_of_files(error: UserError, part: str) -> bool:
    """Whether a full disk or what was begun otherwise stands in the way, which is no regime's failure."""
    return str(error).startswith(("cannot write ", shown(journal.unfinished(part))))


def _campaign(regime: Regime, given: Settings) -> plan.Settings:
    return plan.Settings(given.blocks, given.seed, regime.rates, True, given.duration_s, None, regime.at)


def _runs(regime: Regime, given: Settings) -> bench.Settings:
    seconds = given.duration_s if regime.by == WRK else QUICK_SECONDS  # memory does not change
    return bench.Settings(True, seconds, given.blocks, warmup_s=WARMUP_S if regime.by == WRK else 0)


def seconds(regime: Regime, given: Settings, has_uring: bool) -> float:
    """About how long a regime takes."""
    scenario = answer_regimes.scenario(regime, has_uring)
    if regime.by == LOADER:
        return campaigns.seconds(plan.make(scenario, replace(_campaign(regime, given), seed=1), host.cpus()))
    return bench.seconds(scenario, _runs(regime, given))


def _measure(regime: Regime, given: Settings, name: str, has_uring: bool, force: bool, server: list[str] | None,
             loader: list[str] | None) -> None:
    _require(regime)
    scenario = answer_regimes.scenario(regime, has_uring)
    if regime.by == LOADER:
        campaigns.run(scenario, _campaign(regime, given), name, force, server, loader)
    else:
        bench.run(scenario, _runs(regime, given), name, force, server)


def _document(parts: list[Part], given: Settings, kept: dict[str, Any], name: str, record: dict[str, Any],
              has_uring: bool) -> dict[str, Any]:
    found, family, needed = verdicts(parts)
    said: Callable[[Part], list[Verdict]] = lambda part: [each for each in found if each.regime == part.regime.key]
    cpus = host.cpus()
    document = {
        "schema_version": SCHEMA_VERSION, "kind": "answer", "name": name, "began": kept["began"],
        "ended": results.utc_now(),
        "settings": {"blocks": given.blocks, "quick": given.quick, "seed": given.seed, "duration_s": given.duration_s,
                     "cores": bench.effective_cores(), "cpus_shared": cpus.are_shared, "load_cpus": list(cpus.load),
                     "server_cpus": list(cpus.server), "io_uring": has_uring, "family": family,
                     "blocks_needed": needed},
        "regimes": [_regime(part, said(part)) for part in parts],
        "counts": {kind: sum(each.kind == kind for each in found) for kind in TITLES}, "machine": record}
    return {**document, "taints": answer_page.warnings(document)}


def _regime(part: Part, found: list[Verdict]) -> dict[str, Any]:
    of, document = part.regime, part.document
    made = (document or {}).get("settings", {})
    return {"key": of.key, "words": of.words, "question": of.question, "asks": of.asks, "scenario": of.scenario,
            "by": of.by, "expected": of.expected, "reason": of.reason, "source": scenarios.load(of.scenario).source,
            **{key: made.get(key) for key in ("duration_s", "warmup_s", "seed")},
            "predicted": predicted(of), "folder": part.folder, "why_not": part.why_not,
            "control": (document or {}).get("control", {}).get("verdict"),
            "taints": (document or {}).get("taints", []), "verdicts": [each.as_json() for each in found]}


def predicted(regime: Regime) -> dict[str, Any] | None:
    """p99 in µs by duel-sim; None where queueing is not what decides."""
    if not regime.predicted_by:
        return None
    workers = len(host.cpus().server) if cannot(regime) is None else answer_regimes.ELSEWHERE
    flags = regime.predicted_by.replace(answer_regimes.WORKERS, str(workers)).split()
    rows = theory_predict.simulate(flags)["rows"]
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
