"""./duel clean: removes what can be made again; never a result."""

from __future__ import annotations

import shutil
from pathlib import Path

from scripts import results
from scripts.paths import CACHE, RESULTS, ROOT, shown


def clean(everything: bool) -> None:
    """Build folders, caches and unfinished results; with `everything` also the Python environment."""
    doomed = [ROOT / "build", CACHE, *RESULTS.glob(f"{results.PARTIAL}*"), ROOT / ".pytest_cache"]
    doomed += [each for part in ("scripts", "tests") for each in (ROOT / part).rglob("__pycache__")]
    if everything:
        doomed.append(ROOT / ".venv")
    for each in doomed:
        _remove(each)


def _remove(path: Path) -> None:
    if not path.exists():
        return
    try:
        shutil.rmtree(path)
    except OSError as error:
        raise results.cannot_write(path, error) from None
    print(f"removed {shown(path)}")
