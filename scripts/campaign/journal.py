"""What a campaign has done so far, on disk: results/NAME.unfinished/.

    plan.json          the whole plan, and what machine and build it was begun on
    starts.json        when it was begun and taken up again, and how many runs there were then
    machine.json       the machine record of the first start
    calibration.json   the peaks and the rates made from them
    runs/NNNN.json     one run each
    work/              scratch of the run in progress

Every file is written whole or not at all, so the folder is a valid state whenever the process ends, even by
SIGKILL or a power cut. A run that is there is never run again; one that is cut off leaves nothing but `work`. One
process at a time: the folder is locked. When all is done it gets its summary and becomes results/NAME.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts import results
from scripts.errors import UserError
from scripts.paths import ROOT, shown

UNFINISHED = ".unfinished"
_GRACE_S = 3.0
_MARKS = ("--stats-file", "--json")  # what a server or loader of ours was given a file of `work` with


def flat(value: Any, where: str = "") -> dict[str, Any]:
    """A JSON value as its leaves, by path."""
    if isinstance(value, dict) and value:
        parts = [(f"{where}.{key}" if where else key, each) for key, each in value.items()]
    elif isinstance(value, list) and value:
        parts = [(f"{where}[{index}]", each) for index, each in enumerate(value)]
    else:
        return {where: value}
    return {path: leaf for name, each in parts for path, leaf in flat(each, name).items()}


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """`path: there X, now Y` for all that differs. The order follows from the rest."""
    was, now = ({path: leaf for path, leaf in flat(each).items() if not path.startswith("order")}
                for each in (old, new))
    return [f"{path}: there {json.dumps(was.get(path))}, now {json.dumps(now.get(path))}"
            for path in dict.fromkeys([*was, *now]) if was.get(path) != now.get(path)]


class Journal:
    """An unfinished campaign that this process holds the lock of."""

    def __init__(self, folder: Path, kept: dict[str, Any]) -> None:
        self.folder = folder
        self.plan: dict[str, Any] = kept["plan"]
        self._runs = folder / "runs"

    @property
    def starts(self) -> list[dict[str, Any]]:
        return read(self.folder / "starts.json") or []

    @property
    def calibration(self) -> dict[str, Any] | None:
        return _calibration(self.folder)

    @property
    def machine(self) -> dict[str, Any] | None:
        return read(self.folder / "machine.json")

    def keep(self, name: str, document: Any) -> None:
        results.write_json(self.folder / name, document)

    def path_of(self, number: int) -> Path:
        return self._runs / f"{number:04}.json"

    def write(self, run: dict[str, Any]) -> None:
        results.write_json(self.path_of(run["number"]), run)

    def runs(self) -> dict[int, dict[str, Any]]:
        """Those that are there, by number. One that is not the plan's is an error."""
        planned = {number: (block, row, point) for block, slots in enumerate(self.plan["order"], 1)
                   for number, row, point in slots}
        found = {}
        for path in sorted(self._runs.glob("[0-9]*.json")):
            run = read(path)
            if run is None:
                continue
            number = run.get("number")
            if path != self.path_of(number or 0) or (run.get("block"), run.get("row"), run.get("point")) != planned.get(
                    number):
                raise UserError(f"{shown(path)} is not a run of this plan (remove it, or start over with --force)")
            found[number] = run
        return found

    @contextlib.contextmanager
    def work(self) -> Iterator[Path]:
        """An empty scratch folder for one run."""
        path = self.folder / "work"
        try:
            path.mkdir()
        except OSError as error:
            raise results.cannot_write(path, error) from None
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def finish(self, name: str) -> None:
        results.replace(self.folder, results.RESULTS / name)


def read(path: Path) -> Any:
    """A file's JSON; None when it is not there, or is not whole (the machine lost power)."""
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def _calibration(folder: Path) -> dict[str, Any] | None:
    found = read(folder / "calibration.json")
    return found if isinstance(found, dict) and isinstance(found.get("rates"), dict) else None


def _kept(folder: Path) -> dict[str, Any] | None:
    """The plan and where it was begun; None for a folder that holds no whole one."""
    found = read(folder / "plan.json")
    if not isinstance(found, dict) or not all(isinstance(found.get(each), dict) for each in ("plan", "where")):
        return None
    return found if {"seed", "order"} <= found["plan"].keys() else None


def _has_runs(folder: Path) -> bool:
    return any(folder.glob("runs/[0-9]*.json"))


def unfinished(name: str) -> Path:
    return results.RESULTS / f"{name}{UNFINISHED}"


def same_plan(scenario: str, plan: dict[str, Any], any_seed: bool) -> str | None:
    """The newest unfinished campaign of this plan that nobody named."""
    for folder in sorted(results.RESULTS.glob(f"{scenario}-*{UNFINISHED}"), reverse=True):
        kept = _kept(folder)
        if kept is not None and not differences(kept["plan"], _with_seed(plan, kept, any_seed)):
            return folder.name.removesuffix(UNFINISHED)
    return None


def _with_seed(plan: dict[str, Any], kept: dict[str, Any], any_seed: bool) -> dict[str, Any]:
    """`plan`, with the seed of the one on disk when none was asked for."""
    return {**plan, "seed": kept["plan"]["seed"]} if any_seed else plan


@contextlib.contextmanager
def opened(name: str, plan: dict[str, Any], where: dict[str, Any], force: bool,
           any_seed: bool = False) -> Iterator[Journal]:
    """The campaign results/`name`, begun or taken up again. `where`: machine and build, which must not change
    under a campaign. `force` starts over when something differs."""
    results.check_name(name, force)
    plan, where = json.loads(json.dumps([plan, where]))
    folder = unfinished(name)
    with locked(folder):
        _end_leftovers(folder / "work")
        _tidy(folder)
        kept = _kept(folder)
        problem = _lost(folder, kept)
        if kept is not None and problem is None:
            problem = _problem(kept, _with_seed(plan, kept, any_seed), where)
        if problem is not None and not force:
            raise UserError(f"{shown(folder)} {problem} (undo that, or start over with --force)")
        if problem is not None:
            print(f"starting over: {shown(folder)} {problem}", file=sys.stderr)
        if problem is not None or kept is None:
            _begin(folder, {"schema_version": 1, "plan": plan, "where": where})
            kept = read(folder / "plan.json")
        journal = Journal(folder, kept)
        done = len(journal.runs())
        if journal.starts:
            print(f"going on with {shown(folder)}: {done} of {sum(map(len, journal.plan['order']))} runs are done "
                  "(remove that folder to start over)", file=sys.stderr)
        journal.keep("starts.json", [*journal.starts, {"at": results.utc_now(), "runs_done": done}])
        try:
            yield journal
        finally:
            if folder.exists() and journal.calibration is None and not _has_runs(folder):
                shutil.rmtree(folder)  # nothing that is worth going on with


def _problem(kept: dict[str, Any], plan: dict[str, Any], where: dict[str, Any]) -> str | None:
    if other := differences(kept["plan"], plan):
        more = f"; and {len(other) - 4} more" if len(other) > 4 else ""
        return f"was begun with another plan: {'; '.join(other[:4])}{more}"
    if other := differences(kept["where"], where):
        return f"was begun on another machine or build: {'; '.join(other[:4])}"
    return None


def _lost(folder: Path, kept: dict[str, Any] | None) -> str | None:
    """Runs whose plan is gone fit no other; peaks found anew would be others: one result would hold two rates."""
    if not _has_runs(folder):
        return None
    if kept is None:
        return "has finished runs, but its plan.json cannot be read"
    if _calibration(folder) is None:
        return "has finished runs, but its calibration.json, which has their rates, cannot be read"
    return None


def _begin(folder: Path, kept: dict[str, Any]) -> None:
    """Whenever it is cut off, the folder has runs and no plan, which is told, or neither, which is a new one."""
    try:
        (folder / "plan.json").unlink(missing_ok=True)
        for each in folder.iterdir():
            shutil.rmtree(each) if each.is_dir() else each.unlink()
        (folder / "runs").mkdir()
    except OSError as error:
        raise results.cannot_write(folder, error) from None
    results.write_json(folder / "plan.json", kept)


def _tidy(folder: Path) -> None:
    """Removes what a process that was killed was writing."""
    shutil.rmtree(folder / "work", ignore_errors=True)
    for path in [*folder.glob(f".*{results.PARTIAL}*"), *folder.glob(f"runs/.*{results.PARTIAL}*")]:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise results.cannot_write(folder, error) from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{shown(folder)} is being run by another process (wait for it, or give another --name)"
                            ) from None
        yield
    finally:
        os.close(handle)


def _end_leftovers(work: Path) -> None:
    """Ends the server and the loader of a process that was killed: they alone have a file of `work` as flag."""
    left = [pid for pid in (int(each.name) for each in Path("/proc").glob("[0-9]*")) if _is_ours(pid, work)]
    for pid in left:
        _signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE_S
    while any(_is_ours(pid, work) for pid in left) and time.monotonic() < deadline:
        time.sleep(0.02)
    for pid in left:
        if _is_ours(pid, work):
            _signal(pid, signal.SIGKILL)


def _is_ours(pid: int, work: Path) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return False
    return any(flag in _MARKS and Path(os.path.normpath(ROOT / file)).parent == Path(os.path.normpath(work))
               for flag, file in zip(words, words[1:], strict=False))


def _signal(pid: int, signum: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signum)
