"""What the hand-written proxies have in common: signature, SMSBAT's item, answers, and how they are served."""

from __future__ import annotations

import hashlib
import hmac
import sys
import uuid
from collections.abc import Mapping
from typing import Any

import httpx
import uvicorn
import xmltodict

SECRET = "4Ab2ln4FEa32"
HEADERS = {"X-Authorization-Key": "sandbox-key"}
#: More than any load has clients.
CONNECTIONS = 512
TIMEOUT = 30.0

Form = Mapping[str, Any]


def is_signed(form: Form) -> bool:
    """Whether md5 over the values and the secret is the one that was sent."""
    signed = f"{form['user']}{form['from']}{form['phone']}{form['txt']}{SECRET}"
    return hmac.compare_digest(hashlib.md5(signed.encode()).hexdigest(), form["sign"])


def new_id() -> str:
    return str(uuid.uuid4())


def call(form: Form, message_id: str) -> dict[str, Any]:
    """SMSBAT's call for one message."""
    item = {"from": form["from"], "to": form["phone"], "type": "viber_promo", "text": form["txt"], "ttl": 86400}
    return {"messages": [{**item, "customerMessageId": message_id}]}


def accepted(form: Form, message_id: str) -> str:
    msg_id = {"@phone": form["phone"], "#text": message_id}
    return xmltodict.unparse({"response": {"tech_message": "OK", "code": "0", "msg_id": msg_id}})


def refused(code: int, text: str) -> str:
    return xmltodict.unparse({"response": {"code": code, "tech_message": text}})


def receipt_of(status: int, answer: Any) -> str | None:
    """SMSBAT's id of the message; ``None`` when it did not take it."""
    return str(answer["messages"][0]["messageId"]) if status == 200 else None


def httpx_client(smsbat: str) -> httpx.AsyncClient:
    """httpx with its own transport, with connections for everybody."""
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    return httpx.AsyncClient(base_url=smsbat, limits=limits, timeout=TIMEOUT, headers=HEADERS)


def serve(app: Any) -> None:
    """Serve an ASGI application with uvicorn at its fastest."""
    options: dict[str, Any] = {"loop": "uvloop", "http": "httptools", "ws": "none"}
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="warning", **options)
