"""The edges: each call of the issue that found them wrong, and the claims of docs/statistics.md."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest

from ochat_eval import stats
from tests.conftest import CHECKOUT

sys.path.insert(0, str(CHECKOUT / "docs"))
import claims

# --- The calls --------------------------------------------------------------------------------


def test_two_runs_that_agree_on_25_items_are_not_known_to_be_the_same():
    """0…0 before."""
    found = stats.paired([1] * 25, [1] * 25, scale=100)
    assert (found.lo, found.hi) == pytest.approx((-10.3, 10.3), abs=0.05)


def test_25_equal_items_are_inconclusive():
    """PASS with 0…0 before; compatible with a loss of 11 points."""
    found = stats.rerun_interval([1.0] * 25, [1.0] * 25, 0.0, 4)
    assert found.lo == pytest.approx(100 * math.log(0.05) / 25) and found.lo < -11
    assert stats.decide(found.lo, found.hi, stats.delta(0.0, 25)) == "INCONCLUSIVE"


@pytest.mark.parametrize(
    ("values", "options", "lo", "hi"),
    [
        ([1.0] * 3 + [0.0] * 1316, {"scale": 100}, 0.08, 0.67),  # 0…0.48
        ([1.0] * 200 + [0.0] * 200, {"strata": [1] * 200 + [0] * 200}, 0.451, 0.549),  # .5….5
        ([0.5] * 12, {}, 0.379, 0.621),  # .5….5
        ([10.0] * 2, {"bounds": (1, 10)}, 4.08, 10.0),  # 10…10
        ([1.0] * 12, {}, 0.757, 1.0),  # as it was
    ],
)
def test_no_interval_has_no_width(values, options, lo, hi):
    found = stats.estimate(values, **options)
    assert (found.lo, found.hi) == pytest.approx((lo, hi), abs=0.006)


@pytest.mark.parametrize(
    ("values", "options"),
    [
        ([1 / 3, 2 / 3, 2 / 3, 1 / 3], {"clusters": [0, 0, 1, 1]}),
        ([0.2] * 3 + [0.6] * 3, {"strata": [0] * 3 + [1] * 3}),
    ],
)
def test_what_rounding_leaves_of_thirds_is_no_error(values, options):
    """0.5…0.5 and 0.4…0.4 before: of three answers an item, two passages with as many right."""
    found = stats.estimate(values, **options)
    assert found.stderr == 0 and found.hi - found.lo > 0.5


def test_what_rounding_leaves_of_thirds_is_no_difference():
    """p = 0.031 and 0 before, 40 flips, and an interval without a width."""
    passages = [i // 2 for i in range(12)]
    assert stats.paired_test([2 / 3] * 12, [1, 1 / 3] * 6, passages).p == 1
    # Two turns, each rated by three judges: the same mean of the same six ratings.
    a, b = (stats.mean([26 / 3, 23 / 3]), stats.mean([25 / 3, 24 / 3]))
    assert a != b
    runs = [a] * 40, [b] * 39 + [a]
    found = stats.paired(*runs, bounds=(1, 10))
    assert found.score == 0 and found.hi - found.lo > 1
    assert stats.paired_test(*runs).p == 1
    assert stats.flips(*(dict(zip("ab", run, strict=False)) for run in runs)) == stats.Flips((), ())
    # All better by a third: the sign test, for there is no error to divide by.
    assert stats.paired_test([1 / 3, 2 / 3] * 20, [2 / 3, 1.0] * 20).name == "sign"


def test_an_average_of_seven_columns_of_nothing_right():
    """0…0 before."""
    ends = [tuple(100 * x for x in stats.wilson(0, 5))] * 7
    assert stats.average_interval([0.0] * 7, ends) == pytest.approx((0, 16.4), abs=0.05)


def test_columns_of_the_same_questions_are_added():
    ends = [(40.0, 60.0)] * 3
    half = math.sqrt(20**2 + 10**2) / 3
    assert stats.average_interval([50.0] * 3, ends, ["a", "a", "b"]) == pytest.approx(
        (50 - half, 50 + half)
    )
    assert stats.average_stderr([10.0] * 3, ["a", "a", "b"]) == pytest.approx(half)


def test_forty_ratings_each_one_lower_are_tested():
    """p None, and left out of Holm, before."""
    assert stats.paired_test([7.0] * 40, [6.0] * 40).p < 1e-11


def test_what_fails_the_gate_is_the_issues_equation_where_flips_are_many():
    for psi, n in ((0.1, 1319), (0.05, 5000)):
        margin = stats.delta(psi, n)
        d = stats.detects(margin, psi, n, 4) / 100
        noise = stats.rerun_error(psi, n, 4) / 100
        assert d == pytest.approx(
            margin / 100 + 2.486 * math.sqrt(noise**2 + (d - d * d) / n), rel=0.04
        )


def test_a_part_of_a_benchmark_knows_the_part():
    whole, part = (stats.estimate([1.0, 0.0] * 50, fraction=f) for f in (0.0, 100 / 164))
    assert part.stderr == pytest.approx(whole.stderr * math.sqrt(64 / 164))
    n = 100 * 164 / 64
    assert part.hi == pytest.approx(stats.wilson(128, 256)[1], abs=0.0002) and round(n) == 256
    rated = [stats.estimate([3.0, 9.0] * 20, bounds=(1, 10), fraction=f) for f in (0.0, 0.75)]
    assert rated[1].hi - 6 == pytest.approx((rated[0].hi - 6) / 2)


# --- The claims -------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(claims.CASES)), ids=lambda n: claims.CASES[n].what)
def test_claims_hold(number):
    case, draws = claims.CASES[number], 300
    share = case.share(np.random.default_rng(number), draws)
    slack = 4 * math.sqrt(max(0.01, share * (1 - share)) / draws)
    assert case.low - slack <= share <= case.high + slack


def test_the_page_has_every_claim():
    page = (CHECKOUT / "docs/statistics.md").read_text("utf-8")
    made = page.split(claims.BEGIN)[1].split(claims.END)[0]
    rows = [
        row.split(" | ") for row in made.splitlines() if row.startswith("| ") and "---" not in row
    ]
    assert [(row[0].strip("| "), row[1], row[2], row[4].rstrip(" |")) for row in rows[1:]] == [
        (case.group, case.what, case.claim, case.before) for case in claims.CASES
    ]
    for row, case in zip(rows[1:], claims.CASES, strict=True):
        share = float(row[3].removesuffix(" %")) / 100
        slack = 4 * (max(0.0025, share * (1 - share)) / 2000) ** 0.5
        assert case.low - slack <= share <= case.high + slack, case.what
