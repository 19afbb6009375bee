"""One-time passwords: which Viber texts are one, and the template, language and parameters that SMSBAT wants instead.

SMSBAT sends them by templates only (wire: smsbat.md, 6). A dialect may name template and parameters; else the text is
compared with wordings: those of the templates, and those of the account.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gateway.core.messages import Content, Otp
from gateway.mapping.schema.common import OtpSection, OtpText
from gateway.mapping.schema.upstream import OtpTemplateSection
from gateway.mapping.source import Problem, Source, Where, did_you_mean

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_SECONDS = {"minutes": 60, "hours": 3600}
#: What a parameter looks like inside a text. A pin is one word; a number is none that begins with zero.
_TEXT, _PIN, _NUMBER = r"\S.{0,100}?", r"\S{1,40}?", r"[1-9][0-9]{0,5}"
#: A text that is nothing but a code. Digits may stand in groups, as they are read out; words would be a sentence.
_CODE = re.compile(rf"{_PIN}|[0-9][0-9 -]{{0,38}}[0-9]")


class NotOtp(ValueError):
    """Not a one-time password as SMSBAT takes it. ``part``: ``text``, ``template``, or a parameter's name."""

    def __init__(self, part: str) -> None:
        super().__init__(part)
        self.part = part


@dataclass(frozen=True, slots=True)
class Template:
    """A template of SMSBAT's; ``parameters`` to ``text``, ``minutes`` or ``hours``."""

    id: str
    parameters: Mapping[str, str]
    validity: int | None = None

    def fill(self, language: str, given: Mapping[str, Any]) -> Otp:
        """The template with its parameters, in SMSBAT's types. Raises ``NotOtp`` for one that is missing or none.

        Parameters that are not the template's are passed on: SMSBAT's list is not the last word.
        """
        parameters: dict[str, str | int] = {name: value for name, value in given.items() if value is not None}
        validity = self.validity
        for name, kind in self.parameters.items():
            parameters[name] = _typed(name, kind, given.get(name))
            if kind in _SECONDS:
                validity = int(parameters[name]) * _SECONDS[kind]
        return Otp(self.id, language.lower(), parameters, validity)


def _typed(name: str, kind: str, value: object) -> str | int:
    if kind == "text" and value not in (None, ""):
        return str(value)
    if kind != "text" and re.fullmatch(_NUMBER, str(value)):
        return int(str(value))
    raise NotOtp(name)


def _fits(name: str, kind: str, value: object) -> bool:
    try:
        _typed(name, kind, value)
    except NotOtp:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Wording:
    """A text as clients write it, with its template's parameters in it; ``values`` are those that it does not hold."""

    template: Template
    language: str
    pattern: re.Pattern[str]
    values: Mapping[str, str | int]

    def read(self, text: str) -> Otp | None:
        """What a text says, when it is this wording."""
        match = self.pattern.fullmatch(text)
        return self.template.fill(self.language, {**self.values, **match.groupdict()}) if match else None


@dataclass(frozen=True, slots=True)
class OtpTemplates:
    """The upstream's templates by name, and their own wordings."""

    by_name: Mapping[str, Template]
    wordings: Sequence[Wording]

    def of_id(self, template_id: str) -> Template:
        """The template of an id. One that nobody listed takes whatever it is given."""
        known = (each for each in self.by_name.values() if each.id == template_id.lower())
        return next(known, Template(template_id, {"pin": "text"}))


@dataclass(frozen=True, slots=True)
class OtpRules:
    """An account's rules. ``asks`` is false for one that only sends what a dialect calls a one-time password."""

    templates: OtpTemplates
    section: OtpSection
    wordings: Sequence[Wording]
    asks: bool

    def apply(self, content: Content, sender: str, asked: Mapping[str, Any] | None) -> Content:
        """The content as it is to be sent; ``asked`` is what a dialect says of it. Raises ``NotOtp``."""
        if asked is not None:
            return content._replace(otp=self._asked(asked, content.text))
        senders = self.section.senders
        if not self.asks or not content.plain or (senders is not None and sender not in senders):
            return content
        otp = self._read(content.text or "")
        if otp is None and self.section.unmatched == "refuse":
            raise NotOtp("text")
        return content._replace(otp=otp)

    def _read(self, text: str) -> Otp | None:
        flat = _flat(text)
        return next((otp for wording in self.wordings if (otp := wording.read(flat))), None)

    def _asked(self, asked: Mapping[str, Any], text: str | None) -> Otp:
        given, template_id = asked.get("parameters") or {}, asked.get("template")
        language = asked.get("language") or self.section.language
        code = text.strip() if text and _CODE.fullmatch(text.strip()) else None
        if template_id or given:
            return self._template(template_id).fill(language, {"pin": code, **given})
        otp = self._read(text or "")
        if otp is not None:
            return replace(otp, language=language.lower()) if asked.get("language") else otp
        if code is None:
            raise NotOtp("text")
        return self._template(None).fill(language, {"pin": code})

    def _template(self, template_id: str | None) -> Template:
        if template_id:
            return self.templates.of_id(template_id)
        template = self.templates.by_name.get(self.section.template or "")
        if template is None:
            raise NotOtp("template")
        return template


#: The rules of nobody: nothing is a one-time password, and there is no template for one.
NO_OTP = OtpRules(OtpTemplates({}, ()), OtpSection(), (), asks=False)


def compile_templates(sections: Sequence[OtpTemplateSection], source: Source, problems: list[Problem]) -> OtpTemplates:
    """Compile the templates of the upstream file."""
    by_name, wordings = {}, []
    for i, section in enumerate(sections):
        if section.name in by_name:
            problems.append(source.problem(("otp_templates", i, "name"), "another template has this name already"))
        template = by_name[section.name] = Template(section.id.lower(), section.parameters, section.validity)
        text = OtpText(template=section.name, language="en", text=section.text)
        problems += [source.problem(("otp_templates", i, *where), each) for where, each in _mistakes(template, text)]
        wordings.append(_wording(template, text))
    return OtpTemplates(by_name, wordings)


def compile_rules(
    section: OtpSection | None, templates: OtpTemplates, source: Source, where: Where, problems: list[Problem]
) -> OtpRules:
    """Compile the rules that stand at ``where`` of an accounts file."""
    chosen = section or OtpSection()
    own = []
    for i, text in enumerate(chosen.texts):
        template = templates.by_name.get(text.template)
        if template is None:
            problems.append(_no_template(text.template, templates, source, (*where, "texts", i, "template")))
            continue
        problems += [source.problem((*where, "texts", i, *at), each) for at, each in _mistakes(template, text)]
        own.append(_wording(template, text))
    if chosen.template is not None and chosen.template not in templates.by_name:
        problems.append(_no_template(chosen.template, templates, source, (*where, "template")))
    # The account's own come first: it knows better what its texts say.
    return OtpRules(templates, chosen, [*own, *templates.wordings], asks=section is not None)


def _no_template(name: str, templates: OtpTemplates, source: Source, where: Where) -> Problem:
    return source.problem(where, f"no OTP template '{name}'{did_you_mean(name, templates.by_name)}")


def _mistakes(template: Template, text: OtpText) -> Iterator[tuple[Where, str]]:
    """What is wrong with a wording: it must give each parameter of its template, once."""
    given = [*_PLACEHOLDER.findall(text.text), *text.values]
    for name in given:
        if name not in template.parameters:
            yield ("text",), f"the template has no parameter '{name}'{did_you_mean(name, template.parameters)}"
    for name, kind in template.parameters.items():
        if given.count(name) != 1:
            yield ("text",), f"'{name}' must stand in the text, or among 'values', once"
        elif name in text.values and not _fits(name, kind, text.values[name]):
            yield ("values", name), f"this is no {'text' if kind == 'text' else 'number of ' + kind}"


def _wording(template: Template, text: OtpText) -> Wording:
    pieces = _PLACEHOLDER.split(_flat(text.text))
    pattern = re.escape(pieces[0])
    seen: set[str] = set()
    for name, literal in zip(pieces[1::2], pieces[2::2], strict=True):
        pattern += _group(template, name, name in seen) + re.escape(literal)
        seen.add(name)
    return Wording(template, text.language, re.compile(pattern, re.IGNORECASE), text.values)


def _group(template: Template, name: str, again: bool) -> str:
    kind = _NUMBER if template.parameters.get(name) in _SECONDS else _PIN if name == "pin" else _TEXT
    return f"(?:{kind})" if again else f"(?P<{name}>{kind})"


def _flat(text: str) -> str:
    """A text as it is compared: one blank for any white space, plain apostrophes, no full stop at its end."""
    return " ".join(text.replace("’", "'").split()).removesuffix(".")
