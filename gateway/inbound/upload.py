"""The ``upload`` operation: a picture is on disk and on record before its id is told."""

from __future__ import annotations

from gateway.clock import now_ms
from gateway.inbound.album import Album
from gateway.mapping.answers import Answer
from gateway.mapping.exchange import Exchange


class UploadOperation:
    """Keeps the picture of an understood request."""

    def __init__(self, album: Album) -> None:
        self._album = album

    async def perform(self, exchange: Exchange) -> Answer:
        """Keep it and tell its id. Raises ``StoreUnavailable`` or ``OSError`` when it can't be kept."""
        assert exchange.endpoint is not None
        assert exchange.endpoint.picture is not None
        assert exchange.identity is not None
        upload = exchange.endpoint.picture.evaluate(exchange.values)
        now = now_ms()
        picture = await self._album.keep(upload, exchange.identity.account.name, now)
        return exchange.accept({"picture.id": picture.id})
