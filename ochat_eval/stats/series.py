"""A series of runs on the same items, such as a training's checkpoints: pairs, best, slope."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import combinations

from ochat_eval.stats.checks import Bounds, check_numbers, mean
from ochat_eval.stats.interval import Estimate
from ochat_eval.stats.paired import contrast, paired
from ochat_eval.stats.several import holm
from ochat_eval.stats.significance import Test, paired_test


@dataclass(frozen=True, slots=True)
class Pair:
    """Two runs of a series.

    Attributes:
        a, b: their places in the series, a before b.
        difference: b less a, with its interval (`paired`).
        test: of "both are as good" (`paired_test`).
        p_holm: its p-value, Holm's over all pairs of the series.
    """

    a: int
    b: int
    difference: Estimate
    test: Test
    p_holm: float


@dataclass(frozen=True, slots=True)
class Best:
    """The best run of a series, and those that are not shown to be worse than it.

    Attributes:
        place: of the run with the highest score; of several the first.
        p: for each run the p-value of "no other run is better than it".
        among: the places of the runs that may be the best, `place` with them, in order.
    """

    place: int
    p: tuple[float, ...]
    among: tuple[int, ...]


def all_pairs(
    runs: Sequence[Sequence[float]],
    clusters: Sequence[Hashable] | None = None,
    *,
    strata: Sequence[Hashable] | None = None,
    bounds: Bounds = (0.0, 1.0),
    scale: float = 1.0,
) -> tuple[Pair, ...]:
    """Every pair of runs, by place: (0, 1), (0, 2), …; which of them differ by more than noise.

    Calling the pairs whose `p_holm` is below α keeps the chance of any false call at α.

    Args:
        runs: two or more; of each its values, item by item in the same order, within `bounds`.
        clusters, strata, bounds, scale: as in `paired`.

    Raises:
        ValueError: fewer than two runs, or as `paired`.
    """
    _check(runs)
    places = list(combinations(range(len(runs)), 2))
    tests = [paired_test(runs[a], runs[b], clusters, strata) for a, b in places]
    return tuple(
        Pair(
            a, b, paired(runs[a], runs[b], clusters, strata=strata, bounds=bounds, scale=scale),
            test, p,
        )
        for (a, b), test, p in zip(places, tests, holm([test.p for test in tests]), strict=True)
    )  # fmt: skip


def best(pairs: Sequence[Pair], alpha: float = 0.05) -> Best:
    """The best of a series, and those not worse than it, from `all_pairs`.

    Multiple comparisons with the best (Hsu 1981, Annals of Statistics 9:1026): a run is out where
    some other is better by the one-sided test, at α/(m − 1) for m runs (Bonferroni's instead of
    Dunnett's critical value, so that the exact tests of few items can be used; about a tenth
    wider). The run that is truly best is `among` them with a chance of 1 − α at least. Half the
    two-sided p of a symmetric test is the one-sided one on the side of the difference.

    Raises:
        ValueError: not the pairs of a whole series, or alpha not between 0 and 1.
    """
    count = 1 + max((pair.b for pair in pairs), default=0)
    if [(pair.a, pair.b) for pair in pairs] != list(combinations(range(count), 2)) or count < 2:
        raise ValueError(f"{len(pairs)} pairs: need those that all_pairs gives")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha}: need a number between 0 and 1")
    least = [1.0] * count
    for pair in pairs:
        if pair.difference.score:
            worse = pair.a if pair.difference.score > 0 else pair.b
            least[worse] = min(least[worse], (count - 1) * pair.test.p / 2)
    above = [0.0, *(pair.difference.score for pair in pairs[: count - 1])]  # those with a = 0
    place = max(range(count), key=above.__getitem__)
    among = tuple(i for i, p in enumerate(least) if p > alpha or i == place)
    return Best(place, tuple(least), among)


def slope(
    runs: Sequence[Sequence[float]],
    at: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    *,
    strata: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
    bounds: Bounds = (0.0, 1.0),
    scale: float = 1.0,
) -> Estimate:
    """The slope of the score over a series, per unit of `at`: the line of least squares.

    It is linear in the values, so it is the mean over items of each item's own slope, and has the
    error of these (summary measures: Matthews et al. 1990, BMJ 300:230), which knows that the same
    items are asked in each run; see `contrast`. It holds what other items and reruns would
    change, not what another training would.

    Args:
        runs: two or more; of each its values, item by item in the same order, within `bounds`.
        at: where each run stands: step, tokens, epoch; in any order, not all the same.
        clusters, strata, confidence, bounds, scale: as in `paired`.

    Raises:
        ValueError: fewer than two runs, all at one place, or as `contrast`.
    """
    _check(runs)
    places = check_numbers(at)
    center = mean(places)
    squares = sum((x - center) ** 2 for x in places)
    if squares == 0:
        raise ValueError(f"all runs stand at {places[0]:g}: no slope")
    return contrast(
        runs, [(x - center) / squares for x in places], clusters, strata=strata,
        confidence=confidence, bounds=bounds, scale=scale,
    )  # fmt: skip


def _check(runs: Sequence[Sequence[float]]) -> None:
    if len(runs) < 2:
        raise ValueError(f"{len(runs)} run(s): a series has at least two")
