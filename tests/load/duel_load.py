"""duel-load and servers for it, for the length of a block. Processes are ended by their handle."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from server import BUILD, PATIENCE_S, wait_until

PROGRAM = BUILD / "bench" / "duel-load"
SERVER = Path(__file__).with_name("misbehaving_server.py")


@dataclass(frozen=True)
class Run:
    code: int
    result: dict[str, Any]  # the JSON; empty: none was written
    text: str
    errors: str

    @property
    def taints(self) -> set[str]:
        return set(self.result["taints"])

    @property
    def faults(self) -> dict[str, int]:
        """Those that occurred."""
        return {kind: count for kind, count in self.result["errors"].items() if count}


@contextlib.contextmanager
def misbehaving(mode: str) -> Iterator[int]:
    """The port of such a server."""
    child = subprocess.Popen([sys.executable, str(SERVER), mode], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             text=True)
    try:
        assert child.stdout is not None
        found = re.match(r"listening on 127\.0\.0\.1:(\d+)", child.stdout.readline())
        assert found, f"the server did not start; exit code {child.poll()}"
        yield int(found[1])
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def command(port: int, *flags: str, path: str = "/", connections: int = 8, duration: float = 0.3,
            warmup: float = 0.1) -> list[str]:
    if not PROGRAM.exists():
        pytest.skip(f"{PROGRAM} is not part of this build")
    return [str(PROGRAM), "--connections", str(connections), "--duration", str(duration), "--warmup", str(warmup),
            *flags, f"http://127.0.0.1:{port}{path}"]


def run(port: int, folder: Path, *flags: str, launcher: tuple[str, ...] = (), **more: Any) -> Run:
    """The launcher is a command that becomes the one given to it."""
    out = folder / "result.json"
    done = subprocess.run([*launcher, *command(port, *flags, **more), "--json", str(out)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=10 * PATIENCE_S)
    result = json.loads(out.read_text()) if out.exists() else {}
    return Run(done.returncode, result, done.stdout, done.stderr)


def stopped_by(signum: int, port: int, folder: Path, after: str, *flags: str, **more: Any) -> Run:
    """Gets the signal once the file `after` is there."""
    out = folder / "result.json"
    child = subprocess.Popen([*command(port, *flags, **more), "--json", str(out)], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: any(folder.glob(after)), "its output file is open")
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(1.0)  # into the window
        child.send_signal(signum)
        text, errors = child.communicate(timeout=10 * PATIENCE_S)
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
    return Run(child.returncode, json.loads(out.read_text()) if out.exists() else {}, text, errors)
