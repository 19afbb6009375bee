"""Pictures in a bucket of Amazon S3 or of anything that speaks its protocol."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from gateway.errors import ConfigurationError
from gateway.store.pictures import CHUNK, Spool
from gateway.wire.images import MEDIA_TYPES


class BucketStorage:
    """``s3://bucket/prefix``; keys, region and endpoint come from the usual ``AWS_…`` variables of the environment."""

    def __init__(self, address: str) -> None:
        try:
            self._store = S3Store.from_url(address)
        except (BaseError, ValueError):
            # The library quotes the address with all that somebody wrote into it.
            raise ConfigurationError(
                "GATEWAY_MEDIA names no bucket: s3://bucket/prefix, with the keys in AWS_…"
            ) from None

    def spool(self) -> Spool:
        """A file without a name, which ends with the process at the latest."""
        return Spool(tempfile.TemporaryFile())

    async def keep(self, spool: Spool, name: str) -> None:
        """Upload what was received; returns when the object store has it."""
        await asyncio.to_thread(spool.file.seek, 0)
        media_type = MEDIA_TYPES[name.rpartition(".")[2]]
        with _as_os_errors():
            await obstore.put_async(self._store, name, spool.file, attributes={"Content-Type": media_type})

    async def read(self, name: str, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from ``start`` up to, not including, ``end``."""
        with _as_os_errors():
            found = await obstore.get_async(self._store, name, options={"range": (start, end)})
            async for chunk in found.stream(min_chunk_size=CHUNK):
                yield bytes(chunk)

    async def remove(self, name: str) -> None:
        """Remove a picture; one that is not there is no error."""
        with _as_os_errors():
            await obstore.delete_async(self._store, name)


@contextmanager
def _as_os_errors() -> Iterator[None]:
    """The library's errors quote addresses and answers; their kind is enough."""
    try:
        yield
    except BaseError as error:
        raise OSError(f"object store: {type(error).__name__}") from None
