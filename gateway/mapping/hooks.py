"""What SMSBAT tells later, read: reports and replies, by webhook or from a status read (wire: smsbat.md, 7)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.core.lifecycle import Reply, Report, Status
from gateway.core.messages import only_digits
from gateway.mapping.functions import Evaluate
from gateway.mapping.schema.upstream import Hooks, Legs
from gateway.mapping.source import Where
from gateway.mapping.values import Compiler, Holds
from gateway.wire.forms import BOM, NO_FIELDS, Fields, TooManyFields, parse_urlencoded

#: Most facts in one body.
MOST = 1000
#: Longest id or word that is kept of what SMSBAT tells.
_LONGEST = 100
_WORD = re.compile(r"[A-Za-z]+(?:[ _-][A-Za-z]+){0,3}", re.ASCII)


class NotTold(ValueError):
    """A body that says nothing the upstream file knows."""


@dataclass(frozen=True, slots=True)
class _Kind:
    holds: Holds
    parts: Mapping[str, Evaluate]
    is_report: bool


@dataclass(frozen=True, slots=True)
class UnknownStatus:
    """A word for a status that the file does not have: logged, and taken for nothing final."""

    word: str

    @property
    def shown(self) -> str:
        """The word as it may be logged: what is no word may be anything, a text or a phone too."""
        return self.word if _WORD.fullmatch(self.word) else "(no word)"


@dataclass(frozen=True, slots=True)
class HookPlan:
    """The compiled ``hooks`` of the upstream file."""

    read_path: str
    names: frozenset[str]
    kinds: tuple[_Kind, ...]
    statuses: Mapping[str, Status]
    legs: Legs

    def read(self, body: bytes, now: int) -> list[Report | Reply | UnknownStatus]:
        """What a body tells: a JSON object, several in an array, or a form. Raises ``NotTold``.

        In an array, what is not understood does not keep the rest from being told.
        """
        told, last = [], NotTold("nothing")
        for document in _documents(body):
            try:
                told.append(self._told(document, now))
            except NotTold as error:
                last = error
        if not told:
            raise last
        return told

    def _told(self, document: Mapping[str, Any], now: int) -> Report | Reply | UnknownStatus:
        scope = {name: word for name, value in document.items() if name in self.names and (word := _word(value))}
        kind = next((each for each in self.kinds if each.holds(scope, NO_FIELDS)), None)
        if kind is None:
            raise NotTold("none of the kinds that the upstream file names")
        part = {name: evaluate(scope) for name, evaluate in kind.parts.items()}
        return self._report(document, part, now) if kind.is_report else _reply(part, now)

    def _report(self, document: Mapping[str, Any], part: Mapping[str, Any], now: int) -> Report | UnknownStatus:
        word, message = (part["status"] or "")[:_LONGEST].lower(), (part["message"] or "")[:_LONGEST]
        status = self.statuses.get(word)
        if not message:
            raise NotTold("a report without the message's id")
        if status is None:
            return UnknownStatus(word)
        channel, seen = self._leg(document)
        if seen and status is Status.DELIVERED:
            status = Status.SEEN
        reason = part["reason"][:_LONGEST] if part["reason"] else None
        return Report(status, now, id=message, upstream_id=message, channel=channel, reason=reason)

    def _leg(self, document: Mapping[str, Any]) -> tuple[str | None, bool]:
        """The channel that delivered, when SMSBAT tells, and whether the message was opened there."""
        statuses = document.get(self.legs.statuses)
        told = list(statuses.items()) if isinstance(statuses, dict) else []
        fallbacks = document.get(self.legs.fallbacks)
        entries = [each for each in fallbacks if isinstance(each, dict)] if isinstance(fallbacks, list) else []
        told += [(each.get("type"), each.get("status")) for each in entries]
        for channel, word in told:
            status, leg = self.statuses.get((_word(word) or "").lower()), _word(channel)
            if leg and status in (Status.DELIVERED, Status.SEEN):
                return leg.partition("_")[0].lower()[:_LONGEST], status is Status.SEEN
        return None, False


def _reply(part: Mapping[str, Any], now: int) -> Reply:
    text, message = part["text"], part["message"]
    known_by = part["id"] or (f"{message}:{text}" if message else None)
    if known_by is None:
        raise NotTold("a reply without an id")
    return Reply(
        id=known_by[: 2 * _LONGEST],
        sender=part["sender"] or part["sender_id"] or "",
        by_id=bool(part["sender_id"]) and not part["sender"],
        digits=only_digits(part["phone"] or ""),
        text=text,
        media=part["media"],
        at=now,
        message=message,
    )


def _word(value: object) -> str | None:
    """A value as text; what is no text and no number is not there."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value).replace("\0", "") or None


def _documents(body: bytes) -> list[Mapping[str, Any]]:
    body = body.removeprefix(BOM)
    start = body.lstrip()[:1]
    if start in (b"{", b"["):
        return _json(body)
    try:
        fields = Fields(parse_urlencoded(body))
    except TooManyFields as error:
        raise NotTold("too many fields") from error
    return [{name.decode("utf-8", "replace"): _last(fields, name) for name in fields.values}]


def _json(body: bytes) -> list[Mapping[str, Any]]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise NotTold("no JSON") from error
    listed = document if isinstance(document, list) else [document]
    if len(listed) > MOST:
        raise NotTold(f"more than {MOST} at once")
    objects: list[Mapping[str, Any]] = [each for each in listed if isinstance(each, dict)]
    if not objects:
        raise NotTold("no JSON object")
    return objects


def _last(fields: Fields, name: bytes) -> str:
    return (fields.last(name) or b"").decode("utf-8", "replace")


def compile_hooks(section: Hooks, compiler: Compiler, where: Where) -> HookPlan:
    """Compile what stands at ``where`` of the upstream file."""
    names = frozenset(section.fields)
    kinds = []
    for i, each in enumerate(section.told):
        at: Where = (*where, "told", i)
        kind = "report" if each.report else "reply"
        trees = (each.report or each.reply).model_dump()  # type: ignore[union-attr]
        parts = {name: compiler.value(tree, (*at, kind, name), names).evaluate for name, tree in trees.items()}
        kinds.append(_Kind(compiler.guard(each.when, (*at, "when"), names), parts, kind == "report"))
    statuses = {word.lower(): status for word, status in section.statuses.items()}
    return HookPlan(section.read, names, tuple(kinds), statuses, section.legs)
