"""A mapping file that is wrong is told all of its faults, each with its place, and is not loaded."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from gateway.mapping.loader import load
from gateway.mapping.source import MappingError
from tests.support.servers import accounts, write_mappings

SECRET = "S3cr3t-never-to-be-shown"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_mappings(tmp_path / "mappings", accounts("http://127.0.0.1:1"))


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) >= 1
    file.write_text(text.replace(old, new, 1))


def problems(folder: Path, environment: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(MappingError) as caught:
        load([folder], environment or {})
    return [str(problem).removeprefix(f"{folder}/") for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("    max: 2048", "    maxx: 2048", "unknown key 'maxx' - did you mean 'max'?"),
        ("limits:\n", "limitz:\n", "the key 'limits' is missing"),
        ("text: $txt", "text: $text", "nothing is called 'text' here - did you mean 'txt'?"),
        ("operation: send", "operation: sent", "must be 'answer', 'send'"),
        ("{$each: $messages", "{$eech: $messages", "no such function: $eech - did you mean '$each'?"),
        ("only: {sending_method: viber}\n", "only: {sendin_method: viber}\n", "did you mean 'sending_method'?"),
        ("over: [user, from, phone, txt]", "over: [user, from, fone, txt]", "nothing is called 'fone' here"),
        ("  label: {ignored: statistics", "  label: {x: statistics", "unknown key 'x'"),
        ("max: 86400", "max: many", "must be a whole number"),
        ("max: 86400", "max: 59", "'min' is greater than 'max', so that every value would be wrong"),
        ("operation: send", "operation: sned", " - did you mean 'send'?"),
        ("      image: $image_id\n", "", "'image_id' is declared, and nothing uses it"),
        ("udh, group_id, label, action]", "udh, group_id, label, action, smpp]", "'smpp' is documented, and"),
        ("udh, group_id, label, action]", "udh, label, action]", "'group_id' is not among 'documented'"),
        ("dlr_timeout: {type: integer", "dlr_timeout: {type: choice", "'values' goes with 'type: choice'"),
        ("- when: {dlr: true}\n", "- when: {dlr: true}\n        status: x\n", "must be a whole number"),
        ("kind: dialect", "kind: dialekt", "must be one of dialect, upstream, accounts - did you mean 'dialect'?"),
        ("GET /, POST /]\n    operation", "/]\n    operation", "an endpoint is written 'METHOD /path'"),
        ('- {from: Sender, to: "79041231231", type: sms, text: hello', "- {from: Sender, text: hello", "the items are"),
        (
            "<tech_message>AUTH ERROR (sign)",
            "<tech_message>WRONG",
            "example 'an unknown user and a wrong signature look",
        ),
        ("dialect: messagio", "dialect: messagio\ndialect: other", "this key stands here twice"),
        ("  sms_fallback: {sender:", "  sms_fallback: {sendr:", "unknown key 'sendr' - did you mean 'sender'?"),
        (
            "      channel: $sending_method",
            "      chanel: $sending_method",
            "unknown key 'chanel' - did you mean 'channel'?",
        ),
        (
            "udh: {ignored:",
            "messages: {type: string}\n  udh: {ignored:",
            "in answers this name stands for something else",
        ),
        ("at: [/, pc.sms-online.com/]", "at: [/", "expected ',' or ']'"),
        ("at: [/, pc.sms-online.com/]", "at: *root", "found undefined alias …"),
        ("at: [/, pc.sms-online.com/]", "at: !!int abc", "not readable as YAML"),
        ("UTF8: utf-8,", "UTF8: utf-9,", "no such codec"),
        ("default: utf-8}", "default: 5}", "must be a text"),
        ("xml: {response: {code: 0, tech_message: OK}}", "xml: [5]", "an XML document is a mapping with one key"),
        ("xml: {response: {code: 0,", "xml: {response: {1: 0,", "this can't be the name of an element"),
        ("xml: {response: {code: 0,", 'xml: {response: {"": 0,', "this can't be the name of an element"),
        (
            "values: [viber, sms], default: sms",
            "values: [viber, sms], default: fax",
            "can't be worked: LookupError: no item of smsbat is for channel",
        ),
        ("- when: {dlr: true}\n", "- when: {dlr: true}\n        status: 999\n", "less than or equal to 599"),
        # With any of these the script would be called without end.
        ("{minutes: 5, times: 3}", "{minutes: 1e308, times: 3}", "less than or equal to 525600"),
        ("{minutes: 5, times: 3}", "{minutes: .inf, times: 3}", "finite number"),
        ("{minutes: 5, times: 3}", "{minutes: .nan, times: 3}", "finite number"),
        ("give_up: 1440", "give_up: 1e308", "less than or equal to 525600"),
        ("ttl: $dlr_timeout", "ttl: 9999999999", "it is a number of seconds"),
        ("ttl: 3600}", "ttl: 9999999999}", "less than or equal to 31536000"),
    ],
)
def test_a_fault_is_named_with_its_place(folder: Path, old: str, new: str, said: str) -> None:
    change(folder / "messagio.yaml", old, new)
    found = problems(folder)
    assert any(said in problem and re.match(r"messagio\.yaml:\d+:\d+: ", problem) for problem in found), found


def test_the_place_is_the_line_and_column_of_the_key(folder: Path) -> None:
    change(folder / "messagio.yaml", "    max: 2048", "    maxx: 2048")
    lines = (folder / "messagio.yaml").read_text().splitlines()
    line = lines.index("    maxx: 2048") + 1
    assert problems(folder) == [f"messagio.yaml:{line}:5: unknown key 'maxx' - did you mean 'max'?"]


def test_all_faults_of_all_files_come_at_once(folder: Path) -> None:
    change(folder / "messagio.yaml", "text: $txt", "text: $tx")
    change(folder / "messagio.yaml", "ttl: $dlr_timeout", "ttl: $timeout")
    change(folder / "smsbat.yaml", "to: $digits", "to: $digit")
    change(folder / "accounts.yaml", '"key"', '"kee"')
    assert [problem.split(":")[0] for problem in problems(folder)] == [
        "accounts.yaml",
        "messagio.yaml",
        "messagio.yaml",
        "messagio.yaml",  # dlr_timeout is left over now
        "smsbat.yaml",
    ]


def account_problems(folder: Path, content: dict[str, object], environment: dict[str, str] | None = None) -> list[str]:
    (folder / "accounts.yaml").write_text(json.dumps(content, indent=1))
    return problems(folder, environment)


def test_a_secret_in_clear_is_an_error_that_does_not_show_it(folder: Path) -> None:
    content = accounts("http://127.0.0.1:1") | {"demo": False}
    content["accounts"] = {"demo": {"smsbat": "main", "logins": {"messagio": {"login": "u", "secrets": [SECRET]}}}}
    said = account_problems(folder, content)
    assert [problem for problem in said if "a secret stands here in clear: write ${ENV_NAME} or file:/path" in problem]
    assert SECRET not in "\n".join(said)


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("${NOT_SET}", "the environment variable NOT_SET is not set"),
        ("file:/nowhere/secret", "the file /nowhere/secret can't be read"),
    ],
)
def test_a_secret_that_is_not_there(folder: Path, reference: str, said: str) -> None:
    content = accounts("http://127.0.0.1:1", {"key": reference})
    assert any(said in problem for problem in account_problems(folder, content))


def test_secrets_come_from_the_environment_and_from_files(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    content = accounts("http://127.0.0.1:1", {"key": "${SMSBAT_KEY}"}) | {"demo": False}
    logins = {"messagio": {"login": "u", "secrets": [f"file:{tmp_path}/secret", "${OLD}"]}}
    content["accounts"] = {"shop": {"smsbat": "main", "logins": logins}}
    (folder / "accounts.yaml").write_text(json.dumps(content))
    plan = load([folder], {"SMSBAT_KEY": "k", "OLD": "old"})
    identity = plan.accounts.identities["messagio"][b"u"]
    assert identity.secrets == (SECRET.encode(), b"old")
    assert plan.accounts.smsbat["main"].headers == {"X-Authorization-Key": "k"}
    assert SECRET not in repr(plan.accounts)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"smsbat": "mian"}, "no SMSBAT login 'mian' - did you mean 'main'?"),
        ({"logins": {"mesagio": {"login": "u", "secrets": ["s"]}}}, "no dialect 'mesagio' - did you mean 'messagio'?"),
        ({"logins": {"messagio": {"login": "onvUser", "secrets": ["s"]}}}, "account 'demo' has this login already"),
        ({"logins": {"messagio": {"login": "u", "secrets": ["a", "b", "c"]}}}, "at most 2"),
        ({"wait": -1}, "greater than or equal to 0"),
    ],
)
def test_accounts_that_do_not_fit_together(folder: Path, changed: dict[str, object], said: str) -> None:
    content = accounts("http://127.0.0.1:1")
    content["accounts"]["radio"] |= changed
    found = account_problems(folder, content)
    assert any(said in problem for problem in found), found


@pytest.mark.parametrize(
    "smsbat",
    [{"key": None}, {"login": "l", "password": "p"}, {"key": None, "login": "l"}, {"login": "l"}],
)
def test_a_credential_has_exactly_one_way_in(folder: Path, smsbat: dict[str, object]) -> None:
    content = accounts("http://127.0.0.1:1", smsbat)
    assert any(
        "give either 'key', or 'login' and 'password'" in problem for problem in account_problems(folder, content)
    )


@pytest.mark.parametrize(
    "limits",
    [
        {"calls_per_second": 1e-323},
        {"calls_per_second": 1e308},
        {"reads_per_second": 1e-323},
        {"reads_per_second": 1e308},
        {"burst": 10**400},
        {"timeout": 1e308},
    ],
)
def test_no_limit_is_beyond_all_bounds(folder: Path, limits: dict[str, object]) -> None:
    content = accounts("http://127.0.0.1:1", limits)
    assert any("than or equal to" in problem for problem in account_problems(folder, content))


def test_no_id_of_a_name_is_more_than_a_database_holds(folder: Path) -> None:
    content = accounts("http://127.0.0.1:1", smsby={"names": {"vibernames": {2**31: "Shop"}}})
    assert any("less than 2147483648" in problem for problem in account_problems(folder, content))


#: What urllib or httpx can't take, or can't be called.
NO_ADDRESSES = ["shop.example", "http://[x/", "http://127.0.0.1:80a82", "https://[::1", "http://x:0", "http://x\u200b/"]


@pytest.mark.parametrize(
    "url", [*NO_ADDRESSES, "https://x/bat?y=1", "https://x/bat#y", "https://me@x/bat", "https://@x/bat"]
)
def test_the_address_of_smsbat_is_one(folder: Path, url: str) -> None:
    assert account_problems(folder, accounts(url)) == [
        "accounts.yaml:6:4: must be an http or https address, with no login and no query in it"
    ]


@pytest.mark.parametrize("url", [*NO_ADDRESSES, "https://x/dlr.php#y"])
def test_the_address_of_a_script_is_one(folder: Path, url: str) -> None:
    found = account_problems(folder, accounts("http://127.0.0.1:1", reports={"callback": {"url": url}}))
    assert [re.sub(r":\d+:\d+:", ":", each) for each in found] == ["accounts.yaml: this is no http or https address"]


def test_missing_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="no file of 'kind: dialect'"):
        load([tmp_path])
    with pytest.raises(MappingError, match="no such file or folder"):
        load([tmp_path / "nowhere"])


@pytest.mark.parametrize(
    "broken",
    [
        "key: *hunter2secret",
        "key: !hunter2secret!x y",
        '{url: "http://x", key:hunter2secret}',
        "key: 'hunter2secret",
        "key: hunter2secret: x",
        # Every call would fail with it.
        '{url: "https://login:hunter2secret@x/bat", key: "${KEY}"}',
        "key: hunter2secret\n    key: hunter2secret",
        "[hunter2secret]",
        "hunter2secret",
    ],
)
def test_a_mistyped_secret_is_not_shown(folder: Path, broken: str) -> None:
    (folder / "accounts.yaml").write_text(f"kind: accounts\nsmsbat:\n  main:\n    {broken}\naccounts: {{}}\n")
    said = "\n".join(problems(folder))
    assert "accounts.yaml:" in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "5",
        "kind: [dialect]",
        "[" * 1000,
        "x: " + "9" * 6000,
        "x: 2020-99-99",
        "x: !!python/object:os.system [a]",
        "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n"
        + "\n".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)),
    ],
)
def test_a_file_that_is_no_mapping_file(folder: Path, text: str) -> None:
    (folder / "other.yaml").write_text(text)
    assert any(problem.startswith("other.yaml:") for problem in problems(folder))


def test_merged_keys_can_be_used(folder: Path) -> None:
    content = """
kind: accounts
demo: true
smsbat:
  main: &main {url: "http://127.0.0.1:1", key: k}
  slow: {<<: *main, calls_in_flight: 1}
accounts:
  demo: {smsbat: slow, logins: {messagio: {login: u, secrets: [s]}}}
"""
    (folder / "accounts.yaml").write_text(content)
    assert load([folder]).accounts.smsbat["slow"].settings.url == "http://127.0.0.1:1"


def test_a_secret_that_is_no_utf_8_is_signed_with_as_it_is(folder: Path) -> None:
    content = accounts("http://127.0.0.1:1")
    content["accounts"]["demo"]["logins"]["messagio"]["secrets"] = ["${RAW}"]
    (folder / "accounts.yaml").write_text(json.dumps(content))
    plan = load([folder], {"RAW": os.fsdecode(b"\xff\xfe")})
    assert plan.accounts.identities["messagio"][b"onvUser"].secrets[0] == b"\xff\xfe"
