"""The error of a score, and the comparison of two runs: formulas as pure functions.

The gate's are in `stats_gate`, a judge's agreement with people in `stats_agreement`.

Units: a *fraction* lies in 0…1 (a 0/1 verdict, a mean of them), *points* are 100 times that.
Each docstring says which it takes and gives. Input that cannot be right (nothing, NaN, k > n, a
probability outside 0…1) raises ValueError; an error that the data cannot tell (one item, one
cluster) is None, which JSON can hold, and never 0.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

Bounds = tuple[float, float]
"""The least and the greatest value that an item can have: (0, 1), or (1, 10) for a rating."""
ANY: Bounds = (-math.inf, math.inf)
NOT_NEGATIVE: Bounds = (0.0, math.inf)

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


@dataclass(frozen=True, slots=True)
class Flips:
    """The items whose value changed from one run to another, in the first run's order.

    Attributes:
        gained: ids whose value rose (wrong, then right).
        lost: ids whose value fell (right, then wrong).
    """

    gained: tuple[str, ...]
    lost: tuple[str, ...]


# --- The error of a score -----------------------------------------------------------------


def mean_stderr(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean over items and its standard error √(Σ(sᵢ−s̄)²/(n(n−1))), in the values' unit.

    Miller 2024, "Adding Error Bars to Evals" (the central limit theorem). With several samples an
    item, give each item's mean (or its pass@k), not each sample. The error is None for one item.

    Raises:
        ValueError: no values, or one that is not a finite number.
    """
    numbers = check_numbers(values)
    return mean(numbers), _stderr(numbers, None, None)


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
    return _stderr(check_numbers(values), clusters, None)


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
    return _stderr(check_numbers(values), clusters, strata)


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
    stderr = _stderr(numbers, clusters, strata)
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
        lo, hi = _normal_interval(mean(numbers), stderr, confidence, bounds)
    return _scaled(Estimate(mean(numbers), n, stderr, lo, hi), scale)


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


# --- Several samples an item --------------------------------------------------------------


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
    if not 0 <= c <= n:
        raise ValueError(f"{c} right of {n} samples: need 0 <= c <= n")
    _check_k(k, n)
    draws = math.comb(n, k)
    return (draws - math.comb(n - c, k)) / draws


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


# --- Two runs on the same items -----------------------------------------------------------


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
    """The mean of bᵢ − aᵢ over the same items, with its error and normal interval.

    Miller 2024: the error is that of the differences, by `mean_stderr`, `clustered_stderr` or
    `stratified_stderr`. Above 0: b is better. Two runs that agree on every item give an error of
    0: no noise was seen, which for few items says little.

    Args:
        a, b: the two runs' values, item by item in the same order, within `bounds`.
        clusters, strata, confidence, scale: as in `estimate`.
        bounds: the least and the greatest value of an item; the interval is cut to ± their
            distance.

    Raises:
        ValueError: as `estimate`, or a and b differ in length.
    """
    check_same_length(a, b, "a", "b")
    pairs = zip(check_numbers(a, bounds), check_numbers(b, bounds), strict=True)
    differences = [y - x for x, y in pairs]
    difference = mean(differences)
    stderr = _stderr(differences, clusters, strata)
    width = bounds[1] - bounds[0]
    lo, hi = _normal_interval(difference, stderr, confidence, (-width, width))
    return _scaled(Estimate(difference, len(differences), stderr, lo, hi), scale)


def normal_test(difference: float, stderr: float) -> float:
    """Two-sided p-value of "no difference", from a paired difference and its error (same unit).

    2·(1 − Φ(|difference|/stderr)). For what `mcnemar_exact` cannot do: ratings and clusters.

    Raises:
        ValueError: not finite, or an error of 0 beside a difference, which no test can judge.
    """
    check_number("difference", difference)
    check_number("stderr", stderr, NOT_NEGATIVE)
    if difference == 0:
        return 1.0
    if stderr == 0:
        raise ValueError(f"a difference of {difference} with a standard error of 0: no test")
    return math.erfc(abs(difference) / stderr / math.sqrt(2))


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


def minimum_detectable_effect(stderr: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """The true difference that a two-sided test at `alpha` finds with the chance `power`.

    (z_{1−α/2} + z_{power})·stderr, in the unit of `stderr` (of the paired difference): Miller
    2024, the sample-size formula solved for the effect.

    Raises:
        ValueError: a negative error; alpha or power not between 0 and 1.
    """
    check_number("stderr", stderr, NOT_NEGATIVE)
    return (z_value(1 - alpha) + _quantile(power)) * stderr


# --- Helpers ------------------------------------------------------------------------------


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


def _check_k(k: int, n: int) -> None:
    if not 1 <= k <= n:
        raise ValueError(f"k = {k} of n = {n} samples: need 1 <= k <= n")


def mean(values: Sequence[float]) -> float:
    """The mean, its sum rounded once; `values` must not be empty."""
    return math.fsum(values) / len(values)


def _stderr(
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


def _quantile(probability: float) -> float:
    """The standard normal quantile; ValueError unless 0 < probability < 1."""
    from statistics import NormalDist  # costs as much to import as all the rest

    if not 0 < probability < 1:
        raise ValueError(f"{probability} is not between 0 and 1")
    return NormalDist().inv_cdf(probability)


def z_value(confidence: float) -> float:
    """How many standard errors a two-sided normal interval reaches to each side."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is not between 0 and 1")
    return _quantile((1 + confidence) / 2)


def _wilson(p: float, n: float, confidence: float) -> tuple[float, float]:
    """Wilson's interval of the share p; n need not be whole."""
    z = z_value(confidence)
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return middle - half, middle + half


def _normal_interval(
    mean: float, stderr: float | None, confidence: float, bounds: Bounds
) -> tuple[float, float]:
    """mean ± z·stderr cut to the bounds; the bounds themselves where the error is unknown."""
    half = z_value(confidence) * (math.inf if stderr is None else stderr)
    return max(bounds[0], mean - half), min(bounds[1], mean + half)


def _scaled(e: Estimate, scale: float) -> Estimate:
    if not 0 < scale < math.inf:
        raise ValueError(f"scale {scale}: need a positive number")
    stderr = None if e.stderr is None else e.stderr * scale
    return Estimate(e.score * scale, e.n, stderr, e.lo * scale, e.hi * scale)
