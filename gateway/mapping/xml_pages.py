"""XML answers, compiled: what stands in the mapping file is written once, and only the rest for each answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from gateway.mapping.functions import Each, Evaluate, Literal, Mapped, Scope
from gateway.wire.xml import STEP, attribute, document, element, leaf, nested, text_of, unparse

#: An element's lines; ``None`` when it is left out, as what it is made of is not there.
_Write = Callable[[Scope], str | None]


def xml_page(page: Evaluate, declaration: str | None) -> Callable[[Scope], bytes]:
    """Writes the document that ``page`` evaluates to."""
    if not isinstance(page, Mapped):
        return lambda scope: unparse(page(scope) or {}, declaration)
    writers = [_writer(name, node, "") for name, node in page.members]
    return lambda scope: document([written for write in writers if (written := write(scope))], declaration)


def _writer(name: str, node: Evaluate, indent: str) -> _Write:
    """Writes the element of what ``node`` evaluates to."""
    if isinstance(node, Literal):
        constant = None if node.value is None else element(name, node.value, indent)
        return lambda scope: constant
    if isinstance(node, Mapped):
        # What is no name of an element is complained of elsewhere.
        return _of_mapping(name, {str(key): each for key, each in node.members}, indent)
    if isinstance(node, Each):
        return _of_each(node, _writer(name, node.make, indent))
    return lambda scope: None if (value := node(scope)) is None else element(name, value, indent)


def _of_each(node: Each, write: _Write) -> _Write:
    return lambda scope: "".join([written for inner in node.scopes(scope) if (written := write(inner))])


def _of_mapping(name: str, members: Mapping[str, Evaluate], indent: str) -> _Write:
    attributes = _attributes([(key, node) for key, node in members.items() if key.startswith("@")])
    text = members.get("#text", Literal(None))
    inside = [_writer(key, node, indent + STEP) for key, node in members.items() if not key.startswith(("@", "#"))]

    def write(scope: Scope) -> str | None:
        written = attributes(scope)
        lines = [each for write_inner in inside if (each := write_inner(scope)) is not None] if inside else None
        if lines:
            return nested(name, written, lines, indent)
        value = text(scope)
        if value is None and not written:
            return None
        return leaf(name, written, "" if value is None else text_of(value), indent)

    return write


def _attributes(members: Sequence[tuple[str, Evaluate]]) -> Callable[[Scope], str]:
    """Most elements have none or one."""
    if not members:
        return lambda scope: ""
    (key, node), *others = members
    rest = _attributes(others) if others else None

    def write(scope: Scope) -> str:
        value = node(scope)
        written = "" if value is None else attribute(key, value)
        return written + rest(scope) if rest else written

    return write
