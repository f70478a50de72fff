"""./duel setup on machines that lack something, played by stand-ins for dpkg-query and apt-get."""

from __future__ import annotations

import os
import re
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


def _setup(checkout: Path, tools: Path, command: str = "setup") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{tools}:/usr/bin:/bin"}
    return subprocess.run([str(checkout / "duel"), command], env=environment, capture_output=True, text=True,
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
    assert asked[:2] == ["-q update", "-q install -y --no-install-recommends wrk node-llhttp"]
    assert set(asked[2:]) <= {"-q download nginx", "-q update"}


HAS_NGINX = pytest.mark.skipif(Path("/usr/sbin/nginx").exists(), reason="the installed nginx is used: none is fetched")


def _has_all(checkout: Path, tools: Path) -> None:
    _machine(tools, INSTALLED + " wrk libllhttp-dev", root=False)
    wanted = subprocess.run(["sha256sum"], input=(checkout / "scripts/requirements.txt").read_bytes(),
                            capture_output=True, check=True).stdout.decode().strip()
    (checkout / ".venv" / "bin").mkdir(parents=True)
    _tool(checkout / ".venv" / "bin", "python", "exit 1")
    (checkout / ".venv" / "requirements.sha256").write_text(wanted)


@HAS_NGINX
def test_nginx_is_fetched_and_not_installed(checkout, tmp_path) -> None:
    tools = tmp_path / "tools"
    _has_all(checkout, tools)
    _tool(tools, "apt-get", f'echo "$@" >>{tools}/asked; touch nginx_1.deb')
    _tool(tools, "dpkg-deb", 'mkdir -p "$3/usr/sbin"; printf "#!/bin/sh\\n" >"$3/usr/sbin/nginx"\n'
                             'chmod +x "$3/usr/sbin/nginx"')
    for _ in range(2):
        assert _setup(checkout, tools).returncode == 0
    assert (tools / "asked").read_text() == "-q download nginx\n"
    assert (checkout / ".cache" / "nginx" / "usr" / "sbin" / "nginx").exists()
    assert [path.name for path in (checkout / ".cache" / "nginx").iterdir()] == ["usr"]


@HAS_NGINX
def test_setup_goes_on_without_nginx(checkout, tmp_path) -> None:
    tools = tmp_path / "tools"
    _has_all(checkout, tools)
    _tool(tools, "apt-get", f'echo "$@" >>{tools}/asked; exit 100')
    for times in (1, 2):  # setup tries again, other commands do not
        done = _setup(checkout, tools)
        assert done.returncode == 0
        assert done.stderr.splitlines()[-2].startswith("duel: no nginx to be had: ")
        for command in ("test", "build"):
            assert "nginx" not in _setup(checkout, tools, command).stderr
        assert (tools / "asked").read_text() == "-q download nginx\n" * times


@HAS_NGINX
def test_only_tests_and_setup_fetch_nginx(checkout, tmp_path) -> None:
    tools = tmp_path / "tools"
    _has_all(checkout, tools)
    for command, asked in (("serve", False), ("build", False), ("test", True)):
        _setup(checkout, tools, command)
        assert (tools / "asked").exists() == asked, command


@HAS_NGINX
def test_nothing_stops_for_want_of_nginx(checkout, tmp_path) -> None:
    """Somebody else's checkout."""
    tools = tmp_path / "tools"
    _has_all(checkout, tools)
    (checkout / ".cache").touch()
    done = _setup(checkout, tools)
    assert done.returncode == 0
    assert done.stderr.startswith("duel: cannot write ") and done.stderr.endswith("\nduel: everything is installed\n")
    assert len(done.stderr.splitlines()) == 2


@HAS_NGINX
def test_the_first_of_two_at_once_wins(checkout, tmp_path) -> None:
    """The other one is done while this one unpacks."""
    tools = tmp_path / "tools"
    _has_all(checkout, tools)
    _tool(tools, "apt-get", "touch nginx_1.deb")
    _tool(tools, "dpkg-deb", f'mkdir -p "$3/usr/sbin" {checkout}/.cache/nginx/first\n'
                             'printf "#!/bin/sh\\n" >"$3/usr/sbin/nginx"; chmod +x "$3/usr/sbin/nginx"')
    done = _setup(checkout, tools)
    assert done.returncode == 0, done.stderr
    assert re.search(r"done in \d+ s\nduel: everything is installed\n$", done.stderr)
    assert sorted(path.name for path in (checkout / ".cache").iterdir()) == ["nginx", "setup.log"]
    assert [path.name for path in (checkout / ".cache" / "nginx").iterdir()] == ["first"]


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
    _has_all(checkout, tools)
    (checkout / ".cache" / "nginx").mkdir(parents=True)
    (checkout / ".cache" / "nginx" / "usr").touch()  # so that setup does not try again
    done = _setup(checkout, tools)
    assert done.returncode == 0
    assert done.stderr == "duel: everything is installed\n"
    assert not (tools / "asked").exists()
