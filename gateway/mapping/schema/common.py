"""What several kinds of mapping file have in common."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.core.lifecycle import Status
from gateway.core.messages import Concern

Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_\-]*$")]


#: Literals, ``$references`` and functions, in the shape of the answer or item they stand for.
Tree = Any


#: ``name: value`` is equality, ``name: [a, b]`` membership, ``$present`` and ``$absent`` what they say.
Guard = dict[str, Any]


ViberType = Literal["viber_promo", "viber_trans", "viber_service"]


#: Enumerations stand as words in a file, where strict typing would want the Python member.
ConcernWord = Annotated[Concern, Field(strict=False)]


StatusWord = Annotated[Status, Field(strict=False)]


#: In seconds.
YEAR = 31_536_000


class Section(BaseModel):
    """A mapping whose keys are all known; a misspelt one is an error, not a setting without effect."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class SmsFallback(Section):
    """An SMS instead of a Viber message that is not delivered in time, as one cascade at SMSBAT."""

    sender: str | None = Field(None, description="Its sender name; without it that of the Viber message.")
    ttl: int | None = Field(None, gt=0, le=YEAR, description="Seconds that the SMS has.")


class OtpText(Section):
    """A wording that is a one-time password, with `{pin}` and the template's other parameters in it."""

    template: Name = Field(description="Name of the template that it is.")
    language: str = Field("en", min_length=2, description="Language of the template, as SMSBAT's `templateLang`.")
    text: str = Field(description="The text; case, white space and a final full stop do not matter.")
    values: dict[str, str | int] = Field({}, description="Parameters of the template that the text does not hold.")


class OtpSection(Section):
    """Viber texts of these senders are one-time passwords, and go out by SMSBAT's templates."""

    senders: list[str] | None = Field(None, description="Sender names; without them all of the account.")
    texts: list[OtpText] = Field([], description="Wordings of the account's own, besides those of the templates.")
    unmatched: Literal["refuse", "send"] = Field(
        "refuse", description="A text that is none of them: the error `parameter`, or an ordinary Viber message."
    )
    template: Name | None = Field(None, description="Template of a request that gives nothing but the code.")
    language: str = Field("en", min_length=2, description="Its language, as SMSBAT's `templateLang`.")


class NameEntry(Section):
    """A name that a dialect has an id for."""

    name: str = Field(min_length=1, description="The name itself: of a sender, as SMSBAT knows it.")
    title: str | None = Field(None, description="What clients are shown instead.")


#: Ids to names, or to a name and what clients are shown instead. Whether an id stands in quotes does not matter.
NameTable = dict[Annotated[int, Field(strict=False, ge=0, lt=2**31)], str | NameEntry]
