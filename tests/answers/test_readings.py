"""Made-up answers and what a careful person reads in them, by cause: in two wordings each."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from ochat_eval import answers
from ochat_eval.answers.math import verify, verify_plainly
from ochat_eval.records import Reading
from tests.conftest import table

# readings.jsonl was given with the task; readings_reworded.jsonl has the same causes in others'
# words, and what a rule for a cause must not take for it.
CASES = [
    pytest.param(case, id=f"{name}: {case['cause'][:50]} ({i})")
    for name in ("readings", "readings_reworded")
    for i, case in enumerate(table(f"{name}.jsonl"))
    if not case.get("debatable")
]


def read(case: dict[str, Any]) -> tuple[Any, Reading]:
    """What a rule makes of a case, as `expected` has it, and its reading."""
    text = case["text"]
    if case["kind"] == "math":
        right, reading = verify(text, case["gold"])
        return {"right": right}, reading
    if case["kind"] == "code":
        reading = answers.robust_code(text, case["prompt"], case["entry_point"])
        compile(reading.answer or "!", "answer", "exec")
        return "compiles", reading
    rules: dict[str, Callable[[str], Reading]] = {
        "choice": partial(answers.robust_choice, labels=case.get("labels", ())),
        "text": partial(answers.robust_text, options=case.get("options", ())),
        "number": answers.robust_number,
    }
    reading = rules[case["kind"]](text)
    return reading.answer, reading


@pytest.mark.parametrize("case", CASES)
def test_reads_as_a_careful_person_does(case: dict[str, Any]) -> None:
    seen, reading = read(case)
    assert seen == case["expected"]
    if reading.span is not None:
        start, end = reading.span
        assert 0 <= start < end <= len(case["text"])
    if case["kind"] == "math":
        assert verify_plainly(case["text"], case["gold"]) in (None, (seen["right"], reading))


UNITS = (
    *(
        "<answer>",
        "</think>",
        "<think>",
        "Question: ",
        "Question:\n",
        "\nQ: 1\n",
        "answer (",
        "answer:\n",
    ),
    *(
        "answer:\n1. a\n2. b\n",
        "\n- ",
        "1. ",
        "【答案】",
        "if ",
        "maybe ",
        "the answer would be ",
        "?",
        "; ",
    ),
    *(
        "1 000 ",
        "1,00 ",
        "{,}",
        "2:00 ",
        "= ",
        "1 + ",
        "1 a a a a",
        "(1",
        "x + ",
        "\\frac{",
        "is (A) ",
    ),
    *(
        ": (A)\n",
        "is:\n",
        "(A) (B) ",
        "A: ",
        "so it is A. ",
        "is valid, ",
        "is yes ",
        "\\boxed{1$",
        "$x=1$ ",
    ),
    *(
        "or 1 ",
        "\\text{ or } 1",
        "√(",
        "there are 1 ",
        "Answer: $",
        "```\n",
        "let me know\n",
        "\\[",
        "1, ",
    ),
)


@pytest.mark.slow
@pytest.mark.parametrize("unit", UNITS)
def test_long_text_takes_time_in_proportion(unit: str) -> None:
    """Each rule, in less than the thousandfold of what a quadratic one would take."""
    text = ("The answer is " + unit * 50_000)[:60_000]
    begun = time.thread_time()
    answers.robust_choice(text, "ABCD")
    answers.robust_number(text)
    answers.robust_text(text)
    answers.robust_text(text, ("yes", "no", "valid"))
    verify_plainly(text, "(1,2)")
    assert time.thread_time() - begun < 5
