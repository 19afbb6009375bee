"""Pictures in an object store: a real server that speaks S3's protocol."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.support.raw import OK, exchange, get, signed, upload
from tests.support.servers import running_gateway, running_sandbox
from tests.test_uploads import GIF, PNG, fetch


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/pictures", method="PUT")).close()
    for name, value in {
        "AWS_ENDPOINT": endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    yield endpoint
    server.stop()


def test_a_picture_goes_to_the_bucket_and_is_served_from_it(tmp_path: Path, bucket: str) -> None:
    large = GIF + bytes(12_000_000)
    with running_sandbox() as sandbox:
        with running_gateway(tmp_path, sandbox.url, settings={"media": "s3://pictures/shop"}) as address:
            for picture in (PNG, large):
                image_id = exchange(address, upload(picture)).json["image_id"]
                send = get(signed(phone="380500009101", image_id=image_id, sending_method="viber"))
                assert exchange(address, send).text == OK
                public = sandbox.received[-1]["messageData"]["img"]
                status, headers, body = fetch(public)
                assert (status, int(headers["content-length"]), body) == (200, len(picture), picture)
                assert fetch(public, range="bytes=1-3")[2] == picture[1:4]
                name = public.rpartition("/")[2]
                kept = boto3.client("s3", endpoint_url=bucket).get_object(Bucket="pictures", Key=f"shop/{name}")
                assert (kept["Body"].read(), kept["ContentType"]) == (picture, headers["content-type"])


def test_a_bucket_that_is_not_there_is_a_temporary_error(tmp_path: Path, bucket: str) -> None:
    with running_sandbox() as sandbox:
        with running_gateway(tmp_path, sandbox.url, settings={"media": "s3://nowhere"}) as address:
            assert exchange(address, upload(PNG)).json == {"status": 1, "error": "Temporary error"}
