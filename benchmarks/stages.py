"""What one send costs in CPU time, stage by stage, the HTTP server aside.

All stages are timed in turns over many rounds; the median is shown. A rival for scale: the same request parsed
and answered with Starlette's form reader and xmltodict, as a proxy written by hand would.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import xmltodict
from starlette.requests import Request as StarletteRequest

from benchmarks.tables import Table
from gateway.core.ids import MessageIds
from gateway.inbound.codes import draw_code
from gateway.mapping.conversions import Means
from gateway.mapping.exchange import Exchange, fields_of
from gateway.mapping.loader import load
from gateway.wire.forms import read_fields
from gateway.wire.raw_http import Request
from gateway.wire.signatures import md5_signature

ROOT = Path(__file__).parents[1]
ROUNDS, REPEATS = 60, 100
FORM = b"application/x-www-form-urlencoded"
PLAN = load([ROOT / "mappings", ROOT / "mappings" / "demo"])
DIALECT, IDENTITIES = PLAN.dialects["messagio"], PLAN.accounts.identities
NO_PICTURES: dict[bytes, str] = {}
IDS = MessageIds(os.urandom)
TEXTS = {"hello, ASCII": "hello", "160 Cyrillic letters": "Съешь ещё этих мягких французских булок, да выпей чаю. " * 3}


def request_for(text: str) -> Request:
    """A typical signed send."""
    values = [b"onvUser", b"Sender", b"79041231231", text.encode()]
    escaped = "".join(f"%{byte:02X}" for byte in text.encode())
    sign = md5_signature(values, b"4Ab2ln4FEa32").decode()
    body = f"user=onvUser&from=Sender&phone=79041231231&txt={escaped}&sending_method=viber&dlr=1&sign={sign}"
    return Request("POST", "/", "bulk.sms-online.com", b"", FORM, body.encode())


def measure(works: Sequence[Callable[[], object]]) -> list[float]:
    """Median CPU microseconds of one call of each; in turns, so that all see the machine at its good and bad times."""
    rounds = [[_once(work) for work in works] for _ in range(ROUNDS)]
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


def _once(work: Callable[[], object]) -> float:
    started = time.process_time_ns()
    for _ in range(REPEATS):
        work()
    return (time.process_time_ns() - started) / REPEATS / 1000


def new_id() -> str:
    """As the serving gateway makes them."""
    return IDS.new(time.time_ns() // 1_000_000)


def whole(request: Request) -> bytes:
    """From the body's bytes to the item for SMSBAT and the answer's bytes."""
    exchange = Exchange(DIALECT)
    exchange.route(request.method, request.path, request.host)
    exchange.identify(fields_of(request, DIALECT), IDENTITIES)
    exchange.check(NO_PICTURES.get)
    exchange.build(1_700_000_000_000, new_id, draw_code)
    assert exchange.identity
    PLAN.upstream.body([PLAN.upstream.item(exchange.messages[0], exchange.identity.account, 1_700_000_000_000)])
    return exchange.accept().body


def by_hand(request: Request) -> str:
    """The rival: framework form, md5 over text, xmltodict."""

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": request.body, "more_body": False}

    async def read() -> dict[str, str]:
        scope = {"type": "http", "method": "POST", "headers": [(b"content-type", FORM)]}
        return {name: str(value) for name, value in (await StarletteRequest(scope, receive).form()).items()}

    coroutine = read()
    try:
        coroutine.send(None)
    except StopIteration as stop:
        form = stop.value
    md5_signature([form[name].encode() for name in ("user", "from", "phone", "txt")], b"4Ab2ln4FEa32")
    answer = {"response": {"tech_message": "OK", "code": "0", "msg_id": {"@phone": form["phone"], "#text": new_id()}}}
    return xmltodict.unparse(answer, pretty=True)


def stages(request: Request) -> dict[str, Callable[[], object]]:
    """Each stage on the results of those before it."""
    exchange = Exchange(DIALECT)
    exchange.route(request.method, request.path, request.host)
    exchange.identify(fields_of(request, DIALECT), IDENTITIES)
    exchange.check(NO_PICTURES.get)
    exchange.build(1_700_000_000_000, new_id, draw_code)
    fields, endpoint, identity = exchange.fields, exchange.endpoint, exchange.identity
    assert fields
    assert endpoint
    assert exchange.outline
    assert exchange.outline.message
    assert identity
    build, account = exchange.outline.message.build, identity.account
    return {
        "route": lambda: DIALECT.route(request.method, request.path, request.host),
        "parse": lambda: read_fields(request.query, request.content_type, request.body),
        "authenticate": lambda: DIALECT.authenticate(fields, IDENTITIES["messagio"]),
        "check": lambda: DIALECT.check(endpoint, fields, Means(NO_PICTURES.get), {}),
        "build": lambda: build(exchange.values, account, "messagio", 1_700_000_000_000, new_id),
        "item and JSON": lambda: PLAN.upstream.body(
            [PLAN.upstream.item(exchange.messages[0], account, 1_700_000_000_000)]
        ),
        "answer": exchange.accept,
        "all of it": lambda: whole(request),
        "rival: parse, md5, answer by hand": lambda: by_hand(request),
    }


def table() -> Table:
    """What each stage costs."""
    columns = {name: stages(request_for(text)) for name, text in TEXTS.items()}
    works = [work for column in columns.values() for work in column.values()]
    figures = iter(measure(works))
    rows: dict[str, list[str]] = {}
    for column in columns.values():
        for stage in column:
            rows.setdefault(stage, [stage]).append(f"{next(figures):.1f}")
    return Table("CPU microseconds of one send, HTTP server aside", ["stage", *TEXTS], [*rows.values()])
