"""wrk for the whole-program tests: started, waited for, and read."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Report:
    requests: int
    socket_errors: str  # wrk's own words; empty: none
    refusals: int  # answers other than 2xx and 3xx
    text: str

    def check(self) -> None:
        assert self.socket_errors == "", self.text
        assert self.refusals == 0, self.text
        assert self.requests > 0, self.text


def start(port: int, connections: int, seconds: int, path: str = "/") -> subprocess.Popen[str]:
    if shutil.which("wrk") is None:
        pytest.skip("wrk is not installed (./duel setup installs it)")
    return subprocess.Popen(["wrk", f"-t{min(4, connections)}", f"-c{connections}", f"-d{seconds}s", "--latency",
                             "--timeout", "10s", f"http://127.0.0.1:{port}{path}"],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(wrk: subprocess.Popen[str], patience_s: float = 60.0) -> Report:
    try:
        text, _ = wrk.communicate(timeout=patience_s)
    finally:
        if wrk.poll() is None:
            wrk.kill()
            wrk.wait()
    total = re.search(r"^\s*(\d+) requests in", text, re.MULTILINE)
    errors = re.search(r"^\s*Socket errors: (.*)$", text, re.MULTILINE)
    refusals = re.search(r"^\s*Non-2xx or 3xx responses: (\d+)", text, re.MULTILINE)
    assert total is not None, f"wrk failed: {text}"
    return Report(int(total[1]), errors[1] if errors else "", int(refusals[1]) if refusals else 0, text)


def load(port: int, connections: int, seconds: int, path: str = "/") -> Report:
    return finish(start(port, connections, seconds, path))
