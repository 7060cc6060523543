"""How many items of each benchmark make their average as precise as wanted, at the least cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ochat_eval.stats.checks import check_number
from ochat_eval.stats.quantiles import t_value, z_value

if TYPE_CHECKING:
    import numpy as np

_DF = 30
"""Degrees of freedom that a benchmark's error is told by, at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """What is known of a benchmark before it is asked.

    Attributes:
        items: how many it has.
        variance: of an item's value, in 0…1, that the controls leave (`residual_variance`).
        controls: how many earlier runs will be controls.
        clusters, strata: how many its items make: as many as `items`, and 1, where there are none.
        cost: of an item, in a unit that all benchmarks share.
        together: how many of the benchmarks ask its questions, itself counted.
    """

    items: int
    variance: float
    controls: int
    clusters: int
    strata: int = 1
    cost: float = 1.0
    together: int = 1


def allocation(benchmarks: Sequence[Benchmark], half_width: float) -> list[int]:
    """The items to draw of each benchmark, so that the interval of their average is narrow enough.

    The average weighs benchmarks equally, and its 95 % interval is put together of those of
    `controlled` as in `average_interval`. It costs least where n ∝ S/√cost (Neyman 1934; Cochran
    1977, section 5.5). The finite population, Student's t and one gain and one loss more
    (`bonett_price`) bend that rule, so that each n minimises cost + price·(half-width)² at one
    price for all, the lowest that is enough: in 95 % of samples, the squared residuals of which
    vary by S²(1 − S²) an item at most (Bhatia & Davis 2000). Errors of benchmarks with the same
    questions are added: (Σh)² ≤ m·Σh².

    Args:
        half_width: of the average's interval, a fraction.

    Returns:
        A number of items for each, its own at most; enough for 30 degrees of freedom, where it has
        so many.

    Raises:
        ValueError: no benchmarks; a half-width, variance, cost or number that cannot be.
    """
    import numpy as np

    if not benchmarks or not 0 < half_width < math.inf:
        raise ValueError(f"{len(benchmarks)} benchmarks, half-width {half_width}: need both")
    curves = [_curve(one) for one in benchmarks]
    allowed, z = (half_width * len(benchmarks)) ** 2, z_value(0.90)

    def cheapest(price: float) -> list[int]:
        return [int(np.argmin(curve.cost + price * curve.square)) for curve in curves]

    def enough(places: Sequence[int]) -> bool:
        pairs = list(zip(curves, places, strict=True))
        noise = math.hypot(*(float(curve.noise[place]) for curve, place in pairs))
        return sum(float(curve.square[place]) for curve, place in pairs) + z * noise <= allowed

    low, high = 0.0, min(one.cost for one in benchmarks)
    while not enough(cheapest(high)):
        low, high = high, 2 * high
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if enough(cheapest(middle)) else (middle, high)
    return [int(curve.sizes[place]) for curve, place in zip(curves, cheapest(high), strict=True)]


@dataclass(frozen=True, slots=True)
class _Curve:
    """Of a benchmark, by the number of items: what they cost, the square of its interval's
    half-width as expected, and the standard deviation of that."""

    sizes: np.ndarray[Any, Any]
    cost: np.ndarray[Any, Any]
    square: np.ndarray[Any, Any]
    noise: np.ndarray[Any, Any]


def _curve(one: Benchmark) -> _Curve:
    import numpy as np

    check_number("variance", one.variance, (0.0, 1.0))
    if not 1 <= max(one.strata, 1) <= one.clusters <= one.items or one.controls < 1:
        raise ValueError(f"{one}: need controls, and not more strata than clusters than items")
    if not 0 < one.cost < math.inf or one.together < 1:
        raise ValueError(f"{one}: need a positive cost, and itself among those together")
    fixed = one.strata + one.controls
    least = min(one.items, math.ceil((_DF + fixed) * one.items / one.clusters))
    sizes = np.arange(least, one.items + 1)
    df = np.maximum(1, sizes * one.clusters // one.items - fixed)
    known, which = np.unique(df, return_inverse=True)
    t = np.array([t_value(0.95, int(k)) for k in known])[which]
    factor = one.together * t**2 * (1 - sizes / one.items) / (sizes + 2) ** 2
    residuals = sizes * one.variance
    square = factor * (residuals + 2)
    noise = factor * np.sqrt(residuals * (1 - one.variance))
    return _Curve(sizes, sizes * one.cost, square, noise)
