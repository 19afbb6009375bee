"""A request's way through the gateway, as data. Nothing is sent and nothing is stored."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.core.messages import Message
from gateway.core.pictures import IMAGE_ID
from gateway.errors import Refusal
from gateway.explain.mistakes import find_mistakes
from gateway.mapping.accounts import Account, Identity
from gateway.mapping.conversions import Named, Upload
from gateway.mapping.coverage import Coverage, coverage
from gateway.mapping.examples import run, understand
from gateway.mapping.exchange import Exchange
from gateway.mapping.loader import Plan
from gateway.mapping.operations import RECORDS
from gateway.mapping.parameters import Faulty
from gateway.wire.forms import Fields
from gateway.wire.raw_http import Request

_HEX = re.compile(rb"[0-9a-fA-F]{0,64}")
_NAME = re.compile(r"[\w.\[\]-]{1,60}")


@dataclass(frozen=True, slots=True)
class FieldRead:
    """One parameter as it was read: raw bytes as shown by Python, and what became of it."""

    name: str
    raw: str
    value: Any
    fate: str
    origin: str


@dataclass(frozen=True, slots=True)
class SignatureCheck:
    """What the signature covers and whether it matches. The secret is never shown."""

    over: list[str]
    given: str
    matches: str | None
    mistakes: list[str]


@dataclass(frozen=True, slots=True)
class ItemField:
    """One value of a messagelist item and the line that made it."""

    path: str
    value: Any
    origin: str


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A message that is sent if the one that it follows is not delivered within ``after`` seconds."""

    after: int
    item: dict[str, Any]
    item_fields: list[ItemField]


@dataclass(slots=True)
class Explanation:
    """All steps. ``assumed`` is set when the rest is told although the signature is wrong."""

    request: str
    dialect: str
    endpoint: str = ""
    charset: str = ""
    fields: list[FieldRead] = field(default_factory=list)
    signature: SignatureCheck | None = None
    account: str | None = None
    refusal: str | None = None
    assumed: bool = False
    items: list[dict[str, Any]] = field(default_factory=list)
    item_fields: list[list[ItemField]] = field(default_factory=list)
    follow_ups: list[FollowUp] = field(default_factory=list)
    status: int = 200
    answer: str = ""


def explain(plan: Plan, request: Request) -> Explanation:
    """Explain one request."""
    dialect = plan.dialect_at(request.host, request.path)
    exchange, answer = run(dialect, plan.accounts.identities, request, _assumed_picture, _AssumedRecords())
    told = Explanation(f"{request.method} {request.path}", dialect.name)
    told.status, told.answer = answer.status, answer.body.decode("utf-8", "replace")
    told.refusal = str(exchange.refusal) if exchange.refusal else None
    told.endpoint = str(exchange.endpoint.origin) if exchange.endpoint else ""
    if exchange.fields is not None:
        _tell_signature(told, plan, exchange, request)
        _continue_unsigned(told, plan, exchange)
        told.charset = _charset(exchange)
        told.fields = _fields(exchange, exchange.fields)
    _tell_items(told, plan, exchange)
    return told


def _assumed_picture(image_id: bytes) -> str | None:
    """Which pictures an account has, only the running gateway knows: every id that could be one is taken for one."""
    return f"<public address of picture {image_id[:6].decode()}…>" if IMAGE_ID.fullmatch(image_id) else None


class _AssumedRecords(dict[tuple[str, int], Mapping[str, Any]]):
    """Of what is kept for an account under a number only the running gateway knows: everything is assumed to be."""

    def get(self, key: tuple[str, int], default: Any = None) -> Any:
        """Something of this kind under this number."""
        kind, number = key
        known = {name: f"<{name} of {kind} {number}>" for name in RECORDS.get(kind, ())}
        return {**known, "number": number, "created_at": 0, "count": 0, "due_at": None, "alphabet": "both", "length": 6}


def _tell_signature(told: Explanation, plan: Plan, exchange: Exchange, request: Request) -> None:
    fields, authenticator = exchange.received, exchange.dialect.authenticator
    assert fields is not None
    if authenticator.login is None:
        _tell_token(told, exchange, fields.last(authenticator.signature))
        return
    login, given = fields.last(authenticator.login), fields.last(authenticator.signature)
    if (exchange.endpoint and exchange.endpoint.refuse) or login is None or given is None:
        return
    if any(name not in fields.files for name in authenticator.files):
        return
    known = plan.accounts.identities[exchange.dialect.name]
    identity = known.get(login)
    shown = [
        f"{name.decode()}={_shown(value)}"
        for name, many in authenticator.over
        for value in authenticator.sent(fields, name, many)
    ]
    matching = _matching_secret(identity, fields, exchange) if identity else None
    mistakes = _mistakes(plan, exchange, identity, request) if matching is None else []
    told.signature = SignatureCheck([*shown, "<secret>"], _given(exchange, given), matching, mistakes)


def _tell_token(told: Explanation, exchange: Exchange, token: bytes | None) -> None:
    if token is None:
        return
    account = f"a token of account '{exchange.identity.account.name}'" if exchange.identity else None
    mistakes = [] if account else ["no account has this token"]
    told.signature = SignatureCheck(["<token>"], _given(exchange, token), account, mistakes)


def _given(exchange: Exchange, signature: bytes) -> str:
    """The signature as sent, unless the secret itself may stand in its place: by the dialect's rules, or by mistake."""
    authenticator = exchange.dialect.authenticator
    may_be_secret = authenticator.or_secret or authenticator.login is None or not _HEX.fullmatch(signature)
    return "<not shown: may be the secret>" if may_be_secret else _shown(signature)


def _matching_secret(identity: Identity, fields: Fields, exchange: Exchange) -> str | None:
    authenticator = exchange.dialect.authenticator
    given = fields.last(authenticator.signature) or b""
    for number, secret in enumerate(dict.fromkeys(identity.secrets), start=1):
        if authenticator.proves(given, fields, secret):
            return f"secret {number} of account '{identity.account.name}'"
    return None


def _mistakes(plan: Plan, exchange: Exchange, identity: Identity | None, request: Request) -> list[str]:
    if identity is None:
        return ["no account has this login"]
    others = [each for each in plan.accounts.identities[exchange.dialect.name].values() if each is not identity]
    raw_form = request.body or request.query
    assert exchange.fields is not None
    return find_mistakes(exchange.dialect, exchange.fields, raw_form, identity, others)


def _continue_unsigned(told: Explanation, plan: Plan, exchange: Exchange) -> None:
    """With a wrong signature of a known login, show what the request would be otherwise."""
    fields, dialect = exchange.fields, exchange.dialect
    if exchange.identity is None and exchange.refusal is not None and exchange.refusal.kind == "authentication":
        assert fields is not None
        login = fields.last(dialect.authenticator.login or b"") or b""
        exchange.identity = plan.accounts.identities[dialect.name].get(login)
        told.assumed = exchange.identity is not None
    if told.assumed:
        try:
            understand(exchange, _assumed_picture, _AssumedRecords())
        except Refusal as refusal:
            told.refusal = f"{told.refusal}, and then {refusal}"


def _charset(exchange: Exchange) -> str:
    file, fields = exchange.dialect.file, exchange.fields
    if fields is not None and fields.unicode:
        return "utf-8 (JSON strings)"
    if file.charset is None:
        return "utf-8"
    return str(exchange.values.get(file.charset.parameter) or file.charset.default)


def _fields(exchange: Exchange, fields: Fields) -> list[FieldRead]:
    path = exchange.endpoint.path.lower() if exchange.endpoint else ""
    rows = {row.parameter: row for row in coverage(exchange.dialect) if row.endpoint.lower() in ("", path)}
    told = []
    for raw_name, values in fields.values.items():
        name = _shown_name(raw_name)
        # Arrays come in pieces, each under the array's name.
        row = rows.get(name.partition("[")[0])
        fate = _fate(exchange, row) if row else "unknown: not looked at"
        origin = str(exchange.dialect.source.origin(row.where)) if row else ""
        is_signature = _may_be_signature(exchange, raw_name)
        shown = _given(exchange, values[-1]) if is_signature else _joined(values)
        value = shown if is_signature else _readable(exchange.values.get(name))
        told.append(FieldRead(name, shown, value, fate, origin))
    return told


def _fate(exchange: Exchange, row: Coverage) -> str:
    why = "" if row.fate == "mapped" and not _counts_as_not_sent(exchange, row.parameter) else row.why
    return f"{row.fate}: {why}" if why else row.fate


def _counts_as_not_sent(exchange: Exchange, name: str) -> bool:
    """Whether a parameter has a condition, and that did not hold when it was read."""
    checks = exchange.endpoint.parameters if exchange.endpoint else ()
    applies = next((each.applies for each in checks if each.name == name), None)
    if applies is None or exchange.fields is None:
        return False
    return name in exchange.values and not applies(exchange.values, exchange.fields)


def _shown_name(raw: bytes) -> str:
    """What is no name may be anything, a secret too: a body that was meant to be JSON arrives as one."""
    name = raw.decode("utf-8", "backslashreplace")
    return name if _NAME.fullmatch(name) else "<no name>"


def _may_be_signature(exchange: Exchange, name: bytes) -> bool:
    """Whether it is the signature, or in a dialect with tokens looks as if it were meant to be."""
    authenticator = exchange.dialect.authenticator
    signature = authenticator.signature
    meant = authenticator.login is None and (signature in name.lower() or not _NAME.fullmatch(name.decode("latin-1")))
    return name == signature or meant


def _readable(value: Any) -> Any:
    """A value as people and JSON can read it."""
    if isinstance(value, Upload):
        return f"{value.format}, {value.file.size} bytes"
    if isinstance(value, Named):
        return f"{value.name} ({value.id})"
    if isinstance(value, Faulty):
        return f"faulty: {value.refusal}"
    if isinstance(value, list):
        return [_readable(each) for each in value]
    # What is known by parts stands there under its parts' names too.
    return {name: _readable(each) for name, each in value.items()} if isinstance(value, Mapping) else value


def _joined(values: Sequence[bytes]) -> str:
    return ", ".join(_shown(value) for value in values)


def _shown(raw: bytes) -> str:
    """Bytes as text where they are plain UTF-8, else in hex escapes."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return repr(raw)[2:-1]
    return text.encode("unicode_escape").decode() if not text.isprintable() else text


def _tell_items(told: Explanation, plan: Plan, exchange: Exchange) -> None:
    if exchange.identity is None:
        return
    account = exchange.identity.account
    told.account = account.name
    for message in exchange.messages:
        told.items.append(plan.upstream.item(message, account, now=0))
        told.item_fields.append(_item_fields(plan, message, account))
    due = {message.id: message.due_at for message in exchange.messages}
    told.follow_ups = [_follow_up(plan, each, account, due[each.follows or ""]) for each in exchange.follow_ups]


def _follow_up(plan: Plan, message: Message, account: Account, firsts_due: int) -> FollowUp:
    item = plan.upstream.item(message, account, now=0)
    return FollowUp((message.due_at - firsts_due) // 1000, item, _item_fields(plan, message, account))


def _item_fields(plan: Plan, message: Message, account: Account) -> list[ItemField]:
    leaves = plan.upstream.item_leaves(message, account, now=0)
    return [ItemField(".".join(map(str, leaf.path)), value, str(leaf.origin)) for leaf, value in leaves]
