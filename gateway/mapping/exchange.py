"""One legacy request on its way through a dialect, step by step; what stops it is kept beside what was understood."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.core.ids import number_in
from gateway.core.messages import Message, Receipt
from gateway.core.parts import PartsTable
from gateway.core.pictures import IMAGE_ID
from gateway.errors import Refusal
from gateway.mapping.accounts import Identities, Identity
from gateway.mapping.answers import Answer
from gateway.mapping.bindings import Draw
from gateway.mapping.conversions import NO_RECORDS, Means, Records, Upload
from gateway.mapping.dialect import DialectPlan, EndpointPlan, Outline, Route
from gateway.wire.forms import Fields, TooManyFields, read_fields
from gateway.wire.multipart import FilePlan, TooLarge
from gateway.wire.raw_http import Request

#: The public address of an uploaded picture by its id, or ``None`` for one that the account does not have.
FindPicture = Callable[[bytes], str | None]

NO_RESULTS: Mapping[str, object] = {}


class Exchange:
    """A request as far as it was understood. Serving, worked examples and explanations all run this.

    ``began`` is when its head was whole, by ``time.perf_counter``.
    """

    # Written down for those alone that get so far.
    base: str | None = None
    line: Route | None = None
    endpoint: EndpointPlan | None = None
    #: As they came, which is what was signed, and as they are to be read.
    received: Fields | None = None
    fields: Fields | None = None
    identity: Identity | None = None
    outline: Outline | None = None
    values: dict[str, Any]
    messages: Sequence[Message] = ()
    #: Messages that are sent if those of ``messages`` that they follow are not delivered.
    follow_ups: Sequence[Message] = ()
    #: What it began that has no message of its own: mailings by their batch names, bulk requests by their ids.
    batches: tuple[str, ...] = ()
    refusal: Refusal | None = None

    def __init__(self, dialect: DialectPlan, began: float = 0.0) -> None:
        self.dialect = dialect
        self.values = {}
        #: When it began, and when it was read, understood and answered, as far as it came.
        self.moments = [began]

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.moments[-1] - self.moments[0]

    def route(self, method: str, path: str, host: str) -> None:
        """Find the endpoints that a request line may mean. Raises ``Refusal``."""
        try:
            self.line = self.dialect.route(method, path, host)
        except Refusal:
            self.base = self.dialect.base_of(path)[0]
            raise
        self.base = self.line.base

    def identify(self, fields: Fields, identities: Identities) -> None:
        """Find what is asked for and who asks. Raises ``Refusal``."""
        assert self.line is not None
        self.received = self.fields = fields
        self.endpoint = self.line.meant(fields)
        if self.endpoint is None:
            raise Refusal("path")
        if self.endpoint.refuse:
            raise Refusal("unsupported", self.endpoint.refuse)
        self.identity, self.fields = self.dialect.authenticate(fields, identities[self.dialect.name])

    @property
    def pictures(self) -> list[str]:
        """The ids of uploaded pictures that the request shows: those that it names, and those in it."""
        if self.fields is None or self.dialect.pictures.isdisjoint(self.fields.values):
            return []
        named = [each for name in self.dialect.media for each in self.fields.all(name)]
        ids = [each.decode() for each in named if IMAGE_ID.fullmatch(each)]
        return ids + [self.values[f"{name}.id"] for name in self.uploads if f"{name}.id" in self.values]

    @property
    def records(self) -> list[tuple[str, int]]:
        """Kind and number of what the request names of what is kept for the account."""
        assert self.endpoint is not None
        assert self.fields is not None
        if not self.endpoint.records:
            return []
        wanted = [(each.spec.of or "", self.fields.last(each.raw)) for each in self.endpoint.records]
        numbers = [(kind, number_in(raw.decode("latin-1"))) for kind, raw in wanted if raw]
        return [(kind, number) for kind, number in numbers if number is not None]

    @property
    def uploads(self) -> dict[str, Upload]:
        """The pictures in an understood request, by their parameters."""
        if not self.dialect.file_limits:
            return {}
        return {name: value for name, value in self.values.items() if isinstance(value, Upload)}

    def check(self, picture: FindPicture, records: Records = NO_RECORDS) -> None:
        """Check every parameter. Raises ``Refusal`` at the first thing wrong."""
        assert self.endpoint is not None
        assert self.fields is not None
        assert self.identity is not None
        identity = self.identity
        self.values = {"base": self.base, **identity.known}
        means = Means(picture, records, identity.names, identity.zone)
        self.outline = self.dialect.check(self.endpoint, self.fields, means, self.values)

    def keep(self, parameter: str, image_id: str, address: str) -> None:
        """A picture of the request is kept under an id, and has a public address, or a blank one."""
        self.values[f"{parameter}.id"] = image_id
        self.values[f"{parameter}.address"] = address or None

    def build(self, now: int, new_id: Callable[[], str], draw: Draw) -> None:
        """Build the messages of checked parameters. Raises ``Refusal``."""
        assert self.endpoint is not None
        assert self.identity is not None
        assert self.outline is not None
        if self.endpoint.draw:
            self.values["drawn"] = self.endpoint.draw.draw(self.values, draw)
        if self.outline.message:
            account, name = self.identity.account, self.dialect.name
            self.messages, self.follow_ups = self.outline.message.build(self.values, account, name, now, new_id)
            if self.dialect.parts is not None:
                self.values.update(self._counted(self.dialect.parts))

    def _counted(self, parts: PartsTable) -> dict[str, Any]:
        """How many SMS the first message takes. Raises ``Refusal`` for too many."""
        if not self.messages or self.messages[0].channel != "sms":
            return {}
        counted = parts.count(self.messages[0].content.text or "")
        if counted is None:
            assert self.endpoint is not None
            text = next((each for each in self.endpoint.parameters if each.spec.too_long), None)
            raise Refusal((text.spec.too_long if text else None) or "parameter", text.name if text else "request")
        return {"sent.parts": counted[0], "sent.length": counted[1]}

    def number(self, first: int) -> None:
        """Give the messages their integer ids, counting up; what follows one belongs to it."""
        self.messages = [each._replace(number=first + i) for i, each in enumerate(self.messages)]
        numbers = {each.id: each.number for each in self.messages}
        self.follow_ups = [each._replace(batch=numbers[each.follows or ""]) for each in self.follow_ups]

    @property
    def input(self) -> dict[str, Any]:
        """What the operation works on."""
        assert self.endpoint is not None
        return {name: value.evaluate(self.values) for name, value in self.endpoint.input.items()}

    def accept(self, results: Mapping[str, object] = NO_RESULTS) -> Answer:
        """The answer to success; ``results`` are what the operation adds to what is known already."""
        assert self.endpoint is not None
        assert self.fields is not None
        sent = {"sent.id": self.messages[0].id, "sent.number": self.messages[0].number} if self.messages else {}
        return self.endpoint.answers.give({**self.values, "messages": self.messages, **sent, **results}, self.fields)

    def refuse(self, refusal: Refusal) -> Answer:
        """The answer to a request that is refused."""
        self.refusal = refusal
        return self.dialect.refuse(refusal, self.base, self.endpoint)

    def settle(self, receipts: Sequence[Receipt], results: Mapping[str, object] = NO_RESULTS) -> Answer:
        """The answer once SMSBAT's word on every message is known: an error only when it took none of them."""
        assert self.endpoint is not None
        verdicts = [self.dialect.verdict(self.endpoint, receipt) for receipt in receipts]
        refusal = verdicts[0]
        return self.accept(results) if refusal is None or None in verdicts else self.refuse(refusal)


def fields_of(request: Request, dialect: DialectPlan) -> Fields:
    """The parameters of a request that is held whole; of its files, what they are. Raises ``Refusal``."""
    files, most = FilePlan(dialect.file_limits), dialect.file.limits.fields
    try:
        return read_fields(request.query, request.content_type, request.body, files, most)
    except (TooManyFields, TooLarge) as error:
        raise Refusal("size") from error
