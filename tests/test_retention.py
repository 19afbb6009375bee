"""Old rows go; what is still owed to anyone stays."""

from __future__ import annotations

import asyncio
import os

from sqlalchemy import Engine, select

from gateway.core.ids import MessageIds, first_id_at
from gateway.core.lifecycle import Reply, Report, Status
from gateway.core.messages import Message, Outcome, Receipt
from gateway.mapping.callbacks import Facts
from gateway.store.admission import Terms
from gateway.store.callbacks import CallbackState, CallbackStore, Script, callback_row, insert_callbacks
from gateway.store.database import opened
from gateway.store.forgetting import forget_old
from gateway.store.messages import MessageStore
from gateway.store.reports import ReportStore
from gateway.store.settled import Settled
from gateway.store.tables import callbacks, messages, replies
from tests.support.stores import MESSAGE, NOW

DAY = 86_400_000


def test_ids_tell_when_they_were_made() -> None:
    for at in (0, 1, NOW, NOW + 1):
        assert MessageIds(os.urandom).new(at) >= first_id_at(at)
        assert MessageIds(os.urandom).new(at) < first_id_at(at + 1)


def test_what_is_owed_stays(engine: Engine) -> None:
    ids = MessageIds(os.urandom)
    made = {name: ids.new(NOW) for name in ("over", "unsettled", "asked", "owed", "followed", "follower")}
    new = ids.new(NOW + 10 * DAY)

    async def scenario() -> None:
        async with opened(engine) as database:
            store, reports = MessageStore(database), ReportStore(database, {})
            sent = {name: MESSAGE._replace(id=each) for name, each in made.items()}
            follower = sent["follower"]._replace(follows=made["followed"], due_at=NOW + 20 * DAY)
            whole = [each for name, each in sent.items() if name != "follower"]
            await store.accept([*whole, MESSAGE._replace(id=new)], "main", follow_ups=[follower])
            settled = [sent[name] for name in ("over", "owed", "followed")]
            accepted = Receipt(Outcome.ACCEPTED, "7")
            await store.settle([Settled.by(each, accepted) for each in settled], NOW)
            await store.settle([Settled.by(sent["asked"], accepted, NOW + DAY, NOW + 2 * DAY)], NOW)
            await reports.apply([Report(Status.DELIVERED, NOW, id=made["over"])], "main")
            await reports.reply(Reply("r", "Shop", MESSAGE.digits, "Hi", None, NOW, made["over"]), "main", "shop")
            await reports.reply(Reply("s", "Shop", MESSAGE.digits, "Hi", None, NOW + 9 * DAY, new), "main", "shop")
            owed = callback_row(Facts("delivery", made["owed"]), "shop", "messagio", NOW)
            done = {**callback_row(Facts("delivery", made["over"]), "shop", "messagio", NOW), "state": "done"}
            await database.writer.run(lambda connection: insert_callbacks(connection, [owed, done]))

            assert await forget_old(database, NOW + DAY) == 1
            with engine.connect() as connection:
                left = set(connection.scalars(select(messages.c.id)))
                assert list(connection.scalars(select(replies.c.id))) == ["s"]
                assert list(connection.scalars(select(callbacks.c.message))) == [made["owed"]]
            assert left == {new, *made.values()} - {made["over"]}
            assert await forget_old(database, NOW + DAY) == 0

            store_of_callbacks = CallbackStore(database)
            [callback] = await store_of_callbacks.due(Script("shop", "messagio"), NOW, 9, [])
            await store_of_callbacks.finish(callback, CallbackState.DONE, NOW, "HTTP 200")
            assert await forget_old(database, NOW + DAY) == 1

    asyncio.run(scenario())


def test_many_go_in_small_batches(engine: Engine) -> None:
    async def scenario() -> None:
        async with opened(engine) as database:
            store = MessageStore(database)
            ids = MessageIds(os.urandom)
            many = [MESSAGE._replace(id=ids.new(NOW)) for _ in range(1600)]
            await store.accept(many, "main")
            await store.settle([Settled.by(each, Receipt(Outcome.BALANCE)) for each in many[:-1]], NOW)
            assert await forget_old(database, NOW + DAY) == 1599

    asyncio.run(scenario())


def test_a_repeat_is_known_as_long_as_its_window_lasts(engine: Engine) -> None:
    """Although nothing else is left of the message. One that was not sent may still be sent."""
    ids, terms = MessageIds(os.urandom), Terms(repeats=300 * 86_400)

    def asked_for(at: int, reference: str) -> Message:
        return MESSAGE._replace(id=ids.new(at), reference=reference, accepted_at=at, due_at=at)

    async def scenario() -> None:
        async with opened(engine) as database:
            store = MessageStore(database)
            sent, refused = asked_for(NOW, "sent"), asked_for(NOW, "refused")
            for each, outcome in ((sent, Outcome.ACCEPTED), (refused, Outcome.BALANCE)):
                await store.accept([each], "main", terms)
                await store.settle([Settled.by(each, Receipt(outcome, "7"))], NOW)
            assert await forget_old(database, NOW + DAY) == 2
            assert await store.accept([asked_for(NOW + 2 * DAY, "sent")], "main", terms) == [sent.id]
            again = asked_for(NOW + 2 * DAY, "refused")
            assert await store.accept([again], "main", terms) == [again.id]
            late = asked_for(NOW + 300 * DAY, "sent")
            assert await store.accept([late], "main", terms) == [late.id]

    asyncio.run(scenario())
