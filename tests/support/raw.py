"""Raw requests over real sockets, as old clients make them."""

from __future__ import annotations

import hashlib
import json
import socket
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

import xmltodict

from gateway.settings import Address, host_and_port
from gateway.wire.signatures import md5_signature

DECLARED = '<?xml version="1.0" encoding="utf-8"?>\n'


def answer_text(code: int, text: str) -> str:
    """The dialect's short answer, to the byte."""
    return f"{DECLARED}<response>\n  <code>{code}</code>\n  <tech_message>{text}</tech_message>\n</response>\n"


OK = answer_text(0, "OK")
AUTH_ERROR = answer_text(-2, "AUTH ERROR (sign)")


@dataclass(frozen=True)
class Response:
    """A raw answer taken apart."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def xml(self) -> dict[str, Any]:
        """The answer as two strict parsers see it."""
        ElementTree.fromstring(self.body)
        parsed: dict[str, Any] = xmltodict.parse(self.body)["response"]
        return parsed

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> int:
        return int(self.xml["code"])

    @property
    def message_ids(self) -> list[tuple[str, str]]:
        """Phone and ``msg_id``, in the order of the answer."""
        found = ElementTree.fromstring(self.body).iter("msg_id")
        return [(each.attrib["phone"], each.text or "") for each in found]


class Connection:
    """One connection of a client that writes bytes as they are."""

    def __init__(self, address: Address, timeout: float = 20.0) -> None:
        self._socket = socket.create_connection(host_and_port(address), timeout)
        self._received = b""

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def write(self, raw: bytes) -> None:
        self._socket.sendall(raw)

    def end(self) -> None:
        """Say that nothing more will be written; answers can still be read."""
        self._socket.shutdown(socket.SHUT_WR)

    def read(self) -> Response:
        """The next answer. Interim ones (100 Continue) come as answers without a body."""
        line, *lines = self.read_head().decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
        length = int(headers.get("content-length", 0))
        while len(self._received) < length:
            self._receive()
        body, self._received = self._received[:length], self._received[length:]
        return Response(int(line.split(" ")[1]), headers, body)

    def read_head(self) -> bytes:
        """The head of the next answer, as it came."""
        while b"\r\n\r\n" not in self._received:
            self._receive()
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        return head

    def at_end(self) -> bool:
        """Whether the server closed the connection, with nothing more to read."""
        return not self._received and self._socket.recv(1) == b""

    def _receive(self) -> None:
        received = self._socket.recv(65536)
        if not received:
            raise ConnectionError(f"closed in the middle of an answer: {self._received!r}")
        self._received += received


def exchange(address: Address, raw: bytes) -> Response:
    """Send one raw request and read its answer."""
    with Connection(address) as connection:
        connection.write(raw)
        return connection.read()


def signed(secret: str = "4Ab2ln4FEa32", /, **parameters: Any) -> list[tuple[str, str]]:
    """Parameters of a Messagio request with the right signature; ``from_`` stands for ``from``, lists repeat."""
    pairs = [("user", "onvUser"), ("from", "Sender")]
    pairs = [(name, value) for name, value in pairs if not {name, f"{name}_"} & parameters.keys()]
    for name, value in parameters.items():
        pairs += [(name.rstrip("_"), str(each)) for each in (value if isinstance(value, list) else [value])]
    chosen = {name: [value for key, value in pairs if key == name] for name in ("user", "from", "phone", "txt")}
    values = [value.encode() for name in ("user", "from", "phone", "txt") for value in chosen[name]]
    return [*pairs, ("sign", md5_signature(values, secret.encode()).decode())]


def urlencoded(pairs: list[tuple[str, str]]) -> bytes:
    """A form body or query."""
    return "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs).encode()


def get(pairs: list[tuple[str, str]]) -> bytes:
    """A GET request as a plain client writes it."""
    return b"GET /?%b HTTP/1.1\r\nHost: bulk.sms-online.com\r\n\r\n" % urlencoded(pairs)


def post(body: bytes, content_type: bytes = b"application/x-www-form-urlencoded", target: bytes = b"/") -> bytes:
    """A POST request as a plain client writes it."""
    head = b"POST %b HTTP/1.1\r\nHost: bulk.sms-online.com\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n"
    return head % (target, content_type, len(body)) + body


def multipart(
    pairs: list[tuple[bytes, bytes]], boundary: bytes = b"----------------------------5d3e", target: bytes = b"/"
) -> bytes:
    """A multipart request as PHP's curl writes it."""
    parts = [
        b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (boundary, name, value)
        for name, value in pairs
    ]
    body = b"".join(parts) + b"--" + boundary + b"--\r\n"
    return post(body, b"multipart/form-data; boundary=" + boundary, target)


def upload(
    picture: bytes, login: bytes = b"onvUser", secret: bytes = b"4Ab2ln4FEa32", target: bytes = b"/upload/"
) -> bytes:
    """An upload as the vendor's sample writes it."""
    sign = md5_signature([login, hashlib.md5(picture).hexdigest().encode()], secret)
    return multipart([(b"login", login), (b"image", picture), (b"sign", sign)], target=target)
