"""Requests that send the same names share what is known by them: that must change nothing of what is read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Refusal
from gateway.mapping.conversions import Means, Reading
from gateway.mapping.dialect import DialectPlan, EndpointPlan
from gateway.mapping.loader import load
from gateway.mapping.parameters import ParameterCheck, compile_parameters
from gateway.mapping.schema.parameter import Parameter
from gateway.mapping.source import Problem, parse_source
from gateway.mapping.values import Compiler
from gateway.wire.forms import Fields, read_fields
from tests.support.servers import MAPPINGS

PLAN = load([MAPPINGS, MAPPINGS / "demo"])
ENDPOINTS = [
    (dialect, endpoint) for dialect in PLAN.dialects.values() for endpoint in dialect.endpoints if endpoint.parameters
]
VALUES = [
    b"",
    b"0",
    b"1",
    b"60",
    b"viber",
    b"sms",
    b"cp1251",
    "Привет".encode(),
    b"\xcf\xf0",
    b"380501234567",
    b"http://a.b",
]
MEANS = Means({b"1": "https://gateway.example/1.png"}.get)


def shared(dialect: DialectPlan, endpoint: EndpointPlan, fields: Fields) -> dict[str, Any] | str:
    values: dict[str, Any] = {}
    try:
        dialect.check(endpoint, fields, MEANS, values)
    except Refusal as refusal:
        return str(refusal)
    return values


def one_by_one(dialect: DialectPlan, endpoint: EndpointPlan, fields: Fields) -> dict[str, Any] | str:
    charset = dialect.file.charset
    reading = Reading(fields, charset.default if charset else "utf-8", MEANS, {})
    try:
        if dialect.file.checks == "required-first":
            dialect._check_all_there(endpoint, reading)
        for parameter in endpoint.parameters:
            parameter.put(reading)
            if charset and parameter.name == charset.parameter:
                reading.codec = reading.values[parameter.name] or reading.codec
    except Refusal as refusal:
        return str(refusal)
    return reading.values


@given(st.data())
def test_shared_knowledge_changes_nothing(data: st.DataObject) -> None:
    dialect, endpoint = data.draw(st.sampled_from(ENDPOINTS))
    names = st.sampled_from([parameter.raw for parameter in endpoint.parameters])
    sent = data.draw(st.dictionaries(names, st.lists(st.sampled_from(VALUES), min_size=1, max_size=2)))
    fields = Fields(sent)
    expected = one_by_one(dialect, endpoint, fields)
    assert shared(dialect, endpoint, fields) == expected
    assert shared(dialect, endpoint, fields) == expected, "the second time it is remembered"


def compiled(**specs: dict[str, Any]) -> dict[str, ParameterCheck]:
    source, problems = parse_source("a.yaml", "{}"), list[Problem]()
    parameters = {name: Parameter.model_validate(spec) for name, spec in specs.items()}
    checks = compile_parameters(parameters, Compiler(source, problems), ("parameters",), 1, None)
    assert not problems
    return {check.name: check for check in checks}


def test_a_word_of_any_letters_is_read_as_the_file_spells_it() -> None:
    check = compiled(answer={"type": "choice", "values": ["Так"], "ignore_case": True})["answer"]
    reading = Reading(Fields({b"answer": ["Так".encode()]}), "utf-8", MEANS, {})
    check.put(reading)
    assert reading.values == {"answer": "Так"}


def test_an_array_inside_of_an_object_is_no_single_value() -> None:
    check = compiled(content={"type": "object", "members": {"text": {"type": "string"}}})["content"]
    fields = read_fields(b"", b"application/json", b'{"content":{"text":["a","b"]}}')
    with pytest.raises(Refusal, match="text"):
        check.put(Reading(fields, "utf-8", MEANS, {}))


def test_a_default_that_an_earlier_guard_asks_for_waits_for_its_turn() -> None:
    checks = compiled(
        early={"type": "string", "default": "x"},
        text={"type": "string", "required": [{"early": "x"}, {"late": "x"}, {"blank": "$present"}]},
        late={"type": "string", "default": "x"},
        blank={"type": "string"},
    )
    assert {name: check.early_default for name, check in checks.items()} == {
        "early": True,
        "text": False,
        "late": False,
        "blank": True,
    }
