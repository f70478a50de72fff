"""A result folder is written beside its final place and renamed when it is complete.

Invariant: results/NAME either is a whole result or does not exist.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scripts.errors import UserError
from scripts.paths import CACHE, RESULTS, shown

PARTIAL = ".partial-"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


def utc_now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def default_name(kind: str) -> str:
    return f"{kind}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"


def check_name(name: str, force: bool) -> None:
    """UserError unless results/`name` may be written."""
    if _NAME.fullmatch(name) is None:
        raise UserError(f"--name {name!r} is not a folder name (use letters, digits, '.', '_' and '-')", 2)
    if (RESULTS / name).exists() and not force:
        raise UserError(f"results/{name} exists (choose another --name, or replace it with --force)")


@contextlib.contextmanager
def folder(name: str, force: bool) -> Iterator[Path]:
    """A fresh folder that becomes results/`name` when the block ends well, else disappears."""
    check_name(name, force)
    partial = None
    try:
        try:
            RESULTS.mkdir(exist_ok=True)
            partial = Path(tempfile.mkdtemp(prefix=f"{PARTIAL}{name}-", dir=RESULTS))
            partial.chmod(0o755)
        except OSError as error:
            raise cannot_write(RESULTS, error) from None
        yield partial
        replace(partial, RESULTS / name)
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)


def replace(partial: Path, final: Path) -> None:
    old = partial.with_name(partial.name + "-old")
    if final.exists():
        final.rename(old)
    try:
        partial.rename(final)
    except OSError:
        if old.exists():
            old.rename(final)
        raise
    shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder for a run's intermediate files, gone afterwards."""
    try:
        CACHE.mkdir(exist_ok=True)
        made = tempfile.mkdtemp(prefix="run-", dir=CACHE)
    except OSError as error:
        raise cannot_write(CACHE, error) from None
    try:
        yield Path(made)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Whole or not at all, also when the power fails; a symbolic link stays one. What is no regular file (a FIFO), or
    is our own output (/dev/stdout), is written to, never replaced."""
    final = Path(os.path.realpath(path))
    partial = final.with_name(f".{final.name}{PARTIAL}{os.getpid()}")
    try:
        if _is_special(path):
            sys.stdout.flush()
            own = _own_output(path)
            with open(path if own is None else own, "w", encoding="utf-8", closefd=own is None) as file:
                file.write(text)
            return
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(final)
        _sync_folder(final.parent)
    except OSError as error:
        raise cannot_write(path, error) from None
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def _is_special(path: Path) -> bool:
    return path.exists() and (not path.is_file() or _own_output(path) is not None)


def _own_output(path: Path) -> int | None:
    """1 or 2 where `path` is what standard output or error goes to, be it a file."""
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            if os.path.samestat(path.stat(), os.fstat(descriptor)):
                return descriptor
    return None


def _sync_folder(path: Path) -> None:
    """A file's new name is on the disk when its folder is. Not every file system can."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)


def check_writable(path: Path) -> None:
    """UserError now rather than after minutes of measuring, when `path` cannot be written."""
    if path.is_dir():
        raise UserError(f"--json {shown(path)} is a folder (name a file in it)")
    try:
        if _is_special(path):
            if not os.access(path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return
        with tempfile.NamedTemporaryFile(prefix=PARTIAL, dir=Path(os.path.realpath(path)).parent):
            pass
    except OSError as error:
        raise cannot_write(path, error) from None


def cannot_write(path: Path, error: OSError) -> UserError:
    fixes = {errno.ENOSPC: "free some disk space", errno.EDQUOT: "free some disk space: the quota is used up",
             errno.ENOENT: "make the folder first", errno.ENOTDIR: "a file stands where a folder should be",
             errno.EEXIST: "a file stands where a folder should be", errno.EACCES: "check its permissions",
             errno.EROFS: "the file system is read-only"}
    fix = fixes.get(error.errno or 0, "choose another place")
    return UserError(f"cannot write {shown(path)}: {error.strerror} ({fix})")
