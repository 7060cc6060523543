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
_DOUBLE = re.compile(
    rf"\\?\[\\?\[{_MARKS}{_NUMBER}{_OF_TEN}?[\s*_`]{{0,8}}\\?\]\\?\](?:[*_`]{{0,4}}{_OF_TEN})?",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r"\b(?:rating|rate|score|grade)\b[\s*_`\"'“”:=]{0,12}(?:(?:is|it)\b[\s*_`:]{0,8}){0,2}$",
    re.IGNORECASE,
)
"""What stands right before a number that is the rating."""
_LABEL_LENGTH = 50
_SENTENCE_GOES_ON = re.compile(r"[*_`\"'”)]{0,6}(?:[ \t]{1,3}|[ \t]{0,3}[,;(–—-][ \t]{0,3})\w")
"""What stands behind a number that is only spoken of: `a [[10]] would have an example`."""
_SINGLE = (
    re.compile(
        rf"\b(?:rating|rate|score|grade)\b{_MARKS}"
        rf"(?:(?:is|of|as|it|this|the response)\b{_MARKS}){{0,3}}"
        rf"{_NUMBER}(?![\d.,]*\d){_OF_TEN}?",
        re.IGNORECASE,
    ),
    re.compile(rf"(?<![\d.,/]){_NUMBER}{_OF_TEN}", re.IGNORECASE),
)
_GOES_ON = re.compile(r"[\s*_`]{0,4}(?:-|–|—|to\b|or\b|/)[\s*_`]{0,4}\[{0,2}\d")
_CAME_FROM = re.compile(
    r"\d(?:\\?\]\\?\][\s*_`]{0,4}(?:-|–|—|to|or|/)[\s*_`]{0,4}|[-–—]|[ \t](?:to|or)[ \t])$"
)
"""What stands before and behind a number that is one end of a range."""
_RANGE_LENGTH = 20


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

    The last number in double brackets counts (`[[8/10]]`, `[[**8**]]`, `\\[\\[8\\]\\]`,
    `[[8]]/10`): the last right behind `rating` or the like, else the last that ends its sentence,
    else the last. Where there is none, the last one behind `rating`, `score` or `grade`; else the
    last one out of ten. Two in one range (`7-8`, `7 or 8`, `[[7]]-[[8]]`) and what is not from 1 to
    10 are nothing.
    """
    found = _in_double_brackets(text)
    for pattern in _SINGLE if found is None else ():
        if last := deque(pattern.finditer(text), maxlen=1):
            found = last[0]
            break
    if found is None or _in_range(text, found) or not 1 <= float(found[1]) <= 10:
        return _NOTHING
    return Reading(found[1], matched=True, span=found.span(1))


def _in_range(text: str, found: re.Match[str]) -> bool:
    """Whether a number is one end of a range."""
    before = text[max(0, found.start() - _RANGE_LENGTH) : found.start()]
    return bool(_GOES_ON.match(text, found.end()) or _CAME_FROM.search(before))


def _in_double_brackets(text: str) -> re.Match[str] | None:
    """The number in double brackets that is the rating, not one that is only spoken of."""
    best, found = 0, None
    for one in _DOUBLE.finditer(text):
        labelled = _LABEL.search(text[max(0, one.start() - _LABEL_LENGTH) : one.start()])
        ends = not _SENTENCE_GOES_ON.match(text, one.end())
        rank = 3 if labelled else 2 if ends else 1
        if rank >= best:
            best, found = rank, one
    return found
