"""Parameters of a legacy request, as a dialect file describes them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from gateway.mapping.schema.common import Guard, Name, Section


class MaxWhen(Section):
    """A narrower length limit under a guard."""

    when: Guard = Field(description="When this limit holds.")
    max: int = Field(gt=0, description="Characters.")


class Parameter(Section):
    """One documented parameter. Parameters are checked in the order of the file; the first failure is answered."""

    type: Literal[
        "any",
        "string",
        "text",
        "integer",
        "digits",
        "phone",
        "url",
        "moment",
        "choice",
        "media",
        "file",
        "name",
        "record",
        "object",
        "list",
    ] = Field(
        "any",
        description="`string` is UTF-8, `text` is in the request's charset, `digits` ASCII digits only, `phone` a"
        " number however it is written, `url` a web address, `moment` a time in one of `forms`, `choice` one of"
        " `values`, `media` the id of a picture that the account uploaded, `file` an uploaded picture, `name` one of"
        " the account's `names`, `record` the number of something kept for the account, `object` and `list` what has"
        " `members`; `any` is not looked at.",
    )
    required: bool | list[Guard] = Field(False, description="Always, or when any of these guards holds.")
    many: bool = Field(False, description="Repeated parameter: always a list.")
    default: Any = Field(None, description="Value when not sent; of a `name` its id.")
    values: list[str] | dict[str, Any] | None = Field(
        None, description="For `choice`: the words allowed, or what each word stands for."
    )
    ignore_case: bool = Field(False, description="For `choice`: upper and lower case are equal.")
    newlines: Literal["normalize"] | None = Field(None, description="Every newline form becomes one LF.")
    max: int | None = Field(
        None,
        description="Most characters of a text, digits, bytes of a file, entries of a list, or the largest integer.",
    )
    max_when: list[MaxWhen] = Field([], description="Narrower length limits; the first whose guard holds.")
    parts: bool = Field(False, description="No longer than the dialect's table of `parts` has it.")
    contains: str | None = Field(None, description="What a text must hold.")
    min: int | None = Field(None, description="Smallest value of an integer.")
    times: int = Field(1, gt=0, description="An integer stands for so many times itself: minutes for seconds.")
    floor: int | None = Field(None, gt=0, description="Round an integer down to a multiple of this.")
    forms: list[str] | None = Field(
        None, description="For `moment`: as strftime writes them, in the account's zone; `epoch` is seconds since 1970."
    )
    formats: list[Literal["jpg", "png", "gif"]] | None = Field(
        None, description="For `file`: the formats taken, told by magic bytes; others are answered with `unsupported`."
    )
    of: str | None = Field(
        None, description="For `name`: which table; for `record`: `text`, `viber_text`, `password` or `list`."
    )
    by: Literal["id", "name"] = Field("id", description="For `name`: what the request has of it.")
    members: dict[str, Parameter] | None = Field(
        None, description="For `object`, and for each entry of a `list`: its members."
    )
    bare: str | None = Field(None, description="For `list`: the member that an entry is which is no object.")
    partial: bool = Field(False, description="For `list`: an entry with a fault does not spoil the others.")
    error: Name | None = Field(None, description="The error, of those `named`, instead of `parameter`.")
    too_long: Name | None = Field(None, description="The same for a text that is too long.")
    wrong_when: list[Guard] = Field(
        [], description="With any of these guards, which see its value too, it is an error."
    )
    only: Guard | None = Field(None, description="Without this the parameter counts as not sent.")
    otherwise: str | None = Field(None, description="Why it counts as not sent outside `only`.")
    refused: str | None = Field(None, description="Why this parameter is answered with `unsupported`.")
    accepted: list[Any] = Field([], description="Values that `refused` does not refuse.")
    ignored: str | None = Field(None, description="Why this parameter has no effect.")

    @model_validator(mode="after")
    def _belongs_together(self) -> Parameter:
        is_file = self.type == "file"
        if is_file != (self.formats is not None) or (is_file and (not self.max or self.many)):
            raise ValueError("'formats' goes with 'type: file', which has a 'max' and is never 'many'")
        for key, types in _ONLY_FOR.items():
            if (getattr(self, key) is not None) != (self.type in types):
                raise ValueError(f"'{key}' goes with 'type: {' or '.join(types)}'")
        if self.bare is not None and (self.type != "list" or self.bare not in (self.members or {})):
            raise ValueError("'bare' names one of the 'members' of a 'type: list'")
        if self.only is not None and not self.otherwise:
            raise ValueError("'only' needs 'otherwise': the reason why it counts as not sent")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("'min' is greater than 'max', so that every value would be wrong")
        if self.refused and self.ignored:
            raise ValueError("a parameter is refused or ignored, not both")
        return self


#: Keys that go with some types only, and always with those.
_ONLY_FOR: dict[str, tuple[str, ...]] = {
    "values": ("choice",),
    "forms": ("moment",),
    "of": ("name", "record"),
    "members": ("object", "list"),
}
