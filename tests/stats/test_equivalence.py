"""ochat_eval.stats.equivalence: by hand, against statsmodels, and by simulated reruns."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, norm, t

from ochat_eval import stats

Z95 = float(norm.ppf(0.95))


def reruns(rng, n, runs, unstable=0.05, shift=0.0):
    """`runs` × n verdicts of one model: most items fixed, a share undecided from run to run."""
    chance = (rng.random(n) < 0.6 + shift).astype(float)
    undecided = rng.random(n) < unstable
    chance[undecided] = rng.beta(2, 2, undecided.sum())
    return (rng.random((runs, n)) < chance).astype(float)


def as_maps(runs):
    return [dict(zip(map(str, range(len(run))), run, strict=True)) for run in runs]


def test_flip_rate_by_hand():
    a, b, c = {"x": 0, "y": 1}, {"y": 0, "x": 0}, {"x": 1, "y": 1}
    assert stats.flip_rate([a, a]) == 0
    assert stats.flip_rate([a, b]) == 0.5
    assert stats.flip_rate([a, b, c]) == pytest.approx((0.5 + 0.5 + 1) / 3)
    assert stats.flip_rate([{"x": 0.7}, {"x": 0.9}]) == pytest.approx(0.04)


def test_flip_sd_is_the_spread_of_rerun_differences():
    rng = np.random.default_rng(0)
    runs = reruns(rng, 1319, 400)
    psi = stats.flip_rate(as_maps(runs[:12]))
    differences = runs[::2].mean(axis=1) - runs[1::2].mean(axis=1)
    assert stats.flip_sd(psi, 1319) == pytest.approx(differences.std(), rel=0.15)
    exact = np.mean(2 * runs.mean(axis=0) * (1 - runs.mean(axis=0)))  # chance that two runs differ
    assert psi == pytest.approx(exact, rel=0.1)


def test_delta_has_a_floor():
    assert stats.delta(0.0, 1319) == 0.3
    assert stats.delta(0.04, 400) == pytest.approx(3.29)  # √(0.04/400) is 1 point
    assert stats.delta(0.04, 400, flip_sds=2) == pytest.approx(2.0)
    assert stats.delta(0.01, 400_000) == 0.3


def test_rerun_error_is_the_spread_around_the_recorded_mean():
    rng = np.random.default_rng(4)
    runs = reruns(rng, 1319, 500)
    psi = stats.flip_rate(as_maps(runs[:12]))
    scores = 100 * runs.mean(axis=1).reshape(100, 5)
    spread = (scores[:, 0] - scores[:, 1:].mean(axis=1)).std()
    assert stats.rerun_error(psi, 1319, 4) == pytest.approx(spread, rel=0.15)
    assert stats.rerun_error(psi, 1319, 1) == 100 * stats.flip_sd(psi, 1319)


# --- What the gate says -----------------------------------------------------------------------


def normal(difference, stderr, margin, mode="same"):
    """The verdict of a difference with a normal error."""
    half = Z95 * stderr
    return stats.decide(difference - half, difference + half, margin, mode)


def test_same_is_the_two_one_sided_tests_and_no_worse_one_of_them():
    from statsmodels.stats.weightstats import ztost

    rng = np.random.default_rng(1)
    seen = set()
    for center in np.linspace(-2, 2, 41):
        x = rng.normal(center, 1, 30)
        x += center - x.mean()
        stderr = x.std(ddof=1) / math.sqrt(30)
        p, (_, lower), _ = ztost(x, -0.8, 0.8)
        verdict = normal(x.mean(), stderr, 0.8)
        assert (verdict == "PASS") == (p <= 0.05)
        beyond = norm.sf((abs(center) - 0.8) / stderr)  # the one-sided test that it is outside
        assert (verdict == "FAIL") == (beyond < 0.05)
        no_worse = normal(x.mean(), stderr, 0.8, "no-worse")
        assert (no_worse == "PASS") == (lower <= 0.05)
        assert (no_worse == "FAIL") == (verdict == "FAIL" and center < 0)
        seen.add(verdict)
    assert seen == {"PASS", "FAIL", "INCONCLUSIVE"}


def test_an_improvement_is_not_the_same_but_no_worse():
    assert stats.decide(20.0, 37.0, 0.3) == "FAIL"
    assert stats.decide(20.0, 37.0, 0.3, "no-worse") == "PASS"
    assert stats.decide(-0.3, 0.3, 0.3) == "PASS"
    assert (
        stats.decide(-0.31, 0.3, 0.3) == stats.decide(-0.31, 9, 0.3, "no-worse") == ("INCONCLUSIVE")
    )


@pytest.mark.parametrize(("sds", "power"), [(2, 0.277), (3, 0.825), (3.3, 0.902)])
def test_size_at_the_margin_and_power_at_no_difference(sds, power):
    rng = np.random.default_rng(2)
    se, margin, n = 0.25, 0.25 * sds, 4000
    for true in (margin, -margin):
        verdicts = [normal(d, se, margin) for d in rng.normal(true, se, n)]
        assert verdicts.count("PASS") / n == pytest.approx(0.05, abs=0.012)
        assert verdicts.count("FAIL") / n == pytest.approx(0.05, abs=0.012)
    verdicts = [normal(d, se, margin) for d in rng.normal(0, se, n)]
    assert verdicts.count("PASS") / n == pytest.approx(power, abs=0.02)
    assert verdicts.count("PASS") / n == pytest.approx(stats.normal_chance(margin, se), abs=0.02)
    assert verdicts.count("FAIL") / n < 0.002
    one_side = [normal(d, se, margin, "no-worse") for d in rng.normal(0, se, n)]
    expected = stats.normal_chance(margin, se, "no-worse")
    assert one_side.count("PASS") / n == pytest.approx(expected, abs=0.02)


# --- Where few items change ---------------------------------------------------------------------


@pytest.mark.parametrize("n", [25, 164, 684, 1319])
def test_no_flip_is_as_good_as_its_items(n):
    """Exact: a loss that leaves n items without a flip in 5 % of cases."""
    found = stats.rerun_interval([1.0] * n, [1.0] * n, 0.0, 4)
    exact = -math.log(0.05) / n
    assert (found.score, found.lo, found.hi) == pytest.approx((0, -100 * exact, 100 * exact))
    assert binom.pmf(0, n, exact) <= 0.05
    verdict = stats.decide(found.lo, found.hi, stats.delta(0.0, n))
    assert verdict == ("PASS" if n >= 999 else "INCONCLUSIVE")


@pytest.mark.parametrize("n", [25, 164, 684, 1000, 1319, 5000])
def test_a_loss_of_the_margin_passes_in_5_percent_at_most(n):
    """Exact, no flips by themselves: 93, 61, 13 and 10 % at n = 25, 164, 684, 1,319 before."""
    loss = stats.delta(0.0, n) / 100
    passes = 0.0
    for lost in range(60):
        new = [0.0] * lost + [1.0] * (n - lost) if lost <= n else None
        if new is None or binom.pmf(lost, n, loss) < 1e-9:
            break
        found = stats.rerun_interval([1.0] * n, new, 0.0, 4)
        passed = stats.decide(found.lo, found.hi, 100 * loss) == "PASS"
        passes += binom.pmf(lost, n, loss) * passed
    assert passes <= 0.05
    assert stats.chances(100 * loss, 0.0, n, 4, loss=100 * loss).passes <= 0.05


def test_the_limits_of_rare_changes_are_poissons_and_with_many_changes_normal():
    from scipy.stats import chi2

    n = 400
    for lost in (0, 1, 2, 7):
        lo, _ = stats.changes_interval([-1.0] * lost + [0.0] * (n - lost))
        assert -lo * n == pytest.approx(chi2.ppf(0.95, 2 * lost + 2) / 2, rel=1e-9)
    lo, hi = stats.changes_interval([1.0] * 2000 + [-1.0] * 2000 + [0.0] * 16000)
    half = norm.ppf(0.95) * math.sqrt(4000) / 20000
    assert (lo, hi) == pytest.approx((-half, half), rel=0.03)
    quarter = [x / 4 for x in [1.0] * 2000 + [-1.0] * 2000 + [0.0] * 16000]
    assert stats.changes_interval(quarter)[1] == pytest.approx(half / 4, rel=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("recorded", [1, 4])
@pytest.mark.parametrize(("psi", "n"), [(0.02, 164), (0.02, 1319), (0.1, 600)])
def test_chances_are_what_the_gate_does(psi, n, recorded):
    """A faultless rerun, a loss of the margin, and the loss that fails with 80 %."""
    margin, times = stats.delta(psi, n), 500
    found = stats.detects(margin, psi, n, recorded)
    noise = stats.rerun_error(psi, n, recorded) / 100
    d = found / 100
    normal_solution = margin / 100 + 2.486 * math.sqrt(noise**2 + (d - d * d) / n)
    assert d == pytest.approx(normal_solution, rel=0.25), "the issue's formula, where flips are few"
    rng = np.random.default_rng(n)
    for loss in (0.0, margin, found):
        expected = stats.chances(margin, psi, n, recorded, loss=loss)
        verdicts = []
        for _ in range(times):
            runs = reruns(rng, n, recorded + 1, unstable=psi / 0.4)  # 2·E[p(1−p)] is 0.4
            new = runs[-1] * (rng.random(n) >= loss / 100 / runs[-1].mean())
            base = runs[:-1].mean(axis=0)
            one = stats.rerun_interval(base.tolist(), new.tolist(), psi, recorded)
            verdicts.append(stats.decide(one.lo, one.hi, margin))
        passes, fails = (verdicts.count(v) / times for v in ("PASS", "FAIL"))
        assert passes == pytest.approx(expected.passes, abs=0.065)
        assert fails == pytest.approx(expected.fails, abs=0.065)
        if loss == margin:
            assert passes <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / times)


def test_a_loss_of_the_margin_seldom_passes_with_two_answers_an_item():
    """8 to 14 % passed: where few items change by a half, t alone is too narrow."""
    n, margin, times, passed = 164, 2.0, 400, 0
    rng = np.random.default_rng(12)
    for _ in range(times):
        base = (rng.random(n) < 0.7).astype(float)
        unsure = base.astype(bool) & (
            rng.random(n) < 2 * margin / 100 / 0.7
        )  # right every other time
        new = rng.binomial(2, np.where(unsure, 0.5, base)) / 2
        found = stats.rerun_interval(base.tolist(), new.tolist(), 0.0, 1)
        passed += stats.decide(found.lo, found.hi, margin, "no-worse") == "PASS"
    assert passed / times <= 0.05


def test_a_rerun_with_several_answers_an_item_passes_as_often_as_is_said():
    n, recorded, times = 164, 2, 300
    rng = np.random.default_rng(13)
    verdicts, said = [], []
    for _ in range(times):
        runs = rng.binomial(4, rng.beta(0.5, 0.5, n), (recorded + 1, n)) / 4
        psi = stats.flip_rate(as_maps(runs[:-1]))
        margin = stats.delta(psi, n)
        one = stats.rerun_interval(
            runs[:-1].mean(axis=0).tolist(), runs[-1].tolist(), psi, recorded
        )
        verdicts.append(stats.decide(one.lo, one.hi, margin))
        said.append(stats.chances(margin, psi, n, recorded).passes)
    assert verdicts.count("PASS") / times == pytest.approx(np.mean(said), abs=0.05)


def test_ratings_get_t_and_the_same_ratings_are_no_certainty():
    rng = np.random.default_rng(8)
    before, after = rng.integers(4, 10, 80) / 10, rng.integers(4, 10, 80) / 10
    found = stats.rerun_interval(before.tolist(), after.tolist(), 0.0, 2, bounds=(0.1, 1.0))
    half = t.ppf(0.95, 79) * scipy.stats.sem(after - before)
    assert found.hi - found.score == pytest.approx(100 * half)
    same = stats.rerun_interval([0.7] * 80, [0.7] * 80, 0.0, 2, bounds=(0.1, 1.0))
    assert same.lo == pytest.approx(-100 * 0.9 * norm.ppf(0.95) ** 2 / (80 + norm.ppf(0.95) ** 2))
    assert stats.rerun_interval([0.5], [0.5], 0.0, 1).lo == -100


@pytest.mark.parametrize(("n", "shift", "times"), [(1319, 0, 60), (13_985, 0, 5), (1319, 0.1, 60)])
def test_gate_from_item_verdicts_to_the_end(n, shift, times):
    """Reruns as recorded; then another rerun (never FAIL) or a worse model (always FAIL)."""
    rng = np.random.default_rng(n)
    verdicts = []
    for _ in range(times):
        recorded = reruns(rng, n, 3)
        psi = stats.flip_rate(as_maps(recorded))
        candidate = recorded[2] * (rng.random(n) >= shift)
        found = stats.rerun_interval(recorded[0].tolist(), candidate.tolist(), psi, 1)
        verdicts.append(stats.decide(found.lo, found.hi, stats.delta(psi, n)))
    assert verdicts.count("FAIL") == (times if shift else 0)
    assert verdicts.count("PASS") == 0 if shift else verdicts.count("PASS") > times / 10


# --- Published figures ----------------------------------------------------------------------------


def test_matches_published_by_hand():
    # 1 point of noise: 1.96, and 0.05 of rounding.
    assert stats.matches_published(66.0, 64.0, 1.0)
    assert stats.matches_published(62.0, 64.0, 1.0)
    assert not stats.matches_published(66.02, 64.0, 1.0)
    assert not stats.matches_published(64.1, 64.0, 0.0)
    assert stats.matches_published(78.4, 78.0, 0.0, rounding=0.5)
    # Of eight: z of 1 − 0.05/8, two-sided.
    assert stats.published_margin(1.0, of=8) == pytest.approx(0.05 + norm.ppf(1 - 0.05 / 16))


def test_eight_faultless_benchmarks_fail_in_5_percent():
    """27.5 % before, when each had 5 % for itself."""
    drawn = np.random.default_rng(3).normal(0, 1, (4000, 8))
    off = np.abs(drawn) > stats.published_margin(1.0, rounding=0, of=8)
    assert off.any(axis=1).mean() == pytest.approx(0.05, abs=0.012)
    alone = np.abs(drawn) > stats.published_margin(1.0, rounding=0)
    assert alone.any(axis=1).mean() > 0.3


def test_matches_published_takes_reruns_and_refuses_another_model():
    rng = np.random.default_rng(3)
    taken = {0.0: 0, 0.05: 0}
    for _ in range(300):
        runs = reruns(rng, 1319, 4)
        noise = 100 * stats.flip_sd(stats.flip_rate(as_maps(runs[:2])), 1319)
        published = round(100 * runs[2].mean(), 1)
        for shift in taken:
            score = 100 * (runs[3].mean() - shift)
            taken[shift] += stats.matches_published(score, published, noise)
    assert taken[0.0] / 300 >= 0.93
    assert taken[0.05] == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stats.flip_rate([{"x": 1}]), "1 run"),
        (lambda: stats.flip_rate([]), "0 run"),
        (lambda: stats.flip_rate([{}, {}]), "no values"),
        (lambda: stats.flip_rate([{"x": 1}, {"x": 1, "y": 0}]), "differ in 1 items, 'y'"),
        (lambda: stats.flip_rate([{"x": 1}, {"x": 7}]), "value 0 is 7.0"),
        (lambda: stats.flip_sd(1.5, 10), "psi is 1.5: .* from 0 to 1"),
        (lambda: stats.flip_sd(math.nan, 10), "psi is nan"),
        (lambda: stats.delta(0.1, 0), "0 items"),
        (lambda: stats.delta(0.1, 10, -1), "flip_sds is -1"),
        (lambda: stats.rerun_error(0.1, 10, 0), "0 recorded runs"),
        (lambda: stats.chances(-1, 0.1, 10, 1), "margin is -1"),
        (lambda: stats.chances(1, 0.1, 10, 1, loss=101), "loss is 101"),
        (lambda: stats.chances(1, 1.5, 10, 1), "psi is 1.5"),
        (lambda: stats.normal_chance(1, -1), "stderr is -1"),
        (lambda: stats.decide(math.nan, 1, 1), "interval from nan"),
        (lambda: stats.decide(1, 0, 1), "interval from 1 to 0"),
        (lambda: stats.decide(0, 1, -1), "margin is -1"),
        (lambda: stats.rerun_interval([1.0], [1.0, 1.0], 0.0, 1), "1 a but 2 b"),
        (lambda: stats.rerun_interval([1.0], [1.0], 0.0, 0), "0 recorded runs"),
        (lambda: stats.changes_interval([1.5]), "value 0 is 1.5"),
        (lambda: stats.changes_interval([1.0], 1.5), "confidence 1.5"),
        (lambda: stats.matches_published(math.nan, 60, 1), "score is nan"),
        (lambda: stats.matches_published(60, 60, -1), "noise is -1"),
        (lambda: stats.matches_published(60, 60, 1, rounding=-1), "rounding is -1"),
        (lambda: stats.published_margin(1, of=0), "0 figures"),
    ],
)
def test_impossible_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@given(st.floats(-5, 5), st.floats(0, 3), st.floats(0, 5))
def test_same_knows_no_sign_and_only_gains_from_a_wider_margin(difference, stderr, margin):
    verdict = normal(difference, stderr, margin)
    assert normal(-difference, stderr, margin) == verdict
    ladder = ["FAIL", "INCONCLUSIVE", "PASS"]
    for mode in ("same", "no-worse"):
        now, wider = (normal(difference, stderr, m, mode) for m in (margin, margin + 0.5))
        assert ladder.index(wider) >= ladder.index(now)
    assert ladder.index(normal(difference, stderr, margin, "no-worse")) >= ladder.index(verdict)
