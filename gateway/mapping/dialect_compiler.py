"""A dialect file, compiled into an immutable plan, or into problems."""

from __future__ import annotations

import codecs
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from gateway.core.codes import ALPHABETS
from gateway.core.messages import Concern
from gateway.core.parts import PartsTable
from gateway.mapping.accounts import time_zone
from gateway.mapping.answers import compile_answers
from gateway.mapping.authentication import Authenticator
from gateway.mapping.bindings import CodePlan, FollowUpPlan, MailingPlan, MessagePlan, plainly
from gateway.mapping.callbacks import compile_callbacks
from gateway.mapping.dialect import DialectPlan, EndpointPlan, Place, lenient_path
from gateway.mapping.functions import Evaluate
from gateway.mapping.operations import COLLECTIONS, NAME_FIELDS, OPERATIONS, RECORDS
from gateway.mapping.parameters import ParameterCheck, compile_parameters, known_names
from gateway.mapping.schema.common import YEAR
from gateway.mapping.schema.dialect import DialectFile
from gateway.mapping.schema.endpoint import Endpoint
from gateway.mapping.schema.parameter import Parameter
from gateway.mapping.source import Problem, Source, Where, did_you_mean
from gateway.mapping.values import Compiler, Value
from gateway.wire.forms import Fields

#: What answers may always refer to.
_ALWAYS = ("base", "zone", "drawn")
#: What they may refer to after some operation.
_RESERVED = frozenset({*_ALWAYS, "parameter", *(each for op in OPERATIONS.values() for each in op.results)})
#: Types of which there is one value, and those that are looked up before a request is read.
_SINGLE = frozenset({"name", "record", "object", "list", "file"})
_OUTSIDE = frozenset({"record", "file", "media"})
#: Types of parameters that inputs of operations must be; of texts there are many.
_INPUT_TYPES = {
    **dict.fromkeys(("record", "list"), "record"),
    **dict.fromkeys(("fields", "rows", "mailings"), "list"),
    **dict.fromkeys(("offset", "limit", "message", "batch", "mailing", "attempts", "seconds"), "integer"),
}
_CHANNELS = ("sms", "viber", "flashcall")


def compile_dialect(content: DialectFile, source: Source) -> tuple[DialectPlan, list[Problem]]:
    """Compile one dialect file; the plan is for use only when there are no problems."""
    problems: list[Problem] = []
    tables = dict.fromkeys(content.names, ("entry", NAME_FIELDS))
    collections = {**COLLECTIONS, **tables}
    # What only another parameter's guard asks for is not thereby mapped: it gets a compiler that is not asked later.
    compiler, guards = (Compiler(source, problems, collections) for _ in range(2))
    plan = _DialectCompiler(content, source, compiler, guards).compile()
    return plan, problems


class _DialectCompiler:
    def __init__(self, content: DialectFile, source: Source, compiler: Compiler, guards: Compiler) -> None:
        self._content = content
        self._source = source
        self._compiler = compiler
        self._guards = guards
        parts = content.parts
        self._reserved = frozenset({*_ALWAYS, *content.names, "figures", "parameter"})
        self._parts = PartsTable(parts.ascii, parts.unicode, frozenset(parts.double)) if parts else None
        self._used: set[tuple[int | None, str]] = set()
        self._files: dict[bytes, int] = {}
        self._media: set[bytes] = set()

    def compile(self) -> DialectPlan:
        content = self._content
        common = self._parameters(content.parameters, ("parameters",), _RESERVED)
        endpoints = tuple(self._endpoints(common))
        self._check_names()
        self._check_statuses()
        self._check_concerns()
        callbacks = None
        if content.callbacks:
            callbacks = compile_callbacks(content.callbacks, self._guards, ("callbacks",), content.json_style)
        return DialectPlan(
            name=content.dialect,
            file=content,
            source=self._source,
            places=tuple(Place.of(each, content.paths == "lenient") for each in content.at),
            endpoints=endpoints,
            media=tuple(self._media),
            file_limits=self._files,
            pictures=frozenset({*self._media, *self._files}),
            parts=self._parts,
            authenticator=Authenticator.of(content),
            errors={kind: self._error(tree, where) for kind, tree, where in self._errors()},
            error_answers=compile_answers(
                content.error_answers, self._compiler, ("error_answers",), self._error_names(), content.json_style
            ),
            callbacks=callbacks,
            used=frozenset(self._used),
        )

    def _parameters(
        self, specs: Mapping[str, Parameter], where: Where, reserved: Collection[str]
    ) -> tuple[ParameterCheck, ...]:
        for name, spec in specs.items():
            if spec.type == "media":
                self._media.add(name.encode())
            if spec.type == "file":
                self._files[name.encode()] = spec.max or 0
            if name in reserved or name in self._reserved:
                self._compiler.complain((*where, name), "in answers this name stands for something else")
            self._check_of(spec, (*where, name))
        codec = self._content.charset.parameter if self._content.charset else None
        return compile_parameters(specs, self._guards, where, self._content.limits.recipients, self._parts, codec)

    def _check_of(self, spec: Parameter, where: Where) -> None:
        known: Iterable[str] = {"name": self._content.names, "record": [*RECORDS]}.get(spec.type, ())
        if spec.of is not None and spec.of not in known:
            self._compiler.complain((*where, "of"), f"nothing is called '{spec.of}' here{did_you_mean(spec.of, known)}")
        if spec.type == "record" and self._content.errors.unknown is None:
            self._compiler.complain(where, "what is not there is the error 'unknown', which 'errors' does not have")
        if spec.many and spec.type in _SINGLE:
            self._compiler.complain((*where, "many"), f"'type: {spec.type}' is never 'many'")
        for kind in (spec.error, spec.too_long):
            if kind is not None and kind not in self._content.errors.named:
                self._compiler.complain(where, f"no error '{kind}'{did_you_mean(kind, self._content.errors.named)}")
        for name, member in (spec.members or {}).items():
            if member.type in _OUTSIDE:
                text = f"'type: {member.type}' is a parameter of the request itself, not of an object in it"
                self._compiler.complain((*where, "members", name), text)
            self._check_of(member, (*where, "members", name))

    def _endpoints(self, common: tuple[ParameterCheck, ...]) -> Iterable[EndpointPlan]:
        for i, endpoint in enumerate(self._content.endpoints):
            where: Where = ("endpoints", i)
            # Each endpoint has its own parameters, and a name can be used in one and left over in another.
            self._compiler.used.clear()
            yield from self._at_paths(endpoint, where, common)
            self._used |= {(i, name) for name in self._compiler.used}

    def _at_paths(self, endpoint: Endpoint, where: Where, common: tuple[ParameterCheck, ...]) -> Iterable[EndpointPlan]:
        for name in (endpoint.parameters or {}).keys() & self._content.parameters.keys():
            self._compiler.complain((*where, "parameters", name), "it is among the dialect's own parameters too")
        operation = OPERATIONS.get(endpoint.operation or "")
        results = operation.results if operation else ()
        own = self._parameters(endpoint.parameters or {}, (*where, "parameters"), results)
        specs = {**self._content.parameters, **(endpoint.parameters or {})}
        for path, methods in self._paths(endpoint, (*where, "on")).items():
            yield self._endpoint(endpoint, where, (path, methods), (*common, *own), specs)

    def _paths(self, endpoint: Endpoint, where: Where) -> dict[str, set[str]]:
        paths: dict[str, set[str]] = {}
        lenient = self._content.paths == "lenient"
        for i, line in enumerate(endpoint.on):
            named, _, path = line.partition(" ")
            methods = named.split("|")
            if not all(each.isalpha() and each.isupper() for each in methods) or not path.startswith("/"):
                self._compiler.complain((*where, i), "an endpoint is written 'METHOD /path'")
            path = lenient_path(path) if lenient else path
            paths.setdefault(path, set()).update(() if methods == ["ANY"] else methods)
        return paths

    def _endpoint(
        self,
        endpoint: Endpoint,
        where: Where,
        line: tuple[str, set[str]],
        parameters: tuple[ParameterCheck, ...],
        specs: Mapping[str, Parameter],
    ) -> EndpointPlan:
        path, methods = line
        names = frozenset(known for name, spec in specs.items() for known in known_names(name, spec))
        operation = OPERATIONS.get(endpoint.operation or "")
        inside = frozenset({*names, *_ALWAYS, *self._of_the_account()})
        results = operation.results if operation else ()
        known = self._error_names() if endpoint.refuse else {*inside, *results}
        meant = self._compiler.guard(endpoint.when, (*where, "when"), names)
        return EndpointPlan(
            path=path,
            methods=frozenset(methods),
            hosts=frozenset(host.lower() for host in endpoint.hosts),
            meant=meant,
            guard_names=frozenset(name.encode() for name in endpoint.when or ()),
            meant_without=meant(dict.fromkeys(endpoint.when or (), ""), Fields({})),
            refuse=endpoint.refuse,
            operation=endpoint.operation,
            parameters=parameters,
            records=tuple(each for each in parameters if each.spec.type == "record"),
            known=frozenset(each.raw for each in parameters),
            ignored=frozenset(each.raw for each in parameters if each.spec.ignored),
            of_effect=frozenset(each.raw for each in parameters if not each.spec.ignored),
            message=self._message(endpoint, (*where, "message"), inside),
            mailing=self._mailing(endpoint, (*where, "mailing"), inside, specs),
            draw=self._draw(endpoint, (*where, "draw"), inside),
            input=self._input(endpoint, (*where, "input"), inside, specs),
            input_names={name: _parameter_of(tree) for name, tree in endpoint.input.items()},
            answers=compile_answers(
                endpoint.answers, self._compiler, (*where, "answers"), known, self._content.json_style
            ),
            origin=self._source.origin(where),
        )

    def _of_the_account(self) -> Iterable[str]:
        return (*self._content.names, *(f"figures.{name}" for name in self._content.figures))

    def _values(self, trees: Mapping[str, Any], where: Where, known: Iterable[str]) -> dict[str, Value]:
        return {name: self._compiler.value(tree, (*where, name), known) for name, tree in trees.items()}

    def _made_with(self, trees: Mapping[str, Any], where: Where, known: Iterable[str]) -> dict[str, Value]:
        """What parts of messages are made with."""
        made = self._values(trees, where, known)
        return {name: plainly(each) for name, each in made.items()} if self._content.names else made

    def _message(self, endpoint: Endpoint, where: Where, names: frozenset[str]) -> MessagePlan | None:
        if endpoint.message is None:
            return None
        trees = endpoint.message.model_dump()
        self._check_literals(trees, where)
        then = trees.pop("then")
        self._check_literals(then or {}, (*where, "then"))
        following = FollowUpPlan(self._made_with(then, (*where, "then"), names)) if then else None
        values = self._made_with(trees, where, names)
        concerns = {part: _parameter_of(trees[part.value]) for part in Concern}
        otp: Mapping[str, Any] = trees["otp"] if isinstance(trees["otp"], dict) else {}
        parts = {"text": trees["text"], "template": otp.get("template"), **(otp.get("parameters") or {})}
        return MessagePlan.of(values, concerns, {part: _parameter_of(tree) for part, tree in parts.items()}, following)

    def _mailing(
        self, endpoint: Endpoint, where: Where, names: frozenset[str], specs: Mapping[str, Parameter]
    ) -> MailingPlan | None:
        if endpoint.mailing is None:
            return None
        trees = endpoint.mailing.model_dump()
        self._check_literals(trees, where)
        recipients, recipient = trees.pop("recipients"), trees.pop("recipient") or {}
        problem, personal = trees.pop("problem"), trees.pop("personal")
        of_entries = specs.get(_parameter_of(endpoint.input.get("mailings")))
        members = of_entries.members if of_entries else None
        inside = frozenset(each for n, spec in (members or {}).items() for each in known_names(n, spec))
        listed = (members or {}).get(_parameter_of(recipients))
        entries = frozenset(each for n, spec in _members(listed) for each in known_names(n, spec))
        known = inside or names
        return MailingPlan(
            self._made_with(trees, where, known),
            self._compiler.value(problem, (*where, "problem"), self._error_names()) if problem else None,
            self._compiler.value(personal, (*where, "personal"), known) if personal is not None else None,
            self._compiler.value(recipients, (*where, "recipients"), known) if recipients else None,
            self._values(recipient, (*where, "recipient"), entries),
        )

    def _check_literals(self, trees: Mapping[str, Any], where: Where) -> None:
        """What stands there as it is must be something that messages can have."""
        channel, ttl = trees.get("channel"), trees.get("ttl")
        if _is_literal(channel) and channel not in _CHANNELS:
            self._compiler.complain((*where, "channel"), f"one of {', '.join(_CHANNELS)}")
        if _is_literal(ttl) and not (type(ttl) is int and 0 < ttl <= YEAR):
            self._compiler.complain((*where, "ttl"), "it is a number of seconds")

    def _draw(self, endpoint: Endpoint, where: Where, names: frozenset[str]) -> CodePlan | None:
        if endpoint.draw is None:
            return None
        alphabet = endpoint.draw.alphabet
        if isinstance(alphabet, str) and not alphabet.startswith("$") and alphabet not in ALPHABETS:
            self._compiler.complain((*where, "alphabet"), f"one of {', '.join(ALPHABETS)}")
        return CodePlan(**self._values(endpoint.draw.model_dump(), where, names))

    def _input(
        self, endpoint: Endpoint, where: Where, names: frozenset[str], specs: Mapping[str, Parameter]
    ) -> dict[str, Value]:
        operation = OPERATIONS.get(endpoint.operation or "")
        needed, optional = (operation.inputs, operation.optional) if operation else ((), ())
        for name in set(needed) - endpoint.input.keys():
            self._compiler.complain(where, f"operation '{endpoint.operation}' needs '{name}'")
        for name, tree in endpoint.input.items():
            if name not in (*needed, *optional):
                known = (*needed, *optional)
                self._compiler.complain((*where, name), f"the operation has no '{name}'{did_you_mean(name, known)}")
            self._check_input(name, tree, endpoint.input.get("kind"), (*where, name), specs)
        if operation and operation.may_be_unknown and self._content.errors.unknown is None:
            text = "what is not there is the error 'unknown', which 'errors' does not have"
            self._compiler.complain((*where[:-1], "operation"), text)
        return self._values(endpoint.input, where, names)

    def _check_input(self, name: str, tree: Any, kind: Any, where: Where, specs: Mapping[str, Parameter]) -> None:
        if name == "kind" and not (isinstance(kind, str) and kind in RECORDS):
            self._compiler.complain(where, f"one of {', '.join(RECORDS)}")
        if name == "channel" and (not isinstance(tree, str) or tree not in _CHANNELS):
            self._compiler.complain(where, f"one of {', '.join(_CHANNELS)}")
        wanted = _INPUT_TYPES.get(name)
        if wanted is None or (wanted == "integer" and type(tree) is int):
            return
        spec = specs.get(str(tree).removeprefix("$")) if isinstance(tree, str) and tree.startswith("$") else None
        of_kind = name != "record" or spec is None or spec.of == kind
        if spec is None or spec.type != wanted or not of_kind:
            self._compiler.complain(where, f"it is a parameter of 'type: {wanted}'{'' if of_kind else f' of {kind}'}")

    def _check_names(self) -> None:
        content, names = self._content, frozenset(self._content.parameters)
        named = content.authentication
        for key, name in (("login", named.login), ("signature", named.signature)):
            if name is not None:
                self._common_name(name, ("authentication", key), names)
        for i, name in enumerate(named.over):
            self._common_name(name, ("authentication", "over", i), names)
        if content.charset:
            self._common_name(content.charset.parameter, ("charset", "parameter"), names)
            self._check_codecs(content.charset.parameter, content.charset.default)
        for i, name in enumerate(content.names):
            if name in _RESERVED or name in COLLECTIONS:
                self._compiler.complain(("names", i), "in answers this name stands for something else")
        if time_zone(content.zone) is None:
            self._compiler.complain(("zone",), "no such time zone")

    def _common_name(self, name: str, where: Where, names: frozenset[str]) -> None:
        self._compiler.known_name(name, where, names)
        self._used.add((None, name))

    def _check_codecs(self, parameter: str, default: str) -> None:
        declared = self._content.parameters.get(parameter)
        named = declared.values if declared and isinstance(declared.values, dict) else {}
        self._codec(default, ("charset", "default"))
        for word, codec in named.items():
            self._codec(codec, ("parameters", parameter, "values", word))

    def _codec(self, name: Any, where: Where) -> None:
        try:
            codecs.lookup(name)
        except (LookupError, TypeError, ValueError):
            self._compiler.complain(where, "no such codec")

    def _errors(self) -> Iterable[tuple[str, dict[str, Any], Where]]:
        errors = self._content.errors
        for kind in type(errors).model_fields:
            tree = getattr(errors, kind)
            if kind != "named" and tree is not None:
                yield kind, tree, ("errors", kind)
        for kind, tree in errors.named.items():
            yield kind, tree, ("errors", "named", kind)

    def _check_concerns(self) -> None:
        outcomes, named = self._content.outcomes, self._content.errors.named
        for part, kind in (outcomes.concerns if outcomes else {}).items():
            if kind not in named:
                self._compiler.complain(("outcomes", "concerns", part), f"no error '{kind}'{did_you_mean(kind, named)}")

    def _check_statuses(self) -> None:
        """Where answers have an error's status, it is one of HTTP."""
        if not any(answer.status == "$error.status" for answer in self._content.error_answers):
            return
        for _, tree, where in self._errors():
            status = tree.get("status")
            if not isinstance(status, int) or not 200 <= status <= 599:
                self._compiler.complain(where, "its 'status' is no HTTP status")

    def _error(self, tree: Mapping[str, Any], where: Where) -> dict[str, Evaluate]:
        return {
            name: self._compiler.value(each, (*where, name), ("parameter",)).evaluate for name, each in tree.items()
        }

    def _error_names(self) -> frozenset[str]:
        first, *others = [tree for _, tree, _ in self._errors()]
        common = set(first).intersection(*others)
        return frozenset({"parameter", "base", *(f"error.{name}" for name in common)})


def _is_literal(tree: Any) -> bool:
    return tree is not None and not isinstance(tree, dict) and not (isinstance(tree, str) and tree.startswith("$"))


def _parameter_of(tree: Any) -> str:
    """The parameter that a reference names, also one to a part of it; nothing for what is no reference."""
    is_reference = isinstance(tree, str) and tree.startswith("$")
    return str(tree).removeprefix("$").partition(".")[0] if is_reference else ""


def _members(spec: Parameter | None) -> Iterable[tuple[str, Parameter]]:
    return (spec.members or {}).items() if spec else ()
