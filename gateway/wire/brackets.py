"""Arrays in forms as PHP reads them: ``data[0][1]=x``, ``name[key]=x``, ``name[]=x`` (wire: smsby.md, 2)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

#: Deeper than any real client goes.
_DEEPEST = 8
_STEP = re.compile(rb"\[([^\]]*)\]")

_Node = dict[bytes, Any]


def tree_of(name: bytes, pairs: Iterable[tuple[bytes, bytes]]) -> Any:
    """The array or object called ``name`` among the fields of a form; ``None`` when there is none.

    Values are bytes. What has only numbers for keys is a list, in the order of those numbers.
    """
    root: _Node = {}
    for key, value in pairs:
        steps = _STEP.findall(key, len(name))
        if 0 < len(steps) <= _DEEPEST and key == name + b"".join(b"[%b]" % step for step in steps):
            _put(root, steps, value)
    return _listed(root) if root else None


def _put(node: _Node, steps: list[bytes], value: bytes) -> None:
    for step in steps[:-1]:
        key = step or _next(node)
        inner = node.get(key)
        if not isinstance(inner, dict):
            inner = node[key] = {}
        node = inner
    node[steps[-1] or _next(node)] = value


def _next(node: _Node) -> bytes:
    """The key that ``[]`` stands for: one more than the largest number."""
    return b"%d" % (max((int(key) for key in node if _is_number(key)), default=-1) + 1)


def _is_number(key: bytes) -> bool:
    return key.isdigit() and len(key) < 10


def _listed(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    inner = {key: _listed(value) for key, value in node.items()}
    if all(map(_is_number, inner)):
        return [value for _, value in sorted(inner.items(), key=lambda each: int(each[0]))]
    return inner
