"""The interval of a paired difference where few items changed: exact where none did."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ochat_eval.stats.checks import check_numbers
from ochat_eval.stats.quantiles import z_value


def changes_interval(
    differences: Sequence[float], confidence: float = 0.9, most: float = 1.0
) -> tuple[float, float]:
    """The interval of the mean of paired differences, in their unit, from gains and losses apart.

    Each is a sum of rare changes of at most `most`, with the gamma limits of Fay & Feuer (1997);
    the two are put together by MOVER (Zou & Donner 2008). Where all changes are ±1 the limits are
    Poisson's exact ones (Garwood 1936): n items without a loss are compatible with a loss of
    −ln((1−confidence)/2)/n, which is 11 % for 25 items at 90 %. The normal interval, and even
    Bonett & Price's, is too narrow there: it takes a run with a true loss of the margin for as
    good more often than it says. With many changes it is the normal one.

    Args:
        differences: of independent items, item by item, each within ±`most`.
        confidence: between 0 and 1.
        most: the largest change that an item can have.

    Raises:
        ValueError: no differences, one that is out of bounds, or such a confidence.
    """
    numbers = check_numbers(differences, (-most, most))
    sums = [
        (math.fsum(found), math.fsum(x * x for x in found))
        for found in ([x for x in numbers if x > 0], [-x for x in numbers if x < 0])
    ]
    (gain, lost), (gain_lo, lost_lo), (gain_hi, lost_hi) = (
        [float(x) for x in row]
        for row in limits([x for x, _ in sums], [q for _, q in sums], confidence, most)
    )
    down = math.hypot(gain - gain_lo, lost_hi - lost)
    up = math.hypot(gain_hi - gain, lost - lost_lo)
    center, n = gain - lost, len(numbers)
    return max(-most, (center - down) / n), min(most, (center + up) / n)


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
