"""Content: its length, its coding, chunks and trailers; and what is said to hide a request in them."""

from __future__ import annotations

from cases import (ANY_NAME, CHUNKED, END, GET, LONE_LF, NO_CODING, POST, SMUGGLED, TRAILER, Case, Differs, ask,
                   chunked, post)

BOTH = f"{len(SMUGGLED) + len(END)}"
OVERFLOW = Differs("400 close", "nginx calls what its counter cannot hold malformed; it is well-formed and too large")
EXTENSION = "nginx skips what it likes in an extension; a control character there is not the grammar's"
NO_CODING_HERE = Differs("501 close", NO_CODING)
TWO_LINES = Differs("400 close", "nginx takes one line only; two lines are one list (9110-5.3), and gzip is unknown")
NO_LIMIT = "nginx skips it in a buffer of fixed size, however long it is; here it counts as a head does"
WAITS = "nginx checks the sum of chunks when they come, and waits for what is announced"
LIST = Differs("501 close", "nginx takes no list; 9110-5.6.1.2 has empty elements be ignored")
UNSPACED = Differs("501 close", "nginx does not take a tab for white space; 9112-5 does (OWS)")


def coded(value: str) -> bytes:
    """Chunks by one reading, nothing or a request by another."""
    return post(f"Transfer-Encoding: {value}", body=END + SMUGGLED)


CASES = [
    # --- 9112-6.2, 9110-8.6: Content-Length -------------------------------------------------------
    Case("9112-6.2", "content", post("Content-Length: 4", body="body"), "200 open", body=b"body"),
    Case("9112-6.2", "content of any bytes", post("Content-Length: 256", body="".join(map(chr, range(256)))),
         "200 open",
         body=bytes(range(256))),
    Case("9112-6.2", "content that looks like a request", post(f"Content-Length: {len(SMUGGLED)}", body=SMUGGLED),
         "200 open", body=SMUGGLED.encode()),
    Case("9112-6.2", "no content", post("Content-Length: 0"), "200 open", body=b""),
    Case("9112-6.2", "leading zeros", post("Content-Length: 0004", body="body"), "200 open", body=b"body"),
    Case("9112-6.2", "blanks around the length", post("Content-Length:   4 ", body="body"), "200 open", body=b"body"),
    *(Case("9112-6.3", f"no length: {value!r}", post(f"Content-Length: {value}", body=SMUGGLED), "400 close")
      for value in ("+4", "-4", "0x4", "4h", "4 4", "", "four", "4.0", "4e0", "4;", '"4"', "4,", "4_0", "\xb2", "4\x0b",
                    "18446744073709551616", "18446744073709551620", "99999999999999999999999", "-0", "- 4")),
    Case("9112-6.3", "a tab behind the length", post("Content-Length: 4\t", body="body"), "400 close",
         note="legal white space (OWS) that llhttp does not take there: refused, which deceives nobody"),
    Case("9110-8.6", "a list of two lengths", post("Content-Length: 4, 5", body=SMUGGLED), "400 close"),
    Case("9110-8.6", "a list of equal lengths", post("Content-Length: 4, 4", body=SMUGGLED), "400 close",
         note="may be taken for one length or refused"),
    Case("9112-6.3", "two different lengths", post("Content-Length: 4", "Content-Length: 5", body=SMUGGLED),
         "400 close"),
    Case("9110-8.6", "two equal lengths", post("Content-Length: 4", "Content-Length: 4", body=SMUGGLED), "400 close",
         note="may be taken for one length or refused"),
    Case("9112-6.3", "two lengths, names in different case", post("content-length: 4", "CONTENT-LENGTH: 0",
                                                                  body="body"),
         "400 close"),
    Case("9110-15.5.14", "content larger than is taken", post("Content-Length: 1048577"), "413 close",
         Differs("413 waits", "nginx reads on to keep the connection; here the content would be read for nothing")),
    Case("9110-15.5.14", "the largest length there is", post("Content-Length: 18446744073709551615"), "413 close",
         OVERFLOW),
    # --- 9112-6.1: Transfer-Encoding ----------------------------------------------------------------
    *(Case("9112-6.1", f"chunked: {value!r}", post(f"Transfer-Encoding: {value}", body="4\r\nbody\r\n" + END),
           "200 open",
           body=b"body") for value in ("chunked", "Chunked", "CHUNKED", "chunked ")),
    Case("9112-6.1", "chunked behind a tab", post("Transfer-Encoding:\tchunked", body="4\r\nbody\r\n" + END),
         "200 open",
         UNSPACED, body=b"body"),
    *(Case("9112-6.1", f"chunked and nothing: {value!r}", post(f"Transfer-Encoding: {value}",
                                                               body="4\r\nbody\r\n" + END),
           "200 open", LIST, body=b"body") for value in (",chunked", " , ,chunked")),
    Case("9112-6.1", "a coding before chunked", coded("gzip, chunked"), "501 close"),
    Case("9112-6.1", "a coding before chunked, in two lines", post("Transfer-Encoding: gzip", CHUNKED,
                                                                   body=END + SMUGGLED),
         "501 close", TWO_LINES),
    Case("9112-6.1", "a coding with a list in quotes", coded('gzip;q="a,chunked", chunked'), "501 close"),
    Case("9112-6.1", "chunked in HTTP/1.0", ask("POST /echo HTTP/1.0", CHUNKED, body=END + SMUGGLED), "400 close"),
    Case("9112-6.1", "chunked in HTTP/1.0 that keeps the connection",
         ask("POST /echo HTTP/1.0", "Connection: keep-alive", CHUNKED, "Content-Length: 5", body=END + SMUGGLED),
         "400 close"),
    *(Case("9112-6.3", f"chunked is not last: {value!r}", coded(value), "400 close", NO_CODING_HERE)
      for value in ("gzip", "identity", "chunked, gzip", "chunked, identity", "chunked,identity,", "chunk", "x")),
    # --- 9112-11.2: smuggling -----------------------------------------------------------------------
    Case("9112-11.2", "a length and chunks (CL.TE)", post(f"Content-Length: {BOTH}", CHUNKED, body=END + SMUGGLED),
         "400 close", note="9112-6.3 leaves the choice to refuse; only that deceives nobody"),
    Case("9112-11.2", "chunks and a length (TE.CL)", post(CHUNKED, "Content-Length: 4", body="2a\r\n" + SMUGGLED + END),
         "400 close"),
    Case("9112-11.2", "chunks and a length of zero", post(CHUNKED, "Content-Length: 0", body=END + SMUGGLED),
         "400 close"),
    Case("9112-11.2", "GET with a length and chunks", ask(GET, "Content-Length: 5", CHUNKED, body=END + SMUGGLED),
         "400 close"),
    Case("9112-11.2", "a length and an unknown coding",
         post("Content-Length: 5", "Transfer-Encoding: gzip", body=END + SMUGGLED), "400 close", NO_CODING_HERE),
    Case("9112-11.2", "a length and a coding without a name",
         post("Content-Length: 5", "Transfer-Encoding:", body=END + SMUGGLED), "400 close", NO_CODING_HERE),
    *(Case("9112-11.2", f"not quite chunked (TE.TE): {value!r}", coded(value), "400 close", NO_CODING_HERE)
      for value in ("xchunked", "chunkedx", '"chunked"', "'chunked'", "chunked;", "chunked;x=y", "chunked x",
                    "x chunked",
                    "\x0bchunked", "chunked\x0b", "\x0cchunked", "chunked,", "chunked, ", "chunked,chunked",
                    "chunked\x01", "", "[chunked]", "chun\xadked")),
    Case("9112-11.2", "chunked before a tab", coded("chunked\t"), "400 close", NO_CODING_HERE,
         note="legal white space (OWS) that llhttp does not take there: refused, which deceives nobody"),
    Case("9112-11.2", "NUL behind chunked", coded("chunked\0"), "400 close"),
    Case("9112-11.2", "NUL in chunked", coded("chun\0ked"), "400 close"),
    Case("9112-11.2", "chunked twice in two lines", post(CHUNKED, CHUNKED, body=END + SMUGGLED), "400 close"),
    *(Case("9112-11.2", f"chunked, then {value} in a second line",
           post(CHUNKED, f"Transfer-Encoding: {value}", body=END + SMUGGLED), "400 close")
      for value in ("identity", "x", "gzip", "")),
    *(Case("9112-11.2", f"white space at the wrong place: {field!r}", post(field, body=END + SMUGGLED), "400 close")
      for field in ("Transfer-Encoding : chunked", "Transfer-Encoding\t: chunked", "Transfer-Encoding:\r\n chunked",
                    " Transfer-Encoding: chunked", "X: y\r\n Transfer-Encoding: chunked", "Content-Length : 5",
                    "Content-Length:\r\n 5")),
    *(Case("9112-11.2", f"a line hidden behind a lone LF: {field}", post(f"X: y\n{field}", body=END + SMUGGLED),
           "400 close", Differs(seen, LONE_LF)) for field, seen in ((CHUNKED, "200 404 open"),
                                                                    ("Content-Length: 5", "200 404 open"))),
    Case("9112-11.2", "a line hidden behind a lone CR", post(f"X: y\r{CHUNKED}", body=END + SMUGGLED), "400 close"),
    *(Case("9112-11.2", f"not quite the name: {name!r}", post(f"{name}: chunked", body=END + SMUGGLED), "400 close",
           Differs("200 400 close", ANY_NAME + "; the content is then the next request"))
      for name in ("Transfer-Encoding\xa0", "Transfer-Encoding;")),
    Case("9112-11.2", "a control character behind the name", post("Transfer-Encoding\x0b: chunked",
                                                                  body=END + SMUGGLED),
         "400 close"),
    Case("9112-11.2", "another name is another field", post("Transfer_Encoding: chunked"), "200 open", body=b""),
    # --- 9112-7.1: chunks ---------------------------------------------------------------------------
    *(Case("9112-7.1", f"chunks: {body!r}", chunked(body), "200 open", body=content) for body, content in (
        (END, b""), ("4\r\nbody\r\n" + END, b"body"), ("a\r\n0123456789\r\nA\r\n0123456789\r\n" + END,
                                                       b"0123456789" * 2),
        ("04\r\nbody\r\n000\r\n\r\n", b"body"), ("0" * 30 + "4\r\nbody\r\n" + END, b"body"),
        ("4\r\n\r\n0\r\r\n" + END, b"\r\n0\r"), ("1\r\nb\r\n" * 30 + END, b"b" * 30))),
    *(Case("9112-7.1", f"no chunk: {body!r}", chunked(body + END + SMUGGLED), "400 close")
      for body in ("+1\r\nx\r\n", "-1\r\nx\r\n", "0x1\r\nx\r\n", "1h\r\nx\r\n", "\r\nx\r\n", " 1\r\nx\r\n",
                   "1.0\r\nx\r\n",
                   "1,1\r\nx\r\n", "1_0\r\nx\r\n", "1\rx\r\n", "1\r\rx\r\n", "1\r\nx\r\r", "1\r\nx", "1\r\nxy\r\n",
                   "x\r\n", "1\0\r\nx\r\n", "10000000000000001\r\nx\r\n", "10000000000000000\r\nx\r\n",
                   "fffffffffffffffff\r\nx\r\n", "\t1\r\nx\r\n", "1\r\nx;a\r\n", "1\r\nx \r\n", ";a\r\nx\r\n")),
    *(Case("9112-7.1", f"no chunk: {body!r}", chunked(body + END + SMUGGLED), "400 close",
           Differs("200 404 open", "nginx skips blanks behind a size; no grammar has them before the line's end"))
      for body in ("1 \r\nx\r\n", "1\t\r\nx\r\n")),
    Case("9112-7.1", "a chunk that is shorter than announced", chunked("2\r\nx\r\n" + END + SMUGGLED), "400 close",
         Differs("200 404 open", "nginx takes the chunk's own LF for the lone end of its line; here an end is CR LF")),
    *(Case("9112-7.1", f"a lone LF: {body!r}", chunked(body), "400 close", Differs("200 open", LONE_LF))
      for body in ("1\nx\r\n" + END, "1\r\nx\n" + END, "1;a\nx\r\n" + END, "1\r\nx\r\n0\n\r\n", "1\r\nx\r\n0\r\n\n",
                   "1\r\nx\r\n0\r\nT: u\n\r\n")),
    Case("9110-15.5.14", "a chunk larger than is taken", chunked("100001\r\n"), "413 close", Differs("200 waits",
                                                                                                     WAITS)),
    Case("9110-15.5.14", "the largest chunk there is", chunked("ffffffffffffffff\r\n"), "413 close", OVERFLOW),
    # --- 9112-7.1.1: extensions ---------------------------------------------------------------------
    *(Case("9112-7.1.1", f"an extension: {extension!r}", chunked(f"1{extension}\r\nx\r\n0{extension}\r\n\r\n"),
           "200 open",
           body=b"x")
      for extension in (";a", ";a=b", ";a=b;c=d", ';a="b c;,\\" d"', " ;a", "\t;\ta\t=\tb", "; a = b", ';a="\xe4"',
                        ";" + "a" * 500)),
    Case("9112-7.1.1", "an extension without a name", chunked("1;=b\r\nx\r\n" + END), "200 open", body=b"x",
         note="extensions are ignored, so their grammar is: a line ends where it ends"),
    Case("9112-7.1.1", "quotes that do not end", chunked('1;a="b\r\nx\r\n' + END), "200 open", body=b"x"),
    *(Case("9112-7.1.1", f"a control character in an extension: {c!r}", chunked(f"1;a{c}b\r\nx\r\n" + END + SMUGGLED),
           "400 close", Differs("200 404 open", EXTENSION)) for c in "\0\x01\x0b\x7f"),
    Case("9112-7.1.1", "a lone CR in an extension", chunked("1;a\rb\r\nx\r\n" + END + SMUGGLED), "400 close"),
    Case("9112-7.1.1", "a lone LF in an extension", chunked("1;a\nb\r\nx\r\n" + END + SMUGGLED), "400 close"),
    Case("9112-7.1.1", "an extension larger than a head may be", chunked("1;" + "a" * 40_000 + "\r\nx\r\n" + END),
         "431 close", Differs("200 open", NO_LIMIT)),
    # --- 9112-7.1.2: trailers -----------------------------------------------------------------------
    *(Case("9112-7.1.2", f"a trailer: {lines!r}", chunked(f"1\r\nx\r\n0\r\n{lines}\r\n\r\n"), "200 open", body=b"x")
      for lines in ("T: u", "T: u\r\nV:", "Host: b", "Connection: close", "Content-Length: 5", "Expect: miracles")),
    *(Case("9112-7.1.2", f"no trailer: {lines!r}", chunked(f"1\r\nx\r\n0\r\n{lines}\r\n\r\n" + SMUGGLED), "400 close",
           Differs("200 404 open", TRAILER))
      for lines in ("T : u", ": u", "T", "T: u\r\n v", " T: u", "T: u\0", "T: \x01", "T(: u",
                    "Transfer-Encoding: chunked")),
    Case("9112-7.1.2", "a lone CR in a trailer", chunked("0\r\nT: a\rb\r\n\r\n" + SMUGGLED), "400 close"),
    Case("9112-7.1.2", "a trailer larger than a head may be", chunked("0\r\nT: " + "a" * 40_000 + "\r\n\r\n"),
         "431 close",
         Differs("200 open", NO_LIMIT)),
    # --- 9112-9.3.2: pipelining -----------------------------------------------------------------------
    Case("9112-9.3.2", "answers come in the order of requests",
         ask(GET) + post("Content-Length: 1", body="x") + ask("GET /nowhere HTTP/1.1") + chunked("1\r\ny\r\n" + END)
         + ask("DELETE / HTTP/1.1") + ask(GET), "200 200 404 200 405 200 open"),
    Case("9112-9.3.2", "an empty line between requests", ask(GET) + b"\r\n" + ask(GET), "200 200 open"),
    Case("9112-9.3.2", "what was asked before a refused request is answered",
         ask(GET) + ask("GET /nowhere HTTP/1.1") + ask(GET, host=None) + ask(GET), "200 404 400 close"),
    Case("9112-9.3.2", "nothing behind a close is answered",
         ask(GET) + ask(GET, "Connection: close") + SMUGGLED.encode(), "200 200 close", in_one_piece=True),
    Case("9112-9.3.2", "content of a refused path is not the next request",
         ask("POST /nowhere HTTP/1.1", f"Content-Length: {len(SMUGGLED)}", body=SMUGGLED)
         + ask(POST.replace("/echo", "/"), CHUNKED, body=f"{len(SMUGGLED):x}\r\n{SMUGGLED}\r\n{END}"), "404 405 open"),
]
