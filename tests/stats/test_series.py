"""A series of runs: pairs, the best, the slope. How often they are right: docs/claims.py."""

from __future__ import annotations

import numpy as np
import pytest

from ochat_eval import stats


def drawn(count: int, n: int, seed: int = 0, shift: float = 0.0) -> list[list[float]]:
    rng = np.random.default_rng(seed)
    same = rng.random(n)
    runs = [np.where(rng.random(n) < 0.2, rng.random(n), same) for _ in range(count)]
    return [(run < 0.5 + shift * k).astype(float).tolist() for k, run in enumerate(runs)]


def test_pairs_are_those_of_paired_with_holm_over_all():
    runs = drawn(4, 300, shift=0.05)
    pairs = stats.all_pairs(runs, scale=100)
    assert [(p.a, p.b) for p in pairs] == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert pairs[4].difference == stats.paired(runs[1], runs[3], scale=100)
    assert pairs[4].test == stats.paired_test(runs[1], runs[3])
    assert [p.p_holm for p in pairs] == stats.holm([p.test.p for p in pairs])


def test_a_run_is_out_where_another_is_better_by_the_one_sided_test():
    """8 gains without a loss against each of two: p = 2 · 2⁻⁸, which is (3 − 1)/2 of 2 · 2⁻⁸."""
    worst, better = [0.0] * 8 + [1.0] * 12, [1.0] * 20
    found = stats.best(stats.all_pairs([worst, better, better]))
    assert (found.place, found.among) == (1, (1, 2))
    assert found.p == (2 * 2**-8, 1.0, 1.0)
    assert stats.best(stats.all_pairs([worst, better, better]), alpha=0.001).among == (0, 1, 2)


def test_ratings_and_clusters_go_through_their_own_tests():
    rng = np.random.default_rng(1)
    first = rng.integers(3, 9, 60).astype(float)
    runs = [first.tolist(), (first + rng.integers(0, 2, 60)).tolist()]
    clusters = [i // 2 for i in range(60)]
    (pair,) = stats.all_pairs(runs, clusters, bounds=(1, 10))
    assert pair.test.name == "t" and pair.p_holm == pair.test.p
    assert pair.difference == stats.paired(*runs, clusters, bounds=(1, 10))
    assert stats.best([pair]).among == (1,)


def test_the_slope_of_two_runs_is_their_difference_over_the_distance():
    runs = drawn(2, 40, shift=0.1)
    found, whole = stats.slope(runs, [500, 700], scale=100), stats.paired(*runs, scale=100)
    for name in ("score", "stderr", "lo", "hi"):
        assert getattr(found, name) == pytest.approx(getattr(whole, name) / 200)


def test_the_slope_is_that_of_least_squares_and_its_error_that_of_the_items_slopes():
    runs, at = drawn(5, 400, shift=0.03), [1.0, 2.0, 4.0, 8.0, 9.0]
    found = stats.slope(runs, at)
    assert found.score == pytest.approx(np.polyfit(at, np.mean(runs, axis=1), 1)[0])
    own = np.polyfit(at, np.array(runs), 1)[0]
    assert found.stderr == pytest.approx(own.std(ddof=1) / 20, rel=0.02)  # Bonett & Price's is near


def test_runs_that_agree_on_every_item_are_not_known_to_stand_still():
    found = stats.slope([[1.0] * 25] * 3, [0, 1, 2])
    assert found.score == 0 and found.lo == -found.hi
    assert found.hi == pytest.approx(stats.paired([1.0] * 25, [1.0] * 25).hi / 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stats.all_pairs([[1.0]]), "1 run"),
        (lambda: stats.slope([[1.0], [0.0]], [3, 3]), "all runs stand at 3"),
        (lambda: stats.slope([[1.0], [0.0]], [1, 2, 3]), "2 runs but 3 weights"),
        (lambda: stats.slope([[1.0, 1.0], [0.0]], [1, 2]), "belong together"),
        (lambda: stats.contrast([[1.0], [0.0]], [1, 1]), "add up to 0"),
        (lambda: stats.contrast([[1.0], [0.0]], [0, 0]), "add up to 0"),
        (lambda: stats.best([]), "0 pairs"),
        (lambda: stats.best(stats.all_pairs(drawn(3, 9))[1:]), "2 pairs"),
        (lambda: stats.best(stats.all_pairs(drawn(2, 9)), alpha=0), "alpha is 0"),
    ],
)
def test_what_is_no_series_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
