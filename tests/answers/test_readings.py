"""Made-up answers and what a careful person reads in them, by cause: in two wordings each."""

from __future__ import annotations

import time
from typing import Any

import pytest

from ochat_eval import answers
from ochat_eval.answers.math import verify, verify_plainly
from ochat_eval.bench import readings
from tests.conftest import table

# readings.jsonl was given with the task; readings_reworded.jsonl has the same causes in others'
# words, and what a rule for a cause must not take for it; readings_chat.jsonl are answers as today's
# chat models write them to real items.
CASES = [
    pytest.param(case, id=f"{name}: {case['cause'][:50]} ({i})")
    for name in ("readings", "readings_reworded", "readings_chat")
    for i, case in enumerate(table(f"{name}.jsonl"))
    if not case.get("debatable")
]


@pytest.mark.parametrize("case", CASES)
def test_reads_as_a_careful_person_does(case: dict[str, Any]) -> None:
    known = readings.case_of(case, "the table")
    if known.kind == "math":
        right, reading = verify(known.text, known.gold)
        assert verify_plainly(known.text, known.gold) in (None, (right, reading))
    else:
        right, reading = False, readings.reading_of(known)
    if isinstance(known.expected, str) and known.expected != "compiles":
        assert reading.answer == known.expected
    assert readings.outcome(known, reading, right) == "right"
    if reading.span is not None:
        start, end = reading.span
        assert 0 <= start < end <= len(known.text)


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
    *(
        "| Answer | ",
        "La réponse est ",
        "réponse no ",
        "答え",
        "[answer] A",
        "[answer]",
        "__1__ ",
        "__a",
        "either 1 or ",
        "either a ",
        "Mr. ",
        "answer → ",
        "=> A\n",
    ),
    *(
        "from 5 to 6 ",
        "3 fewer than ",
        "a total of 3 ",
        "because 3 ",
        "if it is yes ",
        "yes or no ",
        "each option:\n",
        "solution: ",
        "and\n",
        "A fits ",
        "A it is ",
        "$ answer is ",
        "I'd say ",
    ),
    *(
        "takes 7 days to save ",
        "none of A, ",
        "option (D) x C is correct ",
        "A. x - Correct\n",
        "A. Incorrect\nB. ✅\n",
        "\\boxed{} ) ",
        "sorted:\n- a\n- b\n",
        "not so that it is valid ",
        "2½",
        "To check 1. ",
        "note: 1\n",
        "twelve ",
        "my answer to (A) ",
        "(A) why x? ",
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
