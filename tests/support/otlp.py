"""A receiver of OpenTelemetry spans, on a loopback socket."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.servers import bound_name


class Receiver:
    """What it was sent: the bytes, and the spans in them."""

    def __init__(self) -> None:
        self.url = ""
        self.bodies: list[bytes] = []
        #: Names of the headers of every other request; none of those is taken.
        self.others: list[list[str]] = []

    @property
    def requests(self) -> list[ExportTraceServiceRequest]:
        return [ExportTraceServiceRequest.FromString(each) for each in self.bodies]

    @property
    def spans(self) -> list[Span]:
        resources = [resource for request in self.requests for resource in request.resource_spans]
        return [span for resource in resources for scope in resource.scope_spans for span in scope.spans]

    @property
    def services(self) -> set[tuple[object, object]]:
        """Name and instance of who sent them."""
        all_known = [known(resource.resource.attributes) for each in self.requests for resource in each.resource_spans]
        return {(each["service.name"], each["service.instance.id"]) for each in all_known}

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    @property
    def environment(self) -> dict[str, str]:
        """What makes a gateway send its spans here, soon."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, "OTEL_BSP_SCHEDULE_DELAY": "50"}


def known(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    """Attributes as plain values."""
    return {each.key: _plain(each.value) for each in attributes}


def _plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    found = getattr(value, kind or "string_value")
    return [_plain(each) for each in found.values] if kind == "array_value" else found


@contextlib.contextmanager
def running_receiver() -> Iterator[Receiver]:
    """A receiver that takes everything while the block runs."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            is_ours = self.path == "/v1/traces"
            if is_ours:
                receiver.bodies.append(body)
            else:
                receiver.others.append([name.lower() for name in self.headers])
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200 if is_ours else 503)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = "http://{}:{}".format(*bound_name(server.socket))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
