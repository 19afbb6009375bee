"""XML answers, as code that writes them: what a mapping file says is written once, and only the rest each time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from gateway.mapping.code import Code
from gateway.mapping.functions import NOTHING, Each, Literal, Mapped, Node, Scope, evaluator, in_scope, when_asked
from gateway.wire.xml import STEP, attribute, element, nested, text_of, unparse


def xml_page(page: Node, declaration: str | None) -> Callable[[Scope], bytes]:
    """Writes the document that ``page`` evaluates to."""
    return when_asked(lambda: _writer(page, declaration))


def _writer(page: Node, declaration: str | None) -> Callable[[Scope], bytes]:
    if not isinstance(page, Mapped):
        evaluate = evaluator(page)
        return lambda scope: unparse(evaluate(scope) or {}, declaration)
    code = in_scope()
    lines = code.kept("[]")
    document = _Page(code, lines)
    document.text(f"{declaration}\n" if declaration else "")
    for name, node in page.members:
        document.element(name, node, "")
    document.written()
    return code.function("scope", f"''.join({lines}).encode()")


class _Page:
    """Code that appends what it writes to ``lines``; texts that are always the same are gathered."""

    def __init__(self, code: Code, lines: str) -> None:
        self._code = code
        self._lines = lines
        self._text = ""

    def text(self, text: str) -> None:
        """What is always there."""
        self._text += text

    def written(self) -> None:
        """What was gathered stands before whatever follows."""
        if self._text:
            self._code.line(f"{self._lines}.append({self._text!r})")
            self._text = ""

    def element(self, name: str, node: Node, indent: str) -> None:
        """The element of what ``node`` evaluates to, unless that is not there."""
        if isinstance(node, Literal):
            self.text("" if node.value is None else element(name, node.value, indent))
        elif isinstance(node, Mapped):
            # What is no name of an element is complained of elsewhere.
            self._mapping(name, {str(key): each for key, each in node.members}, indent)
        elif isinstance(node, Each):
            self.written()
            with node.over(self._code):
                self.element(name, node.make, indent)
                self.written()
        else:
            value = self._code.kept(node.write(self._code))
            with self._if(f"{value} is not None"):
                self._put(f"{self._code.constant(element)}({name!r}, {value}, {indent!r})")

    def _put(self, expression: str) -> None:
        self.written()
        self._code.line(f"{self._lines}.append({expression})")

    @contextmanager
    def _if(self, condition: str) -> Iterator[None]:
        self.written()
        with self._code.under(f"if {condition}"):
            yield
            self.written()

    def _mapping(self, name: str, members: Mapping[str, Node], indent: str) -> None:
        inside = [(key, node) for key, node in members.items() if not key.startswith(("@", "#"))]
        own = [(key, node) for key, node in members.items() if key.startswith("@")]
        attributes = self._attributes(own) if own else "''"
        if any(_is_always_there(node) for _, node in inside):
            self._nested(name, attributes, inside, indent)
        elif inside:
            self._perhaps_nested(name, attributes, inside, members.get("#text", NOTHING), indent)
        else:
            self._leaf(name, attributes, members.get("#text", NOTHING), indent)

    def _attributes(self, members: list[tuple[str, Node]]) -> str:
        """A variable that holds them as they are written."""
        written = []
        for key, node in members:
            value = self._code.kept(node.write(self._code))
            written.append(f"('' if {value} is None else {self._code.constant(attribute)}({key!r}, {value}))")
        return self._code.kept(" + ".join(written))

    def _nested(self, name: str, attributes: str, inside: list[tuple[str, Node]], indent: str) -> None:
        self.text(f"{indent}<{name}")
        if attributes != "''":
            self._put(attributes)
        self.text(">\n")
        for key, node in inside:
            self.element(key, node, indent + STEP)
        self.text(f"{indent}</{name}>\n")

    def _perhaps_nested(
        self, name: str, attributes: str, inside: list[tuple[str, Node]], text: Node, indent: str
    ) -> None:
        """What is inside is written first: without any of it, it is a leaf."""
        code, lines = self._code, self._code.kept("[]")
        page = _Page(code, lines)
        for key, node in inside:
            page.element(key, node, indent + STEP)
        page.written()
        with self._if(lines):
            self._put(f"{code.constant(nested)}({name!r}, {attributes}, {lines}, {indent!r})")
        with self._if(f"not {lines}"):
            self._leaf(name, attributes, text, indent)

    def _leaf(self, name: str, attributes: str, text: Node, indent: str) -> None:
        value, written = self._code.kept(text.write(self._code)), self._code.constant(text_of)
        with self._if(f"{value} is not None or {attributes}"):
            shown = f"('' if {value} is None else {written}({value}))"
            self._put(f"{f'{indent}<{name}'!r} + {attributes} + '>' + {shown} + {f'</{name}>' + chr(10)!r}")


def _is_always_there(node: Node) -> bool:
    if isinstance(node, Mapped):
        return any(_is_always_there(each) for _, each in node.members)
    return isinstance(node, Each) or (isinstance(node, Literal) and node.value is not None)
