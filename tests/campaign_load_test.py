"""duel-load's own JSON is what campaigns read, and what their stand-in for it imitates."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from server import BUILD, PATIENCE_S, serving

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts.campaign import journal, replicate, taints  # noqa: E402
from scripts.campaign.plan import Point  # noqa: E402

PROGRAM = BUILD / "bench" / "duel-load"
FAKE = ROOT / "tests" / "scripts" / "fake_load.py"
POINTS = (Point("closed"), Point("50 %", 0.5))

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason=f"{PROGRAM} is not part of this build")


def asked(command: list[str], point: Point, url: str, file: Path) -> dict[str, Any]:
    rate = [] if point.of_peak is None else ["--rate", "1000", "--arrivals", "poisson"]
    done = subprocess.run([*command, "--connections", "8", "--duration", "0.5", "--warmup", "0.1", "--seed", "1", *rate,
                           "--json", str(file), url], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=10 * PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return json.loads(file.read_text())


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.kind)
def test_a_campaign_understands_duel_load(point: Point, tmp_path: Path) -> None:
    with serving("threads") as server:
        url = f"http://127.0.0.1:{server.port}/"
        real = asked([str(PROGRAM)], point, url, tmp_path / "real.json")
        fake = asked([sys.executable, str(FAKE)], point, url, tmp_path / "fake.json")
    found = replicate.figures(real, replicate.Watched([]), point)
    assert found["requests"] > 0
    assert found["errors"] == {}
    assert found["requests_per_s"] == pytest.approx(found["requests"] / found["window_s"])
    assert (found["offered_per_s"] is None) == (found["n_eff"] is not None) == (point.of_peak is None)
    for clock in ("latency_intended_us", "latency_sent_us"):
        assert 0 < found[clock]["p50"] <= found[clock]["p99"]
    for half in ("first_half", "second_half"):
        assert found[half]["requests_per_s"] >= 0
    assert 0 < found["loader_cpu_share"]
    of_a_rate = {"schedule_slipped", "offered_not_achieved", "censored"} if point.of_peak is None else set()
    taints.of_load({**real, "taints": list(taints.DETAILS.keys() - of_a_rate)})  # every word finds its figures
    assert list(fake["errors"]) == list(real["errors"])
    assert fake["schema_version"] == real["schema_version"]
    assert journal.flat(without_lists(fake)).keys() <= journal.flat(without_lists(real)).keys()


def test_a_campaign_knows_every_word_that_duel_load_has() -> None:
    section = (ROOT / "bench" / "load" / "DESIGN.md").read_text().partition("## Taints")[2].partition("\n## ")[0]
    words = set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
    assert len(words) >= 13
    assert words <= taints.DETAILS.keys()


def without_lists(value: Any) -> Any:
    """One member stands for a list of alike ones."""
    if isinstance(value, dict):
        return {key: without_lists(each) for key, each in value.items() if key not in ("argv", "taints")}
    return {"each": without_lists(value[0])} if isinstance(value, list) and value else value
