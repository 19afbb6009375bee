"""One-time passwords: by explicit fields, by the templates' wordings, by an account's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.messages import Content, Otp
from gateway.mapping.loader import Plan, load
from gateway.mapping.otp import NotOtp, OtpRules, compile_rules
from gateway.mapping.schema.common import OtpSection, OtpText
from gateway.mapping.source import MappingError, read_source
from gateway.settings import Address
from tests.support.process import gateway_process
from tests.support.raw import OK, answer_text, exchange, get, post, signed, urlencoded
from tests.support.servers import (
    MAPPINGS,
    accounts,
    free_address,
    plan_for,
    running_gateway,
    running_sandbox,
    write_mappings,
)

TAIL = " Please don't share your code with ANYONE. We'll never call or message you and ask for it."
BASIC = "0aac888f-2ee2-4112-9659-1755a951966a"
BUSINESS = "c33cccaf-735f-4d62-8383-a76bf4999e2d"


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return plan_for(tmp_path_factory.mktemp("plan"), "http://127.0.0.1:1")


def rules(plan: Plan, **section: Any) -> OtpRules:
    problems: list[Any] = []
    source = read_source(MAPPINGS / "smsbat.yaml")
    compiled = compile_rules(OtpSection(**section), plan.upstream.otp_templates, source, ("items",), problems)
    assert problems == []
    return compiled


def read(compiled: OtpRules, text: str) -> Otp:
    otp = compiled.apply(Content(text), "Shop", None).otp
    assert otp is not None
    return otp


@pytest.mark.parametrize(
    ("text", "template", "parameters"),
    [
        (f"Your code is 0123.{TAIL}", BASIC, {"pin": "0123"}),
        (f"your CODE is  0123.{TAIL.upper()}", BASIC, {"pin": "0123"}),
        (f"Your code is 0123.{TAIL}".replace("'", "’").removesuffix("."), BASIC, {"pin": "0123"}),
        (
            f"Your code is 77-AB.\nIt's valid for 5 minutes.{TAIL}",
            "c2cdc028-a48b-4187-bbaf-3aaa137b6e23",
            {"pin": "77-AB"},
        ),
        (
            f"Your code is 1. It's valid for 15 minutes.{TAIL}",
            "bed0942f-e07e-4879-834b-29cc4cf3ec35",
            {"pin": "1", "code_validity_time": 15},
        ),
        (
            f"Your login code is 1. It's valid for 15 minutes.{TAIL}",
            "60d67b38-b9fb-444a-80e6-754447e010c6",
            {"pin": "1", "pin_type": "login", "code_validity_time": 15},
        ),
        (
            f"Your My Shop code is 1. It's valid for 2 hours.{TAIL}",
            "6c929cef-29b4-4349-bc9d-2a07bdbb6e43",
            {"pin": "1", "business_platform_name": "My Shop", "code_validity_time": 2},
        ),
        (f"Your My Shop code is 1.{TAIL}", BUSINESS, {"pin": "1", "business_platform_name": "My Shop"}),
        (
            "Your Shop registration code is 1",
            "be56d97b-2a33-4c89-ac5f-f555a2c827d9",
            {"pin": "1", "business_platform_name": "Shop", "code_reason": "registration"},
        ),
    ],
)
def test_the_templates_own_wordings(plan: Plan, text: str, template: str, parameters: dict[str, Any]) -> None:
    otp = read(rules(plan), text)
    assert (otp.template, otp.language, dict(otp.parameters)) == (template, "en", parameters)


WORDS = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12)


@given(pin=WORDS, name=WORDS, minutes=st.integers(1, 999_999), number=st.integers(0, 8))
def test_what_a_template_says_is_read_back_as_the_same_words(
    plan: Plan, pin: str, name: str, minutes: int, number: int
) -> None:
    """Which of those that read alike is found makes no difference to who reads it."""
    sections = plan.upstream.file.otp_templates
    values = {"pin": pin, "pin_type": name, "business_platform_name": name, "code_reason": name}
    text = sections[number].text.format(**values, code_validity_time=minutes)
    otp = read(rules(plan), text)
    found = next(each for each in sections if each.id == otp.template)
    assert found.text.format(**otp.parameters) == text


@pytest.mark.parametrize(
    "text", ["", "hello", "Your code is .", f"Your code is 1. It's valid for 0 minutes.{TAIL}", "Your code is 1. Buy!"]
)
def test_other_texts_are_refused_or_sent_as_they_are(plan: Plan, text: str) -> None:
    with pytest.raises(NotOtp, match="text"):
        rules(plan).apply(Content(text), "Shop", None)
    assert rules(plan, unmatched="send").apply(Content(text), "Shop", None) == Content(text)


def test_only_the_named_senders_and_plain_texts_are_looked_at(plan: Plan) -> None:
    compiled = rules(plan, senders=["Codes"])
    assert compiled.apply(Content("hello"), "Shop", None).otp is None
    with pytest.raises(NotOtp):
        compiled.apply(Content("hello"), "Codes", None)
    with_picture = Content("hello", image="https://x/a.png")
    assert compiled.apply(with_picture, "Codes", None) == with_picture


def test_a_wording_of_ones_own(plan: Plan) -> None:
    text = OtpText(template="business", language="UK", text="Ваш код {pin}!", values={"business_platform_name": "Shop"})
    otp = read(rules(plan, texts=[text]), "ваш  код 007!")
    assert (otp.template, otp.language) == (BUSINESS, "uk")
    assert dict(otp.parameters) == {"pin": "007", "business_platform_name": "Shop"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ({"template": "bussiness", "text": "{pin}"}, "no OTP template 'bussiness' - did you mean 'business'?"),
        ({"template": "basic", "text": "no code"}, "'pin' must stand in the text, or among 'values', once"),
        ({"template": "basic", "text": "{pin} {pin}"}, "'pin' must stand in the text, or among 'values', once"),
        ({"template": "basic", "text": "{pin} {name}"}, "the template has no parameter 'name'"),
        ({"template": "basic", "text": "{pin} {Name2}"}, "the template has no parameter 'Name2'"),
        ({"template": "validity", "text": "{pin}", "values": {"code_validity_time": "soon"}}, "no number of minutes"),
        ({"template": "validity", "text": "{pin}", "values": {"code_validity_time": 0}}, "no number of minutes"),
        ({"template": "business", "text": "{pin}", "values": {"business_platform_name": ""}}, "this is no text"),
    ],
)
def test_a_wording_that_can_not_be(tmp_path: Path, text: dict[str, Any], problem: str) -> None:
    content = accounts("http://127.0.0.1:1", otp={"texts": [text]})
    with pytest.raises(MappingError) as caught:
        load([write_mappings(tmp_path, content)])
    assert problem in str(caught.value.problems[0])


# Through the gateway


def compat(address: Address, **parameters: str) -> str:
    pairs = {"user": "onvUser", "sign": "4Ab2ln4FEa32", "from": "Shop", "phone": "380501234567"}
    body = urlencoded([*{**pairs, "sending_method": "viber_otp", **parameters}.items()])
    return exchange(address, post(body, target=b"/api/SendMessage")).text


def refusal(name: str) -> str:
    return f"<response>\n  <code>-1</code>\n  <tech_message>PARAM ERROR ({name})</tech_message>\n</response>\n"


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({}, "txt"),
        ({"template_id": BASIC}, "pin"),
        ({"template_id": BUSINESS, "pin": "1"}, "business_platform_name"),
        ({"template_id": BASIC, "pin": "1", "code_validity_time": "0"}, "code_validity_time"),
        ({"template_id": "bed0942f-e07e-4879-834b-29cc4cf3ec35", "pin": "1"}, "code_validity_time"),
        # A whole text is no code.
        ({"template_id": BASIC, "txt": "Your code is 5, tell nobody"}, "pin"),
        ({"txt": "Ваш код 5, никому не говорите"}, "txt"),
        # The account has no template of its own.
        ({"pin": "1"}, "template_id"),
        ({"txt": "0123"}, "template_id"),
    ],
)
def test_a_one_time_password_that_lacks_something(
    plan: Plan, tmp_path: Path, parameters: dict[str, str], name: str
) -> None:
    with running_sandbox() as sandbox, running_gateway(tmp_path, sandbox.url) as address:
        assert compat(address, **parameters) == refusal(name)
        assert sandbox.received == []


def test_explicit_fields_and_bare_codes_reach_smsbat_in_its_types(tmp_path: Path) -> None:
    otp = {"template": "basic", "language": "uk", "unmatched": "send"}
    with running_sandbox() as sandbox, running_gateway(tmp_path, sandbox.url, otp=otp) as address:
        fields = {"pin": "0321", "business_platform_name": "SMSBAT", "code_validity_time": "7", "template_lang": "EN"}
        compat(address, template_id="6c929cef-29b4-4349-bc9d-2a07bdbb6e43", **fields)
        compat(address, txt="0042", image_link="https://x/a.png")
        compat(address, txt=f"Your code is 5.{TAIL}", template_lang="DE")
        compat(address, template_id="11111111-2222-3333-4444-555555555555", pin="9", code_reason="other")
        data = [each["messageData"] for each in sandbox.received]
        assert {each["type"] for each in sandbox.received} == {"viber_otp"}
        assert data[0] == {
            "templateId": "6c929cef-29b4-4349-bc9d-2a07bdbb6e43",
            "templateLang": "en",
            "templateParams": {"pin": "0321", "business_platform_name": "SMSBAT", "code_validity_time": 7},
        }
        assert data[1] == {"templateId": BASIC, "templateLang": "uk", "templateParams": {"pin": "0042"}}
        assert data[2] == {"templateId": BASIC, "templateLang": "de", "templateParams": {"pin": "5"}}
        assert data[3]["templateParams"] == {"pin": "9", "code_reason": "other"}


@pytest.mark.parametrize("code", ["123 456", "12 34 56", "12-34-56", "123 - 456"])
def test_a_code_may_be_written_in_groups(tmp_path: Path, code: str) -> None:
    otp = {"template": "basic"}
    with running_sandbox() as sandbox, running_gateway(tmp_path, sandbox.url, otp=otp) as address:
        compat(address, txt=code)
        compat(address, txt=f" {code}\n", template_id=BASIC)
        data = [each["messageData"]["templateParams"] for each in sandbox.received]
        assert data == [{"pin": code}, {"pin": code}]


@pytest.mark.parametrize("text", ["Your code is 5, tell nobody", "123 456 expires soon", "call 123 456"])
def test_a_sentence_is_no_code(tmp_path: Path, text: str) -> None:
    otp = {"template": "basic"}
    with running_sandbox() as sandbox, running_gateway(tmp_path, sandbox.url, otp=otp) as address:
        assert compat(address, txt=text) == refusal("txt")
        assert compat(address, txt=text, template_id=BASIC) == refusal("pin")
        assert sandbox.received == []


def test_the_help_pages_form_of_a_one_time_password(tmp_path: Path) -> None:
    with running_sandbox() as sandbox:
        with running_gateway(tmp_path, sandbox.url, smsbat={"variant": "help-004"}, otp={}) as address:
            for minutes in (15, 5):
                text = f"Your code is 5. It's valid for {minutes} minutes.{TAIL}"
                assert exchange(address, get(signed(phone="380501234567", txt=text, sending_method="viber"))).text == OK
        data = [each["messageData"] for each in sandbox.received]
        assert data == [{"code": "5", "validity": 900}, {"code": "5", "validity": 300}]


def test_sms_is_never_a_one_time_password_of_viber(tmp_path: Path) -> None:
    with running_sandbox() as sandbox, running_gateway(tmp_path, sandbox.url, otp={}) as address:
        assert exchange(address, get(signed(phone="380501234567", txt="hello"))).text == OK
        viber = get(signed(phone="380501234567", txt="hello", sending_method="viber"))
        assert exchange(address, viber).text == answer_text(-1, "PARAM ERROR (txt)")


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_codes_phones_and_texts_never_reach_the_log(tmp_path: Path, log_format: str) -> None:
    """Whatever happens to them: sent, refused by us, refused by SMSBAT, or met by an error of ours."""
    log = tmp_path / "log"
    environment = {"GATEWAY_LOG_FORMAT": log_format, "GATEWAY_LOG_LEVEL": "debug"}
    with running_sandbox() as sandbox:
        content = accounts(sandbox.url, otp={"template": "basic"}, wait=0.2)
        mappings = write_mappings(tmp_path / "mappings", content)
        with gateway_process(mappings, tmp_path / "gateway.db", free_address(), log, environment) as process:
            compat(process.address, txt="PIN777")
            compat(process.address, txt=f"Your code is PIN777.{TAIL}", phone="99903777")
            compat(process.address, txt="PIN777", template_id="x" * 101)
            exchange(process.address, get(signed(phone="380501234567", txt="PIN777", sending_method="viber")))
            # A text whose '&' is not escaped goes on as the name of an unknown parameter.
            cut = get(signed(phone="380501234567", txt="Shop ")).replace(
                b"txt=Shop+", b"txt=Shop+&PIN777+for+380501234567"
            )
            exchange(process.address, cut)
            assert process.terminate() == 0
    written = log.read_text()
    assert "request" in written
    for secret in ("PIN777", "380501234567", "99903777", "4Ab2ln4FEa32", "sandbox-key"):
        assert secret not in written
