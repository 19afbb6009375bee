"""The upstream file: the API that messages are sent to."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gateway.core.messages import Outcome
from gateway.mapping.schema.common import YEAR, ConcernWord, Guard, Name, Section, StatusWord, Tree

#: Enumerations stand as words in a file, where strict typing would want the Python member.
OutcomeWord = Annotated[Outcome, Field(strict=False)]


class Item(Section):
    """How a message of one kind becomes an entry of the messagelist."""

    when: Guard = Field(description="Which messages.")
    json_: Tree = Field(alias="json", description="The entry; a key whose value is absent is left out.")


class Receipts(Section):
    """Where SMSBAT's answer says what became of each message."""

    entries: str = Field(description="Key of the array of entries.")
    message_id: str = Field(description="SMSBAT's id; an entry without one is refused.")
    customer_id: str = Field(description="The gateway's id, as sent.")
    recipient: str = Field(description="The number; compared by digits.")
    parts: list[str] = Field(description="Keys of the number of parts; the first present counts.")
    status: str = Field(description="Key of the entry's status; missing means accepted.")
    refused: list[str] = Field(description="Status values that mean refused.")


class UpstreamErrors(Section):
    """How HTTP errors and refused entries are read into outcome kinds."""

    status: dict[int, OutcomeWord] = Field(description="HTTP status to outcome.")
    other_4xx: OutcomeWord = Field(description="Any other 4xx.")
    other: OutcomeWord = Field(description="Anything else that is no success, and bodies that are not JSON.")
    words: dict[OutcomeWord, list[str]] = Field(description="A 4xx whose wording holds one of these is that outcome.")
    duplicate: list[str] = Field(description="Wording that says the id was taken before: the message went out.")
    concerns: dict[ConcernWord, list[str]] = Field(
        description="Words in field, code or message that tell the part concerned."
    )


class OtpTemplateSection(Section):
    """One of SMSBAT's templates for one-time passwords."""

    name: Name = Field(description="Short name; accounts refer to it.")
    id: str = Field(description="SMSBAT's `templateId`.")
    parameters: dict[str, Literal["text", "minutes", "hours"]] = Field(
        description="Its `templateParams`: a text, or a number of minutes or hours."
    )
    validity: int | None = Field(
        None, gt=0, le=YEAR, description="Seconds that its code is valid when no parameter says so."
    )
    text: str = Field(description="What subscribers read in English, with `{pin}` and the others in it.")


class ToldReport(Section):
    """A fact about a message."""

    message: Tree = Field(description="SMSBAT's id of the message, or the gateway's.")
    status: Tree = Field(description="The status, in a word of `statuses`.")
    reason: Tree = Field(None, description="Why it failed.")


class ToldReply(Section):
    """What a subscriber wrote."""

    id: Tree = Field(None, description="SMSBAT's id of it, which is taken once; without one, message and text are it.")
    message: Tree = Field(None, description="The message that it answers, when SMSBAT says so.")
    sender: Tree = Field(None, description="The sender name that it was written to.")
    sender_id: Tree = Field(None, description="In its place: what SMSBAT calls the sender, which may be its name.")
    phone: Tree = Field(None, description="Who wrote it.")
    text: Tree = Field(None, description="The words.")
    media: Tree = Field(None, description="Address of what was attached.")


class Told(Section):
    """One kind of thing that SMSBAT tells."""

    when: Guard = Field(description="Which bodies are of this kind.")
    report: ToldReport | None = Field(None, description="It is a fact about a message.")
    reply: ToldReply | None = Field(None, description="It is what a subscriber wrote.")

    @model_validator(mode="after")
    def _is_one_thing(self) -> Told:
        if (self.report is None) == (self.reply is None):
            raise ValueError("either a 'report' or a 'reply'")
        return self


class Legs(Section):
    """Where SMSBAT says which part of a cascade did it."""

    statuses: str = Field(description="Key of an object of channel to status.")
    fallbacks: str = Field(description="Key of an array of objects with `type` and `status`.")


class Hooks(Section):
    """What SMSBAT tells later, by webhook or when it is asked."""

    read: str = Field(pattern=r"^/", description="Path of a status read; the message's id is put behind it.")
    fields: list[Name] = Field(min_length=1, description="Every name that bodies may have.")
    told: list[Told] = Field(min_length=1, description="The first whose guard holds.")
    statuses: dict[str, StatusWord] = Field(min_length=1, description="SMSBAT's words to the gateway's.")
    legs: Legs


class UpstreamFile(Section):
    """The API that messages are sent to."""

    kind: Literal["upstream"]
    upstream: Name = Field(description="Short name.")
    title: str = Field(description="Name for people.")
    submit: str = Field(pattern=r"^/", description="Path of the sending call.")
    envelope: str = Field(description="Key of the array of items.")
    otp_templates: list[OtpTemplateSection] = Field([], description="Templates for one-time passwords.")
    items: list[Item] = Field(min_length=1)
    receipts: Receipts
    errors: UpstreamErrors
    hooks: Hooks
