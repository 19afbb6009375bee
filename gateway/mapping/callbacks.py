"""What partners are told of their messages, compiled: facts to an HTTP request in a dialect's own form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Any, Literal

from gateway.core.lifecycle import Status
from gateway.core.schedule import Schedule, Step
from gateway.mapping.functions import Evaluate
from gateway.mapping.schema.callbacks import (
    CallbackBody,
    CallbackFormatSection,
    Callbacks,
    CallbackSection,
    ScheduleSection,
)
from gateway.mapping.source import Where
from gateway.mapping.values import Compiler
from gateway.wire.forms import urlencoded
from gateway.wire.json import dump, dump_as_php

Event = Literal["delivery", "seen", "reply", "answer", "bulk"]
_EVENTS: tuple[Event, ...] = ("delivery", "seen", "reply", "answer", "bulk")
#: What the word on a bulk request is made of: what its status would be answered with.
_BULK_NAMES = frozenset({"mailings", "zone"})
_NAMES = frozenset(
    {"id", "reference", "status", "reason", "sending_method", "text", "media", "reply", "phone", "sender"}
)
_NOTHING: Mapping[str, Any] = {}
_FORM, _JSON = "application/x-www-form-urlencoded", "application/json"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a callback tells. ``channel`` is how the message was to be sent, ``leg`` how it really was, blank for not.

    ``reply`` is SMSBAT's id of what the subscriber wrote. Kept with the callback, and told in whatever form the mapping
    files have when it goes out.
    """

    event: Event
    id: str
    reference: str | None = None
    status: str | None = None
    reason: str | None = None
    channel: str = ""
    leg: str = ""
    text: str | None = None
    media: str | None = None
    reply: str | None = None
    phone: str | None = None
    sender: str | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a callback and its type."""

    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class _Form:
    evaluate: Evaluate
    content_type: str
    write: Callable[[Any], bytes]


@dataclass(frozen=True, slots=True)
class CallbackFormat:
    """One way to tell partners."""

    statuses: Mapping[Status, str | int]
    reasons: Mapping[Any, Mapping[str, str]]
    forms: Mapping[str, _Form]

    def body(self, facts: Facts, more: Mapping[str, Any] = _NOTHING) -> Body | None:
        """What is told, with what else is known of it; ``None`` when this format has no word for it."""
        form = self.forms.get(facts.event)
        if form is None or (facts.event == "delivery" and facts.status not in self.statuses):
            return None
        built = form.evaluate({**self._scope(facts), **more})
        return Body(form.content_type, form.write({} if built is None else built))

    def _scope(self, facts: Facts) -> dict[str, Any]:
        return {
            "id": facts.id,
            "reference": facts.reference,
            "status": self.statuses.get(Status(facts.status)) if facts.status else None,
            "reason": self._reason(facts),
            "sending_method": facts.leg,
            "text": facts.text,
            "media": facts.media,
            "reply": facts.reply,
            "phone": facts.phone,
            "sender": facts.sender,
        }

    def _reason(self, facts: Facts) -> str | None:
        if facts.status in (Status.DELIVERED, Status.SEEN, Status.QUEUED, Status.SENDING):
            return None
        table = self.reasons.get(facts.channel, {})
        return table.get(facts.reason or "other", table.get("other"))


@dataclass(frozen=True, slots=True)
class CallbackTarget:
    """An account's script in one dialect, and how it is told."""

    account: str
    dialect: str
    url: str = field(repr=False)
    method: str
    format: CallbackFormat
    interim: bool
    private: bool
    schedule: Schedule
    stop: frozenset[int]
    zone: tzinfo = UTC
    #: Its addresses come with the requests.
    by_request: bool = False

    def request(self, body: Body, asked_for: str | None = None) -> tuple[str, str, Body | None]:
        """Method, address (the one that a request named, if any) and body; with GET the fields are added to it."""
        if self.method == "POST" or body.content_type == _JSON:
            return "POST", asked_for or self.url, body
        joint = "&" if "?" in self.url else "?"
        return "GET", f"{self.url}{joint}{body.content.decode()}", None


@dataclass(frozen=True, slots=True)
class CallbackPlan:
    """How a dialect tells its partners; the first of ``formats`` is the default."""

    formats: Mapping[str, CallbackFormat]
    schedule: ScheduleSection

    @property
    def bulk_format(self) -> str | None:
        """The format in which bulk requests are told of, if there is one."""
        return next((name for name, each in self.formats.items() if "bulk" in each.forms), None)

    def target(self, account: str, dialect: str, url: str, chosen: CallbackSection) -> CallbackTarget:
        """An account's script, told in the format that it chose of these."""
        schedule = chosen.schedule or self.schedule
        return CallbackTarget(
            account=account,
            dialect=dialect,
            url=url,
            method=chosen.method,
            format=self.formats[chosen.format or next(iter(self.formats))],
            interim=chosen.interim,
            private=chosen.private,
            schedule=_schedule(schedule),
            stop=frozenset(schedule.stop),
        )


def _schedule(section: ScheduleSection) -> Schedule:
    steps = [Step(each.minutes, each.times) for each in section.steps]
    return Schedule(steps, section.give_up, section.jitter)


def compile_callbacks(section: Callbacks, compiler: Compiler, where: Where, json_style: str) -> CallbackPlan:
    """Compile what stands at ``where`` of a dialect file."""
    write = dump_as_php if json_style == "php" else dump
    formats = {
        name: _format(each, compiler, (*where, "formats", name), write) for name, each in section.formats.items()
    }
    return CallbackPlan(formats, section.schedule)


def _format(
    section: CallbackFormatSection, compiler: Compiler, where: Where, write: Callable[[Any], bytes]
) -> CallbackFormat:
    bodies = {event: getattr(section, event) for event in _EVENTS}
    forms: dict[str, _Form] = {
        event: _form(body, compiler, (*where, event), _BULK_NAMES if event == "bulk" else _NAMES, write)
        for event, body in bodies.items()
        if body is not None
    }
    forms = {**({"answer": forms["reply"]} if "reply" in forms else {}), **forms}
    return CallbackFormat(section.statuses, {**section.reasons}, forms)


def _form(
    body: CallbackBody, compiler: Compiler, where: Where, names: frozenset[str], write: Callable[[Any], bytes]
) -> _Form:
    kind, tree, content_type = ("json", body.json_, _JSON) if body.form is None else ("form", body.form, _FORM)
    evaluate = compiler.value(tree, (*where, kind), names).evaluate
    return _Form(evaluate, content_type, _urlencoded if content_type == _FORM else write)


def _urlencoded(built: Any) -> bytes:
    return urlencoded(built).encode()
