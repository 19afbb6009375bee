"""XML answers from trees in xmltodict's convention: ``@name`` is an attribute, ``#text`` the text, a list repeats.

Our own writer, because the bytes are the contract: two-space indent, LF line ends, one LF at the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

#: By which an element stands further in than the one around it.
STEP = "  "
#: What XML 1.0 can't carry in any form; also U+FFFE, U+FFFF and lone surrogates.
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
#: Whatever can't stand as it is in a text or an attribute; most values hold none of it.
_SPECIAL = re.compile("[^ !#-%'-;=?-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_ATTRIBUTE = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)


def unparse(tree: Mapping[str, Any], declaration: str | None) -> bytes:
    """The document of a tree."""
    return document([element(name, node) for name, node in tree.items()], declaration)


def document(elements: Iterable[str], declaration: str | None) -> bytes:
    """A document as UTF-8, with ``declaration`` as its first line when given."""
    return "".join((f"{declaration}\n" if declaration else "", *elements)).encode()


def element(name: str, node: Any, indent: str = "") -> str:
    """The lines of an element, or of several of one name. Nodes are dicts, lists and scalars."""
    if isinstance(node, dict):
        return _of_mapping(name, node, indent)
    if isinstance(node, list):
        return "".join([element(name, each, indent) for each in node])
    return leaf(name, "", text_of(node), indent)


def _of_mapping(name: str, node: dict[str, Any], indent: str) -> str:
    attributes = "".join([attribute(key, value) for key, value in node.items() if key[0] == "@"])
    inside = [element(key, value, indent + STEP) for key, value in node.items() if key[0] not in "@#"]
    if inside:
        return nested(name, attributes, inside, indent)
    return leaf(name, attributes, text_of(node.get("#text", "")), indent)


def leaf(name: str, attributes: str, text: str, indent: str) -> str:
    """An element with a text, both written already."""
    return f"{indent}<{name}{attributes}>{text}</{name}>\n"


def nested(name: str, attributes: str, inside: Iterable[str], indent: str) -> str:
    """An element with others inside, written already."""
    return f"{indent}<{name}{attributes}>\n{''.join(inside)}{indent}</{name}>\n"


def attribute(key: str, value: object) -> str:
    """An attribute; its key begins with an ``@``."""
    return f' {key[1:]}="{_escape(value, _ATTRIBUTE)}"'


def text_of(value: object) -> str:
    """A value as it stands in an element."""
    return _escape(value, _TEXT)


def _escape(value: object, table: dict[int, str]) -> str:
    text = str(value)
    # No letter and no digit is special, and that is quicker to tell: most values are numbers and words.
    if text.isalnum() or not _SPECIAL.search(text):
        return text
    return _ILLEGAL.sub("\ufffd", text).translate(table)
