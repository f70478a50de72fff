"""The colours of the rows: apart for every reader, legible on white, and the same in every figure."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from scripts.report import style
from scripts.report.model import Result, Row

# What is left of linear RGB without one kind of cone (Machado, Oliveira and Fernandes 2009, full severity).
SEEN_BY = {
    "all": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}


def linear(colour: str) -> np.ndarray:
    encoded = np.array([int(colour[at:at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ rgb
    x, y, z = np.cbrt(np.clip(xyz / [0.9505, 1.0, 1.089], 1e-6, None))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("reader", SEEN_BY)
def test_no_two_rows_look_alike(reader: str) -> None:
    """A distance of 10 in CIELAB is plain to see side by side; lines lie apart, so 15."""
    seen = [lab(np.clip(np.array(SEEN_BY[reader]) @ linear(colour), 0, 1)) for colour in style.PALETTE]
    apart = {(a, b): float(np.linalg.norm(seen[a] - seen[b])) for a, b in itertools.combinations(range(len(seen)), 2)}
    assert {pair: round(each) for pair, each in apart.items() if each < 15} == {}


@pytest.mark.parametrize("colour", style.PALETTE)
def test_names_can_be_read_on_white(colour: str) -> None:
    luminance = float(np.array([0.2126, 0.7152, 0.0722]) @ linear(colour))
    assert 1.05 / (luminance + 0.05) >= 3, "the least contrast of large text"


def result(names: list[str], controls: dict[str, str]) -> Result:
    rows = [Row(name, "stealing", "epoll", control_of=controls.get(name)) for name in names]
    return Result(None, "r", "campaign", "", "", {}, {}, rows, [], [], {}, [], None, [], None, "")  # type: ignore


def test_a_row_keeps_its_look_and_no_other_has_it() -> None:
    names = [f"row {number}" for number in range(12)]
    looks = style.styles(result([*names, "again"], {"again": "row 0"}))
    assert len({(look.colour, look.dash) for look in looks.values()}) == 13
    assert looks["again"].colour == style.GREY
    assert looks == style.styles(result([*names, "again"], {"again": "row 0"}))
    assert {name: looks[name] for name in names[:3]} == style.styles(result(names[:3], {}))
