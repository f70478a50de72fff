"""A soak of seconds, so that the one of minutes (./duel test --soak) still works when it is wanted."""

from __future__ import annotations

import pytest
from server import BINARY, SANITIZER

from scripts import soak, soak_turn
from scripts.soak_abuse import KINDS


def test_a_short_soak_of_every_model_is_sound(capsys: pytest.CaptureFixture[str]) -> None:
    setting = soak_turn.Setting(BINARY, 7, bool(SANITIZER), "undefined" in SANITIZER)
    is_sound = soak.soak(setting, rounds=1, turn_s=2)
    told = capsys.readouterr().out
    assert is_sound, told
    assert told.endswith(" passed, 0 failed\n")
    left_out = told.count("\nleft out: ")
    for name in (*KINDS, *(soak_turn.MODELS if left_out == 0 else ())):
        assert f"\n{name} " in told
    assert told.count("  sound\n") == len(soak_turn.MODELS) - left_out >= 4
