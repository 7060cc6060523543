"""Whether two runs on the same items differ by more than noise: tests of one comparison."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

from ochat_eval.stats.checks import (
    NOT_NEGATIVE,
    added,
    check_number,
    check_numbers,
    check_same_length,
    mean,
)
from ochat_eval.stats.errors import spread

FEW = 30
"""Below so many independent items or clusters a test of ratings or clusters is a permutation's."""


@dataclass(frozen=True, slots=True)
class Test:
    """A two-sided test of "both runs are as good".

    Attributes:
        name: `McNemar`, `permutation`, `sign` or `t`.
        p: the p-value.
    """

    name: Literal["McNemar", "permutation", "sign", "t"]
    p: float


def paired_test(
    a: Sequence[float],
    b: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    strata: Sequence[Hashable] | None = None,
) -> Test:
    """The test for two runs' values, item by item in the same order.

    Exact McNemar for 0/1 verdicts of independent items. Else, below 30 items (clusters), the exact
    `sign_flips`; from 30 on Student's t test of the difference with the error of
    `stratified_stderr`, which keeps its level there, and where all differences are the same, so
    that there is no error, the sign test (McNemar's, over the signs).

    Raises:
        ValueError: no values, the lengths differ, or a value is not finite.
    """
    check_same_length(a, b, "a", "b")
    pairs = zip(check_numbers(a), check_numbers(b), strict=True)
    differences = [added((y, -x)) for x, y in pairs]
    if clusters is None and set(a) | set(b) <= {0.0, 1.0}:
        return Test("McNemar", mcnemar_exact(differences.count(1), differences.count(-1)))
    sums = cluster_sums(differences, clusters)
    if len(sums) < FEW:
        return Test("permutation", sign_flips(sums))
    found = spread(differences, clusters, strata)
    if found.stderr:
        return Test("t", t_test(mean(differences), found.stderr, found.df))
    return Test("sign", mcnemar_exact(sum(s > 0 for s in sums), sum(s < 0 for s in sums)))


def cluster_sums(values: Sequence[float], clusters: Sequence[Hashable] | None) -> list[float]:
    """The sum over each cluster; the values themselves where every item is its own."""
    if clusters is None:
        return list(values)
    check_same_length(values, clusters, "values", "clusters")
    members: defaultdict[Hashable, list[float]] = defaultdict(list)
    for value, cluster in zip(values, clusters, strict=True):
        members[cluster].append(value)
    return list(map(added, members.values()))


def sign_flips(sums: Sequence[float]) -> float:
    """Two-sided p-value of "no difference" of independent differences, by permutation: exact.

    The share of all 2^m ways to give the differences their signs whose sum is at least as far from
    0 as it is (Fisher 1935; Good 2005). Right for any distribution that is symmetric around 0
    where there is no difference, and so at any m; with five or fewer it is never below 0.05. The
    sums of two halves are counted against each other, so that m = 30 takes 2^16 steps, not 2^30.

    Raises:
        ValueError: no differences, more than 40, or one that is not finite.
    """
    import numpy as np

    numbers = np.array(check_numbers(sums))
    if len(numbers) > 40:
        raise ValueError(f"{len(numbers)} differences: take a t test above 40")
    far = abs(numbers.sum()) - 1e-9 * abs(numbers).sum()  # sums in another order round otherwise
    halves = []
    for half in np.array_split(numbers, 2):
        reached = np.zeros(1)
        for number in half:
            reached = np.concatenate([reached - number, reached + number])
        halves.append(np.sort(reached))
    left, right = halves
    above = len(right) - np.searchsorted(right, far - left, "left")
    below = np.searchsorted(right, -far - left, "right")
    as_far: int = int(above.sum() + below.sum())
    return min(1.0, as_far / 2.0 ** len(numbers))


def t_test(difference: float, stderr: float, df: int) -> float:
    """Two-sided p-value of "no difference", from a paired difference and its error (same unit).

    Student's t with df degrees of freedom (Student 1908); for ratings and clusters.

    Raises:
        ValueError: not finite, df < 1, or an error of 0 beside a difference, which no t can judge.
    """
    from scipy.special import stdtr

    check_number("difference", difference)
    check_number("stderr", stderr, NOT_NEGATIVE)
    if df < 1:
        raise ValueError(f"{df} degrees of freedom: need at least one")
    if difference == 0:
        return 1.0
    if stderr == 0:
        raise ValueError(f"a difference of {difference} with a standard error of 0: no test")
    return float(2 * stdtr(df, -abs(difference) / stderr))


def mcnemar_exact(n01: int, n10: int) -> float:
    """Two-sided p-value of "both runs are as good", from the 0/1 items on which they differ.

    McNemar 1947 in its exact form: n01 is Binomial(n01 + n10, ½), p = min(1, 2·P(X ≤ min)).
    Whole-number arithmetic, so exact. 1 where nothing differs. Clusters are not allowed for.

    Args:
        n01: items wrong in the first run and right in the second.
        n10: items right in the first run and wrong in the second.

    Raises:
        ValueError: a negative count.
    """
    if n01 < 0 or n10 < 0:
        raise ValueError(f"counts of flips must not be negative: {n01}, {n10}")
    n = n01 + n10
    term = tail = 1  # C(n, 0)
    for i in range(min(n01, n10)):
        term = term * (n - i) // (i + 1)
        tail += term
    return min(1.0, 2 * tail / (1 << n))
