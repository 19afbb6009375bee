"""What nobody needs any more goes, in small batches."""

from __future__ import annotations

import structlog
from sqlalchemy import delete

from gateway.store.database import Database
from gateway.store.media import MediaStore
from gateway.store.pictures import PictureStorage
from gateway.store.tables import repeats

log = structlog.get_logger("gateway.retention")

#: A request may have found a picture just before its time was over, and is still being served.
MARGIN = 3_600_000
_BATCH = 100


async def sweep(database: Database, storage: PictureStorage, now: int, media_retention: int) -> int:
    """Remove pictures that no message has needed for ``media_retention`` milliseconds; returns how many.

    Windows for repeats that are over go too. Raises ``StoreUnavailable`` or ``OSError``.
    """
    await database.writer.write(delete(repeats).where(repeats.c.until < now), [{}])
    media, removed = MediaStore(database), 0
    while unneeded := await media.unneeded(now - media_retention - MARGIN, _BATCH):
        for picture in unneeded:
            await storage.remove(picture.name)
        await media.remove([picture.id for picture in unneeded])
        removed += len(unneeded)
    if removed:
        log.info("pictures that no message needs any more were removed", pictures=removed)
    return removed
