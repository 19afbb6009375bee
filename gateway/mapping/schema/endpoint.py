"""Endpoints: what is asked for, what is done, how it is answered."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gateway.mapping.schema.common import Guard, Name, Section, Tree
from gateway.mapping.schema.parameter import Parameter

Operation = Literal[
    "answer",
    "send",
    "send_code",
    "confirm_code",
    "status",
    "create",
    "edit",
    "remove",
    "list",
    "import_contacts",
    "create_mailing",
    "confirm_mailing",
    "mailings",
    "mailing",
    "deliveries",
    "send_bulk",
    "bulk_status",
    "replies",
    "mark_read",
]


class Answer(Section):
    """One answer; the first of a list whose guard holds is given."""

    when: Guard | None = Field(None, description="When this answer is given.")
    status: Annotated[int, Field(ge=200, le=599)] | Literal["$error.status"] = Field(200, description="HTTP status.")
    content_type: str | None = Field(
        None, pattern=r"^[ -~]+$", description="Content-Type header; `text/xml` or `application/json` without it."
    )
    declaration: str | None = Field(None, description="First line of an XML answer.")
    xml: Tree = Field(None, description="An XML document in xmltodict's convention: `@name` attribute, `#text` text.")
    json_: Tree = Field(None, alias="json", description="A JSON document.")

    @model_validator(mode="after")
    def _has_one_body(self) -> Answer:
        if (self.xml is None) == (self.json_ is None):
            raise ValueError("an answer has either 'xml' or 'json'")
        if self.declaration is not None and self.xml is None:
            raise ValueError("'declaration' goes with 'xml'")
        return self


class FollowUp(Section):
    """A second message to the same number, sent when the first one was not delivered in time."""

    channel: Tree = Field(description="`sms` or `viber`.")
    sender: Tree = Field(description="Sender name.")
    after: Tree = Field(description="Seconds that the first one has; absent for no second message.")
    ttl: Tree = Field(description="Seconds that SMSBAT has for the second one.")


class MessageBinding(Section):
    """Where each part of a neutral message comes from."""

    channel: Tree = Field(description="`sms`, `viber` or `flashcall`.")
    sender: Tree = Field(description="Sender name.")
    recipient: Tree = Field(description="One number or a list; one message for each.")
    text: Tree = Field(description="What is sent.")
    ttl: Tree = Field(description="Seconds that the message has.")
    reference: Tree = Field(None, description="The partner's own id, returned in reports.")
    report: Tree = Field(False, description="Whether the partner wants reports.")
    delay: Tree = Field(0, description="Minutes that the gateway holds it before it is sent.")
    due_at: Tree = Field(None, description="Or the moment at which it is sent.")
    batch: Tree = Field(None, description="Number of the text that it was made of.")
    image: Tree = Field(None, description="Public address of a picture.")
    button_text: Tree = Field(None, description="Caption of a Viber button.")
    button_link: Tree = Field(None, description="Where the button leads.")
    fallback_text: Tree = Field(None, description="Text of the SMS that replaces an undelivered Viber message.")
    fallback_sender: Tree = Field(None, description="Its sender name, which asks for such an SMS.")
    secret: Tree = Field(None, description="A code in the text, which is not kept once the message has gone out.")
    otp: Tree = Field(
        None,
        description="A one-time password: `template`, `language`, `parameters`; absent unless the request says so.",
    )
    then: FollowUp | None = Field(None, description="A second message if this one fails.")


class RecipientBinding(Section):
    """What one of a mailing's recipients is, and what only that one gets."""

    phone: Tree = Field(description="The number, as it is written.")
    text: Tree = Field(None, description="A text of its own.")
    button_link: Tree = Field(None, description="A link of its own.")


class MailingBinding(Section):
    """Where each part of a mailing comes from."""

    channel: Tree = Field(description="`sms` or `viber`.")
    sender: Tree = Field(description="Sender name.")
    sender_id: Tree = Field(None, description="What the dialect calls it.")
    name: Tree = Field(None, description="Its name; one is made up without it.")
    kind: Tree = Field(None, description="The dialect's word for what it is.")
    ttl: Tree = Field(description="Seconds that each of its messages has.")
    text: Tree = Field(None, description="What is sent.")
    image: Tree = Field(None, description="Public address of a picture.")
    button_text: Tree = Field(None, description="Caption of a Viber button.")
    button_link: Tree = Field(None, description="Where the button leads.")
    due_at: Tree = Field(None, description="The moment at which it is sent.")
    problem: Tree = Field(None, description="What is wrong with one that is refused, in words of `$error`.")
    personal: Tree = Field(
        None, description="Whether recipients have texts and links of their own; they may without it."
    )
    recipients: Tree = Field(None, description="A list of objects, where its numbers are in the request.")
    recipient: RecipientBinding | None = Field(None, description="What each of them is.")


class CodeBinding(Section):
    """A code that is drawn for a message."""

    alphabet: Tree = Field(description="`letters`, `numbers` or `both`.")
    length: Tree = Field(description="How many of them.")


class Endpoint(Section):
    """Requests that are handled alike: an operation, or a refusal by name."""

    on: list[str] = Field(
        min_length=1,
        description="`METHOD /path`; `GET|POST` for either, `ANY` for every method, a final `*` for a prefix."
        " Behind one of the `bases`.",
    )
    hosts: list[str] = Field([], description="Only under these host names.")
    when: Guard | None = Field(None, description="Only when these raw parameters match.")
    parameters: dict[str, Parameter] | None = Field(
        None, description="What it takes, besides the dialect's own `parameters`."
    )
    operation: Operation | None = Field(None, description="What is done, in neutral words.")
    refuse: str | None = Field(None, description="Answer `unsupported` with this name, before any other check.")
    draw: CodeBinding | None = Field(None, description="A code that is drawn for the message, as `$drawn`.")
    message: MessageBinding | None = Field(None, description="The message that is sent.")
    mailing: MailingBinding | None = Field(None, description="The mailing, or each of several.")
    input: dict[Name, Tree] = Field({}, description="What else the operation works on, by its own words.")
    answers: list[Answer] = Field(min_length=1, description="The answers to success, or to `refuse`.")

    @model_validator(mode="after")
    def _does_one_thing(self) -> Endpoint:
        if (self.operation is None) == (self.refuse is None):
            raise ValueError("an endpoint has either an 'operation' or a 'refuse'")
        if (self.operation in ("send", "send_code")) != (self.message is not None):
            raise ValueError("'message' goes with 'operation: send' and 'send_code'")
        if (self.operation in ("create_mailing", "send_bulk")) != (self.mailing is not None):
            raise ValueError("'mailing' goes with 'operation: create_mailing' and 'send_bulk'")
        return self
