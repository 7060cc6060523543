"""ochat_eval.stats against scipy and statsmodels, by enumeration and by seeded simulation."""

import dataclasses
import itertools
import json
import math
import subprocess
import sys
import time

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.power import normal_power
from statsmodels.stats.proportion import proportion_confint

from ochat_eval import stats

fractions = st.floats(0, 1)
verdicts = st.sampled_from([0.0, 1.0])
NAN = math.nan


def clustered_sample(rng, sizes, p, rho):
    """0/1 verdicts whose chance of 1 is shared in a cluster (Beta), correlated by rho."""
    a = (1 - rho) / rho
    clusters = np.repeat(np.arange(len(sizes)), sizes)
    chances = rng.beta(p * a, (1 - p) * a, len(sizes))[clusters]
    return (rng.random(len(clusters)) < chances).astype(float), clusters


# --- The error of a score -----------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 3, 50, 1319])
def test_mean_stderr_is_scipys(n):
    values = np.random.default_rng(n).random(n)
    mean, stderr = stats.mean_stderr(values)
    assert mean == pytest.approx(values.mean(), rel=1e-12)
    assert stderr == pytest.approx(scipy.stats.sem(values), rel=1e-12)


def test_one_item_or_cluster_tells_no_error():
    assert stats.mean_stderr([0.25]) == (0.25, None)
    assert stats.clustered_stderr([0, 1, 1], ["a", "a", "a"]) is None
    assert stats.stratified_stderr([0, 1], "aa", clusters="cc") is None


@pytest.mark.parametrize("seed", range(5))
def test_clustered_stderr_is_the_cluster_robust_one_of_ols(seed):
    import statsmodels.api as sm

    rng = np.random.default_rng(seed)
    values, clusters = clustered_sample(rng, rng.integers(1, 8, 40), 0.6, 0.3)
    fit = sm.OLS(values, np.ones(len(values))).fit(
        cov_type="cluster", cov_kwds={"groups": clusters, "use_correction": True}
    )
    assert stats.clustered_stderr(values, clusters) == pytest.approx(fit.bse[0], rel=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_stratified_stderr_is_the_weighted_contrast_of_ols(seed):
    import statsmodels.api as sm

    rng = np.random.default_rng(seed)
    strata = rng.permutation(np.repeat(np.arange(6), rng.integers(2, 30, 6)))
    values = (rng.random(len(strata)) < 0.2 + 0.1 * strata).astype(float)
    dummies = (strata[:, None] == np.arange(6)).astype(float)
    # HC2 on a full set of dummies gives each stratum's mean the variance s_h²/n_h.
    test = sm.OLS(values, dummies).fit(cov_type="HC2").t_test(dummies.mean(axis=0))
    assert stats.stratified_stderr(values, strata) == pytest.approx(test.sd.item(), rel=1e-10)


def test_stratified_stderr_is_the_spread_over_redrawn_items_and_the_plain_one_is_too_large():
    rng = np.random.default_rng(0)
    strata = np.repeat(np.arange(4), [40, 80, 120, 60])
    chances = np.array([0.1, 0.4, 0.7, 0.95])[strata]
    draws = (rng.random((2000, 300)) < chances).astype(float)
    spread = draws.mean(axis=1).std(ddof=1)
    errors = [stats.stratified_stderr(v, strata) for v in draws[:300]]
    plain = [stats.mean_stderr(v)[1] for v in draws[:300]]
    assert np.mean(errors) == pytest.approx(spread, rel=0.04)
    assert np.mean(plain) > 1.15 * spread


def test_strata_with_clusters_add_up():
    """Two strata are two independent samples: their errors add in quadrature, by weight."""
    rng = np.random.default_rng(3)
    (a, ca), (b, cb) = (clustered_sample(rng, [3, 5, 2, 6, 1], p, 0.3) for p in (0.3, 0.7))
    errors = [stats.clustered_stderr(v, c) * len(v) for v, c in ((a, ca), (b, cb))]
    strata, clusters = [0] * len(a) + [1] * len(b), [*ca, *(cb + 100)]
    expected = math.hypot(*errors) / (len(a) + len(b))
    assert stats.stratified_stderr([*a, *b], strata, clusters) == pytest.approx(expected)


def test_lone_strata_are_collapsed():
    values, plain = [0, 1, 1, 0, 1], stats.stratified_stderr
    assert plain(values, "aabcd") == pytest.approx(plain(values, "aabbb"))
    assert plain([1, 0, 1, 1, 0, 0], "aaabbc") == pytest.approx(plain([1, 0, 1, 1, 0, 0], "aaabbb"))
    assert plain(values, "abcde") == pytest.approx(stats.mean_stderr(values)[1])


def test_collapsed_strata_never_understate_the_variance_on_average():
    """All outcomes of five one-item strata, each with its own chance, weighed by their chances."""
    chances = [0.1, 0.5, 0.6, 0.9, 0.3]
    true = sum(p * (1 - p) for p in chances) / 25
    expected = 0.0
    for values in itertools.product([0, 1], repeat=5):
        weight = math.prod(p if v else 1 - p for p, v in zip(chances, values, strict=True))
        expected += weight * stats.stratified_stderr(values, "abcde") ** 2
    assert true <= expected < 1.6 * true


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
@pytest.mark.parametrize(("c", "n"), [(0, 1), (1, 1), (0, 10), (10, 10), (3, 7), (82, 164)])
def test_wilson_is_statsmodels(c, n, confidence):
    expected = proportion_confint(c, n, alpha=1 - confidence, method="wilson")
    assert stats.wilson(c, n, confidence) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n", [20, 100, 299])
def test_wilson_covers_by_exact_enumeration(n):
    ends = np.array([stats.wilson(c, n) for c in range(n + 1)])
    coverage = []
    for p in np.linspace(0.02, 0.98, 97):
        inside = (ends[:, 0] <= p) & (p <= ends[:, 1])
        coverage.append(binom.pmf(np.arange(n + 1), n, p)[inside].sum())
    assert np.mean(coverage) == pytest.approx(0.95, abs=0.01)
    assert min(coverage) > 0.89


@pytest.mark.parametrize("p", [0.3, 0.643, 0.9])
def test_normal_interval_covers_by_exact_enumeration(p):
    n = 1319
    counts = np.arange(n + 1)
    likely = counts[binom.pmf(counts, n, p) > 1e-9]
    covered = 0.0
    for c in likely:
        lo, hi = stats.interval([1.0] * c + [0.0] * (n - c))
        covered += binom.pmf(c, n, p) * (lo <= p <= hi)
    assert covered == pytest.approx(0.95, abs=0.007)


@pytest.mark.slow
def test_clustered_interval_covers_where_the_plain_one_does_not():
    rng = np.random.default_rng(1)
    sizes = rng.integers(4, 8, 100)
    clustered = plain = 0
    for _ in range(1000):
        values, clusters = clustered_sample(rng, sizes, 0.6, 0.4)
        lo, hi = stats.interval(values, clusters)
        clustered += lo <= 0.6 <= hi
        lo, hi = stats.interval(values)
        plain += lo <= 0.6 <= hi
    assert clustered / 1000 == pytest.approx(0.945, abs=0.02)
    assert plain / 1000 < 0.8


def test_which_interval():
    for n in (299, 300, 13_985):
        verdicts = [1.0] * 200 + [0.0] * (n - 200)
        assert stats.interval(verdicts) == stats.wilson(200, n)
        strata = [0] * 100 + [1] * (n - 100)  # which could only narrow it
        assert stats.interval(verdicts, strata=strata) == stats.wilson(200, n)
    # Ratings: Student's t, cut to the bounds.
    half = scipy.stats.t.ppf(0.975, 2) * scipy.stats.sem([8, 9, 10])
    assert stats.interval([8, 9, 10], bounds=(1, 10)) == pytest.approx((9 - half, 10))
    # Clusters: Wilson's over the effective number, 0.75·0.25/0.25² = 3, by (z/t)²; at most theirs.
    n = 3 * (scipy.stats.norm.ppf(0.975) / scipy.stats.t.ppf(0.975, 1)) ** 2
    few = proportion_confint(0.75 * n, n, method="wilson")
    assert stats.interval([0, 1, 1, 1], list("aabb")) == pytest.approx(few)
    assert stats.interval([0, 1, 0, 1], list("aabb")) == pytest.approx(stats.wilson(1, 2))
    # Several answers an item: the effective number, which may be more than the items.
    values = [k / 8 for k in (0, 1, 3, 8, 5, 2)]
    m, se = stats.mean_stderr(values)
    n = m * (1 - m) / se**2 * (scipy.stats.norm.ppf(0.975) / scipy.stats.t.ppf(0.975, 5)) ** 2
    expected = proportion_confint(m * n, n, method="wilson")
    assert stats.interval(values) == pytest.approx(expected)


def test_no_spread_is_no_certainty():
    assert stats.interval([0.0] * 1319) == pytest.approx(stats.wilson(0, 1319))
    assert stats.interval([1.0] * 6, list("aabbcc")) == pytest.approx(stats.wilson(3, 3))
    assert stats.interval([1.0]) == pytest.approx(stats.wilson(1, 1))
    assert stats.interval([0.5]) == (0, 1)
    assert stats.interval([1, 1], list("aa"), bounds=(1, 10)) == (1, 10)
    for n, bounds in (12, (0, 1)), (80, (1, 10)):
        share = 1 - stats.wilson(n, n)[0]  # which may be otherwise, and unseen
        value = 0.5 * sum(bounds)
        far = share * (bounds[1] - value)
        assert stats.interval([value] * n, bounds=bounds) == pytest.approx(
            (value - far, value + far)
        )


def test_estimate_scales_to_points_and_is_plain_json():
    fraction, points = stats.estimate([0, 1, 1]), stats.estimate([0, 1, 1], scale=100)
    assert points.score == pytest.approx(66.6666667) and points.n == 3
    for name in ("score", "stderr", "lo", "hi"):
        assert getattr(points, name) == pytest.approx(100 * getattr(fraction, name))
    line = json.dumps(dataclasses.asdict(stats.estimate([1])), allow_nan=False)
    assert json.loads(line)["stderr"] is None


def test_average_stderr_is_the_spread_of_the_average():
    rng = np.random.default_rng(2)
    errors = [0.4, 1.3, 2.0, 0.7]
    spread = rng.normal(0, errors, (20000, 4)).mean(axis=1).std()
    assert stats.average_stderr(errors) == pytest.approx(spread, rel=0.02)
    assert stats.average_stderr([3, 4]) == 2.5
    assert stats.average_stderr([3, None]) is None


# --- Several samples an item --------------------------------------------------------------


def test_pass_at_k_by_counting_every_draw():
    for n in range(1, 7):
        for c, k in itertools.product(range(n + 1), range(1, n + 1)):
            draws = list(itertools.combinations([1] * c + [0] * (n - c), k))
            assert stats.pass_at_k(n, c, k) == sum(map(max, draws)) / len(draws)
            assert stats.all_at_k(n, c, k) == sum(map(min, draws)) / len(draws)


@pytest.mark.parametrize(("n", "k", "p"), [(5, 1, 0.3), (10, 5, 0.1), (200, 100, 0.02)])
def test_pass_at_k_is_unbiased(n, k, p):
    expected = sum(binom.pmf(c, n, p) * stats.pass_at_k(n, c, k) for c in range(n + 1))
    assert expected == pytest.approx(1 - (1 - p) ** k, rel=1e-9)
    every = sum(binom.pmf(c, n, p) * stats.all_at_k(n, c, k) for c in range(n + 1))
    assert every == pytest.approx(p**k, rel=1e-9)


def test_pass_at_k_stays_exact_for_large_n():
    for c in (1, 2, 17, 4999):
        expected = scipy.stats.hypergeom.sf(0, 10000, c, 100)
        assert stats.pass_at_k(10000, c, 100) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("answers", "k", "winner"),
    [
        (["a"], 1, 0),
        (["a", "b", "b"], 3, 1),
        (["a", "b", "b"], 2, 0),  # a tie: the one seen first
        (["b", "a", "a", "b"], 4, 0),
        ([None, None, "a"], 3, 2),  # None never wins
        ([None, None, "a"], 2, 0),  # unless there is nothing else
        (["c", "a", None, "b", "a"], 5, 1),
    ],
)
def test_maj_at_k(answers, k, winner):
    values = [0.0] * len(answers)
    assert stats.maj_at_k(answers, values, k) == 0
    values[winner] = 1.0
    assert stats.maj_at_k(answers, values, k) == 1


def test_the_answers_part_of_the_variance_is_unbiased_and_the_rest_is_the_items():
    n, chances = 3, (0.2, 0.9)
    expected = 0.0
    for right in itertools.product(range(n + 1), repeat=2):
        weight = math.prod(binom.pmf(c, n, p) for c, p in zip(right, chances, strict=True))
        squares = [c * (n - c) / n for c in right]
        parts = stats.sampling_parts(1.0, squares, n, 2)
        assert parts.items + parts.answers == pytest.approx(1)
        expected += weight * parts.answers
    assert expected == pytest.approx(sum(p * (1 - p) / n for p in chances) / 2**2)


def test_what_more_answers_buy():
    parts = stats.sampling_parts(math.sqrt(0.03), [3.0] * 4, 2, 4)
    # 12/(2 · 1 · 16) is above the whole: nothing is left for the items.
    assert (parts.items, parts.answers, parts.items_share) == (0.0, 0.375, 0.0)
    assert [parts.ratio(n) for n in (2, 3, 4)] == pytest.approx([1, 2 / 3, 1 / 2])
    parts = stats.Sampling(4, items=3.0, answers=1.0)
    assert parts.items_share == 0.75 and parts.ratio(4) == 1
    assert parts.ratio(8) == 0.875 and parts.ratio(10**9) == pytest.approx(0.75)
    assert stats.sampling_parts(0.0, [0.0, 0.0], 4, 2) is None, "nothing varies"


# --- Two runs on the same items -----------------------------------------------------------


def test_paired_is_scipys_paired_t():
    rng = np.random.default_rng(4)
    a, b = rng.random((2, 80))
    result = stats.paired(a, b)
    assert result.score == pytest.approx((b - a).mean()) and result.n == 80
    assert result.score / result.stderr == pytest.approx(scipy.stats.ttest_rel(b, a).statistic)
    expected = scipy.stats.ttest_rel(b, a).confidence_interval()
    assert (result.lo, result.hi) == pytest.approx(tuple(expected))


def test_paired_uses_clusters_strata_bounds_and_scale():
    rng = np.random.default_rng(5)
    a, b = rng.integers(1, 11, (2, 40))
    clusters, strata = np.arange(40) // 2, np.arange(40) // 10
    result = stats.paired(a, b, clusters, bounds=(1, 10), scale=10)
    assert result.stderr == pytest.approx(10 * stats.clustered_stderr(b - a, clusters))
    result = stats.paired(a, b, strata=strata, bounds=(1, 10))
    assert result.stderr == pytest.approx(stats.stratified_stderr(b - a, strata))
    assert stats.paired([0], [1], scale=100) == stats.Estimate(100, 1, None, -100, 100)
    # Bonett & Price: one gain and one loss more, over two more items.
    se = math.sqrt(2 / 5 / 5)
    same = stats.paired([0, 0, 1], [0, 0, 1])
    assert (same.score, same.stderr) == (0, pytest.approx(se))
    assert (same.lo, same.hi) == pytest.approx((-1.959964 * se, 1.959964 * se))
    clustered = stats.paired([0, 0, 1, 1], [0, 0, 1, 1], list("aabb"))
    assert clustered.stderr == pytest.approx(math.sqrt(2 / 4 / 4)), "two clusters, not four items"
    ratings = stats.paired([7] * 80, [6] * 80, bounds=(1, 10))
    share = 1 - stats.wilson(80, 80)[0]
    assert (ratings.lo, ratings.hi) == pytest.approx((-1 - share * 8, -1 + share * 10))


@pytest.mark.parametrize("clustered", [False, True])
def test_paired_interval_covers_the_true_difference(clustered):
    rng = np.random.default_rng(6)
    clusters = np.repeat(np.arange(100), 3) if clustered else np.arange(300)
    inside = 0
    for _ in range(1000):
        skill = rng.normal(0, 1, 300)  # shared by both runs: pairing takes it out
        shift = rng.normal(0, 0.5, 300)[clusters]  # the difference, shared in a cluster
        a, b = skill + rng.normal(0, 1, 300), skill + 0.1 + shift + rng.normal(0, 1, 300)
        result = stats.paired(a, b, clusters, bounds=(-99, 99))
        inside += result.lo <= 0.1 <= result.hi
    assert inside / 1000 == pytest.approx(0.945, abs=0.02)


def test_t_test_is_scipys():
    rng = np.random.default_rng(4)
    a, b = rng.random((2, 12))
    found = stats.paired(a, b)
    assert stats.t_test(found.score, found.stderr, 11) == pytest.approx(
        scipy.stats.ttest_rel(b, a).pvalue
    )
    assert stats.t_test(0.0, 0.0, 3) == 1


@pytest.mark.parametrize("m", [2, 7, 12])
def test_sign_flips_are_scipys_permutation_test(m):
    rng = np.random.default_rng(m)
    for values in (rng.normal(0.4, 1, m), rng.integers(-2, 3, m)):
        every = scipy.stats.permutation_test(
            (values,), np.sum, permutation_type="samples", n_resamples=np.inf
        )
        assert stats.sign_flips(values.tolist()) == pytest.approx(every.pvalue)
    assert stats.sign_flips([3.0]) == 1, "one difference tells nothing"


def test_sign_flips_of_29_by_counting_the_sums():
    """All 2^29 ways, by the distribution of their sums."""
    values = [
        1,
        2,
        3,
        1,
        1,
        -2,
        4,
        1,
        -1,
        1,
        2,
        1,
        1,
        -3,
        1,
        1,
        2,
        1,
        1,
        -1,
        1,
        1,
        0,
        2,
        1,
        1,
        1,
        -2,
        1,
    ]
    ways = {0: 1}
    for value in values:
        ways = {
            s: ways.get(s - value, 0) + ways.get(s + value, 0)
            for s in {s + sign * value for s in ways for sign in (1, -1)}
        }
    far = sum(count for s, count in ways.items() if abs(s) >= abs(sum(values)))
    assert stats.sign_flips([float(v) for v in values]) == pytest.approx(far / 2**29, rel=1e-9)


def test_which_test():
    rng = np.random.default_rng(5)
    x, y = (rng.random((2, 60)) < 0.5).astype(float)
    assert stats.paired_test(x, y).name == "McNemar"
    pairs = np.arange(60) // 2
    assert stats.paired_test(x, y, pairs).name == "t"
    assert stats.paired_test(x, y, np.arange(60) // 3).name == "permutation"
    found = stats.paired(x, y, pairs)
    assert stats.paired_test(x, y, pairs).p == pytest.approx(
        stats.t_test(found.score, stats.clustered_stderr(y - x, pairs), 29)
    )
    # 40 ratings, each one lower: no error, and no noise either.
    lower = stats.paired_test([7.0] * 40, [6.0] * 40)
    assert (lower.name, lower.p) == ("sign", 2 / 2**40)
    assert stats.paired_test([7.0] * 20, [6.0] * 20).p == pytest.approx(2 / 2**20)
    assert stats.paired_test([7.0] * 40, [7.0] * 40).p == 1


@pytest.mark.parametrize(
    ("n01", "n10"), [(0, 0), (0, 1), (0, 6), (5, 1), (7, 7), (40, 61), (320, 250)]
)
def test_mcnemar_is_statsmodels(n01, n10):
    expected = 1 if n01 + n10 == 0 else mcnemar([[9, n01], [n10, 9]], exact=True).pvalue
    assert stats.mcnemar_exact(n01, n10) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_for_many_flips():
    start = time.perf_counter()
    p = stats.mcnemar_exact(9000, 9300)
    assert time.perf_counter() - start < 20
    assert p == pytest.approx(scipy.stats.binomtest(9000, 18300).pvalue, rel=1e-6)


def test_mcnemar_size_and_power_by_exact_enumeration():
    for n in range(1, 80):
        called = [stats.mcnemar_exact(c, n - c) <= 0.05 for c in range(n + 1)]
        assert binom.pmf(np.arange(n + 1), n, 0.5)[called].sum() <= 0.05 + 1e-12
    called = [stats.mcnemar_exact(c, 200 - c) <= 0.05 for c in range(201)]
    assert binom.pmf(np.arange(201), 200, 0.6)[called].sum() == pytest.approx(0.79, abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_holm_is_statsmodels(seed):
    pvalues = np.random.default_rng(seed).random(8) ** 3
    pvalues[3] = pvalues[5]  # a tie
    from statsmodels.stats.multitest import multipletests

    expected = multipletests(pvalues, method="holm")[1]
    assert stats.holm(pvalues) == pytest.approx(expected)


def test_holm_keeps_the_chance_of_any_false_call():
    rng = np.random.default_rng(7)
    tables = rng.random((3000, 8))
    tables[:, :3] *= 1e-4  # three true differences, five none
    adjusted = np.array([stats.holm(row) for row in tables])
    assert np.any(adjusted[:, 3:] <= 0.05, axis=1).mean() < 0.06
    assert np.all(adjusted[:, :3] <= 0.05)


def test_flips_lists_who_changed_which_way():
    a = {"x": 0, "y": 1, "z": 1, "w": 0}
    b = {"w": 1, "z": 0, "y": 1, "x": 1}
    assert stats.flips(a, b) == stats.Flips(gained=("x", "w"), lost=("z",))
    assert stats.flips(a, a) == stats.Flips((), ())


@pytest.mark.parametrize(("alpha", "power"), [(0.05, 0.8), (0.01, 0.9)])
def test_minimum_detectable_effect_has_the_power_it_promises(alpha, power):
    effect = stats.minimum_detectable_effect(0.7, alpha, power)
    assert normal_power(effect / 0.7, 1, alpha) == pytest.approx(power, abs=1e-6)
    few = stats.minimum_detectable_effect(0.7, alpha, power, df=9)
    found = scipy.stats.nct.sf(scipy.stats.t.isf(alpha / 2, 9), 9, few / 0.7)
    assert found == pytest.approx(power, abs=0.03)


@pytest.mark.parametrize(("n", "discordant", "difference"), [(25, 0.3, 0.25), (500, 0.1, 0.04)])
def test_mcnemars_power_by_enumeration(n, discordant, difference):
    up, down = (discordant + difference) / 2, (discordant - difference) / 2
    expected = 0.0
    for gained in range(n + 1):
        p = binom.pmf(gained, n, up)
        if p > 1e-12:
            lost = np.arange(n - gained + 1)
            weights = binom.pmf(lost, n - gained, down / (1 - up))
            lost = lost[weights > 1e-12]
            called = [stats.mcnemar_exact(gained, int(k)) <= 0.05 for k in lost]
            expected += p * weights[: len(lost)][called].sum()
    assert stats.mcnemar_power(n, discordant, difference) == pytest.approx(expected, abs=1e-6)


def test_what_mcnemar_detects():
    for n, discordant in ((25, 0.0), (25, 0.1), (25, 0.4), (1319, 0.05)):
        found = stats.mcnemar_detectable(n, discordant)
        power = stats.mcnemar_power(n, max(discordant, found), found)
        assert power == pytest.approx(0.8, abs=0.005)
    assert stats.mcnemar_detectable(5, 0.0) is None, "five flips are never below 0.05"
    assert stats.mcnemar_detectable(6, 0.0) == pytest.approx(0.8 ** (1 / 6), abs=1e-4)


# --- Input that cannot be right -----------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stats.mean_stderr([]), "no values"),
        (lambda: stats.estimate([]), "no values"),
        (lambda: stats.estimate([0, 1, NAN]), "value 2 is nan"),
        (lambda: stats.estimate([0, math.inf]), "value 1 is inf"),
        (lambda: stats.estimate([0, 1, 7]), "value 2 is 7.0: .* from 0 to 1"),
        (lambda: stats.estimate([0, 1], confidence=95), "confidence 95 "),
        (lambda: stats.estimate([0, 1], scale=0), "scale 0"),
        (lambda: stats.estimate([0, 1], clusters=[1]), "2 values but 1 clusters"),
        (lambda: stats.estimate([0, 1], strata=[1, 1, 1]), "2 values but 3 strata"),
        (lambda: stats.clustered_stderr([0, 1, 1], "aa"), "3 values but 2 clusters"),
        (lambda: stats.stratified_stderr([0, 1, 1], "aab", "ccc"), "'c' reaches over two strata"),
        (lambda: stats.wilson(3, 2), "3 successes of 2"),
        (lambda: stats.wilson(0, 0), "0 successes of 0"),
        (lambda: stats.wilson(-1, 2), "-1 successes"),
        (lambda: stats.wilson(1, 2, 1.0), "confidence 1.0"),
        (lambda: stats.average_stderr([]), "no values"),
        (lambda: stats.average_stderr([1, -1]), "value 1 is -1.0"),
        (lambda: stats.pass_at_k(5, 2, 6), "k = 6 of n = 5"),
        (lambda: stats.pass_at_k(5, 2, 0), "k = 0 of n = 5"),
        (lambda: stats.pass_at_k(5, 6, 1), "6 right of 5"),
        (lambda: stats.all_at_k(5, 6, 1), "6 right of 5"),
        (lambda: stats.all_at_k(5, 2, 6), "k = 6 of n = 5"),
        (lambda: stats.sampling_parts(1.0, [1.0], 1, 1), "1 answers an item: need at least 2"),
        (lambda: stats.sampling_parts(-1.0, [1.0], 2, 1), "value 0 is -1.0"),
        (lambda: stats.Sampling(2, 1.0, 1.0).ratio(0), "0 answers an item"),
        (lambda: stats.maj_at_k(["a"], [1], 2), "k = 2 of n = 1"),
        (lambda: stats.maj_at_k(["a"], [1, 1], 1), "1 answers but 2 values"),
        (lambda: stats.maj_at_k(["a"], [NAN], 1), "value 0 is nan"),
        (lambda: stats.paired([0, 1], [1]), "2 a but 1 b"),
        (lambda: stats.paired([], []), "no values"),
        (lambda: stats.paired([0, 1], [1, 2]), "value 1 is 2.0"),
        (lambda: stats.estimate([0, 1], fraction=1), "fraction is 1"),
        (lambda: stats.average_interval([], []), "no values"),
        (lambda: stats.average_interval([1], []), "1 scores but 0 intervals"),
        (lambda: stats.average_interval([1], [(2, 3)]), "score is 1"),
        (lambda: stats.average_stderr([1, 1], ["a"]), "2 errors but 1 names"),
        (lambda: stats.t_value(0.95, 0), "0 degrees of freedom"),
        (lambda: stats.t_value(95, 3), "confidence 95"),
        (lambda: stats.t_test(1, 0, 3), "standard error of 0"),
        (lambda: stats.t_test(NAN, 1, 3), "difference is nan"),
        (lambda: stats.t_test(1, -1, 3), "stderr is -1"),
        (lambda: stats.t_test(1, 1, 0), "0 degrees of freedom"),
        (lambda: stats.sign_flips([]), "no values"),
        (lambda: stats.sign_flips([1.0] * 41), "41 differences"),
        (lambda: stats.paired_test([0, 1], [1]), "2 a but 1 b"),
        (lambda: stats.mcnemar_power(0, 0.1, 0.0), "0 items"),
        (lambda: stats.mcnemar_power(9, 0.1, 0.2), "difference is 0.2"),
        (lambda: stats.mcnemar_exact(-1, 3), "must not be negative"),
        (lambda: stats.holm([]), "no values"),
        (lambda: stats.holm([0.2, 1.2]), "value 1 is 1.2"),
        (lambda: stats.flips({"x": 1}, {"y": 1}), "differ in 2 items, 'x'"),
        (lambda: stats.flips({}, {}), "no values"),
        (lambda: stats.flips({"x": 1}, {"x": NAN}), "value 1 is nan"),
        (lambda: stats.minimum_detectable_effect(-1), "stderr is -1"),
        (lambda: stats.minimum_detectable_effect(1, alpha=1.5), "-0.5 is not between"),
        (lambda: stats.minimum_detectable_effect(1, power=1), "1 is not between"),
    ],
)
def test_impossible_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- Properties ---------------------------------------------------------------------------


@given(st.lists(st.one_of(fractions, verdicts), min_size=1, max_size=30), st.data())
def test_interval_contains_the_score_and_stays_in_bounds(values, data):
    labels = st.lists(st.integers(0, 3), min_size=len(values), max_size=len(values))
    clusters = data.draw(st.none() | labels)
    result = stats.estimate(values, clusters=clusters)
    assert 0 <= result.lo <= result.score + 1e-12
    assert result.score - 1e-12 <= result.hi <= 1
    wider = stats.estimate(values, clusters=clusters, confidence=0.99)
    assert wider.lo <= result.lo + 1e-12 and result.hi <= wider.hi + 1e-12


@given(st.lists(fractions, min_size=2, max_size=20), st.integers(2, 4), st.randoms())
def test_saying_everything_several_times_adds_no_knowledge(values, times, random):
    once = stats.mean_stderr(values)[1]
    pairs = [(v, c) for c, v in enumerate(values) for _ in range(times)]
    random.shuffle(pairs)
    repeated = stats.clustered_stderr(*zip(*pairs, strict=True))
    assert repeated == pytest.approx(once, rel=1e-6, abs=1e-12)
    assert stats.clustered_stderr(values, range(len(values))) == pytest.approx(once, abs=1e-12)
    assert stats.stratified_stderr(values, ["all"] * len(values)) == pytest.approx(once, abs=1e-12)


@given(st.integers(1, 400), st.data())
def test_wilson_is_symmetric_and_monotone(n, data):
    c = data.draw(st.integers(0, n))
    lo, hi = stats.wilson(c, n)
    assert 0 <= lo <= c / n <= hi <= 1
    assert stats.wilson(n - c, n) == pytest.approx((1 - hi, 1 - lo), abs=1e-12)
    if c < n:
        assert stats.wilson(c + 1, n) > (lo, hi)


@given(st.integers(1, 60), st.data())
def test_pass_at_k_grows_with_c_and_k(n, data):
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    value = stats.pass_at_k(n, c, k)
    assert stats.pass_at_k(n, c, 1) == c / n
    assert 0 <= value <= 1
    assert c == n or stats.pass_at_k(n, c + 1, k) >= value
    assert k == n or stats.pass_at_k(n, c, k + 1) >= value


@given(st.lists(st.tuples(fractions, fractions), min_size=1, max_size=20))
def test_paired_turns_its_sign_with_the_runs(pairs):
    a, b = zip(*pairs, strict=True)
    there, back = stats.paired(a, b), stats.paired(b, a)
    assert back.score == pytest.approx(-there.score, abs=1e-12)
    assert (back.lo, back.hi) == pytest.approx((-there.hi, -there.lo), abs=1e-12)
    assert -1 <= there.lo <= there.score + 1e-12 and there.score - 1e-12 <= there.hi <= 1


@given(st.integers(0, 200), st.integers(0, 200))
def test_mcnemar_is_symmetric_and_falls_as_the_flips_part(n01, n10):
    p = stats.mcnemar_exact(n01, n10)
    assert 0 < p <= 1 and p == stats.mcnemar_exact(n10, n01)
    if n01 < n10:
        assert stats.mcnemar_exact(n01, n10 + 1) < p or p == 1


@given(st.lists(fractions, min_size=1, max_size=12))
def test_holm_only_raises_and_keeps_the_order(pvalues):
    adjusted = stats.holm(pvalues)
    assert all(p <= q <= 1 for p, q in zip(pvalues, adjusted, strict=True))
    by_p = [q for _, q in sorted(zip(pvalues, adjusted, strict=True))]
    assert by_p == sorted(by_p)
    assert min(adjusted) == pytest.approx(min(1, len(pvalues) * min(pvalues)))


# --- Cost ---------------------------------------------------------------------------------


def test_import_loads_nothing_heavy():
    code = (
        "import sys, ochat_eval.stats\n"
        "print(sorted({'numpy', 'scipy', 'pandas', 'statistics'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_whole_suite_takes_well_under_a_second():
    rng = np.random.default_rng(9)
    a, b = (rng.random((2, 35_806)) < 0.6).astype(float).tolist()
    strata = (np.arange(35_806) % 57).tolist()
    start = time.perf_counter()
    stats.estimate(a, strata=strata, scale=100)
    stats.paired(a, b, strata=strata)
    assert time.perf_counter() - start < 20
