r"""What a response to a MATH problem states: where its answer stands, for the robust rule."""

from __future__ import annotations

import re
from collections import deque
from typing import NamedTuple

from ochat_eval.answers.code import strip_span
from ochat_eval.answers.statements import (
    LONGEST,
    OPEN,
    UNKNOWN,
    Statement,
    latest,
    own_answers,
    sentence_end,
    statements,
    without_remarks,
)
from ochat_eval.records import Reading

_NOTHING = Reading(None, matched=False)
_DENIAL = re.compile(r"not\b(?! only)", re.IGNORECASE)
_DENIED = re.compile(r"(?i)\banswers?\b\W{0,3}(?:is|are)\s+not\b(?:[^\n,;.。]|[,.](?=\d))*[,;]?\s*")
"""`the answer is not 5`: what it names is no answer."""
_HEAD = re.compile(r"(?m)^####[ \t]*+(?=\S)")  # GSM8K's `#### 5`, or a heading
_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])\s*")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_OPENED = 2000  # characters before a statement in which its formula may have begun
_LONGEST_BOX = 2000  # characters, so that many boxes without end take linear time
_PLAIN_START = re.compile(r"[-+]?(?:\d|\\[dt]?frac|\\sqrt|\\pi|\\[(\[])|[A-Za-z]\s?=")
"""A statement that begins with a formula: `The final answer is $-256$` (its `$` is skipped)."""
_DELIMITER = re.compile(r"(?<!\\)(?:\$\$?|\\[()\[\]])")
_FORMULA = re.compile(
    r"(?<!\\)\$\$?[^$\n]{1,300}\$\$?|\\\([^\n]{1,300}?\\\)|\\\[.{1,300}?\\\]", re.DOTALL
)
_IS = re.compile(r"(?:\b(?:is|are|was|be|equals?|to|gives|get|as)\b|=)[\s*:]*$")
_THERE_ARE = re.compile(
    r"(?:that\s)?there\s(?:is|are|will be|would be|were)\s(?:exactly\s|only\s"
    r"|a total of\s)?[$*]{0,3}(\d{1,12})(?![\d.,]*\d)",
    re.IGNORECASE,
)
_MIXED = re.compile(r"-?\d{1,12}\$\\[dt]?frac\{\d{1,12}\}\{\d{1,12}\}\$")  # `137$\frac{1}{2}$`
_OTHER_CASE = re.compile(r"(?<=[.$*])\s+\(?(?:(?:But|However),? )?(?:[Ii]f|Suppose|Had)\b")
"""Behind the answer: what it would be otherwise."""
_REMARK = re.compile(
    r"\s*\((?:in|or|as|for|since|because|where|to|by|rounded)?\s?[A-Za-z ]{1,40}\)[\s*.]*$"
)
"""Behind an answer: `5 (in radians)`."""
_PARAGRAPH_END = re.compile(r"\n[ \t\r]*\n")
_SENTENCE_END = re.compile(r"[\n。]|\.(?!\d)")
_UNFINISHED = re.compile(r"=\s{0,9}(?:\$\$?)?\Z")
_REASON = re.compile(r",\s*(?:since|because|as|for|where|when)\b")
"""Behind an answer; math-verify takes a comma for one more."""
_LINES_END = re.compile(
    r"\\end\{(?:align|equation|gather|multline)(?:ed)?\*?\}(?:\s*(?:\$\$?|\\\]))?"
)
_MATH = re.compile(r"\$|\\[(\[]")
_COMMAND = re.compile(r"\\[A-Za-z]+(?:\{[A-Za-z ]*\})?")
_WORD = re.compile(  # short ones too, and units behind a number: `so it is 5 cm`
    r"[A-Za-z]{3,}(?!\()|\b(?:[Ii]s|[Ii]t|[Ss]o|[Ww]e|[Ii]f)\b"
    r"|(?<=\d)\s?(?:[ckm]m|kg|ft|in|mi|lb|oz|ml|hr)\b"
)


class Stated(NamedTuple):
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


def stated(response: str) -> Stated:
    """What a response states: in its last box or statement, else at its end.

    A box that a later plain statement corrects does not count, nor does what is cut off where
    something whole stands before it, nor what follows a question that the model made up.
    """
    for part in own_answers(response):
        found = _stated(part)
        if found.marked:
            return found
    return found


def _stated(response: str) -> Stated:
    box = _last_closed_box(response)
    marker = _marker(response)
    if box is not None and not (
        marker and marker.at > box[1] and _PLAIN_START.match(response, marker.start)
    ):
        return Stated(_whole(response, *box), True, *box, True)
    if marker is not None:
        stop = _PARAGRAPH_END.search(response, marker.start)
        return _marked(response, marker, stop.start() if stop else len(response))
    text = without_remarks(response)
    last = text.rfind("\n") + 1
    if _UNFINISHED.search(text, last):
        return Stated(_NOTHING, True, 0, 0, False)
    unknown = UNKNOWN.match(text, last) and not re.search(r"[$\d]|\\[(\[]", text[last:])
    if unknown:
        return Stated(_NOTHING, True, 0, 0, False)
    starts = (_last(pattern, text) for pattern in (_PARAGRAPH_END, _HEAD, _DENIED))
    start, end = max((one.end() for one in starts if one), default=0), len(text)
    lines = _last_line(response, start, end)
    if lines is not None:
        return Stated(_whole(response, *lines), True, *lines, False)
    return _prose(response, _solved(response, start, end), end, False)


def _marker(response: str) -> Statement | None:
    """The last statement that is no box; one that is cut off or conditional only for want of
    another."""
    second = None
    for said in statements(response):
        if response.startswith("\\", said.at) or _DENIAL.match(response, said.start):
            continue
        if not (said.conditional or _is_cut_off(response, said.start)):
            return said
        second = second or said
    return second


def _is_cut_off(response: str, start: int) -> bool:
    """Whether the text breaks off in the statement from `start` on: it had no room for the rest."""
    rest = response[start : start + LONGEST].rstrip(" *.\n")
    if not rest:
        return True
    if start + LONGEST < len(response) or "\n" in rest:
        return False
    unclosed = response.startswith("$", start - 1) and "$" not in rest
    return rest.count("{") != rest.count("}") or (unclosed and not re.fullmatch(r"[\d.,]+", rest))


def _marked(response: str, marker: Statement, end: int) -> Stated:
    """What a statement states, of which the paragraph ends at `end`."""
    start = marker.start
    if OPEN.match(response, start, marker.end):
        return Stated(_NOTHING, True, start, start, True)
    while start > marker.at and response[start - 1] == "$":
        start -= 1
    if marker.firm or response.startswith('"', marker.end):  # a tag, or JSON
        end = marker.end
    paragraph = response.rfind("\n\n", max(0, marker.at - _OPENED), marker.at)
    begin = paragraph if paragraph >= 0 else max(0, marker.at - _OPENED)
    opened = list(_DELIMITER.finditer(response, begin, start))
    if opened and (opened[-1][0] in (r"\[", r"\(") or (len(opened) % 2 and "$" in opened[-1][0])):
        closed = _DELIMITER.search(response, start, end)  # the statement is inside a formula
        if closed:
            return _prose(response, start, closed.start(), True)
    there = _THERE_ARE.match(response, start, end)
    if there:
        return Stated(_whole(response, *there.span(1)), True, *there.span(1), True)
    mixed = _MIXED.match(response, start, end)
    if mixed:
        return Stated(_whole(response, *mixed.span()), True, *mixed.span(), True)
    stop = sentence_end(response, start)
    formulas = list(_FORMULA.finditer(response, start, min(end, stop + 1)))
    if len(formulas) > 1 and re.search(r"[A-Za-z]{2}", response[start : formulas[0].start()]):
        for formula in reversed(formulas):  # `The sum of $1$ and $2$ is $3$`
            if _IS.search(response, max(start, formula.start() - 30), formula.start()):
                return _prose(response, formula.start(), end, True)
    return _prose(response, start, end, True)


def _solved(response: str, start: int, end: int) -> int:
    """Where the last formula begins, if it says what the one before it comes to: `x = 6` after
    `5x = 30`; else `start`."""
    formulas = deque(_FORMULA.finditer(response, start, end), maxlen=2)
    if len(formulas) == 2:
        before, last = formulas
        name = re.match(r"(?:\$\$?|\\[(\[])\s*([A-Za-z])\s*=", last[0])
        alike = name and re.search(rf"(?<![A-Za-z\\]){name[1]}(?![A-Za-z])", before[0])
        if name and alike and not re.match(rf"\W*{name[1]}\s*=", before[0]):
            return last.start()
    return start


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """The last match of a pattern."""
    found = deque(pattern.finditer(text), maxlen=1)
    return found[0] if found else None


def _last_closed_box(text: str) -> tuple[int, int] | None:
    r"""The span of the content of the last `\boxed{…}`, `\fbox{…}` or `\boxed x` that is closed,
    if only by the end of its formula: `\boxed{60$`."""
    for command in latest(_BOX, text):
        start = command.end()
        if not text.startswith("{", start):
            bare = re.compile(r"\\?[^\s\\${}]+").match(text, start)
            if bare:
                return bare.span()
            continue
        depth = 0
        for match in _BRACE.finditer(text, start, start + _LONGEST_BOX):
            depth += {"{": 1, "}": -1}.get(match[0], 0)
            if depth == 0:
                return strip_span(text, start + 1, match.start())
        ended = re.compile(r"\{([^{}$\n]{1,80}?)(?:\$|\\[)\]])").match(text, start)
        if ended:
            return strip_span(text, *ended.span(1))
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


def _prose(response: str, start: int, end: int, marked: bool) -> Stated:
    """What a part of the response states that may hold words."""
    if marked and (reason := _REASON.search(response, start, end)):
        end = reason.start()
    if marked and (aside := _OTHER_CASE.search(response, start, end)):
        end = aside.start()
    remark = _REMARK.search(response, max(start, end - 60), end)
    if remark and response[start : remark.start()].strip(" *$"):  # `(E)` alone is the answer
        end = remark.start()
    math = _MATH.search(response, start, end)
    if math is not None and marked and re.search(r"\d", response[start : math.start()]):
        end, math = math.start(), None  # `the answer is 5 when $x = 5$`
    stop = _SENTENCE_END.search(response, start, end) if marked and math is None else None
    sentence = _whole(response, *_trimmed(response, start, stop.start() if stop else end, "*.,;`"))
    whole = math is None and not _WORD.search(_COMMAND.sub("", sentence.answer or ""))
    # after a marker even a word is an answer, to be compared as text
    reading = sentence if whole or (marked and math is None) else _NOTHING
    return Stated(reading, whole, start, end, marked)
