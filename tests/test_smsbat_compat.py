"""SMSBAT's own Messagio compatibility: a second dialect from the same engine, without a line of code of its own."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Setup
from tests.support.raw import Response, post, signed, urlencoded

SECRET = "4Ab2ln4FEa32"
PHONE = "380501234001"


def send(setup: Setup, **parameters: Any) -> Response:
    chosen = {"user": "onvUser", "sign": SECRET, "from": "Sender", "sending_method": "viber", "phone": PHONE}
    pairs = [(name, str(value)) for name, value in {**chosen, **parameters}.items() if value is not None]
    return setup.exchange(post(urlencoded(pairs), target=b"/api/SendMessage"))


def error(code: int, text: str) -> str:
    return f"<response>\n  <code>{code}</code>\n  <tech_message>{text}</tech_message>\n</response>\n"


def test_the_raw_secret_and_an_id_always(setup: Setup) -> None:
    response = send(setup, txt="Привет")
    item = setup.received(PHONE)
    assert (item["text"], item["type"]) == ("Привет", "viber_promo")
    assert response.text == (
        "<response>\n  <code>0</code>\n  <tech_message>OK</tech_message>\n"
        f'  <msg_id phone="{PHONE}">{item["customerMessageId"]}</msg_id>\n</response>\n'
    )


def test_the_signature_of_the_original(setup: Setup) -> None:
    pairs = [*signed(phone=["380501234002", "380501234003"], txt="x"), ("sending_method", "viber")]
    response = setup.exchange(post(urlencoded(pairs), target=b"/api/SendMessage"))
    assert [phone for phone, _ in response.message_ids] == ["380501234002", "380501234003"]


def test_picture_text_and_button(setup: Setup) -> None:
    picture = "https://example.com/a.png"
    assert send(setup, phone="380501234004", image_link=picture).code == 0
    assert send(setup, phone="380501234005", image_link=picture, txt="t", button_text="b", button_link="l").code == 0
    alone, whole = setup.received("380501234004"), setup.received("380501234005")
    assert (alone["messageData"], "text" in alone) == ({"img": picture}, False)
    assert whole["messageData"] == {"img": picture, "buttonText": "b", "buttonAction": "l"}


@pytest.mark.parametrize(
    ("changed", "answer"),
    [
        ({"sign": "wrong"}, error(-1, "PARAM ERROR (sign)")),
        ({"sign": SECRET.lower()}, error(-1, "PARAM ERROR (sign)")),
        ({"sign": None}, error(-1, "PARAM ERROR (sign)")),
        ({"user": "nobody"}, error(-1, "PARAM ERROR (sign)")),
        ({"user": None}, error(-1, "PARAM ERROR (sign)")),
        ({"sending_method": "sms"}, error(-1, "PARAM ERROR (sending_method)")),
        ({"sending_method": None}, error(-1, "PARAM ERROR (sending_method)")),
        ({"sending_method": "viber_otp"}, error(-1, "PARAM ERROR (template_id)")),
        ({"from": None}, error(-1, "PARAM ERROR (from)")),
        ({"phone": "+380501234567"}, error(-1, "PARAM ERROR (phone)")),
        ({"txt": None}, error(-1, "PARAM ERROR (txt)")),
        ({"txt": "x" * 1001}, error(-1, "PARAM ERROR (txt)")),
        ({"button_text": "x" * 31, "button_link": "l"}, error(-1, "PARAM ERROR (button_text)")),
    ],
)
def test_refusals(setup: Setup, changed: dict[str, Any], answer: str) -> None:
    response = send(setup, **{"txt": "hello", **changed})
    assert (response.status, response.text) == (200, answer)


def test_other_paths_and_methods_below_api_answer_in_this_dialect(setup: Setup) -> None:
    assert setup.exchange(post(b"", target=b"/api/Other")).text == error(-1, "SYNTAX ERROR (path)")
    wrong_method = b"GET /api/SendMessage HTTP/1.1\r\nHost: x\r\n\r\n"
    assert setup.exchange(wrong_method).text == error(-1, "SYNTAX ERROR (method)")
