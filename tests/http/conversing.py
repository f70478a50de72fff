"""Runs a case against a server, and tells the outcome as cases.py writes it."""

from __future__ import annotations

import cases_fields
import cases_framing
import cases_request_line
from cases import AFTERWARDS, AFTERWARDS_BODY, Case
from client import Answer, Client, check_dates, take_answer

CASES = [*cases_request_line.CASES, *cases_fields.CASES, *cases_framing.CASES]
SECTIONS = sorted({case.section for case in CASES},
                  key=lambda section: [int(part) for part in section.replace("-", ".").split(".")])


def of_section(section: str) -> list[Case]:
    return [case for case in CASES if case.section == section]


def converse(port: int, pieces: list[bytes], pause_s: float = 0.0) -> bytes:
    with Client(port) as client:
        client.say_in_pieces(pieces, pause_s)
        return client.hear_all()


def answers_of(heard: bytes, is_head: bool = False) -> list[Answer]:
    """All of them; anything that is no complete answer fails the test."""
    check_dates(heard)
    answers: list[Answer] = []
    while heard:
        taken = take_answer(heard, is_head and not answers)
        assert taken is not None, f"an answer is cut: {heard[:200]!r}"
        answer, heard = taken
        answers.append(answer)
    return answers


def what_is_wrong(case: Case, heard: bytes) -> str | None:
    try:
        answers = answers_of(heard, case.is_head)
    except AssertionError as error:
        return str(error)
    goes_on = bool(answers) and answers[-1].body == AFTERWARDS_BODY
    end = "open" if goes_on else "close"
    own = answers[:-1] if goes_on else answers
    outcome = " ".join([*(answer.status[:3] for answer in own), end])
    if outcome != case.outcome:
        return f"{outcome!r} instead of {case.outcome!r}"
    if not answers[-1].closes:
        return "closed without saying so"
    if case.body is not None and own[0].body != case.body:
        return f"the content is {own[0].body[:80]!r}"
    missing = [f"{name}: {value}" for name, value in case.headers if own[0].headers.get(name) != value]
    return f"not among the headers: {missing}" if missing else None


def whole(case: Case) -> bytes:
    return case.said + AFTERWARDS
