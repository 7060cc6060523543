"""The score of a sample of items, told better by earlier runs that answered all of them."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

from ochat_eval.stats.checks import Bounds, check_numbers, check_same_length
from ochat_eval.stats.errors import spread
from ochat_eval.stats.interval import Estimate
from ochat_eval.stats.paired import bonett_price
from ochat_eval.stats.quantiles import t_value

if TYPE_CHECKING:
    import numpy as np


def controlled(
    values: Sequence[float],
    controls: Sequence[Sequence[float]],
    means: Sequence[float],
    of: int,
    clusters: Sequence[Hashable] | None = None,
    *,
    strata: Sequence[Hashable] | None = None,
    bounds: Bounds = (0.0, 1.0),
    answers: float = 0.0,
) -> Estimate:
    """The mean over all items, of which some were drawn at random, with its 95 % interval.

    The regression estimator ȳ + Σ λₖ·(mean of control k over all items − over those drawn), λ by
    least squares (Cochran 1977, chapter 7; PPI++, Angelopoulos et al. 2023). Its error is that of
    the residuals, over items or clusters, with the finite-population correction and n less one
    and the controls as degrees of freedom. Of 0/1 verdicts it is never below that of one more gain
    and one more loss (`bonett_price`): where run and control agree on each item drawn, they need
    not on all.

    Args:
        values: of the items drawn, within `bounds`.
        controls: of each earlier run the values of the same items, in the same order.
        means: of each earlier run the mean over all items.
        of: how many items there are in all.
        clusters, strata: of the items drawn, as in `estimate`.
        bounds: as in `estimate`.
        answers: the part of the mean's variance that is due to the answers drawn of each item
            (`Sampling.answers`), of which knowing more items takes nothing.

    Raises:
        ValueError: as `estimate`; no control; not two more items than controls and at most `of`.
    """
    import numpy as np

    check_same_length(controls, means, "controls", "means")
    for control in controls:
        check_same_length(values, control, "values", "of a control")
    n, k = len(values), len(controls)
    if not k or not k + 2 <= n <= of:
        raise ValueError(f"{n} of {of} items, {k} controls: need one and two items more at least")
    y = check_numbers(values, bounds)
    x = [check_numbers(control, bounds) for control in controls]
    weights, residuals = _fitted(y, x)
    moved = np.asarray(check_numbers(means, bounds)) - np.mean(x, axis=1)
    center = float(np.mean(y) + weights @ moved)
    found = spread(residuals, clusters, strata)
    if found.stderr is None or found.df <= k:
        return Estimate(center, n, None, *bounds)
    stderr = found.stderr * math.sqrt(found.df / (found.df - k))
    if bounds == (0, 1):
        floor = bonett_price(0.0, math.fsum(r * r for r in residuals), n)
        stderr = max(stderr, floor)
    stderr = math.sqrt(stderr**2 * (1 - n / of) + min(answers, stderr**2) * n / of)
    half = t_value(0.95, found.df - k) * stderr
    low, high = max(bounds[0], center - half), min(bounds[1], center + half)
    return Estimate(min(max(center, bounds[0]), bounds[1]), n, stderr, low, high)


def residual_variance(
    runs: Sequence[Sequence[float]], clusters: Sequence[Hashable] | None = None
) -> float:
    """The variance of an item's value that other runs' values leave: S² of `allocation`.

    Each run in turn is told by the others, as in `controlled`; the largest of their residual
    variances, for nobody knows which of them a further run will be like.

    Args:
        runs: two or more, each with the values of the same items, in 0…1, in the same order.
        clusters: of the items; their `design_effect` is counted in.

    Raises:
        ValueError: fewer than two runs, or not two more items than runs; values as in `estimate`.
    """
    if len(runs) < 2 or len(runs[0]) < len(runs) + 2:
        raise ValueError(f"{len(runs)} runs of {len(runs[0]) if runs else 0} items are too few")
    for run in runs:
        check_same_length(runs[0], check_numbers(run, (0.0, 1.0)), "items", "of another run")
    found = []
    for place, run in enumerate(runs):
        _, residuals = _fitted(run, [*runs[:place], *runs[place + 1 :]])
        left = math.fsum(r * r for r in residuals) / (len(run) - len(runs))
        found.append(left * design_effect(residuals, clusters))
    return min(1.0, max(found))


def design_effect(values: Sequence[float], clusters: Sequence[Hashable] | None) -> float:
    """By how much clusters multiply the variance of a mean, 1 at least (Kish 1965)."""
    alone = spread(values, None, None).stderr
    together = spread(values, clusters, None).stderr
    return max(1.0, (together / alone) ** 2) if alone and together else 1.0


def _fitted(
    y: Sequence[float], x: Sequence[Sequence[float]]
) -> tuple[np.ndarray[Any, Any], list[float]]:
    """The weights of the controls x that tell y by least squares, and what they leave of y."""
    import numpy as np

    centered = np.array(x).T - np.mean(x, axis=1)
    rest = np.asarray(y) - np.mean(y)
    weights = np.linalg.lstsq(centered, rest, rcond=None)[0]
    return weights, (rest - centered @ weights).tolist()
