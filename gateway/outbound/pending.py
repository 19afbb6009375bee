"""A message on its way to SMSBAT, and the client that may be waiting for the verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from gateway.core.messages import Message, Outcome, Receipt
from gateway.mapping.accounts import Account

_NO_VERDICT = Receipt(Outcome.TEMPORARY)
_ID = attrgetter("id")


class Verdicts:
    """The receipts of one submission, gathered until all are there or nobody waits any more."""

    __slots__ = ("_missing", "_receipts", "_writing", "_written", "awaited", "has_taken", "latest", "over")

    def __init__(self, ids: Iterable[str], over: asyncio.Future[None]) -> None:
        #: Done when all receipts are there, or the wait was ended.
        self.over = over
        self.awaited = True
        #: Whether SMSBAT took one of them, so that the answer will be success.
        self.has_taken = False
        self._writing = 0
        self._written: asyncio.Event | None = None
        self._receipts: dict[str, Receipt | None] = dict.fromkeys(ids)
        self._missing = len(self._receipts)
        #: What SMSBAT said last of a message it has not settled; answered when the wait ends with a refusal.
        self.latest = _NO_VERDICT

    def put(self, message_id: str, receipt: Receipt) -> None:
        """A message was settled."""
        if self._receipts[message_id] is None:
            self._receipts[message_id] = receipt
            self._missing -= 1
            self.has_taken = self.has_taken or not receipt.refused
        if self._missing == 0:
            self.end_wait()

    def end_wait(self) -> None:
        """Wait no longer."""
        if not self.over.done():
            self.over.set_result(None)

    def fail(self, failure: Exception) -> None:
        """There will be no receipts."""
        if not self.over.done():
            self.over.set_exception(failure)

    @property
    def known(self) -> bool:
        """Whether every message is settled."""
        return self._missing == 0

    def writing(self, began: bool) -> None:
        """A refusal is being written down, or no longer is."""
        self._writing += 1 if began else -1
        if self._written is not None:
            self._written.set()

    async def give_up(self) -> None:
        """Stop waiting; but a refusal that is being written down right now is worth its moment.

        Told success while the refusal reaches the disk, the client would never learn of it.
        """
        while self._writing and not self.known:
            self._written = asyncio.Event()
            await self._written.wait()
        self.awaited = self.known

    @property
    def receipts(self) -> list[Receipt]:
        """The receipts in request order; one not known counts as unknown."""
        return [receipt or Receipt(Outcome.UNKNOWN) for receipt in self._receipts.values()]


@dataclass(slots=True)
class Pending:
    """One message that SMSBAT has not settled yet.

    ``batch_cap`` is the most messages that may travel with it: it shrinks when its calls fail, so that a message that
    spoils whole calls ends up alone. ``maybe_out``: SMSBAT took it, or may have: a call was written and not answered.
    ``settling``: what SMSBAT said of it is being written down. ``stale``: another node may have it by now.
    """

    message: Message
    account: Account
    verdicts: Verdicts | None = None
    attempts: int = 0
    batch_cap: int = 5000
    maybe_out: bool = False
    in_call: bool = False
    settling: bool = False
    stale: bool = False
    withdrawn: bool = False

    @property
    def awaited(self) -> bool:
        """Whether a client still waits for its verdict."""
        return self.verdicts is not None and self.verdicts.awaited

    @property
    def is_told_of_refusals(self) -> bool:
        """Whether a refusal of it is told in its client's answer."""
        return self.verdicts is not None and self.verdicts.awaited and not self.verdicts.has_taken

    def tell(self, receipt: Receipt) -> None:
        """Pass the verdict on to the waiting client, if there is one; it waits for this message no longer."""
        if self.verdicts is not None:
            self.verdicts.put(self.message.id, receipt)
            self.verdicts = None


class Submission:
    """The messages of one request on their way, and the client that waits until ``deadline`` (monotonic).

    ``over`` is a future of the running event loop. ``waits`` are those that end together with its own when it lasts
    until then.
    """

    __slots__ = ("account", "deadline", "pending", "verdicts", "waits")

    def __init__(
        self, messages: Sequence[Message], account: Account, deadline: float, over: asyncio.Future[None]
    ) -> None:
        self.account = account
        self.deadline = deadline
        self.verdicts = Verdicts(map(_ID, messages), over)
        self.pending = [Pending(message, account, self.verdicts) for message in messages]
        self.waits: set[Verdicts] = set()


def may_have_gone_out(pending: Sequence[Pending]) -> bool:
    """Whether SMSBAT may have any of these messages."""
    return any(each.in_call or each.maybe_out for each in pending)
