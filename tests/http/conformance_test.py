"""Every case against every model: RFC 9110 and 9112, section by section."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest
from cases import Case
from client import mask_dates
from conversing import CASES, SECTIONS, converse, of_section, what_is_wrong, whole
from server import SANITIZER, Server

# Larger ones are not said byte by byte.
MODERATE = 200 if SANITIZER else 500


def check_all(cases: Iterable[Case], judge: Callable[[Case], str | None]) -> None:
    """A few at a time: most of each is waiting."""
    with ThreadPoolExecutor(4) as pool:
        wrong = [f"{case.title}: {found}" for case, found in pool.map(lambda case: (case, judge(case)), cases) if found]
    assert not wrong, "\n" + "\n".join(wrong)


def for_splitting(case: Case) -> bytes:
    return case.said if case.ends_as_asked else whole(case)


def test_names_are_unique() -> None:
    titles = [case.title for case in CASES]
    assert sorted(set(titles)) == sorted(titles)


@pytest.mark.parametrize("section", SECTIONS)
def test_section(server: Server, section: str) -> None:
    check_all(of_section(section), lambda case: what_is_wrong(case, converse(server.port, [whole(case)])))


@pytest.mark.parametrize("section", SECTIONS)
def test_section_byte_by_byte(server: Server, section: str) -> None:
    """As fast as single bytes can be sent."""
    def judge(case: Case) -> str | None:
        said = for_splitting(case)
        if len(said) > MODERATE or case.in_one_piece:
            return None
        return what_is_wrong(case, converse(server.port, [said[i:i + 1] for i in range(len(said))]))

    check_all(of_section(section), judge)


def test_cut_in_two_at_every_place(server: Server) -> None:
    """A request of each framing at every place, every other case at a sampled one; the pause lets the server see it."""
    everywhere = {"9112-7.1.2 a trailer: 'T: u\\r\\nV:'", "9112-6.2 content", "9112-11.2 a length and chunks (CL.TE)"}
    assert everywhere <= {case.title for case in CASES}

    def judge(case: Case) -> str | None:
        if case.in_one_piece:
            return None
        said = for_splitting(case)
        usual = mask_dates(converse(server.port, [said]))
        places = list(range(1, len(said)))
        if SANITIZER or case.title not in everywhere:
            places = random.Random(case.title).sample(places, 20 if case.title in everywhere else 1)
        bad = [cut for cut in places
               if mask_dates(converse(server.port, [said[:cut], said[cut:]], pause_s=0.0005)) != usual]
        return f"cut at {bad}" if bad else None

    check_all(CASES, judge)
