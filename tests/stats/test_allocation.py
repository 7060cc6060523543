"""How many items a precision takes: no more than that, no fewer, and where they are cheap."""

from __future__ import annotations

import numpy as np
import pytest

from ochat_eval import stats
from ochat_eval.stats import Benchmark


def known(items: int, variance: float = 0.1, **more) -> Benchmark:
    return Benchmark(
        **{"items": items, "variance": variance, "controls": 1, "clusters": items, **more}
    )


def half(benchmarks, limits) -> float:
    """The expected half-width, by the formula of `controlled`, written anew."""
    square = 0.0
    for one, n in zip(benchmarks, limits, strict=True):
        stderr = np.sqrt((n * one.variance + 2) * (1 - n / one.items)) / (n + 2)
        square += one.together * (stats.t_value(0.95, n - 2) * stderr) ** 2
    return float(np.sqrt(square)) / len(benchmarks)


def test_it_is_the_cheapest_of_all_that_are_narrow_enough():
    benchmarks = [known(400, 0.05), known(600, 0.15, cost=4.0), known(150, 0.02)]
    limits = stats.allocation(benchmarks, 0.01)
    reached = half(benchmarks, limits)
    assert 0.0085 < reached < 0.01  # what is left is for samples that vary more than the mean
    cost = sum(n * one.cost for n, one in zip(limits, benchmarks, strict=True))
    for moved in ((20, -5, 0), (-20, 5, 0), (20, 0, -20), (-20, 0, 20), (0, -5, 20), (0, 5, -20)):
        other = [
            min(n + more, one.items) for n, more, one in zip(limits, moved, benchmarks, strict=True)
        ]
        same = sum(n * one.cost for n, one in zip(other, benchmarks, strict=True)) <= cost
        assert same and half(benchmarks, other) > reached - 1e-6


def test_more_of_what_varies_more_and_costs_less():
    plain, wild, dear = known(20_000), known(20_000, 0.4 * 0.4), known(20_000, cost=4.0)
    first, more = stats.allocation([plain, wild], 0.005)
    assert more / first == pytest.approx(0.4 / np.sqrt(0.1), rel=0.03)
    first, fewer = stats.allocation([plain, dear], 0.005)
    assert first / fewer == pytest.approx(2, rel=0.03)


def test_a_small_benchmark_is_asked_whole_and_all_are_where_nothing_less_will_do():
    assert stats.allocation([known(40), known(9)], 1e-6) == [40, 9]
    assert stats.allocation([known(14_042), known(9)], 0.02)[1] == 9
    # 30 degrees of freedom at least: with passages of two, and 57 subjects.
    assert stats.allocation([known(14_042, strata=57)], 1.0) == [88]
    assert stats.allocation([known(1000, clusters=500)], 1.0) == [64]


def test_the_same_questions_count_together():
    alone = stats.allocation([known(6_000)] * 2, 0.01)
    both = stats.allocation([known(6_000, together=2)] * 2, 0.01)
    assert both[0] > 1.5 * alone[0]


def test_what_other_runs_leave_is_the_largest_of_their_residuals():
    rng = np.random.default_rng(0)
    base = (rng.random(4000) < 0.6).astype(float)
    runs = [np.where(rng.random(4000) < psi, 1 - base, base).tolist() for psi in (0.01, 0.02, 0.1)]
    left = stats.residual_variance(runs)
    line = np.polyfit(base, runs[2], 1)
    assert left == pytest.approx(np.var(runs[2] - np.polyval(line, base)), rel=0.05)
    passages = [i // 4 for i in range(4000)]
    assert stats.residual_variance(runs, passages) == pytest.approx(left, rel=0.1)
    alike = [[value for value in run[:1000] for _ in range(4)] for run in runs]
    assert stats.design_effect(alike[0], passages) == pytest.approx(4, rel=0.01)
    assert stats.residual_variance(alike, passages) > 3 * stats.residual_variance(alike)
    assert stats.design_effect([1.0] * 8, passages[:8]) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stats.allocation([], 0.1), "0 benchmarks"),
        (lambda: stats.allocation([known(9)], 0.0), "half-width 0"),
        (lambda: stats.allocation([known(9, float("nan"))], 0.1), "variance"),
        (lambda: stats.allocation([known(9, cost=0.0)], 0.1), "positive cost"),
        (lambda: stats.allocation([known(9, clusters=10)], 0.1), "than items"),
        (lambda: stats.allocation([known(9, controls=0)], 0.1), "need controls"),
        (lambda: stats.residual_variance([[1.0] * 9]), "1 runs of 9 items"),
        (lambda: stats.residual_variance([[1.0] * 3, [0.0] * 3]), "2 runs of 3 items"),
        (lambda: stats.residual_variance([[1.0] * 9, [0.0] * 8]), "another run"),
    ],
)
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
