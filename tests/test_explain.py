"""``explain``: what a request becomes, and which mistake makes a signature wrong."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest

from gateway.explain.curl import NotCurl, read_curl
from gateway.explain.explanation import Explanation, explain
from gateway.mapping.loader import Plan, load
from gateway.wire.raw_http import NotHttp, Request, read_request
from tests.support.process import command
from tests.support.raw import get, multipart, post, signed, upload, urlencoded
from tests.support.servers import MAPPINGS, accounts, plan_for, write_mappings

CAPTURES = Path(__file__).parent / "captures"
BASE = "onvUserSender79041231231"


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return plan_for(tmp_path_factory.mktemp("plan"), "http://127.0.0.1:1")


def explained(plan: Plan, raw: bytes) -> Explanation:
    return explain(plan, read_request(raw))


def md5(text: str | bytes) -> str:
    return hashlib.md5(text.encode() if isinstance(text, str) else text).hexdigest()


def mistakes(plan: Plan, raw: bytes) -> list[str]:
    told = explained(plan, raw)
    assert told.refusal is not None
    assert told.refusal.startswith("authentication")
    assert told.signature is not None
    return told.signature.mistakes


def form(txt: str | bytes, sign: str, user: str = "onvUser", phones: tuple[str, ...] = ("79041231231",)) -> bytes:
    listed = "".join(f"&phone={phone}" for phone in phones)
    return post(f"user={user}&from=Sender{listed}&txt={quote_plus(txt)}&sign={sign}".encode())


SECRET = "4Ab2ln4FEa32"
TWO = ("79165557755", "79041231231")
MISTAKES: list[tuple[bytes, str]] = [
    (form("hello", md5(BASE + "79165557755hello" + SECRET), phones=TWO), "the phones were signed in another order"),
    (form("hello", md5("onvUserSender79165557755hello" + SECRET), phones=TWO), "only the first phone was signed"),
    (form("hello", md5("onvUserSenderhello" + SECRET)), "the phone was left out"),
    (form("hello", md5("onvUserSender+79041231231hello" + SECRET)), "the phones were signed with a plus"),
    (
        form("Привет", md5(BASE.encode() + "Привет".encode("cp1251") + SECRET.encode())),
        "sent in UTF-8 and signed in CP1251",
    ),
    (form("Привет", md5(BASE.encode() + "Привет".encode("utf-16-be") + SECRET.encode())), "signed in UTF-16BE"),
    (form("Привет".encode("cp1251"), md5(BASE + "Привет" + SECRET)), "txt was sent in CP1251 and signed in UTF-8"),
    (form("hello", md5(BASE + "hello\n" + SECRET)), "a stray newline or blank was signed at the end of txt"),
    (form("hello\r\n", md5(BASE + "hello" + SECRET)), "a stray newline or blank around it that was not signed"),
    (form("hello", md5(BASE + "hello" + SECRET + "\n")), "a newline was signed at the very end"),
    (form("a\r\nb", md5(BASE + "a\nb" + SECRET)), "newlines were signed as LF and sent as CRLF"),
    (form("a<br />b", md5(BASE + "a\nb" + SECRET)), "newlines were signed after clean-up"),
    (form("hello", md5(BASE + SECRET)), "txt was left out"),
    (form("a b", md5(BASE + "a+b" + SECRET)), "txt was signed after percent-escaping"),
    (form("a%20b", md5(BASE + "a b" + SECRET)), "txt was percent-escaped twice"),
    (form("hello", md5(SECRET + BASE + "hello")), "the secret was put first"),
    (form("hello", md5("onvUser79041231231Senderhello" + SECRET)), "phone was put before from"),
    (form("hello", md5(BASE + "hello" + SECRET) + "\n"), "'sign' itself has white space around it"),
    (form("hello", md5(BASE + "hello" + "test_key")), "it is signed with the secret of account 'radio'"),
    (form("hello", "0" * 32, user="nobody"), "no account has this login"),
    (
        form("hello", md5("userSender79041231231hello\n" + "token"), user="user"),
        "at the end of txt (with secret 2 of this account's two)",
    ),
    (
        post(b"user=onvUser&from=Sender&phone=79041231231&txt=a&b&sign=" + md5(BASE + "a&b" + SECRET).encode()),
        "txt holds a '&' that was not escaped and cut it off",
    ),
    (
        post(b"user=onvUser&from=Sender&phone=79041231231&txt=1+1&sign=" + md5(BASE + "1+1" + SECRET).encode()),
        "txt",
    ),
]


@pytest.mark.parametrize(("raw", "said"), MISTAKES)
def test_a_mistake_is_named(plan: Plan, raw: bytes, said: str) -> None:
    assert any(said in mistake for mistake in mistakes(plan, raw)), mistakes(plan, raw)


def test_an_unexplained_signature_has_no_mistake_made_up(plan: Plan) -> None:
    assert mistakes(plan, form("hello", "0" * 32)) == []


def test_what_makes_no_difference_is_no_mistake(plan: Plan) -> None:
    """An editor ends a file with a newline: that is all that is wrong, whatever the text's charset could be."""
    raw = form("hello", md5(BASE + "hello" + SECRET) + "\n")
    assert mistakes(plan, raw) == ["'sign' itself has white space around it"]


def test_what_a_wrong_signature_hides_is_told_all_the_same(plan: Plan) -> None:
    told = explained(plan, form("hello", "0" * 32))
    assert told.assumed
    assert told.items[0]["text"] == "hello"
    assert "AUTH ERROR" in told.answer


def test_no_secret_is_shown(plan: Plan) -> None:
    for raw in (get(signed(phone="7", txt="x")), form("hello", "0" * 32)):
        assert SECRET not in repr(explained(plan, raw))


def test_a_raw_secret_in_place_of_a_signature_is_not_shown(plan: Plan) -> None:
    for given in (SECRET, SECRET + "x"):
        body = f"user=onvUser&sign={given}&from=S&phone=380501234567&sending_method=viber&txt=x".encode()
        told = explained(plan, post(body, target=b"/api/SendMessage"))
        assert told.signature is not None
        assert (told.signature.matches is not None) == (given == SECRET)
        assert SECRET not in repr(told)


def test_each_field_of_the_item_names_the_line_that_made_it(plan: Plan) -> None:
    told = explained(plan, get(signed(phone="79041231231", txt="hello", sending_method="viber")))
    assert told.signature is not None
    assert told.signature.matches == "secret 1 of account 'demo'"
    made = {each.path: each.origin for each in told.item_fields[0]}
    assert list(made) == ["from", "to", "type", "text", "ttl", "customerMessageId"]
    file, line, _ = made["ttl"].rsplit(":", 2)
    assert "ttl: $ttl" in Path(file).read_text().splitlines()[int(line) - 1]


def test_fields_are_told_with_what_becomes_of_them(plan: Plan) -> None:
    told = explained(plan, get([*signed(phone="7", txt="x"), ("label", "l"), ("mystery", "m"), ("hex", "0")]))
    fates = {each.name: each.fate for each in told.fields}
    assert fates["phone"] == "mapped"
    assert fates["label"].startswith("ignored: ")
    assert fates["hex"].startswith("refused: ")
    assert fates["mystery"] == "unknown: not looked at"


IMAGE = ("image_id", "0123456789abcdef0123456789abcdef")
VIBER = ("sending_method", "viber")
BUTTON = [("button_text", "Go"), ("button_link", "https://x")]
NO_PICTURE, NO_BUTTON = "an SMS has no picture", "an SMS has no button, and half a button is none"


@pytest.mark.parametrize(
    ("more", "fates"),
    [
        ([IMAGE], {"image_id": f"mapped: {NO_PICTURE}"}),
        ([VIBER, IMAGE], {"image_id": "mapped"}),
        ([VIBER, *BUTTON], {"button_text": "mapped", "button_link": "mapped"}),
        ([VIBER, BUTTON[0]], {"button_text": f"mapped: {NO_BUTTON}"}),
        (BUTTON, {"button_text": f"mapped: {NO_BUTTON}", "button_link": f"mapped: {NO_BUTTON}"}),
        # Wrong before it comes to the picture: nothing was found to be in its way.
        ([IMAGE, ("charset", "none")], {"image_id": "mapped"}),
    ],
)
def test_why_a_parameter_counts_as_not_sent_is_told_where_it_does(
    plan: Plan, more: list[tuple[str, str]], fates: dict[str, str]
) -> None:
    told = explained(plan, get([*signed(phone="79041231231", txt="hello"), *more]))
    assert {each.name: each.fate for each in told.fields if each.name in fates} == fates


QUICK = "http://app.sms.by/api/v1/sendQuickSMS?token=TESTTOKEN&phone=375297314159&message=hello&vibername_id=444"


def test_a_message_that_may_follow_is_told(tmp_path: Path) -> None:
    plan = plan_for(tmp_path, "http://127.0.0.1:1", smsby={})
    told = explained(plan, read_curl(f"curl '{QUICK}&forwarding_message=1&forwarding_time=5'"))
    assert [each["type"] for each in told.items] == ["sms"]
    (later,) = told.follow_ups
    assert (later.after, later.item["type"], later.item["from"]) == (300, "viber_promo", "MyViber")
    assert [each.path for each in later.item_fields] == [*later.item]
    assert [each.fate for each in told.fields] == ["mapped"] * 6
    alone = explained(plan, read_curl(f"curl '{QUICK}'"))
    assert alone.follow_ups == []
    assert alone.fields[-1].fate == "mapped: nothing is forwarded"


@pytest.mark.parametrize("name", sorted(path.name for path in CAPTURES.glob("*.req")))
def test_every_captured_request_can_be_explained(plan: Plan, name: str) -> None:
    told = explained(plan, (CAPTURES / name).read_bytes())
    assert told.answer.startswith('{"status": 0' if "upload" in name else "<?xml")
    assert told.refusal is None


def test_ignored_parameters_are_shown_as_text() -> None:
    request = urlencoded([*signed(phone="79041231231", txt="Привет"), ("pref", "1"), ("label", "ё")]).decode()
    line = f"curl -d '{request}' http://x"
    told = json.loads(command("explain", "--json", line).stdout)
    assert {each["name"]: each["value"] for each in told["fields"]}["label"] == "ё"
    assert command("explain", line, PYTHONIOENCODING="ascii").returncode == 0


def test_a_chunked_request_is_explained_as_it_is_served(plan: Plan) -> None:
    body = urlencoded(signed(phone="79041231231", txt="hello"))
    raw = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    assert explained(plan, raw).refusal is None
    with pytest.raises(NotHttp):
        read_request(raw[:-8])


# Curl command lines

CURLS: list[tuple[str, dict[str, Any]]] = [
    ("curl http://x/?a=1", {"method": "GET", "query": b"a=1", "body": b""}),
    ("curl -d a=1 -d 'b=2' http://x", {"method": "POST", "body": b"a=1&b=2", "path": "/"}),
    ("curl -G -d a=1 --data-urlencode 't=x y&' 'http://x/?z=3'", {"method": "GET", "query": b"z=3&a=1&t=x+y%26"}),
    ("curl -sS -X PUT https://x/y -d q", {"method": "PUT", "path": "/y", "host": "x"}),
    ("curl --json '{\"a\": 1}' x", {"content_type": b"application/json", "body": b'{"a": 1}'}),
    ("curl -d a -H 'Content-Type: text/plain' -H 'Host: h' http://x", {"content_type": b"text/plain", "host": "h"}),
    ("curl -sSd a=1 http://x", {"method": "POST", "body": b"a=1"}),
    ("curl -skX PUT -da=1 http://x", {"method": "PUT", "body": b"a=1"}),
    ("curl -d a=\udcff http://x", {"body": b"a=\xff"}),
    ("curl \\\n  --max-time 5 -k --url http://x/p \\\n  --data-raw '@a'", {"path": "/p", "body": b"@a"}),
]


@pytest.mark.parametrize(("line", "expected"), CURLS)
def test_curl(line: str, expected: dict[str, Any]) -> None:
    request = read_request(read_curl(line))
    assert {name: getattr(request, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("@text", b"a+b%26%0A%D0%9F%FF"),
        ("txt@text", b"txt=a+b%26%0A%D0%9F%FF"),
        ("txt=@text", b"txt=%40text"),
        ("me@x=a b", b"me@x=a+b"),
        ("txt=", b"txt="),
        ("=a b", b"a+b"),
        ("a b", b"a+b"),
    ],
)
def test_curl_encodes_what_is_given_and_what_is_in_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, sent: bytes
) -> None:
    """As curl 7.88 does it."""
    monkeypatch.chdir(tmp_path)
    Path("text").write_bytes(b"a b&\n\xd0\x9f\xff")
    assert read_request(read_curl(f"curl --data-urlencode '{given}' http://x")).body == sent


def test_curl_form_with_a_file(tmp_path: Path, plan: Plan) -> None:
    (tmp_path / "text").write_text("hello")
    sign = md5(BASE + "hello" + SECRET)
    fields = f"-F user=onvUser -F from=Sender -F phone=79041231231 -F 'txt=<{tmp_path / 'text'}' -F sign={sign}"
    assert explain(plan, read_request(read_curl(f"curl {fields} http://x"))).refusal is None


@pytest.mark.parametrize(
    "line",
    [
        "wget http://x",
        "curl",
        "curl 'unclosed",
        "curl -d @/nowhere http://x",
        "curl --data-urlencode txt@/nowhere http://x",
        "curl -d",
        "curl 'http://[bad/'",
        "curl -d '@a\0b' http://x",
    ],
)
def test_what_is_no_curl(line: str) -> None:
    with pytest.raises(NotCurl):
        read_curl(line)


@pytest.mark.parametrize("raw", [b"", b"hello", b"GET /\x01 HTTP/1.1\n\n", b"GET / HTTP/1.1"])
def test_what_is_no_request(raw: bytes) -> None:
    if raw == b"GET / HTTP/1.1":
        assert read_request(raw) == Request("GET", "/", "localhost", b"", b"", b"")
        return
    with pytest.raises(NotHttp):
        read_request(raw)


# The command


def test_the_command_names_the_mistake_and_fails() -> None:
    request = urlencoded(signed(phone=list(TWO), txt="hello")[:-1]).decode()
    line = f"curl -d '{request}&sign={md5(BASE + '79165557755hello' + SECRET)}' http://127.0.0.1:8080/"
    shown = command("explain", line)
    assert shown.returncode == 1
    assert "the phones were signed in another order than they are sent" in shown.stdout
    assert "AUTH ERROR (sign)" in shown.stdout


def test_the_command_reads_files_and_stdin_and_writes_json(tmp_path: Path) -> None:
    raw = get(signed(phone="79041231231", txt="hello"))
    (tmp_path / "request").write_bytes(raw)
    told = json.loads(command("explain", "--json", str(tmp_path / "request")).stdout)
    assert told["items"][0]["to"] == "79041231231"
    assert json.loads(command("explain", "--json", stdin=raw.decode()).stdout) == told


def test_the_command_says_what_it_can_not_read() -> None:
    shown = command("explain", "/nowhere")
    assert (shown.returncode, shown.stderr) == (2, "the file /nowhere can't be read: No such file or directory\n")


@pytest.mark.parametrize("name", ["accounts.yaml", "accounts.yml", "shops.yaml"])
def test_the_command_explains_with_the_accounts_that_are_there(tmp_path: Path, name: str) -> None:
    """Whatever their file is called. The demo's are for a folder that has none but an example."""
    folder = shutil.copytree(MAPPINGS, tmp_path / "mappings")

    def explained_with(token: str) -> list[str]:
        line = f"curl '{QUICK.replace('TESTTOKEN', token)}'"
        return re.findall("a token of account '(.*)'", command("explain", line, GATEWAY_MAPPINGS=str(folder)).stdout)

    assert explained_with("TESTTOKEN") == ["demo"]
    content = accounts("http://127.0.0.1:1", smsby={"secrets": ["mine"]})
    content["accounts"] = {"shop": content["accounts"]["demo"]}
    (folder / name).write_text(json.dumps(content))
    assert explained_with("mine") == ["shop"]


def test_the_command_shows_what_may_follow() -> None:
    line = f"curl '{QUICK}&forwarding_message=1'"
    head, later = command("explain", line).stdout.split("Later, instead of those that are not delivered within 3600 s")
    assert ('"type": "sms"' in head, '"type": "viber_promo"' in later) == (True, True)
    assert json.loads(command("explain", "--json", line).stdout)["follow_ups"][0]["after"] == 3600
    assert "Later" not in command("explain", f"curl '{QUICK}'").stdout


@pytest.mark.parametrize(
    ("signed", "mistake"),
    [
        (b"4Ab2ln4FEa32onvUser" + hashlib.md5(b"GIF89a").hexdigest().encode(), "the secret was put first"),
        (b"onvUser" + hashlib.md5(b"GIF89a").digest() + b"4Ab2ln4FEa32", "the md5 of the file was put in as bytes"),
        (b"onvUser4Ab2ln4FEa32", "the file was left out"),
    ],
)
def test_a_wrongly_signed_upload_is_explained(plan: Plan, signed: bytes, mistake: str) -> None:
    pairs = [(b"login", b"onvUser"), (b"image", b"GIF89a"), (b"sign", hashlib.md5(signed).hexdigest().encode())]
    told = explained(plan, multipart(pairs, target=b"/upload/"))
    assert (told.dialect, told.answer) == ("messagio-media", '{"status": 2, "error": "Invalid sign"}')
    assert told.signature is not None
    assert any(mistake in each for each in told.signature.mistakes)


def test_an_upload_is_explained(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "request").write_bytes(upload(b"GIF89a"))
    for options in ([], ["--json"]):
        told = command("explain", *options, str(tmp_path / "request"))
        assert (told.returncode, "gif, 6 bytes" in told.stdout) == (0, True)
    without = explained(plan, multipart([(b"login", b"onvUser"), (b"sign", b"0" * 32)], target=b"/upload/"))
    assert (without.signature, "image" in without.answer) == (None, True)


def test_a_client_that_percent_encodes_its_values_signs_what_it_sends(tmp_path: Path) -> None:
    login = {"login": "net", "secrets": ["s"], "json_values": "percent-encoded"}
    content = accounts("http://127.0.0.1:1")
    content["accounts"] = {"net": {"smsbat": "main", "logins": {"messagio": login}}}
    plan = load([write_mappings(tmp_path, content)])
    sign = hashlib.md5(b"netSender7%d0%9fs").hexdigest()
    body = f'{{"user": "net", "from": "Sender", "phone": "7", "txt": "%d0%9f", "sign": "{sign}"}}'
    told = explained(plan, post(body.encode(), b"application/json"))
    assert told.signature is not None
    assert (told.refusal, told.signature.matches) == (None, "secret 1 of account 'net'")


def test_a_path_is_read_as_it_is_served(plan: Plan) -> None:
    assert explained(plan, b"POST /up%6coad/ HTTP/1.1\r\nHost: x\r\n\r\n").dialect == "messagio-media"
