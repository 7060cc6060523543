"""How far judges agree with people, and with each other: correlations with intervals, exact
agreement, Krippendorff's alpha.

Any units. The intervals of the correlations are tanh(atanh(r) ± z·√variance) with the variance
that each docstring names: approximate, and rough for few pairs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ochat_eval.stats.checks import check_numbers, check_same_length
from ochat_eval.stats.interval import Estimate, estimate
from ochat_eval.stats.quantiles import z_value

Level = Literal["nominal", "interval"]
"""How far apart two values are: 0 or 1, or their squared difference."""


@dataclass(frozen=True, slots=True)
class Correlation:
    """A correlation coefficient in -1…1 over `n` pairs, and its confidence interval."""

    value: float
    n: int
    lo: float
    hi: float


def pearson(x: Sequence[float], y: Sequence[float], confidence: float = 0.95) -> Correlation:
    """Pearson's r with Fisher's interval: atanh(r) has the variance 1/(n−3) (Fisher 1921).

    Any units. The interval assumes roughly normal pairs.

    Raises:
        ValueError: fewer than 5 pairs, lengths differ, one side is constant, a value not finite.
    """
    from scipy.stats import pearsonr

    return _correlation(x, y, confidence, pearsonr, lambda r, x, y: 1 / (len(x) - 3))


def spearman(x: Sequence[float], y: Sequence[float], confidence: float = 0.95) -> Correlation:
    """Spearman's ρ (ties share their mean rank); interval as Bonett & Wright 2000.

    atanh(ρ) has about the variance (1 + ρ²/2)/(n−3). Units and errors as `pearson`.
    """
    from scipy.stats import spearmanr

    return _correlation(x, y, confidence, spearmanr, lambda r, x, y: (1 + r * r / 2) / (len(x) - 3))


def kendall(x: Sequence[float], y: Sequence[float], confidence: float = 0.95) -> Correlation:
    """Kendall's τ-b, corrected for ties, with an interval that ties do not spoil.

    atanh(τ) has the variance of τ (Brown & Benedetti 1977, "ASE1") over (1−τ²)². Units and errors
    as `pearson`. Time grows with the square of the number of pairs.
    """
    from scipy.stats import kendalltau

    return _correlation(x, y, confidence, kendalltau, _kendall_variance)


def _kendall_variance(tau: float, x: Sequence[float], y: Sequence[float]) -> float:
    """The variance of atanh(τ-b), from what each pair adds to τ (its influence, mean 0)."""
    import numpy as np

    xs, ys = np.array(x), np.array(y)
    rows = []  # a pair's mean agreement with the others, and its share not tied in x and in y
    for a, b in zip(xs, ys, strict=True):
        dx, dy = np.sign(a - xs), np.sign(b - ys)
        rows.append(((dx * dy).mean(), (dx * dx).mean(), (dy * dy).mean()))
    agree, free_x, free_y = np.array(rows).T
    ties = free_x / free_x.mean() + free_y / free_y.mean()
    influence = agree / math.sqrt(free_x.mean() * free_y.mean()) - tau / 2 * ties
    return float(4 * (influence**2).sum() / len(x) ** 2 / (1 - tau**2) ** 2)


def agreement(x: Sequence[float], y: Sequence[float], confidence: float = 0.95) -> Estimate:
    """The share of pairs that are equal, a fraction, with the interval of `estimate`.

    Raises:
        ValueError: no pairs, the lengths differ, or a value is not finite.
    """
    check_same_length(x, y, "x", "y")
    pairs = zip(check_numbers(x), check_numbers(y), strict=True)
    return estimate([float(a == b) for a, b in pairs], confidence=confidence)


def krippendorff_alpha(units: Iterable[Sequence[float | None]], level: Level) -> float | None:
    """Krippendorff's α: 1 is full agreement, 0 what chance would give, below 0 is against it.

    α = 1 − (observed / expected disagreement) over all pairs of values of the same unit, each unit
    of m values weighted by 1/(m−1) (Krippendorff 2011, Computing Krippendorff's Alpha-Reliability).

    Args:
        units: for each unit the values that judges gave it, None where one gave none. Units with
            fewer than two values say nothing.
        level: how far apart two values are.

    Returns:
        None where it is not defined: fewer than two values, or all the same.

    Raises:
        ValueError: a value is not finite.
    """
    apart = _apart_nominal if level == "nominal" else _apart_interval
    pooled: list[float] = []
    observed = 0.0
    for unit in units:
        values = [value for value in unit if value is not None]
        if len(values) > 1:
            pooled += check_numbers(values)
            observed += apart(values) / (len(values) - 1)
    if len(set(pooled)) < 2:
        return None
    return 1 - observed * (len(pooled) - 1) / apart(pooled)


def _apart_nominal(values: Sequence[float]) -> float:
    """How many of the ordered pairs of values differ."""
    return len(values) ** 2 - sum(n * n for n in Counter(values).values())


def _apart_interval(values: Sequence[float]) -> float:
    """The squared differences of all ordered pairs of values, summed."""
    middle = math.fsum(values) / len(values)  # small numbers stay exact
    return 2 * len(values) * math.fsum((value - middle) ** 2 for value in values)


def _correlation(
    x: Sequence[float],
    y: Sequence[float],
    confidence: float,
    coefficient: Callable[[Sequence[float], Sequence[float]], Any],
    variance: Callable[[float, Sequence[float], Sequence[float]], float],
) -> Correlation:
    """scipy's coefficient, with the interval tanh(atanh(r) ± z·√variance(r, n))."""
    check_same_length(x, y, "x", "y")
    xs, ys, n = check_numbers(x), check_numbers(y), len(x)
    z = z_value(confidence)
    if n < 5:
        raise ValueError(f"{n} pairs: a correlation needs at least 5")
    if len(set(xs)) == 1 or len(set(ys)) == 1:
        raise ValueError("all values of one side are the same: no correlation is defined")
    r = max(-1.0, min(1.0, float(coefficient(xs, ys).statistic)))
    if abs(r) == 1:  # atanh would be infinite: no end but r itself
        return Correlation(r, n, r, r)
    half = z * math.sqrt(variance(r, xs, ys))
    return Correlation(r, n, math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half))
