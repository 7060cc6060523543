"""The score of a sample of items, told better by earlier runs that answered all of them."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

from ochat_eval.stats.checks import Bounds, check_numbers, check_same_length
from ochat_eval.stats.errors import spread
from ochat_eval.stats.interval import Estimate, scaled
from ochat_eval.stats.paired import bonett_price
from ochat_eval.stats.quantiles import t_value


def controlled(
    values: Sequence[float],
    controls: Sequence[Sequence[float]],
    means: Sequence[float],
    of: int,
    clusters: Sequence[Hashable] | None = None,
    *,
    strata: Sequence[Hashable] | None = None,
    bounds: Bounds = (0.0, 1.0),
    scale: float = 1.0,
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
        bounds, scale: as in `estimate`.

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
    y = np.asarray(check_numbers(values, bounds))
    x = np.array([check_numbers(control, bounds) for control in controls]).T
    centered = x - x.mean(axis=0)
    weights = np.linalg.lstsq(centered, y - y.mean(), rcond=None)[0]
    center = float(y.mean() + weights @ (np.asarray(check_numbers(means, bounds)) - x.mean(axis=0)))
    residuals = (y - y.mean() - centered @ weights).tolist()
    found = spread(residuals, clusters, strata)
    if found.stderr is None or found.df <= k:
        return scaled(Estimate(center, n, None, *bounds), scale)
    stderr = found.stderr * math.sqrt(found.df / (found.df - k))
    if bounds == (0, 1):
        floor = bonett_price(0.0, math.fsum(r * r for r in residuals), n)
        stderr = max(stderr, floor)
    stderr *= math.sqrt(1 - n / of)
    half = t_value(0.95, found.df - k) * stderr
    low, high = max(bounds[0], center - half), min(bounds[1], center + half)
    return scaled(Estimate(min(max(center, bounds[0]), bounds[1]), n, stderr, low, high), scale)
