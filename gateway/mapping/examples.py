"""Worked examples: a file whose own examples do not come out as it says is not loaded."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator

from gateway.errors import Refusal
from gateway.mapping.accounts import Account, Identities, Identity
from gateway.mapping.answers import Answer
from gateway.mapping.dialect import DialectPlan
from gateway.mapping.exchange import Exchange, FindPicture, fields_of
from gateway.mapping.otp import compile_rules
from gateway.mapping.schema.dialect import Example
from gateway.mapping.source import Problem, Where
from gateway.mapping.upstream import UpstreamPlan
from gateway.wire.raw_http import NO_HOST, NotHttp, Request, read_request

#: What operations would add to the answer's scope.
EXAMPLE_RESULTS = {"picture.id": "IMAGE-ID"}


def failed_examples(plan: DialectPlan, upstream: UpstreamPlan) -> Iterator[Problem]:
    """A problem for each example that gives other items or another answer than it says."""
    account, problems = _example_account(plan, upstream)
    if problems:
        yield from problems
        return
    for i, example in enumerate(plan.file.examples):
        where: Where = ("examples", i)
        try:
            yield from _differences(plan, upstream, account, example, where)
        except NotHttp as error:
            yield plan.source.problem((*where, "request"), f"example '{example.name}': no HTTP request: {error}")
        except Exception as error:  # noqa: BLE001 a file can hold what fits no answer; it is told, not raised
            text = f"example '{example.name}' can't be worked: {type(error).__name__}: {error}"
            yield plan.source.problem(where, text)


def run(
    plan: DialectPlan, identities: Identities, request: Request, picture: FindPicture = lambda _: None
) -> tuple[Exchange, Answer]:
    """A request's way through a dialect up to the answer it gets when SMSBAT takes everything. Nothing is sent."""
    exchange = Exchange(plan)
    try:
        exchange.route(request.method, request.path, request.host)
        if len(request.body) > plan.file.limits.body + sum(plan.file_limits.values()):
            raise Refusal("size")
        exchange.identify(fields_of(request, plan), identities)
        exchange.build(picture, 0, example_ids())
        return exchange, exchange.accept(EXAMPLE_RESULTS)
    except Refusal as refusal:
        return exchange, exchange.refuse(refusal)


def example_ids() -> Callable[[], str]:
    """Ids that stay the same from run to run. The first one is the submission's, so messages begin with 1."""
    counter = itertools.count()
    return lambda: f"MESSAGE-{next(counter)}"


def _example_account(plan: DialectPlan, upstream: UpstreamPlan) -> tuple[Account, list[Problem]]:
    section, problems = plan.file.example_account, list[Problem]()
    otp = compile_rules(section.otp, upstream.otp_templates, plan.source, ("example_account", "otp"), problems)
    account = Account("example", "example", "guide-001", section.viber, {}, 0, False, section.sms_fallback, otp=otp)
    return account, problems


def _identities(plan: DialectPlan, account: Account) -> Identities:
    section = plan.file.example_account
    login, first, last = (each.encode() for each in (section.login, section.secrets[0], section.secrets[-1]))
    return {plan.name: {login: Identity(login, (first, last), account, False)}}


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
    plan: DialectPlan, upstream: UpstreamPlan, account: Account, example: Example, where: Where
) -> Iterator[Problem]:
    known = {each.encode(): address for each, address in plan.file.example_account.pictures.items()}
    exchange, answer = run(plan, _identities(plan, account), _request(plan, example), known.get)
    items = [upstream.item(message, account, now=0) for message in exchange.messages]
    if items != example.items:
        yield plan.source.problem((*where, "items"), f"example '{example.name}': the items are {items}")
    if answer.body != example.answer.encode():
        text = f"example '{example.name}': the answer is\n{answer.body.decode()}"
        yield plan.source.problem((*where, "answer"), text)
