"""Requests of real clients, byte for byte as their programs write them."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest

from tests.conftest import Setup
from tests.support.raw import OK, answer_text

CAPTURES = Path(__file__).parent / "captures"
#: The image_id in the captured request; it is not signed.
SAMPLE_ID = b"AVESK80000000000000000000000000000000000000000000000000000VHUQA8"
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


def test_the_vendors_picture_is_uploaded_sent_and_fetched(setup: Setup) -> None:
    """The sample uploads, puts the id it gets into its next request, and SMSBAT fetches the picture."""
    upload = (CAPTURES / "vendor-php-02-viber-upload-multipart.http.req").read_bytes()
    uploaded = setup.exchange(upload).json
    assert uploaded["status"] == 0
    send = (CAPTURES / "vendor-php-03-viber-send-multipart.https.req").read_bytes()
    before = len(setup.sandbox.received)
    assert setup.exchange(send.replace(SAMPLE_ID, uploaded["image_id"].encode())).text == OK
    item = setup.sandbox.received[before]
    assert (item["type"], item["to"], item["text"]) == ("viber_promo", "79261234567", "Тестовое сообщение в Viber")
    assert item["messageData"]["buttonAction"] == "http://sms-online.com/"
    with urllib.request.urlopen(item["messageData"]["img"]) as fetched:
        picture = fetched.read()
        assert fetched.headers["content-type"] == "image/jpeg"
    assert picture[:3] == b"\xff\xd8\xff"
    assert upload.partition(b"octet-stream\r\n\r\n")[2].startswith(picture + b"\r\n--")


def test_a_picture_that_was_never_uploaded(setup: Setup) -> None:
    response = setup.exchange((CAPTURES / "vendor-php-03-viber-send-multipart.https.req").read_bytes())
    assert response.text == answer_text(-1, "PARAM ERROR (image_id)")
