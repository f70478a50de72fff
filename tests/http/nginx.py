"""nginx as the reference: an own one, unprivileged, that answers a few paths as the server here does.

Never the machine's service: its files are in a temporary folder, its port is one that was free, and it ends by its
process id.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cases import AFTERWARDS_BODY
from server import PATIENCE_S, ROOT, wait_until

PRIVATE = ROOT / ".cache" / "nginx" / "usr" / "sbin" / "nginx"  # a copy that ./duel setup fetches
QUIET_S = 1.5  # so long without a word it is waiting for more

_CONFIGURATION = """
daemon off; master_process off; pid pid;
events {{ worker_connections 256; }}
http {{
  access_log off;
  default_type text/plain;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  client_max_body_size 1m;
  lingering_close always;
  server {{
    listen 127.0.0.1:{port};
    location = / {{
      if ($request_method !~ ^(GET|HEAD)$) {{ return 405; }}
      return 200 "Hello, World!";
    }}
    location = /bytes {{ return 200 "{afterwards}"; }}
    location = /echo {{ return 200 ""; }}
    location / {{ return 404; }}
  }}
}}
"""


@dataclass(frozen=True)
class Nginx:
    port: int

    def outcome(self, said: bytes) -> str:
        """As cases.py writes it; "waits" if it says no more and keeps the connection."""
        for _ in range(5):
            try:
                return self._outcome(said)
            except ConnectionError:  # closed over unread bytes, and the answer went with them
                continue
        return "reset"

    def _outcome(self, said: bytes) -> str:
        heard, end = b"", "close"
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE_S) as connection:
            connection.sendall(said)
            connection.settimeout(QUIET_S)
            try:
                while part := connection.recv(1 << 20):
                    heard += part
            except TimeoutError:
                end = "waits"
        statuses = [each.decode() for each in re.findall(rb"HTTP/1\.1 (\d{3}) ", heard)]
        if heard.endswith(b"\r\n\r\n" + AFTERWARDS_BODY):
            statuses, end = statuses[:-1], "open"
        return " ".join([*statuses, end])


def _program() -> str:
    found = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if found is None and not PRIVATE.is_file():
        pytest.skip(f"no nginx to compare with (./duel setup fetches one into {PRIVATE.parents[2]}, or install nginx)")
    return found or str(PRIVATE)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def _process(program: str, folder: Path, port: int) -> Iterator[bool]:
    """Whether it listens: somebody else may have taken the port."""
    (folder / "conf").write_text(_CONFIGURATION.format(port=port, afterwards=AFTERWARDS_BODY.decode()))
    process = subprocess.Popen([program, "-p", str(folder), "-c", "conf", "-e", "error.log"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: process.poll() is not None or (folder / "pid").exists(), "nginx listens")
        yield process.poll() is None
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


@contextlib.contextmanager
def running_nginx() -> Iterator[Nginx]:
    program = _program()
    told = subprocess.run([program, "-v"], capture_output=True, text=True, check=False)
    if told.returncode != 0:
        pytest.skip(f"{program} does not start: {told.stderr.strip()} (remove it, then ./duel setup fetches another)")
    for _ in range(5):
        port = _free_port()
        with tempfile.TemporaryDirectory(prefix="duel-nginx-") as name, _process(program, Path(name), port) as listens:
            if listens:
                yield Nginx(port)
                return
            log = (Path(name) / "error.log").read_text()
    pytest.fail(f"nginx does not start: {log}")
