"""./duel fuzz: libFuzzer on the HTTP parser, for minutes instead of the seconds it gets in ./duel test.

Starts from the committed inputs (tests/corpus) and whatever earlier runs found. A failing input is
kept in build/fuzz/TARGET/failures, and the command that shows it again is printed.
"""

from __future__ import annotations

import re
import subprocess

from scripts import processes
from scripts.build import build
from scripts.errors import UserError
from scripts.paths import ROOT, build_dir, shown
from scripts.processes import running
from scripts.progress import Line

PRESET = "asan"
CORPUS = ROOT / "tests" / "corpus"
WORK = ROOT / "build" / "fuzz"
_STATUS = re.compile(r"^#(\d+)\s+\w+\s+cov: (\d+) ft: \d+ corp: (\d+)/")
_WRITTEN = re.compile(r"Test unit written to (.+)")


def targets() -> list[str]:
    return sorted(each.name for each in CORPUS.iterdir() if each.is_dir())


def run(chosen: list[str], minutes: int) -> bool:
    """Runs each target for its share of the time. True when no input failed."""
    build(PRESET, [f"fuzz_{name}" for name in chosen])
    seconds = minutes * 60 // len(chosen)
    return all([_run(name, seconds) for name in chosen])


def written(output: list[str]) -> list[str]:
    """The failing inputs that libFuzzer names: one that is known already is written over."""
    return sorted({match[1].strip() for match in map(_WRITTEN.search, output) if match})


def _run(name: str, seconds: int) -> bool:
    found, failures = WORK / name / "corpus", WORK / name / "failures"
    for folder in (found, failures):
        folder.mkdir(parents=True, exist_ok=True)
    program = shown(build_dir(PRESET) / "servers" / f"fuzz_{name}")
    argv = [program, f"-max_total_time={seconds}", "-max_len=4096", "-timeout=20",
            f"-dict={shown(CORPUS / 'http.dict')}", f"-artifact_prefix={shown(failures)}/",
            shown(found), shown(CORPUS / name)]
    line = Line(f"fuzz {name}")
    output: list[str] = []
    said = "it ended before its first input"
    with running(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                 errors="replace") as child:
        for text in processes.lines(child):
            status = _STATUS.match(text)
            if status is None:
                output.append(text)
                continue
            said = f"{int(status[1]):,} inputs, {status[2]} places reached, {status[3]} inputs kept"
            gone = line.elapsed_s()
            line.update(min(int(gone), seconds), seconds, said, max(0.0, seconds - gone))
        code = child.wait()
    if code == 0:
        line.finish(said)
        return True
    line.finish("failed")
    inputs = written(output)
    if not inputs:
        raise UserError(f"fuzz_{name} ended with status {code}:\n" + "".join(output[-15:]).rstrip())
    print("".join(output[-60:]).rstrip())
    for path in inputs:
        print(f"failed: {name} on {path}; once more: {program} {path}")
    return False
