"""Programs that do the same have one form, and no others have."""

import pytest

from ochat_eval.answers import code_block, robust_code
from ochat_eval.answers.same_code import program_form

PROMPT = '''from typing import List
import math

def half(x: float) -> float:
    return x / 2

def area(sides: List[float]) -> float:
    """ The area of a rectangle. """
'''
WHOLE = PROMPT + "    return sides[0] * sides[1]\n"
BODY = "def area(sides: List[float]) -> float:\n    return sides[0] * sides[1]\n"


def wrapped(code: str) -> str:
    return f"Sure:\n```python\n{code}```\nIt multiplies."


@pytest.mark.parametrize(
    "response",
    [
        "    return sides[0] * sides[1]\n",
        WHOLE,
        BODY,
        wrapped(WHOLE),
        wrapped(BODY),
        wrapped("# by hand\n\nimport re\n\n" + BODY),
        wrapped("def more():\n    return 1\n\n" + BODY),
        wrapped(BODY.replace("area(", "area(unit=half, ").replace(", sides", ", *sides")),
    ],
)
def test_what_both_rules_read_of_an_answer_is_one_program(response):
    published = code_block(response, PROMPT, "area").answer
    robust = robust_code(response, PROMPT, "area").answer
    assert published != robust
    assert program_form(published, PROMPT) == program_form(robust, PROMPT)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (WHOLE, WHOLE.replace("sides[1]", "sides[2]")),
        (WHOLE, WHOLE + "area([1, 2])\n"),
        (PROMPT + BODY, PROMPT + "counts = 0\n" + BODY),
        # A name that was given anew, and then the prompt's import of it.
        (PROMPT + "List = 3\n" + BODY, PROMPT + "List = 3\nfrom typing import List\n" + BODY),
        # The function without a body is there when the next line looks at it.
        (PROMPT + "x = 'area' in globals()\n" + BODY, WHOLE + "x = 'area' in globals()\n"),
        *(
            (PROMPT + header + "    return 1\n", WHOLE[: WHOLE.index("def area")] + header + "    return 1\n")
            for header in (
                "@half\ndef area(sides):\n",
                "def area(sides=area):\n",
                "def area(sides=globals()):\n",
                "def area(sides: area):\n",
            )
        ),
        # An error names the line.
        (WHOLE + "return 1\n", WHOLE + "\nreturn 1\n"),
        (WHOLE + "x = (\n", WHOLE + "\nx = (\n"),
        (WHOLE + "x = '\0'\n", WHOLE + "\nx = '\0'\n"),
        (WHOLE + f"x = {'-' * 5000}1\n", WHOLE + f"\nx = {'-' * 5000}1\n"),
        (WHOLE + f"x = 0x{'f' * 5000}\n", WHOLE + f"\nx = 0x{'f' * 5000}\n"),
        (WHOLE + "x = 1\n", WHOLE + "x = True\n"),
        (WHOLE + "x = 0.0\n", WHOLE + "x = -0.0\n"),
    ],
)  # fmt: skip
def test_others_have_forms_of_their_own(one, other):
    assert program_form(one, PROMPT) != program_form(other, PROMPT)


@pytest.mark.parametrize(
    "first", ["x = 3\n", "import random\nimport random\n", "from math import *\n"]
)
def test_a_prompt_that_does_more_counts_as_often_as_it_stands(first):
    prompt = first + PROMPT
    assert program_form(prompt + prompt, prompt) != program_form(prompt, prompt)
