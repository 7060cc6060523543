"""The robust MATH rule: the answer that a response states, compared by math-verify."""

from __future__ import annotations

import logging
import re
from collections import deque
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any

from ochat_eval.extract_code import strip_span
from ochat_eval.math_grader.published import light
from ochat_eval.records import Reading


def verify(response: str, gold: str) -> tuple[bool, Reading]:
    r"""Whether the answer that a response states is the gold one, as a careful reader sees it.

    The answer is the content of the last box; else what follows the last `answer is`, `answer:`
    and the like; else the last formula, or number, of the last paragraph. It is right if it is
    the gold one's text after the light clean-up of the published rule, or if math-verify calls
    the two equal.

    Returns:
        The verdict, and what was read; nothing read (None, unmatched) is wrong.

    Never raises: math-verify takes any error of its own, out of memory too, for "not equal".
    """
    reading, values = _stated(response)
    if reading.answer is None:
        return False, reading
    if light(reading.answer) == light(gold):
        return True, reading
    same = _same_number(reading.answer, gold)
    if same is not None:
        return same, reading
    if values is None:
        values = _values(reading.answer)
    return bool(_math_verify().verify(_values(gold), values, timeout_seconds=None)), reading


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
    if a == b or both_whole or abs(a - b) > max(abs(a), abs(b)) / 100:
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


_NOTHING = Reading(None, matched=False)
_STATED = re.compile(r"(?i)\banswers?\b\W{0,3}(?:is\b|are\b|=|:)[\s:*]*")
_PARAGRAPH_END = re.compile(r"\n[ \t\r]*\n")
_SENTENCE_END = re.compile(r"\n|\.(?!\d)")
_MATH = re.compile(r"\$|\\[(\[]")
_COMMAND = re.compile(r"\\[A-Za-z]+(?:\{[A-Za-z ]*\})?")
_WORD = re.compile(r"[A-Za-z]{3,}(?!\()")


def _stated(response: str) -> tuple[Reading, list[Any] | None]:
    """What a response states, and math-verify's values of it; None: the whole is a formula."""
    box = _last_closed_box(response)
    if box is not None:
        return _whole(response, *box), None
    marker = _last(_STATED, response)
    if marker is not None:
        stop = _PARAGRAPH_END.search(response, marker.end())
        return _prose(response, marker.end(), stop.start() if stop else len(response), True)
    end = len(response.rstrip())
    stop = _last(_PARAGRAPH_END, response[:end])
    return _prose(response, stop.end() if stop else 0, end, False)


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """The last match of a pattern."""
    found = deque(pattern.finditer(text), maxlen=1)
    return found[0] if found else None


def _last_closed_box(text: str) -> tuple[int, int] | None:
    r"""The span of the content of the last `\boxed{…}`, `\fbox{…}` or `\boxed x`, if closed."""
    command = _last(re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])\s*"), text)
    if command is None:
        return None
    start = command.end()
    if not text.startswith("{", start):
        bare = re.compile(r"\\?[^\s\\${}]+").match(text, start)
        return bare.span() if bare else None
    depth = 0
    for match in re.compile(r"\\.|[{}]", re.DOTALL).finditer(text, start):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth == 0:
            return strip_span(text, start + 1, match.start())
    return None


def _whole(response: str, start: int, end: int) -> Reading:
    """The reading of a part of the response as it is."""
    text = response[start:end]
    return Reading(text, matched=True, span=(start, end)) if text else _NOTHING


def _prose(response: str, start: int, end: int, stated: bool) -> tuple[Reading, list[Any] | None]:
    """The same as `_stated`, of a part of the response that may hold words.

    Args:
        stated: the part follows `answer is`: its beginning counts, not its end.
    """
    math = _MATH.search(response, start, end)
    if math is not None and stated and re.search(r"\d", response[start : math.start()]):
        end, math = math.start(), None  # `the answer is 5, since $x = 5$`
    stop = _SENTENCE_END.search(response, start, end) if stated and math is None else None
    first, last = strip_span(response, start, stop.start() if stop else end)
    sentence = _whole(response, first, first + len(response[first:last].rstrip("*.")))
    if math is None and not _WORD.search(_COMMAND.sub("", sentence.answer or "")):
        return sentence, None
    values = _math_verify().parse(
        ("answer is " if stated else "") + response[start:end], parsing_timeout=None
    )
    if values and isinstance(values[-1], str):
        text = values[-1]
        at = response.rfind(text, start, end)
        span = (at, at + len(text)) if at >= 0 else (start, end)
        return Reading(text, matched=True, span=span), values
    if stated and math is None:
        return sentence, []  # a word, to be compared as text
    return _NOTHING, []


@lru_cache(256)  # several samples of an item share its gold answer
def _values(latex: str) -> list[Any]:
    """What math-verify reads in a formula: its value, if it has one, and its text."""
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

    logging.getLogger("math_verify").setLevel(logging.CRITICAL)
    return math_verify
