"""Text as legacy clients write it: charsets and newlines."""

from __future__ import annotations

import re

#: Newline forms seen in real requests (wire: messagio.md, A3): real ones, escaped ones, and HTML breaks with or
#: without a real newline after them. Upper case is HTML's alone: ``C:\NEW`` is a text.
_NEWLINE = re.compile(r"(?i:<br ?/?>)(?:\r\n|\n|\r)?|\r\n|\r|\\r\\n|\\n|\\r")


class Undecodable(ValueError):
    """Bytes that are no text in the charset they were declared to be in."""


def decode(raw: bytes, codec: str) -> str:
    """Strictly decoded text. Raises ``Undecodable``, also for NUL, which no message and no store can hold."""
    try:
        text = raw.decode(codec)
    except UnicodeDecodeError as error:
        raise Undecodable(f"not {codec}") from error
    if "\0" in text:
        raise Undecodable("holds NUL")
    return text


def normalize_newlines(text: str) -> str:
    """Every newline form as one LF. Only after the signature check: clients sign what they send."""
    # Most texts are one line, and to look for that is much quicker.
    may_break = "\r" in text or "\\" in text or "<" in text
    return _NEWLINE.sub("\n", text) if may_break else text
