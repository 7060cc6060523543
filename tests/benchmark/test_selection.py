"""What every benchmark gets: the count check, subsets, the seeded, stratified and nested limit."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from ochat_eval.benchmark.selection import Selection
from ochat_eval.benchmark.task import Task, make_item
from ochat_eval.records import Item, UserError


@dataclass(frozen=True, kw_only=True)
class Letters(Task):
    sizes: tuple[int, ...] = (60, 30, 10)

    def expected_items(self) -> int | None:
        return 100

    def items(self) -> Iterator[Item]:
        for subset, size in zip("abc", self.sizes, strict=True):
            for index in range(size):
                yield make_item(self, subset, index, f"{subset}{index}?", "yes")


def chosen(seed: int = 0, **options: object) -> list[Item]:
    selection = Selection(Letters(name="letters", **options), seed)
    items = list(selection)
    assert selection.total == 100
    return items


def test_all_items_in_source_order():
    assert [i.id for i in chosen()][58:62] == [
        f"letters/{x}" for x in ("a/58", "a/59", "b/0", "b/1")
    ]


def test_another_number_of_rows_is_an_error():
    with pytest.raises(UserError, match="yields 99 items where the benchmark has 100"):
        chosen(sizes=(60, 30, 9))


@pytest.mark.parametrize("limit", [10, 20, 50])
def test_each_subset_gets_its_share(limit):
    counts = Counter(i.subset for i in chosen(limit=limit))
    assert counts == {"a": 0.6 * limit, "b": 0.3 * limit, "c": 0.1 * limit}


def test_the_sample_is_seeded_and_keeps_the_order():
    first, again, other = chosen(limit=20), chosen(limit=20), chosen(limit=20, seed=1)
    assert first == again != other
    assert first == [i for i in chosen() if i in first]


def test_every_item_has_the_same_chance():
    drawn = Counter(i.id for seed in range(600) for i in chosen(limit=7, seed=seed))
    assert sum(drawn.values()) == 7 * 600
    mean, sd = 42, (600 * 0.07 * 0.93) ** 0.5
    assert len(drawn) == 100
    assert all(abs(count - mean) < 5 * sd for count in drawn.values())


@pytest.mark.parametrize("sizes", [(60, 30, 10), (98, 1, 1), (41, 37, 22), (100, 0, 0)])
def test_a_smaller_sample_is_part_of_every_larger_one_and_both_have_their_shares(sizes):
    before: set[str] = set()
    for limit in range(1, 101):
        items = chosen(sizes=sizes, limit=limit)
        ids = {i.id for i in items}
        assert before < ids and len(items) == len(ids) == limit
        counts = Counter(i.subset for i in items)
        assert all(
            abs(counts[x] - limit * n / 100) < 2 for x, n in zip("abc", sizes, strict=True)
        ), (limit, counts)
        before = ids


def test_a_limit_above_the_size_takes_all():
    assert len(chosen(limit=1000)) == 100


@pytest.mark.parametrize(
    "options",
    [
        {"limit": 0},
        {"limit": -3},
        {"n": 0},
        {"max_tokens": 0},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"subsets": []},
    ],
)
def test_an_option_that_nothing_can_be_asked_with_is_refused(options):
    [name] = options
    with pytest.raises(UserError, match=f"letters: {name} is "):
        chosen(**options)


def test_subsets():
    assert {i.subset for i in chosen(subsets=["c", "a"])} == {"a", "c"}
    with pytest.raises(UserError, match=r"no subset 'd'; it has a, b, c"):
        chosen(subsets=["d"])
