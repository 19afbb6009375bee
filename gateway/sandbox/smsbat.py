"""The sandbox's ASGI application."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.core.budget import CallBudget
from gateway.sandbox.behaviour import OF_ONE_MESSAGE, ONCE, TAKEN, Fault, fault_of
from gateway.sandbox.ledger import Ledger
from gateway.sandbox.partner import Partner
from gateway.sandbox.telling import Teller
from gateway.sandbox.validation import Rejection, message_error, read_call, request_error

Item = dict[str, Any]
SLOW_SECONDS = 3.0


@dataclass(slots=True)
class SandboxOptions:
    """How the sandbox behaves towards everyone. Tests change these while it runs."""

    key: str = "sandbox-key"
    login: str = "sandbox"
    password: str = "sandbox-password"
    shape: Literal["guide-001", "help-004"] = "guide-001"
    latency: float = 0.0
    limited: bool = True
    fault: Fault | None = None
    refuse_duplicates: bool = False
    pace: float = 1.0
    hook: str | None = None


class Sandbox:
    """A stand-in SMSBAT, and partners' scripts.

    ``on_call`` is told of the messages of every call that is taken, ``on_told`` of what every script is told.
    """

    def __init__(
        self,
        options: SandboxOptions,
        on_call: Callable[[list[Item]], None] = lambda items: None,
        on_told: Callable[[Item], None] = lambda told: None,
    ) -> None:
        self.options = options
        self.ledger = Ledger(options.pace)
        self._on_call = on_call
        self._sending, self._reading = CallBudget(100, 150, 0), CallBudget(50, 75, 0)
        self._happened: set[tuple[Fault, str]] = set()
        self.partner = Partner(on_told)
        self.teller = Teller(options.pace, options.hook)
        self.app = Starlette(
            routes=[
                Route("/bat/messagelist", self._send, methods=["POST"]),
                Route("/bat/message/{id}", self._status),
                Route("/sandbox/messages", self._messages),
                Route("/sandbox/summary", self._summary),
                Route("/sandbox/tell", self._tell, methods=["POST"]),
                *self.partner.routes,
            ]
        )

    async def _send(self, request: Request) -> Response:
        body = await request.body()
        self.ledger.calls += 1
        try:
            self._admit(request, self._sending)
            items = read_call(request.headers.get("content-type", ""), body)
            return await self._handle(items, request)
        except Rejection as rejection:
            return _json(rejection.body, rejection.status)

    async def _handle(self, items: list[Item], request: Request) -> Response:
        self.ledger.largest_call = max(self.ledger.largest_call, len(items))
        fault = self._fault_of_call(items)
        if fault and fault not in TAKEN:
            return _faulty(fault)
        if self.options.latency:
            await asyncio.sleep(self.options.latency)
        if self.options.refuse_duplicates and any(self.ledger.knows(item.get("customerMessageId")) for item in items):
            raise message_error("DUPLICATE_ID", "customerMessageId is not unique")
        entries = [self._entry(item) for item in items]
        self._on_call(items)
        if fault:
            return await _after_taking(fault, entries, request)
        return _answer(entries)

    def _admit(self, request: Request, budget: CallBudget) -> None:
        if not self._authorized(request):
            raise request_error("Invalid credentials", 401, 401, "Unauthorized")
        now = time.monotonic()
        if self.options.limited and budget.delay(now) > 0:
            self.ledger.too_many += 1
            raise Rejection(429, {"error": "Too Many Requests", "message": "Rate limit exceeded", "status": 429})
        budget.take()

    def _authorized(self, request: Request) -> bool:
        options, basic = self.options, request.headers.get("authorization", "")
        accepted = {_basic(options.login, options.password), _basic("@", options.key)}
        return request.headers.get("x-authorization-key") == options.key or basic in accepted

    def _fault_of_call(self, items: Iterable[Item]) -> Fault | None:
        if self.options.fault:
            return self.options.fault
        for item in items:
            fault = fault_of(item["to"])
            if fault and fault not in OF_ONE_MESSAGE and self._happens(fault, item):
                return fault
        return None

    def _happens(self, fault: Fault, item: Item) -> bool:
        occasion = (fault, str(item.get("customerMessageId", item["to"])))
        if fault in ONCE and occasion in self._happened:
            return False
        self._happened.add(occasion)
        return True

    def _entry(self, item: Item) -> Item:
        if fault_of(item["to"]) is Fault.REJECTED:
            error = {"code": "INVALID_RECIPIENT", "message": "Invalid phone number"}
            return {"status": "rejected", "error": error, "customerMessageId": item.get("customerMessageId")}
        message_id = self.ledger.take(item)
        self.teller.taken(message_id, item)
        customer_id = item.get("customerMessageId")
        if self.options.shape == "help-004":
            told = {"messageId": f"m{message_id}", "status": "accepted", "parts": 1}
            return {**told, "customerMessageId": customer_id, "to": "+" + item["to"].lstrip("+")}
        told = {"messageId": message_id, "from": item["from"], "to": item["to"], "text": item.get("text", "")}
        return {**told, "dtExpire": None, "customerMessageId": customer_id, "partsCount": 1, "type": item["type"]}

    async def _status(self, request: Request) -> Response:
        try:
            self.ledger.reads.append(time.monotonic())
            self._admit(request, self._reading)
        except Rejection as rejection:
            return _json(rejection.body, rejection.status)
        status = self.ledger.status(request.path_params["id"].removeprefix("m"))
        not_found = request_error("Message not found", 1001, 404, "Not Found")
        return _json(not_found.body, 404) if status is None else _json(status)

    async def _messages(self, request: Request) -> Response:
        """What was received, newest last; ``?to=`` narrows it to one number."""
        wanted = request.query_params.get("to")
        kept = [each for each in self.ledger.messages() if wanted is None or each["to"] == wanted]
        return _json({**self.ledger.summary(), "list": kept})

    async def _tell(self, request: Request) -> Response:
        """Tell the webhook what is in the body, as JSON, or as a form with ``?form``."""
        told = orjson.loads(await request.body())
        return _json({"answered": await self.teller.tell(told, "form" in request.query_params)})

    async def _summary(self, request: Request) -> Response:
        return _json(self.ledger.summary())


def _basic(login: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()


def _json(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, headers, "application/json")


def _answer(entries: list[Item]) -> Response:
    return _json({"messagelistId": 11292, "messages": entries})


def _faulty(fault: Fault) -> Response:
    if fault is Fault.INVALID:
        return _json({"error": {"code": "INVALID_RECIPIENT", "message": "Invalid phone number format"}}, 422)
    if fault is Fault.TOO_MANY:
        return _json({"error": "Too Many Requests", "message": "Slow down", "status": 429}, 429, {"Retry-After": "1"})
    status, reason = {
        Fault.BALANCE: (402, "Insufficient balance"),
        Fault.UNAUTHORIZED: (401, "Unauthorized"),
        Fault.FORBIDDEN: (403, "Account suspended"),
    }.get(fault, (503, "Service Unavailable"))
    return _json({"status": status, "error": reason, "message": reason}, status)


async def _after_taking(fault: Fault, entries: list[Item], request: Request) -> Response:
    if fault is Fault.ERROR_AFTER:
        return _json({"status": 500, "error": "Internal Server Error", "message": "…", "code": 500}, 500)
    if fault is Fault.BROKEN_JSON:
        return Response(b'{"messagelistId":11292,"messages":[{"mess', 200, media_type="application/json")
    if fault is Fault.TIMEOUT:
        await request.receive()  # ends only when the client gives up
    else:
        await asyncio.sleep(SLOW_SECONDS)
    return _answer(entries)
