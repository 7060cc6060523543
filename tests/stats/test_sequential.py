"""Looks at a run that goes on: what each takes, and that all together err as rarely as they say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from ochat_eval import stats

SHARES = [k / 20 for k in range(1, 21)]


def widths(shares, confidence=0.9):
    """Of each look's interval, in standard errors."""
    return np.array([norm.isf((1 - c) / 2) for c in stats.look_confidences(shares, confidence)])


def test_one_look_is_the_ordinary_interval_and_the_first_spends_its_part():
    assert stats.look_confidences([1.0], 0.9) == pytest.approx([0.9])
    first, last = widths([0.5, 1.0])
    assert first == pytest.approx(norm.isf(0.05 / 4)) and last > norm.isf(0.05)


def test_two_looks_are_the_bivariate_normals():
    """P(not beyond at ½ and not beyond at 1) = 1 − 5 %: the correlation of the two is √½."""
    from scipy.stats import multivariate_normal

    inside = multivariate_normal(cov=[[1, 0.5**0.5], [0.5**0.5, 1]]).cdf(widths([0.5, 1.0]))
    assert inside == pytest.approx(0.95, abs=1e-5)


@pytest.mark.parametrize("shares", [SHARES, [0.03, 0.2, 0.21, 0.9, 1.0], [0.4, 0.7]])
def test_any_look_beyond_its_end_is_as_rare_as_was_spent(shares):
    rng = np.random.default_rng(0)
    steps = np.sqrt(np.diff([0.0, *shares]))
    paths = np.cumsum(rng.normal(0, 1, (200_000, len(shares))) * steps, axis=1)
    beyond = (paths / np.sqrt(shares) > widths(shares)).any(axis=1).mean()
    assert beyond == pytest.approx(0.05 * shares[-1] ** 2, abs=0.002)


@pytest.mark.parametrize("shares", [[], [0.0, 1.0], [0.5, 0.5], [0.5, 0.2], [0.5, 1.1]])
def test_looks_that_cannot_be_are_refused(shares):
    with pytest.raises(ValueError):
        stats.look_confidences(shares)


@pytest.mark.parametrize("confidence", [0.0, 1.0])
def test_a_confidence_that_cannot_be_is_refused(confidence):
    with pytest.raises(ValueError, match="not between 0 and 1"):
        stats.look_confidences([0.5, 1.0], confidence)
