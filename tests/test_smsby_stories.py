"""sms.by from the first request to the last: lists, mailings, replies, codes, and what SMSBAT tells meanwhile."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.settings import Address
from tests.conftest import Setup
from tests.support.servers import RunningSandbox, eventually, running_gateway, running_sandbox
from tests.support.smsby import call, post_json, result

HOOK = "hook-of-the-sms-by-tests"
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-1[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    """A gateway that SMSBAT tells what becomes of messages."""
    with running_sandbox(limited=False, pace=0.02) as sandbox:
        folder = tmp_path_factory.mktemp("smsby")
        with running_gateway(folder, sandbox.url, reports={"hook": HOOK}, smsby={}) as address:
            sandbox.tell_hook(address, HOOK)
            yield Setup(address, sandbox, folder / "gateway.db")


def stage(setup: Setup, mailing: int) -> list[str]:
    return [each["status"] for each in result(call(setup.address, "getViberDeliveryList", message_id=mailing))]


def contacts(address: Address, number: int, fields: list[str], rows: list[list[str]]) -> dict[str, Any]:
    document = {"list_id": str(number), "field_names": fields, "data": rows}
    imported: dict[str, Any] = result(post_json(address, "importContacts", document))
    return imported


def test_a_list_a_mailing_a_reply(told: Setup) -> None:
    address = told.address
    number = result(call(address, "createSubscriberList", name="Customers"))["list_id"]
    contacts = {"data": [["+999 22 0000001", "Anna"], ["none", "Boris"], ["999210000002", "Vera"]]}
    imported = result(
        post_json(address, "importContacts", {"list_id": number, "field_names": ["phone", "name"], **contacts})
    )
    assert imported == {
        "inserted": 2,
        "updated": 0,
        "invalid": 1,
        "log": [{"index": 1, "error_message": "incorrect phone number"}],
    }
    assert {"list_id": number, "name": "Customers", "count": 2} in result(call(address, "getSubscriberLists"))
    again = result(
        post_json(
            address, "importContacts", {"list_id": str(number), "field_names": ["phone"], "data": [["999210000002"]]}
        )
    )
    assert (again["inserted"], again["updated"]) == (0, 1)

    created = call(address, "sendViberMessageList", version="v2", vibername_id=444, list_id=number, message="News")
    assert result(created)["count_subscribers"] == 2
    mailing = result(created)["message_id"]
    assert stage(told, mailing) == ["NEW", "NEW"]
    assert result(call(address, "getViberMessageData", message_id=mailing))["status"] == "NEW"
    assert not [each for each in told.sandbox.received if each["text"] == "News"]

    assert call(address, "confirmViberMessage", message_id=mailing).text == '{"status":"OK"}'
    assert call(address, "confirmViberMessage", message_id=mailing).text == '{"status":"OK"}'
    eventually(lambda: len(_unread(told, mailing)) == 1)
    seen = [stage(told, mailing), stage(told, mailing)]
    assert seen == [["SENT", "SENT"], ["READ", "READ"]]
    assert len([each for each in told.sandbox.received if each["text"] == "News"]) == 2
    assert result(call(address, "getViberMessageData", message_id=mailing))["status"] == "SENT"

    reply = _unread(told, mailing)[0]
    assert (reply["phone"], reply["message"]) == ("999220000001", "Re: News")
    marked = call(address, "readResponseStatus", incoming_messages=f"{reply['id']}, 99999,x")
    assert marked.text == '{"status":"OK","result":"Number of flagged messages: 1"}'
    assert _unread(told, mailing) == []
    assert call(address, "readResponseStatus", incoming_messages=reply["id"]).json["result"].endswith(": 0")


def _unread(setup: Setup, mailing: int) -> list[dict[str, str]]:
    found: list[dict[str, str]] = result(call(setup.address, "getNewIncomingMessages", message_id=mailing))
    return found


def test_sent_is_seen_once_before_the_end(told: Setup) -> None:
    """A loop in use waits for exactly that."""
    sent = call(
        told.address, "sendQuickViberMessage", version="v2", vibername_id=444, phone="999010000001", message="Hi"
    )
    number = result(sent)["message_id"]
    shown = [result(call(told.address, "getViberDeliveryData", message_id=number))["status"]]
    while shown[-1] != "UNDELIVERED":
        shown.append(result(call(told.address, "getViberDeliveryData", message_id=number))["status"])
    assert list(dict.fromkeys(shown)) == ["NEW", "SENT", "UNDELIVERED"]
    assert result(call(told.address, "getViberDeliveryData", message_id=number))["error_code"] == 1


def test_a_message_that_smsbat_says_nothing_more_of_is_sent(told: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """A webhook may tell of nothing but ends, and a loop in use waits for SENT."""
    sent = call(told.address, "sendQuickSMS", message="Hi", phone="999140000001").json
    number = sent["sms_id"]
    assert call(told.address, "checkSMS", sms_id=number).json == {
        "sms_id": number,
        "sent": 0,
        "delivered": 0,
        "status": "NEW",
    }
    monkeypatch.setattr("gateway.store.asking._SOON", 0)
    checked = eventually(lambda: found if (found := _checked(told, number))["status"] == "SENT" else None) or {}
    assert time.time() - 60 < checked["sent"] <= time.time() + 1
    assert checked["delivered"] == 0


def _checked(setup: Setup, number: int) -> dict[str, Any]:
    found: dict[str, Any] = call(setup.address, "checkSMS", sms_id=number).json
    return found


def test_the_times_of_an_sms(told: Setup) -> None:
    text = call(told.address, "createSmsMessage", message="Hi", alphaname_id=1363).json["message_id"]
    number = call(told.address, "sendSms", message_id=text, phone="375290000077").json["sms_id"]
    checked = eventually(lambda: _delivered(told, number)) or {}
    assert time.time() - 60 < checked["sent"] <= checked["delivered"] <= time.time() + 1
    listed = result(call(told.address, "getSmsDeliveryList", message_id=text))
    assert [(each["phone"], each["status"]) for each in listed] == [(375290000077, "delivered")]
    assert told.sandbox.received[-1]["from"] == "VasheImya"


def _delivered(setup: Setup, number: int) -> dict[str, Any] | None:
    checked: dict[str, Any] = call(setup.address, "checkSMS", sms_id=number).json
    assert (checked["sent"], checked["delivered"]) == (0, 0) or checked["status"] != "NEW"
    return checked if checked["status"] == "DELIVERED" else None


def five_lists(callback: str) -> dict[str, Any]:
    """The seed's sample; of its five lists, two are made faulty as its answer shows them."""
    image, action = "https://example-site.com/images/image.jpg", "https://example-site.com/some_action"
    own = [("375291111111", 1), ("375292222222", 2)]
    personal = [{"phone": phone, "text": f"personal {i}", "button_link": f"{action}/{i}"} for phone, i in own]
    phones = ["375291111111", "375292222222"]

    def entry(number: int, kind: str, content: dict[str, str], delivery: list[Any]) -> dict[str, Any]:
        common = {"alphaname_id": "444", "name": f"mailing list {number}", "message_type": kind}
        return {**common, "schedule_time": "2024-10-30T22:56:00", "content": content, "delivery_list": delivery}

    button = {"type": "button", "image_url": image, "caption": "Push me"}
    return {
        "callback_url": callback,
        "messages": [
            entry(1, "personal", button, personal),
            entry(2, "personal", {"type": "text"}, personal),
            entry(3, "bulk", {**button, "image_url": "image.jpg", "button_link": action, "text": "text 3"}, phones),
            entry(4, "personal", {"type": "image", "image_url": image}, personal),
            entry(5, "bulk", {"type": "image", "image_url": image}, [*phones, "not a number"]),
        ],
    }


def test_the_seeds_five_lists_two_of_which_are_faulty(told: Setup) -> None:
    sandbox: RunningSandbox = told.sandbox
    before = len(sandbox.received)
    taken = post_json(told.address, "sendBulkViber", five_lists(f"{sandbox.url}/partner/ok/bulk"))
    assert re.fullmatch(
        r'{"uuid":"[0-9a-f]{8}-[0-9a-f]{4}-1[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}","success":"OK"}', taken.text
    )
    callback = eventually(lambda: [each for each in sandbox.told if each["path"] == "/partner/ok/bulk"])[0]
    assert callback["content_type"] == "application/json"

    status = call(told.address, "statusBulkViber", uuid=taken.json["uuid"])
    lists = status.json
    assert [each.get("name") for each in lists] == ["mailing list 1", "mailing list 2", None, None, "mailing list 5"]
    assert lists[2] == {"errors": ["mailing list 3: Content url is not valid"]}
    assert lists[3] == {"errors": ["mailing list 4: incorrect parameter content"]}
    assert list(lists[0]) == ["message_id", "name", "alphaname_id", "success"]
    assert lists[0]["alphaname_id"] == 444
    entry = lists[4]["success"][2]
    assert (entry["phone"], entry["status"]) == ("not a number", "UNDELIVERED")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}", entry["status_time"])
    assert {each["status"] for each in lists[0]["success"]} == {"SENT"}

    told_of = callback["told"]
    assert '"status":"DELIVERED"' in told_of
    assert call(told.address, "statusBulkViber", uuid=taken.json["uuid"]).text == told_of
    sent = sandbox.received[before:]
    assert sorted(each["text"] for each in sent if "text" in each) == 2 * ["personal 1"] + 2 * ["personal 2"]
    links = {each["messageData"].get("buttonAction") for each in sent if "messageData" in each}
    assert links == {None, "https://example-site.com/some_action/1", "https://example-site.com/some_action/2"}


def test_what_is_no_phone_is_listed_as_a_number_too(told: Setup) -> None:
    """For readers with types."""
    phones = ["375291111199", "none", "9" * 5000]
    nobody = {"name": "a", "alphaname_id": 1363, "message_type": "bulk", "text": "Hi", "delivery_list": phones}
    uuid = post_json(told.address, "sendBulkSms", {"messages": [nobody]}).json["uuid"]
    number = call(told.address, "statusBulkSms", uuid=uuid).json[0]["message_id"]
    listed = result(call(told.address, "getSmsDeliveryList", message_id=number))
    assert [each["phone"] for each in listed] == [375291111199, 0, 0]


def test_a_callback_goes_only_to_addresses_of_the_world(tmp_path: Path) -> None:
    with running_sandbox(pace=0.01) as sandbox:
        with running_gateway(tmp_path, sandbox.url, smsby={"private_callbacks": False}) as address:
            nobody = {"name": "a", "alphaname_id": 444, "content": {"text": "Hi"}, "delivery_list": ["none"]}
            lists = {"messages": [nobody], "callback_url": f"{sandbox.url}/partner/ok/private"}
            assert post_json(address, "sendBulkViber", lists).json["success"] == "OK"
            outcome = eventually(lambda: _rows(tmp_path, "SELECT outcome FROM callbacks WHERE outcome IS NOT NULL"))
        assert "address" in outcome[0][0]
        assert sandbox.told == []


def test_a_mailing_waits_for_its_time(told: Setup) -> None:
    number = result(call(told.address, "createSubscriberList", name="Later"))["list_id"]
    call(told.address, "importContacts", list_id=number, **{"field_names[]": "phone", "data[0][]": "375290000055"})
    later = time.strftime("%Y-%m-%d %H:%M", time.gmtime(time.time() + 3 * 3600 + 7200))
    created = call(told.address, "sendSmsList", list_id=number, message="Later", d_schedule=later)
    mailing = result(created)["message_id"]
    listed = result(call(told.address, "getSmsDeliveryList", message_id=mailing))
    assert listed == [{"phone": 375290000055, "status": "new", "d_sent": ""}]
    assert not [each for each in told.sandbox.received if each["to"] == "375290000055"]


# Codes


def test_a_flash_call_and_its_code(setup: Setup) -> None:
    called = call(setup.address, "flashCall", phone="+375 25 1234567", attempt=2, time_valid=60).json["data"]
    assert (called["phone"], called["time_valid"], called["attempt"]) == ("375251234567", "60", 2)
    item = setup.received("375251234567")
    assert (item["type"], item["from"], item["text"]) == ("flashcall", "FLASHCALL", called["code"])
    answers = {"phone": called["phone"], "fclid": called["fclid"]}
    wrong = call(setup.address, "confirmFlashCall", **answers, code="0")
    assert (wrong.status, wrong.text) == (400, '{"error":"incorrect parameter code"}')
    right = call(setup.address, "confirmFlashCall", **answers, code=called["code"]).json
    assert (right["status"], right["message"], right["data"]["valid"], right["data"]["quantity"]) == (
        "success",
        "Code confirmed",
        1,
        2,
    )
    used = call(setup.address, "confirmFlashCall", **answers, code=called["code"])
    assert used.text == '{"error":"incorrect parameter code"}'
    elsewhere = call(setup.address, "confirmFlashCall", **{**answers, "phone": "375251234568"}, code=called["code"])
    assert (elsewhere.status, elsewhere.text) == (404, '{"error":"not found"}')


def test_a_flash_call_with_used_up_attempts(setup: Setup) -> None:
    called = call(setup.address, "flashCall", phone="375251234000", code="123456", attempt=1).json["data"]
    assert called["code"] == "123456"
    answers = {"phone": called["phone"], "fclid": called["fclid"]}
    call(setup.address, "confirmFlashCall", **answers, code="1")
    assert call(setup.address, "confirmFlashCall", **answers, code="123456").status == 400


def test_codes_are_not_kept(tmp_path: Path) -> None:
    with running_sandbox() as sandbox, running_gateway(tmp_path, sandbox.url, smsby={}) as address:
        password = result(call(address, "createPasswordObject", type_id="letters", len=16))["password_object_id"]
        common = {"message": "Code %CODE%", "phone": "375291234567", "password_object_id": password}
        code = call(address, "sendSmsMessageWithCode", **common).json["code"]
        called = call(address, "flashCall", phone="375291234568", code="7418529630").json["data"]["code"]
        assert sandbox.received[0]["text"] == f"Code {code}"
        assert (len(code), code.isalpha(), code.isupper()) == (16, True, True)
        # The answer comes before the end is written down; the second message's is behind the first one's.
        kept = "SELECT content FROM messages UNION ALL SELECT hash FROM codes"
        eventually(lambda: not any(each in repr(_rows(tmp_path, kept)) for each in (code, called)))


def _rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    """What a reader of the database finds."""
    with sqlite3.connect(folder / "gateway.db") as connection:
        return connection.execute(query).fetchall()
