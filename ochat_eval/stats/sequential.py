"""Looking at a run while it goes on: how sure each look must be so that all together err rarely."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from itertools import pairwise

from ochat_eval.stats.checks import check_numbers

LOOKS = 20
"""Looks at a run, evenly spread over its items."""
_REACH, _POINTS = 8.0, 501
"""Of the grid over which densities are summed: how many standard deviations, in how many points."""


def spent(share: float, alpha: float) -> float:
    """Of the error α, what may be spent up to a share of the items: α·share².

    The power family of Kim & DeMets (1987, Biometrika 74:149), with the exponent 2. At the end it
    asks hardly more than O'Brien & Fleming's (1.89 against 1.84 standard errors for 20 looks at
    5 %; 1.64 without looks), and it stops a clear case after two thirds of the items that
    theirs takes.
    """
    return float(alpha * share**2)


def look_confidences(shares: Sequence[float], confidence: float = 0.9) -> tuple[float, ...]:
    """The confidence that each look's interval must have, so that all hold the truth together.

    Repeated confidence intervals (Jennison & Turnbull 1989, JRSS B 51:305): that of each look, made
    by the ordinary formula at this confidence. Each of the two ends is beyond the truth at any
    look with (1 − confidence)/2 at most, whenever and for whatever reason one stops. The error is
    spent by `spent` (Lan & DeMets 1983, Biometrika 70:659), so that looks can be anywhere that the
    data do not choose; what a look takes is solved for by the densities of independent increments
    (Armitage, McPherson & Rowe 1969).

    Args:
        shares: of all items, those that each look sees; rising, above 0, at most 1.
        confidence: of all looks together, between 0 and 1.

    Raises:
        ValueError: such shares or confidence cannot be.
    """
    return _look_confidences(tuple(check_numbers(shares, (0.0, 1.0))), confidence)


@functools.lru_cache(maxsize=64)
def _look_confidences(shares: tuple[float, ...], confidence: float) -> tuple[float, ...]:
    import numpy as np
    from scipy.special import ndtr

    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is not between 0 and 1")
    if shares[0] <= 0 or any(a >= b for a, b in pairwise(shares)):
        raise ValueError(f"looks at {list(shares)}: need rising shares above 0")
    alpha = (1 - confidence) / 2
    # The path of the score at the last look, not yet beyond its end: where it can be, how likely.
    places, weights, before, gone = np.zeros(1), np.ones(1), 0.0, 0.0
    found = []
    for share in shares:
        step, wanted = math.sqrt(share - before), spent(share, alpha) - gone
        low, high = 0.0, _REACH * math.sqrt(share)
        while high - low > 1e-10:
            middle = (low + high) / 2
            over = float(weights @ ndtr((places - middle) / step))
            low, high = (middle, high) if over > wanted else (low, middle)
        found.append(float(1 - 2 * ndtr(-high / math.sqrt(share))))
        grid = np.linspace(-_REACH * math.sqrt(share), high, _POINTS)
        density = np.exp(-(((grid[:, None] - places) / step) ** 2) / 2) @ weights
        weights = density * (grid[1] - grid[0]) / (step * math.sqrt(2 * math.pi))
        weights[[0, -1]] /= 2
        places, before, gone = grid, share, spent(share, alpha)
    return tuple(found)
