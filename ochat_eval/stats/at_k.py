"""Several samples an item: pass@k, pass^k and maj@k."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from ochat_eval.stats.checks import check_numbers, check_same_length


def pass_at_k(n: int, c: int, k: int) -> float:
    """The chance that k of an item's n samples, drawn without return, hold a right one.

    1 − C(n−c, k)/C(n, k), unbiased for 1 − (1−p)^k: Chen et al. 2021, "Evaluating Large Language
    Models Trained on Code", eq. 1. Computed in whole numbers, so exact. A fraction.

    Args:
        n: samples of the item.
        c: how many of them are right.
        k: how many may be tried.

    Raises:
        ValueError: not 0 ≤ c ≤ n or not 1 ≤ k ≤ n.
    """
    _check_counts(n, c, k)
    draws = math.comb(n, k)
    return (draws - math.comb(n - c, k)) / draws


def all_at_k(n: int, c: int, k: int) -> float:
    """pass^k: the chance that k of an item's n samples, drawn without return, are all right.

    C(c, k)/C(n, k), unbiased for p^k: Yao et al. 2024, "τ-bench". A fraction.

    Args:
        n, c, k: as in `pass_at_k`.

    Raises:
        ValueError: as `pass_at_k`.
    """
    _check_counts(n, c, k)
    return math.comb(c, k) / math.comb(n, k)


def maj_at_k(answers: Sequence[str | None], values: Sequence[float], k: int) -> float:
    """The value of one item's majority answer among its first k samples (Wang et al. 2023).

    The most frequent answer wins, of equally frequent ones the one seen first; None (no answer
    found) wins only where all k are None. The value is that of the winner's first sample. The
    task's maj@k is the mean over its items. In the values' unit.

    Args:
        answers: the item's answers as read, in sample order.
        values: their values, in the same order.
        k: how many samples vote.

    Raises:
        ValueError: not 1 ≤ k ≤ n, the lengths differ, or a value is not finite.
    """
    check_same_length(answers, values, "answers", "values")
    _check_k(k, len(answers))
    numbers = check_numbers(values)
    votes = Counter(answer for answer in answers[:k] if answer is not None)
    # Counter keeps first-seen order, max() the first of equals.
    winner = max(votes, key=votes.__getitem__) if votes else None
    return numbers[list(answers).index(winner)]


def _check_counts(n: int, c: int, k: int) -> None:
    if not 0 <= c <= n:
        raise ValueError(f"{c} right of {n} samples: need 0 <= c <= n")
    _check_k(k, n)


def _check_k(k: int, n: int) -> None:
    if not 1 <= k <= n:
        raise ValueError(f"k = {k} of n = {n} samples: need 1 <= k <= n")
