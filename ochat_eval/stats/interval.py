"""The confidence interval of one score, and of an average of scores."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from ochat_eval.stats.checks import Bounds, check_number, check_numbers, check_same_length, mean
from ochat_eval.stats.errors import Spread, in_quadrature, spread
from ochat_eval.stats.quantiles import t_value, z_value


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over items, or a difference of two, and how far to trust it.

    All but `n` are in the unit of the values times the `scale` asked for.

    Attributes:
        score: the mean over the items.
        n: number of items.
        stderr: standard error of `score`; None where one item (or cluster) cannot tell.
        lo, hi: ends of the confidence interval.
    """

    score: float
    n: int
    stderr: float | None
    lo: float
    hi: float

    def figures(self) -> dict[str, Any]:
        """What summary.json has of it: `score`, `n`, `stderr` and `ci95`."""
        return {"score": self.score, "n": self.n, "stderr": self.stderr, "ci95": [self.lo, self.hi]}


def wilson(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The score interval of a proportion, as fractions: Wilson 1927, JASA 22:209.

    Raises:
        ValueError: not 0 ≤ successes ≤ n, n < 1, or the confidence not between 0 and 1.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n} items: need 0 <= successes <= n, n >= 1")
    lo, hi = _wilson(successes / n, n, confidence)
    # The exact ends are 0 and 1 there; rounding must not push them off.
    return 0.0 if successes == 0 else lo, 1.0 if successes == n else hi


def stratified_wilson(
    strata: Sequence[tuple[float, int, int]], confidence: float = 0.95
) -> tuple[float, float, float]:
    """A proportion over strata of which each was sampled by itself, and its interval.

    θ̂ = Σ w·p̂, its interval put together of each stratum's Wilson interval as in
    `average_interval` (for proportions: Zou, Huang & Zhang 2009, CSDA 53:1080). No
    finite-population correction.

    Args:
        strata: of each its weight, its share of the whole, and `successes` of `n` sampled.

    Returns:
        The proportion and the interval's ends, as fractions.

    Raises:
        ValueError: the weights do not add up to 1, or as `wilson`.
    """
    if abs(sum(weight for weight, _, _ in strata) - 1) > 1e-9:
        raise ValueError("the strata's weights must add up to 1")
    # Times their number, so that the plain average of the parts is the weighted one.
    shares = [len(strata) * weight for weight, _, _ in strata]
    ends = [wilson(successes, n, confidence) for _, successes, n in strata]
    rates = [successes / n for _, successes, n in strata]
    parts = [share * rate for share, rate in zip(shares, rates, strict=True)]
    low, high = average_interval(
        parts, [(share * lo, share * hi) for share, (lo, hi) in zip(shares, ends, strict=True)]
    )
    return mean(parts), max(0.0, low), min(1.0, high)


def unseen(value: float, n: float, confidence: float, bounds: Bounds) -> tuple[float, float]:
    """The interval of a mean where every item seen has one value: no spread is no certainty.

    Of n items that are all alike, a share up to z²/(n + z²) may be otherwise and yet unseen, which
    is Wilson's bound where it is 0 of n; these may lie at either end of the bounds. For verdicts
    that are all 0 or all 1 it is Wilson's interval. In the value's unit.

    Args:
        value: what they all are.
        n: how many independent items; need not be whole.
        confidence: between 0 and 1.
        bounds: the least and the greatest value possible.
    """
    z = z_value(confidence)
    share = z * z / (n + z * z)
    return value - share * (value - bounds[0]), value + share * (bounds[1] - value)


def interval(
    values: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
    *,
    strata: Sequence[Hashable] | None = None,
    bounds: Bounds = (0.0, 1.0),
) -> tuple[float, float]:
    """The confidence interval of the mean, in the values' unit; see `estimate` for the rules."""
    result = estimate(
        values, clusters=clusters, strata=strata, confidence=confidence, bounds=bounds
    )
    return result.lo, result.hi


def estimate(
    values: Sequence[float],
    *,
    clusters: Sequence[Hashable] | None = None,
    strata: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
    bounds: Bounds = (0.0, 1.0),
    scale: float = 1.0,
    fraction: float = 0.0,
) -> Estimate:
    """The mean over items with its standard error and interval.

    The error is `stratified_stderr`, `clustered_stderr` or `mean_stderr`, by what is given. The
    interval is

    - Wilson's for values in 0…1. Of independent 0/1 verdicts n is their number (strata could only
      narrow it). For clusters, and for an item's mean over several answers, it is the effective
      number s̄(1−s̄)/stderr² · (z/t)², of verdicts at most their number (Korn & Graubard 1998,
      Franco et al. 2019);
    - s̄ ± t·stderr, cut to `bounds`, for ratings, t with as many degrees of freedom as there are
      items (clusters) less strata;
    - `unseen` where all values are the same. Where one item (cluster) tells no error, nothing but
      `bounds` is known.

    Args:
        values: the items' values, all within `bounds`.
        clusters: for each item the name of its cluster; None for independent items.
        strata: for each item the name of its stratum; None for one stratum.
        confidence: between 0 and 1.
        bounds: the least and the greatest value possible, in the values' unit.
        scale: what the result is multiplied by: 100 turns fractions into points.
        fraction: which fraction of all items these are, 0 to below 1, drawn at random. 0: the
            interval holds the mean over further items of their kind. Else it holds the mean over
            all the items that they were drawn from, of which they are a known part: variances are
            multiplied by 1 − fraction (Cochran 1977, chapter 2).

    Raises:
        ValueError: as `stratified_stderr`, a value out of bounds, or such a fraction.
    """
    numbers = check_numbers(values, bounds)
    if not 0 <= fraction < 1:
        raise ValueError(f"fraction is {fraction}: need a number from 0 to below 1")
    found = spread(numbers, clusters, strata)
    lo, hi = _ends(numbers, found, clusters is not None, confidence, bounds, 1 - fraction)
    stderr = None if found.stderr is None else found.stderr * math.sqrt(1 - fraction)
    return scaled(Estimate(mean(numbers), len(numbers), stderr, lo, hi), scale)


def _ends(
    numbers: Sequence[float],
    found: Spread,
    clustered: bool,
    confidence: float,
    bounds: Bounds,
    left: float,
) -> tuple[float, float]:
    """The interval of `estimate`; `left` is the part of the variance that is not known."""
    center, kinds = mean(numbers), set(numbers)
    verdicts = bounds == (0, 1) and kinds <= {0.0, 1.0}
    if len(kinds) == 1 and (verdicts or found.stderr is not None):
        return unseen(center, found.units / left, confidence, bounds)
    if verdicts and not clustered:
        return _wilson(center, len(numbers) / left, confidence)
    if found.stderr is None:
        return bounds
    if bounds == (0, 1):
        n = float(found.units)
        if found.stderr > 0:
            n = center * (1 - center) / found.stderr**2
            n *= (z_value(confidence) / t_value(confidence, found.df)) ** 2
            n = min(n, len(numbers)) if verdicts else n
        return _wilson(center, n / left, confidence)
    if found.stderr == 0:
        return unseen(center, found.units / left, confidence, bounds)
    half = t_value(confidence, found.df) * found.stderr * math.sqrt(left)
    return max(bounds[0], center - half), min(bounds[1], center + half)


def average_interval(
    scores: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    together: Sequence[Hashable] | None = None,
) -> tuple[float, float]:
    """The interval of the plain average of m scores, from their own (MOVER: Zou & Donner 2008).

    Below, √Σ(score − lo)²/m, and above, √Σ(hi − score)²/m from the average: where a score's
    interval is not symmetric, as near 0, the average's is neither. In the scores' unit.

    Args:
        scores, intervals: the columns' scores and the ends of their intervals.
        together: as in `average_stderr`: the distances of columns of the same questions are added.

    Raises:
        ValueError: no scores, the two differ in length, or a score outside its interval.
    """
    check_same_length(scores, intervals, "scores", "intervals")
    center = mean(check_numbers(scores))
    pairs = list(zip(scores, intervals, strict=True))
    for score, (lo, hi) in pairs:
        rounding = 1e-9 * (abs(lo) + abs(hi))
        check_number("score", score, (lo - rounding, hi + rounding))
    below = in_quadrature([max(0.0, score - lo) for score, (lo, _) in pairs], together)
    above = in_quadrature([max(0.0, hi - score) for score, (_, hi) in pairs], together)
    return center - below / len(scores), center + above / len(scores)


def _wilson(p: float, n: float, confidence: float) -> tuple[float, float]:
    """Wilson's interval of the share p; n need not be whole."""
    z = z_value(confidence)
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def scaled(e: Estimate, scale: float) -> Estimate:
    """The estimate in another unit."""
    if not 0 < scale < math.inf:
        raise ValueError(f"scale {scale}: need a positive number")
    stderr = None if e.stderr is None else e.stderr * scale
    return Estimate(e.score * scale, e.n, stderr, e.lo * scale, e.hi * scale)
