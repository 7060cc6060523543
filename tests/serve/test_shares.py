"""Fair shares, exactly: a fake engine behind the gate."""

from __future__ import annotations

import asyncio
from collections import Counter

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ochat_eval.serve.refusal import Refused
from ochat_eval.serve.shares import Shares
from tests.serve.gate import CHAT, Engine, client, gate, settle


async def ask(app, who: str, n: int = 1, key: str | None = None, **options) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with client(app, who, **options) as c:
        return await c.post(CHAT, json={"n": n, "user": who}, headers=headers)


def begin(app, who: str, count: int, n: int = 1, key: str | None = None) -> list[asyncio.Task]:
    return [asyncio.create_task(ask(app, who, n, key)) for _ in range(count)]


def test_a_client_has_its_bound_and_the_rest_is_for_the_others():
    async def play() -> None:
        engine = Engine()
        app = gate(engine, shares=(8, 6, 100))
        greedy = begin(app, "10.0.0.1", 50)
        await settle()
        assert engine.begun == ["10.0.0.1"] * 6, "6 of 8 places; 44 wait"
        others = begin(app, "10.0.0.2", 1) + begin(app, "10.0.0.3", 3)
        await settle()
        assert engine.begun[6:] == ["10.0.0.2", "10.0.0.3"]
        engine.free.release()
        await settle()
        assert engine.begun[8:] == ["10.0.0.3"], "it has fewer in flight than the greedy one"
        for _ in range(100):
            engine.free.release()
        answers = await asyncio.gather(*greedy, *others)
        assert {a.status_code for a in answers} == {200} and len(engine.begun) == 54

    asyncio.run(play())


def test_answers_count_not_requests():
    async def play() -> None:
        engine = Engine()
        app = gate(engine, shares=(8, 6, 100))
        many = begin(app, "10.0.0.1", 4, n=4)
        await settle()
        few = begin(app, "10.0.0.2", 5)
        await settle()
        assert Counter(engine.begun) == {"10.0.0.1": 1, "10.0.0.2": 4}
        large = begin(app, "10.0.0.3", 1, n=7)
        await settle()
        engine.free.release()  # the first: 4 of 8 are free, and the large one does not fit
        await settle()
        assert len(engine.begun) == 5, "nobody passes the one whose turn it is"
        for _ in range(4):
            engine.free.release()
        await settle()
        assert engine.begun[5:][0] == "10.0.0.3"
        for _ in range(100):
            engine.free.release()
        assert {a.status_code for a in await asyncio.gather(*many, *few, *large)} == {200}

    asyncio.run(play())


def test_one_that_is_larger_than_a_bound_goes_alone():
    async def play() -> None:
        engine = Engine()
        app = gate(engine, shares=(4, 2, 9))
        first = begin(app, "10.0.0.1", 1, n=16)
        await settle()
        second = begin(app, "10.0.0.2", 1)
        await settle()
        assert engine.begun == ["10.0.0.1"]
        engine.free.release()
        await settle()
        assert engine.begun == ["10.0.0.1", "10.0.0.2"]
        engine.free.release()
        await asyncio.gather(*first, *second)

    asyncio.run(play())


def test_too_many_that_wait_are_a_429_for_their_client_only():
    async def play() -> None:
        engine = Engine()
        app = gate(engine, shares=(8, 2, 3))
        flood = begin(app, "10.0.0.1", 20)
        await settle()
        done = [task.result() for task in flood if task.done()]
        assert len(done) == 15, "2 in flight, 3 wait"
        assert {a.status_code for a in done} == {429}
        assert all(int(a.headers["retry-after"]) >= 1 for a in done)
        error = done[0].json()["error"]
        assert error["code"] == 429 and "max_client_waiting" in error["message"]
        other = begin(app, "10.0.0.2", 1)
        await settle()
        assert engine.begun[-1] == "10.0.0.2"
        for _ in range(20):
            engine.free.release()
        rest = await asyncio.gather(*flood, *other)
        assert Counter(a.status_code for a in rest) == {200: 6, 429: 15}
        assert (await ask(app, "10.0.0.1")).status_code == 200, "it may come again"

    asyncio.run(play())


def test_a_key_is_a_client_wherever_it_asks_from():
    async def play() -> None:
        engine = Engine()
        app = gate(engine, keys=["a", "b"], shares=(8, 2, 100))
        tasks = begin(app, "10.0.0.1", 3, key="a") + begin(app, "10.0.0.2", 3, key="a")
        await settle()
        assert len(engine.begun) == 2
        tasks += begin(app, "10.0.0.1", 3, key="b")
        await settle()
        assert len(engine.begun) == 4
        for _ in range(20):
            engine.free.release()
        assert {a.status_code for a in await asyncio.gather(*tasks)} == {200}
        assert (await ask(app, "10.0.0.1", key="c")).status_code == 401

    asyncio.run(play())


def test_whoever_goes_while_it_waits_gives_its_place_back():
    async def play() -> None:
        engine = Engine()
        app = gate(engine, shares=(1, 1, 2))
        running = begin(app, "10.0.0.1", 1)
        await settle()
        messages = [{"type": "http.request", "body": b"{}"}, {"type": "http.disconnect"}]
        sent: list[dict] = []

        async def receive() -> dict:
            return messages.pop(0)

        async def send(message: dict) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": CHAT, "headers": [], "client": ("x", 1)}
        for _ in range(5):
            messages[:] = [
                {"type": "http.request", "body": b"{}"},
                {"type": "http.disconnect"},
            ]
            await app(scope, receive, send)
        assert sent == [] and len(engine.begun) == 1
        assert app._shares.waiting == 0 and app._shares.in_flight == 1
        engine.free.release()
        await asyncio.gather(*running)
        assert app._shares._clients == {}

    asyncio.run(play())


def test_the_addresses_of_one_network_are_one_client():
    shares = Shares(9, 0, 1)
    shares.enter("2001:db8:1:2::1")
    with pytest.raises(Refused):
        shares.enter("2001:db8:1:2:ffff::2")
    shares.enter("2001:db8:1:3::1")
    shares.enter("::ffff:10.0.0.1")
    with pytest.raises(Refused):
        shares.enter("10.0.0.1")


@given(
    asked=st.lists(st.tuples(st.sampled_from("abcde"), st.integers(1, 12)), max_size=60),
    order=st.randoms(use_true_random=False),
)
def test_whatever_is_asked_the_bounds_hold_and_all_come(asked, order):
    async def play() -> None:
        shares = Shares(8, 5, 100)
        entered = [(shares.enter(who), n) for who, n in asked]
        here = []  # those that have asked and not left
        while entered or here:
            running = [place for place in here if place.runs]
            assert running or not here, "nobody runs"
            assert shares.in_flight == sum(p.choices for p in running)
            assert shares.in_flight <= 8 or len(running) == 1
            for who in "abcde":
                own = [p.choices for p in running if p.client == who]
                assert sum(own) <= 5 or len(own) == 1
            if entered and (not here or order.random() < 0.6):
                place, n = entered.pop()
                shares.ask(place, n)
                here.append(place)
            else:  # one goes: as a rule when it is answered, some before their turn
                going = order.choice(here if order.random() < 0.2 else running)
                here.remove(going)
                shares.leave(going)
        assert shares._clients == {} and shares.in_flight == shares.waiting == 0

    asyncio.run(play())
