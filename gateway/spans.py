"""OpenTelemetry spans, sent by OTLP over HTTP as OpenTelemetry's own environment variables say.

They hold names of the mapping files, ids of ours, counts and outcomes: no text, no phone, no secret, and of what a
client sent only a well-formed ``traceparent``. A call to SMSBAT carries messages of many requests and has links to all
of them. It is of the trace of the first, and a callback of that of its message's, so that what was sampled is whole.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from gateway.core.mailings import batch_name
from gateway.core.messages import Message
from gateway.mapping.answers import Answer
from gateway.mapping.exchange import Exchange

log = structlog.get_logger("gateway.tracing")

#: Messages and mailings of which it is remembered which request they came with; later ones displace the oldest.
REMEMBERED = 50_000
#: Seconds that the last spans may take to go out when the gateway stops.
STOP_TIMEOUT = 5.0
#: Ids of messages in one span.
_IDS_TOLD = 20
#: Bytes of a ``traceparent``; what later versions of it may add is not looked at.
_TRACEPARENT = 55
_GONE, _TEMPORARY = "client gone", "temporary"

_current: ContextVar[Span | None] = ContextVar("request_span", default=None)


class Spans:
    """Makes them. Use from one event loop, in the process that serves: what sends them does not survive a fork."""

    def __init__(self) -> None:
        # They would quote the receiver's address, which may hold a secret; what there is to say of it is told here.
        for name in ("opentelemetry.exporter", "opentelemetry.sdk._shared_internal"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(_Exporter(OTLPSpanExporter())))
        self._tracer = self._provider.get_tracer("gateway")
        self._parents = TraceContextTextMapPropagator()
        self._requests: OrderedDict[str, SpanContext] = OrderedDict()

    async def stop(self) -> None:
        """Send what is left, unless its receiver takes too long."""
        sending = threading.Thread(target=self._provider.shutdown, daemon=True)
        sending.start()
        await asyncio.to_thread(sending.join, STOP_TIMEOUT)

    # A request

    def begin(self, traceparent: bytes) -> None:
        """One has come in. What is no ``traceparent`` counts as none."""
        parent = self._parents.extract({"traceparent": traceparent[:_TRACEPARENT].decode("latin-1")}, Context())
        _current.set(self._tracer.start_span("request", parent, SpanKind.SERVER, {"gateway.outcome": _GONE}))

    def carries(self, names: Iterable[str]) -> None:
        """The messages that it brings, by their ids, or mailings and bulk requests by their names."""
        span = _current.get()
        if span is None or not span.is_recording():
            return
        context = span.get_span_context()
        for name in names:
            self._requests[name] = context
        while len(self._requests) > REMEMBERED:
            self._requests.popitem(last=False)

    def answered(self, exchange: Exchange, answer: Answer) -> None:
        """What became of it."""
        span = _current.get()
        if span is None or not span.is_recording():
            return
        outcome = exchange.refusal.kind if exchange.refusal else "accepted"
        endpoint = exchange.endpoint.path if exchange.endpoint else ""
        span.update_name(f"{exchange.dialect.name} {endpoint}".rstrip())
        span.set_attributes(
            {
                "gateway.dialect": exchange.dialect.name,
                "gateway.endpoint": endpoint,
                "gateway.account": exchange.identity.account.name if exchange.identity else "",
                **_of_messages(exchange.messages),
                "gateway.batches": exchange.batches[:_IDS_TOLD],
                "gateway.outcome": outcome,
                "http.response.status_code": answer.status,
            }
        )
        if outcome == _TEMPORARY:
            span.set_status(StatusCode.ERROR)

    def end(self) -> None:
        """It is over, answered or not."""
        span = _current.get()
        if span is not None:
            span.end()

    # What follows from it

    def call(self, smsbat: str, messages: Sequence[Message], outcome: str, started: float) -> None:
        """A call to SMSBAT; it is of the trace of one of the requests whose messages it carries."""
        requests = [*{each.span_id: each for each in filter(None, map(self._request_of, messages))}.values()]
        links = [Link(each) for each in requests]
        attributes = {"gateway.smsbat": smsbat, **_of_messages(messages), "gateway.outcome": outcome}
        parent = requests[0] if requests else None
        self._happened("smsbat call", parent, attributes, started, failed=not outcome.startswith("2"), links=links)

    def callback(self, account: str, dialect: str, message: str, tries: int, outcome: str, started: float) -> None:
        """One try to tell a partner's script of a message."""
        attributes = {
            "gateway.account": account,
            "gateway.dialect": dialect,
            "gateway.message_id": message,
            "gateway.tries": tries,
            "gateway.outcome": outcome,
        }
        failed = not outcome.startswith("HTTP 2")
        self._happened("callback", self._requests.get(message), attributes, started, failed)

    def _request_of(self, message: Message) -> SpanContext | None:
        known = self._requests.get(message.id)
        if known is None and message.batch is not None:
            return self._requests.get(batch_name(message.account, message.batch))
        return known

    def _happened(
        self,
        name: str,
        parent: SpanContext | None,
        attributes: Mapping[str, Any],
        started: float,
        failed: bool,
        links: Sequence[Link] = (),
    ) -> None:
        """A span of something that is over."""
        context = set_span_in_context(NonRecordingSpan(parent), Context()) if parent else Context()
        ended = time.time_ns()
        began = ended - round((time.monotonic() - started) * 1e9)
        span = self._tracer.start_span(name, context, SpanKind.CLIENT, attributes, links, began)
        if failed:
            span.set_status(StatusCode.ERROR)
        span.end(ended)


def _of_messages(messages: Sequence[Message]) -> dict[str, Any]:
    ids = [message.id for message in messages[:_IDS_TOLD]]
    return {"gateway.messages": len(messages), "gateway.message_ids": ids}


def _resource() -> Resource:
    named = OTELResourceDetector().detect().attributes.get(SERVICE_NAME)
    return Resource.create({} if named else {SERVICE_NAME: "smsbat-gateway"})


class _Exporter(SpanExporter):
    """Tells once that spans are not taken, and once that they are again; those in between are lost."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._taken = True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        taken = result is SpanExportResult.SUCCESS
        if taken != self._taken:
            self._taken = taken
            (log.info if taken else log.warning)("traces are taken again" if taken else "traces are not taken")
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()
