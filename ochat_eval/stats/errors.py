"""The standard error of a mean: of independent items, of clusters, of strata, of an average."""

from __future__ import annotations

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from ochat_eval.stats.checks import (
    NOT_NEGATIVE,
    ROUNDING,
    check_numbers,
    check_same_length,
    mean,
)


@dataclass(frozen=True, slots=True)
class Spread:
    """How well items tell the error of their mean.

    Attributes:
        stderr: its standard error, in the values' unit; None where nothing tells it.
        units: items, or clusters, that are independent of each other.
        df: degrees of freedom of `stderr`: the units less the strata.
    """

    stderr: float | None
    units: int
    df: int


def mean_stderr(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean over items and its standard error √(Σ(sᵢ−s̄)²/(n(n−1))), in the values' unit.

    Miller 2024, "Adding Error Bars to Evals" (the central limit theorem). With several samples an
    item, give each item's mean (or its pass@k), not each sample. The error is None for one item.

    Raises:
        ValueError: no values, or one that is not a finite number.
    """
    numbers = check_numbers(values)
    return mean(numbers), spread(numbers, None, None).stderr


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
    return spread(check_numbers(values), clusters, None).stderr


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
    return spread(check_numbers(values), clusters, strata).stderr


def average_stderr(
    stderrs: Sequence[float | None], together: Sequence[Hashable] | None = None
) -> float | None:
    """Standard error of the plain average of m scores, in their unit: √Σse²/m.

    Errors in quadrature, for columns made of different questions. Columns of the same questions
    rise and fall together; how far is not known from the scores alone, so that their errors are
    added as they are: an upper bound, reached where they are wholly correlated.

    Args:
        stderrs: the columns' errors; None where one is not known, and then the result is None.
        together: for each column the name of its questions; None where all are different.

    Raises:
        ValueError: no errors, or one that is negative or not finite; the two differ in length.
    """
    known = [se for se in stderrs if se is not None]
    if len(known) < len(stderrs):
        return None
    return in_quadrature(check_numbers(known, NOT_NEGATIVE), together) / len(known)


def in_quadrature(errors: Sequence[float], together: Sequence[Hashable] | None) -> float:
    """√Σe², errors with the same name in `together` added before."""
    names = range(len(errors)) if together is None else together
    check_same_length(errors, names, "errors", "names")
    sums: defaultdict[Hashable, float] = defaultdict(float)
    for error, name in zip(errors, names, strict=True):
        sums[name] += error
    return math.hypot(*sums.values())


def spread(
    values: Sequence[float],
    clusters: Sequence[Hashable] | None,
    strata: Sequence[Hashable] | None,
) -> Spread:
    """The formula of `stratified_stderr`, of which the two other errors are special cases."""
    if clusters is not None:
        check_same_length(values, clusters, "values", "clusters")
    groups: list[Sequence[int]] = [range(len(values))]
    if strata is not None:
        check_same_length(values, strata, "values", "strata")
        groups = _groups(strata, clusters)
    units = len(values) if clusters is None else len(set(clusters))
    total = 0.0
    for group in groups:
        center = math.fsum(values[i] for i in group) / len(group)
        residuals: defaultdict[Hashable, float] = defaultdict(float)
        if clusters is not None:
            for i in group:
                residuals[clusters[i]] += values[i] - center
        count = len(group) if clusters is None else len(residuals)
        if count < 2:
            return Spread(None, units, 0)
        parts = (values[i] - center for i in group) if clusters is None else residuals.values()
        total += count / (count - 1) * math.fsum(r * r for r in parts)
    stderr = math.sqrt(total) / len(values)
    if stderr < ROUNDING * max(map(abs, values)):
        stderr = 0.0
    return Spread(stderr, units, units - len(groups))


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
