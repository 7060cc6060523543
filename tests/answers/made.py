"""Made-up answers by the thousand: `python -m tests.answers.made > FILE`, for `bench readings`.

The wordings of `tests/cases/wordings.jsonl` were written before the rules' patterns were looked at,
one file for what a person might write, whatever a rule makes of it. Here each is filled in five
times, with thoughts before and a remark behind; what a careful person reads is known by making.
"""

from __future__ import annotations

import json
import random
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from tests.conftest import table

SEED = 20240104
TIMES = 5
"""How often each wording is filled in."""

_OPTIONS = (
    ("the river", "the mountain", "the village", "the old bridge", "the harbour", "the forest"),
    ("a rise in price", "a fall in demand", "a strike", "a new law", "a drought", "a war"),
    ("sodium chloride", "water", "carbon dioxide", "ammonia", "methane", "glucose"),
    ("Anna", "Boris", "Clara", "Dmitri", "Elena", "Felix"),
    ("the first law", "the second law", "neither law", "both laws", "the third law", "no law"),
    ("32 km", "48 km", "60 km", "75 km", "90 km", "120 km"),
)
_CHOICE_THOUGHTS = (
    "", "", "Let's think step by step.", "First, we look at what is asked.",
    "The passage says that things changed slowly. This matters here.",
    "We are told two facts. Together they settle it.",
    "Let's go through this carefully.\n\nThe first sentence gives the reason; the second the result.",
)  # fmt: skip
_NUMBERS = ("7", "12", "18", "36", "45", "104", "250", "1,250", "12,400", "2.5", "0.75", "13.50")
_NUMBER_THOUGHTS = (
    "", "", "Let's think step by step.", "There were 5 at first, and 3 more came later.",
    "First we find the cost of one: 6 * 4 = 24.\nThen we go on with what is left.",
    "Tom starts with 20. He gives away half of them, so 10 remain. Then he buys more.",
    "1. Find the first part: 8 + 9 = 17.\n2. Find the second part: 3 * 11 = 33.",
)  # fmt: skip
_NAMES = ("Maria", "Tom", "Mr. Lee", "Aisha", "the farmer", "she", "the shop")
_THINGS = ("apples", "pages", "tickets", "stickers", "books", "eggs")
_PAIRS = {
    "valid": ("valid", "invalid"),
    "true": ("True", "False"),
    "yes": ("Yes", "No"),
}
_FREE = (
    "banana cherry walnut", "Wednesday", "05/01/1997", "] ) }", "Claire", "blue", "zebra",
    "the third of May",
)  # fmt: skip
_TEXT_THOUGHTS = (
    "", "", "Let's think step by step.", "We start at the beginning and follow each step.",
    "(1) First comes this. (2) Then comes that. Both have to be counted.",
)  # fmt: skip
_FORMULAS = (
    ("12", "13"), ("\\frac{3}{4}", "\\frac{4}{3}"), ("2\\sqrt{3}", "3\\sqrt{2}"), ("-5", "5"),
    ("[2,5)", "(2,5)"), ("(1,-2)", "(-2,1)"), ("x^2+2x+1", "x^2-2x+1"), ("\\frac{\\pi}{6}", "\\pi"),
    ("0.25", "0.5"), ("1+2i", "1-2i"),
)  # fmt: skip
_MATH_THOUGHTS = (
    "", "", "Let $a$ be the first of them. Then $a + 1 = 5$.", "We use the formula for the sum.",
    "First, $2 \\cdot 8 = 16$. Next, we take away the rest.",
)  # fmt: skip
_REMARKS = ("", "", "", "\n", "\n\nI hope this helps!", "\n\nLet me know if anything is unclear.")
_PROGRAMS = (
    ("add", "def add(x, y):\n", "Adds two numbers.", "    return x + y", "    return x - y",
     "add(1, 2)", "import math"),
    ("evens", "def evens(numbers):\n", "Keeps the even ones.",
     "    found = []\n    for n in numbers:\n        if n % 2 == 0:\n            found.append(n)\n"
     "    return found",
     "    return [n for n in numbers if n % 2]", "evens([1, 2])", "from typing import List"),
    ("longest", "def longest(words):\n", "The longest word.", "    return max(words, key=len)",
     "    return min(words, key=len)", "longest(['a', 'bb'])", "import re"),
    ("is_palindrome", "def is_palindrome(text):\n", "Whether it reads the same from behind.",
     "    cleaned = text.lower()\n\n    return cleaned == cleaned[::-1]",
     "    return text == text.upper()", "is_palindrome('abba')", "import string"),
)  # fmt: skip


def made(seed: int = SEED) -> list[dict[str, Any]]:
    """All answers, as `bench readings` reads them, the same ones for a seed."""
    draw = random.Random(seed)
    makers = {"choice": _choice, "number": _number, "text": _text, "math": _math, "code": _code}
    return [
        {"kind": one["kind"], "cause": one["cause"], **makers[one["kind"]](one, draw)}
        for one in table("wordings.jsonl")
        for _ in range(TIMES)
    ]


def _filled(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"«{name}»", value)
    assert "«" not in text, text
    return text


def _around(one: Mapping[str, Any], text: str, thoughts: tuple[str, ...], draw: Any) -> str:
    """The statement with thoughts before it and a remark behind, unless it stands alone."""
    if one.get("alone"):
        return text
    before = draw.choice(thoughts)
    joined = f"{before}{draw.choice((chr(10), chr(10) * 2))}{text}" if before else text
    # Behind another question nothing more is said of the first.
    return joined if "run-on" in one["cause"] else joined + draw.choice(_REMARKS)


def _choice(one: Mapping[str, Any], draw: Any) -> dict[str, Any]:
    options = draw.choice(_OPTIONS)[: draw.choice((4, 4, 5))]
    letters = "ABCDE"[: len(options)]
    right, other, third = draw.sample(letters, 3)
    said = dict(zip(letters, options, strict=True))
    text = _filled(one["text"], {
        "L": right, "O": said[right], "X": other, "P": said[other], "Y": third, "Q": said[third],
        "list": "\n".join(f"({k}) {v}" for k, v in said.items()),
    })  # fmt: skip
    form = draw.choice(("{}", "({})"))
    return {
        "text": _around(one, text, _CHOICE_THOUGHTS, draw),
        "labels": [form.format(letter) for letter in letters],
        "expected": form.format(right) if one["states"] else None,
    }


def _number(one: Mapping[str, Any], draw: Any) -> dict[str, Any]:
    right = draw.choice(_NUMBERS)
    first, second = draw.sample([n for n in ("2", "3", "9", "15", "60", "480") if n != right], 2)
    text = _filled(one["text"], {
        "N": right, "K": first, "M": second, "name": draw.choice(_NAMES),
        "thing": draw.choice(_THINGS),
    })  # fmt: skip
    text = _around(one, text, _NUMBER_THOUGHTS if one["states"] else ("",), draw)
    return {"text": text, "expected": right.replace(",", "") if one["states"] else None}


def _text(one: Mapping[str, Any], draw: Any) -> dict[str, Any]:
    if one["of"] == "free":
        right, other, options = draw.choice(_FREE), "", ()
    else:
        pair = draw.choice([*_PAIRS]) if one["of"] == "options" else one["of"]
        options = _PAIRS[pair]
        right, other = draw.sample(options, 2)
    text = _filled(one["text"], {"T": right, "F": other})
    return {
        "text": _around(one, text, _TEXT_THOUGHTS, draw),
        "options": [option.casefold() for option in options],
        "expected": (right.casefold() if options else right) if one["states"] else None,
    }


def _math(one: Mapping[str, Any], draw: Any) -> dict[str, Any]:
    gold, wrong = draw.choice(_FORMULAS)
    right = draw.random() < 0.75
    text = _filled(one["text"], {"G": gold if right else wrong})
    return {
        "text": _around(one, text, _MATH_THOUGHTS, draw),
        "gold": gold,
        "expected": {"right": right} if one["states"] else None,
    }


def _code(one: Mapping[str, Any], draw: Any) -> dict[str, Any]:
    name, head, about, body, wrong, call, imported = draw.choice(_PROGRAMS)
    stub = f'{head}    """{about}"""\n'
    definition = draw.choice((head, stub)) + body
    text = _filled(one["text"], {
        "def": definition, "body": body, "wrong": head + wrong, "stub": stub + "    ...",
        "shifted": textwrap.indent(definition, "   "), "name": name, "call": call,
        "import": imported,
    })  # fmt: skip
    return {
        "text": text,
        "prompt": stub,
        "entry_point": name,
        "expected": head + body if one["states"] else None,
    }


def _lines() -> Iterator[str]:
    for one in made():
        yield json.dumps(one, ensure_ascii=False)


if __name__ == "__main__":
    print("\n".join(_lines()))
