"""Reading a judge's rating from 1 to 10 in its verdict: pure functions from text to `Reading`."""

from __future__ import annotations

import re
from collections import deque

from ochat_eval.records import Reading

_NOTHING = Reading(None, matched=False)
_DIGITS = r"(\d++(?:\.\d*+)?+)"
_PUBLISHED = (re.compile(rf"\[\[{_DIGITS}\]\]"), re.compile(rf"\[{_DIGITS}\]"))
_MARKS = r"[\s*_`\"'“”:=(\[{]{0,12}+"
_NUMBER = r"(\d{1,2}+(?:\.\d{1,4}+)?+)"
_OF_TEN = r"(?:\s{0,3}/\s{0,3}10\b|\s{1,3}out\s{1,3}of\s{1,3}10\b)"
_ROBUST = (
    re.compile(rf"\[\[{_MARKS}{_NUMBER}{_OF_TEN}?[\s*_`]{{0,8}}\]\]"),
    re.compile(
        rf"\b(?:rating|rate|score|grade)\b{_MARKS}"
        rf"(?:(?:is|of|as|it|this|the response)\b{_MARKS}){{0,3}}"
        rf"{_NUMBER}(?![\d.,]*\d){_OF_TEN}?",
        re.IGNORECASE,
    ),
    re.compile(rf"(?<![\d.,/]){_NUMBER}{_OF_TEN}", re.IGNORECASE),
)
_GOES_ON = re.compile(r"[\s*_`]{0,4}(?:-|–|—|to\b|or\b|/)[\s*_`]{0,4}\d")


def published_rating(text: str) -> Reading:
    """FastChat's rule: the first `[[n]]`, else the first `[n]`; from 1 to 10, else nothing.

    `answer` is the number as written. A number that Python does not read (`08`) is nothing.
    """
    for pattern in _PUBLISHED:
        if found := pattern.search(text):
            number = found[1]
            readable = number.isascii() and not re.fullmatch(r"0\d+", number)
            if readable and len(number) < 100 and 1 <= float(number) <= 10:
                return Reading(number, matched=True, span=found.span(1))
            return _NOTHING
    return _NOTHING


def robust_rating(text: str) -> Reading:
    """The rating that a careful reader takes a verdict to give; nothing where it wavers.

    The last number in double brackets counts (`[[8/10]]`, `[[**8**]]`); else the last one behind
    `rating`, `score` or `grade`; else the last one out of ten. `7-8`, `7 or 8` and what is not
    from 1 to 10 is nothing.
    """
    for pattern in _ROBUST:
        last = deque(pattern.finditer(text), maxlen=1)
        if last:
            found = last[0]
            if _GOES_ON.match(text, found.end()) or not 1 <= float(found[1]) <= 10:
                return _NOTHING
            return Reading(found[1], matched=True, span=found.span(1))
    return _NOTHING
