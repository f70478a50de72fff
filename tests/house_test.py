"""The rules of the house that a compiler does not check: who may include whom, how long a file is,
which words stay out, and that every weak atomic access says why it may be weak."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from server import ROOT

CODE = {".cpp", ".hpp"}
SCRIPTS = {".py", ".sh"}
FOLDERS = ("runtimes", "servers", "bench", "scripts", "tests")
MODELS = ("serial", "threads", "stealing", "sharded")
MOST_LINES = 400
MOST_MACROS = 3


def files(*folders: str, endings: set[str]) -> Iterator[Path]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in endings and path.is_file() and "__pycache__" not in path.parts:
                yield path


def is_test(path: Path) -> bool:
    return path.stem.endswith("_test") or path.stem.startswith("test_") or path.stem.endswith("model_test")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines()


def code_of(line: str) -> str:
    return line.split("//")[0].rstrip()


def report(broken: list[str]) -> None:
    assert not broken, "\n" + "\n".join(broken)


# --- who may include whom ------------------------------------------------------------------------

def allowed_for(name: str) -> tuple[str, ...] | None:
    """What the file may include from the kit; None: anything (models.cpp ties it all together)."""
    parts = name.split("/")
    if parts[0] == "servers":
        at_top = len(parts) == 2
        root = ("runtimes/models.hpp", "runtimes/switches.hpp") if at_top else ()
        return ("runtimes/api/", "servers/", *root)
    if parts[0] != "runtimes" or len(parts) == 2:
        return None
    area = parts[1]
    if name == "runtimes/core/sync.hpp":  # in the explorer's build
        return ("runtimes/explore/sync.hpp",)
    if area == "core":
        return ("runtimes/core/",)
    if area == "api":
        return ("runtimes/core/", "runtimes/api/")
    if area in MODELS:
        return ("runtimes/core/", f"runtimes/{area}/")
    if area == "drivers":
        return ("runtimes/core/", f"runtimes/drivers/{parts[2]}/")
    return None


def test_dependencies_point_inwards() -> None:
    broken = []
    for path in files("runtimes", "servers", endings=CODE):
        allowed = allowed_for(name_of(path))
        if allowed is None or is_test(path) or path.stem == "test_conversation":
            continue
        for number, line in enumerate(lines_of(path), 1):
            included = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
            if included and not included[1].startswith(allowed):
                broken.append(f"{name_of(path)}:{number}: includes {included[1]}")
    report(broken)


def test_includes_name_the_path_from_the_root() -> None:
    report([f"{name_of(path)}:{number}: {line}" for path in files("runtimes", "servers", endings=CODE)
            for number, line in enumerate(lines_of(path), 1)
            if (found := re.match(r'\s*#\s*include\s*"([^"]+)"', line)) and not (ROOT / found[1]).is_file()])


def test_what_is_explored_takes_its_primitives_from_sync() -> None:
    """Counters stay out: a statistic orders nothing."""
    std = re.compile(r"\bstd::(atomic<|mutex|jthread|thread\b|barrier|condition_variable|this_thread)|::sched_yield")
    own = {"runtimes/core/sync.hpp", "runtimes/core/counters.hpp"}
    report([f"{name_of(path)}:{number}: {line.strip()}"
            for path in files("runtimes/core", "runtimes/stealing", "runtimes/sharded", endings=CODE)
            if not is_test(path) and name_of(path) not in own
            for number, line in enumerate(lines_of(path), 1) if std.search(code_of(line))])


@pytest.mark.parametrize("word", ["pthread", "<thread>", "<mutex>", "::socket(", "epoll", "io_uring", "::now()",
                                  "clock_gettime"])
def test_handlers_cannot_tell_which_model_runs_them(word: str) -> None:
    """servers/http and servers/handlers reach threads, clocks and sockets through runtimes/api only."""
    report([f"{name_of(path)}:{number}: {line.strip()}"
            for path in files("servers/http", "servers/handlers", endings=CODE)
            if not is_test(path) and path.stem != "test_conversation"
            for number, line in enumerate(lines_of(path), 1) if word in line.split("//")[0]])


# --- how it is written ---------------------------------------------------------------------------

def test_files_are_short() -> None:
    sized = [(len(lines_of(path)), name_of(path)) for path in files(*FOLDERS, endings=CODE | SCRIPTS)]
    sized.append((len(lines_of(ROOT / "duel")), "duel"))
    report([f"{name}: {size} lines, at most {MOST_LINES}" for size, name in sized if size > MOST_LINES])


def test_code_opens_with_what_it_is() -> None:
    """A header says it; a .cpp may leave it to the header of the same name."""
    report([name_of(path) for path in files("runtimes", "servers", "tests", "bench", endings=CODE)
            if not lines_of(path)[0].startswith("//") and not path.with_suffix(".hpp").is_file()])


def test_headers_are_included_once() -> None:
    report([name_of(path) for path in files("runtimes", "servers", "bench", endings={".hpp"})
            if "#pragma once" not in lines_of(path)])


def test_words_that_stay_out() -> None:
    # In pieces, or this file would break its own rule.
    words = re.compile("|".join(("pk" + "ill", "kill" + "all", "atomic_thread" + "_fence",
                                 r"\bTO" + r"DO\b", r"\bFIX" + r"ME\b")))
    paths = [*files(*FOLDERS, endings=CODE | SCRIPTS | {".txt", ".md", ".cmake"}), ROOT / "duel",
             ROOT / "CMakeLists.txt"]
    report([f"{name_of(path)}:{number}: {line.strip()}" for path in paths
            for number, line in enumerate(lines_of(path), 1) if words.search(line)])


def test_macros_are_few() -> None:
    macros = {found[1]: f"{name_of(path)}:{number}"
              for path in files("runtimes", "servers", "bench", "tests", endings=CODE)
              for number, line in enumerate(lines_of(path), 1)
              if (found := re.match(r"\s*#\s*define\s+(\w+)", line))}
    assert len(macros) <= MOST_MACROS, macros


WEAK = re.compile(r"memory_order(_|::)(relaxed|acquire|release|acq_rel|consume)\b")
REASON = re.compile(r"\([A-Z]\w*\d\w*\)|[Rr]elaxed:|[Oo]wner only|[Aa]cquire:|[Rr]elease:")


def test_weak_atomics_say_why() -> None:
    """A label of the pair, or the reason, within the statement or at most two lines above it."""
    broken = []
    for path in files("runtimes", endings=CODE):
        if is_test(path) or path.parent.name == "explore":  # there an order is data, not a claim
            continue
        lines = lines_of(path)
        for index, line in enumerate(lines):
            if not WEAK.search(code_of(line)):
                continue
            end = index
            while not re.search(r"[;{}]\s*$", code_of(lines[end])) and end < index + 4:
                end += 1
            if not any(REASON.search(near) for near in lines[max(0, index - 2):end + 1]):
                broken.append(f"{name_of(path)}:{index + 1}: {line.strip()}")
    report(broken)


LABEL = re.compile(r"\(([A-Z]\w{0,3}\d+)\)")


def test_labels_have_partners() -> None:
    """A label that is named as a partner is also the label of some access: both ends can be found."""
    named: dict[str, list[str]] = {}
    stated: set[str] = set()
    for path in files("runtimes", endings=CODE):
        area = name_of(path).split("/")[1]
        for number, line in enumerate(lines_of(path), 1):
            _, mark, comment = line.partition("//")
            own, pairs, partners = comment.partition("pairs with")
            if mark:
                stated |= {f"{area}: {each}" for each in LABEL.findall(own)}
                for each in LABEL.findall(partners) if pairs else []:
                    named.setdefault(f"{area}: {each}", []).append(f"{name_of(path)}:{number}")
    report([f"{where[0]}: no access is labelled ({label.split()[1]})" for label, where in named.items()
            if label not in stated])
