"""What the error of avg@n is made of: the choice of the items, and the answers drawn of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ochat_eval.stats.checks import NOT_NEGATIVE, check_numbers


@dataclass(frozen=True, slots=True)
class Sampling:
    """The variance of a mean over items with n answers each, in two parts.

    Both are in the square of the values' unit.

    Attributes:
        n: answers an item.
        items: what is due to the choice of the items; no number of answers removes it.
        answers: what is due to the n answers drawn of each; it falls with 1/n.
    """

    n: int
    items: float
    answers: float

    @property
    def items_share(self) -> float:
        """The part of the variance that no number of answers removes, a fraction."""
        return self.items / (self.items + self.answers)

    def ratio(self, n: int) -> float:
        """The variance with n answers an item over that of now, exactly 1 for as many as now.

        Raises:
            ValueError: n is below 1.
        """
        if n < 1:
            raise ValueError(f"{n} answers an item: need at least 1")
        return 1 - (1 - self.items_share) * (1 - self.n / n)


def sampling_parts(stderr: float, squares: Sequence[float], n: int, values: int) -> Sampling | None:
    """The parts of a mean's variance; None where there is none.

    The law of total variance, Var(s̄) = (Var(x) + E[σ²]/n)/N for N items of means x (Miller 2024,
    "Adding Error Bars to Evals", section 3.1). The answers' part is Σᵢ Σⱼ(tᵢⱼ − t̄ᵢ)²/(n(n−1)·V²),
    unbiased whatever the items are; the items' part is what is left of the whole, none where that
    is negative: the ANOVA estimator of a one-way random-effects model (Searle, Casella & McCulloch
    1992, "Variance Components", chapter 3). So it keeps to the clusters and strata of `stderr`.

    Args:
        stderr: the standard error of the mean, over items (`Estimate.stderr`), in the values' unit.
        squares: for each item Σⱼ(tᵢⱼ − t̄ᵢ)², tᵢⱼ the sum of the values that its j-th answer has
            (one for each turn; the turns of one conversation rise and fall together).
        n: answers an item, the same for all.
        values: V, how many values the mean is over: the items times their turns.

    Raises:
        ValueError: n is below 2, or a number is negative or not finite.
    """
    if n < 2:
        raise ValueError(f"{n} answers an item: need at least 2")
    check_numbers([stderr], NOT_NEGATIVE)
    answers = math.fsum(check_numbers(squares, NOT_NEGATIVE)) / (n * (n - 1) * values**2)
    items = max(0.0, stderr**2 - answers)
    return Sampling(n, items, answers) if items + answers > 0 else None
