"""Where the bytes of uploaded pictures are kept: a folder, or a bucket of an object store."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol

from gateway.errors import ConfigurationError

#: Bytes read and sent at once.
CHUNK = 64 * 1024
#: Seconds after which an upload that never ended is nobody's any more.
_ABANDONED = 24 * 3600.0


class Spool:
    """A file that is being received. Closed without being kept, it is gone."""

    def __init__(self, file: IO[bytes], path: Path | None = None) -> None:
        self.file = file
        self.path = path

    def write(self, data: bytes, /) -> int:
        """Take the next bytes."""
        return self.file.write(data)

    def close(self) -> None:
        """Forget what was not kept; on a full disk closing fails, and removing is what helps."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.file.close()


class PictureStorage(Protocol):
    """Keeps pictures by name. Every method raises ``OSError`` when it can't do what it should."""

    def spool(self) -> Spool:
        """A file to receive a picture in."""

    async def keep(self, spool: Spool, name: str) -> None:
        """Keep what was received; returns when it is durable."""

    def read(self, name: str, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from ``start`` up to, not including, ``end``."""

    async def remove(self, name: str) -> None:
        """Remove a picture; one that is not there is no error."""


class Spools:
    """The files of one request, forgotten at the end of the block unless they are kept."""

    def __init__(self, storage: PictureStorage) -> None:
        self._storage = storage
        self._open: list[Spool] = []

    def open(self) -> Spool:
        """A file to receive a picture in."""
        spool = self._storage.spool()
        self._open.append(spool)
        return spool

    def __enter__(self) -> Spools:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for spool in self._open:
            spool.close()


def open_storage(address: str) -> PictureStorage:
    """The storage at a folder's path or an ``s3://bucket/prefix``. Raises ``ConfigurationError``."""
    if is_bucket(address):
        from gateway.store.bucket import BucketStorage  # noqa: PLC0415 a third of a second that folders don't need

        return BucketStorage(address)
    return FolderStorage(Path(address))


def is_bucket(address: str) -> bool:
    """Whether it is ``s3://bucket/prefix``, and no folder's path. Raises ``ConfigurationError`` when it is neither."""
    scheme, found, rest = address.partition("://")
    if found and (scheme != "s3" or not rest.partition("/")[0]):
        raise ConfigurationError("GATEWAY_MEDIA is neither a folder nor s3://bucket/prefix")
    return bool(found)


class FolderStorage:
    """A folder on a disk. Pictures appear in it whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / "incoming"
        try:
            self._incoming.mkdir(parents=True, exist_ok=True)
            self._forget_abandoned()
        except OSError as error:
            raise ConfigurationError(f"the folder for pictures, {folder}, can't be used: {error.strerror}") from error

    def _forget_abandoned(self) -> None:
        for path in self._incoming.iterdir():
            # Another process may end its own uploads meanwhile.
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < time.time() - _ABANDONED:
                    path.unlink()

    def spool(self) -> Spool:
        """A file beside its later place, so that keeping it is a renaming."""
        descriptor, path = tempfile.mkstemp(dir=self._incoming)
        return Spool(os.fdopen(descriptor, "wb"), Path(path))

    async def keep(self, spool: Spool, name: str) -> None:
        """Keep what was received; returns when it is durable."""
        await asyncio.to_thread(self._keep, spool, name)

    def _keep(self, spool: Spool, name: str) -> None:
        spool.file.flush()
        os.fsync(spool.file.fileno())
        assert spool.path is not None
        spool.path.rename(self._folder / name)
        _sync_folder(self._folder)

    async def read(self, name: str, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from ``start`` up to, not including, ``end``."""
        file = await asyncio.to_thread((self._folder / name).open, "rb")
        with file:
            file.seek(start)
            while start < end:
                chunk = await asyncio.to_thread(file.read, min(CHUNK, end - start))
                if not chunk:
                    raise OSError("the picture is shorter than it was")
                start += len(chunk)
                yield chunk

    async def remove(self, name: str) -> None:
        """Remove a picture; one that is not there is no error."""
        await asyncio.to_thread((self._folder / name).unlink, missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """A renaming is durable when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
