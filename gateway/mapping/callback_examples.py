"""Worked examples of callbacks: what SMSBAT tells of a message, and what its partner is told then."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from gateway.core.lifecycle import Reply, Report, steps
from gateway.mapping.callbacks import Facts
from gateway.mapping.dialect import DialectPlan
from gateway.mapping.hooks import HookPlan, NotTold
from gateway.mapping.schema.callbacks import CallbackExample
from gateway.mapping.source import Problem, Where
from gateway.mapping.telling import of_reply, of_status

_MESSAGE = "MESSAGE-1"


def failed_callbacks(plan: DialectPlan, hooks: HookPlan) -> Iterator[Problem]:
    """A problem for each example that gives other callbacks than it says."""
    for i, example in enumerate(plan.file.callback_examples):
        where: Where = ("callback_examples", i)
        if plan.callbacks is None or example.format not in plan.callbacks.formats:
            yield plan.source.problem((*where, "format"), f"no callback format '{example.format}' here")
            continue
        try:
            bodies = [plan.callbacks.formats[example.format].body(facts) for facts in _facts(example, hooks)]
        except NotTold as error:
            yield plan.source.problem((*where, "told"), f"example '{example.name}': {error}")
            continue
        told = [body.content.decode() for body in bodies if body]
        if told != example.callbacks:
            yield plan.source.problem((*where, "callbacks"), f"example '{example.name}': the callbacks are {told}")


def _facts(example: CallbackExample, hooks: HookPlan) -> Iterator[Facts]:
    for told in hooks.read(orjson.dumps(example.told), now=0):
        if isinstance(told, Report):
            for status in steps(None, told.status):
                leg = told.channel or example.channel
                yield of_status(_MESSAGE, example.reference, status, told.reason, (example.channel, leg))
        elif isinstance(told, Reply):
            yield of_reply(_MESSAGE, example.reference, told)
