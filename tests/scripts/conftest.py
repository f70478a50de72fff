"""The scripts under test are imported from the repository root."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from scripts import results

FAKE = str(Path(__file__).with_name("fake_server.py"))


@pytest.fixture
def fake() -> list[str]:
    """A command that behaves like duel-server; add switches of fake_server.py."""
    return [sys.executable, FAKE]


@pytest.fixture
def results_folder(tmp_path, monkeypatch) -> Path:
    """results/ for one test."""
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results")
    return tmp_path / "results"
