"""The answer rules against tables of cases, any text, long text, and the published examples."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ochat_eval import answers as extract
from ochat_eval.answers.code import _bodies
from ochat_eval.records import Reading
from tests.conftest import table
from tests.scaling import check_linear

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
    "text_after_marker, lettered": lambda text: extract.text_after_marker(text, LABELS),
    "last_number": extract.last_number,
    "first_letter": lambda text: extract.first_letter(text, "ABCDEF"),
    "code_block": lambda text: extract.code_block(text, PROMPT, "twice"),
    "code_block_2023": lambda text: extract.code_block_2023(text, PROMPT, "twice"),
    "robust_choice": lambda text: extract.robust_choice(text, LETTERS[:10]),
    "robust_number": extract.robust_number,
    "robust_text": extract.robust_text,
    "robust_text, options": lambda text: extract.robust_text(text, ("Yes", "No", "valid")),
    "robust_code": lambda text: extract.robust_code(text, PROMPT, "twice"),
}
CODE_RULES = ("code_block", "code_block_2023", "robust_code")
READ_RULES = [rule for rule in RULES if "," not in rule and rule not in CODE_RULES]
# What the rules look for, in any order: finds more than random characters do.
PARTS = [
    *(
        "the answer is ",
        "Answer: ",
        "answer ",
        "is ",
        "答案是",
        "选",
        "#### ",
        "\\boxed{",
        "\\text{",
    ),
    *("(A)", "(B)", "**C**", "A", "I", "b", "Ｂ", "not ", "or ", "if ", "is correct", "is wrong"),
    *("1", "200", "1,200", ".", ",", "-", "−", "/", "$", "%", "e", "^", "\\frac{1}{2}", "=", "+"),
    *("```", "~~~", "python", "py", "def twice(n):\n", "    return n\n", "import os\n", "print(1)"),
    *("@", "class C:\n", "'", '"', "(", "]", "}", "\n", "\r", " ", "\t", "\f", "\0", "\ud800"),
    *("Yes", "no", "valid", "ｖ", "　", "İ", "ſ", ":", ";", "*", "_", "`", "x", "\\", "#", "- "),
]
TEXTS = st.text() | st.lists(st.sampled_from(PARTS), max_size=30).map("".join)


def cases(*names: str) -> list[Any]:
    return [
        pytest.param(name, case, id=f"{name}: {case['why']} ({i})")
        for name in names
        for i, case in enumerate(table(f"extract_{name}.jsonl"))
    ]


def run(program: str | None) -> int | str | None:
    """What `twice(3)` of a program gives, or its error; our own cases, so they may run here."""
    if program is None:
        return None
    names: dict[str, Any] = {}
    try:
        exec(program, names)
        return names["twice"](3)
    except Exception as error:  # which one is what the case states
        return type(error).__name__


@pytest.mark.parametrize(("rule", "case"), cases(*READ_RULES))
def test_reads(rule: str, case: dict[str, Any]) -> None:
    expected = {key: case.pop(key) for key in ("answer", "matched", "why")}
    text, read = case.pop("text"), case.pop("read", None)
    reading = getattr(extract, rule)(text, **case)
    assert (reading.answer, reading.matched) == (expected["answer"], expected["matched"])
    if reading.matched:
        assert text[slice(*reading.span)] == read


@pytest.mark.parametrize(("rule", "case"), cases(*CODE_RULES))
def test_reads_code(rule: str, case: dict[str, Any]) -> None:
    reading = RULES[rule](case["text"])
    assert (run(reading.answer), reading.matched) == (case["answer"], case["matched"])
    if reading.matched:
        assert case["text"][slice(*reading.span)] == case["read"]


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(st.lists(st.sampled_from(["```", "`", "\n", "\n\n", "a", " ", "\r", "py"])).map("".join))
def test_closed_fences_are_what_the_published_expression_finds(text: str) -> None:
    """Ours takes linear time; this one looks through all of the rest for each fence's end."""
    expression = re.compile(r"```[^\n]*\n+((?:.|\n)*?)\n+```")
    assert list(_bodies(text)) == [match.span(1) for match in expression.finditer(text)]


@pytest.mark.parametrize(("name", "case"), cases("same_number", "same_text"))
def test_compares(name: str, case: dict[str, Any]) -> None:
    same = getattr(extract, name)
    assert same(case["a"], case["b"]) is case["same"]
    assert same(case["b"], case["a"]) is case["same"]


@pytest.mark.parametrize("bad", [["AB"], ["(A)", ""]])
def test_labels_must_be_letters(bad: list[str]) -> None:
    with pytest.raises(ValueError, match="letter"):
        extract.first_letter("A", bad)
    with pytest.raises(ValueError, match="letter"):
        extract.robust_choice("A", bad)


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=300, deadline=None)
@given(text=TEXTS)
def test_any_text(rule: str, text: str) -> None:
    """No text makes a rule raise; what is matched has an answer and a span in the text."""
    reading = RULES[rule](text)
    assert reading.matched or reading.answer is None or not rule.startswith("robust")
    if reading.matched:
        assert reading.answer is not None
        assert reading.span is not None
        start, end = reading.span
        assert 0 <= start <= end <= len(text)
        # Only the prompt alone can be a program with nothing read (published).
        assert start < end or rule.startswith("code_block") or reading.answer == ""


@settings(max_examples=300, deadline=None)
@given(a=TEXTS, b=TEXTS)
def test_comparisons_on_any_text(a: str, b: str) -> None:
    for same in (extract.same_number, extract.same_text):
        assert same(a, a)
        assert same(a, b) == same(b, a)


@settings(max_examples=200, deadline=None)
@given(value=st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**9)))
def test_numbers_survive_their_writing(value: Any) -> None:
    for written in (f"{value:,f}", f"{value:f}", f"${value:,f} in all.", f"\\boxed{{{value:f}}}"):
        answer = extract.robust_number(f"The answer is {written}").answer
        assert answer is not None
        assert extract.same_number(answer, f"{value:f}")


@given(
    letter=st.sampled_from("ABCD"),
    form=st.sampled_from(
        ["{}", "({})", "**{}**", "**({})**", "{}.", "`{}`", "${}$", "\\boxed{{{}}}", "option {}"]
    ),
    before=st.sampled_from(
        ["The answer is ", "Answer: ", "**Answer:** ", "So the best option is "]
    ),
    behind=st.sampled_from(["", ".", "\n", "\n\nI am sure.", " because a lake is deep."]),
)
def test_choices_survive_their_writing(letter: str, form: str, before: str, behind: str) -> None:
    text = "(A) and (B) are near. " + before + form.format(letter) + behind
    reading = extract.robust_choice(text, "ABCD")
    assert reading.answer == letter
    assert reading.span is not None
    assert text[slice(*reading.span)] == letter


def test_a_quadratic_rule_is_found_out() -> None:
    with pytest.raises(AssertionError, match="5,000 characters"):
        check_linear(re.compile("1.*x").search, "1" + "-" * 9)


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
def test_time_is_linear_whatever_is_repeated(rule: str) -> None:
    more = ("answer is ", "A or ", "**A** ", "(A)\n", "1^ ", "```)", "def twice\n", "((", "a\n")
    for unit in (*PARTS, *more):
        check_linear(RULES[rule], unit)


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=25, deadline=None)
@given(start=TEXTS, unit=st.lists(st.sampled_from(PARTS), min_size=2, max_size=5).map("".join))
def test_time_is_linear_in_any_text(rule: str, start: str, unit: str) -> None:
    check_linear(RULES[rule], unit, start)


@pytest.mark.realdata
def test_gsm8k_solutions(real_data: Path) -> None:
    """The labels of all 1,319 solutions; without their `####` line, all but a dozen."""
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = parquet.read_table(*(real_data / "hub/openai/gsm8k/main").glob("test-*")).to_pylist()
    missed = 0
    for solution in (row["answer"] for row in rows):
        steps, label = re.sub(r"<<.*?>>", "", solution).split("\n#### ")
        assert extract.same_number(extract.robust_number(solution).answer or "", label)
        missed += not extract.same_number(extract.robust_number(steps).answer or "", label)
    assert len(rows) == 1319
    assert missed <= 13  # read one by one: no careful reader would get these from the last line


@pytest.mark.realdata
def test_both_rules_agree_on_worked_examples(real_data: Path) -> None:
    """BBH's 81 chain-of-thought examples state their answers plainly: both rules read the same."""
    (folder,) = (real_data / "raw/suzgunmirac/BIG-Bench-Hard").iterdir()
    count = 0
    for path in sorted((folder / "cot-prompts").glob("*.txt")):
        rows = json.loads((folder / "bbh" / f"{path.stem}.json").read_text("utf-8"))["examples"]
        targets = {row["target"] for row in rows}
        lettered = "(A)" in targets
        for example in path.read_text("utf-8").split("\nA: Let's think step by step.")[1:]:
            text = example.split("\n\nQ: ")[0]
            count += 1
            if lettered:
                published = extract.text_after_marker(text, LABELS)
                robust = extract.robust_choice(text, LABELS[:18])
            else:
                published = extract.text_after_marker(text)
                few = sorted(targets) if len(targets) == 2 else ()
                robust = extract.robust_text(text, few)
            assert published.matched
            assert (robust.answer, robust.matched) == (published.answer, True), text
    assert count == 81


@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.parametrize(
    "form",
    [
        "So the answer is ({letter}) {text}.",
        "**Answer: {letter}. {text}**",
        "The correct answer is:\n\n({letter}) {text}",
        "The correct choice is {letter}: {text}.",
        "The best answer is **({letter}) {text}**, because it follows from the passage.",
        "It is so.\n\n**{letter}) {text}**",
    ],
)
def test_an_options_text_is_not_taken_for_what_is_said_of_it(real_data: Path, form: str) -> None:
    """`Wrong, Not wrong`, `Yes, if …`, `does not change`: of MMLU's 14,042 all but a few."""
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = parquet.read_table(*(real_data / "hub/cais/mmlu/all").glob("test-*")).to_pylist()
    unread = 0
    for row in rows:
        letter, text = LETTERS[row["answer"]], row["choices"][row["answer"]].strip()
        answer = extract.robust_choice(form.format(letter=letter, text=text), "ABCD").answer
        assert answer in (letter, None)
        unread += answer is None
    assert len(rows) == 14042
    assert unread <= 40  # such as `(D) A, B, and C`, or `is incorrect, because …` on a line


@pytest.mark.slow
@pytest.mark.realdata
def test_humaneval_solutions(real_data: Path) -> None:
    """However a chat model would wrap the reference solution, the program is the same."""
    lines = (real_data / "evalplus" / "HumanEvalPlus-v0.1.9.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    for row in rows:
        prompt, name, body = row["prompt"], row["entry_point"], row["canonical_solution"]
        for text in (
            body,
            f"```\n{body}```",
            f"Here it is:\n\n{prompt}{body}\nIt returns the result.",
            f"Sure!\n```py\n{prompt}{body}```\nThat is it.",
        ):
            program = extract.robust_code(text, prompt, name).answer
            assert program is not None
            assert bytecode(program, name) == bytecode(prompt + body, name)
        published = extract.code_block(f"```python\n{prompt}{body}\n```", prompt, name)
        assert published.answer is not None
        assert bytecode(published.answer, name) == bytecode(prompt + body, name)
    assert len(rows) == 164


def bytecode(program: str, name: str) -> tuple[Any, ...]:
    """What the last function of that name consists of, wherever it stands in the program."""
    codes = compile(program, "answer", "exec").co_consts
    last = [code for code in codes if getattr(code, "co_name", None) == name][-1]
    return last.co_code, last.co_names, last.co_varnames, last.co_argcount
