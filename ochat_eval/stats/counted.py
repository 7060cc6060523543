"""The gate's interval from counts of flips, for many runs at once."""

from __future__ import annotations

from typing import Any

from ochat_eval.stats.equivalence import CONFIDENCE, rerun_error
from ochat_eval.stats.paired import bonett_price
from ochat_eval.stats.quantiles import z_value
from ochat_eval.stats.rare import limits, put_together


def counted_intervals(
    gained: Any, lost: Any, n: int, psi: float = 0.0, confidence: float = CONFIDENCE
) -> tuple[Any, Any]:
    """`rerun_interval` of n independent 0/1 verdicts against one recorded run, in points.

    Args:
        gained, lost: arrays: items that became right, and that became wrong.
        n: items.
        psi: the flip rate between recorded runs, a fraction; 0 where it is not known.
        confidence: of each interval.

    Returns:
        Two arrays, the lower and the upper ends.

    Raises:
        ValueError: as `rerun_error`, fewer than two items, or such a confidence.
    """
    import numpy as np

    if n < 2:
        raise ValueError(f"{n} item(s): need at least two")
    up, down = np.asarray(gained, float), np.asarray(lost, float)
    total, squares, z = up - down, up + down, z_value(confidence)
    own = np.sqrt((squares - total**2 / n) / (n * (n - 1)))
    half = z * np.maximum(own, bonett_price(total, squares, n))
    center, middle, noise = total / n, total / (n + 2), z * rerun_error(psi, n, 1) / 100
    low, high = put_together(limits([up, down], [up, down], confidence, 1.0), n)
    lows = np.minimum.reduce([center, middle - half, center - noise, low])
    highs = np.maximum.reduce([center, middle + half, center + noise, high])
    return 100 * np.maximum(lows, -1), 100 * np.minimum(highs, 1)
