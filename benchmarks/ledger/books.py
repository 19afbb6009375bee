"""What clients, SMSBAT and the partner wrote down, and what it comes to."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qs

import orjson

from benchmarks.ledger.places import Place

#: Seconds after SMSBAT's answer within which it may not have reached the database when the process is killed. Usually
#: that takes a few hundredths; two seconds were seen while others filled the same disk.
WRITING_DOWN = 10.0
#: Most messages in one call, as the gateway is set up.
CALL = 1000


@dataclass(slots=True)
class Call:
    """One call from one life of a node: ``at`` is when SMSBAT took it, ``answered`` when the network had its answer."""

    life: int
    at: float
    answered: float | None = None


@dataclass(frozen=True, slots=True)
class Kill:
    """A process that was killed: in which life, when, and where; ``None`` for a random moment."""

    life: int
    at: float
    place: Place | None


@dataclass(slots=True)
class Doubles:
    """Messages that SMSBAT got again. ``unanswered``: the kill came while the call had no answer. ``unwritten``: the
    answer was there, and not on disk yet. ``outside``: neither, or the disk had it; ``stories`` tells of those.
    ``longest``: seconds from an answer to the kill before which it did not come to the disk."""

    unanswered: int = 0
    unwritten: int = 0
    stories: list[str] = field(default_factory=list)
    longest: float = 0.0
    by_kill: Counter[Kill] = field(default_factory=Counter)

    @property
    def outside(self) -> int:
        """How many no kill explains."""
        return len(self.stories)

    @property
    def most(self) -> int:
        """The most that followed from one kill."""
        return max(self.by_kill.values(), default=0)


@dataclass(slots=True)
class Books:
    """Moments are of the machine's monotonic clock."""

    #: By phone, of requests answered with code 0: the message's id, where the answer has it.
    accepted: dict[str, str | None] = field(default_factory=dict)
    #: Phones of requests answered with an error.
    refused: set[str] = field(default_factory=set)
    #: By id, of accepted messages whose partner wants to know: what it is to be told.
    owed: dict[str, str] = field(default_factory=dict)
    #: Names of accepted bulk requests whose end is to be told.
    bulks: set[str] = field(default_factory=set)
    unknown: int = 0
    kills: list[Kill] = field(default_factory=list)
    calls: defaultdict[str, list[Call]] = field(default_factory=lambda: defaultdict(list))
    #: Ids by phone, and by the life that called.
    ids: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    submitted: defaultdict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    #: By id: the first moment at which the disk was seen to say that SMSBAT has the message.
    on_disk: dict[str, float] = field(default_factory=dict)
    #: Ids of messages that SMSBAT has, and of which the disk does not say so at the end.
    unwritten: set[str] = field(default_factory=set)
    largest_call: int = 0
    told: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    tellings: int = 0

    # Writing

    def took(self, life: int, at: float, body: bytes) -> Call:
        """SMSBAT took a call."""
        call, items = Call(life, at), orjson.loads(body)["messages"]
        self.largest_call = max(self.largest_call, len(items))
        for item in items:
            self.calls[item["customerMessageId"]].append(call)
            self.ids[item["to"]].add(item["customerMessageId"])
            self.submitted[life].add(item["customerMessageId"])
        return call

    def was_on_disk(self, ids: Iterable[str], at: float) -> None:
        """The disk said of messages that SMSBAT has them."""
        for each in ids:
            self.on_disk.setdefault(each, at)

    def was_told(self, body: str) -> None:
        """The partner's script was told of a message, or of a bulk request."""
        self.tellings += 1
        if body.startswith("["):
            for mailing in orjson.loads(body):
                self.told[mailing["name"]].add("ended")
            return
        fields = {name: values[0] for name, values in parse_qs(body).items()}
        self.told[fields["msg_id"]].add(fields["status"])

    # Comparing

    @property
    def lost(self) -> set[str]:
        """Phones of accepted messages that SMSBAT never got."""
        return self.accepted.keys() - self.ids.keys()

    @property
    def untold(self) -> set[str]:
        """Ids of accepted messages, and names of bulk requests, whose end never reached the partner."""
        untold = {each for each, status in self.owed.items() if status not in self.told.get(each, ())}
        return untold | {name for name in self.bulks if name not in self.told}

    @property
    def refused_and_sent(self) -> set[str]:
        """Phones whose clients were refused, and would send again."""
        return self.refused & self.ids.keys()

    @property
    def under_two_ids(self) -> set[str]:
        """Phones whose message went out under several ids, or another than the client was told."""
        several = {phone for phone, ids in self.ids.items() if len(ids) > 1}
        return several | {p for p, told in self.accepted.items() if told and self.ids.get(p, {told}) != {told}}

    def doubles(self) -> Doubles:
        """What SMSBAT got more than once, and why.

        None may be called any more that the disk has. Of a message's other calls all but one must be open at the kill
        of their life. Their order says nothing: what a killed process wrote can be read after what the next one wrote.
        """
        found = Doubles()
        for message, calls in self.calls.items():
            if len(calls) == 1:
                continue
            open_ones = [call for call in calls if call.at <= self.on_disk.get(message, call.at)]
            why = [(call, kill) for call in open_ones if (kill := self._why(call, calls))][: len(open_ones) - 1]
            found.stories += [self._story(message)] * (len(calls) - 1 - len(why))
            for call, kill in why:
                _explain(found, call, kill)
        return found

    def _why(self, call: Call, calls: Sequence[Call]) -> Kill | None:
        """The kill of the life that made a call, while that had no answer or was not written down.

        Another of the message's calls must be behind it: who repeats a call does so because of the kill.
        """
        until = max((each.at for each in calls if each is not call), default=0.0)
        if call.answered is not None:
            until = min(until, call.answered + WRITING_DOWN)
        kills = [each for each in self.kills if each.life == call.life and each.at <= until]
        # Of a node's several the first behind the call, unless that was read late.
        return min(kills, key=lambda kill: kill.at < call.at, default=None)

    def _story(self, message: str) -> str:
        """The moments of a message, so that whoever reads it can say what happened."""
        calls = self.calls[message]
        kills = [each for each in self.kills if each.life in {call.life for call in calls}]
        return f"{message}: {calls}, {kills}, on disk at {self.on_disk.get(message)}"


def _explain(found: Doubles, call: Call, kill: Kill) -> None:
    found.by_kill[kill] += 1
    if call.answered is None or call.answered >= kill.at:
        found.unanswered += 1
    else:
        found.unwritten += 1
        found.longest = max(found.longest, kill.at - call.answered)


def faults(books: Books, missed: Sequence[Place]) -> list[str]:
    """What must not be, in words; nothing when all is well."""
    doubles = books.doubles()
    found = {
        "accepted messages lost": len(books.lost),
        "final reports lost": len(books.untold),
        "refused messages sent": len(books.refused_and_sent),
        "messages under two ids": len(books.under_two_ids),
        "messages taken and never written down so": len(books.unwritten),
        "doubles outside of the window": doubles.outside,
        f"doubles beyond one call's {CALL} after one kill": max(0, doubles.most - CALL),
    }
    counted = [f"{count} {what}" for what, count in found.items() if count]
    return [*counted, *doubles.stories[:3], *(f"never hit: {each}" for each in missed)]
