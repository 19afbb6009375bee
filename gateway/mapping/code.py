"""Functions of Python that are written when a mapping file is first used, and run for every request.

What a file says is known long before the first request. A function written for it has nothing left to look up, ask or
pass on; objects that call each other take several times the steps. Names and texts of a file stand in it as literals
or as constants beside it, never as code.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

#: What is written as it is; everything else is a constant beside the function.
_LITERAL = (str, bytes, int, bool, type(None))


def _unknown(_code: Code, name: str) -> str:
    raise LookupError(f"nothing is called {name!r} here")


class Code:
    """The body of one function in the making; ``look_up`` is the expression for what a name of the file stands for."""

    def __init__(self, look_up: Callable[[Code, str], str] = _unknown) -> None:
        self._look_up = look_up
        self._names: list[Mapping[str, str]] = []
        self._lines: list[str] = []
        self._indent = " "
        self._variables = 0
        self._constants: dict[str, Any] = {}

    def line(self, text: str) -> None:
        """One more line."""
        self._lines.append(self._indent + text)

    @contextlib.contextmanager
    def under(self, head: str) -> Iterator[None]:
        """What is written meanwhile stands under a line such as ``if …``."""
        self.line(f"{head}:")
        before, self._indent = self._indent, self._indent + " "
        yield
        self._indent = before

    def constant(self, value: Any) -> str:
        """An expression for something that is always the same."""
        if type(value) in _LITERAL:
            return repr(value)
        name = f"c{len(self._constants)}"
        self._constants[name] = value
        return name

    def variable(self) -> str:
        """The name of a new variable."""
        self._variables += 1
        return f"v{self._variables}"

    def kept(self, expression: str) -> str:
        """A new variable that holds what an expression comes to."""
        name = self.variable()
        self.line(f"{name} = {expression}")
        return name

    def known(self, name: str) -> str:
        """An expression for what a name of the file stands for."""
        here = next((names[name] for names in reversed(self._names) if name in names), None)
        return here or self._look_up(self, name)

    @contextlib.contextmanager
    def knowing(self, names: Mapping[str, str]) -> Iterator[None]:
        """What is written meanwhile knows names of its own, by the expressions that they stand for."""
        self._names.append(names)
        yield
        self._names.pop()

    def function(self, parameters: str, result: str) -> Callable[..., Any]:
        """The function, which returns what an expression comes to."""
        source = "\n".join([f"def made({parameters}):", *self._lines, f" return {result}"])
        scope = self._constants
        exec(compile(source, "<mapping file>", "exec"), scope)  # noqa: S102 no word of a file stands in it as code
        made: Callable[..., Any] = scope["made"]
        return made
