"""One server for each model, and one nginx, shared by the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from server import MODELS, Server, serving


@pytest.fixture(scope="module", params=MODELS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serving(request.param) as running:
        yield running
