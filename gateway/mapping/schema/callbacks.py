"""How partners are told: in a dialect file, and in an account."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from gateway.mapping.schema.common import YEAR, Name, Section, StatusWord, Tree

#: In minutes.
_LONGEST = YEAR // 60


class ScheduleStep(Section):
    """Repeats at one interval."""

    minutes: float = Field(gt=0, le=_LONGEST, description="The interval.")
    times: int | None = Field(None, gt=0, description="How many; without it as many as there is time for.")


class ScheduleSection(Section):
    """When a callback is tried again."""

    steps: list[ScheduleStep] = Field(min_length=1, description="One after the other.")
    give_up: float = Field(gt=0, le=_LONGEST, description="Minutes after the event when it is given up.")
    jitter: float = Field(0, ge=0, le=1, description="Share of an interval that chance adds.")
    stop: list[int] = Field([200], description="HTTP statuses that end it; all others are tried again.")


class CallbackBody(Section):
    """What one event looks like."""

    form: dict[str, Tree] | None = Field(None, description="Form fields in this order.")
    json_: Tree = Field(None, alias="json", description="A JSON document; always a POST.")

    @model_validator(mode="after")
    def _is_one(self) -> CallbackBody:
        if (self.form is None) == (self.json_ is None):
            raise ValueError("either a 'form' or a 'json'")
        return self


class CallbackFormatSection(Section):
    """How events are told to partners. An event that is not here is not told."""

    statuses: dict[StatusWord, str | int] = Field({}, description="The gateway's words to the dialect's.")
    reasons: dict[Literal["sms", "viber"], dict[str, str]] = Field(
        {}, description="By channel, why it failed; `other` for reasons that are not here or not known."
    )
    delivery: CallbackBody | None = Field(None, description="A message was delivered, or was not, or is on its way.")
    seen: CallbackBody | None = Field(None, description="It was opened.")
    reply: CallbackBody | None = Field(None, description="The subscriber wrote back.")
    answer: CallbackBody | None = Field(None, description="The subscriber answered a survey; a `reply` without this.")
    bulk: CallbackBody | None = Field(None, description="All messages of a bulk request have come to their end.")


class Callbacks(Section):
    """How a dialect's partners are told of what becomes of their messages."""

    schedule: ScheduleSection
    formats: dict[Name, CallbackFormatSection] = Field(min_length=1, description="The first one is the default.")


class CallbackExample(Section):
    """What SMSBAT tells of a message, and what its partner is told then."""

    name: str = Field(description="What it shows.")
    format: Name = Field(description="Which of the formats.")
    channel: Literal["sms", "viber"] = Field("viber", description="How the message was sent.")
    reference: str | None = Field(None, description="The partner's own id.")
    told: dict[str, Any] = Field(description="What SMSBAT tells, as an object.")
    callbacks: list[str] = Field(description="The bodies, one for each callback.")


class CallbackSection(Section):
    """Where an account's script is told of what becomes of its messages."""

    url: str = Field(min_length=1, description="Its address, in clear or as a secret reference.")
    method: Literal["POST", "GET"] = Field("POST", description="With GET the fields are added to the address.")
    format: Name | None = Field(None, description="How it is told; the dialect's default without it.")
    interim: bool = Field(False, description="Also of messages that are still on their way.")
    private: bool = Field(False, description="Its address may be in a private network.")
    schedule: ScheduleSection | None = Field(None, description="When to try again; the dialect's without it.")
