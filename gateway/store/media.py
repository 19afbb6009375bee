"""What the database knows of uploaded pictures."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, delete, insert, select, update

from gateway.core.mailings import MailingState
from gateway.core.pictures import Picture
from gateway.store.database import Database
from gateway.store.tables import mailings, media

_INSERT = insert(media)
#: Mailings that are still to go out: what they show is needed, whenever that will be.
_WAITING = mailings.c.state.in_([MailingState.UNCONFIRMED.value, MailingState.CONFIRMED.value])


def extend_picture(connection: Connection, picture: str | None, account: str, until: int) -> None:
    """What a message shows must last as long as that does."""
    if picture is not None:
        here = (media.c.id == picture, media.c.account == account, media.c.needed_until < until)
        connection.execute(update(media).where(*here).values(needed_until=until))


class MediaStore:
    """Pictures on record. Every method raises ``StoreUnavailable``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, picture: Picture, now: int) -> None:
        """Put a picture on record."""
        row = {"id": picture.id, "account": picture.account, "format": picture.format, "size": picture.size}
        await self._database.writer.write(_INSERT, [{**row, "needed_until": now}])

    async def find(self, ids: Collection[str], needed_since: int = 0) -> dict[str, Picture]:
        """The pictures of these ids that are on record, and were needed since a moment."""
        return await self._database.read(self._find, ids, needed_since) if ids else {}

    async def unneeded(self, before: int, after: str, limit: int) -> list[Picture]:
        """Pictures that no message has needed since a moment, in milliseconds; those behind an id, in order of ids."""
        return await self._database.read(self._unneeded, before, after, limit)

    async def remove(self, ids: Sequence[str]) -> None:
        """Strike pictures off the record."""
        await self._database.writer.run(lambda connection: connection.execute(delete(media).where(media.c.id.in_(ids))))

    def _find(self, ids: Collection[str], needed_since: int) -> dict[str, Picture]:
        query = select(media).where(media.c.id.in_(ids), media.c.needed_until >= needed_since)
        with self._database.engine.connect() as connection:
            rows = connection.execute(query)
            return {row.id: Picture(row.id, row.account, row.format, row.size) for row in rows}

    def _unneeded(self, before: int, after: str, limit: int) -> list[Picture]:
        waiting = select(mailings.c.picture).where(_WAITING, mailings.c.picture.is_not(None))
        unneeded = (media.c.needed_until < before, media.c.id > after, media.c.id.not_in(waiting))
        query = select(media).where(*unneeded).order_by(media.c.id).limit(limit)
        with self._database.engine.connect() as connection:
            return [Picture(row.id, row.account, row.format, row.size) for row in connection.execute(query)]
