"""Whether the intervals hold what they promise, by simulation: 95 % of them hold the truth.

The expected share is checked within four standard errors of the simulation, and a formula that
leaves out clusters or strata, or adds errors in another way, is shown to fail the same check.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom

from ochat_eval import stats

pytestmark = pytest.mark.slow
ROUNDS = 1500


def held(draw, truth: float, confidence: float = 0.95) -> float:
    """The share of the rounds whose interval holds the truth."""
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(ROUNDS):
        lo, hi = draw(rng)
        hits += lo <= truth <= hi
    return hits / ROUNDS


def allowed(share: float, low: float = 0.95, high: float = 0.95) -> bool:
    """Whether the share can come from coverage between low and high."""
    slack = 4 * math.sqrt(0.95 * 0.05 / ROUNDS)
    return low - slack <= share <= high + slack


def clustered_strata(rng: np.random.Generator, sizes=((30, 4), (25, 6), (20, 3))):
    """0/1 verdicts of passages in three strata of other difficulty; passages move together."""
    values, clusters, strata = [], [], []
    for h, (count, size) in enumerate(sizes):
        for c in range(count):
            p = rng.beta(*((4, 2), (2, 2), (2, 4))[h])
            values += list((rng.random(size) < p).astype(float))
            clusters += [f"{h}/{c}"] * size
            strata += [h] * size
    return values, clusters, strata


TRUTH = (120 * 4 / 6 + 150 * 2 / 4 + 60 * 2 / 6) / 330


def test_clusters_and_strata_together_cover_and_the_plain_error_does_not():
    def both(rng):
        values, clusters, strata = clustered_strata(rng)
        return stats.interval(values, clusters, strata=strata)

    def plain(rng):
        return stats.interval(clustered_strata(rng)[0])

    # CR1 with 75 clusters: a little below 95 % is known and allowed for.
    assert allowed(held(both, TRUTH), low=0.93)
    assert held(plain, TRUTH) < 0.90


def test_clusters_and_strata_together_are_the_spread_over_redrawn_passages():
    rng = np.random.default_rng(3)
    drawn = [clustered_strata(rng) for _ in range(ROUNDS)]
    spread = float(np.std([np.mean(values) for values, _, _ in drawn], ddof=1))
    errors = [stats.stratified_stderr(v, strata=s, clusters=c) for v, c, s in drawn]
    assert math.sqrt(np.mean(np.square(errors))) == pytest.approx(spread, rel=0.06)
    alone = [stats.clustered_stderr(v, c) for v, c, _ in drawn]
    assert np.mean(np.square(alone)) > 1.08 * np.mean(np.square(errors))  # what strata take away


@pytest.mark.parametrize("passages", [(10, 3, 2, 2), (20, 3, 9, 1), (40, 2, 9, 1), (40, 6, 4, 1)])
def test_few_passages_cover_where_the_normal_interval_does_not(passages):
    """Passages of 1 to `size` items, whose difficulty is Beta(a, b)."""
    count, size, a, b = passages

    def drawn(rng):
        values, clusters = [], []
        for c in range(count):
            n = int(rng.integers(1, size + 1))
            values += list((rng.random(n) < rng.beta(a, b)).astype(float))
            clusters += [c] * n
        return values, clusters

    def normal(rng):
        values, clusters = drawn(rng)
        half = 1.959964 * stats.clustered_stderr(values, clusters)
        return np.mean(values) - half, np.mean(values) + half

    ours = held(lambda rng: stats.interval(*drawn(rng)), a / (a + b))
    assert allowed(ours, low=0.94, high=0.965)
    assert held(normal, a / (a + b)) < ours - 0.005


@pytest.mark.parametrize("truth", [0.02, 0.5, 0.98])
def test_strata_below_300_items_get_wilsons_which_covers(truth):
    """Small benchmarks keep Wilson's whether or not they have strata: never below 92 %."""

    def draw(rng):
        return stats.interval(
            list((rng.random(60) < truth).astype(float)), strata=[0] * 30 + [1] * 30
        )

    assert held(draw, truth) >= 0.92 - 4 * math.sqrt(0.92 * 0.08 / ROUNDS)


@pytest.mark.parametrize("right", [0.0, 1.0])
def test_passages_all_right_or_all_wrong_are_as_few_as_they_are(right):
    """40 items of 10 passages know no more than 10 items; each passage all right or all wrong."""
    clusters = [i // 4 for i in range(40)]
    low, high = stats.interval([right] * 40, clusters)
    assert (low, high) == pytest.approx(stats.wilson(10 if right else 0, 10))
    assert high - low > 0.27
    # Exact: the chance that ten such passages all agree with a truth outside the interval.
    assert binom.pmf(10 if right else 0, 10, low if right else high) < 0.05


def columns(rng: np.random.Generator, truths, sizes, shared: bool):
    """A table of accuracies and one rating (the last, 1 to 10), in points."""
    made = []
    again = rng.random(max(sizes))
    for truth, n in zip(truths[:-1], sizes[:-1], strict=True):
        draws = again[:n] if shared else rng.random(n)
        made.append(stats.estimate(list((draws < truth).astype(float)), scale=100))
    first = np.clip(rng.normal(truths[-1], 2, sizes[-1]), 1, 10)
    rating = stats.estimate(list(first), bounds=(1, 10), scale=1)
    return [*((e.score, e.stderr) for e in made), (10 * rating.score, 10 * (rating.stderr or 0))]


def test_the_average_of_columns_covers_and_shared_questions_would_need_more():
    truths, sizes = (
        (0.7, 0.5, 0.6, 0.65, 0.8, 0.55, 0.6, 5.5),
        (164, 400, 400, 684, 500, 600, 300, 160),
    )
    truth = (100 * sum(truths[:-1]) + 10 * truths[-1]) / 8

    def draw(shared: bool):
        def one(rng):
            figures = columns(rng, truths, sizes, shared)
            mean = np.mean([score for score, _ in figures])
            half = 1.959964 * stats.average_stderr([se for _, se in figures])
            return mean - half, mean + half

        return one

    assert allowed(held(draw(shared=False), truth), low=0.94)
    assert held(draw(shared=True), truth) < 0.90  # what the docstring warns of


def test_a_sum_instead_of_quadrature_would_be_far_too_wide():
    errors = [1.0] * 8
    assert stats.average_stderr(errors) == pytest.approx(1 / math.sqrt(8))
    assert stats.average_stderr(errors) < sum(errors) / 8 / 2


def test_paired_differences_with_clusters_and_strata_cover():
    def draw(rng):
        values, clusters, strata = clustered_strata(rng)
        other = [v if rng.random() < 0.8 else float(rng.random() < TRUTH) for v in values]
        found = stats.paired(values, other, clusters, strata=strata)
        return found.lo, found.hi

    # E[other − value] per stratum is 0.2·(TRUTH − p_h); weighted by the strata's sizes it is 0.
    assert allowed(held(draw, 0.0), low=0.93)
