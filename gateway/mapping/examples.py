"""Worked examples: a file whose own examples do not come out as it says is not loaded."""

from __future__ import annotations

import dataclasses
import itertools
import zoneinfo
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gateway.core.codes import ALPHABETS
from gateway.errors import Refusal
from gateway.mapping.accounts import Account, Identities, Identity, name_tables, token_digest
from gateway.mapping.answers import Answer
from gateway.mapping.conversions import NO_RECORDS, Records
from gateway.mapping.dialect import DialectPlan
from gateway.mapping.exchange import NO_RESULTS, Exchange, FindPicture, fields_of
from gateway.mapping.functions import flat
from gateway.mapping.otp import compile_rules
from gateway.mapping.schema.dialect import Example
from gateway.mapping.source import Origin, Problem, Where
from gateway.mapping.upstream import UpstreamPlan
from gateway.wire.raw_http import NO_HOST, NotHttp, Request, read_request

_BASE = "{base}"
#: What a picture in an example is kept as.
EXAMPLE_PICTURE = ("IMAGE-ID", "https://gateway.example/media/IMAGE-ID.png")


def failed_examples(plan: DialectPlan, upstream: UpstreamPlan) -> Iterator[Problem]:
    """A problem for each example that gives other items or another answer than it says."""
    account, problems = _example_account(plan, upstream)
    if problems:
        yield from problems
        return
    shown: set[Origin] = set()
    for i, example in enumerate(plan.file.examples):
        yield from _worked(plan, upstream, account, example, ("examples", i), shown)
    yield from _not_shown(plan, shown)


def _worked(
    plan: DialectPlan, upstream: UpstreamPlan, account: Account, example: Example, where: Where, shown: set[Origin]
) -> Iterator[Problem]:
    if _BASE in example.request and not plan.file.bases:
        yield plan.source.problem((*where, "request"), f"there are no bases for '{_BASE}' to stand for")
    try:
        for each in _under_each_base(plan, example):
            yield from _differences(plan, upstream, account, each, where, shown)
    except NotHttp as error:
        yield plan.source.problem((*where, "request"), f"example '{example.name}': no HTTP request: {error}")
    except Exception as error:  # noqa: BLE001 a file can hold what fits no answer; it is told, not raised
        text = f"example '{example.name}' can't be worked: {type(error).__name__}: {error}"
        yield plan.source.problem(where, text)


def _not_shown(plan: DialectPlan, shown: set[Origin]) -> Iterator[Problem]:
    """An endpoint that no example shows answered with success may fail on its first request."""
    for endpoint in plan.endpoints:
        if endpoint.operation and endpoint.origin not in shown:
            shown.add(endpoint.origin)
            yield Problem(endpoint.origin, f"no example shows '{endpoint.path}' answered with success")


def run(
    plan: DialectPlan,
    identities: Identities,
    request: Request,
    picture: FindPicture = lambda _: None,
    records: Records = NO_RECORDS,
    results: Mapping[str, object] = NO_RESULTS,
) -> tuple[Exchange, Answer]:
    """A request's way through a dialect up to the answer it gets when SMSBAT takes everything. Nothing is sent."""
    exchange = Exchange(plan)
    try:
        exchange.route(request.method, request.path, request.host)
        if len(request.body) > plan.file.limits.body + sum(plan.file_limits.values()):
            raise Refusal("size")
        exchange.identify(fields_of(request, plan), identities)
        understand(exchange, picture, records)
        return exchange, exchange.accept(results)
    except Refusal as refusal:
        return exchange, exchange.refuse(refusal)


def understand(exchange: Exchange, picture: FindPicture, records: Records = NO_RECORDS) -> None:
    """The rest of a request's way once it is known whose it is. Raises ``Refusal``."""
    exchange.check(picture, records)
    for name in exchange.uploads:
        exchange.keep(name, *EXAMPLE_PICTURE)
    exchange.build(0, example_ids(), lambda alphabet, length: ALPHABETS[alphabet][0] * length)
    if exchange.dialect.file.numbered:
        exchange.number(1)


def example_ids() -> Callable[[], str]:
    """Ids that stay the same from run to run."""
    counter = itertools.count(1)
    return lambda: f"MESSAGE-{next(counter)}"


def _example_account(plan: DialectPlan, upstream: UpstreamPlan) -> tuple[Account, list[Problem]]:
    section, problems = plan.file.example_account, list[Problem]()
    otp = compile_rules(section.otp, upstream.otp_templates, plan.source, ("example_account", "otp"), problems)
    account = Account("example", "example", "guide-001", section.viber, {}, 0, False, section.sms_fallback, otp=otp)
    if plan.file.sms_fallback == "by-request":
        account = dataclasses.replace(account, fallback_by_request=frozenset({plan.name}))
    return account, problems


def _identities(plan: DialectPlan, account: Account) -> Identities:
    file, section = plan.file, plan.file.example_account
    login, first, last = (each.encode() for each in (section.login or "", section.secrets[0], section.secrets[-1]))
    names, figures, zone = name_tables(section.names), file.figures, zoneinfo.ZoneInfo(file.zone)
    identity = Identity((first, last), account, names=names, figures=figures, zone=zone)
    return {plan.name: {login if section.login else token_digest(first): identity}}


def _records(plan: DialectPlan) -> Records:
    known = plan.file.example_account.records
    return {(each["kind"], each["number"]): {name: each.get(name) for name in each} for each in known}


def _under_each_base(plan: DialectPlan, example: Example) -> Iterator[Example]:
    """An example with ``{base}`` in its request is one for each of the bases."""
    if _BASE not in example.request or not plan.file.bases:
        yield example
        return
    for base in plan.file.bases.values():
        yield example.model_copy(update={"request": example.request.replace(_BASE, base)})


def _request(plan: DialectPlan, example: Example) -> Request:
    """The example's request; one that names no host is sent to where the dialect answers."""
    request = read_request(_as_sent(example))
    return dataclasses.replace(request, host=plan.places[0].host) if request.host == NO_HOST else request


def _as_sent(example: Example) -> bytes:
    """A block of YAML text ends in a newline that no client sends after a body, and has no CRLF for multipart."""
    head, blank, body = example.request.encode().partition(b"\n\n")
    body = body.replace(b"\n", b"\r\n") if b"multipart/" in head.lower() else body.removesuffix(b"\n")
    return head + blank + body


def _differences(
    plan: DialectPlan, upstream: UpstreamPlan, account: Account, example: Example, where: Where, shown: set[Origin]
) -> Iterator[Problem]:
    known = {each.encode(): address for each, address in plan.file.example_account.pictures.items()}
    identities, request = _identities(plan, account), _request(plan, example)
    results = _results(example.results)
    exchange, answer = run(plan, identities, request, known.get, _records(plan), results)
    if exchange.refusal is None and exchange.endpoint is not None:
        shown.add(exchange.endpoint.origin)
    items = [upstream.item(message, account, now=0) for message in exchange.messages]
    if items != example.items:
        yield plan.source.problem((*where, "items"), f"example '{example.name}': the items are {items}")
    if answer.status != example.status:
        text = f"example '{example.name}': the answer's status is {answer.status}"
        yield plan.source.problem((*where, "status"), text)
    if answer.body != example.answer.encode():
        text = f"example '{example.name}': the answer is\n{answer.body.decode()}"
        yield plan.source.problem((*where, "answer"), text)


def _results(told: Mapping[str, Any]) -> dict[str, Any]:
    """An example's results as an operation gives them."""
    known: dict[str, Any] = {}
    for name, found in told.items():
        known.update({name: found} if isinstance(found, list) else flat(name, found))
    return known
