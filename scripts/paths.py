"""Where things are. Children run in the repository root, so recorded command lines stay relative."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results"
CACHE = ROOT / ".cache"
TESTED_PRESETS = ("release", "dev", "asan", "tsan")
PRESETS = (*TESTED_PRESETS, "release-nocounters", "coverage")


def build_dir(preset: str) -> Path:
    return ROOT / "build" / preset


def shown(path: Path | str) -> str:
    """`path` relative to the repository when it lies inside, else as it is."""
    try:
        return str(Path(os.path.abspath(path)).relative_to(ROOT))
    except ValueError:
        return str(path)
