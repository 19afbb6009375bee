"""The coverage lint: every documented parameter is mapped, refused, or ignored by name with a reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.mapping.dialect import DialectPlan
from gateway.mapping.schema.dialect import Parameter
from gateway.mapping.source import Problem, did_you_mean


@dataclass(frozen=True, slots=True)
class Coverage:
    """What becomes of one parameter: ``mapped``, ``refused``, ``ignored``, or ``left over``."""

    parameter: str
    fate: str
    why: str


def coverage(plan: DialectPlan) -> list[Coverage]:
    """A row for every parameter of a dialect, in the order of the file."""
    return [_row(plan, name, spec) for name, spec in plan.file.parameters.items()]


def _row(plan: DialectPlan, name: str, spec: Parameter) -> Coverage:
    if spec.refused:
        except_for = f" (accepted: {', '.join(map(str, spec.accepted))})" if spec.accepted else ""
        return Coverage(name, "refused", spec.refused + except_for)
    if name in plan.used:
        return Coverage(name, "mapped", spec.otherwise or "")
    return Coverage(name, "ignored", spec.ignored) if spec.ignored else Coverage(name, "left over", "")


def uncovered(plan: DialectPlan) -> Iterator[Problem]:
    """What the lint complains of."""
    source, declared = plan.source, plan.file.parameters
    for row in coverage(plan):
        if row.fate == "left over":
            text = f"'{row.parameter}' is declared, and nothing uses it: map it, or say why it is refused or ignored"
            yield source.problem(("parameters", row.parameter), text)
    for i, name in enumerate(plan.file.documented):
        if name not in declared:
            text = f"'{name}' is documented, and 'parameters' does not say what becomes of it"
            yield source.problem(("documented", i), text + did_you_mean(name, declared))
    for name in declared:
        if name not in plan.file.documented:
            yield source.problem(("parameters", name), f"'{name}' is not among 'documented'")
