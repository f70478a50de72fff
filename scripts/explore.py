"""./duel explore and its stage of ./duel test: every model, then every mutant."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator

from scripts import mutants, processes
from scripts.build import build as build_preset
from scripts.paths import ROOT
from scripts.progress import Line

PROGRAM = mutants.EXPLORE
_SHARES = 2
_MODEL_S = 4  # a model in a memory
_SHARE_S = 1800  # only a share that hangs takes so long
_MEMORIES = ("interleaving", "tso", "weak")
_OWN = ("explore: ", "mutant: ")  # what the names of failures begin with
_PLACE = re.compile(r"\.[ch]pp:\d")
_MODEL = re.compile(r"^(\S+/\S+)\s+(interleaving|tso|weak)\s+(holds|FAILS) ")
_NAME = re.compile(r'"(\w+/\w+)"')


def build() -> None:
    build_preset("release", ["duel-explore"])


def names() -> list[str]:
    """Of the models, by their sources: nothing has to be built to know them."""
    files = sorted((ROOT / "runtimes" / "explore" / "models").glob("*_models.cpp"))
    return [name for path in files if path.stem != "example_models" for name in _NAME.findall(path.read_text())]


def matcher(expression: str | None) -> Callable[[str], bool]:
    if expression is None:
        return lambda name: True
    try:
        pattern = re.compile(expression)
    except re.error:
        pattern = re.compile(re.escape(expression))
    return lambda name: pattern.search(name) is not None


def selection(expression: str | None) -> tuple[list[str], bool]:
    """The models that `-k` names (empty: all, when there is no -k), and whether it names a mutant."""
    wanted = matcher(expression)
    chosen = sorted({name for name in names() if any(wanted(f"explore: {name} {memory}") for memory in _MEMORIES)})
    patches = [path.stem for path in mutants.FOLDER.glob("*.patch")]
    return chosen, weakens(expression) or any(wanted(f"mutant: {name}") for name in patches)


def weakens(expression: str | None) -> bool:
    """Whether the memory orders are wanted: all of them, or the one at a place FILE:LINE."""
    return matcher(expression)("mutant: relax") or _PLACE.search(expression or "") is not None


def is_only_for(expression: str | None) -> bool:
    """The name of a failure of this stage is none that CTest or pytest could read."""
    return expression is not None and expression.startswith(_OWN)


def run(expression: str | None, count: Callable[[str, bool], None]) -> None:
    """Counts one test a model and memory, and one a mutant."""
    chosen, has_mutants = selection(expression)
    if not chosen and not has_mutants:
        return
    build()
    wanted = matcher(expression)
    if chosen:
        _models(["--all"] if expression is None else chosen, len(chosen), wanted, count)
    if has_mutants:
        rows = mutants.run_all(lambda name: wanted(f"mutant: {name}"), weakens(expression),
                               models_hold=expression is None)
        for row in rows:
            count(f"mutant: {row.name}", row.is_right)
        if any(not row.is_right for row in rows):
            mutants.show([row for row in rows if not row.is_right])


def _models(which: list[str], expected: int, wanted: Callable[[str], bool], count: Callable[[str, bool], None]) -> None:
    line = Line("explore")
    seen: set[str] = set()
    failed = 0
    with processes.pool(_SHARES) as pool:
        for output, code in pool.map(lambda share: _share(which, share), range(1, _SHARES + 1)):
            before = failed
            for name, memory, holds in _outcomes(output):
                test = f"explore: {name} {memory}"
                seen.add(name)
                if wanted(test) or not holds:
                    count(test, holds)
                failed += not holds
                line.update(len(seen), max(expected, len(seen)), name)
            if code != 0:
                print(output)
            if code not in (0, 1) or (code == 1 and failed == before):
                count(f"explore: duel-explore itself (exit status {code})", False)
                failed += 1
    line.finish(f"{failed} failed" if failed else "passed")


def _outcomes(output: str) -> Iterator[tuple[str, str, bool]]:
    for text in output.splitlines():
        if match := _MODEL.match(text):
            yield match[1], match[2], match[3] == "holds"


def _share(which: list[str], share: int) -> tuple[str, int]:
    argv = [str(PROGRAM), *which, "--time", str(_MODEL_S), "--part", f"{share}/{_SHARES}"]
    try:
        done = processes.run(argv, _SHARE_S, stderr=subprocess.STDOUT)
    except subprocess.TimeoutExpired as expired:
        return f"{(expired.output or b'').decode(errors='replace')}not over in {_SHARE_S} s: {' '.join(argv)}", 124
    return done.stdout, done.returncode
