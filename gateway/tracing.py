"""Traces of requests, of calls to SMSBAT and of callbacks, where OpenTelemetry is installed and asked for.

Everybody else tells them here what happened; the spans are made in ``gateway.spans``, which alone imports OpenTelemetry
and is imported only then. Without it each of these is one look whether there is anybody to tell.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from gateway.core.messages import Message
from gateway.mapping.answers import Answer
from gateway.mapping.exchange import Exchange

if TYPE_CHECKING:
    from gateway.spans import Spans

log = structlog.get_logger("gateway.tracing")

App = Callable[[Any, Any, Any], Awaitable[None]]
#: Told of every exchange when it is answered.
Observer = Callable[[Exchange, Answer], None]

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_SPOKEN = "http/protobuf"

_spans: Spans | None = None


class _Operation(Protocol):
    def perform(self, exchange: Exchange) -> Awaitable[Answer]: ...


@contextlib.asynccontextmanager
async def tracing() -> AsyncIterator[None]:
    """Make traces while the block runs, if the environment asks for them; what is left of them goes out at its end."""
    global _spans  # noqa: PLW0603 as the metrics, they are the process's
    spans = _spans = _begun(os.environ)
    try:
        yield
    finally:
        _spans = None
        if spans is not None:
            await spans.stop()


def _begun(environment: Mapping[str, str]) -> Spans | None:
    """What makes spans; whatever is wrong with it is told, and the gateway serves without."""
    if not _asked_for(environment):
        return None
    protocol = next((environment[name] for name in _PROTOCOLS if environment.get(name)), _SPOKEN)
    if protocol != _SPOKEN:
        log.warning("there will be no traces: they are sent by http/protobuf only", asked_for=protocol)
        return None
    try:
        from gateway.spans import Spans  # noqa: PLC0415 there is no such package without the extra

        return Spans()
    except ImportError:
        log.warning("there will be no traces: OTEL_… asks for them, and the extra is missing (smsbat-gateway[otel])")
    except Exception:
        log.exception("there will be no traces: OTEL_… can't be followed")
    return None


def _asked_for(environment: Mapping[str, str]) -> bool:
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip()
    if exporter not in ("", "otlp", "none"):
        log.warning("there will be no traces: they are sent by otlp only", asked_for=exporter)
        return False
    return exporter == "otlp" or (not exporter and any(environment.get(name) for name in _ENDPOINTS))


def call(smsbat: str, messages: Iterable[Message], outcome: str, started: float) -> None:
    """A call to SMSBAT has ended that began at ``started`` of the monotonic clock."""
    if _spans is not None:
        with _harmless():
            _spans.call(smsbat, list(messages), outcome, started)


def callback(account: str, dialect: str, message: str, tries: int, outcome: str, started: float) -> None:
    """A partner was told of a message, for the so many-th time."""
    if _spans is not None:
        with _harmless():
            _spans.callback(account, dialect, message, tries, outcome, started)


def traced_app(app: App) -> App:
    """An application whose requests have spans, or the same one."""
    return app if _spans is None else _TracedApp(app, _spans)


def traced_operations(operations: Mapping[str, _Operation]) -> Mapping[str, _Operation]:
    """Operations of whose messages it is known which request they came with, or the same ones."""
    spans = _spans
    if spans is None:
        return operations
    return {name: _TracedOperation(each, spans) for name, each in operations.items()}


def traced_observer(observer: Observer) -> Observer:
    """An observer that tells the span of a request too what became of it, or the same one."""
    spans = _spans
    if spans is None:
        return observer

    def observe(exchange: Exchange, answer: Answer) -> None:
        observer(exchange, answer)
        with _harmless():
            spans.answered(exchange, answer)

    return observe


class _TracedApp:
    def __init__(self, app: App, spans: Spans) -> None:
        self._app = app
        self._spans = spans

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        with _harmless():
            self._spans.begin(dict(scope["headers"]).get(b"traceparent", b""))
        try:
            await self._app(scope, receive, send)
        finally:
            with _harmless():
                self._spans.end()


class _TracedOperation:
    """Calls to SMSBAT go out before the request is answered: its messages must be known by then."""

    def __init__(self, operation: _Operation, spans: Spans) -> None:
        self._operation = operation
        self._spans = spans

    async def perform(self, exchange: Exchange) -> Answer:
        with _harmless():
            self._spans.carries(message.id for message in (*exchange.messages, *exchange.follow_ups))
        answer = await self._operation.perform(exchange)
        with _harmless():
            self._spans.carries(exchange.batches)
        return answer


@contextlib.contextmanager
def _harmless() -> Iterator[None]:
    """What is wrong with traces must not lose a message."""
    try:
        yield
    except Exception:
        log.exception("something could not be traced")
