"""Worked examples: a file whose own examples do not come out as it says is not loaded."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

from gateway.errors import Refusal
from gateway.mapping.accounts import Account, Identities, Identity
from gateway.mapping.answers import Answer
from gateway.mapping.dialect import DialectPlan
from gateway.mapping.exchange import Exchange
from gateway.mapping.schema import Example
from gateway.mapping.source import Problem, Where
from gateway.mapping.upstream import UpstreamPlan
from gateway.wire.raw_http import NotHttp, Request, read_request


def failed_examples(plan: DialectPlan, upstream: UpstreamPlan) -> Iterator[Problem]:
    """A problem for each example that gives other items or another answer than it says."""
    for i, example in enumerate(plan.file.examples):
        where: Where = ("examples", i)
        try:
            yield from _differences(plan, upstream, example, where)
        except NotHttp as error:
            yield plan.source.problem((*where, "request"), f"example '{example.name}': no HTTP request: {error}")
        except Exception as error:  # noqa: BLE001 a file can hold what fits no answer; it is told, not raised
            text = f"example '{example.name}' can't be worked: {type(error).__name__}: {error}"
            yield plan.source.problem(where, text)


def run(plan: DialectPlan, identities: Identities, request: Request, now: int = 0) -> tuple[Exchange, Answer]:
    """A request's way through a dialect up to the answer it gets when SMSBAT takes everything. Nothing is sent."""
    exchange = Exchange(plan)
    try:
        exchange.route(request.method, request.path, request.host)
        if len(request.body) > plan.file.limits.body:
            raise Refusal("size")
        exchange.understand(request, identities, now, example_ids())
        return exchange, exchange.accept()
    except Refusal as refusal:
        return exchange, exchange.refuse(refusal)


def example_ids() -> Callable[[], str]:
    """Ids that stay the same from run to run. The first one is the submission's, so messages begin with 1."""
    counter = itertools.count()
    return lambda: f"MESSAGE-{next(counter)}"


def _example_account(plan: DialectPlan) -> tuple[Account, Identities]:
    section = plan.file.example_account
    account = Account("example", "example", "guide-001", section.viber, {}, 0, False, section.sms_fallback)
    login = section.login.encode()
    identity = Identity(login, (section.secrets[0].encode(), section.secrets[-1].encode()), account, False)
    return account, {plan.name: {login: identity}}


def _as_sent(example: Example) -> bytes:
    """A block of YAML text ends in a newline that no client sends after a body."""
    head, blank, body = example.request.encode().partition(b"\n\n")
    return head + blank + body.removesuffix(b"\n")


def _differences(plan: DialectPlan, upstream: UpstreamPlan, example: Example, where: Where) -> Iterator[Problem]:
    account, identities = _example_account(plan)
    exchange, answer = run(plan, identities, read_request(_as_sent(example)))
    items = [upstream.item(message, account, now=0) for message in exchange.messages]
    if items != example.items:
        yield plan.source.problem((*where, "items"), f"example '{example.name}': the items are {items}")
    if answer.body != example.answer.encode():
        text = f"example '{example.name}': the answer is\n{answer.body.decode()}"
        yield plan.source.problem((*where, "answer"), text)
