"""What an account may ask for: its rate, and requests that repeat others."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select

from gateway.core.messages import Outcome, Receipt
from gateway.mapping.schema.accounts import RateSection
from gateway.settings import Address
from gateway.store.admission import Terms
from gateway.store.messages import MessageStore
from gateway.store.settled import Settled
from gateway.store.tables import messages
from tests.support.raw import answer_text, exchange, get, signed
from tests.support.servers import eventually, free_address, running_gateway, running_sandbox
from tests.support.stores import MESSAGE, message, run
from tests.test_verdicts import is_stored, stored

TOO_FAST = answer_text(-6, "BANDWIDTH LIMIT EXCEEDED")
SECOND = 1000


def send(address: Address, **parameters: Any) -> str:
    return exchange(address, get(signed(**{"phone": "380500000001", "txt": "hello", "dlr": "1", **parameters}))).text


def at(number: int, milliseconds: int, **changed: Any) -> Any:
    accepted_at = MESSAGE.accepted_at + milliseconds
    return message(number)._replace(accepted_at=accepted_at, due_at=accepted_at, **changed)


# Rate


def test_a_rate_is_kept_and_recovers(engine: Engine) -> None:
    terms = Terms(rate=RateSection(per_second=10, burst=3))

    async def scenario(store: MessageStore) -> None:
        taken = [await store.accept([at(number, 0)], "main", terms) for number in range(4)]
        assert [each is not None for each in taken] == [True, True, True, False]
        assert await store.accept([at(10, 99)], "main", terms) is None
        assert await store.accept([at(11, 100)], "main", terms) is not None
        assert await store.accept([at(12, 100)], "main", terms) is None
        assert await store.accept([at(13, 60 * SECOND)], "main", terms) is not None

    run(engine, scenario)


def test_a_large_request_passes_and_is_worked_off(engine: Engine) -> None:
    """Refused for its size it would be refused for ever; the original took it and sent it slowly."""
    terms = Terms(rate=RateSection(per_second=10, burst=1))

    async def scenario(store: MessageStore) -> None:
        assert await store.accept([at(number, 0) for number in range(100)], "main", terms) is not None
        assert await store.accept([at(200, 9_900)], "main", terms) is None
        assert await store.accept([at(201, 10_000)], "main", terms) is not None

    run(engine, scenario)


def test_each_account_has_a_rate_of_its_own(engine: Engine) -> None:
    terms = Terms(rate=RateSection(per_second=1, burst=1))

    async def scenario(store: MessageStore) -> None:
        assert await store.accept([at(1, 0)], "main", terms) is not None
        assert await store.accept([at(2, 0, account="other")], "main", terms) is not None
        assert await store.accept([at(3, 0)], "main", terms) is None

    run(engine, scenario)


def test_too_fast_is_answered_in_the_dialect_and_holds_over_a_restart(tmp_path: Path) -> None:
    rate = {"per_second": 0.01, "burst": 2}
    with running_sandbox() as sandbox:
        with running_gateway(tmp_path, sandbox.url, rate=rate) as address:
            assert [send(address) == TOO_FAST for _ in range(3)] == [False, False, True]
        with running_gateway(tmp_path, sandbox.url, rate=rate) as address:
            assert send(address) == TOO_FAST
        assert len(sandbox.received) == 2


# Repeats


def test_a_repeat_gets_the_same_id_and_is_sent_once(tmp_path: Path) -> None:
    with running_sandbox() as sandbox:
        with running_gateway(tmp_path, sandbox.url, repeats=3600) as address:
            first = send(address, p_transaction_id="order-1")
            assert send(address, p_transaction_id="order-1") == first
        with running_gateway(tmp_path, sandbox.url, repeats=3600) as address:
            assert send(address, p_transaction_id="order-1", txt="another text") == first
            assert send(address, p_transaction_id="order-2") != first
            assert send(address, p_transaction_id="order-1", phone="380500000002") != first
            assert send(address) != send(address)
        assert len(sandbox.received) == 5


def test_only_accounts_that_ask_for_it_tell_repeats(tmp_path: Path) -> None:
    with running_sandbox() as sandbox, running_gateway(tmp_path, sandbox.url) as address:
        assert send(address, p_transaction_id="order-1") != send(address, p_transaction_id="order-1")


def test_a_hundred_copies_at_once_are_one_message(tmp_path: Path) -> None:
    with running_sandbox(latency=0.1) as sandbox, running_gateway(tmp_path, sandbox.url, repeats=60) as address:
        answers: Counter[str] = Counter()
        copies = [
            threading.Thread(target=lambda: answers.update([send(address, p_transaction_id="order-1")]))
            for _ in range(100)
        ]
        for copy in copies:
            copy.start()
        for copy in copies:
            copy.join()
        assert list(answers.values()) == [100]
        assert "<code>0</code>" in next(iter(answers))
        assert len(sandbox.received) == 1


def test_a_copy_at_another_process_is_told_what_became_of_the_message(tmp_path: Path) -> None:
    """Success would be a promise, and the process that has the message takes it back when SMSBAT stays away."""
    account: dict[str, Any] = {"repeats": 600, "on_timeout": "refuse", "wait": 1.5}
    smsbat, answers = f"http://{free_address()}", list[str]()
    with contextlib.ExitStack() as stack:
        one, other = (
            stack.enter_context(running_gateway(tmp_path, smsbat, settings={"media": str(tmp_path / media)}, **account))
            for media in ("media", "other")
        )
        first = threading.Thread(target=lambda: answers.append(send(one, p_transaction_id="order-1")))
        first.start()
        eventually(lambda: is_stored(tmp_path, "380500000001"))
        answers.append(send(other, p_transaction_id="order-1"))
        first.join()
        assert answers == [answer_text(-4, "TEMPORARY ERROR")] * 2
        assert stored(tmp_path, "380500000001")[0] == "withdrawn"


def test_copies_of_a_refused_message_are_refused_alike_and_may_be_sent_again(tmp_path: Path) -> None:
    """The refusal speaks for all that waited; a message that never went out repeats nothing."""
    with running_sandbox(latency=0.1) as sandbox, running_gateway(tmp_path, sandbox.url, repeats=60) as address:
        answers: list[str] = []
        copies = [
            threading.Thread(
                target=lambda: answers.append(send(address, phone="99910000001", p_transaction_id="order-1"))
            )
            for _ in range(10)
        ]
        for copy in copies:
            copy.start()
        for copy in copies:
            copy.join()
        assert set(answers) == {answer_text(-5, "NO MORE CREDITS")}
        calls = sandbox.summary()["calls"]
        send(address, phone="99910000001", p_transaction_id="order-1")
        assert sandbox.summary()["calls"] == calls + 1


def test_the_window_ends_and_a_message_that_was_not_sent_is_no_repeat(engine: Engine) -> None:
    terms = Terms(repeats=60)

    async def scenario(store: MessageStore) -> None:
        assert await store.accept([at(1, 0)], "main", terms) == ["id-00001"]
        assert await store.accept([at(2, 59_999)], "main", terms) == ["id-00001"]
        assert await store.accept([at(3, 60_000)], "main", terms) == ["id-00003"]
        await store.settle([Settled.by(at(3, 0), Receipt(Outcome.BALANCE))], 0)
        assert await store.accept([at(4, 60_001)], "main", terms) == ["id-00004"]
        assert await store.accept([at(5, 60_002, account="other")], "main", terms) == ["id-00005"]

    run(engine, scenario)


def test_what_follows_a_repeat_is_not_stored_again(engine: Engine) -> None:
    """Nobody would tell it what became of the first message, so that it would go out in any case."""
    terms = Terms(repeats=60)

    async def scenario(store: MessageStore) -> None:
        assert await store.accept([at(1, 0)], "main", terms, [at(2, 0, follows="id-00001")]) == ["id-00001"]
        both = [at(3, 1), at(4, 1, digits="380500000009", position=1)]
        follow_ups = [at(5, 1, follows="id-00003"), at(6, 1, follows="id-00004")]
        assert await store.accept(both, "main", terms, follow_ups) == ["id-00001", "id-00004"]
        with engine.connect() as connection:
            stored = sorted(connection.scalars(select(messages.c.id)))
        assert stored == ["id-00001", "id-00002", "id-00004", "id-00006"]

    run(engine, scenario)


def test_a_thousand_phones_of_which_some_repeat(engine: Engine) -> None:
    terms = Terms(repeats=60)

    async def scenario(store: MessageStore) -> None:
        def batch(start: int, first_phone: int) -> list[Any]:
            return [at(start + i, 0, digits=str(380500000000 + first_phone + i), position=i) for i in range(1000)]

        first = await store.accept(batch(0, 0), "main", terms)
        second = await store.accept(batch(1000, 500), "main", terms)
        assert first is not None
        assert second is not None
        assert second[:500] == first[500:]
        assert second[500:] == [f"id-{number:05d}" for number in range(1500, 2000)]

    run(engine, scenario)


def test_repeats_do_not_count_against_the_rate(engine: Engine) -> None:
    terms = Terms(rate=RateSection(per_second=1, burst=1), repeats=60)

    async def scenario(store: MessageStore) -> None:
        assert await store.accept([at(1, 0)], "main", terms) == ["id-00001"]
        assert await store.accept([at(2, 0)], "main", terms) == ["id-00001"]

    run(engine, scenario)


def test_a_copy_of_a_held_message_is_accepted(tmp_path: Path) -> None:
    with running_sandbox() as sandbox, running_gateway(tmp_path, sandbox.url, repeats=60) as address:
        held = {"p_transaction_id": "order-1", "delay": "5"}
        assert send(address, **held) == send(address, **held)
        assert sandbox.received == []


def test_copies_of_a_withdrawn_message_are_all_refused(tmp_path: Path) -> None:
    """Told success, their clients would not send again what never went out.

    They wait until the gateway seldom tries: while it does, a message may be out, and is not taken back.
    """
    options: dict[str, Any] = {"repeats": 60, "on_timeout": "refuse", "wait": 4.0}
    with running_gateway(tmp_path, f"http://{free_address()}", **options) as address:
        answers: list[str] = []
        copies = [
            threading.Thread(target=lambda: answers.append(send(address, p_transaction_id="order-1")))
            for _ in range(20)
        ]
        for copy in copies:
            copy.start()
            threading.Event().wait(0.002)
        for copy in copies:
            copy.join()
        assert Counter(answers) == {answer_text(-4, "TEMPORARY ERROR"): 20}


def test_one_repeated_phone_does_not_hide_that_the_others_were_withdrawn(tmp_path: Path) -> None:
    smsbat = free_address()
    options: dict[str, Any] = {"repeats": 600, "on_timeout": "refuse", "wait": 0.4}
    with running_gateway(tmp_path, f"http://{smsbat}", **options) as address:
        with running_sandbox(smsbat) as sandbox:
            eventually(lambda: "<code>0</code>" in send(address, p_transaction_id="campaign"))
            assert len(sandbox.received) == 1
        phones = ["380500000002", "380500000003", "380500000001"]
        assert send(address, phone=phones, p_transaction_id="campaign") == answer_text(-4, "TEMPORARY ERROR")


def test_one_phone_twice_in_a_request_is_two_messages_and_channels_differ(tmp_path: Path) -> None:
    with running_sandbox() as sandbox, running_gateway(tmp_path, sandbox.url, repeats=60) as address:
        twice: dict[str, Any] = {"phone": ["380500000001"] * 2, "p_transaction_id": "order-1"}
        first = send(address, **twice)
        assert send(address, **twice) == first
        assert len(sandbox.received) == 2
        send(address, p_transaction_id="order-1", sending_method="viber")
        assert len(sandbox.received) == 3


def test_a_clock_that_was_set_back_and_a_rate_that_was_raised(engine: Engine) -> None:
    slow, quick = (Terms(rate=RateSection(per_second=rate, burst=1)) for rate in (0.001, 10))

    async def scenario(store: MessageStore) -> None:
        assert await store.accept([at(1, 3600 * SECOND)], "main", slow) is not None
        assert await store.accept([at(2, 0)], "main", slow) is None
        assert await store.accept([at(3, 3600 * SECOND + 100)], "main", quick) is not None
        assert await store.accept([at(4, 0)], "main", quick) is None
        assert await store.accept([at(5, 3600 * SECOND + 200)], "main", quick) is not None

    run(engine, scenario)
