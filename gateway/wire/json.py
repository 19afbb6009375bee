"""JSON answers, in the bytes that the legacy servers wrote."""

from __future__ import annotations

import json
import re
from typing import Any


def dump(tree: Any) -> bytes:
    """One line, with a blank behind each colon and comma, and nothing but ASCII (seed 002, 3)."""
    return json.dumps(tree, default=_null).encode()


def dump_as_php(tree: Any) -> bytes:
    """As PHP writes it: no blanks, nothing but ASCII, and every ``/`` escaped (wire: smsby.md, 3; seed 003)."""
    # A slash stands nowhere but inside of strings; DEL is ASCII to PHP, and nothing to escape.
    written = json.dumps(tree, default=_null, separators=(",", ":")).replace("/", "\\/")
    return (_ESCAPED.sub(_without_del, written) if "\\u007f" in written else written).encode()


_ESCAPED = re.compile(r"\\(?:u007f|.)")


def _without_del(escaped: re.Match[str]) -> str:
    return "\x7f" if escaped[0] == "\\u007f" else escaped[0]


def _null(_value: object) -> None:
    """What JSON has no form for stands for nothing."""
