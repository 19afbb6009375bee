"""SMSBAT's answers in every documented shape, read into receipts."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from gateway.core.lifecycle import Status
from gateway.core.messages import Concern, Message, Outcome, Receipt
from gateway.mapping.accounts import Account
from gateway.mapping.loader import load
from gateway.mapping.upstream import UpstreamPlan
from tests.support.servers import MAPPINGS
from tests.support.stores import MESSAGE, NOW

ONE = [MESSAGE._replace(id="id-1", digits="380936670003")]
TWO = [*ONE, MESSAGE._replace(id="id-2", digits="380736670003")]


@pytest.fixture(scope="module")
def upstream() -> UpstreamPlan:
    return load([MAPPINGS, MAPPINGS / "demo"]).upstream


def read(upstream: UpstreamPlan, batch: list[Message], *entries: Any) -> list[Receipt] | None:
    return upstream.receipts(json.dumps({"messagelistId": 11292, "messages": entries}).encode(), batch)


GUIDE = {"messageId": 1546807, "from": "A", "to": "380936670003", "text": "t", "dtExpire": None, "partsCount": 2}
HELP = {"messageId": "abc123def456", "status": "accepted", "parts": 1, "to": "+380936670003"}


@pytest.mark.parametrize(
    ("entry", "receipt"),
    [
        (GUIDE | {"customerMessageId": "id-1"}, Receipt(Outcome.ACCEPTED, "1546807", 2)),
        (GUIDE | {"customerMessageId": None}, Receipt(Outcome.ACCEPTED, "1546807", 2)),
        (GUIDE, Receipt(Outcome.ACCEPTED, "1546807", 2)),
        (HELP | {"customerMessageId": "id-1"}, Receipt(Outcome.ACCEPTED, "abc123def456", 1)),
        (HELP, Receipt(Outcome.ACCEPTED, "abc123def456", 1)),
        ({"messageId": 5}, Receipt(Outcome.ACCEPTED, "5")),
        ({"messageId": 5, "partsCount": 2**70}, Receipt(Outcome.ACCEPTED, "5")),
        ({"messageId": "5", "status": "ACCEPTED", "new": {"key": []}}, Receipt(Outcome.ACCEPTED, "5")),
    ],
)
def test_an_accepted_entry(upstream: UpstreamPlan, entry: dict[str, Any], receipt: Receipt) -> None:
    assert read(upstream, ONE, entry) == [receipt]


@pytest.mark.parametrize(
    ("entry", "concern"),
    [
        ({"status": "rejected", "error": {"code": "INVALID_RECIPIENT", "message": "x"}}, Concern.RECIPIENT),
        ({"messageId": 5, "status": "failed", "error": "Invalid sender"}, Concern.SENDER),
        ({"status": "rejected", "code": "MESSAGE_TOO_LONG"}, Concern.TEXT),
        ({"error": "no idea"}, None),
        ({}, None),
        ("not an object", None),
    ],
)
def test_a_refused_entry(upstream: UpstreamPlan, entry: Any, concern: Concern | None) -> None:
    receipts = read(upstream, ONE, entry | {"customerMessageId": "id-1"} if isinstance(entry, dict) else entry)
    assert receipts is not None
    assert (receipts[0].outcome, receipts[0].concern) == (Outcome.INVALID, concern)


def test_entries_are_paired_by_id_in_any_order(upstream: UpstreamPlan) -> None:
    entries = [{"messageId": 2, "customerMessageId": "id-2"}, {"messageId": 1, "customerMessageId": "id-1"}]
    assert [each.upstream_id for each in read(upstream, TWO, *entries) or []] == ["1", "2"]


def test_entries_without_ids_are_paired_by_digits_in_any_order(upstream: UpstreamPlan) -> None:
    entries = [{"messageId": 2, "to": "+380 73 667 00 03"}, {"messageId": 1, "to": "380936670003"}]
    assert [each.upstream_id for each in read(upstream, TWO, *entries) or []] == ["1", "2"]


def test_the_same_number_twice_is_paired_by_position(upstream: UpstreamPlan) -> None:
    batch = [each._replace(digits="7") for each in TWO]
    entries = [{"messageId": 1, "to": "7"}, {"messageId": 2, "to": "7"}]
    assert [each.upstream_id for each in read(upstream, batch, *entries) or []] == ["1", "2"]


def test_no_entry_is_that_of_two_messages(upstream: UpstreamPlan) -> None:
    batch = [ONE[0]._replace(id=f"id-{i}", digits=digits) for i, digits in enumerate(("7", "7", "8"))]
    entries = [{"messageId": 1, "to": "8"}, {"messageId": 2, "to": "7"}, {"messageId": 3, "to": "7"}]
    assert [each.upstream_id for each in read(upstream, batch, *entries) or []] == ["2", "3", "1"]
    entries = [{"messageId": 1, "to": "8"}, {"messageId": 2, "to": "8"}, {"messageId": 3, "to": "7"}]
    assert [each.upstream_id for each in read(upstream, batch, *entries) or []] == [None, None, None]


def test_the_entry_in_its_place_unless_it_is_of_another_number(upstream: UpstreamPlan) -> None:
    same = [each._replace(digits="7") for each in TWO]
    refused = read(upstream, same, {"messageId": 1, "to": "7"}, {"error": "no idea"})
    assert [each.outcome for each in refused or []] == [Outcome.ACCEPTED, Outcome.INVALID]
    alone = read(upstream, [ONE[0]._replace(digits="0671234567")], {"messageId": 1, "to": "380671234567"})
    assert [each.upstream_id for each in alone or []] == ["1"]


def test_entries_that_name_nobody_are_paired_by_position(upstream: UpstreamPlan) -> None:
    entries = [{"messageId": 1}, {"messageId": 2}]
    assert [each.upstream_id for each in read(upstream, TWO, *entries) or []] == ["1", "2"]


def test_what_is_left_unpaired_is_unknown(upstream: UpstreamPlan) -> None:
    receipts = read(upstream, TWO, {"messageId": 1, "customerMessageId": "id-1"})
    assert [each.outcome for each in receipts or []] == [Outcome.ACCEPTED, Outcome.UNKNOWN]
    strangers = read(upstream, ONE, {"messageId": 1, "customerMessageId": "somebody-elses"})
    assert [each.outcome for each in strangers or []] == [Outcome.UNKNOWN]


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"messages": [{"mess', b"[]", b'{"messages": {}}', b"{}"])
def test_a_success_that_can_not_be_read(upstream: UpstreamPlan, body: bytes) -> None:
    assert upstream.receipts(body, ONE) is None


@pytest.mark.parametrize(
    ("status", "body", "outcome", "concern"),
    [
        (
            400,
            {"status": 400, "error": "Bad Request", "message": "Invalid phone", "code": 1003},
            "invalid",
            "recipient",
        ),
        (400, {"error": "Bad Request", "message": "Missing required field: 'messages'", "code": 1001}, "invalid", None),
        (
            422,
            {"error": {"code": "INVALID_RECIPIENT", "message": "Invalid phone number format"}},
            "invalid",
            "recipient",
        ),
        (422, {"error": {"code": "INVALID_PHONE", "message": "…", "field": "toPhone"}}, "invalid", "recipient"),
        (422, {"error": {"code": "INVALID_SENDER", "message": "x"}}, "invalid", "sender"),
        (422, {"error": {"code": "INVALID_ENCODING"}}, "invalid", "text"),
        (415, None, "invalid", None),
        (418, None, "invalid", None),
        (401, {"error": "Unauthorized"}, "authentication", None),
        (402, None, "balance", None),
        (403, {"error": "Forbidden"}, "forbidden", None),
        (403, {"error": "Forbidden", "message": "Insufficient funds"}, "balance", None),
        (400, {"error": {"code": "X", "message": "Your balance is too low"}}, "balance", None),
        (429, {"error": "Too Many Requests", "message": "…", "status": 429}, "rate_limited", None),
        (500, {"error": "balance service is down"}, "temporary", None),
        (503, None, "temporary", None),
        (302, None, "temporary", None),
    ],
)
def test_an_http_error(
    upstream: UpstreamPlan, status: int, body: dict[str, Any] | None, outcome: str, concern: str | None
) -> None:
    raw = b"<html>oops</html>" if body is None else json.dumps(body).encode()
    receipt = upstream.refusal(status, raw)
    assert (receipt.outcome, receipt.concern) == (outcome, concern)
    assert receipt.detail


def test_a_complaint_of_a_known_id(upstream: UpstreamPlan) -> None:
    for wording in ("customerMessageId is not unique", "Duplicate id"):
        assert upstream.says_duplicate(upstream.refusal(422, json.dumps({"error": {"message": wording}}).encode()))
    assert not upstream.says_duplicate(upstream.refusal(422, b'{"error": "Invalid phone"}'))
    assert not upstream.says_duplicate(upstream.refusal(500, b'{"error": "duplicate"}'))


def test_an_item_looks_up_what_it_uses_and_nothing_else(upstream: UpstreamPlan) -> None:
    account = Account("shop", "main", "guide-001", "viber_promo", {}, 5, False)
    message = MESSAGE._replace(channel="sms")
    # In the order of their names: channel, otp_template, plain, variant.
    decided = upstream.deciding(message, account, NOW)
    assert decided == ("sms", None, False, "guide-001")
    of_sms = upstream.choose(decided)
    assert of_sms.value.uses == {"sender", "digits", "text", "id"}
    assert of_sms.make(message, cast("Account", "nothing is asked of it"), NOW) == upstream.item(message, account, NOW)


def test_a_gap_among_what_is_told_hides_nothing(upstream: UpstreamPlan) -> None:
    told = upstream.hooks.read(b'[null, {"messageId": "5", "deliverystatus": "delivered"}, 7]', 1)
    assert [getattr(each, "status", None) for each in told] == [Status.DELIVERED]


def test_an_answer_behind_a_byte_order_mark(upstream: UpstreamPlan) -> None:
    body = b'\xef\xbb\xbf{"messages": [{"messageId": 5, "customerMessageId": "id-1"}]}'
    assert [each.upstream_id for each in upstream.receipts(body, ONE) or []] == ["5"]
