"""Which replica is asked what: shares, shared prefixes, deaths. Simulated replicas, no Ray."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ochat_eval.engines.dispatch import STRIKES, Dispatch
from ochat_eval.records import Message, Request, Sampling


def request(index: int, prefix: str = "", turn: int = 0) -> Request:
    text = f"{prefix:256}{index}" if prefix else f"{index:>8} alone"
    return Request(f"t/m/{index}", 0, turn, (Message("user", text),), None, Sampling())


def answer(dispatch: Dispatch, replica: int, taken: list[Request]) -> None:
    for one in taken:
        dispatch.done(replica, one.key)


def test_what_is_known_is_shared_out_before_any_replica_is_filled():
    dispatch = Dispatch()
    for index in range(40):
        dispatch.add(request(index))
    for replica in range(3):
        dispatch.open(replica, capacity=256)
    assert [len(dispatch.take(replica)) for replica in range(3)] == [14, 14, 12]
    assert [dispatch.held(replica) for replica in range(3)] == [14, 14, 12]
    assert dispatch.take(0) == []


def test_no_replica_holds_more_than_it_can():
    dispatch = Dispatch()
    for index in range(1000):
        dispatch.add(request(index))
    dispatch.open(0, capacity=5)
    dispatch.open(1, capacity=7)
    assert dispatch.capacity == 12
    assert (len(dispatch.take(0)), len(dispatch.take(1))) == (5, 7)


def test_prompts_that_begin_alike_go_to_one_replica_and_none_is_left_without_work():
    """Eight subjects of 100 prompts, four replicas: a subject is seen by few of them."""
    dispatch = Dispatch()
    for index in range(800):
        dispatch.add(request(index, prefix=f"subject {index // 100}"))
    for replica in range(4):
        dispatch.open(replica, capacity=10)
    seen: dict[int, set[int]] = {subject: set() for subject in range(8)}
    asked: Counter[int] = Counter()
    while any(taken := [dispatch.take(replica) for replica in range(4)]):
        for replica, batch in enumerate(taken):
            asked[replica] += len(batch)
            for one in batch:
                seen[int(one.id.split("/")[2]) // 100].add(replica)
            answer(dispatch, replica, batch)
    assert set(asked.values()) == {200}
    assert sum(map(len, seen.values())) <= 10, "one each, and what the end of the run shares out"


def test_one_prefix_for_all_is_shared_by_all():
    dispatch = Dispatch()
    for index in range(100):
        dispatch.add(request(index, prefix="the same eight examples"))
    dispatch.open(0, 30)
    dispatch.open(1, 30)
    assert (len(dispatch.take(0)), len(dispatch.take(1))) == (30, 30)


def test_a_second_turn_goes_where_the_first_was_answered():
    dispatch = Dispatch()
    dispatch.open(0, 4)
    dispatch.open(1, 4)
    where = {}
    for index in range(8):
        dispatch.add(request(index))
    for replica in (0, 1):
        for one in dispatch.take(replica):
            where[one.id] = replica
            dispatch.done(replica, one.key)
            dispatch.add(request(int(one.id.split("/")[2]), turn=1))
    second = {one.id: replica for replica in (0, 1) for one in dispatch.take(replica)}
    assert second == where


def test_a_dead_replicas_requests_are_asked_again_a_few_at_a_time():
    dispatch = Dispatch()
    for index in range(100):
        dispatch.add(request(index))
    dispatch.open(0, 16)
    dispatch.open(1, 16)
    lost = {one.key for one in dispatch.take(0)}
    assert dispatch.lost(0) == (16, [])
    assert dispatch.replicas == [1]
    again = [one.key for one in dispatch.take(1)]
    assert len(again) == 16
    assert len(lost & set(again)) == 2, "an eighth: should one of them kill, few are suspected"


def run(replicas: int, capacity: int, count: int, poison: set[int], seed: int) -> Counter:
    """A run in which a poisoned request kills whoever works on it; replicas start anew.

    Returns how often each request came to an end.
    """
    rng, dispatch, ended = random.Random(seed), Dispatch(), Counter()
    deaths: Counter[str] = Counter()
    waiting = [request(i, prefix=f"p{i // 7}") for i in range(count)]
    held: dict[int, list[Request]] = {r: [] for r in range(replicas)}
    for replica in range(replicas):
        dispatch.open(replica, capacity)
    while sum(ended.values()) < count:
        for one in waiting[:5]:
            dispatch.add(one)
        waiting = waiting[5:]
        replica = rng.randrange(replicas)
        held[replica] += dispatch.take(replica)
        assert len(held[replica]) == dispatch.held(replica) <= capacity
        if not held[replica]:
            continue
        one = held[replica].pop(rng.randrange(len(held[replica])))
        if int(one.id.split("/")[2]) not in poison:
            dispatch.done(replica, one.key)
            ended[one.id] += 1
            continue
        deaths[one.id] += 1
        count_lost, aside = dispatch.lost(replica)
        assert count_lost == len(held[replica]) + 1
        for gone in aside:
            assert deaths[gone.id], "what never killed anyone is never set aside"
            ended[gone.id] += 1
        held[replica] = []
        dispatch.open(replica, capacity)
    assert all(1 <= deaths[f"t/m/{i}"] <= STRIKES for i in poison)
    return ended


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 5), st.integers(1, 40), st.integers(1, 300), st.sets(st.integers(0, 299), max_size=4),
    st.integers(0, 9999),
)  # fmt: skip
def test_each_request_ends_once_and_only_the_guilty_are_set_aside(
    replicas, capacity, count, poison, seed
):
    ended = run(replicas, capacity, count, {p for p in poison if p < count}, seed)
    assert ended == Counter({f"t/m/{i}": 1 for i in range(count)})


@pytest.mark.slow
@pytest.mark.parametrize("shared", [True, False])
def test_cost_does_not_grow_with_what_waits(shared):
    """Counted, not timed: every request is looked at a bounded number of times."""
    dispatch, looked = Dispatch(), 0

    class Counting(dict):  # the groups in their order
        def __iter__(self):
            nonlocal looked
            for one in super().__iter__():
                looked += 1
                yield one

    dispatch._groups = Counting()
    dispatch.open(0, 50)
    dispatch.open(1, 50)
    for index in range(20_000):
        dispatch.add(request(index, prefix=f"p{index // 50}" if shared else ""))
    done = 0
    while done < 20_000:
        for replica in (0, 1):
            batch = dispatch.take(replica)
            done += len(batch)
            answer(dispatch, replica, batch)
    assert looked <= 64 * 20_000
