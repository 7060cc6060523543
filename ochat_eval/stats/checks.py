"""What the formulas ask of their input; ValueError for what cannot be right."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence

Bounds = tuple[float, float]
"""The least and the greatest value that an item can have: (0, 1), or (1, 10) for a rating."""
ANY: Bounds = (-math.inf, math.inf)
NOT_NEGATIVE: Bounds = (0.0, math.inf)
ROUNDING = 1e-12
"""A sum that should be 0 may be off by such a part of what was added up."""


def check_number(name: str, number: float, bounds: Bounds = ANY) -> None:
    """ValueError, with the name, for NaN, infinity or a number out of bounds."""
    if not (math.isfinite(number) and bounds[0] <= number <= bounds[1]):
        low, high = bounds
        raise ValueError(f"{name} is {number}: need a finite number from {low:g} to {high:g}")


def check_numbers(values: Sequence[float], bounds: Bounds = ANY) -> Sequence[float]:
    """The values as floats; ValueError for none at all, NaN, infinity or one out of bounds."""
    numbers = array("d", values)
    if not numbers:
        raise ValueError("no values: a statistic needs at least one")
    if all(map(math.isfinite, numbers)) and bounds[0] <= min(numbers) <= max(numbers) <= bounds[1]:
        return numbers
    for i, number in enumerate(numbers):
        check_number(f"value {i}", number, bounds)
    return numbers


def check_same_length(a: Sequence[object], b: Sequence[object], name_a: str, name_b: str) -> None:
    """ValueError where a and b, named so in the message, differ in length."""
    if len(a) != len(b):
        raise ValueError(f"{len(a)} {name_a} but {len(b)} {name_b}: they must belong together")


def check_same_ids(a: Mapping[str, float], b: Mapping[str, float]) -> None:
    """ValueError where two runs do not hold the same items."""
    if odd := a.keys() ^ b.keys():
        raise ValueError(f"the runs differ in {len(odd)} items, {min(odd)!r} among them")


def added(terms: Sequence[float]) -> float:
    """Their sum; 0 where that is but what rounding leaves, as of means of thirds."""
    found = math.fsum(terms)
    return found if abs(found) > ROUNDING * math.fsum(map(abs, terms)) else 0.0


def mean(values: Sequence[float]) -> float:
    """The mean, its sum rounded once; `values` must not be empty."""
    return math.fsum(values) / len(values)
