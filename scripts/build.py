"""Configures and builds with CMake: one line of progress, the compiler's words only on failure."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

from scripts.errors import UserError
from scripts.paths import ROOT, build_dir
from scripts.processes import lines, running
from scripts.progress import Line

_UNMEASURED = ("asan", "tsan", "coverage")
_STEP = re.compile(r"^\[(\d+)/(\d+)\]")


def build(preset: str, targets: list[str] | None = None) -> None:
    """Brings `targets` (all of them by default) of build/`preset` up to date."""
    _configure(preset)
    argv = ["cmake", "--build", f"build/{preset}", *(["--target", *targets] if targets else [])]
    line = Line(f"build {preset}")
    code, output, steps = _watched(argv, line)
    if code != 0:
        line.finish("failed")
        print(_failure(output), file=sys.stderr)
        raise UserError(f"the {preset} build failed (the compiler's words are above; ./duel clean starts afresh)")
    line.finish(f"{steps} steps" if steps else "up to date")


def _configure(preset: str) -> None:
    """Runs CMake when the folder is new or the presets changed; ninja sees to CMakeLists.txt."""
    where = build_dir(preset)
    cache = where / "CMakeCache.txt"
    presets = ROOT / "CMakePresets.json"
    if (where / "build.ninja").exists() and cache.stat().st_mtime >= presets.stat().st_mtime:
        return
    argv = ["cmake", "--preset", preset]
    if shutil.which("ccache"):
        argv += ["-DCMAKE_C_COMPILER_LAUNCHER=ccache", "-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"]
    if preset in _UNMEASURED:
        argv.append("-DDUEL_BENCH=OFF")  # its figures would mean nothing; the load generator is built all the same
    line = Line(f"configure {preset}")
    code, output, _ = _watched(argv, line)
    if code != 0:
        line.finish("failed")
        print(output, file=sys.stderr)
        raise UserError("CMake could not configure the build (its words are above; ./duel clean starts afresh)")
    cache.touch()
    line.finish("done")


def _watched(argv: list[str], line: Line) -> tuple[int, str, int]:
    """Exit status, all output, and the number of ninja steps."""
    output: list[str] = []
    steps = 0
    with running(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                 text=True, errors="replace") as child:
        for text in lines(child):
            output.append(text)
            match = _STEP.match(text)
            if match is not None:
                steps = int(match[2])
                line.update(int(match[1]), steps)
        return child.wait(), "".join(output), steps


def _failure(output: str) -> str:
    """Ninja's output from the first failed step on, without the progress of the others."""
    lines = output.splitlines()
    first = next((i for i, text in enumerate(lines) if text.startswith("FAILED:")), 0)
    return "\n".join(text for text in lines[first:] if not _STEP.match(text)) or output
