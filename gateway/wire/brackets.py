"""Arrays in forms as PHP reads them: ``data[0][1]=x``, ``name[key]=x``, ``name[]=x`` (wire: smsby.md, 2)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

#: Deeper than any real client goes.
_DEEPEST = 8
_LARGEST_GAP = 1000
_STEP = re.compile(rb"\[([^\]]*)\]")


class _Node(dict[bytes, Any]):
    """An array while it is gathered; ``next`` is the key that ``[]`` stands for: one more than the largest number."""

    __slots__ = ("next",)

    def __init__(self) -> None:
        super().__init__()
        self.next = 0

    def key(self, step: bytes) -> bytes:
        """The key that a step names."""
        if not step:
            step = b"%d" % self.next
        if _is_number(step):
            self.next = max(self.next, int(step) + 1)
        return step


def tree_of(name: bytes, pairs: Iterable[tuple[bytes, bytes]]) -> Any:
    """The array or object called ``name`` among the fields of a form; ``None`` when there is none.

    Values are bytes.
    """
    root = _Node()
    for key, value in pairs:
        steps = _STEP.findall(key, len(name))
        if 0 < len(steps) <= _DEEPEST and key == name + b"".join([b"[%b]" % step for step in steps]):
            _put(root, steps, value)
    return _listed(root) if root else None


def _put(node: _Node, steps: list[bytes], value: bytes) -> None:
    for step in steps[:-1]:
        key = node.key(step)
        inner = node.get(key)
        if not isinstance(inner, _Node):
            inner = node[key] = _Node()
        node = inner
    node[node.key(steps[-1])] = value


def _is_number(key: bytes) -> bool:
    return key.isdigit() and len(key) < 10


def _listed(node: Any) -> Any:
    if not isinstance(node, _Node):
        return node
    return as_list({key: _listed(value) for key, value in node.items()})


def as_list(members: dict[bytes, Any]) -> list[Any] | dict[bytes, Any]:
    """An array as PHP means it: what has only numbers for keys is a list in which ``None`` stands for gaps."""
    if not members or not all(map(_is_number, members)):
        return members
    by_number = {int(key): value for key, value in members.items()}
    last = max(by_number)
    # Clients that leave out what is null leave gaps; a large number alone is none of a list.
    return [by_number.get(i) for i in range(last + 1)] if last < len(members) + _LARGEST_GAP else members
