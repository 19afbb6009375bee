"""XML answers, read back by strict parsers."""

import re
import xml.etree.ElementTree as ElementTree

import xmltodict
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.xml import unparse

LEGAL = st.text(
    st.characters(codec="utf-8").filter(lambda c: re.match("[\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", c))
)
TREE = {
    "response": {
        "tech_message": "OK",
        "code": 0,
        "msg_id": [{"@phone": "79", "#text": "a"}, {"@phone": "80", "#text": "b"}],
    }
}


def test_bytes_of_an_answer() -> None:
    assert unparse(TREE, '<?xml version="1.0"?>') == (
        b'<?xml version="1.0"?>\n<response>\n  <tech_message>OK</tech_message>\n  <code>0</code>\n'
        b'  <msg_id phone="79">a</msg_id>\n  <msg_id phone="80">b</msg_id>\n</response>\n'
    )


def test_the_convention_is_xmltodicts() -> None:
    assert xmltodict.parse(unparse(TREE, None)) == {"response": {**TREE["response"], "code": "0"}}


@given(LEGAL, LEGAL)
def test_any_text_comes_back(text: str, attribute: str) -> None:
    element = ElementTree.fromstring(unparse({"a": {"@b": attribute, "#text": text}}, '<?xml version="1.0"?>'))
    assert (element.text or "", element.attrib["b"]) == (text, attribute)


@given(st.text(st.characters(exclude_categories=())))
def test_no_text_breaks_the_answer(text: str) -> None:
    document = unparse({"response": {"code": -1, "tech_message": text, "x": {"@y": text}}}, None)
    assert ElementTree.fromstring(document).findtext("code") == "-1"
