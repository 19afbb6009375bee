"""A folder of mapping files, loaded whole: every problem of every file at once, or a plan."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from gateway.mapping.accounts import Accounts, DialectLogins, compile_accounts
from gateway.mapping.callback_examples import failed_callbacks
from gateway.mapping.coverage import uncovered
from gateway.mapping.dialect import DialectPlan, Place
from gateway.mapping.dialect_compiler import compile_dialect
from gateway.mapping.examples import failed_examples
from gateway.mapping.remembered import Remembered
from gateway.mapping.schema import MappingFile
from gateway.mapping.schema.accounts import AccountsFile
from gateway.mapping.schema.dialect import DialectFile
from gateway.mapping.schema.upstream import UpstreamFile
from gateway.mapping.source import MappingError, Origin, Problem, Source, did_you_mean, read_source
from gateway.mapping.upstream import UpstreamPlan, compile_upstream

#: Files of this ending show what may be written; they are checked for form and never loaded.
_EXAMPLE_ENDING = ".example.yaml"
_NAME = re.compile(r"[A-Za-z_][\w-]*")
_FILE: TypeAdapter[MappingFile] = TypeAdapter(MappingFile)
_KINDS = {"dialect": DialectFile, "upstream": UpstreamFile, "accounts": AccountsFile}


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that translation needs, compiled. A running gateway swaps plans whole."""

    dialects: Mapping[str, DialectPlan]
    upstream: UpstreamPlan
    accounts: Accounts
    #: The most exact first.
    places: tuple[tuple[Place, DialectPlan], ...]
    fallback: DialectPlan
    found: Remembered[DialectPlan] = field(default_factory=Remembered, compare=False)

    @classmethod
    def of(cls, dialects: Mapping[str, DialectPlan], upstream: UpstreamPlan, accounts: Accounts) -> Plan:
        """The plan of these files."""
        places = [(place, plan) for plan in dialects.values() for place in plan.places]
        more = ((Place(host, "/"), dialects.get(name)) for host, name in accounts.hosts)
        places += [(place, plan) for place, plan in more if plan is not None]
        places.sort(key=lambda each: (bool(each[0].host), len(each[0].path)), reverse=True)
        sending = min(dialects.values(), key=lambda plan: (plan.takes_uploads, min(len(p.path) for p in plan.places)))
        return cls(dialects, upstream, accounts, tuple(places), sending)

    def dialect_at(self, host: str, path: str) -> DialectPlan:
        """The dialect that answers there, whether it knows the path or not: a host name counts before a longer path.

        Where no dialect is, one that sends refuses in its own form all the same: the one whose places are widest.
        """
        known = self.found.get((host, path))
        if known is not None:
            return known
        found = next((plan for place, plan in self.places if place.holds(host, path)), self.fallback)
        return self.found.keep((host, path), found)


def gets_pictures(dialects: Iterable[DialectPlan], accounts: Accounts) -> bool:
    """Whether an account has a login in a dialect with uploads."""
    return any(accounts.identities[plan.name] for plan in dialects if plan.takes_uploads)


def load(paths: Iterable[Path], environment: Mapping[str, str] = os.environ) -> Plan:
    """Load mapping files and folders of them. Raises ``MappingError`` with everything that is wrong."""
    loader = _Loader(environment)
    for path in paths:
        loader.read(path)
    return loader.plan()


def load_dialects(
    paths: Iterable[Path], environment: Mapping[str, str] = os.environ
) -> tuple[list[DialectPlan], Accounts | None]:
    """The dialects, for checking: an accounts file is checked too where there is one, and not missed otherwise.

    Raises ``MappingError`` with everything that is wrong.
    """
    loader = _Loader(environment)
    for path in paths:
        loader.read(path)
    return loader.dialects()


def files_in(folder: Path) -> list[Path]:
    """The mapping files of a folder, in the order of their names."""
    return sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])


def accounts_in(folder: Path) -> list[Path]:
    """Those that say which accounts there are, and one that is called so whatever it says; examples aside."""
    files = [each for each in files_in(folder) if not each.name.endswith(_EXAMPLE_ENDING)]
    return [each for each in files if each.stem == "accounts" or _kind(each) == "accounts"]


def _kind(file: Path) -> Any:
    """What a file says that it is. Where it can't be read, that is told when all are loaded."""
    with contextlib.suppress(MappingError):
        content = read_source(file).content
        return content.get("kind") if isinstance(content, dict) else None
    return None


class _Loader:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._problems: list[Problem] = []
        self._files: dict[str, list[tuple[Any, Source]]] = {kind: [] for kind in _KINDS}

    def read(self, path: Path) -> None:
        if path.is_dir():
            for file in files_in(path):
                self._read_file(file)
        elif path.is_file():
            self._read_file(path)
        else:
            self._problems.append(Problem(Origin(str(path)), "no such file or folder"))

    def _read_file(self, path: Path) -> None:
        try:
            source = read_source(path)
        except MappingError as error:
            self._problems += error.problems
            return
        try:
            content = _FILE.validate_python(source.content)
        except ValidationError as error:
            self._problems += [_problem(source, details) for details in error.errors()]
            return
        if not path.name.endswith(_EXAMPLE_ENDING):
            self._files[content.kind].append((content, source))

    def plan(self) -> Plan:
        dialects, upstream = self._translation()
        accounts = self._accounts(dialects, upstream)
        if self._problems or upstream is None or accounts is None:
            raise MappingError(self._problems)
        return Plan.of(dialects, upstream, accounts)

    def dialects(self) -> tuple[list[DialectPlan], Accounts | None]:
        dialects, upstream = self._translation()
        accounts = self._accounts(dialects, upstream) if self._files["accounts"] else None
        if self._problems:
            raise MappingError(self._problems)
        return list(dialects.values()), accounts

    def _translation(self) -> tuple[dict[str, DialectPlan], UpstreamPlan | None]:
        dialects = self._dialects()
        upstream = self._upstream()
        if upstream is not None:
            for dialect in dialects.values():
                self._problems += [*failed_examples(dialect, upstream), *failed_callbacks(dialect, upstream.hooks)]
        return dialects, upstream

    def _dialects(self) -> dict[str, DialectPlan]:
        plans: dict[str, DialectPlan] = {}
        for content, source in self._files["dialect"]:
            plan, problems = compile_dialect(content, source)
            if plan.name in plans:
                problems.append(source.problem(("dialect",), f"dialect '{plan.name}' is in another file too"))
            problems += uncovered(plan)
            problems += _taken_places(plan, plans.values())
            self._problems += problems
            if not problems:
                plans[plan.name] = plan
        if not self._problems:
            # A dialect whose file is broken is not unknown.
            self._problems += _unknown_logins(plans)
        if not plans:
            self._missing("no file of 'kind: dialect'")
        return plans

    def _upstream(self) -> UpstreamPlan | None:
        only = self._only("upstream", "no file of 'kind: upstream'")
        if only is None:
            return None
        plan, problems = compile_upstream(*only)
        self._problems += problems
        return None if problems else plan

    def _accounts(self, dialects: Mapping[str, DialectPlan], upstream: UpstreamPlan | None) -> Accounts | None:
        only = self._only(
            "accounts", "no file of 'kind: accounts': copy accounts.example.yaml to accounts.yaml and fill it in"
        )
        if only is None:
            return None
        content, source = only
        # A login of a dialect whose file is broken is no second problem.
        unsure = (
            {dialect for account in content.accounts.values() for dialect in account.logins} if self._problems else ()
        )
        borrowed = {plan.name: plan.file.logins for plan in dialects.values() if plan.file.logins}
        logins = {name: DialectLogins(plan.file, plan.callbacks, plan.is_asked) for name, plan in dialects.items()}
        broken = DialectLogins(None, None)
        own = {name: logins.get(name, broken) for name in {*dialects, *unsure} - borrowed.keys()}
        templates = upstream.otp_templates if upstream else None
        accounts, problems = compile_accounts(content, source, own, templates, self._environment)
        self._problems += problems
        identities = {name: accounts.identities.get(owner, {}) for name, owner in borrowed.items()}
        return dataclasses.replace(accounts, identities={**accounts.identities, **identities})

    def _missing(self, text: str) -> None:
        """Only worth a word when nothing else is wrong: the file may be there and unreadable."""
        if not self._problems:
            self._problems.append(Problem(Origin("(mappings)"), text))

    def _only(self, kind: str, missing: str) -> tuple[Any, Source] | None:
        files = self._files[kind]
        if not files:
            self._missing(missing)
            return None
        for _, source in files[1:]:
            self._problems.append(source.problem(("kind",), f"there may be only one file of 'kind: {kind}'"))
        return files[0]


def _taken_places(plan: DialectPlan, others: Iterable[DialectPlan]) -> list[Problem]:
    return [
        plan.source.problem(("at", i), f"dialect '{other.name}' answers there")
        for other in others
        for i, place in enumerate(plan.places)
        if place in other.places
    ]


def _unknown_logins(plans: Mapping[str, DialectPlan]) -> list[Problem]:
    owners = [name for name, plan in plans.items() if plan.file.logins is None]
    return [
        plan.source.problem(
            ("logins",), f"no dialect '{plan.file.logins}' with logins{did_you_mean(plan.file.logins, owners)}"
        )
        for plan in plans.values()
        if plan.file.logins is not None and plan.file.logins not in owners
    ]


#: Pydantic's kinds of errors, and what should stand there instead.
_SHAPES = {
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dict_type": "a mapping",
    "list_type": "a list",
    "string_type": "a text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
}


def _problem(source: Source, details: ErrorDetails) -> Problem:
    """A schema error in words of the file. The value is never quoted: it may be a secret."""
    where = details["loc"][1:]
    kind, context = details["type"], details.get("ctx", {})
    if kind == "extra_forbidden":
        return source.problem(where, _unknown_key(str(where[-1]), _keys_at(source, where[:-1])))
    if kind == "missing":
        return source.problem(where[:-1], f"the key '{where[-1]}' is missing")
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        tag = str(context.get("tag", ""))
        return source.problem(("kind",), f"'kind' must be one of {', '.join(_KINDS)}{did_you_mean(tag, _KINDS)}")
    return source.problem(where, _words(kind, context, details))


def _words(kind: str, context: Mapping[str, Any], details: ErrorDetails) -> str:
    """What is wrong with a value that stands where one may stand."""
    if kind in ("literal_error", "enum"):
        known = re.findall(r"'([^']*)'", str(context["expected"]))
        return f"must be {context['expected']}{did_you_mean(str(details['input']), known)}"
    if kind in _SHAPES:
        return f"must be {_SHAPES[kind]}"
    message = str(details["msg"]).removeprefix("Value error, ")
    return message[0].lower() + message[1:]


def _unknown_key(key: str, known: list[str]) -> str:
    """A key that looks like none may be a value that was meant otherwise, and is not quoted."""
    return f"unknown key '{key}'{did_you_mean(key, known)}" if _NAME.fullmatch(key) else "unknown key"


def _keys_at(source: Source, where: tuple[int | str, ...]) -> list[str]:
    """The keys that the schema knows at a place of a file."""
    content = source.content
    model: Any = _KINDS.get(content.get("kind", "")) if isinstance(content, dict) else None
    for step in where:
        model = _unwrapped(_step(model, step))
    fields = getattr(model, "model_fields", {})
    return [field.alias or name for name, field in fields.items()]


def _unwrapped(model: Any) -> Any:
    """What ``X | None`` is when it is something."""
    members = [each for each in getattr(model, "__args__", ()) if each is not type(None)]
    return members[0] if len(members) == 1 and type(None) in model.__args__ else model


def _step(model: Any, step: int | str) -> Any:
    fields = getattr(model, "model_fields", None)
    if fields is not None:
        named = next((f for name, f in fields.items() if step in (name, f.alias)), None)
        return named.annotation if named else None
    arguments = getattr(model, "__args__", ())
    return next((each for each in reversed(arguments) if each is not type(None)), model)
