"""Two runs on the same items: their difference, its test, and what flipped."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from ochat_eval.stats.checks import (
    NOT_NEGATIVE,
    Bounds,
    check_number,
    check_numbers,
    check_same_ids,
    check_same_length,
    mean,
)
from ochat_eval.stats.interval import (
    Estimate,
    normal_interval,
    quantile,
    scaled,
    standard_error,
    z_value,
)


@dataclass(frozen=True, slots=True)
class Flips:
    """The items whose value changed from one run to another, in the first run's order.

    Attributes:
        gained: ids whose value rose (wrong, then right).
        lost: ids whose value fell (right, then wrong).
    """

    gained: tuple[str, ...]
    lost: tuple[str, ...]


def paired(
    a: Sequence[float],
    b: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    *,
    strata: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
    bounds: Bounds = (0.0, 1.0),
    scale: float = 1.0,
) -> Estimate:
    """The mean of bᵢ − aᵢ over the same items, with its error and normal interval.

    Miller 2024: the error is that of the differences, by `mean_stderr`, `clustered_stderr` or
    `stratified_stderr`. Above 0: b is better. Two runs that agree on every item give an error of
    0: no noise was seen, which for few items says little.

    Args:
        a, b: the two runs' values, item by item in the same order, within `bounds`.
        clusters, strata, confidence, scale: as in `estimate`.
        bounds: the least and the greatest value of an item; the interval is cut to ± their
            distance.

    Raises:
        ValueError: as `estimate`, or a and b differ in length.
    """
    check_same_length(a, b, "a", "b")
    pairs = zip(check_numbers(a, bounds), check_numbers(b, bounds), strict=True)
    differences = [y - x for x, y in pairs]
    difference = mean(differences)
    stderr = standard_error(differences, clusters, strata)
    width = bounds[1] - bounds[0]
    lo, hi = normal_interval(difference, stderr, confidence, (-width, width))
    return scaled(Estimate(difference, len(differences), stderr, lo, hi), scale)


def normal_test(difference: float, stderr: float) -> float:
    """Two-sided p-value of "no difference", from a paired difference and its error (same unit).

    2·(1 − Φ(|difference|/stderr)). For what `mcnemar_exact` cannot do: ratings and clusters.

    Raises:
        ValueError: not finite, or an error of 0 beside a difference, which no test can judge.
    """
    check_number("difference", difference)
    check_number("stderr", stderr, NOT_NEGATIVE)
    if difference == 0:
        return 1.0
    if stderr == 0:
        raise ValueError(f"a difference of {difference} with a standard error of 0: no test")
    return math.erfc(abs(difference) / stderr / math.sqrt(2))


def mcnemar_exact(n01: int, n10: int) -> float:
    """Two-sided p-value of "both runs are as good", from the 0/1 items on which they differ.

    McNemar 1947 in its exact form: n01 is Binomial(n01 + n10, ½), p = min(1, 2·P(X ≤ min)).
    Whole-number arithmetic, so exact. 1 where nothing differs. Clusters are not allowed for.

    Args:
        n01: items wrong in the first run and right in the second.
        n10: items right in the first run and wrong in the second.

    Raises:
        ValueError: a negative count.
    """
    if n01 < 0 or n10 < 0:
        raise ValueError(f"counts of flips must not be negative: {n01}, {n10}")
    n = n01 + n10
    term = tail = 1  # C(n, 0)
    for i in range(min(n01, n10)):
        term = term * (n - i) // (i + 1)
        tail += term
    return min(1.0, 2 * tail / (1 << n))


def flips(a: Mapping[str, float], b: Mapping[str, float]) -> Flips:
    """The ids whose value differs between run a and run b (id → value, any unit).

    Raises:
        ValueError: the two runs do not have the same ids, have none, or a value is not finite.
    """
    check_same_ids(a, b)
    check_numbers([*a.values(), *b.values()])
    return Flips(
        gained=tuple(id_ for id_ in a if b[id_] > a[id_]),
        lost=tuple(id_ for id_ in a if b[id_] < a[id_]),
    )


def minimum_detectable_effect(stderr: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """The true difference that a two-sided test at `alpha` finds with the chance `power`.

    (z_{1−α/2} + z_{power})·stderr, in the unit of `stderr` (of the paired difference): Miller
    2024, the sample-size formula solved for the effect.

    Raises:
        ValueError: a negative error; alpha or power not between 0 and 1.
    """
    check_number("stderr", stderr, NOT_NEGATIVE)
    return (z_value(1 - alpha) + quantile(power)) * stderr
