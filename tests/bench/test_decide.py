"""`bench decide`: its intervals are the gate's, and it says what it must."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ochat_eval import stats
from ochat_eval.bench.decide import decided


@pytest.mark.parametrize("confidence", [0.9, 0.999])
def test_intervals_of_counts_are_the_gates(confidence):
    rng = np.random.default_rng(0)
    flips = [(0, 0), (0, 3), (40, 2), *(tuple(rng.integers(0, 20, 2)) for _ in range(5))]
    for psi in (0.0, 0.05):
        low, high = stats.counted_intervals(*zip(*flips, strict=True), 90, psi, confidence)
        for (up, down), lo, hi in zip(flips, low, high, strict=True):
            recorded = [0.0] * up + [1.0] * (90 - up)
            new = [1.0] * (90 - down) + [0.0] * down
            one = stats.rerun_interval(recorded, new, psi, 1, confidence=confidence)
            assert (one.lo, one.hi) == pytest.approx((lo, hi))


def test_a_plain_case_is_decided_early_and_an_even_one_late():
    clear, even = (decided(14042, 0.05, loss, 1.0, draws=200) for loss in (4.0, 1.0))
    assert clear.failed == clear.agreed == 1.0 and clear.asked < 0.2 and clear.passed == 0
    assert even.asked > 0.9 and even.passed < 0.12 and even.failed < 0.12


@pytest.mark.slow
def test_the_tables_are_of_made_up_and_of_recorded_pairs(cli, tmp_path):
    done = cli("bench", "decide", "--record", "r.json")
    assert done.returncode == 0, done.stderr
    made_up, recorded = json.loads((tmp_path / "r.json").read_text())["tables"]
    assert len(made_up["rows"]) == 18 and len(recorded["rows"]) == 16
    for row in (*made_up["rows"], *recorded["rows"]):
        if row[2] == row[3]:  # the true loss is the margin
            assert float(row[5].split()[0]) < 6.5
    assert "no such run" in cli("bench", "decide", "nobody").stderr
