"""The error and the interval of one score."""

from __future__ import annotations

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from ochat_eval.stats.checks import NOT_NEGATIVE, Bounds, check_numbers, check_same_length, mean

WILSON_BELOW = 300
"""0/1 scores over fewer items than this get Wilson's interval, others the normal one."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over items, or a difference of two, and how far to trust it.

    All but `n` are in the unit of the values times the `scale` asked for.

    Attributes:
        score: the mean over the items.
        n: number of items.
        stderr: standard error of `score`; None where one item (or cluster) cannot tell.
        lo, hi: ends of the confidence interval.
    """

    score: float
    n: int
    stderr: float | None
    lo: float
    hi: float


def mean_stderr(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean over items and its standard error √(Σ(sᵢ−s̄)²/(n(n−1))), in the values' unit.

    Miller 2024, "Adding Error Bars to Evals" (the central limit theorem). With several samples an
    item, give each item's mean (or its pass@k), not each sample. The error is None for one item.

    Raises:
        ValueError: no values, or one that is not a finite number.
    """
    numbers = check_numbers(values)
    return mean(numbers), standard_error(numbers, None, None)


def clustered_stderr(values: Sequence[float], clusters: Sequence[Hashable]) -> float | None:
    """Standard error of the mean where items of a cluster (one passage) rise and fall together.

    (1/n)·√(C/(C−1)·Σ_c(Σ_{i∈c}(sᵢ−s̄))²), in the values' unit: Miller 2024 (Liang & Zeger 1986),
    with the small-sample factor C/(C−1) (CR1) that makes it `mean_stderr` where each item is its
    own cluster. None for one cluster.

    Args:
        values: the items' values.
        clusters: for each item, in the same order, the name of its cluster.

    Raises:
        ValueError: as `mean_stderr`, or the two differ in length.
    """
    return standard_error(check_numbers(values), clusters, None)


def stratified_stderr(
    values: Sequence[float],
    strata: Sequence[Hashable],
    clusters: Sequence[Hashable] | None = None,
) -> float | None:
    """Standard error of the mean over all items, the number of items per stratum being fixed.

    (1/n)·√(Σ_h n_h·s_h²), s_h² the variance (n_h − 1) within stratum h, in the values' unit:
    Cochran 1977, "Sampling Techniques", chapter 5, with weights n_h/n and no finite-population
    correction. With clusters, each stratum's term becomes C_h/(C_h−1)·Σ_c(Σ_{i∈c}(sᵢ−s̄_h))².
    Strata of a single item (cluster) tell no variance; they are collapsed into one, a lone one
    into the smallest other stratum, which overstates the error a little (Cochran, section 5A.12).
    None for one item (cluster) in all.

    Use it where another draw of the benchmark would have the same subjects in the same numbers
    (MMLU's subjects): differences between subjects are then no noise, and `mean_stderr` is
    slightly too large. Do not use it where the subjects themselves stand for others.

    Raises:
        ValueError: as `mean_stderr`, lengths differ, or a cluster reaches over two strata.
    """
    return standard_error(check_numbers(values), clusters, strata)


def wilson(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The score interval of a proportion, as fractions: Wilson 1927, JASA 22:209.

    Raises:
        ValueError: not 0 ≤ successes ≤ n, n < 1, or the confidence not between 0 and 1.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n} items: need 0 <= successes <= n, n >= 1")
    lo, hi = _wilson(successes / n, n, confidence)
    # The exact ends are 0 and 1 there; rounding must not push them off.
    return 0.0 if successes == 0 else lo, 1.0 if successes == n else hi


def stratified_wilson(
    strata: Sequence[tuple[float, int, int]], confidence: float = 0.95
) -> tuple[float, float, float]:
    """A proportion over strata of which each was sampled by itself, and its interval.

    θ̂ = Σ w·p̂ and θ̂ − √Σ w²(p̂−l)² … θ̂ + √Σ w²(u−p̂)², (l, u) being Wilson's interval of each
    stratum: Zou, Huang & Zhang 2009, "A note on confidence interval estimation for a linear
    function of binomial proportions", CSDA 53:1080 (MOVER). No finite-population correction.

    Args:
        strata: of each its weight, its share of the whole, and `successes` of `n` sampled.

    Returns:
        The proportion and the interval's ends, as fractions.

    Raises:
        ValueError: the weights do not add up to 1, or as `wilson`.
    """
    if abs(sum(weight for weight, _, _ in strata) - 1) > 1e-9:
        raise ValueError("the strata's weights must add up to 1")
    rate = below = above = 0.0
    for weight, successes, n in strata:
        low, high = wilson(successes, n, confidence)
        part = successes / n
        rate += weight * part
        below += (weight * (part - low)) ** 2
        above += (weight * (high - part)) ** 2
    return rate, max(0.0, rate - math.sqrt(below)), min(1.0, rate + math.sqrt(above))


def interval(
    values: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
    *,
    strata: Sequence[Hashable] | None = None,
    bounds: Bounds = (0.0, 1.0),
) -> tuple[float, float]:
    """The confidence interval of the mean, in the values' unit; see `estimate` for the rules."""
    result = estimate(
        values, clusters=clusters, strata=strata, confidence=confidence, bounds=bounds
    )
    return result.lo, result.hi


def estimate(
    values: Sequence[float],
    *,
    clusters: Sequence[Hashable] | None = None,
    strata: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
    bounds: Bounds = (0.0, 1.0),
    scale: float = 1.0,
) -> Estimate:
    """The mean over items with its standard error and interval.

    The error is `stratified_stderr`, `clustered_stderr` or `mean_stderr`, by what is given. The
    interval is Wilson's for 0/1 verdicts below `WILSON_BELOW` items, with clusters over the
    effective number of items s̄(1−s̄)/stderr², at most n (Franco et al. 2019; the normal one holds
    the truth in 91 to 93 % only); else it is s̄ ± z·stderr cut to `bounds`. 0/1
    verdicts that are all the same have an error of 0, which is no certainty: they get Wilson's at
    any n, over the clusters if any. Where the error is None, nothing but `bounds` is known.

    Args:
        values: the items' values, all within `bounds`.
        clusters: for each item the name of its cluster; None for independent items.
        strata: for each item the name of its stratum; None for one stratum.
        confidence: between 0 and 1.
        bounds: the least and the greatest value possible, in the values' unit.
        scale: what the result is multiplied by: 100 turns fractions into points.

    Raises:
        ValueError: as `stratified_stderr`, or a value out of bounds.
    """
    numbers = check_numbers(values, bounds)
    stderr = standard_error(numbers, clusters, strata)
    n, kinds = len(numbers), set(numbers)
    verdicts = bounds == (0, 1) and kinds <= {0.0, 1.0}
    if verdicts and len(kinds) == 1:
        units = n if clusters is None else len(set(clusters))
        lo, hi = wilson(units if kinds == {1.0} else 0, units, confidence)
    elif verdicts and n < WILSON_BELOW and clusters is None:
        lo, hi = wilson(int(sum(numbers)), n, confidence)
    elif verdicts and n < WILSON_BELOW and stderr is not None:
        p = mean(numbers)
        lo, hi = _wilson(p, min(n, p * (1 - p) / stderr**2) if stderr else n, confidence)
    else:
        lo, hi = normal_interval(mean(numbers), stderr, confidence, bounds)
    return scaled(Estimate(mean(numbers), n, stderr, lo, hi), scale)


def average_stderr(stderrs: Sequence[float | None]) -> float | None:
    """Standard error of the plain average of m scores, in their unit: √Σse²/m.

    Errors in quadrature, for columns made of different questions; columns that share questions
    are correlated, and the error is then larger than this (at most Σse/m). None where one is None.

    Raises:
        ValueError: no errors, or one that is negative or not finite.
    """
    known = [se for se in stderrs if se is not None]
    if len(known) < len(stderrs):
        return None
    return math.hypot(*check_numbers(known, NOT_NEGATIVE)) / len(known)


def standard_error(
    values: Sequence[float],
    clusters: Sequence[Hashable] | None,
    strata: Sequence[Hashable] | None,
) -> float | None:
    """The formula of `stratified_stderr`, of which the two other errors are special cases."""
    if clusters is not None:
        check_same_length(values, clusters, "values", "clusters")
    groups: list[Sequence[int]] = [range(len(values))]
    if strata is not None:
        check_same_length(values, strata, "values", "strata")
        groups = _groups(strata, clusters)
    total = 0.0
    for group in groups:
        center = math.fsum(values[i] for i in group) / len(group)
        residuals: defaultdict[Hashable, float] = defaultdict(float)
        if clusters is not None:
            for i in group:
                residuals[clusters[i]] += values[i] - center
        count = len(group) if clusters is None else len(residuals)
        if count < 2:
            return None
        parts = (values[i] - center for i in group) if clusters is None else residuals.values()
        total += count / (count - 1) * math.fsum(r * r for r in parts)
    return math.sqrt(total) / len(values)


def _groups(strata: Sequence[Hashable], clusters: Sequence[Hashable] | None) -> list[Sequence[int]]:
    """The items of each stratum, strata of a single cluster collapsed (`stratified_stderr`)."""
    members: defaultdict[Hashable, array[int]] = defaultdict(lambda: array("q"))
    home: dict[Hashable, Hashable] = {}
    for i, stratum in enumerate(strata):
        members[stratum].append(i)
        if clusters is not None and home.setdefault(clusters[i], stratum) != stratum:
            raise ValueError(f"cluster {clusters[i]!r} reaches over two strata: join these strata")
    sizes = Counter(home.values()) if home else {name: len(m) for name, m in members.items()}
    groups = sorted(members.values(), key=len)
    lone = [group for group in groups if sizes[strata[group[0]]] == 1]
    rest: list[Sequence[int]] = [group for group in groups if sizes[strata[group[0]]] > 1]
    if len(lone) == 1 and rest:
        lone.append(array("q", rest.pop(0)))
    return [*rest, [i for group in lone for i in group]] if lone else rest


def quantile(probability: float) -> float:
    """The standard normal quantile; ValueError unless 0 < probability < 1."""
    from statistics import NormalDist  # noqa: PLC0415 (costs as much to import as all the rest)

    if not 0 < probability < 1:
        raise ValueError(f"{probability} is not between 0 and 1")
    return NormalDist().inv_cdf(probability)


def z_value(confidence: float) -> float:
    """How many standard errors a two-sided normal interval reaches to each side."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is not between 0 and 1")
    return quantile((1 + confidence) / 2)


def _wilson(p: float, n: float, confidence: float) -> tuple[float, float]:
    """Wilson's interval of the share p; n need not be whole."""
    z = z_value(confidence)
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return middle - half, middle + half


def normal_interval(
    mean: float, stderr: float | None, confidence: float, bounds: Bounds
) -> tuple[float, float]:
    """mean ± z·stderr cut to the bounds; the bounds themselves where the error is unknown."""
    half = z_value(confidence) * (math.inf if stderr is None else stderr)
    return max(bounds[0], mean - half), min(bounds[1], mean + half)


def scaled(e: Estimate, scale: float) -> Estimate:
    """The estimate in another unit."""
    if not 0 < scale < math.inf:
        raise ValueError(f"scale {scale}: need a positive number")
    stderr = None if e.stderr is None else e.stderr * scale
    return Estimate(e.score * scale, e.n, stderr, e.lo * scale, e.hi * scale)
