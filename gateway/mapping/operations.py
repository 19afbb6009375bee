"""What operations work on and what they find, in neutral words: what a dialect file may refer to.

The operations themselves are code; here is only how files speak of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: What can be kept for an account under a number, and what is known of each kind.
RECORDS: Mapping[str, tuple[str, ...]] = {
    "text": ("text", "channel", "sender", "sender_id", "title", "name", "due_at", "parts"),
    "viber_text": ("text", "channel", "sender", "sender_id", "title", "name", "due_at"),
    "password": ("alphabet", "length"),
    "list": ("name",),
}
_OF_EVERY_RECORD = ("number", "created_at", "count")
#: Of one kept by this number, parameters of type ``record`` know all of this.
RECORD_NAMES = {kind: (*_OF_EVERY_RECORD, *names) for kind, names in RECORDS.items()}
_ANY_RECORD = tuple(dict.fromkeys(name for names in RECORD_NAMES.values() for name in names))

_MAILING = (
    *("number", "name", "kind", "text", "button_text", "button_link", "image", "stage", "created_at", "due_at"),
    *("count", "sender_id", "problem"),
)
_DELIVERY = ("number", "phone", "stage", "sent_at", "delivered_at", "changed_at")

#: What ``$each`` goes over: what one of them is called, and what is known of it.
COLLECTIONS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "messages": ("message", ("id", "recipient", "number")),
    "records": ("record", _ANY_RECORD),
    "mailings": ("mailing", (*_MAILING, "deliveries")),
    "deliveries": ("delivery", _DELIVERY),
    "mailing.deliveries": ("delivery", _DELIVERY),
    "replies": ("reply", ("number", "phone", "text", "at")),
    "problems": ("problem", ("index", "text")),
}
#: What is known of an entry of one of an account's tables of names.
NAME_FIELDS = ("id", "name", "title")


@dataclass(frozen=True, slots=True)
class OperationSpec:
    """``inputs`` that must be there, those that may be, and what answers may refer to.

    ``may_be_unknown``: what it is asked for may not be there.
    """

    inputs: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    may_be_unknown: bool = False


def _object(name: str, *fields: str) -> tuple[str, ...]:
    return tuple(f"{name}.{each}" for each in fields)


_PAGE = ("offset", "limit")
_FIELDS = tuple(dict.fromkeys(name for names in RECORDS.values() for name in names))
_SENT = ("messages", *_object("sent", "id", "number", "parts", "length"))
_FOUND = _object("found", *_DELIVERY)
OPERATIONS: Mapping[str, OperationSpec] = {
    "answer": OperationSpec(),
    "send": OperationSpec(results=_SENT),
    "send_code": OperationSpec(("code", "attempts", "seconds"), results=(*_SENT, "call.id")),
    "confirm_code": OperationSpec(
        ("id", "phone", "code"), (), _object("confirmed", "at", "tries"), may_be_unknown=True
    ),
    "status": OperationSpec(("message",), results=_FOUND, may_be_unknown=True),
    "create": OperationSpec(("kind",), _FIELDS, _object("record", *_ANY_RECORD)),
    "edit": OperationSpec(("kind", "record"), _FIELDS),
    "remove": OperationSpec(("kind", "record")),
    "list": OperationSpec(("kind",), _PAGE, ("records",)),
    "import_contacts": OperationSpec(
        ("list", "fields", "rows"),
        results=("problems", *_object("imported", "inserted", "updated", "invalid")),
    ),
    "create_mailing": OperationSpec(("list",), ("confirmed",), _object("mailing", *_MAILING)),
    "confirm_mailing": OperationSpec(("mailing", "channel"), may_be_unknown=True),
    "mailings": OperationSpec(("channel",), _PAGE, ("mailings",)),
    "mailing": OperationSpec(("mailing", "channel"), results=_object("mailing", *_MAILING), may_be_unknown=True),
    "deliveries": OperationSpec(("batch", "channel"), _PAGE, ("deliveries",), may_be_unknown=True),
    "send_bulk": OperationSpec(("mailings",), ("callback",), ("bulk.id",)),
    "bulk_status": OperationSpec(("bulk",), results=("mailings",), may_be_unknown=True),
    "replies": OperationSpec(("batch",), results=("replies",), may_be_unknown=True),
    "mark_read": OperationSpec(("replies",), results=("marked.count",)),
}
