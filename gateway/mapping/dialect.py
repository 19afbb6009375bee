"""A dialect file as a plan that requests run through: route, authenticate, check, answer."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gateway.core.messages import Outcome, Receipt
from gateway.core.parts import PartsTable
from gateway.errors import Refusal
from gateway.mapping.accounts import Identity
from gateway.mapping.answers import Answer, Answers
from gateway.mapping.authentication import Authenticator
from gateway.mapping.bindings import CodePlan, MailingPlan, MessagePlan
from gateway.mapping.callbacks import CallbackPlan
from gateway.mapping.conversions import Means, Reading
from gateway.mapping.functions import Evaluate
from gateway.mapping.parameters import ParameterCheck, Put, reader
from gateway.mapping.remembered import Remembered
from gateway.mapping.schema.dialect import DialectFile
from gateway.mapping.source import Origin, Source
from gateway.mapping.values import Holds, Value
from gateway.wire.forms import NO_FIELDS, Fields

_SLASHES = re.compile(r"/{2,}")
#: Operations after which a client asks what became of messages.
_ASKING = frozenset({"status", "deliveries", "bulk_status"})


def lenient_path(path: str) -> str:
    """A path without doubled and final slashes, in lower case."""
    return _SLASHES.sub("/", path).rstrip("/").lower() or "/"


class Outline(NamedTuple):
    """What all requests that send the same names have in common.

    ``defaults`` are what stands for parameters that they do not send; ``read`` reads the others, in the file's order.
    ``message`` is the endpoint's, with what follows from the defaults. ``is_all_of_effect``: there is nothing in them
    that is ignored, or that nobody knows.
    """

    defaults: Mapping[str, Any]
    read: Put
    message: MessagePlan | None
    is_all_of_effect: bool = False


@dataclass(frozen=True, slots=True)
class EndpointPlan:
    """One endpoint: when it is meant, what it does, how it answers success."""

    path: str
    methods: frozenset[str]
    hosts: frozenset[str]
    meant: Holds
    guard_names: frozenset[bytes]
    #: What ``meant`` says of requests that send none of these.
    meant_without: bool
    refuse: str | None
    operation: str | None
    parameters: tuple[ParameterCheck, ...]
    #: Those of them that name something kept for the account.
    records: tuple[ParameterCheck, ...]
    #: The names of all of them, and of those without and with an effect.
    known: frozenset[bytes]
    ignored: frozenset[bytes]
    of_effect: frozenset[bytes]
    message: MessagePlan | None
    mailing: MailingPlan | None
    draw: CodePlan | None
    input: Mapping[str, Value]
    #: The parameters behind the operation's inputs, for what is said of them.
    input_names: Mapping[str, str]
    answers: Answers
    origin: Origin
    #: Clients send the same few sets of names again and again.
    outlines: Remembered[Outline] = field(default_factory=Remembered, compare=False)
    #: Many of them, which differ by names that nobody knows, have the same parameters in them.
    made: Remembered[Outline] = field(default_factory=Remembered, compare=False)

    def is_at(self, path: str, host: str) -> bool:
        """Whether requests to this path of this host may mean it."""
        there = path.startswith(self.path[:-1]) if self.path.endswith("*") else path == self.path
        return there and (not self.hosts or host in self.hosts)

    def is_meant(self, fields: Fields) -> bool:
        """Whether its guard over the raw parameters holds."""
        if self.guard_names.isdisjoint(fields.values):
            return self.meant_without
        raw = {name.decode(): (fields.last(name) or b"").decode("utf-8", "replace") for name in self.guard_names}
        return self.meant(raw, fields)

    def outline(self, fields: Fields) -> Outline:
        """What is known of a request by the names that it sends."""
        names = tuple(fields.values)
        return self.outlines.get(names) or self.outlines.keep(names, self._outlined(fields))

    def _outlined(self, fields: Fields) -> Outline:
        left_out = [each.early_default and each.raw not in fields.values for each in self.parameters]
        key = (bytes(left_out),)
        made = self.made.get(key) or self.made.keep(key, self._without(left_out))
        return made._replace(is_all_of_effect=self.of_effect.issuperset(fields.values))

    def _without(self, left_out: Sequence[bool]) -> Outline:
        parameters = [*zip(self.parameters, left_out, strict=True)]
        defaults = {each.name: each.default for each, is_left_out in parameters if is_left_out}
        to_read = [each for each, is_left_out in parameters if not is_left_out]
        return Outline(defaults, reader(to_read), self.message and self.message.knowing(defaults))


class Route(NamedTuple):
    """What a request line may mean: endpoints in the order of the file, and which of the bases its path has.

    ``guard_names`` are all that their guards ask for; a request that sends none of those means ``otherwise``.
    """

    base: str | None
    candidates: Sequence[EndpointPlan]
    guard_names: frozenset[bytes]
    otherwise: EndpointPlan | None

    def meant(self, fields: Fields) -> EndpointPlan | None:
        """The first candidate whose guard holds."""
        if self.guard_names.isdisjoint(fields.values):
            return self.otherwise
        return next((plan for plan in self.candidates if plan.is_meant(fields)), None)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a dialect answers; a blank ``host`` stands for any."""

    host: str
    path: str
    lenient: bool = False

    @classmethod
    def of(cls, written: str, lenient: bool = False) -> Place:
        """A place as it stands in the file: ``/path`` or ``host/path``."""
        host, slash, path = written.partition("/")
        return cls(host, slash + path, lenient)

    def holds(self, host: str, path: str) -> bool:
        """Whether a request goes there."""
        if self.lenient:
            path = lenient_path(path)
        below = self.path if self.path.endswith("/") else self.path + "/"
        return self.host in ("", host) and (path == self.path or path.startswith(below))


@dataclass(frozen=True, slots=True)
class DialectPlan:
    """A compiled dialect, by its short name. Immutable: a running gateway swaps plans whole."""

    name: str
    file: DialectFile
    source: Source
    places: tuple[Place, ...]
    endpoints: tuple[EndpointPlan, ...]
    media: tuple[bytes, ...]
    file_limits: Mapping[bytes, int]
    #: Parameters that show pictures: those that name them, and those that are files.
    pictures: frozenset[bytes]
    parts: PartsTable | None
    authenticator: Authenticator
    errors: Mapping[str, Mapping[str, Evaluate]]
    error_answers: Answers
    callbacks: CallbackPlan | None
    #: Names that trees refer to, by the endpoint's place in the file, ``None`` for the dialect itself.
    used: frozenset[tuple[int | None, str]]
    #: What request lines were found to mean: clients ask for the same few again and again.
    routes: Remembered[Route] = field(default_factory=Remembered, compare=False)

    @property
    def takes_uploads(self) -> bool:
        """Whether there is nothing in it but uploads of pictures, for another one to send."""
        return bool(self.file_limits) and not self.sends

    @property
    def sends(self) -> bool:
        """Whether messages are sent in it."""
        return self.file.outcomes is not None

    @property
    def is_asked(self) -> bool:
        """Whether its clients ask what became of messages."""
        return any(endpoint.operation in _ASKING for endpoint in self.endpoints)

    def base_of(self, path: str) -> tuple[str | None, str]:
        """Which of the bases a path has, and the rest of it, as endpoints have it."""
        if self.file.paths == "lenient":
            path = lenient_path(path)
        for name, base in self.file.bases.items():
            if path == base or path.startswith(base + "/"):
                return name, path[len(base) :]
        return None, path

    def route(self, method: str, path: str, host: str) -> Route:
        """The endpoints that a request line may mean. Raises ``Refusal`` for an unknown path or method."""
        known = self.routes.get((method, path, host))
        if known is not None:
            return known
        base, rest = self.base_of(path)
        here = [plan for plan in self.endpoints if plan.is_at(rest, host)]
        if not here or (self.file.bases and base is None) or not any(place.holds(host, path) for place in self.places):
            raise Refusal("path")
        fitting = [plan for plan in here if not plan.methods or method in plan.methods]
        if not fitting:
            raise Refusal("method")
        guard_names = frozenset[bytes]().union(*(plan.guard_names for plan in fitting))
        otherwise = next((plan for plan in fitting if plan.meant_without), None)
        return self.routes.keep((method, path, host), Route(base, fitting, guard_names, otherwise))

    def authenticate(self, fields: Fields, identities: Mapping[bytes, Identity]) -> tuple[Identity, Fields]:
        """Whose request this is, and its fields as they are to be read from here on. Raises ``Refusal``."""
        return self.authenticator.authenticate(fields, identities)

    def check(self, endpoint: EndpointPlan, fields: Fields, means: Means, values: dict[str, Any]) -> Outline:
        """Put every parameter's value into ``values``, in the order of the file. Raises ``Refusal`` at a bad one."""
        charset = self.file.charset if not fields.unicode else None
        reading = Reading(fields, charset.default if charset else "utf-8", means, values)
        if self.file.checks == "required-first":
            self._check_all_there(endpoint, reading)
        outline = endpoint.outline(fields)
        values.update(outline.defaults)
        outline.read(reading)
        return outline

    @staticmethod
    def _check_all_there(endpoint: EndpointPlan, reading: Reading) -> None:
        """What is required may hang on a choice; one that is none is told in its turn."""
        for parameter in endpoint.parameters:
            if parameter.spec.type == "choice":
                with contextlib.suppress(Refusal):
                    parameter.put(reading)
        for parameter in endpoint.parameters:
            if parameter.is_missing(reading):
                raise parameter.fault

    def error(self, refusal: Refusal) -> dict[str, Any]:
        """What the dialect says of a refusal."""
        scope: dict[str, Any] = {"parameter": refusal.parameter}
        return {name: evaluate(scope) for name, evaluate in self.errors[refusal.kind].items()}

    def refuse(self, refusal: Refusal, base: str | None, endpoint: EndpointPlan | None = None) -> Answer:
        """The answer to a request that is refused; an endpoint with a refusal of its own has its own form."""
        scope: dict[str, Any] = {"parameter": refusal.parameter, "base": base}
        scope.update([(f"error.{name}", value) for name, value in self.error(refusal).items()])
        answers = endpoint.answers if endpoint is not None and endpoint.refuse else self.error_answers
        return answers.give(scope, NO_FIELDS)

    def verdict(self, endpoint: EndpointPlan, receipt: Receipt) -> Refusal | None:
        """What a receipt means for the waiting client: ``None`` for success, else the error to answer."""
        if not receipt.refused:
            return None
        kind: str = getattr(self.file.outcomes, receipt.outcome.value)
        if receipt.outcome is not Outcome.INVALID:
            return Refusal(kind)
        concerns = endpoint.message.concerns if endpoint.message else {}
        named = concerns.get(receipt.concern) if receipt.concern else None
        says = self.file.outcomes.concerns if self.file.outcomes else {}
        if receipt.concern in says:
            kind = says[receipt.concern]
        return Refusal(kind, named or "request")
