"""Request bodies, read up to a limit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from gateway.errors import Refusal

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]

#: A body over its limit is still read, and thrown away, up to this many bytes: a client that is cut off while it sends
#: does not read its answer.
DRAINED = 64 * 1024 * 1024


class ClientGone(Exception):
    """The client hung up before its request was whole."""


async def read_body(receive: Receive, announced: int | None, limit: int, expects_continue: bool) -> bytes:
    """The whole body. Raises ``Refusal`` for one over ``limit`` and ``ClientGone``."""
    if announced is not None and announced > limit and (expects_continue or announced > DRAINED):
        raise Refusal("size")
    chunks: list[bytes] = []
    size, more = 0, True
    while more and size <= DRAINED:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise ClientGone
        chunk: bytes = event.get("body", b"")
        size += len(chunk)
        if size <= limit:
            chunks.append(chunk)
        else:
            chunks.clear()
        more = event.get("more_body", False)
    if size > limit:
        raise Refusal("size")
    return b"".join(chunks)
