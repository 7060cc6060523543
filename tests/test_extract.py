"""The answer rules against tables of cases, any text, the published few-shot answers, and time."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ochat_eval import extract
from ochat_eval.records import Reading
from ochat_eval.sources import HubSource

CASES = Path(__file__).parent / "cases"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LABELS = [f"({letter})" for letter in LETTERS]
PROMPT = '''from typing import List


def add(a: int, b: int) -> int:
    """Add them."""
    return a + b


def twice(n: int) -> int:
    """Double it."""
'''
RULES: dict[str, Callable[[str], Reading]] = {
    "choice_after_marker": lambda text: extract.choice_after_marker(text, LABELS[:4]),
    "text_after_marker": extract.text_after_marker,
    "text_after_marker_lettered": lambda text: extract.text_after_marker(text, LABELS),
    "last_number": extract.last_number,
    "first_letter": lambda text: extract.first_letter(text, "ABCDEF"),
    "code_block": lambda text: extract.code_block(text, PROMPT, "twice"),
    "robust_choice": lambda text: extract.robust_choice(text, LETTERS[:10]),
    "robust_number": extract.robust_number,
    "robust_text": extract.robust_text,
    "robust_text_options": lambda text: extract.robust_text(text, ("Yes", "No", "valid")),
    "robust_code": lambda text: extract.robust_code(text, PROMPT, "twice"),
}
# What the rules look for, in any order: finds more than random characters do.
PARTS = [
    *("the answer is ", "Answer: ", "answer", "is ", "答案是", "选", "####", "\\boxed{", "\\text{"),
    *("(A)", "(B)", "**C**", "A", "I", "b", "Ｂ", "not ", "or ", "if ", "is correct", "is wrong"),
    *("1", "200", "1,200", ".", ",", "-", "−", "/", "$", "%", "e", "^", "\\frac{1}{2}", "=", "+"),
    *("```", "~~~", "python", "py", "def twice(n):\n", "    return n\n", "import os\n", "print(1)"),
    *("@", "class C:\n", "'", '"', "(", "]", "}", "\n", "\r", " ", "\t", "\f", "\0", "\ud800"),
    *("Yes", "no", "valid", "ｖ", "　", "İ", "ſ", ":", ";", "*", "_", "`", "x", "\\", "#"),
]
texts = st.text() | st.lists(st.sampled_from(PARTS), max_size=30).map("".join)


def table(name: str) -> list[Any]:
    lines = (CASES / f"extract_{name}.jsonl").read_text(encoding="utf-8").splitlines()
    cases = [json.loads(line) for line in lines]
    return [pytest.param(case, id=f"{i}-{case['why']}") for i, case in enumerate(cases)]


def run(program: str | None) -> int | str | None:
    """What `twice(3)` of a program gives: our own cases, so they may run here."""
    if program is None:
        return None
    names: dict[str, Any] = {}
    try:
        exec(program, names)
        return names["twice"](3)
    except Exception as error:  # which one is what the case is about
        return type(error).__name__


@pytest.mark.parametrize(
    ("rule", "case"),
    [
        pytest.param(rule, *param.values, id=f"{rule}-{param.id}")
        for rule in RULES
        if (CASES / f"extract_{rule}.jsonl").exists() and not rule.endswith(("block", "code"))
        for param in table(rule)
    ],
)
def test_reads(rule: str, case: dict[str, Any]) -> None:
    case = dict(case)
    text, answer, matched, why = (case.pop(key) for key in ("text", "answer", "matched", "why"))
    reading = getattr(extract, rule)(text, **case)
    assert (reading.answer, reading.matched) == (answer, matched), why
    if matched:
        # The span is of what was read, but for how it is written.
        start, end = reading.span
        kept = re.sub(r"[^0-9A-Za-z]", "", text[start:end]).lower() or text[start:end]
        assert text[start:end] and (
            rule.startswith("robust_number")
            or kept == re.sub(r"[^0-9A-Za-z]", "", answer).lower()
            or text[start:end].lower() in (answer.lower(), answer.strip("()").lower())
            or not text[start:end].isascii()
        )


@pytest.mark.parametrize("rule", ["code_block", "robust_code"])
def test_reads_code(rule: str) -> None:
    for case in json.loads("[" + ",".join((CASES / f"extract_{rule}.jsonl").open()) + "]"):
        reading = getattr(extract, rule)(case["text"], PROMPT, "twice")
        got = (run(reading.answer), reading.matched)
        assert got == (case["answer"], case["matched"]), case["why"]
