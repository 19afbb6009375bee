"""Picture uploads, from the client's bytes to what the world fetches."""

from __future__ import annotations

import asyncio
import hashlib
import re
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

import pytest

from gateway.core.pictures import Picture
from gateway.store.database import opened
from gateway.store.engine import open_engine
from gateway.store.media import MediaStore
from gateway.store.pictures import FolderStorage, Spool
from gateway.store.retention import MARGIN, sweep
from gateway.wire.images import image_format
from tests.conftest import Setup
from tests.support.process import gateway_process
from tests.support.raw import OK, Connection, Response, answer_text, exchange, get, multipart, post, signed, upload
from tests.support.servers import accounts, free_address, running_gateway, running_sandbox, write_mappings

PNG = b"\x89PNG\r\n\x1a\n"
GIF = b"GIF89a" + bytes(range(256))
JPG = b"\xff\xd8\xff\xe0\x00\x10JFIF"
LIMIT = 20 * 1024 * 1024


def told(status: int, error: str) -> str:
    return f'{{"status": {status}, "error": "{error}"}}'


def parts(**changed: bytes | None) -> list[tuple[bytes, bytes]]:
    """The parts of a good upload with some of them changed or, when ``None``, left out."""
    good = {"login": b"onvUser", "image": PNG, "sign": b"3e5795412c6f02f43bb5336eeebcbc18"}
    return [(name.encode(), value) for name, value in {**good, **changed}.items() if value is not None]


def send(setup: Setup, pairs: list[tuple[bytes, bytes]], target: bytes = b"/upload/") -> Response:
    response = setup.exchange(multipart(pairs, target=target))
    assert (response.status, response.headers["content-type"]) == (200, "application/json; charset=utf-8")
    return response


def fetch(address: str, method: str = "GET", **headers: str) -> Any:
    """Status, headers and body of a picture's public address."""
    request = urllib.request.Request(
        address, method=method, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, response.headers, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def uploaded(setup: Setup, picture: bytes) -> str:
    """Upload, and return the public address that SMSBAT gets for it."""
    image_id = setup.exchange(upload(picture)).json["image_id"]
    before = len(setup.sandbox.received)
    assert setup.exchange(get(signed(phone="380500009001", image_id=image_id, sending_method="viber"))).text == OK
    address: str = setup.sandbox.received[before]["messageData"]["img"]
    return address


@pytest.mark.parametrize("sign", [b"3e5795412c6f02f43bb5336eeebcbc18", b"0ec7e35a68132829043831cfc0ed9c03"])
@pytest.mark.parametrize("target", [b"/upload/", b"/upload", b"/upload/?x=1"])
def test_the_wire_pages_vectors(setup: Setup, sign: bytes, target: bytes) -> None:
    """The inner md5 in lower case, as all clients write it, and in upper case, as the vendor's example has it."""
    for written in (sign, sign.upper()):
        response = send(setup, parts(sign=written), target)
        assert re.fullmatch(r'\{"status": 0, "image_id": "[A-Z0-9]{64}"\}', response.text)


@pytest.mark.parametrize(("picture", "media_type"), [(PNG, "image/png"), (GIF, "image/gif"), (JPG, "image/jpeg")])
def test_a_picture_is_served_as_what_it_is(setup: Setup, picture: bytes, media_type: str) -> None:
    status, headers, body = fetch(uploaded(setup, picture))
    assert (status, body, headers["content-type"]) == (200, picture, media_type)
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "public, max-age=31536000, immutable"


def test_parts_may_come_in_any_order(setup: Setup) -> None:
    assert send(setup, parts()[::-1]).json["status"] == 0


@pytest.mark.parametrize(
    ("changed", "status", "error"),
    [
        ({"login": None}, 1, "The data is not correct (login)"),
        ({"login": b""}, 1, "The data is not correct (login)"),
        ({"image": None}, 1, "The data is not correct (image)"),
        ({"image": b""}, 1, "The data is not correct (image)"),
        ({"sign": None}, 1, "The data is not correct (sign)"),
        ({"login": b"nobody"}, 2, "Invalid sign"),
        ({"sign": b"0" * 32}, 2, "Invalid sign"),
        ({"image": JPG}, 2, "Invalid sign"),
        # A file over the limit is not read to its end, so neither is the signature looked at.
        ({"image": PNG + bytes(LIMIT), "sign": None}, 3, "The size of image is too big"),
        ({"login": b"x" * 2_000_000}, 3, "The size of image is too big"),
    ],
)
def test_what_is_wrong_with_an_upload(setup: Setup, changed: dict[str, bytes | None], status: int, error: str) -> None:
    assert send(setup, parts(**changed)).text == told(status, error)


@pytest.mark.parametrize(
    "content", [b"<html>", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"BM6", b"GIF88a", b"\xff"]
)
def test_what_is_no_picture(setup: Setup, content: bytes) -> None:
    assert setup.exchange(upload(content)).text == told(4, "Invalid file format")


def test_exactly_twenty_megabytes_are_taken_and_served(setup: Setup) -> None:
    picture = PNG + bytes(LIMIT - len(PNG))
    status, headers, body = fetch(uploaded(setup, picture))
    assert (status, int(headers["content-length"]), hashlib.md5(body).digest()) == (
        200,
        LIMIT,
        hashlib.md5(picture).digest(),
    )


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"GET /upload/ HTTP/1.1\r\nHost: x\r\n\r\n", "The data is not correct (method)"),
        (b"POST /upload/more HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "The data is not correct (path)"),
        (b"GET / HTTP/1.1\r\nHost: media.sms-online.com\r\n\r\n", "The data is not correct (path)"),
        (b"GET /any?x HTTP/1.1\r\nHost: MEDIA.sms-online.com:80\r\n\r\n", "The data is not correct (path)"),
        (post(b"login=onvUser&image=x&sign=y", target=b"/upload/"), "The data is not correct (image)"),
        (post(b'{"login": "onvUser"', b"application/json", b"/upload/"), "The data is not correct (login)"),
        (post(b"--b\r\nbroken", b"multipart/form-data; boundary=b", b"/upload/"), "The data is not correct (login)"),
        (upload(PNG).replace(b"5d3e--\r\n", b"5d3e\r\nxx"), "The data is not correct (login)"),
    ],
)
def test_requests_that_are_no_uploads(setup: Setup, raw: bytes, error: str) -> None:
    response = setup.exchange(raw)
    assert (response.status, response.text) == (200, told(1, error))


def test_a_chunked_upload_with_expect(setup: Setup) -> None:
    head, _, body = upload(GIF).partition(b"\r\n\r\n")
    head = re.sub(rb"Content-Length: \d+", b"Transfer-Encoding: chunked\r\nExpect: 100-continue", head)
    with Connection(setup.address) as connection:
        connection.write(head + b"\r\n\r\n")
        assert connection.read().status == 100
        for start in range(0, len(body), 7):
            piece = body[start : start + 7]
            connection.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        connection.write(b"0\r\n\r\n")
        assert connection.read().json["status"] == 0


def test_a_gif_that_goes_on_as_html_is_only_ever_a_gif(setup: Setup) -> None:
    status, headers, body = fetch(uploaded(setup, b"GIF89a<html><script>alert(1)</script>"))
    assert (status, headers["content-type"], headers["x-content-type-options"]) == (200, "image/gif", "nosniff")
    assert headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert body.startswith(b"GIF89a<html>")


def test_a_picture_belongs_to_its_account(setup: Setup) -> None:
    image_id = setup.exchange(upload(PNG)).json["image_id"]
    foreign = [
        ("user", "hitfm"),
        ("from", "x"),
        ("phone", "380500009002"),
        ("image_id", image_id),
        ("sending_method", "viber"),
    ]
    sign = hashlib.md5(b"hitfmx380500009002test_key").hexdigest()
    assert setup.exchange(get([*foreign, ("sign", sign)])).text == answer_text(-1, "PARAM ERROR (image_id)")


@pytest.mark.parametrize("image_id", ["0", "x" * 64, "A" * 64, "A" * 63, "../../etc/passwd"])
def test_a_picture_that_nobody_uploaded(setup: Setup, image_id: str) -> None:
    request = get(signed(phone="380500009002", txt="hello", image_id=image_id, sending_method="viber"))
    assert setup.exchange(request).text == answer_text(-1, "PARAM ERROR (image_id)")


def test_after_a_failed_upload_text_and_button_go_out(setup: Setup) -> None:
    """The vendor's sample sends a blank image_id then."""
    fields = {"txt": "hello", "button_text": "Open", "button_link": "https://x"}
    before = len(setup.sandbox.received)
    assert setup.exchange(get(signed(phone="380500009002", image_id="", sending_method="viber", **fields))).text == OK
    item = setup.sandbox.received[before]
    assert (item["text"], item["messageData"]) == ("hello", {"buttonText": "Open", "buttonAction": "https://x"})


# At the public address


def test_head_ranges_and_conditions(setup: Setup) -> None:
    address = uploaded(setup, GIF)
    status, headers, body = fetch(address, "HEAD")
    assert (status, int(headers["content-length"]), body) == (200, len(GIF), b"")
    etag = headers["etag"]
    status, headers, body = fetch(address, range="bytes=6-9")
    assert (status, headers["content-range"], body) == (206, f"bytes 6-9/{len(GIF)}", GIF[6:10])
    assert fetch(address, range="bytes=-3")[2] == GIF[-3:]
    assert fetch(address, range="bytes=250-9999")[2] == GIF[250:]
    assert fetch(address, range="bytes=0-1", if_range='"other"')[0] == 200
    assert fetch(address, range="bytes=0-1", if_range=etag)[0] == 206
    assert fetch(address, range="bytes=5-2")[0] == 200
    assert fetch(address, range="bytes=0-1,4-5")[0] == 200
    status, headers, _ = fetch(address, range="bytes=9999-")
    assert (status, headers["content-range"]) == (416, f"bytes */{len(GIF)}")
    assert fetch(address, if_none_match=etag)[0] == 304
    assert fetch(address, if_none_match="*")[0] == 304
    assert fetch(address, "HEAD", range="bytes=0-1")[0] == 200


def test_nothing_else_is_there(setup: Setup) -> None:
    address = uploaded(setup, PNG)
    folder = address.rpartition("/")[0]
    assert fetch(address.replace(".png", ".gif"))[0] == 404
    # What can be no picture is a legacy client's, and answered in its dialect.
    for path in (address.replace(".png", ".html"), f"{folder}/", f"{folder}/incoming/", f"{folder}/../gateway.db"):
        assert b"SYNTAX ERROR (path)" in fetch(path)[2]
    assert fetch(f"{folder}/{'A' * 64}.png")[0] == 404
    assert fetch(address, "POST")[0] == 405


# Lasting


def test_a_picture_survives_a_restart_and_goes_to_smsbat(tmp_path: Path) -> None:
    with running_sandbox() as sandbox:
        with running_gateway(tmp_path, sandbox.url) as address:
            image_id = exchange(address, upload(PNG)).json["image_id"]
        with running_gateway(tmp_path, sandbox.url) as address:
            sent = exchange(address, get(signed(phone="380500009002", image_id=image_id, sending_method="viber")))
            assert sent.text == OK
            assert fetch(sandbox.received[0]["messageData"]["img"])[2] == PNG


def test_without_a_public_address_pictures_are_kept_and_refused_by_name(tmp_path: Path) -> None:
    with running_sandbox() as sandbox, running_gateway(tmp_path, sandbox.url, settings={"public_url": None}) as address:
        image_id = exchange(address, upload(PNG)).json["image_id"]
        viber = get(signed(phone="380500009002", txt="hello", image_id=image_id, sending_method="viber"))
        assert exchange(address, viber).text == answer_text(-3, "NOT SUPPORTED (image_id)")
        assert exchange(address, get(signed(phone="380500009002", txt="hello", image_id=image_id))).text == OK


def test_no_room_for_a_picture_is_a_temporary_error(tmp_path: Path) -> None:
    with running_sandbox() as sandbox, running_gateway(tmp_path, sandbox.url) as address:
        (tmp_path / "media" / "incoming").rmdir()
        assert exchange(address, upload(PNG)).text == told(1, "Temporary error")
        (tmp_path / "media" / "incoming").mkdir()
        assert exchange(address, upload(PNG)).json["status"] == 0


def test_what_a_client_did_not_finish_leaves_nothing_behind(tmp_path: Path) -> None:
    with running_sandbox() as sandbox, running_gateway(tmp_path, sandbox.url) as address:
        with Connection(address) as connection:
            connection.write(upload(PNG + bytes(1_000_000))[:500_000])
        assert exchange(address, upload(b"no picture")).json["status"] == 4
        assert exchange(address, upload(PNG, secret=b"wrong")).json["status"] == 2
    assert list((tmp_path / "media" / "incoming").iterdir()) == []


def test_retention_counts_from_the_last_message_that_needs_a_picture(tmp_path: Path) -> None:
    day = 86_400_000

    async def scenario() -> None:
        async with opened(open_engine(f"sqlite:///{tmp_path / 'gateway.db'}")) as database:
            storage, media = FolderStorage(tmp_path / "media"), MediaStore(database)
            for number, needed_until in enumerate([0, 5 * day]):
                picture = Picture(str(number) * 64, "shop", "png", 8)
                spool = storage.spool()
                spool.write(PNG)
                await media.add(picture, needed_until)
                await storage.keep(spool, picture.name)
                spool.close()
            assert await sweep(database, storage, 7 * day, 7 * day) == 0
            assert await sweep(database, storage, 7 * day + MARGIN + 1, 7 * day) == 1
            assert [path.name for path in (tmp_path / "media").glob("*.png")] == ["1" * 64 + ".png"]
            assert (await media.find(["0" * 64, "1" * 64])).keys() == {"1" * 64}

    asyncio.run(scenario())


def test_ten_uploads_of_twenty_megabytes_at_once_stay_small_in_memory(tmp_path: Path) -> None:
    mappings = write_mappings(tmp_path / "mappings", accounts("http://127.0.0.1:1"))
    raw = upload(PNG + bytes(LIMIT - len(PNG)))
    with gateway_process(mappings, tmp_path / "gateway.db", free_address(), tmp_path / "log") as process:
        statuses: list[int] = []
        clients = [
            threading.Thread(target=lambda: statuses.append(exchange(process.address, raw).json["status"]))
            for _ in range(10)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        assert statuses == [0] * 10
        assert process.peak_memory < 150 * 1024 * 1024


def test_formats_by_magic_bytes() -> None:
    heads = [JPG, PNG, b"GIF87a", b"GIF89a", b"GIF88a", b"\xff\xd8", b"<svg", b""]
    assert [image_format(head) for head in heads] == ["jpg", "png", "gif", "gif", None, None, None, None]


@pytest.mark.parametrize(("charset", "codec"), [("UTF-8", "utf-8"), ("UTF-16BE", "utf-16-be"), ("CP1251", "cp1251")])
@pytest.mark.parametrize("form", ["get", "urlencoded", "multipart"])
@pytest.mark.parametrize("with_picture", [True, False])
def test_text_in_each_charset_and_form_with_and_without_a_picture(
    setup: Setup, charset: str, codec: str, form: str, with_picture: bool
) -> None:
    """The signature is over the bytes as sent; SMSBAT gets the text whole."""
    text = "Привет, мир & ёж + 100%"
    pairs = [
        (b"user", b"onvUser"),
        (b"from", b"Sender"),
        (b"phone", b"380500009003"),
        (b"txt", text.encode(codec)),
        (b"charset", charset.encode()),
        (b"sending_method", b"viber"),
    ]
    if with_picture:
        pairs.append((b"image_id", setup.exchange(upload(PNG)).json["image_id"].encode()))
    sign = hashlib.md5(b"".join(value for _, value in pairs[:4]) + b"4Ab2ln4FEa32").hexdigest()
    pairs.append((b"sign", sign.encode()))
    encoded = b"&".join(name + b"=" + quote_from_bytes(value).encode() for name, value in pairs)
    raw = {
        "get": b"GET /?%b HTTP/1.1\r\nHost: bulk.sms-online.com\r\n\r\n" % encoded,
        "urlencoded": post(encoded),
        "multipart": multipart(pairs),
    }[form]
    before = len(setup.sandbox.received)
    assert setup.exchange(raw).text == OK
    item = setup.sandbox.received[before]
    assert item["text"] == text
    assert ("img" in item.get("messageData", {})) == with_picture


def test_what_a_full_disk_did_not_take_is_removed(tmp_path: Path) -> None:
    """Closing writes what is left, which fails again; removing is what makes room."""
    path = tmp_path / "incoming"
    path.touch()
    spool = Spool(Path("/dev/full").open("wb"), path)  # noqa: SIM115 closed by the spool
    spool.write(b"x")
    spool.close()
    assert (path.exists(), spool.file.closed) == (False, True)


def test_a_client_that_stops_in_the_middle_of_an_upload_is_told_in_its_dialect(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when so much came at once that reading paused; nothing of it is kept."""
    monkeypatch.setattr("gateway.inbound.protocol.STALLED", 0.3)
    for size in (1_000, 3_000_000):
        with Connection(setup.address) as connection:
            connection.write(upload(PNG + bytes(5_000_000))[:size])
            response = connection.read()
            assert (response.status, response.text) == (200, told(1, "The data is not correct (request)"))


def test_a_method_that_no_server_knows_on_the_upload_host(setup: Setup) -> None:
    raw = b"PROPFIND / HTTP/1.1\r\nHost: media.sms-online.com\r\n\r\n"
    assert setup.exchange(raw).text == told(1, "The data is not correct (method)")


@pytest.mark.parametrize(
    "part",
    [b'Content-Disposition: form-data; name="a"\r\n\r\n', b"Content-Disposition:" + b";" * 60_000 + b"\r\n\r\n"],
)
def test_a_form_of_nothing_but_parts_is_too_large(setup: Setup, part: bytes) -> None:
    body = b"".join(b"--b\r\n" + part + b"\r\n" for _ in range(2_000_000 // len(part))) + b"--b--\r\n"
    raw = post(body, b"multipart/form-data; boundary=b", b"/upload/")
    assert setup.exchange(raw).text == told(3, "The size of image is too big")


def test_a_form_of_files_is_too_large(setup: Setup) -> None:
    """Each would have a file open until the request ends."""
    raw = multipart([(b"image", b"x")] * 100, target=b"/upload/")
    assert setup.exchange(raw).text == told(3, "The size of image is too big")
