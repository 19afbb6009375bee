"""What the gateway's promises cost at least on its stack: committed before they are sent, sent together, settled.

The gateway's own HTTP protocol, reading of forms, signatures, group commit and client of SMSBAT; one dialect and one
account, written out by hand. There are no mapping files, hardly a check but the signature's, no log, no limits, no
second try and no restart.
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson
from sqlalchemy import Column, Integer, MetaData, String, Table, Text, bindparam, insert, update

from benchmarks.side_by_side.rivals.common import HEADERS, SECRET, call
from gateway.clock import now_ms
from gateway.core.ids import MessageIds
from gateway.inbound.body import Body, Receive, Send
from gateway.inbound.protocol import legacy_protocol
from gateway.listener import bind, listening
from gateway.mapping.accounts import SmsbatLogin
from gateway.mapping.answers import Answer
from gateway.mapping.schema.accounts import Credential
from gateway.outbound.client import Answered, NoAnswer, SmsbatClient
from gateway.outbound.pace import SPACING
from gateway.process import run_until_stopped
from gateway.store.engine import open_engine
from gateway.store.writer import GroupCommitWriter
from gateway.wire.forms import parse_urlencoded
from gateway.wire.signatures import matches, md5_signature

_LIMIT = 65_536
#: As the gateway's: settlements may wait for the next commit.
_PATIENCE = 0.01
_metadata = MetaData()
_messages = Table(
    "messages",
    _metadata,
    Column("id", String(36), primary_key=True),
    Column("sender", Text, nullable=False),
    Column("phone", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("upstream_id", Integer),
)
_INSERT = insert(_messages)
_SETTLE = (
    update(_messages)
    .where(_messages.c.id == bindparam("_id"))
    .values(state=bindparam("state"), upstream_id=bindparam("upstream_id"))
)
_DECLARED = b'<?xml version="1.0" encoding="utf-8"?>\n<response>'
_OK = _DECLARED + b'<tech_message>OK</tech_message><code>0</code><msg_id phone="%b">%b</msg_id></response>'
_REFUSED = _DECLARED + b"<code>%d</code><tech_message>%b</tech_message></response>"


@dataclass(slots=True)
class _Waiting:
    """A message whose client waits, and the item that SMSBAT gets."""

    item: dict[str, Any]
    taken: asyncio.Future[bool] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Floor:
    """One message a request: on disk, then to SMSBAT with whatever else waits."""

    def __init__(self, writer: GroupCommitWriter, client: SmsbatClient) -> None:
        self._writer = writer
        self._client = client
        self._ids = MessageIds(os.urandom)
        self._waiting: list[_Waiting] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_flight = 0
        self._called_at = 0.0

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Serve one request."""
        form = _form(await Body(scope, receive).read(_LIMIT))
        body = await self._answer(form) if _is_signed(form) else _REFUSED % (-2, b"AUTH ERROR (sign)")
        headers = [(b"content-type", b"text/xml"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, form: dict[bytes, bytes]) -> bytes:
        sender, phone, text = (form[name].decode() for name in (b"from", b"phone", b"txt"))
        if not phone.isdigit():
            return _REFUSED % (-1, b"PARAMETER ERROR (phone)")
        message = self._ids.new(now_ms())
        waiting = _Waiting(*call({"from": sender, "phone": phone, "txt": text}, message)["messages"])
        row = {"id": message, "sender": sender, "phone": phone, "text": text, "state": "accepted"}
        self._writer.put(_INSERT, [row], partial(self._stored, waiting))
        taken = await waiting.taken
        return _OK % (form[b"phone"], message.encode()) if taken else _REFUSED % (-4, b"TEMPORARY ERROR")

    def _stored(self, waiting: _Waiting, failure: Exception | None) -> None:
        if failure is not None:
            waiting.taken.set_result(False)
            return
        self._waiting.append(waiting)
        if len(self._waiting) == 1:
            loop = asyncio.get_running_loop()
            # As the gateway does: at once when no call is in flight, else with those that come in a moment.
            loop.call_at(self._called_at + SPACING if self._in_flight else loop.time(), self._begin)

    def _begin(self) -> None:
        self._called_at = asyncio.get_running_loop().time()
        self._in_flight += 1
        task = asyncio.create_task(self._call())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _call(self) -> None:
        batch, self._waiting = self._waiting, []
        result = await self._client.submit(orjson.dumps({"messages": [each.item for each in batch]}))
        self._in_flight -= 1
        told = _told(result)
        for each in batch:
            each.taken.set_result(bool(told))
        rows = [
            {"_id": each["customerMessageId"], "state": "submitted", "upstream_id": each["messageId"]} for each in told
        ]
        if rows:
            await self._writer.write(_SETTLE, rows, _PATIENCE)


def _told(result: Answered | NoAnswer) -> list[dict[str, Any]]:
    """SMSBAT's entries for the messages of a call; none when it did not take them."""
    if not isinstance(result, Answered) or result.status != 200:
        return []
    told: list[dict[str, Any]] = orjson.loads(result.body).get("messages", [])
    return told


def _form(body: bytes) -> dict[bytes, bytes]:
    return {name: values[-1] for name, values in parse_urlencoded(body).items()}


def _is_signed(form: dict[bytes, bytes]) -> bool:
    signed = [form.get(name, b"") for name in (b"user", b"from", b"phone", b"txt")]
    return matches(form.get(b"sign", b""), md5_signature(signed, SECRET.encode()))


def _unreadable(_kind: str, _host: str, _path: str) -> Answer:
    return Answer(400, ((b"content-length", b"0"),), b"")


def main() -> None:
    """Serve, with a database of its own."""
    bound, engine = bind(f"127.0.0.1:{sys.argv[1]}"), open_engine(f"sqlite:///{sys.argv[3]}")
    _metadata.create_all(engine)
    login = SmsbatLogin("main", Credential(url=sys.argv[2], key="sandbox-key"), HEADERS)

    async def program(stop: asyncio.Event) -> None:
        floor = Floor(GroupCommitWriter(engine), SmsbatClient(login, "/bat/messagelist"))
        async with listening(floor, [bound], legacy_protocol(_unreadable)):
            await stop.wait()

    run_until_stopped(program)


if __name__ == "__main__":
    main()
