"""./duel setup on machines that lack something, played by stand-ins for dpkg-query and apt-get."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from scripts.paths import ROOT

INSTALLED = ("g++ cmake ninja-build pkg-config libboost-context-dev libevent-dev liburing-dev libfmt-dev "
             "libcli11-dev nlohmann-json3-dev libgtest-dev librapidcheck-dev libclang-rt-dev "
             "libbenchmark-dev strace python3 python3-venv")

pytestmark = pytest.mark.skipif(not Path("/etc/debian_version").exists(), reason="plays a Debian machine")


def _tool(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/bash\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A copy of what setup needs, so that the real .venv and .cache stay as they are."""
    copy = tmp_path / "checkout"
    (copy / "scripts").mkdir(parents=True)
    for name in ("duel", "scripts/requirements.txt"):
        (copy / name).write_bytes((ROOT / name).read_bytes())
    (copy / "duel").chmod(0o755)
    return copy


def _setup(checkout: Path, tools: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{tools}:/usr/bin:/bin"}
    return subprocess.run([str(checkout / "duel"), "setup"], env=environment, capture_output=True, text=True,
                          timeout=60, check=False, stdin=subprocess.DEVNULL)


def _machine(tools: Path, installed: str, *, root: bool) -> None:
    tools.mkdir()
    _tool(tools, "dpkg-query", f"for p in {installed}; do printf 'installed=%s ' $p; done")
    _tool(tools, "id", f"echo {0 if root else 1000}")
    _tool(tools, "sudo", "exit 1")
    _tool(tools, "apt-cache", '[ "$2" = node-llhttp ]')
    _tool(tools, "apt-get", f'echo "$@" >>{tools}/asked')


def test_without_root_the_exact_command_is_named(checkout, tmp_path) -> None:
    _machine(tmp_path / "tools", INSTALLED, root=False)
    done = _setup(checkout, tmp_path / "tools")
    assert done.returncode == 1
    assert "missing packages: wrk libllhttp-dev|node-llhttp" in done.stderr
    assert done.stderr.splitlines()[-1].endswith(
        "apt-get update && apt-get install -y --no-install-recommends wrk node-llhttp")
    assert not (tmp_path / "tools" / "asked").exists()


def test_as_root_only_what_is_missing_is_installed(checkout, tmp_path) -> None:
    tools = tmp_path / "tools"
    _machine(tools, INSTALLED, root=True)
    (checkout / "scripts" / "requirements.txt").write_text("# nothing to fetch\n")
    assert _setup(checkout, tools).returncode == 0
    assert (checkout / ".venv" / "requirements.sha256").exists()
    asked = (tools / "asked").read_text().splitlines()
    assert asked == ["-q update", "-q install -y --no-install-recommends wrk node-llhttp"]


def test_a_failing_installation_shows_its_last_words(checkout, tmp_path) -> None:
    tools = tmp_path / "tools"
    _machine(tools, INSTALLED, root=True)
    _tool(tools, "apt-get", "echo E: no network >&2; exit 100")
    done = _setup(checkout, tools)
    assert done.returncode == 1
    assert "E: no network" in done.stderr
    assert "apt-get update failed" in done.stderr.splitlines()[-1]


def test_nothing_missing_asks_nobody(checkout, tmp_path) -> None:
    tools = tmp_path / "tools"
    _machine(tools, INSTALLED + " wrk libllhttp-dev", root=False)
    wanted = subprocess.run(["sha256sum"], input=(checkout / "scripts/requirements.txt").read_bytes(),
                            capture_output=True, check=True).stdout.decode().strip()
    (checkout / ".venv" / "bin").mkdir(parents=True)
    _tool(checkout / ".venv" / "bin", "python", "exit 1")
    (checkout / ".venv" / "requirements.sha256").write_text(wanted)
    done = _setup(checkout, tools)
    assert done.returncode == 0
    assert done.stderr == "duel: everything is installed\n"
    assert not (tools / "asked").exists()
