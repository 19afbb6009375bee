"""One legacy request on its way through a dialect, step by step; what stops it is kept beside what was understood."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.core.messages import Message, Receipt
from gateway.core.pictures import IMAGE_ID
from gateway.errors import Refusal
from gateway.mapping.accounts import Identities, Identity
from gateway.mapping.answers import Answer
from gateway.mapping.dialect import DialectPlan, EndpointPlan
from gateway.wire.forms import Fields, TooManyFields, read_fields
from gateway.wire.multipart import FilePlan, TooLarge
from gateway.wire.raw_http import Request

#: The public address of an uploaded picture by its id, or ``None`` for one that the account does not have.
FindPicture = Callable[[bytes], str | None]


_NO_RESULTS: Mapping[str, object] = {}


@dataclass(slots=True)
class Exchange:
    """A request as far as it was understood. Serving, worked examples and explanations all run this."""

    dialect: DialectPlan
    candidates: Sequence[EndpointPlan] = ()
    endpoint: EndpointPlan | None = None
    #: As they came, which is what was signed, and as they are to be read.
    received: Fields | None = None
    fields: Fields | None = None
    identity: Identity | None = None
    values: dict[str, Any] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    refusal: Refusal | None = None

    def route(self, method: str, path: str, host: str) -> None:
        """Find the endpoints that a request line may mean. Raises ``Refusal``."""
        self.candidates = self.dialect.route(method, path, host)

    def identify(self, fields: Fields, identities: Identities) -> None:
        """Find what is asked for and who asks. Raises ``Refusal``."""
        self.received = self.fields = fields
        self.endpoint = self.dialect.select(self.candidates, fields)
        if self.endpoint.refuse:
            raise Refusal("unsupported", self.endpoint.refuse)
        self.identity, self.fields = self.dialect.authenticate(fields, identities[self.dialect.name])

    @property
    def pictures(self) -> list[str]:
        """The ids of uploaded pictures that the request names."""
        named = [each for name in self.dialect.media for each in self.fields.all(name)] if self.fields else []
        return [each.decode() for each in named if IMAGE_ID.fullmatch(each)]

    def build(self, picture: FindPicture, now: int, new_id: Callable[[], str]) -> None:
        """Check every parameter and build the messages. Raises ``Refusal`` at the first thing wrong."""
        assert self.endpoint is not None
        assert self.fields is not None
        assert self.identity is not None
        self.dialect.check(self.fields, picture, self.values)
        if self.endpoint.message:
            account = self.identity.account
            self.messages = self.endpoint.message.build(self.values, account, self.dialect.name, now, new_id)

    def accept(self, results: Mapping[str, object] = _NO_RESULTS) -> Answer:
        """The answer to success; ``results`` are what the operation adds to what is known already."""
        assert self.endpoint is not None
        assert self.fields is not None
        return self.endpoint.answers.give({**self.values, "messages": self.messages, **results}, self.fields)

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


def fields_of(request: Request, dialect: DialectPlan) -> Fields:
    """The parameters of a request that is held whole; of its files, what they are. Raises ``Refusal``."""
    try:
        return read_fields(request.query, request.content_type, request.body, FilePlan(dialect.file_limits))
    except (TooManyFields, TooLarge) as error:
        raise Refusal("size") from error
