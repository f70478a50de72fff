"""What a case of the conformance suite is, and how its bytes are put together.

A case is data: the section that decides, the bytes said on a fresh connection, and the outcome, as "200 open",
"400 close" or "200 404 close": the statuses in order, then what becomes of the connection. Whoever runs it says
AFTERWARDS behind the case's bytes, in the same breath: an open connection answers that, a closed one must not.
"""

from __future__ import annotations

from dataclasses import dataclass

# Its answer is known by its body; it closes the connection, so that every conversation ends.
AFTERWARDS = b"GET /bytes?n=7 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
AFTERWARDS_BODY = b"ABCDEFG"
# Stands in bodies and behind framing that can be read in two ways; a server that was deceived answers it with 404.
SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
GET = "GET / HTTP/1.1"
POST = "POST /echo HTTP/1.1"
CHUNKED = "Transfer-Encoding: chunked"
END = "0\r\n\r\n"


@dataclass(frozen=True)
class Differs:
    """What nginx does instead, and why we do not. "waits": it reads on, so AFTERWARDS is lost."""

    outcome: str
    why: str


@dataclass(frozen=True)
class Case:
    section: str  # of RFC 9110 or 9112, as "9112-3.2"
    name: str
    said: bytes
    outcome: str
    nginx: Differs | None = None  # None: the same classes of status, the same end
    body: bytes | None = None  # of the first answer; None: not looked at
    headers: tuple[tuple[str, str], ...] = ()  # that the first answer has, names in lower case
    is_head: bool = False  # the first answer has no content
    in_one_piece: bool = False  # the outcome depends on what has come when the first answer is due
    note: str = ""  # why a SHOULD is not followed, or what the section leaves open

    @property
    def title(self) -> str:
        return f"{self.section} {self.name}"

    @property
    def ends_as_asked(self) -> bool:
        """The client has the connection closed, so it must not say more (9112-9.6): it would meet a reset."""
        status, end = self.outcome.split()[-2:]
        return end == "close" and status in ("200", "404")


def ask(line: str = GET, *fields: str, host: str | None = "a", body: str = "") -> bytes:
    """A request; its bytes are the text's code points."""
    hosts = [] if host is None else [f"Host: {host}"]
    return "\r\n".join([line, *hosts, *fields, "", body]).encode("latin-1")


def post(*fields: str, body: str = "") -> bytes:
    return ask(POST, *fields, body=body)


def chunked(body: str) -> bytes:
    return ask(POST, CHUNKED, body=body)


# --- why nginx differs, where it does so more than once -------------------------------------------

LONE_LF = "nginx takes a lone LF for a line's end, as 9112-2.2 allows; two servers may then see two ends, so not here"
ANY_VALUE = "nginx looks into a field's value for NUL, CR and LF only; 9110-5.5 has all control characters invalid"
ANY_NAME = "nginx ignores a field whose name has unusual characters; 9110-5.1 has a token, and a guess is no token"
ANY_HOST = "nginx takes what it can find no server for; 9112-3.2 demands 400 for a value that is no host and port"
NO_CODING = "nginx answers all but chunked with 501; 9112-6.3 demands 400 where chunked is not the last coding"
OWN_METHODS = "nginx has a list of methods of its own, and this location allows two of them"
TRAILER = "nginx skips the trailer section without reading its lines; here they obey the rules of every field"
