"""An sms.by client that waits for nothing to be clever: raw requests in, answers as bytes."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from gateway.settings import Address
from tests.support.raw import Response, exchange

TOKEN = "TESTTOKEN"


def call(address: Address, method: str, /, version: str = "v1", token: str = TOKEN, **parameters: Any) -> Response:
    """A method with everything in the query, as the vendor's PHP class calls it."""
    query = urlencode({"token": token, **parameters}, doseq=True)
    return exchange(address, f"GET /api/{version}/{method}?{query} HTTP/1.1\r\nHost: app.sms.by\r\n\r\n".encode())


def post_json(address: Address, method: str, document: dict[str, Any], version: str = "v1") -> Response:
    """A method with a JSON body, the token in it."""
    body = json.dumps({"token": TOKEN, **document}).encode()
    head = f"POST /api/{version}/{method} HTTP/1.1\r\nHost: app.sms.by\r\nContent-Type: application/json\r\n"
    return exchange(address, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)


def result(response: Response) -> Any:
    """What a good answer holds under ``result``."""
    assert response.status == 200, response.text
    return response.json["result"]
