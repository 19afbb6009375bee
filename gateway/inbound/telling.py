"""What is told of a request when it is answered: a line of the log, and the figures."""

from __future__ import annotations

import re

import structlog

from gateway.inbound.turns import Together
from gateway.logs import IDS_TOLD
from gateway.mapping.answers import Answer
from gateway.mapping.exchange import Exchange
from gateway.metrics import count_messages, count_request, parameter_without_effect
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
    path = exchange.endpoint.path if exchange.endpoint else None
    dialect, refusal, messages = exchange.dialect.name, exchange.refusal, exchange.messages
    ignored, unknown = _without_effect(exchange)
    count_request(dialect, path or "", refusal.kind if refusal else "accepted", exchange.moments)
    if messages and refusal is None:
        # All are of one content.
        count_messages(dialect, messages[0].channel, len(messages))
    # Bound already: the proxy looks for each name in vain first, which takes as long as the line's JSON.
    log.bind().info(
        "request",
        dialect=dialect,
        endpoint=path,
        account=exchange.identity.account.name if exchange.identity else None,
        messages=len(messages),
        # The same ids stand in the lines of calls to SMSBAT and of callbacks.
        ids=[message.id for message in messages[:IDS_TOLD]],
        **_what_follows(exchange),
        answer=str(refusal) if refusal else "accepted",
        ignored=ignored,
        unknown=unknown,
        # To a tenth; to have it rounded to decimals takes ten times as long.
        ms=round(exchange.seconds * 10_000) / 10,
    )


def _without_effect(exchange: Exchange) -> tuple[list[str], list[str]]:
    """The parameters that were sent and are ignored, and those that nobody knows; counted."""
    endpoint, fields, outline = exchange.endpoint, exchange.fields, exchange.outline
    if endpoint is None or fields is None or (outline is not None and outline.is_all_of_effect):
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
