"""What a comparison could have found: the power of its test, and the least difference it finds."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ochat_eval.stats.checks import NOT_NEGATIVE, check_number
from ochat_eval.stats.quantiles import quantile, t_quantile, z_value


def minimum_detectable_effect(
    stderr: float, alpha: float = 0.05, power: float = 0.8, df: int | None = None
) -> float:
    """The true difference that a two-sided test at `alpha` finds with the chance `power`.

    (q_{1−α/2} + q_{power})·stderr, in the unit of `stderr` (of the paired difference), q the
    normal quantile, or with `df` that of Student's t: Miller 2024, the sample-size formula solved
    for the effect.

    Raises:
        ValueError: a negative error; alpha or power not between 0 and 1; df < 1.
    """
    check_number("stderr", stderr, NOT_NEGATIVE)
    if df is None:
        return (z_value(1 - alpha) + quantile(power)) * stderr
    return (t_quantile(1 - alpha / 2, df) + t_quantile(power, df)) * stderr


def mcnemar_power(n: int, discordant: float, difference: float, alpha: float = 0.05) -> float:
    """The chance that exact McNemar over n items calls a true difference: exact.

    The number of items that differ is Binomial(n, discordant), and of these each is a gain with
    the chance (1 + difference/discordant)/2 (Duffy 1984, Biometrics 40:1005).

    Args:
        n: items.
        discordant: the share of items whose verdict differs between the runs.
        difference: the true difference, a fraction, 0 to `discordant`.
        alpha: the level of the two-sided test.

    Raises:
        ValueError: n < 1, a share or a difference that cannot be, alpha not between 0 and 1.
    """
    import numpy as np
    from scipy.special import bdtr, gammaln, xlog1py, xlogy

    check_number("discordant", discordant, (0.0, 1.0))
    check_number("difference", difference, (0.0, discordant))
    quantile(alpha)
    if n < 1:
        raise ValueError(f"{n} items: need at least one")
    sd = math.sqrt(n * discordant * (1 - discordant))
    least = max(1, math.floor(n * discordant - 10 * sd))
    k = np.arange(least, min(n, math.ceil(n * discordant + 10 * sd + 1)) + 1)
    weight = np.exp(
        gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
        + xlogy(k, discordant) + xlog1py(n - k, -discordant)
    )  # fmt: skip
    called = _critical(k, alpha)
    gain = (1 + difference / discordant) / 2 if discordant else 0.5
    rejects = np.where(called < 0, 0, bdtr(called, k, 1 - gain) + bdtr(called, k, gain))
    return float((weight * rejects).sum())


def _critical(k: Any, alpha: float) -> Any:
    """For each number of flips the most that may go the rarer way in a difference; −1: none."""
    import numpy as np
    from scipy.special import bdtr

    at = np.floor(k / 2 - z_value(1 - alpha) * np.sqrt(k) / 2 - 1)  # near it; then exactly
    at = np.maximum(at, -1)
    for _ in range(8):
        at = np.where(2 * bdtr(at + 1, k, 0.5) <= alpha, at + 1, at)
    for _ in range(8):
        at = np.where((at >= 0) & (2 * bdtr(np.maximum(at, 0), k, 0.5) > alpha), at - 1, at)
    return at


def mcnemar_detectable(
    n: int, discordant: float, alpha: float = 0.05, power: float = 0.8
) -> float | None:
    """The least true difference that exact McNemar over n items finds with the chance `power`.

    As many items differ as did (`discordant`), and as many as the difference needs at least. A
    fraction; None where not even a difference in every item would be found.

    Raises:
        ValueError: as `mcnemar_power`; power not between 0 and 1.
    """
    quantile(power)

    def found(difference: float) -> float:
        return mcnemar_power(n, max(discordant, difference), difference, alpha)

    return least(found, power, 0.0, 1.0)


def least(chance: Callable[[float], float], wanted: float, low: float, high: float) -> float | None:
    """The least x from low to high where a rising chance reaches what is wanted, by bisection.

    Exact to a ten thousandth of the range. None where it does not even at `high`.
    """
    if chance(high) < wanted:
        return None
    width = (high - low) / 20000
    while high - low > width:
        middle = (low + high) / 2
        low, high = (low, middle) if chance(middle) >= wanted else (middle, high)
    return high
