"""./duel explore --mutants: defects put into the kit, each of which a model must find.

Logic mutants are patches, runtimes/explore/mutants/*.patch: the patched files go into an overlay
folder that is searched for includes first, what depends on them is compiled again, and the models
that the patch names must fail, which without the patch hold. Memory-order mutants need no compiler: duel-explore --weaken relaxes
every place in turn. Those that no model can tell from the original are listed, with the reason, in
runtimes/explore/mutants/equivalent.txt.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from scripts import processes
from scripts.errors import UserError
from scripts.paths import CACHE, ROOT, build_dir
from scripts.progress import Line

FOLDER = ROOT / "runtimes" / "explore" / "mutants"
EQUIVALENT = FOLDER / "equivalent.txt"
EXPLORE = build_dir("release") / "runtimes" / "explore" / "duel-explore"
JOBS = 2
_MODEL = re.compile(r"model:\s*(\S+)\s+memory:\s*(\S+)")
_HUNK = re.compile(r"^@@ -(\d+)")
_DEFINES = re.compile(r"^void (add_\w+_models)\([^;{]*\{", re.MULTILINE)
_FOUND_S = 20  # for a logic mutant, all its models together
_HOLDS_S = 4  # for a model without the patch
_COMPILE_S = 600  # only what hangs takes so long
_WEAKEN_S = 1800


@dataclass(frozen=True)
class Row:
    """What became of one mutant. `outcome`: caught, survives, equivalent, or why it is an error."""

    name: str
    stands_for: str
    outcome: str
    model: str = ""
    memory: str = ""
    bound: int | None = None
    executions: int = 0
    seconds: float = 0.0

    @property
    def is_right(self) -> bool:
        return self.outcome in ("caught", "equivalent")


# --- patches ---------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Patch:
    name: str
    stands_for: str
    models: list[tuple[str, str]]
    files: dict[str, list[tuple[int, list[str], list[str]]]]  # hunks: line, before, after


def read_patch(path: Path) -> Patch:
    head, files, hunks = [], {}, None
    for line in path.read_text().splitlines():
        if line.startswith(("diff ", "index ", "--- ")):
            hunks = None
        elif line.startswith("+++ "):
            hunks = files.setdefault(line[4:].split("\t")[0].removeprefix("b/"), [])
        elif match := _HUNK.match(line):
            hunks.append((int(match[1]), [], []))
        elif hunks:
            if line[:1] in ("", " ", "-"):
                hunks[-1][1].append(line[1:])
            if line[:1] in ("", " ", "+"):
                hunks[-1][2].append(line[1:])
        elif not files:
            head.append(line.lstrip("# "))
    models = [match.groups() for line in head for match in _MODEL.finditer(line)]
    if not models or not files:
        raise UserError(f"{path.name}: a patch needs a line `# model: area/name memory: tso` and a diff")
    told = " ".join(line for line in head if line and not _MODEL.search(line))
    return Patch(path.stem, told, models, files)


def apply(hunks: list[tuple[int, list[str], list[str]]], text: str) -> str | None:
    """The patched text: each hunk where its lines are, nearest to where they were. None: nowhere."""
    lines = text.splitlines()
    for number, before, after in hunks:
        while before and after and before[-1] == after[-1] == "":
            before, after = before[:-1], after[:-1]
        places = [at for at in range(len(lines) - len(before) + 1) if lines[at:at + len(before)] == before]
        if not before or not places:
            return None
        at = min(places, key=lambda place: abs(place + 1 - number))
        lines[at:at + len(before)] = after
    return "\n".join(lines) + "\n"


# --- building a mutant -----------------------------------------------------------------------------

class Kit:
    """How duel-explore was built: the command, the object and the inputs of each source file."""

    def __init__(self) -> None:
        build = build_dir("release")
        entries = json.loads((build / "compile_commands.json").read_text())
        self.commands = {Path(each["file"]).resolve(): each for each in entries
                         if "duel_explore.dir" in each["command"] or "duel-explore.dir" in each["command"]}
        self.objects = {source: each["command"].split(" -o ")[1].split()[0]
                        for source, each in self.commands.items()}
        self.build = build
        self.inputs = self._inputs()
        made = _ninja(build, "commands", "duel-explore").splitlines()
        self.link = made[-1].removeprefix(": && ").removesuffix(" && :")
        self.models = {source: _DEFINES.findall(source.read_text()) for source in self.commands
                       if source.parent.name == "models" and source.parent.parent.name == "explore"}
        self.adding = {}  # model name -> the source that has it
        for source in self.models:
            for name in re.findall(r'"(\w+/\w+)"', source.read_text()):
                self.adding.setdefault(name, source)

    def _inputs(self) -> dict[str, set[Path]]:
        inputs: dict[str, set[Path]] = {}
        current: set[Path] = set()
        for line in _ninja(self.build, "deps").splitlines():
            if line and not line.startswith(" "):
                current = inputs.setdefault(line.split(":")[0], set())
            elif line.strip():
                current.add((self.build / line.strip()).resolve())
        return inputs


def _ninja(build: Path, *tool: str) -> str:
    done = processes.run(["ninja", "-C", str(build), "-t", *tool])
    if done.returncode != 0:
        raise UserError(f"ninja -t {tool[0]}: {_error_in(done.stderr)} (./duel clean starts afresh)")
    return done.stdout


def _error_in(words: str) -> str:
    lines = words.strip().splitlines()
    return next((line for line in lines if "error:" in line or "undefined" in line or "multiple" in line), lines[-1] if lines else "?")


def _compile(kit: Kit, source: Path, overlay: Path) -> tuple[str, str]:
    """The new object; raises UserError with the compiler's words."""
    entry = kit.commands[source]
    patched = overlay / source.relative_to(ROOT)
    to = overlay / (source.relative_to(ROOT).as_posix().replace("/", "-") + ".o")
    argv = shlex.split(entry["command"])
    argv[argv.index("-o") + 1] = str(to)
    argv[-1] = str(patched if patched.exists() else source)
    first = next(i for i, each in enumerate(argv) if each.startswith(("-I", "-D")))
    argv[first:first] = [f"-I{overlay}"]
    argv = ["-O1" if each == "-O2" else "-g0" if each in ("-g", "-g1") else each for each in argv]
    done = processes.run(argv, _COMPILE_S, cwd=entry["directory"])
    if done.returncode != 0:
        raise UserError(f"does not compile: {_error_in(done.stderr)}")
    return kit.objects[source], str(to)


def build_mutant(kit: Kit, patch: Patch, overlay: Path) -> Path:
    """Links the changed sources and the named models only; the other models are left out."""
    touched = set()
    for name, hunks in patch.files.items():
        text = apply(hunks, (ROOT / name).read_text()) if (ROOT / name).is_file() else None
        if text is None:
            raise UserError(f"does not apply to {name} any more")
        to = overlay / name
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_text(text)
        touched.add((ROOT / name).resolve())
    wanted = set()
    for name, _ in patch.models:
        if name not in kit.adding:
            raise UserError(f"there is no model {name}")
        wanted.add(kit.adding[name])
    # Lists of models may be added by other lists.
    while more := {source for source in kit.models if source not in wanted
                   and any(f"{name}(to)" in source.read_text() for each in wanted for name in kit.models[each])}:
        wanted |= more
    left_out = [source for source in kit.models if source not in wanted and kit.models[source]]
    # The list of models only names the kit's thread-local variables.
    again = [source for source, where in kit.objects.items()
             if kit.inputs.get(where, set()) & touched and source not in left_out and source.name != "models.cpp"]
    replaced = dict(_compile(kit, source, overlay) for source in again)
    stub = overlay / "left_out.cpp"
    stub.write_text("#include <vector>\nnamespace duel::explore {\nstruct model;\n"
                    + "".join(f"void {name}(std::vector<model>&) {{}}\n" for source in left_out
                              for name in kit.models[source]) + "}\n")
    program = overlay / "duel-explore"
    argv = shlex.split(kit.link)
    argv[argv.index("-o") + 1] = str(program)
    dropped = {kit.objects[source] for source in left_out} | set(replaced)
    argv = [each for each in argv if each not in dropped]
    # First, so that of inline functions and of the library's members the linker takes these.
    at = next(i for i, each in enumerate(argv) if each.endswith(".o"))
    argv[at:at] = [*replaced.values(), str(stub)]
    done = processes.run(argv, _COMPILE_S, cwd=kit.build)
    if done.returncode != 0:
        raise UserError(f"does not link: {_error_in(done.stderr)}")
    return program


def _own_folder() -> tempfile.TemporaryDirectory[str]:
    """For one mutant of one run: what an older one patched must not be found."""
    return tempfile.TemporaryDirectory(prefix="mutant-", dir=CACHE)


def _explored(program: Path, model: str, memory: str, seconds: int, out: Path) -> dict:
    """What duel-explore found; raises UserError with how it ended instead."""
    argv = [str(program), model, "--memory", memory, "--time", str(seconds), "--json", str(out)]
    out.unlink(missing_ok=True)
    try:
        done = processes.run(argv, 4 * seconds + 30)
    except subprocess.TimeoutExpired:
        raise UserError("hangs the explorer") from None
    found = json.loads(out.read_text()).get("results") if done.returncode in (0, 1) and out.is_file() else None
    if not found:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise UserError(f"ends the explorer: {words[-1] if words else done.returncode}")
    return found[0]


def fails_unpatched(model: str, memory: str) -> str | None:
    """Why a mutant that this model catches says nothing. Out of time is no failure."""
    with _own_folder() as folder:
        try:
            verdict = _explored(EXPLORE, model, memory, _HOLDS_S, Path(folder) / "found.json")["verdict"]
        except UserError as error:
            verdict = str(error)
    return None if verdict == "holds" else f"fails without the patch: {model} {memory}: {verdict}"


def judge_patched(rows: list[Row], patches: list[Patch], unpatched: dict[tuple[str, str], str | None]) -> list[Row]:
    """A model that fails without the patch, too, has caught nothing."""
    models = {patch.name: patch.models for patch in patches}
    wrong = {row.name: next(filter(None, map(unpatched.get, models[row.name])), None) for row in rows}
    return [replace(row, outcome=wrong[row.name]) if wrong[row.name] and row.outcome in ("caught", "survives") else row
            for row in rows]


def try_patch(kit: Kit, patch: Patch) -> Row:
    with _own_folder() as folder:
        return _try_patch(kit, patch, Path(folder))


def _try_patch(kit: Kit, patch: Patch, overlay: Path) -> Row:
    try:
        program = build_mutant(kit, patch, overlay)
    except subprocess.TimeoutExpired:
        return Row(patch.name, patch.stands_for, f"does not compile in {_COMPILE_S} s")
    except UserError as error:
        return Row(patch.name, patch.stands_for, str(error))
    executions, seconds = 0, 0.0
    for model, memory in patch.models:
        try:
            result = _explored(program, model, memory, _FOUND_S, overlay / "found.json")
        except UserError as error:
            return Row(patch.name, patch.stands_for, str(error), model, memory)
        executions += result["executions"]
        seconds += result["seconds"]
        if result["verdict"] != "holds":
            bound = 0 if result["bound"] is None else result["bound"] + 1
            return Row(patch.name, patch.stands_for, "caught", model, memory, bound, executions, seconds)
    return Row(patch.name, patch.stands_for, "survives", *patch.models[0], None, executions, seconds)


# --- memory orders ---------------------------------------------------------------------------------

def read_equivalent(text: str) -> dict[tuple[str, str, str], str]:
    """(file, what, source line) -> reason. A line of the list: FILE WHAT | SOURCE LINE | REASON"""
    listed = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        parts = [each.strip() for each in line.split(" | ")]
        if len(parts) != 3 or len(parts[0].split()) != 2:
            raise UserError(f"{EQUIVALENT.name}: {line!r} is not FILE WHAT | SOURCE LINE | REASON")
        file, what = parts[0].split()
        listed[(file, what, parts[1])] = parts[2]
    return listed


def judge(found: list[dict], listed: dict[tuple[str, str, str], str]) -> list[Row]:
    """Caught or listed, and never both; the same line twice in a file counts as one."""
    rows = []
    key = {each["name"]: (each["file"], each["name"].rsplit(":", 1)[1], each["source"]) for each in found}
    survive = {key[each["name"]] for each in found if not each["caught"]}
    for each in found:
        is_listed = key[each["name"]] in listed
        outcome = ("caught" if each["caught"] else "survives") if not is_listed else (
            "equivalent" if key[each["name"]] in survive else "listed as equivalent, but caught")
        told = listed.get(key[each["name"]], each["source"])
        rows.append(Row(each["name"], told, outcome, each.get("model", ""), each.get("memory", ""), each.get("bound"),
                        each["executions"], each["seconds"]))
    for gone in sorted(set(listed) - set(key.values())):
        rows.append(Row(f"{gone[0]} {gone[1]}", gone[2], "listed as equivalent, but there is no such place"))
    return rows


def untried(shares: list[dict]) -> list[Row]:
    """Each share looks for the places by itself, for a time: one may know a mutant that another had to try."""
    known = {name for share in shares for name in share.get("all") or ()}
    return [Row(name, "", "was not tried")
            for name in sorted(known - {each["name"] for share in shares for each in share["mutants"]})]


def _weaken(part: int) -> dict:
    with _own_folder() as folder:
        out = Path(folder) / "weaken.json"
        argv = [str(EXPLORE), "--all", "--weaken", "--time", "2", "--part", f"{part}/{JOBS}", "--json", str(out)]
        try:
            done = processes.run(argv, _WEAKEN_S)
        except subprocess.TimeoutExpired:
            raise UserError(f"not over in {_WEAKEN_S} s: {shlex.join(argv)}") from None
        if done.returncode not in (0, 1) or not out.is_file():
            raise UserError(f"duel-explore --weaken: {done.stderr.strip() or done.returncode}")
        return json.loads(out.read_text())


# --- all of it -------------------------------------------------------------------------------------

def run_all(only: Callable[[str], bool] = lambda name: True, weakens: bool = True,
            models_hold: bool = False) -> list[Row]:
    """Every mutant whose name is wanted; with `weakens` also those of memory orders. `models_hold`: all of them have
    just been explored without a patch, and what came out is told elsewhere."""
    patches = [each for each in map(read_patch, sorted(FOLDER.glob("*.patch"))) if only(each.name)]
    listed = read_equivalent(EQUIVALENT.read_text()) if EQUIVALENT.is_file() else {}
    CACHE.mkdir(exist_ok=True)
    kit = Kit()
    line = Line("mutants")
    with processes.pool(JOBS) as pool:
        unpatched = {} if models_hold else {
            each: pool.submit(fails_unpatched, *each) for patch in patches for each in patch.models}
        tasks = [pool.submit(try_patch, kit, each) for each in patches]
        weaker = [pool.submit(_weaken, part) for part in range(1, JOBS + 1)] if weakens else []
        everything = [*unpatched.values(), *tasks, *weaker]
        for done, task in enumerate(as_completed(everything), 1):
            task.result()  # or what went wrong
            line.update(done, len(everything))
    rows = judge_patched([task.result() for task in tasks], patches,
                         {each: task.result() for each, task in unpatched.items()})
    if weaker:
        shares = [task.result() for task in weaker]
        found = sorted((each for share in shares for each in share["mutants"]),
                       key=lambda each: (each["file"], each["line"]))
        rows += [row for row in [*judge(found, listed), *untried(shares)] if only("relax") or only(row.name)]
    bad = sum(not row.is_right for row in rows)
    line.finish(f"{len(rows) - bad} of {len(rows)} as they should be")
    return rows


def show(rows: list[Row]) -> None:
    width = max((len(row.name) for row in rows), default=0)
    for row in rows:
        where = f"{row.model} {row.memory}".strip()
        bound = "" if row.bound is None else f"bound {row.bound}"
        print(f"{row.outcome:10}  {row.name:{width}}  {where:44} {bound:7} {row.executions:>9,} executions "
              f"{row.seconds:6.2f} s  {row.stands_for}")
    counts = {word: sum(row.outcome == word for row in rows) for word in ("caught", "equivalent", "survives")}
    wrong = len(rows) - sum(counts.values())
    print(f"{len(rows)} mutants: {counts['caught']} caught, {counts['equivalent']} equivalent, "
          f"{counts['survives']} survive, {wrong} not as listed or broken")


def run(json_file: Path | None) -> bool:
    began = time.monotonic()
    rows = run_all()
    show(rows)
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    if json_file is not None:
        json_file.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    return all(row.is_right for row in rows)
