"""Two runs on the same items: their difference with its interval, and what flipped."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from ochat_eval.stats.checks import (
    Bounds,
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

    Miller 2024: the error is that of the differences, by `mean_stderr`, `clustered_stderr` or
    `stratified_stderr`. Of 0/1 verdicts it is never below Bonett & Price's (2012), which counts
    one more gain and one more loss over two more items: two runs that agree on every item are not
    known to be the same. Their interval lies around (gains − losses)/(n + 2), as theirs does; that
    of ratings and of clusters is Student's t; equal differences get that of `unseen`.

    Args:
        a, b: the two runs' values, item by item in the same order, within `bounds`.
        clusters, strata, confidence, scale: as in `estimate`.
        bounds: the least and the greatest value of an item; the interval is cut to ± their
            distance.

    Raises:
        ValueError: as `estimate`, or a and b differ in length.
    """
    check_same_length(a, b, "a", "b")
    before, after = check_numbers(a, bounds), check_numbers(b, bounds)
    differences = [y - x for x, y in zip(before, after, strict=True)]
    center, n = mean(differences), len(differences)
    width = bounds[1] - bounds[0]
    found = spread(differences, clusters, strata)
    if found.stderr is None:
        return scaled(Estimate(center, n, None, -width, width), scale)
    if bounds == (0, 1) and set(before) | set(after) <= {0.0, 1.0}:
        # Without a spread nothing tells how clusters hang together: they count as one item each.
        units = n if found.stderr else found.units
        stderr = max(found.stderr, _bonett_price(differences, units))
        middle = center * units / (units + 2)
        half = _reach(found, clusters is not None, confidence) * stderr
        lo, hi = min(center, middle - half), max(center, middle + half)
    elif found.stderr > 0:
        stderr = found.stderr
        half = t_value(confidence, found.df) * stderr
        lo, hi = center - half, center + half
    else:
        stderr = 0.0
        lo, hi = unseen(center, found.units, confidence, (-width, width))
    return scaled(Estimate(center, n, stderr, max(-width, lo), min(width, hi)), scale)


def _reach(found: Spread, clustered: bool, confidence: float) -> float:
    return t_value(confidence, found.df) if clustered else z_value(confidence)


def _bonett_price(differences: Sequence[float], n: int) -> float:
    """√((p̃₁ + p̃₂ − (p̃₁ − p̃₂)²)/(n + 2)), p̃ = (count + 1)/(n + 2): Bonett & Price 2012, eq. 6.

    Args:
        differences: of 0/1 verdicts, −1, 0 or 1.
        n: how many of them are independent.
    """
    share = n / len(differences)
    gained, lost = (share * differences.count(change) for change in (1.0, -1.0))
    up, down = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    return math.sqrt((up + down - (up - down) ** 2) / (n + 2))


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
