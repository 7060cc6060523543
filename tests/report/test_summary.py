"""summary.json: whose score a limited figure's interval holds, and what several answers tell."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any

import pytest

from ochat_eval import stats
from ochat_eval.benchmark.task import Answered, make_item
from ochat_eval.records import RULES, Response, Score
from ochat_eval.report.summary import summarise_task
from tasks.gsm8k import Gsm8k
from tasks.humaneval import HumanEval
from tasks.mt_bench import MtBench


def summary(task: Any, samples: list[list[int]], of: int, named: bool = False) -> dict[str, Any]:
    """The summary of items with these verdicts, a list an item."""
    return summary_of_turns(task, [[values] for values in samples], of, named)


def summary_of_turns(
    task: Any, turns: list[list[list[int | None]]], of: int, named: bool = False
) -> dict[str, Any]:
    """The summary of items with these values, for each item a list a turn."""
    judged = []
    for i, values in enumerate(turns):
        item = make_item(task, "main", i, "q", "1")
        item = replace(item, turns=tuple("q" for _ in values))
        every = [(k, t, v) for t, turn in enumerate(values) for k, v in enumerate(turn)]
        responses = tuple(Response(item.id, "x", k, t) for k, t, _ in every)
        scores = [
            Score(item.id, k, rule, str(value), True, value, {"judge": "J", "style": "s"}, turn=t)
            for k, t, value in every
            for rule in RULES
        ]
        judged.append((Answered(item, responses), scores))
    return summarise_task(task, judged, len(turns), of, named=named)


HALF = [[i % 2] for i in range(100)]


def test_a_limited_figure_is_of_the_whole_benchmark_and_says_so():
    found = summary(Gsm8k(name="gsm8k", data="full", limit=100), HALF, 164)
    assert found["notes"] == ["limited to 100 of 164 (interval: this model on all 164)"]
    known = stats.estimate([float(v) for [v] in HALF], scale=100, fraction=100 / 164)
    assert found["published"]["ci95"] == pytest.approx([known.lo, known.hi])
    assert found["published"]["stderr"] == pytest.approx(known.stderr)
    subset = found["published"]["subsets"]["main"]["ci95"]
    assert subset == pytest.approx([100 * x for x in stats.wilson(50, 100)])


@pytest.mark.parametrize(
    ("options", "named"),
    [({"limit": 100}, True), ({"limit": 100, "subsets": ["main"]}, False), ({}, True)],
)
def test_items_that_were_named_are_no_sample_of_it(options, named):
    found = summary(Gsm8k(name="gsm8k", data="full", **options), HALF, 164, named)
    assert found["notes"][0] == "limited to 100 of 164 (interval: this model on such items)"
    whole = [100 * x for x in stats.wilson(50, 100)]
    assert found["published"]["ci95"] == pytest.approx(whole)


def test_a_whole_benchmark_is_for_such_questions():
    found = summary(Gsm8k(name="gsm8k", data="full", limit=164), HALF, 100)
    assert found["notes"] == []
    assert found["published"]["ci95"] == pytest.approx([100 * x for x in stats.wilson(50, 100)])


def test_pass_at_k_and_maj_at_k_have_intervals_over_the_items():
    samples = [[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 1]] * 4
    found = summary(HumanEval(name="humaneval", n=4), samples, 20)["robust"]
    for k in (1, 2, 4):
        rates = [stats.pass_at_k(4, sum(values), k) for values in samples]
        expected = stats.estimate(rates, scale=100)
        assert found["pass@k"][str(k)] == pytest.approx(expected.score)
        assert found["pass@k_ci95"][str(k)] == pytest.approx([expected.lo, expected.hi])
        assert expected.lo < expected.score < expected.hi
        every = stats.estimate([stats.all_at_k(4, sum(v), k) for v in samples], scale=100)
        assert found["pass^k"][str(k)] == pytest.approx(every.score)
        assert found["pass^k_ci95"][str(k)] == pytest.approx([every.lo, every.hi])
    assert "maj@k" not in found, "programs are not voted on"
    assert found["score"] == pytest.approx(found["pass@k"]["1"])
    assert found["ci95"] == pytest.approx(found["pass@k_ci95"]["1"]), "the score is avg@4"
    found = summary(Gsm8k(name="gsm8k", data="full", n=4), samples, 20)["robust"]
    majority = [stats.maj_at_k(list(map(str, v)), v, 4) for v in samples]
    expected = stats.estimate(majority, scale=100)
    assert found["maj@k_ci95"]["4"] == pytest.approx([expected.lo, expected.hi])
    assert found["pass@k"]["4"] == 80.0 and found["pass^k"]["4"] == 20.0


def test_the_error_of_several_answers_is_the_items_and_the_answers():
    samples = [[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 1]] * 4
    found = summary(Gsm8k(name="gsm8k", data="full", n=4), samples, 20)["robust"]
    parts = found["samples"]
    # By hand: variances within of 1/3, 1/4, 0, 0, 1/4; their mean 1/6; over 20 items, 4 answers.
    assert parts["answers_stderr"] == pytest.approx(100 * math.sqrt(1 / 6 / 80))
    whole = found["stderr"] ** 2
    assert parts["items_stderr"] ** 2 + parts["answers_stderr"] ** 2 == pytest.approx(whole)
    assert parts["items_share"] == pytest.approx(parts["items_stderr"] ** 2 / whole)
    lo, hi = found["ci95"]
    widths = parts["half_width"]
    assert widths["4"] == (hi - lo) / 2 > widths["5"] > widths["8"]
    assert widths["8"] / widths["4"] > math.sqrt(parts["items_share"])
    assert parts["said"] == [
        "avg@4", "pass@4 80.00", "pass^4 20.00", "maj@4 40.00",
        "±15.48 with 4 answers, ±14.99 with 5, ±14.21 with 8 "
        "(66 % of the variance is the choice of the items, which more answers do not remove)",
    ]  # fmt: skip


def test_the_parts_of_a_limited_run_are_of_its_own_error():
    samples = [[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 1]] * 4
    task = Gsm8k(name="gsm8k", data="full", n=4, limit=20)
    found = summary(task, samples, 40)["robust"]
    parts = found["samples"]
    errors = parts["items_stderr"] ** 2 + parts["answers_stderr"] ** 2
    assert errors == pytest.approx(found["stderr"] ** 2)
    assert parts["half_width"]["4"] == pytest.approx((found["ci95"][1] - found["ci95"][0]) / 2)
    # That half of the items are known takes nothing from what another four answers would change.
    whole = summary(replace(task, limit=None), samples, 20)["robust"]["samples"]
    assert parts["answers_stderr"] == pytest.approx(whole["answers_stderr"])
    assert parts["items_stderr"] == pytest.approx(whole["items_stderr"] * math.sqrt(1 / 2))


def test_a_limited_run_of_several_answers_knows_what_it_says():
    """150 of 164 items, all right every other time: 51 % of the intervals held the truth."""
    rng, held = random.Random(4), 0
    task = Gsm8k(name="gsm8k", data="full", n=4, limit=150)
    for _ in range(40):
        samples = [[rng.randrange(2) for _ in range(4)] for _ in range(150)]
        low, high = summary(task, samples, 164)["robust"]["ci95"]
        held += low <= 50 <= high
    assert held >= 35
    # An answer that is missing makes nothing more certain.
    samples[0] = samples[0][:3]
    assert summary(task, samples, 164)["robust"]["stderr"] > 1.5


@pytest.mark.parametrize(
    "samples",
    [[[1], [0], [1]], [[1, 0], [1, 0], [1]], [[1, 1], [1, 1]], [[1, None], [1, 0]]],
    ids=["one answer", "one missing", "nothing varies", "one unread"],
)
def test_without_as_many_answers_to_all_nothing_is_told_of_their_part(samples):
    found = summary(Gsm8k(name="gsm8k", data="full", n=2), samples, len(samples))["robust"]
    assert "samples" not in found


def test_the_turns_of_a_conversation_rise_and_fall_together():
    """Two answers whose turns are both 4 or both 8: the sums differ by 8, not by 4 twice."""
    turns = [[[4, 8], [4, 8]], [[6, 6], [6, 6]], [[8, 9], [8, 9]]]
    task = MtBench(name="mt_bench", data="sample", n=2)
    found = summary_of_turns(task, turns, 3)["robust"]
    squares = (8**2 + 0 + 2**2) / 2
    expected = math.sqrt(squares / (2 * 1 * 6**2))
    assert found["samples"]["answers_stderr"] == pytest.approx(expected)
    assert not {"maj@k", "pass@k", "pass^k"} & set(found), "a rating is neither right nor voted on"
