"""The robust MATH rule: the answer that a response states, compared by math-verify."""

from __future__ import annotations

import logging
import re
from fractions import Fraction
from functools import cache, lru_cache
from itertools import product
from typing import Any

from ochat_eval.answers.math.formula import some_point
from ochat_eval.answers.math.grader import light
from ochat_eval.answers.math.quick_parsing import parse_quickly
from ochat_eval.answers.math.stated import Stated, stated
from ochat_eval.answers.statements import answer_part
from ochat_eval.records import Reading


def verify(response: str, gold: str) -> tuple[bool, Reading]:
    r"""Whether the answer that a response states is the gold one, as a careful reader sees it.

    The answer is the content of the last box; else what follows the last `answer is`, `answer:`
    and the like; else the last formula, or number, of the last paragraph. What `answer is not`
    names is no answer. It is right if it is the gold one's text after the light clean-up of the
    published rule, or if math-verify calls the two equal.

    Returns:
        The verdict, and what was read, full-width characters as plain ones; nothing read (None,
        unmatched) is wrong.

    Never raises: math-verify takes any error of its own, out of memory too, for "not equal".
    """
    response = _without_dollars(answer_part(response))
    said = stated(response)
    reading, values = said.reading, None
    if not said.whole:
        reading, values = _parsed(response, said)
    answer = _joined(reading.answer, said.whole)
    right = _same(answer, gold, values if answer == reading.answer else None)
    for other in (_result(answer, gold), _cleaned(answer)):
        right = right or (other is not None and _same(other, gold))
    return right, reading


def _same(answer: str | None, gold: str, values: list[Any] | None = None) -> bool:
    """Whether an answer is the gold one; `values`: what math-verify reads in it, if known."""
    verdict = _plain_verdict(answer, gold)
    if verdict is not None:
        return verdict
    if values is None:
        values = _values(answer or "")
    wanted = _values(gold)
    if "%" not in f"{gold}{answer}" and _far_apart(wanted, values):
        return False
    return bool(_math_verify().verify(wanted, values, timeout_seconds=None))


def _result(answer: str | None, gold: str) -> str | None:
    """The last side of an equation, `(1, 3)` of `f(2) = (1, 3)`; None for several, `x = 1, y = 2`,
    where an equation is asked for, and for an `=` in braces, as in `\\sum_{k=1}`."""
    left, equals, right = (answer or "").rpartition("=")
    if not equals or "=" in gold or _LISTED.search(left) or left.count("{") != left.count("}"):
        return None
    return right.strip()


def _joined(answer: str | None, whole: bool) -> str | None:
    r"""The answer with a comma between two values: both rules take `\text{ or } 13` for a unit.

    What is not whole was read by math-verify, which knows a bare `or`.
    """
    return answer if answer is None else (_JOIN if whole else _TEXT_JOIN).sub(", ", answer)


def _cleaned(answer: str | None) -> str | None:
    """The answer without its units and in LaTeX (`√3`); None where that changes nothing."""
    if answer is None:
        return None
    clean = _ROOT.sub(lambda root: rf"\sqrt{{{root[1] or root[2]}}}", answer)
    for old, new in (("π", r"\pi "), ("×", r"\times "), ("²", "^2"), ("³", "^3"), ("$", "")):
        clean = clean.replace(old, new)
    clean = _UNIT.sub("", _THOUSANDS.sub("", clean)).strip(" .,;\n")
    return clean if clean and clean != answer else None


def _without_dollars(response: str) -> str:
    r"""The text, as long as it was, without the `\$` of prices: outside a box they end formulas."""
    return _PRICE.sub("  ", response)


def verify_plainly(response: str, gold: str) -> tuple[bool, Reading] | None:
    """The same where texts or plain numbers decide it: in microseconds, without a library.

    None where math-verify must read the response or compare.
    """
    said = stated(_without_dollars(answer_part(response)))
    answer = _joined(said.reading.answer, said.whole)
    verdict = _plain_verdict(answer, gold) if said.whole else None
    other_forms = answer != said.reading.answer or _cleaned(answer) is not None
    if verdict is None or (not verdict and other_forms):
        return None
    return verdict, said.reading


def _plain_verdict(answer: str | None, gold: str) -> bool | None:
    """The verdict on an answer, where texts or plain numbers decide it."""
    if answer is None:
        return False
    return light(answer) == light(gold) or _same_number(answer, gold)


_NUMBER = re.compile(
    r"(-?)(?:(\d{1,30}|\d{0,30}\.\d{1,30})|\\[dt]?frac\{(-?\d{1,30})\}\{(\d{1,30})\}"
    r"|(\d{1,30})/(\d{1,30}))",
    re.ASCII,
)
_TUPLE = re.compile(r"(?:\\left)?[(\[](?!\s*\d{1,3}(?:,\s*\d{3})+\D*$)[^,]+,.+[)\]]", re.DOTALL)
"""In brackets with a comma that does not separate thousands."""


def _same_number(answer: str, gold: str) -> bool | None:
    """Whether two plain numbers, as most answers are, are the same; nothing need be parsed.

    None where one is no plain number, or they differ by less than 1 %: math-verify rounds. A
    number is no tuple or interval.
    """
    a, b = _number(answer), _number(gold)
    if a is None or b is None:
        one_is_number = a is not None or b is not None
        a_tuple = _TUPLE.fullmatch(gold if b is None else answer) is not None
        return False if one_is_number and a_tuple else None
    both_whole = a.denominator == b.denominator == 1
    tiny = 0 < max(abs(a), abs(b)) < Fraction(1, 1000)  # math-verify rounds to six decimals
    if a == b or both_whole or tiny or abs(a - b) > max(abs(a), abs(b)) / 100:
        return a == b
    return None


def _number(text: str) -> Fraction | None:
    """The value of an integer, a decimal or a fraction of integers."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    sign, plain, over, under, top, bottom = match.groups()
    denominator = int(under or bottom or 1)
    if not denominator:
        return None
    return Fraction(plain or over or top) / denominator * (-1 if sign else 1)


def _far_apart(wanted: list[Any], given: list[Any]) -> bool:
    """Whether two formulas have plainly different values, at a point where they have symbols.

    Simplifying their difference, as math-verify does, takes a hundred times as long and could
    only say the same. False where that is not known.
    """
    texts = [{x.strip() for x in side if isinstance(x, str)} for side in (wanted, given)]
    if texts[0] & texts[1]:
        return False
    import sympy

    formulas = [[x for x in side if not isinstance(x, str)] for side in (wanted, given)]
    for a, b in product(*formulas):
        if not all(isinstance(x, sympy.Expr) and not isinstance(x, sympy.Symbol) for x in (a, b)):
            return False
        point = some_point(a, b)
        try:
            one, other = (complex(x.evalf(15, subs=point)) for x in (a, b))
            if one == other == 0:  # or too small for a float, as 1/1003!
                one, other = complex((a / b).evalf(15, subs=point)), 1.0
            size = max(abs(one), abs(other))  # it rounds to 6 decimals, what is tiny to nothing
            far = abs(one - other) > 1e-3 * (size if 1e-300 < size < 1e-4 else max(1, size))
        except Exception:  # whatever sympy raises for what is no number, or too large
            return False
        if not far:
            return False
    return all(formulas)


_ASSIGNED = re.compile(r"\b[A-Za-z]\s*=\s*(?=\d{1,3}(?:\{?,\}?(?:\\!)?\d{3})+(?![\d,{]))")
"""`x = 1,200`: math-verify takes it for two numbers."""
_TEXT_JOIN = re.compile(  # `12 \text{ or } 13`, `4\text{ hours and }30`
    r"(?<=[\d})$])\s{0,3}\\(?:text|mbox|mathrm|textrm)\{(?=[^{}]{0,40}\b(?:or|and)\b)[^{}]{1,40}\}"
    r"\s{0,3}(?=[-+\d\\$(A-Za-z])"
)
_JOIN = re.compile(rf"{_TEXT_JOIN.pattern}|(?<=[\d}})$])\s{{1,3}}(?:or|and)\s{{1,3}}(?=[-+\d\\$(])")
_BEFORE_END = re.compile(r"(?<!\$)(?<!\\[)\]])[.,;](?=\$|\\[)\]])")  # `$15x - 80.$`
_ROOT = re.compile(r"√(?:\{?(\d{1,9}|[A-Za-z])\}?|\(([^()]{1,30})\))")
_UNIT = re.compile(
    r"(?:(?:\\[,;:! ]|[\s~])*\\(?:text|mbox|mathrm|textrm)\{[^{}]{1,40}\}(?:\^\{?\d\}?)?)[\s.]*$"
)
_THOUSANDS = re.compile(r"(?<=\d)(?:\\,|,\\!\s?|\\ )(?=\d{3}(?!\d))")  # `11\,250`
_PRICE = re.compile(r"(?<!\\)\\\$(?=\s?[\d.])")
_LISTED = re.compile(r"[,;<>]|\\\\|\\(?:text|quad|[lg]eq?|neq?)\b|\b(?:or|and)\b")
"""Before an `=`: it is the last of several equations."""


def _parsed(response: str, said: Stated) -> tuple[Reading, list[Any]]:
    """What math-verify finds in a part of the response that holds words, and its values."""
    start, end = said.start, said.end
    text = ("answer is " if said.marked else "") + _ASSIGNED.sub("", response[start:end])
    text = _BEFORE_END.sub("", text)
    values = _math_verify().parse(text, parsing_timeout=None)
    if not (values and isinstance(values[-1], str)):
        return said.reading, []
    found = values[-1]
    at = response.rfind(found, start, end)
    span = (at, at + len(found)) if at >= 0 else (start, end)
    return Reading(found, matched=True, span=span), values


@lru_cache(4096)  # samples of an item share its gold answer, and many answers are the same
def _values(latex: str) -> list[Any]:
    """What math-verify reads in a formula: its value, if it has one, and its text."""
    latex = _ASSIGNED.sub("", latex)
    for old in (r"\!", r"\$", "$"):
        latex = latex.replace(old, "")
    # math-verify takes no line breaks in a formula, a percent sign only behind it, no mixed
    # numbers with a slash and no full stop.
    latex = re.sub(r"(?<=\d) +(\d+)/(\d+)", r" \\frac{\1}{\2}", latex.replace("\n", " "))
    formula = latex.rstrip(" \\%.")
    percent = "%" if "%" in latex[len(formula) :] else ""
    return list(_math_verify().parse(f"${formula}${percent}", parsing_timeout=None))


@cache
def _math_verify() -> Any:
    """The library, kept from telling on every call that its time limits are off."""
    import math_verify

    parse_quickly()
    logging.getLogger("math_verify").setLevel(logging.CRITICAL)
    return math_verify
