"""The two ways a command ends early."""

from __future__ import annotations


class UserError(Exception):
    """Something the user can fix: one line saying what is wrong and how to fix it. No traceback."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Stopped(BaseException):
    """SIGINT, SIGTERM or SIGHUP arrived. A BaseException, so that no `except Exception` eats it."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.exit_code = 128 + signum
