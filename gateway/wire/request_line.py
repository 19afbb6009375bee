"""Request lines that HTTP parsers refuse and real clients send (wire: messagio.md, A2).

The vendor's PHP sample puts a sender's name with spaces and raw UTF-8 into the address without escaping it. The line is
rewritten as if the client had escaped those bytes; everything else is left for the HTTP parser to judge.
"""

from __future__ import annotations

import re

_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) +(\S.*?) (HTTP/\d\.\d\r?\n)", re.DOTALL)
_TO_ESCAPE = re.compile(rb"[ \x80-\xff]")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_PATHLESS = re.compile(rb"(?:https?://[^/?#]+)?(?=[?#]|$)", re.IGNORECASE)

#: A header that asks to leave HTTP/1.1. Java's client sends it with every plain request; a server may ignore it, but
#: the parser in use stops reading at it and loses the body.
_UPGRADE = re.compile(rb"(?<=\r\n)upgrade(?=:)", re.IGNORECASE)


def repair_head(head: bytes) -> bytes:
    """A request's head, up to and including its blank line, as an HTTP parser takes it."""
    line, newline, rest = head.partition(b"\n")
    rest = _UPGRADE.sub(b"x-ignored-upgrade", b"\r\n" + rest)[2:] if b"pgrade:" in rest else rest
    return repair(line + newline) + rest


def repair(line: bytes) -> bytes:
    """The request line, up to and including its newline, with spaces and non-ASCII bytes of its target escaped.

    A target without a path gets ``/``. A line of any other shape, or with control characters, comes back unchanged.
    """
    match = _LINE.fullmatch(line)
    if match is None or _CONTROL.search(match[2]):
        return line
    target = _TO_ESCAPE.sub(lambda byte: b"%%%02X" % byte[0][0], match[2])
    pathless = _PATHLESS.match(target)
    if pathless:
        target = pathless[0] + b"/" + target[pathless.end() :]
    return b"%b %b %b" % (match[1], target, match[3])
