"""How checked parameters become what operations work on: messages, mailings, codes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gateway.core.mailings import Mailing, Recipient
from gateway.core.messages import Concern, Content, Message, only_digits, phone_digits
from gateway.core.schedule import MINUTE
from gateway.errors import Refusal
from gateway.mapping.accounts import Account
from gateway.mapping.conversions import Named
from gateway.mapping.functions import NOTHING, Evaluate, Made, Scope, Tuple, evaluator, when_asked
from gateway.mapping.otp import NotOtp
from gateway.mapping.parameters import Faulty
from gateway.mapping.values import Value

VIBER = "viber"
#: What else a message is made of, besides its content's parts.
_PARTS = ("channel", "sender", "recipient", "ttl", "reference", "report", "delay", "due_at", "batch", "otp")
#: Parts of a mailing's content; the rest of a content has nothing to do with mailings.
_MAILING_CONTENT = ("text", "image", "button_text", "button_link")
#: Draws a code from an alphabet, of so many characters.
Draw = Callable[[str, int], str]


def plain(value: Any) -> Any:
    """An entry of a table of names stands for its name."""
    return value.name if isinstance(value, Named) else value


def plainly(value: Value) -> Value:
    """Evaluates to what is plain."""
    return Value.of(Made(plain, value.node), value.leaves, value.uses)


def _evaluated(values: Mapping[str, Value], scope: Scope) -> dict[str, Any]:
    return {name: value.evaluate(scope) for name, value in values.items()}


@dataclass(frozen=True, slots=True)
class FollowUpPlan:
    """How a second message is made of the first."""

    values: Mapping[str, Value]

    def build(self, scope: Scope, first: Message, new_id: Callable[[], str]) -> Message | None:
        """The message to send when the first one fails; ``None`` when none is wanted."""
        part = _evaluated(self.values, scope)
        if part["after"] is None:
            return None
        due_at = first.due_at + part["after"] * 1000
        return first._replace(
            id=new_id(),
            position=first.position + 1,
            channel=part["channel"],
            sender=part["sender"],
            ttl=part["ttl"],
            due_at=due_at,
            follows=first.id,
        )


@dataclass(frozen=True, slots=True)
class MessagePlan:
    """How checked parameters become neutral messages. ``concerns`` names the parameter behind each part.

    ``otp_names`` does the same for the parts of a one-time password. ``evaluate`` finds all parts at once.
    """

    parts: Tuple
    evaluate: Evaluate
    concerns: Mapping[Concern, str]
    otp_names: Mapping[str, str]
    then: FollowUpPlan | None

    @classmethod
    def of(
        cls,
        values: Mapping[str, Value],
        concerns: Mapping[Concern, str],
        otp_names: Mapping[str, str],
        then: FollowUpPlan | None,
    ) -> MessagePlan:
        """How messages are made of the parts that these are."""
        # A one-time password is read from the whole content, when there is one.
        content = [NOTHING if name == "otp" else values[name].node for name in Content._fields]
        parts = Tuple([*[values[name].node for name in _PARTS], Tuple(content)])
        return cls(parts, when_asked(lambda: evaluator(parts)), concerns, otp_names, then)

    def knowing(self, defaults: Scope) -> MessagePlan:
        """The same for requests in which these stand."""
        return replace(self, evaluate=when_asked(lambda: evaluator(self.parts, defaults)))

    def build(
        self, values: Scope, account: Account, dialect: str, now: int, new_id: Callable[[], str]
    ) -> tuple[list[Message], list[Message]]:
        """One message for each recipient, in request order, all of one submission, and those that may follow them.

        Raises ``Refusal``.
        """
        # By their names it takes twice as long; and so it does with the message's fields.
        channel, sender, recipients, ttl, reference, report, delay, due_at, batch, otp, said = self.evaluate(values)
        content: Content = Content._make(said)
        if channel == VIBER:
            content = self._perhaps_otp(content, sender, otp, account)
        due_at = max(now + (delay or 0) * MINUTE, due_at or 0)
        rest = (content, ttl, reference, bool(report), now, due_at, None, batch, None)
        name, first, messages = account.name, "", []
        for i, each in enumerate(recipients if isinstance(recipients, list) else (recipients,)):
            own = new_id()
            # The first one's id is the submission's too.
            first = first or own
            whose = (own, first, i, name, dialect, channel, sender, each, only_digits(each))
            messages.append(Message._make(whose + rest))
        if self.then is None:
            return messages, []
        following = [self.then.build(values, message, new_id) for message in messages]
        return messages, [each for each in following if each is not None]

    def _perhaps_otp(self, content: Content, sender: str, asked: Any, account: Account) -> Content:
        try:
            return account.otp.apply(content, sender, asked)
        except NotOtp as error:
            raise Refusal("parameter", self.otp_names.get(error.part, error.part)) from error


@dataclass(frozen=True, slots=True)
class MailingPlan:
    """How checked parameters become a mailing. ``recipient`` says what each of its own numbers is, if it has any."""

    values: Mapping[str, Value]
    problem: Value | None
    personal: Value | None
    recipients: Value | None
    recipient: Mapping[str, Value]

    def build(self, scope: Scope, account: str, dialect: str) -> Mailing:
        """The mailing that the parameters describe."""
        part = _evaluated(self.values, scope)
        content = Content(**{name: part.pop(name) for name in _MAILING_CONTENT})
        listed = self.recipients.evaluate(scope) if self.recipients else None
        personal = self.personal is None or bool(self.personal.evaluate(scope))
        recipients = [self._recipient(each, content, personal) for each in listed or () if each is not None]
        return Mailing(account=account, dialect=dialect, content=content, recipients=recipients, **part)

    def refused(self, entry: Faulty, account: str, dialect: str, error: Mapping[str, Any]) -> Mailing:
        """The mailing of an entry with a fault: its name, as far as there is one, and what the dialect says of it."""
        known = {f"error.{name}": value for name, value in error.items()}
        problem = str(self.problem.evaluate(known)) if self.problem else entry.refusal.kind
        name = self.values["name"].evaluate(entry.values)
        channel = self.values["channel"].evaluate(entry.values)
        return Mailing(account, dialect, channel, "", None, name, None, Content(None), 0, problem=problem)

    def _recipient(self, entry: Mapping[str, Any] | Faulty, content: Content, personal: bool) -> Recipient:
        scope = entry.values if isinstance(entry, Faulty) else entry
        part = _evaluated(self.recipient, scope)
        written = str(part.pop("phone") or "")
        # Without a button, a link of its own leads nowhere.
        linked = content.button_text is not None
        wanted = {name: value for name, value in part.items() if linked or name != "button_link"} if personal else {}
        own = {name: value for name, value in wanted.items() if value is not None}
        its = content._replace(**own) if own else content
        # With nothing to say to it, a number is as good as none.
        says = bool(its.text or its.image) and (its.button_text is None) == (its.button_link is None)
        faulty = isinstance(entry, Faulty) or not says
        return Recipient(written, None if faulty else phone_digits(written), its if own else None)


@dataclass(frozen=True, slots=True)
class CodePlan:
    """How long a drawn code is, and of what."""

    alphabet: Value
    length: Value

    def draw(self, scope: Scope, draw: Draw) -> str:
        """The code."""
        return draw(str(self.alphabet.evaluate(scope)), int(self.length.evaluate(scope)))
