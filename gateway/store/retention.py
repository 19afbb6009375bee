"""What nobody needs any more goes, in small batches."""

from __future__ import annotations

from functools import partial

import structlog
from sqlalchemy import Connection, delete, select, tuple_

from gateway.core.mailings import MailingState
from gateway.core.pictures import Picture
from gateway.store.database import Database
from gateway.store.media import MediaStore
from gateway.store.pictures import PictureStorage
from gateway.store.tables import codes, is_mailing, mailings, messages, repeats

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


def _forget_codes(connection: Connection, now: int) -> int:
    """A few codes whose time is over."""
    over = list(connection.scalars(select(codes.c.id).where(codes.c.until < now - MARGIN).limit(_BATCH)))
    if over:
        connection.execute(delete(codes).where(codes.c.id.in_(over)))
    return len(over)


def _forget_drafts(connection: Connection, now: int) -> int:
    """A few messages of a mailing whose request never came to its end, then the mailing."""
    is_draft = (mailings.c.state == MailingState.DRAFT.value, mailings.c.created_at < now - MARGIN)
    draft = connection.execute(select(mailings.c.account, mailings.c.number).where(*is_draft).limit(1)).first()
    if draft is None:
        return 0
    of_draft = (messages.c.account == draft.account, messages.c.batch == draft.number)
    some = list(connection.scalars(select(messages.c.id).where(*of_draft).limit(_BATCH)))
    connection.execute(delete(messages).where(messages.c.id.in_(some)))
    if len(some) < _BATCH:
        connection.execute(delete(mailings).where(is_mailing(draft.account, draft.number)))
    # There may be more of this one, or another one.
    return _BATCH


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

    Windows for repeats, codes whose time is over, and mailings that were never told of go too. Raises
    ``StoreUnavailable`` or ``OSError``.
    """
    for forget in (_forget_repeats, _forget_codes, _forget_drafts):
        while await database.writer.run(partial(forget, now=now)) == _BATCH:
            pass
    media, removed, last = MediaStore(database), 0, ""
    while unneeded := await media.unneeded(now - media_retention - MARGIN, last, _BATCH):
        gone = [picture.id for picture in unneeded if await _removed(storage, picture)]
        await media.remove(gone)
        removed, last = removed + len(gone), unneeded[-1].id
    if removed:
        log.info("pictures that no message needs any more were removed", pictures=removed)
    return removed
