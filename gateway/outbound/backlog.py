"""What waits to be submitted: in memory as far as there is room, the rest on disk only."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from gateway.outbound.pending import Pending

#: Most messages of one SMSBAT login held in memory; about 30 MB.
ROOM = 20_000


class Backlog:
    """A queue with an overflow: the messages that found no room are read back from the store later.

    It knows which messages are in memory in any way (waiting, in a call, backing off), so that there is never more than
    one ``Pending`` for a message, whether its request or a reading of the store brings it first.
    """

    def __init__(self, room: int = ROOM) -> None:
        self.room = room
        self.overflowed = False
        self.reading_wanted = False
        self._waiting: deque[Pending] = deque()
        self._known: dict[str, Pending] = {}
        self._forgotten_meanwhile: list[str] | None = None
        self._missed_meanwhile = False
        #: Those let go of while SMSBAT might have them, which has to be known when they are read again.
        self._maybe_out: set[str] = set()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def held(self) -> int:
        """How many messages are in memory in any way."""
        return len(self._known)

    @property
    def oldest_due(self) -> int | None:
        """When the one was due that came first of those in memory, in milliseconds since the epoch."""
        return next((pending.message.due_at for pending in self._known.values()), None)

    @property
    def full(self) -> bool:
        """Whether new messages stay on disk for now, behind those that wait there already."""
        return self.overflowed or self.crowded

    @property
    def crowded(self) -> bool:
        """Whether memory holds as many messages as it may."""
        return len(self._known) >= self.room

    @property
    def wants_more(self) -> bool:
        """Whether there is room for what only the store has, if it has anything."""
        wanted = self.overflowed or self.reading_wanted
        return wanted and self._forgotten_meanwhile is None and len(self._known) <= self.room // 2

    def add(self, pending: Sequence[Pending], whatever_the_room: bool) -> list[Pending]:
        """Take new messages, stored already, and return them as they are known from here on.

        Without room they stay on disk only, all of a submission, unless they are to be taken in any case.
        """
        if self.full and not whatever_the_room:
            self.stayed_on_disk()
            return list(pending)
        return [self._add(each) for each in pending]

    def _add(self, pending: Pending) -> Pending:
        known = self._known.get(pending.message.id)
        if known is not None:
            # A reading of the store was quicker than the request that stored it.
            known.verdicts, known.account = pending.verdicts, pending.account
            return known
        self._known[pending.message.id] = pending
        self._waiting.append(pending)
        return pending

    def stayed_on_disk(self) -> None:
        """There are messages that only the store has; the next reading brings them."""
        self.overflowed = self._missed_meanwhile = True

    def left_to_others(self, pending: Sequence[Pending]) -> None:
        """Stored messages that are this node's only if a reading of the store says so."""
        for each in pending:
            each.maybe_out = True
        self.stayed_on_disk()

    def put_back(self, pending: Iterable[Pending]) -> None:
        """Messages whose call was not taken for a reason that is none of theirs, at the head, in their old order."""
        self._waiting.extendleft(reversed(self._still_here(pending)))

    def put_last(self, pending: Iterable[Pending]) -> None:
        """Messages that failed in a call and may do so again: behind all others, lest they fail with every call."""
        self._waiting.extend(self._still_here(pending))

    def _still_here(self, pending: Iterable[Pending]) -> list[Pending]:
        """Without those that others may have by now."""
        here: list[Pending] = []
        for each in pending:
            if not each.stale:
                here.append(each)
            elif self._known.get(each.message.id) is each:
                if each.maybe_out:
                    self._maybe_out.add(each.message.id)
                self.forget([each.message.id])
                self.reading_wanted = True
        return here

    def take(self, most: int) -> list[Pending]:
        """The next call's messages: all that wait, up to ``most`` and to what each of them bears."""
        taken: list[Pending] = []
        while self._waiting:
            pending = self._waiting[0]
            if not pending.withdrawn:
                most = min(most, pending.batch_cap)
                if len(taken) >= most:
                    break
                taken.append(pending)
            self._waiting.popleft()
        return taken

    def forget(self, ids: Iterable[str]) -> None:
        """Messages that are settled on disk, or are to be read from there again."""
        if self._forgotten_meanwhile is not None:
            self._forgotten_meanwhile.extend(ids)
            return
        for each in ids:
            self._known.pop(each, None)

    def start_over(self) -> None:
        """Forget what waits: it is to be read again, if it is still this node's. Nobody can take it back any more."""
        self._waiting.clear()
        for pending in self._known.values():
            pending.stale = pending.maybe_out = True
        self.forget([each for each, pending in self._known.items() if not (pending.in_call or pending.settling)])

    def begin_refill(self) -> None:
        """The store is being read: what it says may be older than what is forgotten from now on."""
        self._forgotten_meanwhile, self._missed_meanwhile, self.reading_wanted = [], False, False

    def end_refill(self, found: Sequence[Pending], exhausted: bool) -> None:
        """Queue what the store still had; ``exhausted`` when that was all of it."""
        for pending in found:
            if pending.message.id not in self._known:
                pending.maybe_out = pending.maybe_out or pending.message.id in self._maybe_out
                self._maybe_out.discard(pending.message.id)
                self._add(pending)
        self.overflowed = self._missed_meanwhile or not exhausted
        if exhausted and not self.reading_wanted:
            # What this reading did not bring is another node's, or has ended.
            self._maybe_out.clear()
        forgotten, self._forgotten_meanwhile = self._forgotten_meanwhile or [], None
        self.forget(forgotten)
