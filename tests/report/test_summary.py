"""summary.json: whose score a limited figure's interval holds, and the intervals of pass@k."""

from __future__ import annotations

from typing import Any

import pytest

from ochat_eval import stats
from ochat_eval.benchmark.task import Answered, make_item
from ochat_eval.records import RULES, Response, Score
from ochat_eval.report.summary import summarise_task
from tasks.gsm8k import Gsm8k
from tasks.humaneval import HumanEval


def summary(task: Any, samples: list[list[int]], of: int, named: bool = False) -> dict[str, Any]:
    """The summary of items with these verdicts, a list an item."""
    judged = []
    for i, values in enumerate(samples):
        item = make_item(task, "main", i, "q", "1")
        responses = tuple(Response(item.id, "x", k) for k in range(len(values)))
        scores = [
            Score(item.id, k, rule, str(value), True, value)
            for k, value in enumerate(values)
            for rule in RULES
        ]
        judged.append((Answered(item, responses), scores))
    return summarise_task(task, judged, len(samples), of, named=named)


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
    assert found["score"] == pytest.approx(found["pass@k"]["1"])
    assert found["ci95"] == pytest.approx(found["pass@k_ci95"]["1"]), "the score is avg@4"
    found = summary(Gsm8k(name="gsm8k", data="full", n=4), samples, 20)["robust"]
    majority = [stats.maj_at_k(list(map(str, v)), v, 4) for v in samples]
    expected = stats.estimate(majority, scale=100)
    assert found["maj@k_ci95"]["4"] == pytest.approx([expected.lo, expected.hi])
