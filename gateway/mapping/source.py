"""YAML files with the place of everything in them, so that an error can name file, line and column."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from gateway.errors import ConfigurationError

#: Aliases can make a small file stand for a huge tree.
MOST_NODES = 100_000
_QUOTED = re.compile(r"(['\"])[!&*\w][^'\"]{2,}\1")

#: Keys and indexes from the top of a file to one of its nodes.
Where = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """A place in a file; line and column count from 1."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong in a mapping file."""

    origin: Origin
    text: str

    def __str__(self) -> str:
        return f"{self.origin}: {self.text}"


class MappingError(ConfigurationError):
    """Mapping files that can't be used, with every problem found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(set(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


#: Line and column of each node, counted from 1.
Places = dict[Where, tuple[int, int]]


@dataclass(slots=True)
class Source:
    """One file: its plain content, which nobody changes, and the place of each node."""

    name: str
    content: Any = None
    places: Places = field(default_factory=dict)

    def origin(self, where: Iterable[str | int]) -> Origin:
        """The place of a node, or of the nearest one around it that the file really holds."""
        path = tuple(where)
        while path and path not in self.places:
            path = path[:-1]
        return Origin(self.name, *self.places.get(path, (1, 1)))

    def problem(self, where: Iterable[str | int], text: str) -> Problem:
        """A problem at a node."""
        return Problem(self.origin(where), text)


def read_source(path: Path) -> Source:
    """Read a YAML 1.2 file. Raises ``MappingError`` when it is no readable YAML."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MappingError([Problem(Origin(str(path)), f"can't be read: {_reason(error)}")]) from error
    return parse_source(str(path), text)


def _reason(error: Exception) -> str:
    return error.strerror or "unknown reason" if isinstance(error, OSError) else "not UTF-8"


def parse_source(name: str, text: str) -> Source:
    """The same for text that is already here."""
    try:
        return Source(name, *_parsed(text))
    except MarkedYAMLError as error:
        raise MappingError([_syntax_problem(name, error)]) from error
    except (YAMLError, ValueError, TypeError, RecursionError) as error:
        # The library builds numbers, dates and tagged values with Python's own constructors, which raise as they like.
        raise MappingError([Problem(Origin(name), "not readable as YAML")]) from error


@lru_cache(maxsize=32)
def _parsed(text: str) -> tuple[Any, Places]:
    """Content and places. Reading takes longer than all that follows, and most files of a reload have not changed."""
    places: Places = {}
    return _plain(YAML(typ="rt", pure=True).load(text), (), places), places


def _syntax_problem(name: str, error: MarkedYAMLError) -> Problem:
    mark = error.problem_mark
    origin = Origin(name, mark.line + 1, mark.column + 1) if mark else Origin(name)
    if isinstance(error, DuplicateKeyError):
        return Problem(origin, "this key stands here twice")
    # The library's words may quote what stands there, and that may be a secret.
    return Problem(origin, _QUOTED.sub("…", str(error.problem or "not readable as YAML")))


def _plain(node: Any, where: Where, places: Places) -> Any:
    if isinstance(node, CommentedMap):
        return {key: _child(node, key, _place_of(node, key), where, places) for key in node}
    if isinstance(node, CommentedSeq):
        return [_child(node, index, node.lc.item(index), where, places) for index in range(len(node))]
    return _scalar(node)


def _place_of(node: CommentedMap, key: Any) -> tuple[int, int]:
    """A key that a merge (``<<``) brought in stands elsewhere; its mapping's place must do."""
    place: tuple[int, int] = node.lc.key(key) if key in node.lc.data else (node.lc.line, node.lc.col)
    return place


def _child(node: Any, key: Any, place: tuple[int, int], where: Where, places: Places) -> Any:
    places[(*where, key)] = (place[0] + 1, place[1] + 1)
    if len(places) > MOST_NODES:
        raise ValueError("more than any mapping file holds")
    return _plain(node[key], (*where, key), places)


def _scalar(node: Any) -> Any:
    """Built-in types only: the loader's own remember quotes and digits, which nothing here asks for."""
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` - did you mean 'x'?`` when a known word is near, else nothing."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" - did you mean '{near[0]}'?" if near else ""
