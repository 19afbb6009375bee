"""What the end of one call means for each of its messages. No I/O: the sender follows what is judged here."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.core.messages import CREDENTIAL_OUTCOMES, Message, Outcome, Receipt, State
from gateway.mapping.accounts import Account
from gateway.mapping.upstream import UpstreamPlan
from gateway.outbound.checks import first_check, last_check
from gateway.outbound.client import Answered, NoAnswer
from gateway.outbound.pending import Pending
from gateway.store.settled import Settled

_DUPLICATE = Receipt(Outcome.ACCEPTED, detail="SMSBAT knew the id: an earlier call was taken")


@dataclass(slots=True)
class Judgement:
    """Each message of the call is in one of the four lists; clients are told already of those ``taken``.

    ``answered``: SMSBAT is there. ``limited``: it was a 429. ``denied``: SMSBAT refuses the credential.
    """

    answered: bool = True
    limited: bool = False
    denied: bool = False
    retry_after: float | None = None
    taken: list[tuple[Pending, Settled]] = field(default_factory=list)
    settled: list[tuple[Pending, Settled]] = field(default_factory=list)
    at_once: list[Pending] = field(default_factory=list)
    later: list[Pending] = field(default_factory=list)


def judge(upstream: UpstreamPlan, batch: list[Pending], result: Answered | NoAnswer, now: int) -> Judgement:
    """Judge the end of a call that held ``batch``; what it learns of a message is noted in its ``Pending``."""
    if isinstance(result, NoAnswer):
        return _failed(batch) if result.maybe_taken else Judgement(answered=False, at_once=batch)
    if 200 <= result.status < 300:
        return _read(upstream, batch, result.body, now)
    receipt = upstream.refusal(result.status, result.body)
    if receipt.outcome is Outcome.TEMPORARY:
        return _failed(batch)
    if receipt.outcome is Outcome.RATE_LIMITED:
        _note(batch, receipt)
        return Judgement(limited=True, retry_after=result.retry_after, at_once=batch)
    return _refused(upstream, batch, receipt, now)


def _failed(batch: list[Pending]) -> Judgement:
    """Unknown whether SMSBAT took it. All go again, with the same ids, in halves: one may be what spoils the call."""
    for pending in batch:
        pending.maybe_out, pending.settling = True, False
        pending.batch_cap = max(1, len(batch) // 2)
    return Judgement(answered=False, later=batch)


def _read(upstream: UpstreamPlan, batch: list[Pending], body: bytes, now: int) -> Judgement:
    receipts = upstream.receipts(body, [pending.message for pending in batch])
    if receipts is None:
        return _failed(batch)
    return _settled(upstream, batch, receipts, now)


def _refused(upstream: UpstreamPlan, batch: list[Pending], receipt: Receipt, now: int) -> Judgement:
    """A call refused as a whole: for one message of it, for all, or for the credential."""
    if receipt.outcome is Outcome.INVALID and len(batch) > 1:
        for pending in batch:
            pending.batch_cap = (len(batch) + 1) // 2
        return Judgement(at_once=batch)
    if receipt.outcome not in CREDENTIAL_OUTCOMES:
        return _settled(upstream, batch, [receipt] * len(batch), now)
    # Messages whose clients were told success wait for the operator instead of being lost.
    awaited = [pending for pending in batch if pending.awaited]
    judgement = _settled(upstream, awaited, [receipt] * len(awaited), now)
    judgement.denied = True
    judgement.later = [pending for pending in batch if not pending.awaited]
    return judgement


def _settled(upstream: UpstreamPlan, batch: list[Pending], receipts: list[Receipt], now: int) -> Judgement:
    judgement = Judgement()
    for pending, said in zip(batch, receipts, strict=True):
        receipt = _DUPLICATE if pending.maybe_out and upstream.says_duplicate(said) else said
        settled = _end_of(pending.message, pending.account, receipt, now)
        if settled.went_out:
            # On disk it is safe already, so the client need not wait for a second write. A refusal does wait: told
            # and then forgotten, it would go out after a restart.
            pending.maybe_out = pending.settling = True
            pending.tell(receipt)
            judgement.taken.append((pending, settled))
        else:
            judgement.settled.append((pending, settled))
    return judgement


def _end_of(message: Message, account: Account, receipt: Receipt, now: int) -> Settled:
    last = last_check(message, account)
    return Settled.by(message, receipt, None if last is None else first_check(account, last, now), last)


def _note(batch: list[Pending], receipt: Receipt) -> None:
    for pending in batch:
        if pending.verdicts is not None:
            pending.verdicts.latest = receipt


def out_of_time(pending: Pending) -> Settled:
    """A message whose time is over; of one that SMSBAT may have taken, its reports may still tell."""
    message = pending.message
    if not pending.maybe_out:
        return Settled.without(message, State.EXPIRED)
    return Settled.without(message, State.UNPAIRED, last_check(message, pending.account))
