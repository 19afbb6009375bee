"""Heads of requests that HTTP parsers refuse and real clients send (wire: messagio.md, A2).

The vendor's PHP sample puts a sender's name with spaces and raw UTF-8 into the address without escaping it. The line is
rewritten as if the client had escaped those bytes. Headers that PHP's ``stream_context_create`` is given with a bare LF
between them are sent like that, and so are heads that were written by hand; RFC 9112 (2.2) lets a server take one for a
line's end, as nginx does. PHP does not see a length that was given so, and adds its own: one that is said again in the
same digits is said once (RFC 9110, 8.6). Everything else is left for the HTTP parser to judge.
"""

from __future__ import annotations

import re

_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) +(\S.*?) (HTTP/\d\.\d\r?\n)", re.DOTALL)
#: A line's end without its CR.
_BARE_LF = re.compile(rb"(?<!\r)\n")
#: As nearly all of them are, with nothing to repair.
_PLAIN = re.compile(rb"(?:GET|POST) /[!-~]* HTTP/1\.[01]\r\n")
#: The same of a head that may be cut off anywhere: method and what there is of an address.
_BEGINNING = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ +(\S+)")
_TO_ESCAPE = re.compile(rb"[ \x80-\xff]+")
_ESCAPED = [b"%%%02X" % byte for byte in range(256)]
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
#: What absolute addresses have before the path; which host it was, the Host header tells.
_AUTHORITY = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)

_HOST = re.compile(rb"\nhost:[ \t]*([^\r\n]*)", re.IGNORECASE)
_PORT = re.compile(r":\d*$")

#: A header that asks to leave HTTP/1.1. Java's client sends it with every plain request; a server may ignore it, but
#: the parser in use stops reading at it and loses the body.
_UPGRADE = re.compile(rb"(?<=\r\n)upgrade(?=:)", re.IGNORECASE)
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)[ \t]*(?=\r\n)", re.IGNORECASE)


def is_plain(head: bytes) -> bool:
    """Whether a head is as nearly all of them are: a usual method, and nothing to repair."""
    if _PLAIN.match(head) is None or _BARE_LF.search(head):
        return False
    lower = head.lower()
    return b"upgrade:" not in lower and lower.count(b"content-length:") < 2


def repair_head(head: bytes) -> bytes:
    """A request's head, up to and including its blank line, as an HTTP parser takes it."""
    line, newline, rest = _BARE_LF.sub(b"\r\n", head).partition(b"\n")
    if b"upgrade:" in rest.lower():
        rest = _UPGRADE.sub(b"x-ignored-upgrade", b"\r\n" + rest)[2:]
    return _with_one_length(repair(line + newline) + rest)


def _with_one_length(head: bytes) -> bytes:
    """A head without the repetitions of its length; one that contradicts itself stays as it is."""
    first = _LENGTH.search(head)
    if first is None or len(set(_LENGTH.findall(head))) > 1:
        return head
    return head[: first.end()] + _LENGTH.sub(b"", head[first.end() :])


def place_of(head: bytes) -> tuple[str, str]:
    """Host and path of a request's head, as far as they can be read; for one that can't, no host and the root."""
    line, cut = _LINE.match(head), _BEGINNING.match(head)
    meant = line[2] if line else cut[1] if cut else b""
    target = _AUTHORITY.sub(b"", meant, count=1)
    host = _HOST.search(head)
    path = target.partition(b"?")[0].decode("latin-1")
    return host_name(host[1]) if host else "", path if path.startswith("/") else "/"


def method_of(head: bytes) -> str | None:
    """The method of a well-formed request line; ``None`` when the line is none."""
    match = _LINE.match(head)
    return match[1].decode("ascii") if match else None


def repair(line: bytes) -> bytes:
    """The request line, up to and including its newline, with spaces and non-ASCII bytes of its target escaped.

    A target that does not begin with ``/`` gets one. A line of any other shape, or with control characters, comes back
    unchanged.
    """
    match = _LINE.fullmatch(line)
    if match is None or _CONTROL.search(match[2]):
        return line
    authority = _AUTHORITY.match(match[2])
    target = match[2][authority.end() :] if authority else match[2]
    if not target.startswith((b"/", b"*")):
        target = b"/" + target
    target = _TO_ESCAPE.sub(lambda run: b"".join([_ESCAPED[byte] for byte in run[0]]), target)
    return b"%b %b %b" % (match[1], target, match[3])


def host_name(header: bytes) -> str:
    """The name in a Host header, without its port."""
    text = header.decode("latin-1").strip().lower()
    return _PORT.sub("", text).removesuffix(".")
