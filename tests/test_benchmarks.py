"""What the comparison's figures rest on: rivals that do the same work, wrk's figures, ratios, seeded databases."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.side_by_side import gateways, machine, report
from benchmarks.side_by_side.comparison import choose
from benchmarks.side_by_side.contenders import BASELINE, CEILING, FLOOR, GATEWAY, KANNEL_SPOOL, ORM
from benchmarks.side_by_side.figures import Results, Spread, ratios
from benchmarks.side_by_side.points import LIMITED, SIXTY_FOUR, Turn
from benchmarks.side_by_side.processes import Command, DidNotStart, Server, port_of, serving
from benchmarks.side_by_side.requests import kannel, legacy, messages, write_requests
from benchmarks.side_by_side.seeding import seed
from benchmarks.side_by_side.targets import Requirement, requirements
from benchmarks.side_by_side.wrk import Load, parse
from benchmarks.tables import Table, replace_measured
from gateway.clock import now_ms
from gateway.core.lifecycle import Report, Status
from gateway.mapping.loader import load
from gateway.settings import Address
from gateway.store.callbacks import CallbackStore, Script
from gateway.store.database import opened
from gateway.store.engine import open_engine
from gateway.store.messages import MessageStore
from gateway.store.reports import ReportStore
from tests.support.raw import AUTH_ERROR, Response, exchange, post, signed, urlencoded
from tests.support.servers import MAPPINGS, RunningSandbox, eventually, free_address, running_sandbox

RIVALS = ("starlette_httpx", "starlette_orm", "aiohttp_proxy", FLOOR)
PHONE, TEXT = next(each for each in messages() if not each[1].isascii())


@contextlib.contextmanager
def rival(name: str, smsbat: str, folder: Path) -> Iterator[Address]:
    """One of the hand-written servers, as the benchmark starts it."""
    address, module = free_address(), f"benchmarks.side_by_side.rivals.{name}"
    words = [sys.executable, "-m", module, str(port_of(address)), smsbat, str(folder / f"{name}.db")]
    with serving(Command(words, listens=address), folder / f"{name}.log", core=None):
        yield address


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox(limited=False) as running:
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rivals")


@pytest.fixture(scope="module")
def rivals(sandbox: RunningSandbox, folder: Path) -> Iterator[dict[str, Address]]:
    """All of them, and the ceiling, which answers by the dialect itself."""
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(rival(name, sandbox.url, folder)) for name in (*RIVALS, CEILING)}


def without_id(answer: Response) -> dict[str, object]:
    """An answer as a client's parser sees it, its id aside."""
    found = answer.xml
    if "msg_id" in found:
        found["msg_id"].pop("#text")
    return {"status": answer.status, **found}


@pytest.mark.parametrize("name", RIVALS)
def test_rivals_answer_as_the_dialect_and_send_the_message(
    rivals: dict[str, Address], sandbox: RunningSandbox, name: str
) -> None:
    known = len(sandbox.received)
    answer = exchange(rivals[name], legacy(PHONE, TEXT))
    assert without_id(answer) == without_id(exchange(rivals[CEILING], legacy(PHONE, TEXT)))
    [message] = sandbox.received[known:]
    assert answer.message_ids == [(PHONE, message["customerMessageId"])]
    assert (message["to"], message["text"], message["from"]) == (PHONE, TEXT, "Sender")


@pytest.mark.parametrize("name", [*RIVALS, CEILING])
def test_rivals_refuse_a_wrong_signature(rivals: dict[str, Address], sandbox: RunningSandbox, name: str) -> None:
    known = len(sandbox.received)
    forged = post(urlencoded(signed("another secret", phone=PHONE, txt=TEXT)))
    answer = exchange(rivals[name], forged)
    assert (answer.status, answer.code, answer.xml["tech_message"]) == (200, -2, "AUTH ERROR (sign)")
    assert len(sandbox.received) == known
    if name == CEILING:
        assert answer.text == AUTH_ERROR


def test_a_rival_does_not_accept_what_smsbat_refuses(folder: Path) -> None:
    with running_sandbox(key="another") as strict, rival(RIVALS[0], strict.url, folder) as address:
        assert exchange(address, legacy(PHONE, TEXT)).code == -4


def test_a_server_that_ends_is_told_of_with_its_log(tmp_path: Path) -> None:
    words = [sys.executable, "-c", "raise SystemExit('no luck')"]
    with (
        pytest.raises(DidNotStart, match="no luck"),
        serving(Command(words, listens=free_address()), tmp_path / "log", core=None),
    ):
        pass


def test_processor_time_and_memory_are_those_of_all_its_processes(tmp_path: Path) -> None:
    works = "import os; os.fork(); sum(range(10**7)); os.write(1, b'.'); import time; time.sleep(60)"
    server = Server([sys.executable, "-c", works], tmp_path / "log", core=None)
    try:
        eventually(lambda: (tmp_path / "log").read_text() == "..")
        assert len(server.processes) == 2
        assert server.cpu_seconds > 0.1
        assert server.peak_memory > 2 * 2**20
    finally:
        server.stop()
    assert server.processes == []


def test_prepared_requests_are_read_back_whole(tmp_path: Path) -> None:
    with write_requests(tmp_path / "requests", legacy, 50).open("rb") as file:
        read = [file.read(int(length)) for length in iter(file.readline, b"")]
    assert read == [legacy(*each) for each in messages(50)]
    assert len(set(read)) == len(read)
    assert kannel(PHONE, TEXT).startswith(b"GET /cgi-bin/sendsms?")


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "SEARCHED", str(tmp_path))
    assert machine.missing() >= {"wrk", "nginx", "kannel"}
    with pytest.raises(SystemExit, match=r"apt-get install kannel nginx wrk\)$"):
        choose([GATEWAY], {"wrk", "nginx", "kannel"})


def test_only_who_needs_it_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert [each.name for each in choose([BASELINE, KANNEL_SPOOL, GATEWAY], {"kannel"})] == [BASELINE, GATEWAY]
    assert "Kannel with its spool store; not installed: kannel" in capsys.readouterr().out


WRK = """\
Running 2s test @ http://127.0.0.1:12005/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    10.07ms    2.75ms  79.02ms   92.93%
    Req/Sec     6.41k   539.92     7.33k    77.50%
  12760 requests in 2.00s, 4.10MB read
Requests/sec:   6374.63
Transfer/sec:      2.05MB
{"answers":12760,"seconds":2.001680,"bytes":4299120,"p50_us":9718,"p99_us":17460,"refused":3,"broken":1}
"""


def test_what_wrk_says() -> None:
    assert parse(WRK) == Load(12760, 2.00168, 0.009718, 0.01746, refused=3, broken=1)
    with pytest.raises(ValueError, match="unable to connect"):
        parse("unable to connect to 127.0.0.1:1 Connection refused\n")


TURN = Turn(
    Load(1000, 2.0, 0.01, 0.02, 0, 0),
    relayed=1000,
    seconds=2.0,
    cpu_seconds=1.0,
    peak_memory=100 * 2**20,
    too_many=0,
    largest_call=1,
    doubles=0,
    disturbed=0.0,
)


def turns(*relayed: int) -> list[Turn]:
    return [replace(TURN, load=replace(TURN.load, answers=each), relayed=each) for each in relayed]


def test_ratios_are_of_the_same_round() -> None:
    assert ratios([100, 60], [10, 20]) == Spread(median=6.5, least=3, most=10)
    assert ratios([], [1.0]) is None
    assert Spread.of([3, 1, 2]).written(".1f") == "2.0 (1.0..3.0)"


def test_requirements_are_computed() -> None:
    results = Results()
    results.turns[SIXTY_FOUR, GATEWAY] = turns(1200, 1200, 1300)
    results.turns[SIXTY_FOUR, BASELINE] = turns(100, 90, 110)
    results.turns[SIXTY_FOUR, ORM] = turns(40, 40, 40)
    results.turns[LIMITED, GATEWAY] = [replace(each, too_many=1) for each in turns(8000)]
    found = {each.text: (each.verdict, each.measured) for each in requirements(results)}
    assert found["64 connections: times Starlette + httpx, nothing stored"] == (
        "met",
        Spread(12, 1300 / 110, 1200 / 90),
    )
    assert found["64 connections: times the same with an ORM row"] == ("NOT MET", Spread(30, 30, 32.5))
    assert found["64 connections: times Kannel with its spool store"] == ("not measured", None)
    assert found["100 calls a second: messages a second"] == ("met", Spread(4000, 4000, 4000))
    assert found["100 calls a second: calls refused with 429"] == ("NOT MET", Spread(1, 1, 1))


def test_limits_hold_from_above() -> None:
    limit = Requirement("memory", 150, Spread(150, 100, 160), is_limit=True)
    assert (limit.verdict, limit.target) == ("met", "at most 150.00")
    assert replace(limit, measured=Spread(150.1, 100, 160)).verdict == "NOT MET"


def test_only_what_was_answered_and_relayed_counts() -> None:
    assert (replace(TURN, relayed=900).messages, replace(TURN, relayed=900).left) == (900, 100)
    at_the_end = replace(TURN, relayed=1064)
    assert (at_the_end.messages, at_the_end.rate, at_the_end.left) == (1000, 500, 0)


def test_tables_say_what_is_wrong_with_a_turn() -> None:
    results = Results()
    results.turns[SIXTY_FOUR, BASELINE] = [replace(TURN, relayed=900, load=replace(TURN.load, broken=2))]
    results.turns[SIXTY_FOUR, KANNEL_SPOOL] = turns(1000)
    _, table, _ = report.tables(results)
    first, second = table.rows
    assert first[:3] == ["Starlette + httpx, nothing stored", "450 (450..450)", "1.00 (1.00..1.00)"]
    assert first[-1] == "100 answered and not relayed; 2 broken or timed out"
    assert second[-1] == "answers before it relays: 500 answers/s"
    assert not report.unrest(results)
    results.turns[SIXTY_FOUR, GATEWAY] = [replace(TURN, disturbed=0.4, doubles=3)]
    assert report.tables(results)[1].rows[2][-1] == "3 relayed twice; others had up to 40% of its core"
    assert "up to 40%" in report.unrest(results)


def test_a_page_keeps_its_words(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    begin, end = "<!-- measured: begin -->", "<!-- measured: end -->"
    page.write_text(f"# Words\n{begin}\nold\n{end}\nmore\n")
    table = Table("T", ["", "a"], [["x", "1"]]).markdown
    replace_measured(page, table)
    assert page.read_text() == f"# Words\n{begin}\n\n{table}\n{end}\nmore\n"
    assert table == "### T\n\n|  | a |\n| --- | ---: |\n| x | 1 |\n"
    page.write_text("nothing")
    with pytest.raises(ValueError, match="no lines"):
        replace_measured(page, "")


def test_the_page_of_figures_can_be_written() -> None:
    page = (MAPPINGS.parent / "docs" / "performance.md").read_text()
    assert page.count("<!-- measured: begin -->") == page.count("<!-- measured: end -->") == 1


def test_seeded_rows_are_those_of_the_gateway(tmp_path: Path) -> None:
    """Nothing is left to send; a report of a seeded message finds it, and every callback is due."""
    engine = open_engine(gateways.sqlite(seed(tmp_path, 40, owed=True)))

    async def look() -> None:
        async with opened(engine) as database:
            plan = load([MAPPINGS, MAPPINGS / "demo"])
            due = await CallbackStore(database).due(Script("demo", "messagio"), now_ms(), 64, [])
            assert len({each.message for each in due}) == 40
            assert await MessageStore(database).unsettled_counts() == {}
            reports = ReportStore(database, plan.accounts.targets)
            applied = await reports.apply([Report(Status.SEEN, now_ms(), upstream_id="1039")], "main")
            assert (applied.early, applied.owed) == (0, {Script("demo", "messagio")})

    asyncio.run(look())
