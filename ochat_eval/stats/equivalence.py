"""The gate: whether a score is a rerun of a recorded one, or no worse, as pure functions.

What counts is the noise between reruns of one setting (batching and kernels change, greedy
answers flip), not the sampling error of the items, which both runs share. Fractions lie in 0…1,
points are 100 times that; each docstring says which. Input that cannot be right raises ValueError.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations
from typing import Literal

from ochat_eval.stats.checks import (
    NOT_NEGATIVE,
    Bounds,
    check_number,
    check_numbers,
    check_same_ids,
    mean,
)
from ochat_eval.stats.interval import Estimate, scaled
from ochat_eval.stats.paired import paired
from ochat_eval.stats.quantiles import z_value
from ochat_eval.stats.rare import changes_interval

Verdict = Literal["PASS", "FAIL", "INCONCLUSIVE"]
Mode = Literal["same", "no-worse"]
"""What is asked: is it the recorded run again, or is it no worse than that?"""
FLOOR = 0.3
"""The least margin that the gate takes by itself, in points."""
FLIP_SDS = 3.29
"""The margin in standard deviations of rerun noise, where that is more than the floor; `delta`."""
CONFIDENCE = 0.9
"""Of the gate's interval: each of its ends is beyond the truth with 5 % at most."""


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
    """The gate's margin δ = max(0.3, flip_sds·100·√(ψ/n)), in points.

    3.29 = 2·z₀.₉₅ flip SDs: where flips are many and the margin is above the floor, a faultless
    rerun then passes with the chance 2Φ(3.29 − 1.645) − 1 = 90 % against one recorded run, and
    with 98.8 % against the mean of four (`rerun_error`); `chances` says what it is where they are
    few. A true difference of δ passes with 5 % at most, whatever flip_sds is.

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


def rerun_interval(
    recorded: Sequence[float],
    new: Sequence[float],
    psi: float,
    runs: int,
    *,
    clusters: Sequence[Hashable] | None = None,
    strata: Sequence[Hashable] | None = None,
    bounds: Bounds | None = None,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """A new run's score less the recorded one, in points, with the gate's 90 % interval.

    Each end is the furthest of: that of `paired`; that of `changes_interval`, for verdicts and
    their means over several answers, so that few items, or few changes, are never taken for
    certainty; and z₀.₉₅ `rerun_error`s, for that the noise did not show in this run does
    not say it is not there.
    A look at a run that goes on takes another confidence (`look_confidences`).

    Args:
        recorded: the items' means over the recorded runs, fractions.
        new: their values in the new run, in the same order.
        psi: the flip rate between recorded runs, a fraction; 0 where it is not known.
        runs: how many recorded runs there are.
        clusters, strata: as in `paired`.
        bounds: of an item's rating, within 0…1; None: of verdicts and their means.
        confidence: of the interval.

    Raises:
        ValueError: as `paired` and `rerun_error`.
    """
    found = paired(
        recorded, new, clusters, strata=strata, confidence=confidence, bounds=bounds or (0.0, 1.0)
    )
    half = z_value(confidence) * rerun_error(psi, len(new), runs) / 100
    if found.stderr is None:
        return scaled(found, 100)
    lows, highs = [found.lo, found.score - half], [found.hi, found.score + half]
    if bounds is None:
        low, high = changes_interval(
            [y - x for x, y in zip(recorded, new, strict=True)], confidence, clusters=clusters
        )
        lows.append(low)
        highs.append(high)
    return scaled(Estimate(found.score, found.n, found.stderr, min(lows), max(highs)), 100)


def decide(lo: float, hi: float, margin: float, mode: Mode = "same") -> Verdict:
    """What the interval of a difference (new less recorded) says of a margin; all in one unit.

    `same`: PASS if the 90 % interval lies within ±margin (two one-sided tests at 5 %, Schuirmann
    1987), FAIL if it lies wholly outside. `no-worse`: PASS if it lies above −margin (the
    one-sided test of non-inferiority, CPMP 2000), FAIL if it lies wholly below. Else INCONCLUSIVE.
    A true difference as large as the margin passes with 5 % at most.

    Raises:
        ValueError: an end or the margin is NaN, lo > hi, or the margin is negative.
    """
    check_number("margin", margin, NOT_NEGATIVE)
    if not lo <= hi:
        raise ValueError(f"an interval from {lo} to {hi}")
    if lo >= -margin and (mode == "no-worse" or hi <= margin):
        return "PASS"
    if hi < -margin or (mode == "same" and lo > margin):
        return "FAIL"
    return "INCONCLUSIVE"


def matches_published(
    score: float, published: float, noise: float, *, rounding: float = 0.05, of: int = 1
) -> bool:
    """Whether a score can be a rerun of a published figure whose items are not at hand.

    |score − published| ≤ `published_margin`. All in points.

    Args:
        score, published: the run's score and the figure.
        noise, rounding, of: as in `published_margin`.

    Raises:
        ValueError: a score is negative or not finite, or as `published_margin`.
    """
    for name, points in ("score", score), ("published", published):
        check_number(name, points, NOT_NEGATIVE)
    return abs(score - published) <= published_margin(noise, rounding=rounding, of=of)


def published_margin(noise: float, *, rounding: float = 0.05, of: int = 1) -> float:
    """How far from a published figure a rerun may lie, in points: rounding + z·noise.

    z is the two-sided normal quantile at 1 − 0.05/m for m figures that are judged together
    (Bonferroni; Dunn 1961): at 1.96 each, one of eight faultless ones would be off in a third of
    all cases.

    Args:
        noise: the standard deviation of the difference of two reruns, in points
            (100·`flip_sd`).
        rounding: half a unit of the published figure's last digit, in points.
        of: m.

    Raises:
        ValueError: noise or rounding negative or not finite, or of < 1.
    """
    check_number("noise", noise, NOT_NEGATIVE)
    check_number("rounding", rounding, NOT_NEGATIVE)
    if of < 1:
        raise ValueError(f"{of} figures: need at least one")
    return rounding + z_value(1 - 0.05 / of) * noise
