"""What waits to be submitted: in memory as far as there is room, the rest on disk only."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from gateway.outbound.pending import Pending

#: Most messages of one SMSBAT login held in memory; about 30 MB.
ROOM = 20_000


class Backlog:
    """A queue with an overflow: the messages that found no room are read back from the store later.

    It knows which messages are in memory in any way (waiting, in a call, backing off), so that reading back can't queue
    one twice.
    """

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._waiting: deque[Pending] = deque()
        self._known: set[str] = set()
        self._forgotten_meanwhile: list[str] | None = None
        self._missed_meanwhile = False
        self.overflowed = False

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether new messages stay on disk for now."""
        return self.overflowed or len(self._known) >= self._room

    @property
    def room(self) -> int:
        """Most messages in memory."""
        return self._room

    @property
    def wants_more(self) -> bool:
        """Whether there is room again for what stayed on disk."""
        return self.overflowed and self._forgotten_meanwhile is None and len(self._known) <= self._room // 2

    def add(self, pending: Sequence[Pending]) -> None:
        """New messages, stored already. All of them find room or none."""
        if self.full:
            self.overflowed = self._missed_meanwhile = True
            return
        self._known.update(each.message.id for each in pending)
        self._waiting.extend(pending)

    def put_back(self, pending: Iterable[Pending]) -> None:
        """Messages whose call came to nothing, at the head, in their old order."""
        self._waiting.extendleft(reversed(list(pending)))

    def take(self, most: int) -> list[Pending]:
        """The next call's messages: all that wait, up to ``most`` and to what each of them bears."""
        taken: list[Pending] = []
        while self._waiting and len(taken) < min(most, self._waiting[0].batch_cap):
            pending = self._waiting.popleft()
            if not pending.withdrawn:
                taken.append(pending)
                most = min(most, pending.batch_cap)
        return taken

    def forget(self, ids: Iterable[str]) -> None:
        """Messages that are settled on disk."""
        if self._forgotten_meanwhile is not None:
            self._forgotten_meanwhile.extend(ids)
        else:
            self._known.difference_update(ids)

    def begin_refill(self) -> None:
        """The store is being read: what it says may be older than what is forgotten from now on."""
        self._forgotten_meanwhile, self._missed_meanwhile = [], False

    def end_refill(self, found: Sequence[Pending], exhausted: bool) -> None:
        """Queue what the store still had; ``exhausted`` when that was all of it."""
        new = [pending for pending in found if pending.message.id not in self._known]
        self._known.update(pending.message.id for pending in new)
        self._waiting.extend(new)
        self.overflowed = self._missed_meanwhile or not exhausted
        forgotten, self._forgotten_meanwhile = self._forgotten_meanwhile or [], None
        self._known.difference_update(forgotten)
