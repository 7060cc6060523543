"""ochat_eval.stats.equivalence: by hand, against statsmodels, and by simulated reruns."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from ochat_eval import stats


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


@pytest.mark.parametrize("true", [0.0, 0.4, -0.4, 1.0])
@pytest.mark.parametrize("sds", [1.0, 2.0, 3.29])
def test_pass_chance_is_what_equivalence_does(true, sds):
    rng = np.random.default_rng(5)
    se, n = 0.3, 4000
    passed = [stats.equivalence(d, se, sds * se) == "PASS" for d in rng.normal(true, se, n)]
    assert stats.pass_chance(sds * se, se, true) == pytest.approx(np.mean(passed), abs=0.025)


def test_pass_chance_without_noise():
    assert stats.pass_chance(0.3, 0.0) == 1.0
    assert stats.pass_chance(0.3, 0.0, 0.31) == 0.0


@pytest.mark.slow
@pytest.mark.parametrize(("sds", "least", "most"), [(2.0, 0.5, 0.72), (stats.FLIP_SDS, 0.95, 1.0)])
def test_the_margin_lets_faultless_reruns_pass_and_no_loss_as_large_as_itself(sds, least, most):
    """Four recorded runs, then another: as good, or worse by the margin (size 5 %)."""
    rng = np.random.default_rng(6)
    n, recorded, times, passed = 1319, 4, 400, {0.0: 0, 1.0: 0}
    for _ in range(times):
        runs = reruns(rng, n, recorded + 1, unstable=0.2)
        psi = stats.flip_rate(as_maps(runs[:recorded]))
        margin = stats.delta(psi, n, sds)
        for share in passed:
            broken = rng.random(n) < share * margin / 100 / runs[-1].mean()
            found = stats.paired(runs[:recorded].mean(axis=0), runs[-1] * ~broken, scale=100)
            error = max(found.stderr, stats.rerun_error(psi, n, recorded))
            passed[share] += stats.equivalence(found.score, error, margin) == "PASS"
    assert least <= passed[0.0] / times <= most
    assert passed[1.0] / times <= 0.07


@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_equivalence_is_the_two_one_sided_tests(alpha):
    from statsmodels.stats.weightstats import ztost

    rng = np.random.default_rng(1)
    seen = set()
    for center in np.linspace(-2, 2, 41):
        x = rng.normal(center, 1, 30)
        x += center - x.mean()
        stderr = x.std(ddof=1) / math.sqrt(30)
        (p, _, _) = ztost(x, -0.8, 0.8)
        verdict = stats.equivalence(x.mean(), stderr, 0.8, alpha)
        assert (verdict == "PASS") == (p <= alpha)
        beyond = norm.sf((abs(center) - 0.8) / stderr)  # the one-sided test that it is outside
        assert (verdict == "FAIL") == (beyond < alpha)
        seen.add(verdict)
    assert seen == {"PASS", "FAIL", "INCONCLUSIVE"}


def test_equivalence_at_the_edges():
    assert stats.equivalence(0.3, 0.0, 0.3) == "PASS"
    assert stats.equivalence(-0.31, 0.0, 0.3) == "FAIL"
    assert stats.equivalence(0.0, None, 0.3) == "INCONCLUSIVE"


@pytest.mark.parametrize(("sds", "power"), [(2, 0.277), (3, 0.825), (3.3, 0.902)])
def test_equivalence_size_at_the_margin_and_power_at_no_difference(sds, power):
    rng = np.random.default_rng(2)
    se, margin, n = 0.25, 0.25 * sds, 4000
    for true in (margin, -margin):
        drawn = rng.normal(true, se, n)
        verdicts = [stats.equivalence(d, se, margin) for d in drawn]
        assert verdicts.count("PASS") / n == pytest.approx(0.05, abs=0.012)
        assert verdicts.count("FAIL") / n == pytest.approx(0.05, abs=0.012)
    verdicts = [stats.equivalence(d, se, margin) for d in rng.normal(0, se, n)]
    assert verdicts.count("PASS") / n == pytest.approx(power, abs=0.02)
    assert verdicts.count("FAIL") / n < 0.002


@pytest.mark.parametrize(("n", "shift", "times"), [(1319, 0, 60), (13_985, 0, 15), (1319, 0.1, 60)])
def test_gate_from_item_verdicts_to_the_end(n, shift, times):
    """Reruns as recorded; then another rerun (never FAIL) or a worse model (always FAIL)."""
    rng = np.random.default_rng(n)
    verdicts = []
    for _ in range(times):
        recorded = reruns(rng, n, 3)
        margin = stats.delta(stats.flip_rate(as_maps(recorded)), n)
        candidate = recorded[2] * (rng.random(n) >= shift)
        result = stats.paired(recorded[0], candidate, scale=100)
        verdicts.append(stats.equivalence(result.score, result.stderr, margin))
    assert verdicts.count("FAIL") == (times if shift else 0)
    assert verdicts.count("PASS") == 0 if shift else verdicts.count("PASS") > times / 10


def test_matches_published_by_hand():
    # √(0.02/200) = 0.01: 1.96 points, and 0.05 of rounding.
    assert stats.matches_published(66.0, 64.0, 0.02, 200)
    assert stats.matches_published(62.0, 64.0, 0.02, 200)
    assert not stats.matches_published(66.02, 64.0, 0.02, 200)
    assert not stats.matches_published(64.1, 64.0, 0.0, 200)
    assert stats.matches_published(78.4, 78.0, 0.0, 160, rounding=0.5)


def test_matches_published_takes_reruns_and_refuses_another_model():
    rng = np.random.default_rng(3)
    taken = {0.0: 0, 0.05: 0}
    for _ in range(300):
        runs = reruns(rng, 1319, 4)
        psi = stats.flip_rate(as_maps(runs[:2]))
        published = round(100 * runs[2].mean(), 1)
        for shift in taken:
            score = 100 * (runs[3].mean() - shift)
            taken[shift] += stats.matches_published(score, published, psi, 1319)
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
        (lambda: stats.pass_chance(1, -1), "stderr is -1"),
        (lambda: stats.pass_chance(1, 1, math.inf), "true is inf"),
        (lambda: stats.equivalence(math.nan, 1, 1), "difference is nan"),
        (lambda: stats.equivalence(0, -1, 1), "stderr is -1"),
        (lambda: stats.equivalence(0, 1, -1), "margin is -1"),
        (lambda: stats.equivalence(0, 1, 1, alpha=0.5), "not between"),
        (lambda: stats.matches_published(math.nan, 60, 0.1, 10), "score is nan"),
        (lambda: stats.matches_published(60, 60, 2.0, 10), "psi is 2.0"),
        (lambda: stats.matches_published(60, 60, 0.1, 10, rounding=-1), "rounding is -1"),
    ],
)
def test_impossible_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@given(st.floats(-5, 5), st.floats(0, 3), st.floats(0, 5))
def test_equivalence_knows_no_sign_and_only_gains_from_a_wider_margin(difference, stderr, margin):
    verdict = stats.equivalence(difference, stderr, margin)
    assert stats.equivalence(-difference, stderr, margin) == verdict
    ladder = ["FAIL", "INCONCLUSIVE", "PASS"]
    wider = stats.equivalence(difference, stderr, margin + 0.5)
    assert ladder.index(wider) >= ladder.index(verdict)
