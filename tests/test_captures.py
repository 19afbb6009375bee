"""Requests of real clients, byte for byte as their programs write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Setup
from tests.support.raw import OK, answer_text

CAPTURES = Path(__file__).parent / "captures"
FRENCH = "Съешь еще этих французских булок"


@pytest.mark.parametrize(
    ("name", "phone", "text", "sender"),
    [
        ("vendor-php-01-sms-get.https.req", "79031234567", FRENCH, "HitFM"),
        ("vendor-perl-01-sms-get.https.req", "79031234567", FRENCH, "HitFM"),
        ("php-client-a-01-sms-post.http.req", "123456789012", "Test Message\nGoes here", "SmsOnline"),
        ("php-client-a-02-sms-post-dlr-cyrillic.https.req", "380501234567", "Привет + мир & <b>", "MySite"),
        ("php-client-b-01-sms-get-dlr.https.req", "71234567890", 'Тест "message" 100% + &', "friendly_man"),
    ],
)
def test_a_text_send_is_accepted_and_arrives(setup: Setup, name: str, phone: str, text: str, sender: str) -> None:
    before = len(setup.sandbox.received)
    response = setup.exchange((CAPTURES / name).read_bytes())
    assert response.code == 0
    with_reports = "dlr" in name
    assert [each for each, _ in response.message_ids] == ([phone] if with_reports else [])
    assert with_reports or response.text == OK
    item = setup.sandbox.received[before]
    assert (item["to"], item["text"], item["from"], item["type"]) == (phone, text, sender, "sms")


def test_a_picture_is_refused_by_name(setup: Setup) -> None:
    response = setup.exchange((CAPTURES / "vendor-php-03-viber-send-multipart.https.req").read_bytes())
    assert response.text == answer_text(-3, "NOT SUPPORTED (image_id)")


def test_an_upload_is_answered_in_xml_until_uploads_are_built(setup: Setup) -> None:
    response = setup.exchange((CAPTURES / "vendor-php-02-viber-upload-multipart.http.req").read_bytes())
    assert response.text == answer_text(-1, "SYNTAX ERROR (path)")
