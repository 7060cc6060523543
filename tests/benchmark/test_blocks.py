"""Nested stratified random blocks: every beginning of a run is a fair sample of it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from ochat_eval.benchmark.blocks import blocks

SUBJECTS = [(subject, f"{subject}/{i}") for subject, n in (("a", 300), ("b", 90), ("c", 10))
            for i in range(n)]  # fmt: skip


def test_every_beginning_has_its_share_of_each_stratum():
    found = blocks(SUBJECTS, "0", 20)
    assert [len(block) for block in found] == [20] * 20
    assert sorted(place for block in found for place in block) == list(range(400))
    seen: Counter[str] = Counter()
    for number, block in enumerate(found, 1):
        assert list(block) == sorted(block), "within a block items of one subject follow each other"
        seen.update(SUBJECTS[place][0] for place in block)
        for subject, n in ("a", 300), ("b", 90), ("c", 10):
            assert abs(seen[subject] - n * number / 20) <= 2


def test_each_item_is_as_likely_in_the_first_block():
    first = np.zeros(400)
    for seed in range(400):
        first[list(blocks(SUBJECTS, str(seed), 20)[0])] += 1
    # Binomial(400, 1/20): the furthest of 400 lies within 5 standard deviations.
    assert abs(first - 20).max() < 5 * 4.36


def test_clusters_stay_whole_and_the_same_seed_gives_the_same():
    units = [("", str(i // 7)) for i in range(100)]
    found = blocks(units, "s", 5)
    assert found == blocks(iter(units), "s", 5) != blocks(units, "t", 5)
    homes = [{units[place][1] for place in block} for block in found]
    assert sum(map(len, homes)) == len(set.union(*homes)) == 15


@pytest.mark.parametrize(
    ("units", "sizes"),
    [([], []), ([("", "a")], [1]), ([("", "a")] * 9, [9]), ([("", "a"), ("x", "b")], [1, 1])],
)
def test_few_clusters_make_few_blocks(units, sizes):
    assert [len(block) for block in blocks(units, "", 20)] == sizes


def test_a_large_cluster_is_no_reason_for_small_blocks_after_it():
    units = [("", "large")] * 60 + [("", str(i)) for i in range(40)]
    *rest, last = blocks(units, "", 10)
    assert len(last) <= 10 and all(len(block) >= 10 for block in rest)
