"""What is told of a request when it is answered: a line of the log, and the figures."""

from __future__ import annotations

import re

import structlog

from gateway.inbound.turns import Together
from gateway.logs import IDS_TOLD
from gateway.mapping.answers import Answer
from gateway.mapping.exchange import Exchange
from gateway.metrics import count_message, count_request, parameter_without_effect
from gateway.tracing import Observer

log = structlog.get_logger("gateway.inbound")

#: A parameter's name; with as many digits as a code or a phone has it may be something else.
_NAME = re.compile(rb"(?!.*[0-9]{3})[A-Za-z_][A-Za-z0-9_\[\]-]{0,39}")


def told_together(observer: Observer) -> Observer:
    """An observer that is told of the requests of a turn of the event loop when all of them have their answers."""
    together = Together[tuple[Exchange, Answer]](lambda answered: observer(*answered))
    return lambda exchange, answer: together.put((exchange, answer))


def log_exchange(exchange: Exchange, answer: Answer) -> None:
    """One line a request: whose, how many messages, what it was answered; no text, no phone, no secret."""
    endpoint, dialect = exchange.endpoint, exchange.dialect.name
    ignored, unknown = _without_effect(exchange)
    outcome = exchange.refusal.kind if exchange.refusal else "accepted"
    count_request(dialect, endpoint.path if endpoint else "", outcome, exchange.moments)
    for message in exchange.messages if exchange.refusal is None else ():
        count_message(dialect, message.channel)
    # Bound already: the proxy looks for each name in vain first, which takes as long as the line's JSON.
    log.bind().info(
        "request",
        dialect=dialect,
        endpoint=endpoint.path if endpoint else None,
        account=exchange.identity.account.name if exchange.identity else None,
        messages=len(exchange.messages),
        # The same ids stand in the lines of calls to SMSBAT and of callbacks.
        ids=[message.id for message in exchange.messages[:IDS_TOLD]],
        **_what_follows(exchange),
        answer=str(exchange.refusal) if exchange.refusal else "accepted",
        ignored=ignored,
        unknown=unknown,
        ms=round(exchange.seconds * 1000, 1),
    )


def _without_effect(exchange: Exchange) -> tuple[list[str], list[str]]:
    """The parameters that were sent and are ignored, and those that nobody knows; counted."""
    endpoint, fields = exchange.endpoint, exchange.fields
    if endpoint is None or fields is None or endpoint.of_effect.issuperset(fields.values):
        return [], []
    sent = frozenset(each.partition(b"[")[0] for each in fields.values)
    ignored = _names(sent & endpoint.ignored)
    unknown = _names(sent - endpoint.known) if exchange.identity else []
    for fate, names in (("ignored", ignored), ("unknown", unknown)):
        for name in names:
            parameter_without_effect(exchange.dialect.name, name, fate)
    return ignored, unknown


def _what_follows(exchange: Exchange) -> dict[str, list[str]]:
    """What a few requests begin besides: mailings and bulk requests, and messages instead of others."""
    told = {"batches": [*exchange.batches[:IDS_TOLD]]} if exchange.batches else {}
    if exchange.follow_ups:
        told["follow_ups"] = [message.id for message in exchange.follow_ups[:IDS_TOLD]]
    return told


def _names(names: frozenset[bytes]) -> list[str]:
    """A few names. What looks like none is a piece of a text whose ``&`` was not escaped, and is not told."""
    return [name.decode() for name in sorted(names) if _NAME.fullmatch(name)][:10]
