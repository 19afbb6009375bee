"""SMSBAT's checks of a sending call, with the error bodies of its public pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

MOST_MESSAGES = 5000
_TYPES = frozenset(
    (
        "sms",
        "viber_service",
        "viber_trans",
        "viber_promo",
        "viber_carousel",
        "viber_survey",
        "viber_otp",
        "viber_session",
        "flashcall_callback",
        "flashcall",
        "rcs",
    )
)


@dataclass(frozen=True, slots=True)
class Rejection(Exception):
    """A call that is refused as a whole."""

    status: int
    body: dict[str, Any]


def request_error(message: str, code: int, status: int = 400, reason: str = "Bad Request") -> Rejection:
    """In the shape of the error page."""
    return Rejection(status, {"status": status, "error": reason, "message": message, "code": code})


def message_error(code: str, message: str) -> Rejection:
    """In the shape of the sending page."""
    return Rejection(422, {"error": {"code": code, "message": message}})


def read_call(content_type: str, body: bytes) -> list[dict[str, Any]]:
    """The messages of a call. Raises ``Rejection``."""
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise request_error("Content-Type must be application/json", 1001, 415, "Unsupported Media Type")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise request_error("Invalid JSON", 1001) from error
    items = document.get("messages") if isinstance(document, dict) else None
    if not isinstance(items, list) or not items:
        raise request_error("Missing required field: 'messages'", 1001)
    if len(items) > MOST_MESSAGES:
        raise request_error(f"At most {MOST_MESSAGES} messages per request", 1001)
    for item in items:
        _check(item)
    return items


def _check(item: Any) -> None:
    if not isinstance(item, dict):
        raise request_error("A message must be an object", 1001)
    for field in ("from", "to", "type"):
        if not isinstance(item.get(field), str) or not item[field]:
            raise request_error(f"Missing required field: '{field}'", 1002)
    digits = item["to"].removeprefix("+")
    if not (digits.isascii() and digits.isdigit() and 7 <= len(digits) <= 15):
        raise message_error("INVALID_RECIPIENT", "Invalid phone number format")
    if item["type"] not in _TYPES:
        raise request_error(f"Unknown message type: '{item['type']}'", 1001)
    _check_text(item)


def _check_text(item: dict[str, Any]) -> None:
    text = item.get("text", "")
    if item["type"] == "sms" and not text:
        raise request_error("Missing required field: 'text'", 1002)
    if item["type"].startswith("viber") and len(str(text)) > 1000:
        raise message_error("MESSAGE_TOO_LONG", "Text is longer than 1000 characters")
