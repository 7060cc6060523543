"""How often intervals, tests and the gate are right, by sums and by simulation; for `claims.py`.

Each function makes a `Share`. Where an outcome is counts, the share is a sum over all of them, so
that it is exact and takes no draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import numpy as np
from scipy.stats import binom, hypergeom, multinomial

from ochat_eval import stats

Share = Callable[[np.random.Generator, int], float]
"""A measured share, of a random generator and a number of draws (ignored where exact)."""


def drawn(
    rng: np.random.Generator, draws: int, hit: Callable[[np.random.Generator], bool]
) -> float:
    """The share of the draws that hit."""
    return sum(hit(rng) for _ in range(draws)) / draws


# --- Intervals ----------------------------------------------------------------------------------


def verdicts(n: int, shares: Sequence[float]) -> Share:
    """The mean coverage of n independent verdicts over true shares: exact."""

    def share(rng: np.random.Generator, draws: int) -> float:
        covered = 0.0
        for p in shares:
            for c in range(n + 1):
                weight = binom.pmf(c, n, p)
                if weight > 1e-7:
                    lo, hi = stats.interval([1.0] * c + [0.0] * (n - c))
                    covered += weight * (lo <= p <= hi)
        return covered / len(shares)

    return share


def several_answers(n: int, answers: int, a: float, b: float) -> Share:
    """Items of Beta(a, b) difficulty, the mean of several answers each."""

    def hit(rng: np.random.Generator) -> bool:
        values = rng.binomial(answers, rng.beta(a, b, n)) / answers
        lo, hi = stats.interval(values.tolist())
        return bool(lo <= a / (a + b) <= hi)

    return lambda rng, draws: drawn(rng, draws, hit)


def pass_at(k: int, answers: int = 10, n: int = 164) -> Share:
    """pass@k of items of Beta(0.5, 1) difficulty."""
    truth = 1 - math.prod((1 + i) / (1.5 + i) for i in range(k))  # E[(1 − p)^k]
    return _at_k(stats.pass_at_k, truth, k, answers, n)


def all_at(k: int, answers: int = 10, n: int = 164) -> Share:
    """pass^k of the same items."""
    truth = math.prod((0.5 + i) / (1.5 + i) for i in range(k))  # E[p^k]
    return _at_k(stats.all_at_k, truth, k, answers, n)


def _at_k(
    rate: Callable[[int, int, int], float], truth: float, k: int, answers: int, n: int
) -> Share:
    def hit(rng: np.random.Generator) -> bool:
        right = rng.binomial(answers, rng.beta(0.5, 1, n))
        lo, hi = stats.interval([rate(answers, int(c), k) for c in right])
        return bool(lo <= truth <= hi)

    return lambda rng, draws: drawn(rng, draws, hit)


def sampling(n: int, answers: int) -> tuple[Share, Share]:
    """Items of Beta(0.7, 0.7) difficulty with several answers each, and as many once more.

    Returns:
        How often the second mean lies within 1.96·√2 of the answers' error of the first, the items
        being the same; how often the variance told for twice the answers is within a tenth of what
        both make.
    """

    def once(rng: np.random.Generator) -> tuple[float, stats.Sampling, float, float]:
        rates = rng.beta(0.7, 0.7, n)
        right = rng.binomial(answers, rates), rng.binomial(answers, rates)
        means = (right[0] / answers).tolist()
        stderr = stats.mean_stderr(means)[1]
        assert stderr is not None
        squares = (right[0] * (answers - right[0]) / answers).tolist()
        parts = stats.sampling_parts(stderr, squares, answers, n)
        assert parts is not None
        both = stats.mean_stderr(((right[0] + right[1]) / (2 * answers)).tolist())[1]
        assert both is not None
        moved = float((right[1] - right[0]).mean() / answers)
        return moved, parts, stderr**2, both**2

    def again(rng: np.random.Generator) -> bool:
        moved, parts, _, _ = once(rng)
        return abs(moved) <= 1.96 * math.sqrt(2 * parts.answers)

    def foretold(rng: np.random.Generator) -> bool:
        _, parts, now, then = once(rng)
        return abs(parts.ratio(2 * answers) * now / then - 1) <= 0.1

    return (
        lambda rng, draws: drawn(rng, draws, again),
        lambda rng, draws: drawn(rng, draws, foretold),
    )


RATINGS = np.arange(1.0, 11)
SKEWED = np.array([2, 2, 3, 4, 6, 9, 14, 22, 26, 12]) / 100
EVEN = np.array([0, 2, 5, 12, 31, 31, 12, 5, 2, 0]) / 100
"""How often a judge gives which rating: of a good model, and of a middling one."""


def ratings(n: int, chances: np.ndarray) -> Share:
    """The mean of n independent ratings."""

    def hit(rng: np.random.Generator) -> bool:
        lo, hi = stats.interval(rng.choice(RATINGS, n, p=chances).tolist(), bounds=(1, 10))
        return bool(lo <= RATINGS @ chances <= hi)

    return lambda rng, draws: drawn(rng, draws, hit)


def judged(rng: np.random.Generator, categories: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ratings of two turns of ten questions a category, with their questions and categories."""
    level = np.linspace(4.5, 8.5, categories) if categories > 1 else np.array([6.5])
    question = level.repeat(10) + rng.normal(0, 1.2, 10 * categories)
    turns = np.clip(question[:, None] + rng.normal(0, 1.0, (10 * categories, 2)), 1, 10)
    return turns, np.arange(10 * categories), np.arange(categories).repeat(10)


@lru_cache
def judged_truth(categories: int) -> float:
    """The expected rating of `judged`."""
    rng = np.random.default_rng(99)
    return float(np.mean([judged(rng, categories)[0].mean() for _ in range(20_000)]))


def mt_bench(categories: int, turns: int) -> Share:
    """MT-Bench's score, a turn of it, or a category."""

    def hit(rng: np.random.Generator) -> bool:
        found, questions, strata = judged(rng, categories)
        lo, hi = stats.interval(
            found[:, :turns].ravel().tolist(),
            questions.repeat(turns).tolist(),
            strata=strata.repeat(turns).tolist(),
            bounds=(1, 10),
        )
        return bool(lo <= judged_truth(categories) <= hi)

    return lambda rng, draws: drawn(rng, draws, hit)


def limited(asked: int, of: int, right: int) -> Share:
    """A sample of a benchmark of which `right` items would be right: exact."""

    def share(rng: np.random.Generator, draws: int) -> float:
        covered = 0.0
        for c in range(asked + 1):
            weight = hypergeom.pmf(c, of, right, asked)
            if weight > 1e-9:
                found = stats.estimate([1.0] * c + [0.0] * (asked - c), fraction=asked / of)
                covered += weight * (found.lo <= right / of <= found.hi)
        return covered

    return share


def passages(count: int, size: int) -> Share:
    """Verdicts on passages of `size` items of Beta(3, 2) difficulty."""

    def hit(rng: np.random.Generator) -> bool:
        values = rng.random((count, size)) < rng.beta(3, 2, (count, 1))
        clusters = np.arange(count).repeat(size).tolist()
        lo, hi = stats.interval(values.ravel().astype(float).tolist(), clusters)
        return bool(lo <= 0.6 <= hi)

    return lambda rng, draws: drawn(rng, draws, hit)


def average(shares: Sequence[float], n: int, together: bool = False) -> Share:
    """A table's average of benchmarks of n items; `together`: the first two ask the same."""

    def hit(rng: np.random.Generator) -> bool:
        luck = rng.random((len(shares), n))
        if together:
            luck[1] = luck[0]
        found = [
            stats.estimate((u < p).astype(float).tolist())
            for u, p in zip(luck, shares, strict=True)
        ]
        names = [0, 0, *range(2, len(shares))] if together else None
        lo, hi = stats.average_interval(
            [f.score for f in found], [(f.lo, f.hi) for f in found], names
        )
        return bool(lo <= np.mean(shares) <= hi)

    return lambda rng, draws: drawn(rng, draws, hit)


def differences(n: int, psi: float, net: float) -> Share:
    """The difference of two runs that disagree on the share ψ of n items: exact."""
    up, down = (psi + net) / 2, (psi - net) / 2

    def share(rng: np.random.Generator, draws: int) -> float:
        covered = 0.0
        for gained, lost, weight in flips(n, up, down):
            a = [0.0] * gained + [1.0] * lost + [1.0] * (n - gained - lost)
            b = [1.0] * gained + [0.0] * lost + [1.0] * (n - gained - lost)
            found = stats.paired(a, b)
            covered += weight * (found.lo <= net <= found.hi)
        return covered

    return share


def flips(n: int, up: float, down: float) -> Iterator[tuple[int, int, float]]:
    """The numbers of gains and losses among n items, with their chances."""
    reach = 8 * math.sqrt(n * (up + down)) + 12
    most = [min(n, math.ceil(n * p + reach)) for p in (up, down)]
    for gained in range(most[0] + 1):
        for lost in range(min(most[1], n - gained) + 1):
            counts = [gained, lost, n - gained - lost]
            weight = float(multinomial.pmf(counts, n, [up, down, 1 - up - down]))
            if weight > 1e-7:
                yield gained, lost, weight


# --- Tests --------------------------------------------------------------------------------------


def mcnemar_size(n: int, psi: float) -> Share:
    """How often exact McNemar calls two runs that are as good: exact."""

    def share(rng: np.random.Generator, draws: int) -> float:
        return sum(
            weight
            for gained, lost, weight in flips(n, psi / 2, psi / 2)
            if stats.mcnemar_exact(gained, lost) <= 0.05
        )

    return share


def ratings_size(n: int) -> Share:
    """How often two runs of as good ratings are called."""

    def hit(rng: np.random.Generator) -> bool:
        a, b = rng.choice(RATINGS, (2, n), p=SKEWED)
        return stats.paired_test(a.tolist(), b.tolist()).p <= 0.05

    return lambda rng, draws: drawn(rng, draws, hit)


def passages_size(count: int, size: int, items: int) -> Share:
    """How often random answers to passages are called, `items` of them in all."""
    clusters = np.arange(count).repeat(size)[:items].tolist()

    def hit(rng: np.random.Generator) -> bool:
        shift = rng.choice([-0.3, 0.3], count).repeat(size)[:items]  # a passage suits one run
        a, b = (rng.random((2, items)) < 0.5 + np.array([shift, -shift]) / 2).astype(float)
        return stats.paired_test(a.tolist(), b.tolist(), clusters).p <= 0.05

    return lambda rng, draws: drawn(rng, draws, hit)


def any_false_call(others: int, tasks: int) -> Share:
    """How often one of several as good runs is called against the first, over all pairs shown."""

    def hit(rng: np.random.Generator) -> bool:
        pvalues = []
        for _ in range(tasks):
            runs = (rng.random(400) < 0.6) ^ (rng.random((others + 1, 400)) < 0.1)
            for run in runs[1:]:
                gained, lost = int((run & ~runs[0]).sum()), int((runs[0] & ~run).sum())
                pvalues.append(stats.mcnemar_exact(gained, lost))
        return min(stats.holm(pvalues)) <= 0.05

    return lambda rng, draws: drawn(rng, draws, hit)


def published_figures(count: int) -> Share:
    """How often one of several faultless benchmarks is not taken for its published figure."""
    margin = stats.published_margin(1.0, rounding=0, of=count)

    def share(rng: np.random.Generator, draws: int) -> float:
        return float((np.abs(rng.normal(0, 1, (20 * draws, count))) > margin).any(axis=1).mean())

    return share


def detectable(n: int, psi: float) -> Share:
    """How often McNemar finds the difference that a comparison without one called detectable."""

    def share(rng: np.random.Generator, draws: int) -> float:
        found = 0.0
        for flipped in range(n + 1):
            weight = binom.pmf(flipped, n, psi)
            effect = stats.mcnemar_detectable(n, flipped / n) if weight > 1e-5 else None
            if effect is not None:
                found += weight * stats.mcnemar_power(n, max(psi, effect), effect)
        return found

    return share


# --- The gate -----------------------------------------------------------------------------------


def reruns(rng: np.random.Generator, psi: float, n: int, runs: int) -> np.ndarray:
    """runs × n verdicts of one model: most items fixed, some undecided from run to run."""
    chance = (rng.random(n) < 0.7).astype(float)
    undecided = rng.random(n) < psi / 0.4  # 2·E[p(1 − p)] of Beta(2, 2) is 0.4
    chance[undecided] = rng.beta(2, 2, int(undecided.sum()))
    return (rng.random((runs, n)) < chance).astype(float)


def gated(psi: float, n: int, recorded: int, loss: float | str, verdict: str, mode: str) -> Share:
    """How often the gate says `verdict` of a run with a true loss in points.

    Args:
        loss: in points, or `margin`, or `detects`.
    """
    margin = stats.delta(psi, n)
    points = {"margin": margin, "detects": stats.detects(margin, psi, n, recorded, mode=mode)}
    true = points[loss] if isinstance(loss, str) else loss
    assert true is not None

    def hit(rng: np.random.Generator) -> bool:
        runs = reruns(rng, psi, n, recorded + 1)
        new, base = runs[-1], runs[:-1].mean(axis=0)
        if true >= 0:
            new = new * (rng.random(n) >= true / 100 / new.mean())
        else:
            new = np.maximum(new, rng.random(n) < -true / 100 / (1 - new.mean()))
        found = stats.rerun_interval(base.tolist(), new.tolist(), psi, recorded)
        return stats.decide(found.lo, found.hi, margin, mode) == verdict

    return lambda rng, draws: drawn(rng, draws, hit)


def gated_without_flips(n: int) -> Share:
    """How often a loss of the margin passes where no rerun flipped: exact."""

    def share(rng: np.random.Generator, draws: int) -> float:
        margin, passed = stats.delta(0.0, n), 0.0
        for lost in range(n + 1):
            weight = binom.pmf(lost, n, margin / 100)
            if weight > 1e-9:
                new = [0.0] * lost + [1.0] * (n - lost)
                found = stats.rerun_interval([1.0] * n, new, 0.0, 4)
                passed += weight * (stats.decide(found.lo, found.hi, margin) == "PASS")
        return passed

    return share
