"""Pictures that accounts uploaded: received, kept, named in requests, fetched by the world."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Sequence

from gateway.core.codes import ALPHABETS
from gateway.core.pictures import Picture
from gateway.mapping.conversions import Upload
from gateway.store.media import MediaStore
from gateway.store.pictures import PictureStorage, Spool, Spools

#: The path of pictures below the public base address.
MEDIA_PATH = "/media/"
_NAME = re.compile(rf"{MEDIA_PATH}([A-Z0-9]{{64}})\.(jpg|png|gif)")


def picture_name(path: str) -> tuple[str, str] | None:
    """Id and extension in a path of the legacy listener that can be a picture's."""
    named = _NAME.fullmatch(path) if path.startswith(MEDIA_PATH) else None
    return (named[1], named[2]) if named else None


def _new_id() -> str:
    """64 random characters of ``A-Z0-9`` (wire: messagio.md, A8): nobody guesses a picture's public address."""
    return "".join(secrets.choice(ALPHABETS["both"]) for _ in range(64))


class Album:
    """Records and bytes together.

    ``public_url`` is the base address under which the world reaches this gateway, ``retention`` is how many
    milliseconds a picture may be named after it was needed last. Its methods raise ``StoreUnavailable`` or ``OSError``
    when the one or the other can't be reached.
    """

    def __init__(self, media: MediaStore, storage: PictureStorage, public_url: str | None, retention: int) -> None:
        self._media = media
        self._storage = storage
        self._retention = retention
        self._base = public_url.rstrip("/") if public_url else None

    def spools(self) -> Spools:
        """Where the files of a request are received."""
        return Spools(self._storage)

    @property
    def is_public(self) -> bool:
        """Whether the world reaches the pictures."""
        return self._base is not None

    async def keep(self, upload: Upload, account: str, now: int) -> tuple[str, str]:
        """Keep what was received, durable when it returns: its id and its public address, blank without a base."""
        spool = upload.file.content
        assert isinstance(spool, Spool)
        picture = Picture(_new_id(), account, upload.format, upload.file.size)
        # On record first: should the process end in between, retention clears the record away, and nobody has the id.
        await self._media.add(picture, now)
        await self._storage.keep(spool, picture.name)
        return picture.id, self._address(picture)

    async def addresses(self, ids: Sequence[str], account: str, now: int) -> dict[bytes, str]:
        """Public addresses of those of these pictures that the account has, blank when there is no public base."""
        found = await self._media.find(ids, now - self._retention)
        return {each.encode(): self._address(picture) for each, picture in found.items() if picture.account == account}

    def _address(self, picture: Picture) -> str:
        return self._base + MEDIA_PATH + picture.name if self._base else ""

    async def at(self, image_id: str, extension: str) -> Picture | None:
        """The picture of this name."""
        picture = (await self._media.find([image_id])).get(image_id)
        return picture if picture and picture.format == extension else None

    def read(self, picture: Picture, start: int, end: int) -> AsyncIterator[bytes]:
        """Its bytes from ``start`` up to, not including, ``end``."""
        return self._storage.read(picture.name, start, end)
