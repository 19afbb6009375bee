"""Values and guards of a mapping file: what is written in it, checked, and made into what evaluates it.

A value is a literal, a ``$reference``, a text with references in it, one of the functions below, or a tree of values.
Nothing else: no expressions, so a file can't loop, run away or reach what it was not given.

- ``{$each: $messages, ...}``: the rest of the mapping once for each message, as ``$message.id`` and so on; with a
  ``$value`` instead of a rest, that; with ``$key`` too, an object
- ``{$first: [a, b]}``: the first value that is there
- ``{$when: {name: value}, ...}``: the rest of the mapping if the guard holds, else nothing
- ``{$case: value, is: {word: value}, else: value}``: what stands for a value
- ``{$replace: text, what: part, by: value}``: a text with another part
- ``{$time: moment, as: format}``: a time as strftime writes it in the account's zone, or ``epoch`` for seconds
- ``{$text: value}`` and ``{$integer: value}``: a number as text, digits as a number (anything else is absent)
- ``$null``: a JSON null

A reference to something absent leaves its key out; a mapping in which nothing is left is left out too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.mapping.functions import (
    NOTHING,
    Case,
    Each,
    Evaluate,
    First,
    Guarded,
    Listed,
    Literal,
    Made,
    Mapped,
    Node,
    Reference,
    Scope,
    Template,
    Test,
    as_integer,
    as_text,
    evaluator,
    moment,
    pair,
    replaced,
    when_asked,
)
from gateway.mapping.operations import COLLECTIONS
from gateway.mapping.source import Origin, Problem, Source, Where, did_you_mean
from gateway.wire.forms import Fields

Holds = Callable[[Scope, Fields], bool]


class Null:
    """Stands for a JSON null, which an absent value is not: that leaves its key out."""


NULL = Null()
_REFERENCE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)")
_PRESENCE = {"$present": True, "$absent": False}
#: By name, the keys that go with it, those that may be missing in brackets.
_WITH = {
    "$first": (),
    "$case": ("is", "[else]"),
    "$replace": ("what", "by"),
    "$time": ("as",),
    "$text": (),
    "$integer": (),
}
#: Of which Python type what stands under a key must be, and how people call that.
_SHAPES = {
    "$first": ("$first", list, "a list"),
    "$case": ("is", dict, "a mapping"),
    "$replace": ("what", str, "a text"),
    "$time": ("as", str, "a text"),
}
FUNCTIONS = ("$each", "$when", *_WITH)
#: What is known of a member of a collection.
Collections = Mapping[str, tuple[str, tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One scalar of a compiled tree: where it goes, who made it, and how."""

    path: Where
    origin: Origin
    node: Node


@dataclass(frozen=True, slots=True)
class Value:
    """A compiled tree: ``evaluate`` builds it whole, ``leaves`` tells which line of the file made which part.

    ``uses`` are the names that it looks up: without any, it is always the same.
    """

    node: Node
    evaluate: Evaluate
    leaves: tuple[Leaf, ...]
    uses: frozenset[str]

    @classmethod
    def of(cls, node: Node, leaves: Iterable[Leaf], uses: frozenset[str]) -> Value:
        """What is evaluated by a function that is written when it is first asked."""
        return cls(node, when_asked(lambda: evaluator(node)), tuple(leaves), uses)


class Compiler:
    """Compiles the trees of one file; problems are gathered, not raised, so that all are told at once.

    ``used`` holds every name that a compiled tree or guard refers to: what the coverage lint calls mapped.
    """

    def __init__(self, source: Source, problems: list[Problem], collections: Collections = COLLECTIONS) -> None:
        self._source = source
        self._problems = problems
        self._collections = collections
        self._leaves: list[Leaf] = []
        self.used: set[str] = set()

    def complain(self, where: Where, text: str) -> None:
        """Note a problem at a place of the file."""
        self._problems.append(self._source.problem(where, text))

    def known_name(self, name: str, where: Where, known: Iterable[str]) -> None:
        """Note that ``name`` is used, and complain when it is none of ``known``."""
        self.used.add(name)
        if name not in known:
            self.complain(where, f"nothing is called '{name}' here{did_you_mean(name, known)}")

    def value(self, tree: Any, where: Where, known: Iterable[str]) -> Value:
        """Compile ``tree``, which stands at ``where``; its references must be among ``known``."""
        self._leaves = []
        node, uses = self._noting(lambda: self._tree(tree, where, frozenset(known), ()))
        return Value.of(node, self._leaves, uses)

    def _noting(self, compile_inner: Callable[[], Node]) -> tuple[Node, frozenset[str]]:
        """What is compiled, and the names that it uses."""
        outer, self.used = self.used, set()
        node = compile_inner()
        uses = frozenset(self.used)
        self.used = outer | uses
        return node, uses

    def _tree(self, tree: Any, where: Where, known: frozenset[str], path: Where) -> Node:
        if isinstance(tree, dict):
            function = next((key for key in tree if isinstance(key, str) and key.startswith("$")), None)
            return (
                self._function(function, tree, where, known, path)
                if function
                else self._mapping(tree, where, known, path)
            )
        if isinstance(tree, list):
            return self._list(tree, where, known, path)
        node = self._scalar(tree, where, known)
        self._leaves.append(Leaf(path, self._source.origin(where), node))
        return node

    def _mapping(self, tree: dict[str, Any], where: Where, known: frozenset[str], path: Where) -> Node:
        return Mapped([(key, self._tree(value, (*where, key), known, (*path, key))) for key, value in tree.items()])

    def _list(self, tree: list[Any], where: Where, known: frozenset[str], path: Where) -> Node:
        return Listed([self._tree(value, (*where, i), known, (*path, i)) for i, value in enumerate(tree)])

    def _scalar(self, tree: Any, where: Where, known: frozenset[str]) -> Node:
        if not isinstance(tree, str) or "$" not in tree:
            return Literal(tree)
        if tree == "$null":
            return Literal(NULL)
        for name in _REFERENCE.findall(tree):
            self.known_name(name, where, known)
        whole = _REFERENCE.fullmatch(tree)
        if whole:
            return Reference(whole[1])
        pieces = _REFERENCE.split(tree)
        return Template(pieces[::2], pieces[1::2])

    def _function(self, name: str, tree: dict[str, Any], where: Where, known: frozenset[str], path: Where) -> Node:
        if name == "$each":
            return self._each(tree, where, known, path)
        if name == "$when":
            return self._when(tree, where, known, path)
        if not self._is_well_formed(name, tree, where):
            return NOTHING
        if name == "$first":
            return First([self._tree(each, (*where, name, i), known, path) for i, each in enumerate(tree[name])])
        return self._of_one(name, tree, where, known, path)

    def _of_one(self, name: str, tree: dict[str, Any], where: Where, known: frozenset[str], path: Where) -> Node:
        """A function of a single value."""

        def inner(key: str) -> Node:
            return self._tree(tree.get(key), (*where, key), known, path)

        if name == "$case":
            table = {str(key): self._tree(each, (*where, "is", key), known, path) for key, each in tree["is"].items()}
            return Case(inner(name), table, inner("else"))
        if name == "$replace":
            return Made(replaced, inner(name), (Literal(tree["what"]), inner("by")))
        if name == "$time":
            self.used.add("zone")
            return Made(moment, inner(name), (Literal(tree["as"]), Reference("zone")))
        return Made(as_text if name == "$text" else as_integer, inner(name))

    def _is_well_formed(self, name: str, tree: dict[str, Any], where: Where) -> bool:
        """Whether a function has its keys and no others."""
        if name not in _WITH:
            self.complain((*where, name), f"no such function: {name}{did_you_mean(name, FUNCTIONS)}")
            return False
        needed = {name, *(key for key in _WITH[name] if not key.startswith("["))}
        allowed = needed | {key.strip("[]") for key in _WITH[name]}
        if not needed <= tree.keys() <= allowed:
            keys = ", ".join(f"'{key}'" for key in _WITH[name]).replace("[", "").replace("]", "")
            self.complain((*where, name), f"'{name}' goes with {keys or 'nothing else'}")
            return False
        key, kind, word = _SHAPES.get(name, (name, object, ""))
        if not isinstance(tree[key], kind):
            self.complain((*where, key), f"'{key}' is {word} here")
            return False
        return True

    def _when(self, tree: dict[str, Any], where: Where, known: frozenset[str], path: Where) -> Node:
        tests = self._tests(tree["$when"], (*where, "$when"), known)
        before = len(self._leaves)
        body = self._tree({key: value for key, value in tree.items() if key != "$when"}, where, known, path)
        self._leaves[before:] = [
            Leaf(leaf.path, leaf.origin, Guarded(tests, leaf.node)) for leaf in self._leaves[before:]
        ]
        return Guarded(tests, body)

    def _each(self, tree: dict[str, Any], where: Where, known: frozenset[str], path: Where) -> Node:
        name = str(tree["$each"]).removeprefix("$")
        if name not in self._collections:
            self.complain((*where, "$each"), f"'$each' goes over a collection{did_you_mean(name, self._collections)}")
            return NOTHING
        self.known_name(name, (*where, "$each"), known)
        element, fields = self._collections[name]
        inner = known | {f"{element}.{field}" for field in fields}
        make, uses = self._noting(lambda: self._each_body(tree, where, inner, path))
        members = Each(name, [(field, f"{element}.{field}") for field in fields if f"{element}.{field}" in uses], make)
        return Made(dict, members) if "$key" in tree else members

    def _each_body(self, tree: dict[str, Any], where: Where, known: frozenset[str], path: Where) -> Node:
        """What is made of each: a mapping, a value, or a key and a value."""
        rest = {key: each for key, each in tree.items() if key != "$each"}
        if not rest.keys() & {"$key", "$value"}:
            if any(str(key).startswith("$") for key in rest):
                self.complain((*where, "$each"), "'$each' goes with no other function: put that under a '$value'")
            return self._mapping(rest, where, known, path)
        if rest.keys() - {"$key"} != {"$value"}:
            self.complain((*where, "$each"), "'$each' goes with a '$value', or a '$key' and a '$value', or a rest")
        value = self._tree(tree.get("$value"), (*where, "$value"), known, path)
        if "$key" not in tree:
            return value
        return Made(pair, self._tree(tree["$key"], (*where, "$key"), known, path), (value,))

    def guard(self, tree: Mapping[str, Any] | None, where: Where, known: Iterable[str]) -> Holds:
        """Compile a guard over checked values; presence is looked up in the raw fields too."""
        return _all([_holds(test) for test in self._tests(tree, where, known)])

    def _tests(self, tree: Mapping[str, Any] | None, where: Where, known: Iterable[str]) -> list[Test]:
        names = frozenset(known)
        if tree is not None and not isinstance(tree, Mapping):
            self.complain(where, "a guard is a mapping, such as {name: value}")
            return []
        for name in tree or {}:
            self.known_name(name, (*where, name), names)
        return [_test(name, wanted) for name, wanted in (tree or {}).items()]


def _all(tests: Sequence[Holds]) -> Holds:
    """Most guards have no test or one, and every request goes through dozens of them."""
    if not tests:
        return lambda scope, fields: True
    first, *others = tests
    if not others:
        return first
    rest = _all(others)
    return lambda scope, fields: first(scope, fields) and rest(scope, fields)


def _test(name: str, wanted: Any) -> Test:
    if isinstance(wanted, str) and wanted in _PRESENCE:
        return Test(name, _PRESENCE[wanted])
    return Test(name, None, wanted if isinstance(wanted, list) else [wanted])


def _holds(test: Test) -> Holds:
    name, raw, is_there, allowed = test.name, test.name.encode(), test.is_there, test.allowed
    if is_there is None:
        return lambda scope, fields: scope.get(name) in allowed
    return lambda scope, fields: (scope.get(name) is not None or fields.last(raw) is not None) is is_there
