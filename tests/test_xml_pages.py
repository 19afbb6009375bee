"""XML answers as their mapping files write them: the same bytes as those of the tree that the file evaluates to."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.mapping.source import Problem, parse_source
from gateway.mapping.values import Compiler, Value
from gateway.mapping.xml_pages import xml_page
from gateway.wire.xml import unparse

NAMES = ("code", "text", "nothing", "messages")
KNOWN = {"code": 0, "text": 'Tom & "Jerry" <3', "nothing": None}
SCALARS = st.sampled_from(["OK", "a < b", "", 0, -1, "$code", "$text", "$nothing", "$text: $code", "$null"])
IN_MESSAGES = SCALARS | st.sampled_from(["$message.id", "$message.recipient"])
KEYS = st.sampled_from(["@phone", "@at", "#text", "id", "code", "msg_id"])


def trees(scalars: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """What may stand under a key: mappings and lists of scalars, with a choice and a condition among them."""
    functions = st.builds(lambda each: {"$first": ["$nothing", each]}, scalars)
    guarded = st.dictionaries(KEYS, scalars, max_size=2).map(lambda each: {"$when": {"code": 0}, **each})
    return st.recursive(
        scalars | functions | guarded,
        lambda inner: st.dictionaries(KEYS, inner, max_size=4) | st.lists(inner, max_size=3),
        max_leaves=8,
    )


REPEATED = st.dictionaries(KEYS, trees(IN_MESSAGES), max_size=3).map(lambda each: {"$each": "$messages", **each})
VALUED = trees(IN_MESSAGES).map(lambda each: {"$each": "$messages", "$value": each})
MESSAGES = st.lists(
    st.fixed_dictionaries({"id": st.sampled_from(["a-1", None]), "recipient": st.sampled_from(["380", "<"])}),
    max_size=3,
)


def compiled(tree: Any) -> Value:
    problems: list[Problem] = []
    value = Compiler(parse_source("a.yaml", "{}"), problems).value(tree, ("xml",), NAMES)
    assert not problems
    return value


@given(st.dictionaries(KEYS, trees(SCALARS) | REPEATED | VALUED, max_size=4), MESSAGES, st.booleans())
@example({"msg_id": {"$each": "$messages", "@phone": "$message.recipient", "#text": "$message.id"}}, [], False)
@example({"msg_id": {"$each": "$messages", "@phone": "$nothing"}}, [{"id": None, "recipient": "1"}], False)
@example({"code": "$code"}, [], True)
def test_a_page_is_the_tree_written_out(
    inside: dict[str, Any], messages: list[dict[str, Any]], is_one_of_several: bool
) -> None:
    tree: Any = {"response": inside}
    page = compiled({"$first": [tree, "$nothing"]} if is_one_of_several else tree)
    scope = {**KNOWN, "messages": messages}
    assert xml_page(page.node, "<?xml?>")(scope) == unparse(page.evaluate(scope) or {}, "<?xml?>")
