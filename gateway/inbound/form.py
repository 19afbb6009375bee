"""The parameters of a request as it arrives: values in memory, files to where they are received."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from gateway.errors import Refusal
from gateway.inbound.body import Body
from gateway.mapping.dialect import DialectPlan
from gateway.wire.forms import Fields, TooManyFields, form_fields, read_fields
from gateway.wire.multipart import FilePlan, MultipartReader, Sink, TooLarge, boundary_of

log = structlog.get_logger("gateway.inbound")

#: Bytes of a body that is read in a thread: it takes its time.
_LONG = 131_072


async def read_form(dialect: DialectPlan, query: bytes, body: Body, open_sink: Callable[[], Sink]) -> Fields:
    """Read a request. Raises ``Refusal`` and ``ClientGone``."""
    limits = dialect.file.limits
    limit, most = limits.body, limits.fields
    boundary = boundary_of(body.content_type) if dialect.file_limits else None
    try:
        if boundary is None:
            content = await body.read(limit)
            if len(content) > _LONG:
                return await asyncio.to_thread(read_fields, query, body.content_type, content, most=most)
            return read_fields(query, body.content_type, content, most=most)
        reader = MultipartReader(boundary, FilePlan(dialect.file_limits, open_sink), limit)
        async for chunk in body.chunks(limit + sum(dialect.file_limits.values())):
            # Parsing, hashing and writing twenty megabytes would hold up everybody else.
            await asyncio.to_thread(reader.feed, chunk)
        return form_fields(query, *reader.finish(), most)
    except (TooManyFields, TooLarge) as error:
        raise Refusal("size") from error
    except OSError as error:
        log.error("an uploaded file can't be received", error=error.strerror)
        await body.drain()
        raise Refusal("temporary") from error
