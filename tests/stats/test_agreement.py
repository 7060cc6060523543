"""ochat_eval.stats.agreement against scipy, and the coverage of its intervals by simulation."""

import math

import numpy as np
import pytest
import scipy.stats

from ochat_eval import stats

COEFFICIENTS = {
    stats.pearson: scipy.stats.pearsonr,
    stats.spearman: scipy.stats.spearmanr,
    stats.kendall: scipy.stats.kendalltau,
}
# What each coefficient is for a normal pair of correlation rho (Kendall & Gibbons 1990).
TRUE = {
    stats.pearson: lambda rho: rho,
    stats.spearman: lambda rho: 6 / math.pi * math.asin(rho / 2),
    stats.kendall: lambda rho: 2 / math.pi * math.asin(rho),
}


def normal_pairs(rng, n, rho):
    x = rng.normal(size=n)
    return x, rho * x + math.sqrt(1 - rho * rho) * rng.normal(size=n)


def ratings(rng, n, rho):
    """Ratings 1…5 by two who agree so far: many ties."""
    return [np.digitize(v, [-1.2, -0.4, 0.4, 1.2]) + 1.0 for v in normal_pairs(rng, n, rho)]


@pytest.mark.parametrize("ours", COEFFICIENTS)
def test_the_coefficient_is_scipys(ours):
    rng = np.random.default_rng(0)
    for x, y in (normal_pairs(rng, 40, 0.7), ratings(rng, 80, 0.8)):
        result = ours(x, y)
        assert result.value == pytest.approx(COEFFICIENTS[ours](x, y).statistic)
        assert result.n == len(x)
        assert result.lo < result.value < result.hi


def test_kendall_corrects_for_ties_by_hand():
    # Of 10 pairs 5 agree, 1 disagrees; tied in x 2, in y 2: 4/√(8·8).
    x, y = [1, 1, 2, 3, 3], [1, 2, 2, 2, 3]
    concordant = sum(np.sign((x[i] - x[j]) * (y[i] - y[j])) for i in range(5) for j in range(i))
    ties = [sum(v[i] == v[j] for i in range(5) for j in range(i)) for v in (x, y)]
    expected = concordant / math.sqrt((10 - ties[0]) * (10 - ties[1]))
    assert stats.kendall(x, y).value == pytest.approx(expected)


@pytest.mark.parametrize("confidence", [0.9, 0.99])
def test_pearsons_interval_is_scipys(confidence):
    x, y = normal_pairs(np.random.default_rng(1), 50, 0.6)
    result = stats.pearson(x, y, confidence)
    expected = scipy.stats.pearsonr(x, y).confidence_interval(confidence)
    assert (result.lo, result.hi) == pytest.approx(tuple(expected))


@pytest.mark.slow
@pytest.mark.parametrize("rho", [0.0, 0.8])
@pytest.mark.parametrize("ours", COEFFICIENTS)
def test_intervals_cover(ours, rho):
    rng = np.random.default_rng(2)
    results = [ours(*normal_pairs(rng, 80, rho)) for _ in range(300)]
    coverage = np.mean([r.lo <= TRUE[ours](rho) <= r.hi for r in results])
    assert coverage == pytest.approx(0.95, abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("ours", COEFFICIENTS)
def test_intervals_cover_for_tied_ratings(ours):
    rng = np.random.default_rng(3)
    true = COEFFICIENTS[ours](*ratings(rng, 300_000, 0.7)).statistic
    results = [ours(*ratings(rng, 80, 0.7)) for _ in range(300)]
    coverage = np.mean([r.lo <= true <= r.hi for r in results])
    assert coverage == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize("ours", COEFFICIENTS)
def test_perfect_agreement_and_its_opposite(ours):
    x = [1, 2, 3, 4, 5, 6]
    up, down = ours(x, x), ours(x, x[::-1])
    assert (up.value, up.lo, up.hi) == pytest.approx((1, 1, 1))
    assert (down.value, down.lo, down.hi) == pytest.approx((-1, -1, -1))


def test_agreement_is_the_share_of_equal_pairs():
    result = stats.agreement([1, 2, 3, 4], [1, 2, 3, 5])
    assert result.score == 0.75 and (result.lo, result.hi) == stats.wilson(3, 4)


@pytest.mark.parametrize("ours", COEFFICIENTS)
@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([1, 2, 3, 4], [1, 2, 3, 5], "4 pairs"),
        ([1, 2, 3, 4, 5], [1, 2, 3, 4], "5 x but 4 y"),
        ([1, 1, 1, 1, 1], [1, 2, 3, 4, 5], "one side are the same"),
        ([1, 2, 3, 4, 5], [1, 2, 3, 4, math.nan], "value 4 is nan"),
    ],
)
def test_impossible_input_is_refused(ours, x, y, message):
    with pytest.raises(ValueError, match=message):
        ours(x, y)


@pytest.mark.parametrize("ours", COEFFICIENTS)
def test_confidence_is_checked_even_where_no_interval_is_needed(ours):
    with pytest.raises(ValueError, match="confidence 95"):
        ours([1, 2, 3, 4, 5], [1, 2, 3, 4, 5], 95)


def test_agreement_refuses_what_does_not_pair():
    with pytest.raises(ValueError, match="2 x but 1 y"):
        stats.agreement([1, 2], [1])
    with pytest.raises(ValueError, match="no values"):
        stats.agreement([], [])


# Krippendorff 2011, Computing Krippendorff's Alpha-Reliability, section C: four observers.
OBSERVERS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]


def test_alpha_of_krippendorffs_own_example():
    units = list(zip(*OBSERVERS, strict=True))
    assert stats.krippendorff_alpha(units, "nominal") == pytest.approx(0.743, abs=5e-4)
    assert stats.krippendorff_alpha(units, "interval") == pytest.approx(0.849, abs=5e-4)


def test_alpha_where_little_or_nothing_can_be_told():
    assert stats.krippendorff_alpha([], "nominal") is None
    assert stats.krippendorff_alpha([(1, None), (2,)], "interval") is None
    assert stats.krippendorff_alpha([(3, 3), (3, 3)], "interval") is None
    assert stats.krippendorff_alpha([(1, 1), (2, 2)], "nominal") == 1
    # Two judges who always contradict each other: worse than chance.
    assert stats.krippendorff_alpha([(0, 1), (1, 0)], "nominal") == pytest.approx(-0.5)
    with pytest.raises(ValueError, match="finite"):
        stats.krippendorff_alpha([(1, math.nan)], "interval")
