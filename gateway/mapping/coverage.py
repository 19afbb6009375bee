"""The coverage lint: every documented parameter is mapped, refused, or ignored by name with a reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.mapping.dialect import DialectPlan
from gateway.mapping.schema.endpoint import Endpoint
from gateway.mapping.schema.parameter import Parameter
from gateway.mapping.source import Problem, Where, did_you_mean


@dataclass(frozen=True, slots=True)
class Coverage:
    """What becomes of one parameter: ``mapped``, ``refused``, ``ignored``, or ``left over``.

    ``endpoint`` is the path of an endpoint with parameters of its own, blank for those of the dialect.
    """

    endpoint: str
    parameter: str
    fate: str
    why: str
    where: Where


def coverage(plan: DialectPlan) -> list[Coverage]:
    """A row for every parameter of a dialect, in the order of the file."""
    everywhere = frozenset(name for _, name in plan.used)
    rows = [*_rows("", plan.file.parameters, everywhere, ("parameters",))]
    for i, endpoint in enumerate(plan.file.endpoints):
        if isinstance(plan.file.documented, dict) and not endpoint.parameters:
            rows += [
                Coverage(path, "", "mapped", "no parameters of its own", ("endpoints", i)) for path in _paths(endpoint)
            ]
        for path in _paths(endpoint) if endpoint.parameters else ():
            used = frozenset(name for each, name in plan.used if each == i)
            rows += _rows(path, endpoint.parameters or {}, used, ("endpoints", i, "parameters"))
    return rows


def _paths(endpoint: Endpoint) -> list[str]:
    return list(dict.fromkeys(line.partition(" ")[2] for line in endpoint.on))


def _rows(path: str, specs: Mapping[str, Parameter], used: frozenset[str], where: Where) -> Iterator[Coverage]:
    # What makes another one wrong is looked at.
    used |= {name for spec in specs.values() for guard in spec.wrong_when for name in guard}
    for name, spec in specs.items():
        yield _row(path, name, spec, used, (*where, name))
        if spec.type == "list":
            # What an entry is that is no object, is looked at when the list is.
            within = used | {spec.bare} if spec.bare and name in used else used
            inner = _rows(path, spec.members or {}, within, (*where, name, "members"))
            yield from (replace(row, parameter=f"{name}.{row.parameter}") for row in inner)
        elif spec.type == "object":
            within = frozenset(each.removeprefix(f"{name}.") for each in used if each.startswith(f"{name}."))
            inner = _rows(path, spec.members or {}, within, (*where, name, "members"))
            yield from (replace(row, parameter=f"{name}.{row.parameter}") for row in inner)


def _row(path: str, name: str, spec: Parameter, used: frozenset[str], where: Where) -> Coverage:
    if spec.refused:
        except_for = f" (accepted: {', '.join(map(str, spec.accepted))})" if spec.accepted else ""
        return Coverage(path, name, "refused", spec.refused + except_for, where)
    if name in used or any(each.startswith(f"{name}.") for each in used):
        return Coverage(path, name, "mapped", spec.otherwise or "", where)
    fate = "ignored" if spec.ignored else "left over"
    return Coverage(path, name, fate, spec.ignored or "", where)


def uncovered(plan: DialectPlan) -> Iterator[Problem]:
    """What the lint complains of."""
    rows = coverage(plan)
    for row in rows:
        if row.fate == "left over":
            text = f"'{row.parameter}' is declared, and nothing uses it: map it, or say why it is refused or ignored"
            yield plan.source.problem(row.where, text)
    if isinstance(plan.file.documented, dict):
        yield from _undocumented_methods(plan, plan.file.documented, rows)
    else:
        yield from _differences(plan, "", plan.file.documented, rows, ("documented",))


def _undocumented_methods(
    plan: DialectPlan, documented: Mapping[str, list[str]], rows: Sequence[Coverage]
) -> Iterator[Problem]:
    paths = dict.fromkeys(path for endpoint in plan.file.endpoints for path in _paths(endpoint))
    for path in documented.keys() - paths.keys():
        text = f"'{path}' is documented, and no endpoint is there{did_you_mean(path, paths)}"
        yield plan.source.problem(("documented", path), text)
    for path in paths:
        if path not in documented:
            yield plan.source.problem(("endpoints",), f"'{path}' is not among 'documented'")
            continue
        yield from _differences(plan, path, documented[path], rows, ("documented", path))


def _differences(
    plan: DialectPlan, path: str, documented: Sequence[str], rows: Sequence[Coverage], where: Where
) -> Iterator[Problem]:
    declared = {row.parameter: row for row in rows if row.endpoint in ("", path) and row.parameter}
    for i, name in enumerate(documented):
        if name not in declared:
            text = f"'{name}' is documented, and 'parameters' does not say what becomes of it"
            yield plan.source.problem((*where, i), text + did_you_mean(name, declared))
    for name, row in declared.items():
        if name not in documented:
            yield plan.source.problem(row.where, f"'{name}' is not among 'documented'")
