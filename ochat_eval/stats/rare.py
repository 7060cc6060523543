"""The interval of a paired difference where few items changed: exact where none did."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any

from ochat_eval.stats.checks import check_numbers
from ochat_eval.stats.quantiles import z_value
from ochat_eval.stats.significance import cluster_sums


def changes_interval(
    differences: Sequence[float],
    confidence: float = 0.9,
    most: float = 1.0,
    *,
    clusters: Sequence[Hashable] | None = None,
) -> tuple[float, float]:
    """The interval of the mean of paired differences, in their unit, from gains and losses apart.

    Each is a sum of rare changes of at most `most`, with the gamma limits of Fay & Feuer (1997);
    the two are put together by MOVER (Zou & Donner 2008). Where all changes are ±1 the limits are
    Poisson's exact ones (Garwood 1936): n items without a loss are compatible with a loss of
    −ln((1−confidence)/2)/n, which is 11 % for 25 items at 90 %. The normal interval, and even
    Bonett & Price's, is too narrow there: it takes a run with a true loss of the margin for as
    good more often than it says. With many changes it is the normal one.

    Items of a cluster change together: their sum is one change, and the one that may be yet unseen
    is as large as the cluster that an item is in on average.

    Args:
        differences: item by item, each within ±`most`.
        confidence: between 0 and 1.
        most: the largest change that an item can have.
        clusters: as in `paired`.

    Raises:
        ValueError: no differences, one that is out of bounds, or such a confidence.
    """
    numbers = cluster_sums(check_numbers(differences, (-most, most)), clusters)
    n = len(differences)
    size = 1.0 if clusters is None else sum(k * k for k in Counter(clusters).values()) / n
    sums = [
        (math.fsum(found), math.fsum(x * x for x in found))
        for found in ([x for x in numbers if x > 0], [-x for x in numbers if x < 0])
    ]
    found = limits([x for x, _ in sums], [q for _, q in sums], confidence, size * most)
    low, high = put_together(found, n, most)
    return float(low), float(high)


def put_together(found: Any, n: int, most: float = 1.0) -> tuple[Any, Any]:
    """The interval of (gains − losses)/n, by MOVER, from `limits` of both; numbers or arrays."""
    import numpy as np

    (gain, lost), (gain_lo, lost_lo), (gain_hi, lost_hi) = found
    down = np.hypot(gain - gain_lo, lost_hi - lost)
    up = np.hypot(gain_hi - gain, lost - lost_lo)
    return (
        np.maximum(-most, (gain - lost - down) / n),
        np.minimum(most, (gain - lost + up) / n),
    )


def limits(sums: Any, squares: Any, confidence: float, most: float) -> Any:
    """Sums of Poisson many changes with their lower and upper limits (Fay & Feuer 1997).

    Lower: the gamma quantile of shape sum²/squares and scale squares/sum, 0 where the sum is.
    Upper: the same with one more change of `most`, which makes it exact where nothing was seen.

    Args:
        sums, squares: arrays, the sums of the changes and of their squares.
        confidence: between 0 and 1.
        most: the largest possible change.

    Returns:
        An array of three rows: the sums, their lower and their upper limits.
    """
    import numpy as np
    from scipy.special import gammaincinv

    z_value(confidence)  # refuses what is no confidence
    x, q = np.asarray(sums, float), np.asarray(squares, float)
    tail = (1 - confidence) / 2
    safe_x, safe_q = np.where(x > 0, x, 1), np.where(x > 0, q, 1)
    lower = np.where(x > 0, gammaincinv(safe_x**2 / safe_q, tail) * safe_q / safe_x, 0)
    x_more, q_more = x + most, q + most**2
    upper = gammaincinv(x_more**2 / q_more, 1 - tail) * q_more / x_more
    return np.array([x, lower, upper])
