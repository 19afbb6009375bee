"""A raw HTTP request as a value, for worked examples and explanations. Serving reads requests elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

import h11

from gateway.wire.request_line import host_name, repair


class NotHttp(ValueError):
    """Bytes that no HTTP parser reads as a request."""


#: The host of a saved request that names none.
NO_HOST = "localhost"


@dataclass(frozen=True, slots=True)
class Request:
    """The parts of a request that translation looks at."""

    method: str
    path: str
    host: str
    query: bytes
    content_type: bytes
    body: bytes


def read_request(raw: bytes) -> Request:
    """Read a request as it was sent. Line ends of the head may be LF, and lengths may be missing, as in a saved file.

    Raises ``NotHttp``.
    """
    head, _, body = _split(raw)
    line, _, rest = head.partition(b"\n")
    connection = h11.Connection(h11.SERVER)
    lines = [line.rstrip(b"\r"), *(each.rstrip(b"\r") for each in rest.split(b"\n") if each.strip())]
    connection.receive_data(repair(lines[0] + b"\r\n") + b"\r\n".join([*_without_framing(lines[1:]), b"", b""]))
    try:
        event = connection.next_event()
        if not isinstance(event, h11.Request):
            raise NotHttp("no request line and headers followed by a blank line")
        return _request(event, _body(connection, event, body))
    except h11.RemoteProtocolError as error:
        # Behind the colon the library quotes the line, and a file that was meant to be another may hold a secret.
        raise NotHttp(str(error).partition(":")[0]) from error


def _body(connection: h11.Connection, request: h11.Request, raw: bytes) -> bytes:
    """The body: all that follows the head, or what the chunks hold."""
    if b"transfer-encoding" not in dict(request.headers):
        return raw
    connection.receive_data(raw)
    chunks = []
    while isinstance(event := connection.next_event(), h11.Data):
        chunks.append(bytes(event.data))
    if not isinstance(event, h11.EndOfMessage):
        raise NotHttp("the chunks of the body do not come to an end")
    return b"".join(chunks)


def _split(raw: bytes) -> tuple[bytes, bytes, bytes]:
    crlf, lf = raw.find(b"\r\n\r\n"), raw.find(b"\n\n")
    separator = b"\n\n" if crlf < 0 or 0 <= lf < crlf else b"\r\n\r\n"
    return raw.partition(separator)


def _without_framing(lines: list[bytes]) -> list[bytes]:
    """A saved request's body is what follows; a length that no longer fits after editing must not cut it."""
    names = [line.partition(b":")[0].lower() for line in lines]
    kept = [line for line, name in zip(lines, names, strict=True) if name not in (b"content-length", b"expect")]
    return kept if b"host" in names else [*kept, b"Host: " + NO_HOST.encode()]


def _request(event: h11.Request, body: bytes) -> Request:
    target: bytes = event.target
    path, _, query = target.partition(b"?")
    if not path.startswith(b"/"):
        path = b"/" + path.partition(b"://")[2].partition(b"/")[2]
    headers = dict(event.headers)
    return Request(
        method=event.method.decode("ascii"),
        path=unquote(path.decode("ascii")),
        host=host_name(headers.get(b"host", b"")),
        query=query.partition(b"#")[0],
        content_type=headers.get(b"content-type", b""),
        body=body,
    )
