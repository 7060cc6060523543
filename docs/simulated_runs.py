"""How often what is said of a series of runs, and of a run that goes on, is right, by simulation;
for `claims.py`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from simulations import Share, drawn

from ochat_eval import stats
from ochat_eval.bench.decide import decided


def checkpoints(rng: np.random.Generator, truths: np.ndarray, n: int, psi: float) -> np.ndarray:
    """Verdicts of runs on the same n items; two runs of the same truth differ in about ψ of them.

    An item is right where its difficulty is below the run's truth; some are undecided.
    """
    difficulty = rng.random(n)
    undecided = rng.random(n) < 2 * psi
    drawn_anew = rng.random((len(truths), n))
    return (np.where(undecided, drawn_anew, difficulty) < truths[:, None]).astype(float)


def false_pair(count: int, n: int, psi: float) -> Share:
    """How often any pair of equally good checkpoints is called."""

    def hit(rng: np.random.Generator) -> bool:
        runs = checkpoints(rng, np.full(count, 0.6), n, psi)
        return any(pair.p_holm <= 0.05 for pair in stats.all_pairs(runs.tolist()))

    return lambda rng, draws: drawn(rng, draws, hit)


def best_is_among(count: int, n: int, psi: float, behind: float) -> Share:
    """How often the truly best is among those that may be: the others are `behind` it."""
    truths = np.full(count, 0.6 - behind)
    truths[count // 2] = 0.6

    def hit(rng: np.random.Generator) -> bool:
        runs = checkpoints(rng, truths, n, psi)
        return count // 2 in stats.best(stats.all_pairs(runs.tolist())).among

    return lambda rng, draws: drawn(rng, draws, hit)


def slope_covers(count: int, n: int, psi: float, rise: float) -> Share:
    """How often the interval of the slope holds what the score rises by a step."""
    steps = np.arange(count, dtype=float)

    def hit(rng: np.random.Generator) -> bool:
        runs = checkpoints(rng, 0.5 + rise * steps, n, psi)
        found = stats.slope(runs.tolist(), steps.tolist())
        return found.lo <= rise <= found.hi

    return lambda rng, draws: drawn(rng, draws, hit)


def looked_at(n: int, psi: float, loss: float, margin: float, what: str, mode: str) -> Share:
    """How often the looks at a run with a true loss in points pass it, fail it, or agree with the
    gate of all its items (`what`: `passed`, `failed`, `agreed`)."""

    def share(rng: np.random.Generator, draws: int) -> float:
        seed = int(rng.integers(1 << 30))
        return getattr(decided(n, psi, loss, margin, mode=mode, draws=draws, seed=seed), what)

    return share


def passages_looked_at(count: int, size: int, looks: int, margin: float) -> Share:
    """How often a true loss of the margin (a fraction) passes where passages fall as a whole."""
    shares = [k / looks for k in range(1, looks + 1)]
    confidences = stats.look_confidences(shares)
    clusters = np.arange(count).repeat(size).tolist()
    base = [1.0] * (count * size)

    def hit(rng: np.random.Generator) -> bool:
        chance = rng.choice([0.0, 0.3], count, p=[1 - margin / 0.3, margin / 0.3]).repeat(size)
        new = (rng.random(count * size) >= chance).astype(float).tolist()
        for share, confidence in zip(shares, confidences, strict=True):
            n = size * round(count * share)
            found = stats.rerun_interval(
                base[:n], new[:n], 0.0, 1, clusters=clusters[:n], confidence=confidence
            )
            if found.lo >= -100 * margin:
                return True
        return False

    return lambda rng, draws: drawn(rng, draws, hit)


def allocated(sizes: Sequence[int], half_width: float, psi: float, what: str) -> Share:
    """How often runs with as many items of each benchmark as `stats.allocation` says have an
    average whose interval is narrow enough, or holds the truth (`what`: `narrow`, `held`).

    Args:
        psi: the share of verdicts that differ from the one control's, as it was reckoned with.
    """
    known = [
        stats.Benchmark(items=n, variance=psi, controls=1, clusters=n, strata=1) for n in sizes
    ]
    limits = stats.allocation(known, half_width)

    def hit(rng: np.random.Generator) -> bool:
        scores, ends, truths = [], [], []
        for of, n in zip(sizes, limits, strict=True):
            base = (rng.random(of) < 0.6).astype(float)
            new = np.where(rng.random(of) < psi, 1 - base, base)
            asked = rng.choice(of, n, replace=False)
            drawn_of_base = base[asked].tolist()
            found = stats.controlled(new[asked].tolist(), [drawn_of_base], [base.mean()], of)
            scores.append(found.score)
            ends.append((found.lo, found.hi))
            truths.append(new.mean())
        low, high = stats.average_interval(scores, ends)
        narrow = (high - low) / 2 <= half_width
        return narrow if what == "narrow" else bool(low <= np.mean(truths) <= high)

    return lambda rng, draws: drawn(rng, draws, hit)
