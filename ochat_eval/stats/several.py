"""Several tests at once."""

from __future__ import annotations

from collections.abc import Sequence

from ochat_eval.stats.checks import check_numbers


def holm(pvalues: Sequence[float]) -> list[float]:
    """The p-values adjusted for testing them all, in their order: Holm 1979.

    The i-th smallest of m (from 0) becomes max over j ≤ i of (m − j)·p₍ⱼ₎, at most 1; calling
    those below α keeps the chance of any false call at α.

    Raises:
        ValueError: no p-values, or one outside 0…1.
    """
    numbers = check_numbers(pvalues, (0.0, 1.0))
    adjusted = [0.0] * len(numbers)
    least = 0.0
    for rank, i in enumerate(sorted(range(len(numbers)), key=numbers.__getitem__)):
        least = max(least, min(1.0, (len(numbers) - rank) * numbers[i]))
        adjusted[i] = least
    return adjusted
