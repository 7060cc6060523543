"""A proportion over strata: Wilson's interval where there is one, and what it covers where two."""

from __future__ import annotations

import itertools

import pytest
from scipy.stats import binom

from ochat_eval import stats


@pytest.mark.parametrize(("c", "n"), [(0, 5), (3, 10), (7, 7), (150, 1000)])
def test_one_stratum_is_wilson(c, n):
    rate, low, high = stats.stratified_wilson([(1.0, c, n)])
    assert rate == c / n
    assert (low, high) == pytest.approx(stats.wilson(c, n))


def test_the_rate_is_weighted_and_a_small_stratum_says_little():
    rate, low, high = stats.stratified_wilson([(0.9, 0, 50), (0.1, 10, 20)])
    assert rate == pytest.approx(0.05)
    # By hand: √((0.9·0)² + (0.1·(0.5−l))²) below, √((0.9·u₀)² + (0.1·(u−0.5))²) above.
    l1, u1 = stats.wilson(10, 20)
    _, u0 = stats.wilson(0, 50)
    assert low == pytest.approx(0.05 - 0.1 * (0.5 - l1))
    assert high == pytest.approx(0.05 + ((0.9 * u0) ** 2 + (0.1 * (u1 - 0.5)) ** 2) ** 0.5)


@pytest.mark.parametrize(
    ("p", "weights", "sizes"),
    [((0.02, 0.5), (0.9, 0.1), (40, 20)), ((0.1, 0.3), (0.5, 0.5), (15, 30)),
     ((0.01, 0.2), (0.95, 0.05), (60, 15))],
)  # fmt: skip
def test_it_covers_by_exact_enumeration(p, weights, sizes):
    truth = sum(w * q for w, q in zip(weights, p, strict=True))
    covered = 0.0
    for counts in itertools.product(*(range(n + 1) for n in sizes)):
        strata = list(zip(weights, counts, sizes, strict=True))
        _, low, high = stats.stratified_wilson(strata)
        if low <= truth <= high:
            chances = [binom.pmf(c, n, q) for c, n, q in zip(counts, sizes, p, strict=True)]
            covered += chances[0] * chances[1]
    assert covered > 0.93


@pytest.mark.parametrize("strata", [[], [(0.5, 1, 2)], [(0.5, 1, 2), (0.5, 1, 0)], [(1.0, 3, 2)]])
def test_what_cannot_be_is_refused(strata):
    with pytest.raises(ValueError):
        stats.stratified_wilson(strata)
