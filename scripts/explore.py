"""./duel explore and its stage of ./duel test: every model, then every mutant."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from scripts import mutants
from scripts.build import build as build_preset
from scripts.paths import ROOT
from scripts.progress import Line

PROGRAM = mutants.EXPLORE
_SHARES = 2
_MODEL_S = 4  # a model in a memory
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
    chosen = sorted({name for name in names() if wanted(f"explore: {name}")})
    patches = [path.stem for path in mutants.FOLDER.glob("*.patch")]
    return chosen, any(wanted(f"mutant: {name}") for name in [*patches, "relax"])


def run(expression: str | None, count: Callable[[str, bool], None]) -> None:
    """Counts one test a model and memory, and one a mutant."""
    chosen, has_mutants = selection(expression)
    if not chosen and not has_mutants:
        return
    build()
    if chosen:
        _models(["--all"] if expression is None else chosen, len(chosen), count)
    if has_mutants:
        wanted = matcher(expression)
        rows = mutants.run_all(lambda name: wanted(f"mutant: {name}"))
        for row in rows:
            count(f"mutant: {row.name}: {row.outcome}", row.is_right)
        if any(not row.is_right for row in rows):
            mutants.show([row for row in rows if not row.is_right])


def _models(which: list[str], expected: int, count: Callable[[str, bool], None]) -> None:
    line = Line("explore")
    seen: set[str] = set()
    failed = 0
    with ThreadPoolExecutor(_SHARES) as pool:
        for output, code in pool.map(lambda share: _share(which, share), range(1, _SHARES + 1)):
            before = failed
            for name, memory, holds in _outcomes(output):
                count(f"explore: {name} {memory}", holds)
                failed += not holds
                seen.add(name)
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
    done = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          check=False)
    return done.stdout, done.returncode
