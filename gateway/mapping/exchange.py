"""One legacy request on its way through a dialect, step by step; what stops it is kept beside what was understood."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.core.messages import Message, Receipt
from gateway.errors import Refusal
from gateway.mapping.accounts import Identities, Identity
from gateway.mapping.answers import Answer
from gateway.mapping.dialect import DialectPlan, EndpointPlan
from gateway.wire.forms import Fields, TooManyFields, read_fields
from gateway.wire.raw_http import Request


@dataclass(slots=True)
class Exchange:
    """A request as far as it was understood. Serving, worked examples and explanations all run this."""

    dialect: DialectPlan
    candidates: Sequence[EndpointPlan] = ()
    endpoint: EndpointPlan | None = None
    fields: Fields | None = None
    identity: Identity | None = None
    values: dict[str, Any] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    refusal: Refusal | None = None

    def route(self, method: str, path: str, host: str) -> None:
        """Find the endpoints that a request line may mean. Raises ``Refusal``."""
        self.candidates = self.dialect.route(method, path, host)

    def understand(self, request: Request, identities: Identities, now: int, new_id: Callable[[], str]) -> None:
        """Read, authenticate, check, and build the messages. Raises ``Refusal`` at the first thing wrong."""
        self.fields = _read(request)
        self.endpoint = self.dialect.select(self.candidates, self.fields)
        if self.endpoint.refuse:
            raise Refusal("unsupported", self.endpoint.refuse)
        known = identities[self.dialect.name]
        self.identity, self.fields = self.dialect.authenticate(self.fields, known)
        self.dialect.check(self.fields, self.values)
        if self.endpoint.message:
            account = self.identity.account
            self.messages = self.endpoint.message.build(self.values, account, self.dialect.name, now, new_id)

    def accept(self) -> Answer:
        """The answer once the messages are taken."""
        assert self.endpoint is not None
        assert self.fields is not None
        return self.dialect.accept(self.endpoint, self.values, self.fields, self.messages)

    def refuse(self, refusal: Refusal) -> Answer:
        """The answer to a request that is refused."""
        self.refusal = refusal
        return self.dialect.refuse(refusal, self.endpoint)

    def settle(self, receipts: Sequence[Receipt]) -> Answer:
        """The answer once SMSBAT's word on every message is known: an error only when it took none of them."""
        assert self.endpoint is not None
        verdicts = [self.dialect.verdict(self.endpoint, receipt) for receipt in receipts]
        refusal = verdicts[0]
        return self.accept() if refusal is None or None in verdicts else self.refuse(refusal)


def _read(request: Request) -> Fields:
    try:
        return read_fields(request.query, request.content_type, request.body)
    except TooManyFields as error:
        raise Refusal("size") from error
