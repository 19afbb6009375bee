"""XML answers from trees in xmltodict's convention: ``@name`` is an attribute, ``#text`` the text, a list repeats.

Our own writer, because the bytes are the contract: two-space indent, LF line ends, one LF at the end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

#: What XML 1.0 can't carry in any form; also U+FFFE, U+FFFF and lone surrogates.
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
#: Whatever can't stand as it is in a text or an attribute; most values hold none of it.
_SPECIAL = re.compile("[^ !#-%'-;=?-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_ATTRIBUTE = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)


def unparse(tree: Mapping[str, Any], declaration: str | None) -> bytes:
    """The document as UTF-8, with ``declaration`` as its first line when given. Nodes are dicts, lists and scalars."""
    lines = [declaration] if declaration else []
    for name, node in tree.items():
        _element(lines, name, node, "")
    lines.append("")
    return "\n".join(lines).encode()


def _element(lines: list[str], name: str, node: Any, indent: str) -> None:
    if isinstance(node, dict):
        _nested(lines, name, node, indent)
    elif isinstance(node, list):
        for each in node:
            _element(lines, name, each, indent)
    else:
        lines.append(f"{indent}<{name}>{_escape(node, _TEXT)}</{name}>")


def _nested(lines: list[str], name: str, node: dict[str, Any], indent: str) -> None:
    attributes, text, children = "", "", []
    for key, value in node.items():
        if key[0] == "@":
            attributes += f' {key[1:]}="{_escape(value, _ATTRIBUTE)}"'
        elif key[0] == "#":
            text = value
        else:
            children.append((key, value))
    if not children:
        lines.append(f"{indent}<{name}{attributes}>{_escape(text, _TEXT)}</{name}>")
        return
    lines.append(f"{indent}<{name}{attributes}>")
    inner = indent + "  "
    for key, value in children:
        _element(lines, key, value, inner)
    lines.append(f"{indent}</{name}>")


def _escape(value: object, table: dict[int, str]) -> str:
    text = str(value)
    # No letter and no digit is special, and that is quicker to tell: most values are numbers and words.
    if text.isalnum() or not _SPECIAL.search(text):
        return text
    return _ILLEGAL.sub("\ufffd", text).translate(table)
