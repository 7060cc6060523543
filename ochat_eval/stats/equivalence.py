"""The gate: whether a score is a rerun of a recorded or a published one, as pure functions.

What counts is the noise between reruns of one setting (batching and kernels change, greedy
answers flip), not the sampling error of the items, which both runs share. Fractions lie in 0…1,
points are 100 times that; each docstring says which. Input that cannot be right raises ValueError.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Literal

from ochat_eval.stats.checks import NOT_NEGATIVE, check_number, check_numbers, check_same_ids, mean
from ochat_eval.stats.interval import z_value

Verdict = Literal["PASS", "FAIL", "INCONCLUSIVE"]
FLOOR = 0.3
"""The least margin that the gate allows, in points."""
FLIP_SDS = 3.29
"""The margin in standard deviations of rerun noise, where that is more than the floor; `delta`."""


def flip_rate(reruns: Sequence[Mapping[str, float]]) -> float:
    """ψ, the rate at which verdicts flip between reruns of one setting. A fraction.

    The mean, over all pairs of reruns and all items, of (sᵢ − s'ᵢ)²: for 0/1 verdicts the share
    that differs. Squared, so that ψ/n is also right for ratings brought to 0…1 (divided by 10).

    Args:
        reruns: two or more runs, each id → value in 0…1.

    Raises:
        ValueError: fewer than two runs, other ids in one of them, a value outside 0…1.
    """
    if len(reruns) < 2:
        raise ValueError(f"{len(reruns)} run(s): flips between reruns need at least two")
    for run in reruns:
        check_same_ids(reruns[0], run)
        check_numbers(list(run.values()), (0.0, 1.0))
    return mean([mean([(a[i] - b[i]) ** 2 for i in a]) for a, b in combinations(reruns, 2)])


def flip_sd(psi: float, n: int) -> float:
    """Standard deviation √(ψ/n) of the score difference of two reruns over n items. A fraction.

    Items that flip independently, as often up as down: n differences of variance ψ, averaged.

    Args:
        psi: the flip rate, a fraction (`flip_rate`).
        n: number of items.

    Raises:
        ValueError: psi outside 0…1, or n < 1.
    """
    check_number("psi", psi, (0.0, 1.0))
    if n < 1:
        raise ValueError(f"{n} items: need at least one")
    return math.sqrt(psi / n)


def delta(psi: float, n: int, flip_sds: float = FLIP_SDS) -> float:
    """The gate's margin δ = max(0.3, flip_sds·100·√(ψ/n)), in points, for `equivalence`.

    3.29 = 2·z₀.₉₅ flip SDs: above the floor a faultless rerun then passes with the chance
    2Φ(3.29 − 1.645) − 1 = 90 % against one recorded run, and with 98.8 % against the mean of four
    (`rerun_error`), so that eight benchmarks pass together with 91 %. At 2 flip SDs, which is what
    the design began with, it would be 28 %, and 62 %: most faultless reruns would be INCONCLUSIVE.
    A true difference of δ passes with 5 % at most, whatever flip_sds is.

    Takes a fraction and a count, and raises, as `flip_sd` does; flip_sds must not be negative.
    """
    check_number("flip_sds", flip_sds, NOT_NEGATIVE)
    return max(FLOOR, flip_sds * 100 * flip_sd(psi, n))


def rerun_error(psi: float, n: int, recorded: int) -> float:
    """Standard error, in points, of a new run's score less the mean of the recorded ones.

    100·√(ψ/n)·√((1 + 1/R)/2) for R recorded runs of one setting: each run has half the variance of
    the difference of two (`flip_sd`), and their mean has 1/R of it.

    Raises:
        ValueError: as `flip_sd`, or recorded < 1.
    """
    if recorded < 1:
        raise ValueError(f"{recorded} recorded runs: need at least one")
    return 100 * flip_sd(psi, n) * math.sqrt((1 + 1 / recorded) / 2)


def pass_chance(margin: float, stderr: float, true: float = 0.0, alpha: float = 0.05) -> float:
    """The chance that `equivalence` says PASS of a run whose true difference is `true`.

    Φ((δ − true)/se − z) − Φ(z − (δ + true)/se), never below 0, z the normal quantile of 1 − alpha.
    margin, stderr and true in one unit.

    Raises:
        ValueError: as `equivalence`.
    """
    check_number("true", true)
    check_number("margin", margin, NOT_NEGATIVE)
    check_number("stderr", stderr, NOT_NEGATIVE)
    z = z_value(1 - 2 * alpha)
    if stderr == 0:
        return float(abs(true) <= margin)
    upper, lower = (margin - true) / stderr - z, z - (margin + true) / stderr
    return max(0.0, _normal_cdf(upper) - _normal_cdf(lower))


def _normal_cdf(x: float) -> float:
    return math.erfc(-x / math.sqrt(2)) / 2


def equivalence(
    difference: float, stderr: float | None, margin: float, alpha: float = 0.05
) -> Verdict:
    """Whether two scores are the same to within ±margin; all three in one unit (the gate: points).

    Two one-sided tests at level `alpha` (Schuirmann 1987): PASS if the 1 − 2·alpha interval of
    the difference (90 %) lies within ±margin; a true difference as large as the margin passes with
    the chance alpha at most. FAIL if it lies wholly outside. Else INCONCLUSIVE, and so where the
    error is None.

    Raises:
        ValueError: not finite, stderr or margin negative, alpha not between 0 and ½.
    """
    check_number("difference", difference)
    check_number("margin", margin, NOT_NEGATIVE)
    z = z_value(1 - 2 * alpha)
    if stderr is None:
        return "INCONCLUSIVE"
    check_number("stderr", stderr, NOT_NEGATIVE)
    half = z * stderr
    if abs(difference) + half <= margin:
        return "PASS"
    return "FAIL" if abs(difference) - half > margin else "INCONCLUSIVE"


def matches_published(
    score: float, published: float, psi: float, n: int, *, rounding: float = 0.05
) -> bool:
    """Whether a score can be a rerun of a published figure whose items are not at hand.

    |score − published| ≤ rounding + 1.96·100·√(ψ/n): the figure's rounding, then 95 % of the
    differences between reruns (`flip_sd`).

    Args:
        score, published: in points.
        psi: the flip rate, a fraction.
        n: number of items.
        rounding: half a unit of the published figure's last digit, in points; 0.05 for one
            decimal, 0.5 for a rating such as 7.8 counted as 78 points.

    Raises:
        ValueError: as `flip_sd`; a score or the rounding is negative or not finite.
    """
    for name, points in ("score", score), ("published", published), ("rounding", rounding):
        check_number(name, points, NOT_NEGATIVE)
    return abs(score - published) <= rounding + 1.96 * 100 * flip_sd(psi, n)
