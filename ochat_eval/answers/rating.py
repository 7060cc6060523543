"""Reading a judge's rating in its verdict: pure functions from text to `Reading`.

Ratings are from 1 to 10 unless another scale is said.
"""

from __future__ import annotations

import functools
import re
from collections import deque

from ochat_eval.records import Reading

_NOTHING = Reading(None, matched=False)
_DIGITS = r"(\d++(?:\.\d*+)?+)"
_PUBLISHED = (re.compile(rf"\[\[{_DIGITS}\]\]"), re.compile(rf"\[{_DIGITS}\]"))
_MARKS = r"[\s*_`\"'“”:=(\[{]{0,12}+"
_LABEL = re.compile(
    r"\b(?:rating|rate|score|grade)\b[\s*_`\"'“”:=]{0,12}(?:(?:is|it)\b[\s*_`:]{0,8}){0,2}$",
    re.IGNORECASE,
)
"""What stands right before a number that is the rating."""
_LABEL_LENGTH = 50
_SENTENCE_GOES_ON = re.compile(r"[*_`\"'”)]{0,6}(?:[ \t]{1,3}|[ \t]{0,3}[,;(–—-][ \t]{0,3})\w")
"""What stands behind a number that is only spoken of: `a [[10]] would have an example`."""
_GOES_ON = re.compile(r"[\s*_`]{0,4}(?:-|–|—|to\b|or\b|/)[\s*_`]{0,4}\[{0,2}\d")
_CAME_FROM = re.compile(
    r"\d(?:\\?\]\\?\][\s*_`]{0,4}(?:-|–|—|to|or|/)[\s*_`]{0,4}|[-–—]|[ \t](?:to|or)[ \t])$"
)
"""What stands before and behind a number that is one end of a range."""
_RANGE_LENGTH = 20


@functools.cache
def _patterns(highest: int) -> tuple[re.Pattern[str], tuple[re.Pattern[str], ...]]:
    """A rating in double brackets; and the ways to state one without them, the best first."""
    number = rf"(\d{{1,{max(2, len(str(highest)))}}}+(?:\.\d{{1,4}}+)?+)"
    of_all = rf"(?:\s{{0,3}}/\s{{0,3}}{highest}\b|\s{{1,3}}out\s{{1,3}}of\s{{1,3}}{highest}\b)"
    double = re.compile(
        rf"\\?\[\\?\[{_MARKS}{number}{of_all}?[\s*_`]{{0,8}}\\?\]\\?\](?:[*_`]{{0,4}}{of_all})?",
        re.IGNORECASE,
    )
    labelled = re.compile(
        rf"\b(?:rating|rate|score|grade)\b{_MARKS}"
        rf"(?:(?:is|of|as|it|this|the response)\b{_MARKS}){{0,3}}"
        rf"{number}(?![\d.,]*\d){of_all}?",
        re.IGNORECASE,
    )
    return double, (labelled, re.compile(rf"(?<![\d.,/]){number}{of_all}", re.IGNORECASE))


def published_rating(text: str, lowest: int = 1, highest: int = 10) -> Reading:
    """FastChat's rule: the first `[[n]]`, else the first `[n]`; on the scale, else nothing.

    `answer` is the number as written. A number that Python does not read (`08`) is nothing.
    """
    for pattern in _PUBLISHED:
        if found := pattern.search(text):
            number = found[1]
            readable = number.isascii() and not re.fullmatch(r"0\d+", number)
            if readable and len(number) < 100 and lowest <= float(number) <= highest:
                return Reading(number, matched=True, span=found.span(1))
            return _NOTHING
    return _NOTHING


def robust_rating(text: str, lowest: int = 1, highest: int = 10) -> Reading:
    """The rating that a careful reader takes a verdict to give; nothing where it wavers.

    The last number in double brackets counts (`[[8/10]]`, `[[**8**]]`, `\\[\\[8\\]\\]`,
    `[[8]]/10`): the last right behind `rating` or the like, else the last that ends its sentence,
    else the last. Where there is none, the last one behind `rating`, `score` or `grade`; else the
    last one out of the highest. Two in one range (`7-8`, `7 or 8`, `[[7]]-[[8]]`) and what is not
    on the scale are nothing.
    """
    double, single = _patterns(highest)
    found = _in_double_brackets(text, double)
    for pattern in single if found is None else ():
        if last := deque(pattern.finditer(text), maxlen=1):
            found = last[0]
            break
    if found is None or _in_range(text, found) or not lowest <= float(found[1]) <= highest:
        return _NOTHING
    return Reading(found[1], matched=True, span=found.span(1))


def _in_range(text: str, found: re.Match[str]) -> bool:
    """Whether a number is one end of a range."""
    before = text[max(0, found.start() - _RANGE_LENGTH) : found.start()]
    return bool(_GOES_ON.match(text, found.end()) or _CAME_FROM.search(before))


def _in_double_brackets(text: str, double: re.Pattern[str]) -> re.Match[str] | None:
    """The number in double brackets that is the rating, not one that is only spoken of."""
    best, found = 0, None
    for one in double.finditer(text):
        labelled = _LABEL.search(text[max(0, one.start() - _LABEL_LENGTH) : one.start()])
        ends = not _SENTENCE_GOES_ON.match(text, one.end())
        rank = 3 if labelled else 2 if ends else 1
        if rank >= best:
            best, found = rank, one
    return found
