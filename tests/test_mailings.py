"""Mailings and what else goes out later, on real SQLite files: what is on disk at every step."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select, text

from gateway.core.ids import MessageIds
from gateway.core.lifecycle import Report, Status
from gateway.core.mailings import Mailing, Recipient
from gateway.core.messages import Content, Outcome, Receipt, State
from gateway.core.pictures import Picture
from gateway.errors import StoreUnavailable
from gateway.mapping.accounts import Account
from gateway.mapping.schema.accounts import RateSection
from gateway.settings import Address
from gateway.store.asking import AskingStore
from gateway.store.callbacks import CallbackState, CallbackStore, Script
from gateway.store.codes import CodeStore, UnknownCode
from gateway.store.database import Database, opened
from gateway.store.engine import open_engine
from gateway.store.forgetting import forget_old
from gateway.store.mailings import CHUNK, MailingStore, with_deliveries
from gateway.store.media import MediaStore
from gateway.store.messages import MessageStore
from gateway.store.numbers import Numbers
from gateway.store.pictures import FolderStorage
from gateway.store.records import Contact, RecordStore
from gateway.store.releases import ReleaseStore
from gateway.store.reports import ReportStore
from gateway.store.retention import sweep
from gateway.store.settled import Settled
from gateway.store.tables import messages
from tests.support.servers import eventually, running_gateway, running_sandbox
from tests.support.smsby import call, result
from tests.support.stores import NOW, message

HOUR, DAY = 3_600_000, 86_400_000
ACCOUNT = Account("demo", "main", "guide-001", "viber_promo", {}, 0, False)
MAILING = Mailing("demo", "smsby", "viber", "MyViber", 444, "News", "TEXT", Content("Hi"), 86_400)
REFUSED = dataclasses.replace(MAILING, problem="no text")


class Stores:
    """Everything that is asked of one database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.numbers = Numbers(database)
        self.mailings = MailingStore(database, self.numbers)
        self.releases = ReleaseStore(database, {})
        self.messages = MessageStore(database)
        self.asking = AskingStore(database)
        self.records = RecordStore(database)
        self.reports = ReportStore(database, {})
        self._id = 0

    def new_id(self) -> str:
        self._id += 1
        return f"m-{self._id:06d}"

    async def create(self, mailing: Mailing = MAILING, contacts_of: int | None = None) -> tuple[int, int]:
        return await self.mailings.create(mailing, "main", NOW, self.new_id, contacts_of)

    async def states(self) -> dict[str, str]:
        def read() -> dict[str, str]:
            with self.database.engine.connect() as connection:
                return {row.id: row.state for row in connection.execute(select(messages.c.id, messages.c.state))}

        return await asyncio.to_thread(read)


def run(engine: Engine, scenario: Callable[[Stores], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        async with opened(engine) as database:
            await scenario(Stores(database))

    asyncio.run(whole())


def to(*phones: str) -> Mailing:
    listed = [Recipient(phone, phone if phone.isdigit() else None) for phone in phones]
    return dataclasses.replace(MAILING, recipients=listed)


def test_numbers_count_up_for_each_account_and_across_restarts(engine: Engine) -> None:
    taken: list[int] = []

    async def scenario(stores: Stores) -> None:
        several = await asyncio.gather(*(stores.numbers.take("demo") for _ in range(2000)))
        taken.extend(several)
        taken.extend([await stores.numbers.take("demo", 3000), await stores.numbers.take("demo")])
        assert await stores.numbers.take("other") == 1

    run(engine, scenario)
    run(engine, _more(taken))
    assert len(set(taken)) == len(taken)
    assert sorted(taken[:2000]) == list(range(1, 2001))
    assert taken[2001] >= taken[2000] + 3000


def _more(taken: list[int]) -> Callable[[Stores], Coroutine[Any, Any, None]]:
    async def scenario(stores: Stores) -> None:
        taken.append(await stores.numbers.take("demo"))

    return scenario


def test_a_draft_is_nobodys_and_goes_after_an_hour(engine: Engine, tmp_path: Path) -> None:
    """The process ended between writing the messages down and telling of them."""

    async def scenario(stores: Stores) -> None:
        number, count = await stores.create(to(*(f"37529{i:07d}" for i in range(CHUNK + 5))))
        assert count == CHUNK + 5
        assert await stores.mailings.find("demo", number, "viber") is None
        assert not await stores.mailings.confirm("demo", number, "viber")
        assert await stores.releases.due(NOW) == []
        storage = FolderStorage(tmp_path / "media")
        await sweep(stores.database, storage, NOW + HOUR - 1, HOUR)
        assert len(await stores.states()) == CHUNK + 5
        await sweep(stores.database, storage, NOW + HOUR + 1, HOUR)
        assert await stores.states() == {}

    run(engine, scenario)


def test_a_draft_that_was_cleared_away_is_not_told_as_sent(engine: Engine, tmp_path: Path) -> None:
    """Its client sends it again. Nothing of the request goes out now."""

    async def scenario(stores: Stores) -> None:
        gone = await stores.create(to("375291111111"))
        await sweep(stores.database, FolderStorage(tmp_path / "media"), NOW + HOUR + 1, HOUR)
        kept, refused = await stores.create(to("375291111111")), await stores.create(REFUSED)
        row = {"id": "bulk-1", "account": "demo", "dialect": "smsby", "url": None, "created_at": NOW}
        with pytest.raises(StoreUnavailable):
            await stores.mailings.publish([kept, gone, refused], "demo", confirmed=True, bulk=row)
        assert await stores.releases.due(NOW) == []
        await stores.mailings.publish([kept, refused], "demo", confirmed=True, bulk=row)
        assert [each.number for each in await stores.releases.due(NOW)] == [kept[0]]

    run(engine, scenario)


def test_confirmed_once_released_in_pieces(engine: Engine) -> None:
    async def scenario(stores: Stores) -> None:
        number, count = await stores.create(to(*(f"37529{i:07d}" for i in range(CHUNK + 5))))
        await stores.mailings.publish([(number, count)], "demo", confirmed=False)
        assert await stores.releases.due(NOW) == []
        assert all(await asyncio.gather(*(stores.mailings.confirm("demo", number, "viber") for _ in range(5))))
        assert not await stores.mailings.confirm("other", number, "viber")
        [release] = await stores.releases.due(NOW)
        assert await stores.releases.release(release, NOW + 5) == CHUNK
        assert (await stores.mailings.find("demo", number, "viber") or {})["stage"] == "new"
        assert await stores.releases.due(NOW) == [release]
        assert await stores.releases.release(release, NOW + 9) == 5
        assert (await stores.mailings.find("demo", number, "viber") or {})["stage"] == "sent"
        assert await stores.releases.due(NOW) == []
        first = (await stores.messages.unsettled("main", NOW + 5, 1)).messages[0]
        assert (first.due_at, first.ttl, first.batch) == (NOW + 5, 86_400, number)
        # A third confirmation changes nothing.
        assert await stores.mailings.confirm("demo", number, "viber")
        assert await stores.releases.due(NOW + HOUR) == []

    run(engine, scenario)


def test_a_planned_time_is_kept(engine: Engine) -> None:
    async def scenario(stores: Stores) -> None:
        number, count = await stores.create(dataclasses.replace(to("375291111111"), due_at=NOW + HOUR))
        await stores.mailings.publish([(number, count)], "demo", confirmed=True)
        assert await stores.releases.due(NOW + HOUR - 1) == []
        assert await stores.releases.next_due(NOW) == NOW + HOUR
        assert len(await stores.releases.due(NOW + HOUR)) == 1

    run(engine, scenario)


def test_what_is_no_number_has_failed_from_the_start(engine: Engine) -> None:
    async def scenario(stores: Stores) -> None:
        number, count = await stores.create(to("375291111111", "none"))
        await stores.mailings.publish([(number, count)], "demo", confirmed=True)
        listed = await stores.asking.batch("demo", number, "viber", 0, None, NOW) or []
        assert [(each["phone"], each["stage"]) for each in listed] == [("375291111111", "new"), ("none", "undelivered")]
        [release] = await stores.releases.due(NOW)
        await stores.releases.release(release, NOW)
        assert await stores.states() == {"m-000001": "accepted", "m-000002": "refused"}

    run(engine, scenario)


def test_a_list_as_it_was_when_the_mailing_was_made(engine: Engine) -> None:
    async def scenario(stores: Stores) -> None:
        kept = (await stores.records.create("demo", "list", {"name": "L"}, NOW))["number"]
        people = [Contact(f"37529{i:07d}", f"37529{i:07d}", {}) for i in range(3)]
        assert await stores.records.subscribe("demo", kept, [*people, Contact("a@b.c", None, {"email": "a@b.c"})]) == 4
        number, count = await stores.create(contacts_of=kept)
        assert count == 3
        await stores.records.subscribe("demo", kept, [Contact("375299999999", "375299999999", {})])
        await stores.mailings.publish([(number, count)], "demo", confirmed=True)
        listed = await stores.asking.batch("demo", number, "viber", 1, 5, NOW) or []
        assert [each["phone"] for each in listed] == ["375290000001", "375290000002"]

    run(engine, scenario)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (None, State.ACCEPTED),
        (Status.SENDING, State.ACCEPTED),
        (Status.UNDELIVERED, State.ACCEPTED),
        (Status.DELIVERED, State.WITHDRAWN),
        (Status.SEEN, State.WITHDRAWN),
    ],
)
def test_what_follows_an_sms_goes_out_only_when_that_was_not_delivered(
    engine: Engine, status: Status | None, state: State
) -> None:
    async def scenario(stores: Stores) -> None:
        sms = message(1)._replace(channel="sms", number=1)
        viber = message(2)._replace(due_at=NOW + 300_000, follows=sms.id)
        await stores.messages.accept([sms], "main", follow_ups=[viber])
        await stores.messages.settle([Settled.by(sms, Receipt(Outcome.ACCEPTED, "7"))], NOW)
        if status:
            await stores.reports.apply([Report(status, NOW + 1, id=sms.id)], "main")
        assert await stores.releases.next_due(NOW) == NOW + 300_000
        assert await stores.releases.follow(NOW + 299_999) == ({}, False)
        assert (await stores.states())[viber.id] == "planned"
        expected = {"main": 1} if state is State.ACCEPTED else {}
        assert await stores.releases.follow(NOW + 300_000) == (expected, False)
        assert (await stores.states())[viber.id] == state.value
        assert await stores.releases.follow(NOW + 300_001) == ({}, False)

    run(engine, scenario)


def test_follow_ups_that_are_not_needed_keep_no_others_back(engine: Engine) -> None:
    """The oldest are looked at first, and whoever waits behind them learns that there are more."""

    async def scenario(stores: Stores) -> None:
        firsts = [message(each)._replace(channel="sms") for each in range(CHUNK + 1)]
        vibers = [message(CHUNK + 1 + i)._replace(due_at=NOW - i, follows=each.id) for i, each in enumerate(firsts)]
        await stores.messages.accept(firsts, "main", follow_ups=vibers)
        await stores.messages.settle([Settled.by(each, Receipt(Outcome.ACCEPTED, "7")) for each in firsts], NOW)
        await stores.reports.apply([Report(Status.DELIVERED, NOW, id=each.id) for each in firsts[1:]], "main")
        assert await stores.releases.follow(NOW) == ({}, True)
        assert (await stores.states())[vibers[0].id] == "planned"
        assert await stores.releases.follow(NOW) == ({"main": 1}, False)

    run(engine, scenario)


def test_nothing_follows_what_a_client_was_refused(engine: Engine) -> None:
    """In the transaction that makes the refusal good, so that no crash can come between."""

    async def scenario(stores: Stores) -> None:
        sms = message(1)._replace(channel="sms", number=1)
        viber = message(2)._replace(follows=sms.id)
        await stores.messages.accept([sms], "main", follow_ups=[viber])
        # While the first one has not left, nothing follows it.
        assert await stores.releases.follow(NOW + HOUR) == ({}, False)
        await stores.messages.settle([Settled.by(sms, Receipt(Outcome.BALANCE))], NOW)
        assert (await stores.states())[viber.id] == "withdrawn"

    run(engine, scenario)


def test_a_refusal_that_came_too_late_for_the_client_is_followed(engine: Engine) -> None:
    async def scenario(stores: Stores) -> None:
        sms = message(1)._replace(channel="sms", number=1)
        viber = message(2)._replace(follows=sms.id)
        await stores.messages.accept([sms], "main", follow_ups=[viber])
        await stores.messages.settle_failed([Settled.by(sms, Receipt(Outcome.BALANCE))], NOW, stores.reports)
        assert await stores.releases.follow(NOW + HOUR) == ({"main": 1}, False)

    run(engine, scenario)


def test_a_mailing_goes_out_as_fast_as_its_account_may_send(engine: Engine) -> None:
    slow = dataclasses.replace(ACCOUNT, rate=RateSection(per_second=10, burst=20))

    async def scenario(stores: Stores) -> None:
        releases = ReleaseStore(stores.database, {"demo": slow})
        number, count = await stores.create(to(*(f"37529{i:07d}" for i in range(45))))
        await stores.mailings.publish([(number, count)], "demo", confirmed=True)
        [release] = await releases.due(NOW)
        assert [await releases.release(release, NOW + after) for after in (0, 0, 1000, 3000)] == [20, 0, 10, 15]
        assert await releases.due(NOW) == []

    run(engine, scenario)


def test_a_mailing_takes_from_the_rate_what_goes_out_of_it(engine: Engine) -> None:
    slow = dataclasses.replace(ACCOUNT, rate=RateSection(per_second=1, burst=20))

    async def scenario(stores: Stores) -> None:
        releases = ReleaseStore(stores.database, {"demo": slow})
        for phones in (5, 15, 1):
            number, count = await stores.create(to(*(f"37529{i:07d}" for i in range(phones))))
            await stores.mailings.publish([(number, count)], "demo", confirmed=True)
        due = sorted(await releases.due(NOW), key=lambda release: release.number)
        assert [await releases.release(release, NOW) for release in due] == [5, 15, 0]

    run(engine, scenario)


def test_what_the_word_on_a_bulk_request_tells_of_stays_until_that_is_told(engine: Engine) -> None:
    """Its first mailing is old when its last one goes out."""
    owed = {"id": "bulk-1", "account": "demo", "dialect": "smsby", "url": "http://partner/", "created_at": NOW}

    async def scenario(stores: Stores) -> None:
        ids = MessageIds(os.urandom)
        both = (to("375291111111"), dataclasses.replace(to("none"), due_at=NOW + 40 * DAY), REFUSED)
        created = [
            await stores.mailings.create(each, "main", NOW, lambda: ids.new(NOW), None, "bulk-1") for each in both
        ]
        await stores.mailings.publish(created, "demo", confirmed=True, bulk=owed)

        async def left(now: int) -> list[int]:
            await forget_old(stores.database, now - DAY)
            told = await with_deliveries(stores.mailings, stores.asking, "demo", "bulk-1", now, is_asked=False)
            return [len(each["deliveries"]) for each in told]

        [release] = await stores.releases.due(NOW)
        await stores.releases.release(release, NOW)
        [sent] = (await stores.messages.unsettled("main", NOW, 10)).messages
        await stores.messages.settle([Settled.by(sent, Receipt(Outcome.ACCEPTED, "7"))], NOW)
        await stores.reports.apply([Report(Status.DELIVERED, NOW, id=sent.id)], "main")
        assert await left(NOW + 30 * DAY) == [1, 1, 0]
        [release] = await stores.releases.due(NOW + 40 * DAY)
        await stores.releases.release(release, NOW + 40 * DAY)
        assert (await stores.releases.tell_ended(NOW + 40 * DAY))[1] is False
        assert await left(NOW + 50 * DAY) == [1, 1, 0]
        store = CallbackStore(stores.database)
        [callback] = await store.due(Script("demo", "smsby", by_request=True), NOW + 50 * DAY, 9, [])
        await store.finish(callback, CallbackState.DONE, NOW, "HTTP 200")
        assert await left(NOW + 50 * DAY) == []

    run(engine, scenario)


def test_pages_do_not_tell_of_each_other(engine: Engine) -> None:
    async def scenario(stores: Stores) -> None:
        number, count = await stores.create(to("375291111111", "375292222222"))
        await stores.mailings.publish([(number, count)], "demo", confirmed=True)
        for each in ("m-000001", "m-000002"):
            await stores.reports.apply([Report(Status.DELIVERED, NOW, id=each)], "main")

        async def page(offset: int) -> str:
            told = await stores.asking.batch("demo", number, "viber", offset, 1, NOW) or []
            return str(told[0]["stage"])

        assert [await page(each) for each in (0, 0, 1, 1)] == ["sent", "delivered", "sent", "delivered"]
        single = await stores.asking.message("demo", number + 1, NOW) or {}
        assert single["stage"] == "delivered"

    run(engine, scenario)


def test_the_picture_of_a_mailing_stays_until_it_goes_out(engine: Engine, tmp_path: Path) -> None:
    async def scenario(stores: Stores) -> None:
        media, storage = MediaStore(stores.database), FolderStorage(tmp_path / "media")
        await media.add(Picture("P", "demo", "gif", 6), NOW)
        shown = dataclasses.replace(to("375291111111"), picture="P", due_at=NOW + 10 * HOUR)
        number, count = await stores.create(shown)
        await stores.mailings.publish([(number, count)], "demo", confirmed=False)
        assert await sweep(stores.database, storage, NOW + 8 * HOUR, HOUR) == 0
        assert await stores.mailings.confirm("demo", number, "viber")
        [release] = await stores.releases.due(NOW + 10 * HOUR)
        await stores.releases.release(release, NOW + 10 * HOUR)
        assert await sweep(stores.database, storage, NOW + 34 * HOUR, HOUR) == 0
        assert await sweep(stores.database, storage, NOW + 40 * HOUR, HOUR) == 1

    run(engine, scenario)


def test_a_client_that_was_refused_gets_nothing_later(tmp_path: Path) -> None:
    with running_sandbox() as sandbox, running_gateway(tmp_path, sandbox.url, smsby={}) as address:
        refused: dict[str, Any] = {
            "phone": "999040000009",
            "message": "Hi",
            "forwarding_message": 1,
            "vibername_id": 444,
        }
        assert call(address, "sendQuickSMS", **refused).text == '{"error":"incorrect phone number"}'
        good = call(address, "sendQuickSMS", **{**refused, "phone": "375291234567"})
        assert good.json["status"] == "NEW"
        planned = (
            "SELECT recipient, state, channel, sender, expires_at - due_at FROM messages"
            " WHERE follows IS NOT NULL ORDER BY recipient"
        )
        with open_engine(f"sqlite:///{tmp_path / 'gateway.db'}").connect() as connection:
            rows = [tuple(row) for row in connection.execute(text(planned))]
    assert rows == [
        ("375291234567", "planned", "viber", "MyViber", 24 * HOUR),
        ("999040000009", "withdrawn", "viber", "MyViber", 24 * HOUR),
    ]


def test_a_mailing_that_was_confirmed_before_a_crash_goes_out_after_it(tmp_path: Path) -> None:
    """Everything is on disk when the confirmation is answered; who lets it go out, is another process."""

    async def confirmed() -> None:
        async with opened(open_engine(f"sqlite:///{tmp_path / 'gateway.db'}")) as database:
            stores = Stores(database)
            number, count = await stores.create(to(*(f"37529{i:07d}" for i in range(3 * CHUNK))))
            await stores.mailings.publish([(number, count)], "demo", confirmed=True)
            [release] = await stores.releases.due(NOW)
            await stores.releases.release(release, NOW)

    (tmp_path / "gateway.db").parent.mkdir(exist_ok=True)
    asyncio.run(confirmed())
    with running_sandbox(limited=False) as sandbox, running_gateway(tmp_path, sandbox.url, smsby={}):
        # Those released a while ago have run out of time by now; none of the others is missing or doubled.
        eventually(lambda: sandbox.summary()["messages"] == 2 * CHUNK)
        assert sandbox.summary()["doubles"] == 0


def test_codes(engine: Engine) -> None:
    async def scenario(stores: Stores) -> None:
        codes = CodeStore(stores.database)
        late = await codes.add("demo", "375291111111", "1234", 3, NOW + 1000)
        assert await codes.confirm("demo", late, "375291111111", "1234", NOW + 1001) is None
        with pytest.raises(UnknownCode):
            await codes.confirm("other", late, "375291111111", "1234", NOW)
        some = await codes.add("demo", "375291111111", "1234", 3, NOW + 1000)
        tries = [await codes.confirm("demo", some, "375291111111", each, NOW) for each in ("1", "2", "1234", "1234")]
        assert [each.tries if each else None for each in tries] == [None, None, 3, None]

    run(engine, scenario)


def test_the_status_of_a_large_mailing_in_pages(tmp_path: Path) -> None:
    with running_sandbox(limited=False) as sandbox, running_gateway(tmp_path, sandbox.url, smsby={}) as address:
        mailing = _imported(address, 1200)
        pages = [
            result(call(address, "getSmsDeliveryList", message_id=mailing, limit_offset=offset, limit_rows=500))
            for offset in (0, 500, 1000)
        ]
        assert [len(page) for page in pages] == [500, 500, 200]
        assert len({each["phone"] for page in pages for each in page}) == 1200
        eventually(lambda: sandbox.summary()["messages"] == 1200)


def _imported(address: Address, count: int) -> int:
    number = result(call(address, "createSubscriberList", name="Large"))["list_id"]
    for first in range(0, count, 400):
        rows = {f"data[{i}][]": f"375290{first + i:06d}" for i in range(min(400, count - first))}
        call(address, "importContacts", list_id=number, **{"field_names[]": "phone"}, **rows)
    mailing: int = result(call(address, "sendSmsList", list_id=number, message="Hi"))["message_id"]
    return mailing
