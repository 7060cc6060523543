"""Two runs on the same items: their difference with its interval, and what flipped."""

from __future__ import annotations

import math
import operator
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ochat_eval.stats.checks import (
    Bounds,
    added,
    check_numbers,
    check_same_ids,
    check_same_length,
    mean,
)
from ochat_eval.stats.errors import Spread, spread
from ochat_eval.stats.interval import Estimate, scaled, unseen
from ochat_eval.stats.quantiles import t_value, z_value


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
    """The mean of bᵢ − aᵢ over the same items, with its error and interval; above 0: b is better.

    The `contrast` of two runs, by −1 and 1.

    Args:
        a, b: the two runs' values, item by item in the same order, within `bounds`.
        clusters, strata, confidence, scale: as in `estimate`.
        bounds: the least and the greatest value of an item; the interval is cut to ± their
            distance.

    Raises:
        ValueError: as `estimate`, or a and b differ in length.
    """
    check_same_length(a, b, "a", "b")
    return contrast(
        (a, b), (-1.0, 1.0), clusters, strata=strata,
        confidence=confidence, bounds=bounds, scale=scale,
    )  # fmt: skip


def contrast(
    runs: Sequence[Sequence[float]],
    weights: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    *,
    strata: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
    bounds: Bounds = (0.0, 1.0),
    scale: float = 1.0,
) -> Estimate:
    """The mean over items of Σ wₖ·(value in run k), with its error and interval.

    Miller 2024: the error is that of the items' own contrasts, by `mean_stderr`,
    `clustered_stderr` or `stratified_stderr`. Of 0/1 verdicts it is never below Bonett & Price's
    (2012), which counts one more gain and one more loss over two more items: runs that agree on
    every item are not known to be the same. Their interval lies around Σ/(n + 2), as theirs does;
    that of ratings and of clusters is Student's t; equal contrasts get that of `unseen`.

    Args:
        runs: the values of each run, item by item in the same order, within `bounds`.
        weights: one a run; they add up to 0.
        clusters, strata, confidence, scale: as in `estimate`.
        bounds: the least and the greatest value of an item; the interval is cut to what the
            contrast can be.

    Raises:
        ValueError: as `estimate`; the runs differ in length or number from what they must have;
            the weights do not add up to 0, or are all 0.
    """
    check_same_length(runs, weights, "runs", "weights")
    size = math.fsum(map(abs, check_numbers(weights)))
    if size == 0 or abs(math.fsum(weights)) > 1e-9 * size:
        raise ValueError(f"weights {list(weights)}: need some that add up to 0")
    for other in runs[1:]:
        check_same_length(runs[0], other, "values", "values of another run")
    numbers = [check_numbers(run, bounds) for run in runs]
    items = zip(*numbers, strict=True)
    values = [added(list(map(operator.mul, weights, item))) for item in items]
    most = (bounds[1] - bounds[0]) * size / 2  # of an item that goes from one end to the other
    center, n = mean(values), len(values)
    found = spread(values, clusters, strata)
    if found.stderr is None:
        return scaled(Estimate(center, n, None, -most, most), scale)
    if bounds == (0, 1) and all(set(run) <= {0.0, 1.0} for run in numbers):
        # Without a spread nothing tells how clusters hang together: they count as one item each.
        units = n if found.stderr else found.units
        share = units / n
        squares = share * math.fsum(x * x for x in values)
        stderr = max(found.stderr, bonett_price(share * math.fsum(values), squares, units, most))
        middle = center * units / (units + 2)
        half = _reach(found, clusters is not None, confidence) * stderr
        lo, hi = min(center, middle - half), max(center, middle + half)
    elif found.stderr > 0:
        stderr = found.stderr
        half = t_value(confidence, found.df) * stderr
        lo, hi = center - half, center + half
    else:
        stderr = 0.0
        lo, hi = unseen(center, found.units, confidence, (-most, most))
    return scaled(Estimate(center, n, stderr, max(-most, lo), min(most, hi)), scale)


def _reach(found: Spread, clustered: bool, confidence: float) -> float:
    return t_value(confidence, found.df) if clustered else z_value(confidence)


def bonett_price(total: Any, squares: Any, n: int, most: float = 1.0) -> Any:
    """The error of a mean contrast with a gain and a loss more: Bonett & Price 2012, eq. 6.

    Of differences of 0/1 verdicts theirs, √((p̃₁ + p̃₂ − (p̃₁ − p̃₂)²)/(n + 2)) with
    p̃ = (count + 1)/(n + 2).

    Args:
        total, squares: the sums of the contrasts and of their squares; numbers, or arrays of them.
        n: of how many independent items.
        most: the largest contrast that an item can have.
    """
    return ((squares + 2 * most**2 - total**2 / (n + 2)) ** 0.5) / (n + 2)


def flips(a: Mapping[str, float], b: Mapping[str, float]) -> Flips:
    """The ids whose value differs between run a and run b (id → value, any unit).

    Raises:
        ValueError: the two runs do not have the same ids, have none, or a value is not finite.
    """
    check_same_ids(a, b)
    check_numbers([*a.values(), *b.values()])
    return Flips(
        gained=tuple(id_ for id_ in a if added((b[id_], -a[id_])) > 0),
        lost=tuple(id_ for id_ in a if added((b[id_], -a[id_])) < 0),
    )
