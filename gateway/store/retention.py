"""What nobody needs any more goes, in small batches."""

from __future__ import annotations

import structlog
from sqlalchemy import Connection, delete, select, tuple_

from gateway.core.pictures import Picture
from gateway.store.database import Database
from gateway.store.media import MediaStore
from gateway.store.pictures import PictureStorage
from gateway.store.tables import repeats

log = structlog.get_logger("gateway.retention")

#: A request may have found a picture just before its time was over, and is still being served.
MARGIN = 3_600_000
_BATCH = 500


def _forget_repeats(connection: Connection, now: int) -> int:
    """A few windows that are over: one large statement would hold up everybody who sends."""
    columns = (repeats.c.account, repeats.c.reference, repeats.c.key)
    over = [tuple(row) for row in connection.execute(select(*columns).where(repeats.c.until < now).limit(_BATCH))]
    if over:
        connection.execute(delete(repeats).where(tuple_(*columns).in_(over)))
    return len(over)


async def _removed(storage: PictureStorage, picture: Picture) -> bool:
    """Whether its bytes are gone; one that stays must not keep the others."""
    try:
        await storage.remove(picture.name)
    except OSError as error:
        log.error("a picture can't be removed", picture=picture.id[:6], error=str(error.strerror))
        return False
    return True


async def sweep(database: Database, storage: PictureStorage, now: int, media_retention: int) -> int:
    """Remove pictures that no message has needed for ``media_retention`` milliseconds; returns how many.

    Windows for repeats that are over go too. Raises ``StoreUnavailable`` or ``OSError``.
    """
    while await database.writer.run(lambda connection: _forget_repeats(connection, now)) == _BATCH:
        pass
    media, removed, last = MediaStore(database), 0, ""
    while unneeded := await media.unneeded(now - media_retention - MARGIN, last, _BATCH):
        gone = [picture.id for picture in unneeded if await _removed(storage, picture)]
        await media.remove(gone)
        removed, last = removed + len(gone), unneeded[-1].id
    if removed:
        log.info("pictures that no message needs any more were removed", pictures=removed)
    return removed
