"""Wrong flags and refusing kernels: one line that names what is wrong and how to put it right, a
non-zero exit code, nothing left running."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from server import BINARY, BUILD, FIBERS, MODELS, PATIENCE_S, model_flags, serving

USAGE, FAILURE = 2, 1


def refusal(*flags: str, program: tuple[str, ...] = ()) -> tuple[int, str]:
    """Exit code and the one line on stderr of a server that must not start."""
    process = subprocess.Popen([*program, str(BINARY), *flags], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        out, err = process.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        pytest.fail(f"it runs: {out}{err}")
    with pytest.raises(ProcessLookupError):  # nothing of it is left
        os.killpg(process.pid, 0)
    assert out == ""
    assert err.startswith("duel-server: ") and err.endswith("\n") and err.count("\n") == 1, err
    assert "(" in err and len(err) < 400, f"no fix in it: {err}"
    return process.returncode, err


@pytest.mark.parametrize(("flags", "named"), [
    (["--frobnicate"], "--frobnicate"),
    (["extra"], "extra"),
    (["--model", "quantum"], "quantum"),
    (["--model"], "--model"),
    (["--model", "threads", "--driver", "uring"], "uring"),
    (["--model", "serial", "--driver", "epoll"], "epoll"),
    (["--driver", "carrier-pigeon"], "carrier-pigeon"),
    (["--keep-alive", "maybe"], "--keep-alive"),
    (["--state", "nowhere"], "--state"),
    *((["--model", model, "--state", "sharded"], "it needs --model sharded")
      for model in ("serial", "threads", "stealing")),
    *((["--max-kv-bytes", value], "--max-kv-bytes") for value in ("-1", "junk", "1099511627777")),
    (["--workers", "1", "--workers", "2"], "--workers"),
    *((["--workers", value], "--workers")
      for value in ("0", "-1", "junk", "1025", "2x", "", "1.5", "99999999999999999999")),
    *((["--listen", value], "--listen") for value in ("", "nowhere", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
                                                      "127.0.0.1:http", "300.0.0.1:80", "[::1:80", ":::80")),
    *(([flag, value], flag) for flag in ("--header-timeout-ms", "--idle-timeout-ms", "--write-timeout-ms")
      for value in ("0", "-5", "soon")),
    (["--max-header-bytes", "0"], "--max-header-bytes"),
    (["--max-body-bytes", "-1"], "--max-body-bytes"),
    (["--drain-seconds", "-1"], "--drain-seconds"),
    (["--drain-seconds", "never"], "--drain-seconds"),
])
def test_wrong_usage_is_named(flags: list[str], named: str) -> None:
    listen = [] if "--listen" in flags else ["--listen", "127.0.0.1:0"]
    code, line = refusal(*listen, *flags)
    assert code == USAGE
    assert named in line


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_asking_is_no_error(flag: str) -> None:
    done = subprocess.run([str(BINARY), flag], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "duel-server" in done.stdout


@pytest.mark.parametrize("model", MODELS)
def test_a_port_in_use_is_refused(model: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        code, line = refusal(*model_flags(model), "--listen", f"127.0.0.1:{held.getsockname()[1]}")
        assert code == FAILURE
        assert f"127.0.0.1:{held.getsockname()[1]}" in line and "--listen" in line


@pytest.mark.parametrize("second", MODELS)
@pytest.mark.parametrize("first", FIBERS)
def test_two_servers_do_not_share_a_port(first: str, second: str) -> None:
    """Not even where SO_REUSEPORT would let them."""
    with serving(first, workers=2) as server:
        code, line = refusal(*model_flags(second), "--workers", "2", "--listen", f"127.0.0.1:{server.port}")
        assert code == FAILURE
        assert "--listen" in line


@pytest.mark.parametrize("model", MODELS)
def test_an_address_of_another_machine_is_refused(model: str) -> None:
    code, line = refusal(*model_flags(model), "--listen", "192.0.2.1:0")
    assert code == FAILURE
    assert "192.0.2.1:0" in line and "--listen" in line


@pytest.mark.parametrize("where", ["/nonexistent/stats.json", "/proc/stats.json", "/dev/full", "/tmp"])
def test_an_unwritable_stats_file_is_found_at_start(where: str) -> None:
    code, line = refusal("--listen", "127.0.0.1:0", "--stats-file", where)
    assert code == FAILURE
    assert "--stats-file" in line and where in line


def test_no_half_written_stats_are_left(tmp_path: Path) -> None:
    file = tmp_path / "stats.json"
    with socket.create_server(("127.0.0.1", 0)) as held:
        refusal("--listen", f"127.0.0.1:{held.getsockname()[1]}", "--stats-file", str(file))
    assert list(tmp_path.iterdir()) == []


def test_a_kernel_without_io_uring_is_named_not_replaced() -> None:
    helper = BUILD / "tests" / "without_io_uring"
    assert helper.exists(), f"{helper} is missing: build the target without_io_uring"
    code, line = refusal("--model", "sharded", "--listen", "127.0.0.1:0", program=(str(helper),))
    assert code in (USAGE, FAILURE)
    assert "io_uring" in line and "Operation not permitted" in line
    assert "io_uring_disabled" in line and "--model" in line
