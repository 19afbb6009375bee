"""A dialect file, compiled into an immutable plan: route, authenticate, check, build, answer."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from gateway.core.messages import Concern, Content, Message, Outcome, Receipt, only_digits
from gateway.errors import Refusal
from gateway.mapping.accounts import Account, Identity
from gateway.mapping.answers import Answer, Answers, compile_answers
from gateway.mapping.authentication import Authenticator
from gateway.mapping.callbacks import CallbackPlan, compile_callbacks
from gateway.mapping.otp import NotOtp
from gateway.mapping.parameters import ParameterCheck, Reading, compile_parameter
from gateway.mapping.schema.dialect import DialectFile, Endpoint
from gateway.mapping.source import Problem, Source, Where
from gateway.mapping.values import Compiler, Evaluate, Holds, Scope, Value
from gateway.wire.forms import Fields

#: Names in an answer's scope besides the parameters, by operation.
_RESULT_NAMES = {"send": ("messages", "parameter"), "upload": ("picture.id", "parameter")}
_RESERVED = frozenset(name for names in _RESULT_NAMES.values() for name in names)
#: In milliseconds.
MINUTE = 60_000
_CONTENT_NAMES = tuple(field.name for field in fields(Content) if field.name != "otp")
VIBER = "viber"
_NO_FIELDS = Fields({})


@dataclass(frozen=True, slots=True)
class MessagePlan:
    """How checked parameters become neutral messages. ``concerns`` names the parameter behind each part.

    ``otp_names`` does the same for the parts of a one-time password.
    """

    values: Mapping[str, Value]
    concerns: Mapping[Concern, str]
    otp_names: Mapping[str, str]

    def build(
        self, values: Scope, account: Account, dialect: str, now: int, new_id: Callable[[], str]
    ) -> list[Message]:
        """One message for each recipient, in request order, all of one submission. Raises ``Refusal``."""
        part = {name: value.evaluate(values) for name, value in self.values.items()}
        recipients, otp = part.pop("recipient"), part.pop("otp")
        due_at = now + (part.pop("delay") or 0) * MINUTE
        common = {**part, "account": account.name, "dialect": dialect, "accepted_at": now, "due_at": due_at}
        common["submission"] = new_id()
        common["report"] = bool(common["report"])
        content = Content(**{name: common.pop(name) for name in _CONTENT_NAMES})
        common["content"] = self._with_otp(content, common, otp, account) if common["channel"] == VIBER else content
        listed = recipients if isinstance(recipients, list) else [recipients]
        return [
            Message(id=new_id(), position=i, recipient=each, digits=only_digits(each), **common)
            for i, each in enumerate(listed)
        ]

    def _with_otp(self, content: Content, part: Mapping[str, Any], otp: Any, account: Account) -> Content:
        try:
            return account.otp.apply(content, part["sender"], otp)
        except NotOtp as error:
            raise Refusal("parameter", self.otp_names.get(error.part, error.part)) from error


@dataclass(frozen=True, slots=True)
class EndpointPlan:
    """One endpoint: when it is meant, what it does, how it answers success."""

    path: str
    methods: frozenset[str]
    hosts: frozenset[str]
    meant: Holds
    guard_names: tuple[str, ...]
    refuse: str | None
    operation: str | None
    message: MessagePlan | None
    picture: Value | None
    answers: Answers
    origin: str

    def is_at(self, path: str, host: str) -> bool:
        """Whether requests to this path of this host may mean it."""
        there = path.startswith(self.path[:-1]) if self.path.endswith("*") else path == self.path
        return there and (not self.hosts or host in self.hosts)

    def is_meant(self, fields: Fields) -> bool:
        """Whether its guard over the raw parameters holds."""
        if not self.guard_names:
            return True
        raw = {name: (fields.last(name.encode()) or b"").decode("utf-8", "replace") for name in self.guard_names}
        return self.meant(raw, fields)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a dialect answers; a blank ``host`` stands for any."""

    host: str
    path: str

    @classmethod
    def of(cls, written: str) -> Place:
        """A place as it stands in the file: ``/path`` or ``host/path``."""
        host, slash, path = written.partition("/")
        return cls(host, slash + path)

    def holds(self, host: str, path: str) -> bool:
        """Whether a request goes there."""
        below = self.path if self.path.endswith("/") else self.path + "/"
        return self.host in ("", host) and (path == self.path or path.startswith(below))


@dataclass(frozen=True, slots=True)
class DialectPlan:
    """A compiled dialect. Immutable: a running gateway swaps plans whole."""

    file: DialectFile
    source: Source
    places: tuple[Place, ...]
    endpoints: tuple[EndpointPlan, ...]
    parameters: tuple[ParameterCheck, ...]
    known: frozenset[bytes]
    ignored: frozenset[bytes]
    media: tuple[bytes, ...]
    file_limits: Mapping[bytes, int]
    authenticator: Authenticator
    errors: Mapping[str, Mapping[str, Evaluate]]
    error_answers: Answers
    callbacks: CallbackPlan | None
    used: frozenset[str]

    @property
    def name(self) -> str:
        """The dialect's short name."""
        return self.file.dialect

    @property
    def takes_uploads(self) -> bool:
        """Whether pictures are uploaded in it."""
        return any(endpoint.operation == "upload" for endpoint in self.endpoints)

    def route(self, method: str, path: str, host: str) -> list[EndpointPlan]:
        """The endpoints that a request line may mean. Raises ``Refusal`` for an unknown path or method."""
        here = [plan for plan in self.endpoints if plan.is_at(path, host)]
        if not here or not any(place.holds(host, path) for place in self.places):
            raise Refusal("path")
        fitting = [plan for plan in here if not plan.methods or method in plan.methods]
        if not fitting:
            raise Refusal("method")
        return fitting

    def select(self, candidates: Sequence[EndpointPlan], fields: Fields) -> EndpointPlan:
        """The first candidate whose guard holds. Raises ``Refusal`` when none does."""
        for plan in candidates:
            if plan.is_meant(fields):
                return plan
        raise Refusal("path")

    def authenticate(self, fields: Fields, identities: Mapping[bytes, Identity]) -> tuple[Identity, Fields]:
        """Whose request this is, and its fields as they are to be read from here on. Raises ``Refusal``."""
        return self.authenticator.authenticate(fields, identities)

    def check(self, fields: Fields, picture: Callable[[bytes], str | None], values: dict[str, Any]) -> None:
        """Put every parameter's value into ``values``, in the order of the file. Raises ``Refusal`` at a bad one."""
        charset = self.file.charset if not fields.unicode else None
        reading = Reading(fields, charset.default if charset else "utf-8", picture, values)
        for parameter in self.parameters:
            if parameter.never_required and parameter.raw not in fields.values:
                values[parameter.name] = parameter.spec.default
                continue
            value = values[parameter.name] = parameter.read(reading)
            if charset and parameter.name == charset.parameter and value is not None:
                reading.codec = value

    def refuse(self, refusal: Refusal, endpoint: EndpointPlan | None = None) -> Answer:
        """The answer to a request that is refused; an endpoint with a refusal of its own has its own form."""
        error = self.errors[refusal.kind]
        scope: dict[str, Any] = {"parameter": refusal.parameter}
        scope.update([(f"error.{name}", evaluate(scope)) for name, evaluate in error.items()])
        answers = endpoint.answers if endpoint is not None and endpoint.refuse else self.error_answers
        return answers.give(scope, _NO_FIELDS)

    def verdict(self, endpoint: EndpointPlan, receipt: Receipt) -> Refusal | None:
        """What a receipt means for the waiting client: ``None`` for success, else the error to answer."""
        if receipt.outcome in (Outcome.ACCEPTED, Outcome.UNKNOWN):
            return None
        kind: str = getattr(self.file.outcomes, receipt.outcome.value)
        if receipt.outcome is not Outcome.INVALID:
            return Refusal(kind)
        concerns = endpoint.message.concerns if endpoint.message else {}
        named = concerns.get(receipt.concern) if receipt.concern else None
        return Refusal(kind, named or "request")


def compile_dialect(content: DialectFile, source: Source) -> tuple[DialectPlan, list[Problem]]:
    """Compile one dialect file; the plan is for use only when there are no problems."""
    problems: list[Problem] = []
    # What only another parameter's guard asks for is not thereby mapped: it gets a compiler that is not asked later.
    plan = _DialectCompiler(content, source, Compiler(source, problems), Compiler(source, problems)).compile()
    return plan, problems


class _DialectCompiler:
    def __init__(self, content: DialectFile, source: Source, compiler: Compiler, guards: Compiler) -> None:
        self._content = content
        self._source = source
        self._compiler = compiler
        self._guards = guards
        self._names = frozenset(content.parameters)

    def compile(self) -> DialectPlan:
        content = self._content
        endpoints = tuple(self._endpoints())
        parameters = tuple(self._parameter(name) for name in content.parameters)
        self._check_names()
        self._check_codecs()
        callbacks = compile_callbacks(content.callbacks, self._guards, ("callbacks",)) if content.callbacks else None
        errors = {kind: self._error(kind) for kind in type(content.errors).model_fields}
        return DialectPlan(
            file=content,
            source=self._source,
            places=tuple(Place.of(each) for each in content.at),
            endpoints=endpoints,
            parameters=parameters,
            known=frozenset(name.encode() for name in content.parameters),
            ignored=frozenset(name.encode() for name, spec in content.parameters.items() if spec.ignored),
            media=tuple(name.encode() for name, spec in content.parameters.items() if spec.type == "media"),
            file_limits={
                name.encode(): spec.max or 0 for name, spec in content.parameters.items() if spec.type == "file"
            },
            authenticator=Authenticator.of(content),
            errors=errors,
            error_answers=compile_answers(
                content.error_answers, self._compiler, ("error_answers",), self._error_names()
            ),
            callbacks=callbacks,
            used=frozenset(self._compiler.used),
        )

    def _endpoints(self) -> list[EndpointPlan]:
        return [
            self._endpoint(endpoint, ("endpoints", i), path, methods)
            for i, endpoint in enumerate(self._content.endpoints)
            for path, methods in self._paths(endpoint, ("endpoints", i, "on")).items()
        ]

    def _paths(self, endpoint: Endpoint, where: Where) -> dict[str, set[str]]:
        paths: dict[str, set[str]] = {}
        for i, line in enumerate(endpoint.on):
            method, _, path = line.partition(" ")
            if not method.isupper() or not path.startswith("/"):
                self._compiler.complain((*where, i), "an endpoint is written 'METHOD /path'")
            paths.setdefault(path, set()).update(() if method == "ANY" else (method,))
        return paths

    def _endpoint(self, endpoint: Endpoint, where: Where, path: str, methods: set[str]) -> EndpointPlan:
        results = _RESULT_NAMES.get(endpoint.operation or "", ())
        known = self._error_names() if endpoint.refuse else {*self._names, *results}
        return EndpointPlan(
            path=path,
            methods=frozenset(methods),
            hosts=frozenset(host.lower() for host in endpoint.hosts),
            meant=self._compiler.guard(endpoint.when, (*where, "when"), self._names),
            guard_names=tuple(endpoint.when or ()),
            refuse=endpoint.refuse,
            operation=endpoint.operation,
            picture=self._picture(endpoint, (*where, "picture")),
            message=self._message(endpoint, (*where, "message")),
            answers=compile_answers(endpoint.answers, self._compiler, (*where, "answers"), known),
            origin=str(self._source.origin(where)),
        )

    def _picture(self, endpoint: Endpoint, where: Where) -> Value | None:
        if endpoint.picture is None:
            return None
        named = str(endpoint.picture).removeprefix("$")
        spec = self._content.parameters.get(named)
        if spec is None or spec.type != "file" or endpoint.picture != f"${named}" or spec.required is not True:
            self._compiler.complain(where, "'picture' is a required parameter of 'type: file', such as '$image'")
        return self._compiler.value(endpoint.picture, where, self._names)

    def _message(self, endpoint: Endpoint, where: Where) -> MessagePlan | None:
        if endpoint.message is None:
            return None
        trees = endpoint.message.model_dump()
        values = {name: self._compiler.value(tree, (*where, name), self._names) for name, tree in trees.items()}
        concerns = {part: str(trees[part.value]).removeprefix("$") for part in Concern}
        otp: Mapping[str, Any] = trees["otp"] if isinstance(trees["otp"], dict) else {}
        parts = {"text": trees["text"], "template": otp.get("template"), **(otp.get("parameters") or {})}
        return MessagePlan(values, concerns, {part: str(tree).removeprefix("$") for part, tree in parts.items()})

    def _parameter(self, name: str) -> ParameterCheck:
        where: Where = ("parameters", name)
        spec, limit = self._content.parameters[name], self._content.limits.recipients
        return compile_parameter(name, spec, self._guards, where, self._names, limit)

    def _check_names(self) -> None:
        for name in self._names & _RESERVED:
            self._compiler.complain(("parameters", name), "in answers this name stands for something else")
        named = self._content.authentication
        for key, name in (("login", named.login), ("signature", named.signature)):
            self._compiler.known_name(name, ("authentication", key), self._names)
        for i, name in enumerate(named.over):
            self._compiler.known_name(name, ("authentication", "over", i), self._names)
        if self._content.charset:
            self._compiler.known_name(self._content.charset.parameter, ("charset", "parameter"), self._names)

    def _check_codecs(self) -> None:
        charset = self._content.charset
        if charset is None:
            return
        declared = self._content.parameters.get(charset.parameter)
        named = declared.values if declared and isinstance(declared.values, dict) else {}
        self._codec(charset.default, ("charset", "default"))
        for word, codec in named.items():
            self._codec(codec, ("parameters", charset.parameter, "values", word))

    def _codec(self, name: Any, where: Where) -> None:
        try:
            codecs.lookup(name)
        except (LookupError, TypeError, ValueError):
            self._compiler.complain(where, "no such codec")

    def _error(self, kind: str) -> dict[str, Evaluate]:
        tree: dict[str, Any] = getattr(self._content.errors, kind)
        where: Where = ("errors", kind)
        return {
            name: self._compiler.value(each, (*where, name), ("parameter",)).evaluate for name, each in tree.items()
        }

    def _error_names(self) -> frozenset[str]:
        errors = [getattr(self._content.errors, kind) for kind in type(self._content.errors).model_fields]
        common = set(errors[0]).intersection(*errors[1:])
        return frozenset({"parameter", *(f"error.{name}" for name in common)})
