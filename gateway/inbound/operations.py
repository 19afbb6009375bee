"""The closed set of operations, by the names that dialect files bind endpoints to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.clock import now_ms
from gateway.inbound.app import Operation
from gateway.inbound.asking import DeliveriesOperation, MarkReadOperation, RepliesOperation, StatusOperation
from gateway.inbound.codes import ConfirmCodeOperation, SendCodeOperation
from gateway.inbound.mailings import (
    BulkStatusOperation,
    ConfirmMailingOperation,
    CreateMailingOperation,
    Mailer,
    MailingOperation,
    MailingsOperation,
    SendBulkOperation,
)
from gateway.inbound.records import (
    CreateOperation,
    EditOperation,
    ImportContactsOperation,
    ListOperation,
    RemoveOperation,
)
from gateway.inbound.send import SendOperation
from gateway.store.asking import AskingStore
from gateway.store.callbacks import Callback, Details
from gateway.store.codes import CodeStore
from gateway.store.mailings import MailingStore, with_deliveries
from gateway.store.records import RecordStore


def build_operations(
    send: SendOperation, records: RecordStore, asking: AskingStore, codes: CodeStore, mailer: Mailer
) -> Mapping[str, Operation]:
    """Every operation but ``answer``, which does nothing."""
    return {
        "send": send,
        "send_code": SendCodeOperation(codes, send),
        "confirm_code": ConfirmCodeOperation(codes),
        "status": StatusOperation(asking),
        "deliveries": DeliveriesOperation(asking),
        "replies": RepliesOperation(asking),
        "mark_read": MarkReadOperation(asking),
        "create": CreateOperation(records),
        "edit": EditOperation(records),
        "remove": RemoveOperation(records),
        "list": ListOperation(records),
        "import_contacts": ImportContactsOperation(records),
        "create_mailing": CreateMailingOperation(mailer),
        "confirm_mailing": ConfirmMailingOperation(mailer),
        "mailings": MailingsOperation(mailer),
        "mailing": MailingOperation(mailer),
        "send_bulk": SendBulkOperation(mailer),
        "bulk_status": BulkStatusOperation(mailer),
    }


def bulk_details(mailings: MailingStore, asking: AskingStore) -> Details:
    """What the word on a bulk request is made of when it goes out."""

    async def details(callback: Callback) -> Mapping[str, Any]:
        if callback.facts.event != "bulk":
            return {}
        found = await with_deliveries(mailings, asking, callback.account, callback.facts.id, now_ms(), is_asked=False)
        return {"mailings": found}

    return details
