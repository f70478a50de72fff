"""Shared by the whole-program tests: the build under test and its limits.

The build directory comes from the environment variable DUEL_BUILD (default build/release).
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from server import BUILD, SANITIZER  # noqa: E402


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "load: full load from wrk; skipped in sanitizer builds")
    # For the clients here, wrk, and the servers, which inherit it.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def pytest_report_header() -> str:
    return f"build under test: {BUILD}" + (f" (sanitizers: {SANITIZER})" if SANITIZER else "")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if SANITIZER:
        skip = pytest.mark.skip(reason=f"full load is not for a build with -fsanitize={SANITIZER}")
        for item in items:
            if item.get_closest_marker("load"):
                item.add_marker(skip)
