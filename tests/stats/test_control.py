"""Earlier runs as controls: the interval holds, and is as much narrower as the pairs know."""

from __future__ import annotations

import numpy as np
import pytest

from ochat_eval import stats


def drawn(rng, psi: float, controls: int, n: int = 200, of: int = 1319, rounds: int = 600):
    """Coverage, and how many times more items the score alone would need."""
    held, ratios = 0, []
    for _ in range(rounds):
        base = (rng.random(of) < 0.6).astype(float)
        runs = [np.where(rng.random(of) < psi, 1 - base, base) for _ in range(controls)]
        new = np.where(rng.random(of) < psi, 1 - base, base)
        places = rng.choice(of, n, replace=False)
        found = stats.controlled(
            new[places].tolist(),
            [run[places].tolist() for run in runs],
            [run.mean() for run in runs],
            of,
        )
        alone = stats.estimate(new[places].tolist(), fraction=n / of)
        held += found.lo <= new.mean() <= found.hi
        ratios.append((alone.stderr / found.stderr) ** 2)
    return held / rounds, float(np.mean(ratios))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("psi", "controls", "gain"), [(0.025, 1, 5.0), (0.05, 1, 2.6), (0.05, 4, 4)]
)
def test_it_covers_with_fewer_items(psi, controls, gain):
    covered, ratio = drawn(np.random.default_rng(1), psi, controls)
    assert 0.92 < covered < 0.98
    assert ratio == pytest.approx(gain, rel=0.2)


def test_one_control_is_the_textbooks_line():
    rng = np.random.default_rng(0)
    x, noise = rng.random(50), rng.normal(0, 0.05, 50)
    y = np.clip(0.2 + 0.5 * x + noise, 0, 1)
    found = stats.controlled(y.tolist(), [x.tolist()], [0.55], 10**9, bounds=(-1.0, 2.0))
    slope = np.polyfit(x, y, 1)[0]
    assert found.score == pytest.approx(y.mean() + slope * (0.55 - x.mean()))
    residuals = y - np.polyval(np.polyfit(x, y, 1), x)
    assert found.stderr == pytest.approx(np.sqrt((residuals**2).sum() / 48 / 50))


def test_agreeing_on_every_item_drawn_is_no_certainty_and_all_items_are():
    values = [1.0, 0.0] * 50
    found = stats.controlled(values, [values], [0.6], 1000)
    assert found.score == pytest.approx(0.6) and found.hi - found.lo > 0.04
    whole = stats.controlled(values, [values], [0.5], 100)
    assert (whole.lo, whole.hi) == (0.5, 0.5)


def test_what_other_answers_would_say_is_in_the_interval():
    """1,000 of 1,319 items, four answers each: it held the expected score in 74 %."""
    rng, held, of, n = np.random.default_rng(6), 0, 1319, 1000
    for _ in range(200):
        expected = rng.beta(1, 1, of)
        base, new = (rng.binomial(4, expected) / 4 for _ in range(2))
        places = rng.choice(of, n, replace=False)
        values = new[places]
        squares = 4 * values * (1 - values)  # of four verdicts, around their mean
        answers = stats.sampling_parts(0.01, squares.tolist(), 4, n).answers
        found = stats.controlled(
            values.tolist(), [base[places].tolist()], [base.mean()], of, answers=answers
        )
        held += found.lo <= expected.mean() <= found.hi
    assert held >= 184


def test_a_control_that_knows_nothing_changes_nothing():
    values = [1.0, 1.0, 0.0, 1.0] * 25
    found = stats.controlled(values, [[0.5] * 100], [0.5], 10**9)
    assert found.score == pytest.approx(0.75)
    # Bonett & Price's is a little above it.
    assert found.stderr == pytest.approx(stats.estimate(values).stderr, rel=0.03)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0] * 9, [], [], 9), "0 controls"),
        (([1.0, 0.0], [[1.0, 0.0]], [0.5], 9), "2 of 9 items"),
        (([1.0] * 9, [[1.0] * 9], [0.5], 8), "9 of 8 items"),
        (([1.0] * 9, [[1.0] * 8], [0.5], 9), "of a control"),
        (([1.0] * 9, [[1.0] * 9], [0.5, 0.5], 9), "means"),
        (([1.0] * 9, [[1.0] * 9], [1.5], 9), "1.5"),
    ],
)
def test_what_cannot_be_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        stats.controlled(*arguments)
