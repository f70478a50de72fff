"""What the cases say about nginx is true: where they state a difference it is that one, elsewhere there is none.

Compared are the class of each status and what becomes of the connection.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from conversing import CASES, SECTIONS, of_section, whole
from nginx import running_nginx


@pytest.fixture(scope="module")
def outcomes() -> Iterator[dict[str, str]]:
    """Of all cases, by their title."""
    with running_nginx() as nginx, ThreadPoolExecutor(8) as ask:
        yield dict(zip((case.title for case in CASES), ask.map(lambda case: nginx.outcome(whole(case)), CASES),
                       strict=True))


def class_of(outcome: str) -> str:
    """"404 close" as "4 close"."""
    return " ".join(word[0] if word.isdigit() else word for word in outcome.split())


@pytest.mark.parametrize("section", SECTIONS)
def test_section_against_nginx(outcomes: dict[str, str], section: str) -> None:
    wrong = []
    for case in of_section(section):
        found = outcomes[case.title]
        if case.nginx is None and class_of(found) != class_of(case.outcome):
            wrong.append(f"{case.title}: nginx says {found!r}, we {case.outcome!r}, and nothing says why")
        if case.nginx is not None and found != case.nginx.outcome:
            wrong.append(f"{case.title}: nginx says {found!r}, not {case.nginx.outcome!r}")
    assert not wrong, "\n" + "\n".join(wrong)


def test_stated_differences_differ_and_say_why() -> None:
    stated = [case for case in CASES if case.nginx is not None]
    assert [case.title for case in stated
            if case.nginx.outcome == case.outcome or len(case.nginx.why) < 20] == []  # type: ignore[union-attr]
