"""JSON answers, in the bytes that the legacy servers wrote."""

from __future__ import annotations

import json
from typing import Any


def dump(tree: Any) -> bytes:
    """One line, with a blank behind each colon and comma, and nothing but ASCII (seed 002, 3)."""
    return json.dumps(tree, default=_null).encode()


def dump_as_php(tree: Any) -> bytes:
    """As PHP writes it: no blanks, nothing but ASCII, and every ``/`` escaped (wire: smsby.md, 3; seed 003)."""
    # A slash stands nowhere but inside of strings.
    return json.dumps(tree, default=_null, separators=(",", ":")).replace("/", "\\/").encode()


def _null(_value: object) -> None:
    """What JSON has no form for stands for nothing."""
