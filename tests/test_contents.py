"""A content in a row of the database."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.messages import Content, Otp
from gateway.store.contents import content_of, written

_TEXTS = st.none() | st.text()
_OTPS = st.builds(Otp, st.text(), st.text(), st.dictionaries(st.text(), st.text() | st.integers(0, 10**6)))


def test_what_a_message_does_not_have_takes_no_room() -> None:
    assert written(Content("Ваш заказ готов")) == '{"text":"Ваш заказ готов"}'


def test_a_row_of_an_earlier_version_is_read_as_it_was_written() -> None:
    row = '{"text":null,"image":"https://a.example/1.png","button_text":null,"button_link":null,"otp":null}'
    assert content_of(row) == Content(None, image="https://a.example/1.png")


@given(st.builds(Content, *[_TEXTS] * 7, st.none() | _OTPS))
def test_what_is_written_is_read(content: Content) -> None:
    assert content_of(written(content)) == content
