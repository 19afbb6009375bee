"""A content as it stands in a row: JSON, with its text, and without what it does not have besides."""

from __future__ import annotations

from typing import Any

import orjson

from gateway.core.messages import Content, Otp

#: What a content has besides its text, when it has nothing: nearly all are such.
_NOTHING_ELSE = Content("")[1:]


def written(content: Content) -> str:
    """The text of a row."""
    if content[1:] == _NOTHING_ELSE:
        return orjson.dumps({"text": content[0]}).decode()
    pairs = zip(Content._fields, content, strict=True)
    return orjson.dumps({name: part for name, part in pairs if part is not None or name == "text"}).decode()


def content_of(row: str) -> Content:
    """The content in a row, also in one of an earlier version, where nulls stand for what it does not have."""
    stored: dict[str, Any] = orjson.loads(row)
    otp = stored.pop("otp", None)
    return Content(**stored, otp=Otp(**otp) if otp else None)
