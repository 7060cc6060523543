"""What the gate does with a faultless rerun, and what loss it catches: sums, no simulation."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

from ochat_eval.stats.checks import NOT_NEGATIVE, check_number
from ochat_eval.stats.equivalence import CONFIDENCE, Mode, rerun_error
from ochat_eval.stats.power import least
from ochat_eval.stats.quantiles import z_value
from ochat_eval.stats.rare import limits


@dataclass(frozen=True, slots=True)
class Chances:
    """The chances that the gate passes and that it fails a run, fractions."""

    passes: float
    fails: float


def chances(
    margin: float, psi: float, n: int, recorded: int, *, loss: float = 0.0, mode: Mode = "same"
) -> Chances:
    """What `decide` says of `rerun_interval` for a run of 0/1 verdicts, summed over what can come.

    Items flip independently at the rate ψ, as often up as down, and against the mean of R recorded
    runs each change counts (1 + 1/R)/2, which gives `rerun_error`; a loss turns right items wrong
    for good. Both are Poisson many.

    Args:
        margin, loss: in points.
        psi: the flip rate, a fraction.
        n: items.
        recorded: R.
        mode: as in `decide`.

    Raises:
        ValueError: as `rerun_error`; a margin that is negative, a loss outside 0…100.
    """
    import numpy as np

    check_number("margin", margin, NOT_NEGATIVE)
    check_number("loss", loss, (0.0, 100.0))
    weight = (1 + 1 / recorded) / 2
    half = z_value(CONFIDENCE) * rerun_error(psi, n, recorded) / 100 * n
    noise = psi * n / weight / 2  # changes each way
    gone = loss / 100 * n
    gains = _counted(noise, noise * weight, noise * weight**2)
    lost = noise * weight + gone, noise * weight**2 + gone
    losses = _counted(lost[0] ** 2 / lost[1] if lost[1] else 0.0, *lost)
    (p, gain, gain_lo, gain_hi), (q, loss_, loss_lo, loss_hi) = gains, losses
    center = gain[:, None] - loss_
    down = np.hypot((gain - gain_lo)[:, None], loss_hi - loss_)
    up = np.hypot((gain_hi - gain)[:, None], loss_ - loss_lo)
    lo, hi = center - np.maximum(down, half), center + np.maximum(up, half)
    edge = margin / 100 * n
    passed, failed = lo >= -edge, hi < -edge
    if mode == "same":
        passed, failed = passed & (hi <= edge), failed | (lo > edge)
    return Chances(float(p @ passed @ q), float(p @ failed @ q))


@functools.lru_cache(maxsize=256)
def _counted(count: float, total: float, squares: float) -> Any:
    """For Poisson many changes their chances, sums, and the sums' limits (`rare.limits`).

    Args:
        count: how many are expected.
        total, squares: the expected sum of the changes and of their squares.
    """
    import numpy as np
    from scipy.special import gammaln, xlogy

    sd = math.sqrt(count)
    low, high = max(0, math.floor(count - 8 * sd)), math.ceil(count + 8 * sd + 8)
    k = np.arange(low, high + 1)
    p = np.exp(xlogy(k, count) - count - gammaln(k + 1))
    size = squares / total if total else 1.0
    return (p / p.sum(), *limits(size * k, size**2 * k, CONFIDENCE, 1.0))


def normal_chance(margin: float, stderr: float, mode: Mode = "same") -> float:
    """The chance that `decide` passes a faultless run whose difference is normal, a fraction.

    2Φ(δ/se − z₀.₉₅) − 1, never below 0, or for `no-worse` Φ(δ/se − z₀.₉₅): for ratings, of which
    many change a little. margin and stderr in one unit.

    Raises:
        ValueError: one of them is negative or not finite.
    """
    check_number("margin", margin, NOT_NEGATIVE)
    check_number("stderr", stderr, NOT_NEGATIVE)
    if stderr == 0:
        return 1.0
    one_side = math.erfc((z_value(CONFIDENCE) - margin / stderr) / math.sqrt(2)) / 2
    return one_side if mode == "no-worse" else max(0.0, 2 * one_side - 1)


def detects(
    margin: float,
    psi: float,
    n: int,
    recorded: int,
    *,
    mode: Mode = "same",
    power: float = 0.8,
) -> float | None:
    """The true loss, in points, that fails the gate with the chance `power`.

    `chances` solved for the loss. Where flips are many it is the d with d = δ + 2.486·√(noise² +
    (d − d²)/n): a loss brings a variance of its own. None where no loss does.

    Args:
        margin, psi, n, recorded, mode: as in `chances`.
        power: a fraction.
    """

    def fails(loss: float) -> float:
        return chances(margin, psi, n, recorded, loss=loss, mode=mode).fails

    return least(fails, power, min(margin, 100.0), 100.0)
