"""Answers of a dialect, compiled: the first whose guard holds, as status, headers and bytes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from gateway.mapping.functions import Scope
from gateway.mapping.schema.endpoint import Answer as AnswerSection
from gateway.mapping.source import Where
from gateway.mapping.values import Compiler, Holds, Value
from gateway.mapping.xml_pages import xml_page
from gateway.wire.forms import Fields
from gateway.wire.json import dump, dump_as_php

_CONTENT_TYPES = {
    "xml": "text/xml; charset=utf-8",
    "json": "application/json; charset=utf-8",
    "php": "application/json",
}
_STATUS = "$error.status"
_XML_KEY = re.compile(r"@?[A-Za-z_][\w.-]*|#text|\$each|\$first|\$when")


class Answer(NamedTuple):
    """What goes back to a legacy client."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class _Page:
    status: int | None
    content_type: bytes
    write: Callable[[Scope], bytes]

    def render(self, scope: Scope) -> Answer:
        body = self.write(scope)
        headers = ((b"content-type", self.content_type), (b"content-length", b"%d" % len(body)))
        return Answer(scope["error.status"] if self.status is None else self.status, headers, body)


@dataclass(frozen=True, slots=True)
class _Alternative:
    holds: Holds
    render: Callable[[Scope], Answer]


@dataclass(frozen=True, slots=True)
class Answers:
    """Alternatives in the order of the file; the loader sees to it that the last one always holds."""

    alternatives: tuple[_Alternative, ...]

    def give(self, scope: Scope, fields: Fields) -> Answer:
        """The answer for what is in ``scope``."""
        for each in self.alternatives[:-1]:
            if each.holds(scope, fields):
                return each.render(scope)
        return self.alternatives[-1].render(scope)


def compile_answers(
    sections: Sequence[AnswerSection], compiler: Compiler, where: Where, known: Iterable[str], json_style: str
) -> Answers:
    """Compile the alternatives that stand at ``where``; ``known`` are the names they may refer to."""
    names = frozenset(known)
    if sections[-1].when is not None:
        compiler.complain(
            (*where, len(sections) - 1, "when"), "the last answer needs no guard: one must always be given"
        )
    return Answers(
        tuple(_alternative(each, compiler, (*where, i), names, json_style) for i, each in enumerate(sections))
    )


def _check_names(tree: Any, compiler: Compiler, where: Where, top: bool = True) -> None:
    """An XML document is one element, and every key in it a legal name."""
    if isinstance(tree, list):
        for i, each in enumerate(tree):
            _check_names(each, compiler, (*where, i), top=False)
    if top and not (isinstance(tree, dict) and len(tree) == 1):
        compiler.complain(where, "an XML document is a mapping with one key, its root element")
    for key, value in tree.items() if isinstance(tree, dict) else ():
        if not isinstance(key, str) or not _XML_KEY.fullmatch(key):
            compiler.complain((*where, key), "this can't be the name of an element or attribute")
        _check_names(value, compiler, (*where, key), top=False)


def _alternative(
    section: AnswerSection, compiler: Compiler, where: Where, names: frozenset[str], json_style: str
) -> _Alternative:
    kind, tree = ("json", section.json_) if section.xml is None else ("xml", section.xml)
    if kind == "xml":
        _check_names(tree, compiler, (*where, kind))
    if section.status == _STATUS:
        compiler.known_name("error.status", (*where, "status"), names)
    as_php = kind == "json" and json_style == "php"
    document = compiler.value(tree, (*where, kind), names)
    page = _Page(
        status=None if isinstance(section.status, str) else section.status,
        content_type=(section.content_type or _CONTENT_TYPES["php" if as_php else kind]).encode(),
        write=xml_page(document.node, section.declaration) if kind == "xml" else _json_page(document, as_php),
    )
    is_constant = page.status is not None and not document.uses
    return _Alternative(
        compiler.guard(section.when, (*where, "when"), names), _once(page.render) if is_constant else page.render
    )


def _once(render: Callable[[Scope], Answer]) -> Callable[[Scope], Answer]:
    """What tells nothing of a request is rendered when it is first given."""
    rendered = cache(lambda: render({}))
    return lambda scope: rendered()


def _json_page(document: Value, as_php: bool) -> Callable[[Scope], bytes]:
    write = dump_as_php if as_php else dump
    return lambda scope: write({} if (tree := document.evaluate(scope)) is None else tree)
