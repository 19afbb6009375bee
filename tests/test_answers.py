"""Answers of a dialect: what is rendered once, and what is rendered for each request."""

from __future__ import annotations

import json
from datetime import timedelta, timezone
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.mapping.answers import Answers, compile_answers
from gateway.mapping.schema.endpoint import Answer
from gateway.mapping.source import Problem, parse_source
from gateway.mapping.values import Compiler
from gateway.wire.forms import Fields

NO_FIELDS = Fields({})
NAMES = ("base", "error.status", "at", "messages")


def answers(*sections: dict[str, Any]) -> Answers:
    problems: list[Problem] = []
    compiler = Compiler(parse_source("a.yaml", "{}"), problems)
    made = compile_answers([Answer.model_validate(each) for each in sections], compiler, ("answers",), NAMES, "plain")
    assert not problems
    return made


def body(made: Answers, scope: dict[str, Any]) -> bytes:
    return made.give(scope, NO_FIELDS).body


def test_what_tells_nothing_of_a_request_is_rendered_once() -> None:
    made = answers({"xml": {"response": {"code": 0}}})
    assert body(made, {"base": "a"}) == b"<response>\n  <code>0</code>\n</response>\n"
    assert made.give({"base": "a"}, NO_FIELDS) is made.give({"base": "b"}, NO_FIELDS)


def test_a_status_of_the_error_is_that_of_each_request() -> None:
    made = answers({"status": "$error.status", "json": {"code": 0}})
    assert [made.give({"error.status": status}, NO_FIELDS).status for status in (400, 503)] == [400, 503]


def test_a_time_is_in_the_zone_of_each_account() -> None:
    made = answers({"json": {"is": {"$time": "$at", "as": "%H"}}})
    zones = [timezone(timedelta(hours=hours)) for hours in (2, 3)]
    assert [body(made, {"at": 0, "zone": zone}) for zone in zones] == [b'{"is": "02"}', b'{"is": "03"}']


def test_what_is_told_of_each_message_may_tell_of_the_request_too() -> None:
    messages = [{"id": "a", "number": 1}, {"id": "b", "number": None}]
    alone = answers({"json": {"ids": {"$each": "$messages", "$value": "$message.id"}}})
    assert body(alone, {"messages": messages, "base": "v1"}) == b'{"ids": ["a", "b"]}'
    both = answers({"json": {"ids": {"$each": "$messages", "of": "$base", "number": "$message.number"}}})
    assert body(both, {"messages": messages, "base": "v1"}) == b'{"ids": [{"of": "v1", "number": 1}, {"of": "v1"}]}'
    keyed = answers({"json": {"$each": "$messages", "$key": "$message.id", "$value": {"$first": ["$base", "$null"]}}})
    assert body(keyed, {"messages": messages}) == b'{"a": null, "b": null}'


#: Whatever an author may write that is no reference.
WORDS = st.text().filter(lambda word: "$" not in word)


@given(WORDS, WORDS, WORDS)
@example("it's", '"""', "\\")
@example("{scope}", "\n\x00", "'); import os; ('")
def test_no_word_of_a_file_is_taken_for_code(key: str, word: str, text: str) -> None:
    tree = {
        key: {word: text},
        "text": text + "$base " + word,
        "chosen": {"$case": "$base", "is": {word: text}, "else": key},
        "replaced": {"$replace": "$base", "what": word or " ", "by": text},
        "guarded": {"$when": {"base": [word]}, "is": word},
    }
    built = json.loads(body(answers({"json": {"tree": tree}}), {"base": word}))["tree"]
    assert built["chosen"] == text
    assert built["text"] == f"{text}{word} {word}"
    assert built["replaced"] == word.replace(word or " ", text)
    assert built["guarded"] == {"is": word}
    assert key in ("text", "chosen", "replaced", "guarded") or built[key] == {word: text}
