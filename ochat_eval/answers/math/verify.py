"""The robust MATH rule: the answer that a response states, compared by math-verify."""

from __future__ import annotations

import logging
import re
from collections import deque
from fractions import Fraction
from functools import cache, lru_cache
from itertools import product
from typing import Any, NamedTuple

from ochat_eval.answers.code import strip_span
from ochat_eval.answers.math.grader import light
from ochat_eval.answers.statements import PLAIN
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
    response = response.translate(PLAIN)
    stated = _stated(response)
    reading, values = stated.reading, None
    if not stated.whole:
        reading, values = _parsed(response, stated)
    right = _same(reading.answer, gold, values)
    if not right and (result := _result(reading.answer, gold)):
        right = _same(result, gold)
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
    and where an equation is asked for."""
    left, equals, right = (answer or "").rpartition("=")
    if not equals or "=" in gold or _LISTED.search(left):
        return None
    return right.strip()


def verify_plainly(response: str, gold: str) -> tuple[bool, Reading] | None:
    """The same where texts or plain numbers decide it: in microseconds, without a library.

    None where math-verify must read the response or compare.
    """
    stated = _stated(response.translate(PLAIN))
    verdict = _plain_verdict(stated.reading.answer, gold) if stated.whole else None
    return None if verdict is None else (verdict, stated.reading)


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
        names = sorted(a.free_symbols | b.free_symbols, key=str)
        point = {symbol: _POINT + place for place, symbol in enumerate(names)}
        try:
            one, other = (complex(x.evalf(15, subs=point)) for x in (a, b))
            far = abs(one - other) > 1e-3 * max(1, abs(one), abs(other))  # it rounds to 6 decimals
        except Exception:  # whatever sympy raises for what is no number, or too large
            return False
        if not far:
            return False
    return all(formulas)


_POINT = 0.7391
"""The value of the first symbol; nothing in a formula makes it special."""
_NOTHING = Reading(None, matched=False)
_STATED = re.compile(
    r"(?i)(?:\banswers?\b\W{0,3}(?:(?:is|are)\b(?!\s+not\b)|=|:)|答案[应该就]{0,2}[是为:])[\s:*]*"
)
_DENIED = re.compile(r"(?i)\banswers?\b\W{0,3}(?:is|are)\s+not\b(?:[^\n,;.。]|[,.](?=\d))*[,;]?\s*")
"""`the answer is not 5`: what it names is no answer."""
_HEAD = re.compile(r"(?m)^####[ \t]*+(?=\S)")  # GSM8K's `#### 5`, or a heading
_PARAGRAPH_END = re.compile(r"\n[ \t\r]*\n")
_SENTENCE_END = re.compile(r"[\n。]|\.(?!\d)")
_REASON = re.compile(r",\s*(?:since|because|as|for|where|when)\b")
"""Behind an answer; math-verify takes a comma for one more."""
_ASSIGNED = re.compile(r"\b[A-Za-z]\s*=\s*(?=\d{1,3}(?:\{?,\}?(?:\\!)?\d{3})+(?![\d,{]))")
"""`x = 1,200`: math-verify takes it for two numbers."""
_LISTED = re.compile(r"[,;<>]|\\\\|\\(?:text|quad|[lg]eq?|neq?)\b|\b(?:or|and)\b")
"""Before an `=`: it is the last of several equations."""
_LINES_END = re.compile(
    r"\\end\{(?:align|equation|gather|multline)(?:ed)?\*?\}(?:\s*(?:\$\$?|\\\]))?"
)
_MATH = re.compile(r"\$|\\[(\[]")
_COMMAND = re.compile(r"\\[A-Za-z]+(?:\{[A-Za-z ]*\})?")
_WORD = re.compile(  # short ones too, and units behind a number: `so it is 5 cm`
    r"[A-Za-z]{3,}(?!\()|\b(?:[Ii]s|[Ii]t|[Ss]o|[Ww]e|[Ii]f)\b"
    r"|(?<=\d)\s?(?:[ckm]m|kg|ft|in|mi|lb|oz|ml|hr)\b"
)


class _Stated(NamedTuple):
    """What a response states.

    Attributes:
        reading: the answer; where it is not whole, what it is if math-verify finds none.
        whole: it is a formula as it stands, not words with one among them.
        start, end: the part of the response for math-verify to look in.
        marked: that part follows `answer is`: its beginning counts, not its end.
    """

    reading: Reading
    whole: bool
    start: int
    end: int
    marked: bool


def _stated(response: str) -> _Stated:
    box = _last_closed_box(response)
    if box is not None:
        return _Stated(_whole(response, *box), True, *box, True)
    marker = _last(_STATED, response)
    if marker is not None:
        stop = _PARAGRAPH_END.search(response, marker.end())
        return _prose(response, marker.end(), stop.start() if stop else len(response), True)
    text = response.rstrip()
    starts = (_last(pattern, text) for pattern in (_PARAGRAPH_END, _HEAD, _DENIED))
    start, end = max((one.end() for one in starts if one), default=0), len(text)
    lines = _last_line(response, start, end)
    if lines is not None:
        return _Stated(_whole(response, *lines), True, *lines, False)
    return _prose(response, start, end, False)


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


def _last_line(response: str, start: int, end: int) -> tuple[int, int] | None:
    r"""The span behind the last `=` of `\begin{align} … \end{align}`, if nothing else follows."""
    lines = _last(_LINES_END, response[start:end])
    if lines is None or re.search(r"[$\d]|\\[(\[]", response[start + lines.end() : end]):
        return None
    stop = start + lines.start()
    equals = response.rfind("=", start, stop)
    return _trimmed(response, equals + 1, stop, " \n.,\\") if equals >= 0 else None


def _trimmed(response: str, start: int, end: int, marks: str) -> tuple[int, int]:
    """The span less the white space at its ends, and these marks behind it."""
    start, end = strip_span(response, start, end)
    return start, start + len(response[start:end].rstrip(marks))


def _whole(response: str, start: int, end: int) -> Reading:
    """The reading of a part of the response as it is."""
    text = response[start:end]
    return Reading(text, matched=True, span=(start, end)) if text else _NOTHING


def _prose(response: str, start: int, end: int, marked: bool) -> _Stated:
    """What a part of the response states that may hold words."""
    if marked and (reason := _REASON.search(response, start, end)):
        end = reason.start()
    math = _MATH.search(response, start, end)
    if math is not None and marked and re.search(r"\d", response[start : math.start()]):
        end, math = math.start(), None  # `the answer is 5 when $x = 5$`
    stop = _SENTENCE_END.search(response, start, end) if marked and math is None else None
    sentence = _whole(response, *_trimmed(response, start, stop.start() if stop else end, "*."))
    whole = math is None and not _WORD.search(_COMMAND.sub("", sentence.answer or ""))
    # after a marker even a word is an answer, to be compared as text
    reading = sentence if whole or (marked and math is None) else _NOTHING
    return _Stated(reading, whole, start, end, marked)


def _parsed(response: str, stated: _Stated) -> tuple[Reading, list[Any]]:
    """What math-verify finds in a part of the response that holds words, and its values."""
    start, end = stated.start, stated.end
    text = ("answer is " if stated.marked else "") + _ASSIGNED.sub("", response[start:end])
    values = _math_verify().parse(text, parsing_timeout=None)
    if not (values and isinstance(values[-1], str)):
        return stated.reading, []
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

    logging.getLogger("math_verify").setLevel(logging.CRITICAL)
    return math_verify
