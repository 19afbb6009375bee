"""The upstream file, compiled: messages to messagelist items, SMSBAT's answers to receipts (wire: smsbat.md, 2-5)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from gateway.core.messages import Concern, Message, Outcome, Receipt, only_digits
from gateway.mapping.about_messages import MESSAGE_NAMES, OF_FEW_VALUES, About, about
from gateway.mapping.accounts import Account
from gateway.mapping.functions import Reference, Tuple
from gateway.mapping.hooks import HookPlan, compile_hooks
from gateway.mapping.otp import OtpTemplates, compile_templates
from gateway.mapping.schema.upstream import Receipts, UpstreamErrors, UpstreamFile
from gateway.mapping.source import Problem, Source, Where
from gateway.mapping.values import Compiler, Holds, Leaf, Value
from gateway.wire.forms import BOM, NO_FIELDS

#: Kinds of messages that are told apart without looking at the guards again.
_MOST_CHOICES = 1000
#: More parts than any message has; a larger number is no number of parts.
_MOST_PARTS = 1000
#: Keys of an error or of a refused entry that say what is wrong, the most telling first (wire: smsbat.md, 4 and 5).
_TELLING = ("field", "code", "error", "message", "reason")
_ACCEPTED = Outcome.ACCEPTED
_UNPAIRED = Receipt(Outcome.UNKNOWN, detail="no entry of the answer belongs to this message")


@dataclass(frozen=True, slots=True)
class _ItemPlan:
    holds: Holds
    value: Value
    make: About


@dataclass(frozen=True, slots=True)
class UpstreamPlan:
    """The compiled upstream."""

    file: UpstreamFile
    #: What decides which of the items one is, and which one it is then.
    deciding: About
    choose: Callable[[tuple[Any, ...]], _ItemPlan]
    read_entry: Callable[[Mapping[str, Any]], Receipt]
    otp_templates: OtpTemplates
    hooks: HookPlan

    def item(self, message: Message, account: Account, now: int) -> dict[str, Any]:
        """The messagelist entry of one message, with the time-to-live that it has left at ``now`` (milliseconds)."""
        built: dict[str, Any] = self._plan(message, account, now).make(message, account, now)
        return built

    def item_leaves(self, message: Message, account: Account, now: int) -> list[tuple[Leaf, Any]]:
        """The same scalar by scalar, with the line of the file that made each."""
        plan = self._plan(message, account, now)
        built = [(leaf, about(leaf.node)(message, account, now)) for leaf in plan.value.leaves]
        return [(leaf, value) for leaf, value in built if value is not None]

    def body(self, items: Sequence[Mapping[str, Any]]) -> bytes:
        """A call's body."""
        return orjson.dumps({self.file.envelope: items})

    def receipts(self, body: bytes, batch: Sequence[Message]) -> list[Receipt] | None:
        """The receipt of each message of a successful call, in the batch's order; ``None`` when it is unreadable."""
        document = _json_object(body)
        entries = document.get(self.file.receipts.entries) if document is not None else None
        if not isinstance(entries, list):
            return None
        readable = [entry if isinstance(entry, dict) else {} for entry in entries]
        paired = _pair(batch, readable, self.file.receipts)
        return [_UNPAIRED if entry is None else self.read_entry(entry) for entry in paired]

    def refusal(self, status: int, body: bytes) -> Receipt:
        """What an answer other than a readable success means for every message of its call."""
        errors = self.file.errors
        document = _json_object(body) or {}
        found = errors.status.get(status, errors.other_4xx if 400 <= status < 500 else errors.other)
        outcome = _by_words(errors, document) or found if 400 <= status < 500 else found
        return Receipt(outcome, concern=_concern(errors, document), detail=_detail(document) or f"HTTP {status}")

    def says_duplicate(self, receipt: Receipt) -> bool:
        """Whether a refusal complains that the id is known already, so that an earlier call was taken after all."""
        wording = (receipt.detail or "").lower()
        return receipt.outcome is Outcome.INVALID and any(word in wording for word in self.file.errors.duplicate)

    def _plan(self, message: Message, account: Account, now: int) -> _ItemPlan:
        try:
            return self.choose(self.deciding(message, account, now))
        except LookupError as error:
            problem = f"no item of {self.file.upstream} is for channel {message.channel!r}"
            raise LookupError(problem) from error


def compile_upstream(content: UpstreamFile, source: Source) -> tuple[UpstreamPlan, list[Problem]]:
    """Compile the upstream file; the plan is for use only when there are no problems."""
    problems: list[Problem] = []
    compiler = Compiler(source, problems)
    items, deciding = [], set[str]()
    for i, item in enumerate(content.items):
        where: Where = ("items", i)
        deciding |= (item.when or {}).keys()
        holds = compiler.guard(item.when, (*where, "when"), MESSAGE_NAMES)
        value = compiler.value(item.json_, (*where, "json"), MESSAGE_NAMES)
        items.append(_ItemPlan(holds, value, about(value.node)))
    templates = compile_templates(content.otp_templates, source, problems)
    hooks = compile_hooks(content.hooks, compiler, ("hooks",))
    names = sorted(deciding & MESSAGE_NAMES)
    by_names = about(Tuple([Reference(name) for name in names]))
    read_entry = _entry_reader(content.receipts, content.errors)
    return UpstreamPlan(content, by_names, _choice(items, names), read_entry, templates, hooks), problems


def _choice(items: Sequence[_ItemPlan], names: Sequence[str]) -> Callable[[tuple[Any, ...]], _ItemPlan]:
    """The first item whose guard holds. Nearly all messages are decided by the same few values."""

    def choose(values: tuple[Any, ...]) -> _ItemPlan:
        scope = dict(zip(names, values, strict=True))
        for plan in items:
            if plan.holds(scope, NO_FIELDS):
                return plan
        raise LookupError

    return lru_cache(_MOST_CHOICES)(choose) if OF_FEW_VALUES.issuperset(names) else choose


def _entry_reader(keys: Receipts, errors: UpstreamErrors) -> Callable[[Mapping[str, Any]], Receipt]:
    """Reads the entry of one message. The keys are a model's, and reading one there takes as long as using it."""
    id_key, status_key, refused, part_keys = keys.message_id, keys.status, frozenset(keys.refused), tuple(keys.parts)

    def read(entry: Mapping[str, Any]) -> Receipt:
        upstream_id, status = entry.get(id_key), entry.get(status_key)
        if upstream_id is None or upstream_id == "" or (status is not None and str(status).lower() in refused):
            return _refused_entry(errors, entry)
        return Receipt._make((_ACCEPTED, str(upstream_id)[:100], _parts(entry, part_keys), None, None))

    return read


def _refused_entry(errors: UpstreamErrors, entry: Mapping[str, Any]) -> Receipt:
    told = {key: entry[key] for key in _TELLING if key in entry}
    outcome = _by_words(errors, told) or Outcome.INVALID
    return Receipt(outcome, concern=_concern(errors, told), detail=_detail(told) or "refused")


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        document = orjson.loads(body.removeprefix(BOM))
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None


def _parts(entry: Mapping[str, Any], keys: Sequence[str]) -> int | None:
    """How many SMS a message takes: the first number there is, if it can be one."""
    for key in keys:
        count = entry.get(key)
        if isinstance(count, int):
            return count if 0 <= count <= _MOST_PARTS else None
    return None


def _pair(batch: Sequence[Message], entries: list[dict[str, Any]], keys: Receipts) -> list[dict[str, Any] | None]:
    """Each message's entry: by its own id, by digits, and by position when the counts agree and nothing contradicts.

    No entry is two messages' own: the reports of one would be told of the other.
    """
    key = keys.customer_id
    by_id = {str(entry[key]): entry for entry in entries if entry.get(key) is not None}
    ours = {sent.id for sent in batch}
    if len(by_id) == len(entries) and by_id.keys() <= ours:
        return [by_id.get(sent.id) for sent in batch]
    loose = [entry for entry in entries if str(entry.get(key)) not in ours]
    by_digits = _by_digits([sent for sent in batch if sent.id not in by_id], loose, keys)
    found = {**_by_place(batch, entries, keys), **by_digits, **by_id}
    return [found.get(sent.id) for sent in batch]


def _by_digits(batch: Sequence[Message], entries: list[dict[str, Any]], keys: Receipts) -> dict[str, dict[str, Any]]:
    """Entries by the ids of their messages. Several to one number are as many entries, in the same order."""
    sent, told = defaultdict(list), defaultdict(list)
    for message in batch:
        sent[message.digits].append(message.id)
    for entry in entries:
        told[_digits(entry, keys)].append(entry)
    return {
        message_id: entry
        for number, ids in sent.items()
        if number and len(ids) == len(told[number])
        for message_id, entry in zip(ids, told[number], strict=True)
    }


def _by_place(batch: Sequence[Message], entries: list[dict[str, Any]], keys: Receipts) -> dict[str, dict[str, Any]]:
    """Entries without ids, by those of the messages in their places.

    One of another number is not in its place, unless there is no other message.
    """
    if len(entries) != len(batch) or any(entry.get(keys.customer_id) is not None for entry in entries):
        return {}
    return {
        sent.id: entry
        for sent, entry in zip(batch, entries, strict=True)
        if len(batch) == 1 or _digits(entry, keys) in ("", sent.digits)
    }


def _digits(entry: Mapping[str, Any], keys: Receipts) -> str:
    return only_digits(str(entry.get(keys.recipient, "")))


def _told(document: Mapping[str, Any]) -> list[str]:
    """The strings of an error that say what is wrong, in any of its four documented shapes."""
    inner = document.get("error")
    nested = inner if isinstance(inner, dict) else {}
    merged = {**document, **nested} if nested else document
    return [str(merged[key]) for key in _TELLING if isinstance(merged.get(key), str | int) and merged[key] != ""]


def _detail(document: Mapping[str, Any]) -> str:
    return ": ".join(_told(document))[:200]


def _by_words(errors: UpstreamErrors, document: Mapping[str, Any]) -> Outcome | None:
    wording = " ".join(_told(document)).lower()
    return next((outcome for outcome, words in errors.words.items() if any(word in wording for word in words)), None)


def _concern(errors: UpstreamErrors, document: Mapping[str, Any]) -> Concern | None:
    for told in _told(document):
        for concern, words in errors.concerns.items():
            if any(word in told.lower() for word in words):
                return concern
    return None
