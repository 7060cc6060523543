"""The number that a response states, as a careful reader takes it."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from itertools import islice

from ochat_eval.answers.numerals import ALGEBRA, Numeral, numerals, value_of
from ochat_eval.answers.statements import (
    BROKEN_OFF,
    ITEM,
    LONGEST,
    NOTHING,
    OPEN,
    UNKNOWN,
    Statement,
    answer_part,
    last_lines,
    own_answers,
    sentence_end,
    statements,
)
from ochat_eval.records import Reading

_BOLD = re.compile(r"\*\*([^*\n]{1,80})\*\*")
_TUPLE = re.compile(
    r"(?:\\[(\[]\s?)?(?:\\left\s?)?(?:\\\{|(?<!\\)[(\[{])\s?[^()\[\]{},]{1,20}(?:\{[^{}]{0,9}\}){0,2},\s?\S"
)
"""A point, an interval, a list in brackets: no number."""
# Between two numbers of a statement:
_ASIDE = re.compile(r"\b(?:because|since|as|for|when|if|so that|after|before)\b|[?!]|, (?!\d)")
_SUM = re.compile(  # an operator between them, brackets, units and remarks in brackets aside
    r"[\s*$€£¥)}\]\\]*(?:[A-Za-z%°/]+[\s*)\\]*){0,4}(?:\([^()\n]{0,40}\)[\s*]*)?"
    r"(?:[-+*/×÷·=≈]|\\(?:times|cdot|div|approx)|\bx\b)[\s*$€£¥({\[\\-]*"
)
_NEXT_STEP = re.compile(r"[^=\n]{0,30}(?:[;,]|\band\b|\bso\b|\bthen\b)[\s*$\\({]*")
_OPEN_END = re.compile(r"[*\s]*(?:or|to|[-+*/×÷x])[*\s]*")
_CONTEXT = re.compile(  # before a number that the sentence does not state
    r"(?:\bfrom\s\S{1,12}\sto|\b(?:the|all|these|those|his|her|their|its|our|my|your|both|any|each|every|first|last|next"
    r"|other|another|than|after|before|in|within|for|from|by|at|on|with|below|above|over|under|of"
    r"|per|until|since|during|if|when|step|day|week|month|year|question|part|number|among|between"
    r"|into|about his|to [a-z]{2,12}))\s(?:the\s|her\s|his\s|their\s|all\s|first\s"
    r"|last\s|next\s)?[\s*$(]*$",
    re.IGNORECASE,
)
_IS = re.compile(
    r"(?:=|≈|\b(?:is|are|was|were|be|equals?|equal to|makes?|gives?|total of|average of|sum of"
    r"|an?\s(?:[a-z-]{2,15}\s){1,2}of|(?:leaves|leaving|left)\s(?:us\s)?with"
    r"|(?:cost|weigh|earn|need|pay|take|spend|owe|save|get|receive|make|have|last)s?"
    r"|brings?\sin|brought\sin|has|had|paid|spent"
    r"|took|got|made|saved))[\s*]*(?:about|approximately|exactly|only|just|now|still"
    r"|a total of)?[\s*$(]*$",
    re.IGNORECASE,
)
_OPERAND = re.compile(  # behind a number that something is still done with
    r"\s?%?\s(?:of(?! the\b)|times|plus|minus|divided by|multiplied by)\s", re.IGNORECASE
)
_THERE_ARE = re.compile(
    r"\bthere(?:\s(?:is|are|was|were|will be|would be|remain)\b|'s|’s|'re)", re.IGNORECASE
)
_COMPARED = re.compile(
    r"(?:\s[a-z]{1,12})?\s(?:more|fewer|less|greater|higher|lower)\sthan\b|\stimes\sas\s"
)
"""Behind a number that only compares: `36 left, 60 fewer than before`."""
_REASON = re.compile(r",?\sbecause\s")
_ONLY_WHEN = re.compile(r"\s(?:if|when|provided|assuming)\s(?!we\b|you\b)(?=[^,;:=]*\Z)")
_EITHER = re.compile(r"\beither\b[^.\n]{1,60}\bor\b")
_GIVES_REASON = re.compile(r"\s*(?:since|because|as|note|here|remember|recall)\b", re.IGNORECASE)
"""A sentence behind the one that states the number: it only says why."""
_CHECKS = re.compile(
    r"\s*(?:(?:to|let['’]?s|let\sus)\s)?(?:double[- ]?)?(?:check|verify|checking|verification)\b",
    re.IGNORECASE,
)
_OF_WHICH = re.compile(r",?\s(?:of|among)\s(?:which|whom|these|them)\b(?=[^,;:=]*\Z)")
"""Before a part of what is stated: `14 fruits, of which 5 are berries`."""
_ONES = "one|two|three|four|five|six|seven|eight|nine"
_SMALL = (
    f"zero|{_ONES}|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen"
)
_TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_VALUES = {word: value for value, word in enumerate(_SMALL.split("|"))} | {
    word: 10 * value for value, word in enumerate(_TENS.split("|"), 2)
}
_WORDS = re.compile(  # `twelve`, `twenty-one dollars.`; not `two thirds`, `one of them`
    rf"(?:[\s*_$]|\\text\{{){{0,9}}+(?P<number>(?:{_TENS})(?:[- ](?:{_ONES}))?|{_SMALL})"
    r"\b[*_]{0,3}"
    r"(?:\s(?!(?:of|or|to|and|times|hundred|thousand|million|half|halves|quarters?|percent|more|less"
    r"|fewer|that|which|who|plus|minus|by)\b)(?![a-z]*(?:ths?|thirds?)\b)[a-z]{2,15}){0,2}"
    r"[\s*_)}$]{0,9}(?:\(|[.,;!]|$)",
    re.IGNORECASE,
)
_TAKES = re.compile(  # `it takes him 7 days to save $35`
    r"\b(?:takes?|took)\b[^,;:=]{1,60}?\d[^,;:=]{0,20}?\sto\s(?!be\b)[a-z]{2,12}\b(?=[^,;:=]*\Z)"
)
_CLAUSE = re.compile(  # behind the stated number: what only describes it
    r"\b(?:after|before|when|while|if|because|since|by|which|who|that|so that|in order|instead of"
    r"|than|out of|with|to (?!be\b)[a-z]+)\b|[(:]",
    re.IGNORECASE,
)


def robust_number(text: str) -> Reading:
    """The number that a response states as its answer, as a careful reader takes it.

    What stands in the last box or tag, or behind the last `answer is`, `answer:`, `####`, `答案`
    counts: there the number that it begins with, the result where an equation follows it, or the
    one that its sentence states (`The 12 tickets cost $90`). `3 or 4`, `3 + 4`, `x + 4` and
    `cannot be determined` are no answer; `twelve eggs` is 12. Without one: on the last line the
    last bold number, or else the one behind the last `=` of its last sentence with numbers; else
    the last of that sentence that is no circumstance (`in 9 weeks`), or of all; of a total and its
    parts (`5: 2 red, 3 blue`) the total. A text that breaks off or asks states none. An answer ends
    where the model goes on with a question of its own. Dates, versions, powers, times that are no
    full hour and the digits in a name (`x2`) are no numbers.

    Returns:
        The number in plain ASCII: `-1200.50`, `1/2`, `2 1/2`, `1.2e3`; without thousands marks,
        currency and unit (`50%` reads `50`, `2:00 PM` reads `2`).
    """
    for plain in own_answers(answer_part(text)):
        reading = _read(plain)
        if reading.matched:
            return reading
    return reading


def _read(plain: str) -> Reading:
    """The number that one answer states."""
    conditional = None
    for said in statements(plain):
        found = None if said.items else _stated(plain, said)
        if found is None:
            continue
        if not said.conditional:
            return found
        conditional = conditional or found
    return conditional or _unmarked(plain)


def _reading(numeral: Numeral) -> Reading:
    return Reading(numeral.value, matched=True, span=(numeral.start, numeral.end))


def _stated(plain: str, said: Statement) -> Reading | None:
    """The number in a statement; None where it names none and so is passed over."""
    start, end = said.start, said.end
    found = list(numerals(plain, start, end))
    if UNKNOWN.match(plain, start, end) and (not found or not _begins(plain, start, found[0])):
        return NOTHING
    if OPEN.match(plain, start, end) or _TUPLE.match(plain, start, end):
        return NOTHING
    if ALGEBRA.search(plain, start, end) and plain.find("=", start, end) < 0:
        return NOTHING
    if not found:
        return _in_words(plain, start, end)
    if said.firm or _begins(plain, start, found[0]):
        if plain.startswith(";", end):  # `$12 + $9 = $21; $21 / 3 = $7`
            end = sentence_end(plain, end + 1)
            found = list(numerals(plain, start, end))
        return _result(plain, found, end)
    return _reading(_of_sentence(plain, start, end, found))


def _in_words(plain: str, start: int, end: int) -> Reading | None:
    """The number that a statement is in words, `twelve eggs`; None where it is none."""
    words = _WORDS.match(plain, start, end)
    if words is None:
        return None
    tens, _, ones = words["number"].lower().replace("-", " ").partition(" ")
    value = _VALUES[tens] + (_VALUES[ones] if ones else 0)
    return Reading(str(value), matched=True, span=words.span("number"))


def _begins(plain: str, start: int, numeral: Numeral) -> bool:
    """Whether a statement begins with the number, a variable or two words before it aside."""
    before = plain[start : numeral.start]
    if re.search(r"=\s*[*$\\(]*$", before) and len(before) < 40:
        return True
    return re.search(r"[A-Za-z]{2}", before.replace("\\text", "")) is None


def _result(plain: str, found: list[Numeral], end: int) -> Reading:
    """The number that a statement begins with, or what an equation from there on comes to."""
    if _OPERAND.match(plain, found[0].end, end):  # `25% of 80 is 20`
        results = [n for n in found[1:] if _IS.search(plain, max(0, n.start - 30), n.start)]
        if results:
            return _reading(results[-1])
    chosen, equals = found[0], False
    pending = False  # an operand was read, but not yet what it comes to
    for number in found[1:]:
        between = plain[chosen.end : number.start]
        if _OPEN_END.fullmatch(between) and plain.find("=", number.end, end) < 0:
            return NOTHING
        if not _SUM.fullmatch(between):
            step = _NEXT_STEP.fullmatch(between)
            if not (equals and step and number.value == chosen.value):
                break
        equals = equals or "=" in between or "≈" in between
        pending = not re.search(r"[=≈]", between) and number.value != chosen.value
        chosen = number
    if pending:  # units or words that are not understood; the result is behind the last `=`
        equals_at = plain.rfind("=", chosen.end, end)
        behind = [n for n in found if n.start > equals_at] if equals_at >= 0 else []
        return _reading(behind[0]) if behind else NOTHING
    return _reading(chosen)


def _of_sentence(plain: str, start: int, end: int, found: list[Numeral]) -> Numeral:
    """The number that a sentence states: bold, or the last that is not a mere circumstance."""
    if bold := _bold(plain, start, end):
        return bold
    if _is_total(found):
        return found[0]
    there = _THERE_ARE.search(plain, start, end)
    if there:
        behind = [number for number in found if number.start >= there.end()]
        if behind:
            return behind[0]
    chosen = None
    for number in found:
        between = plain[chosen.end : number.start] if chosen else ""
        if chosen and _CLAUSE.search(between):
            break
        if not _is_circumstance(plain, start, end, number, compared=chosen is not None):
            chosen = number
    return chosen or found[-1]


def _is_circumstance(
    plain: str, start: int, end: int, number: Numeral, compared: bool = True
) -> bool:
    """Whether a sentence only names the number: `in 9 weeks`, `to fill 9 buckets`.

    Args:
        compared: one that only compares is none either: `60 fewer than before`.
    """
    before = plain[max(start, number.start - 40) : number.start]
    if compared and _COMPARED.match(plain, number.end, end):
        return True
    return _CONTEXT.search(before) is not None and not _IS.search(before)


def _bold(plain: str, start: int, end: int) -> Numeral | None:
    """The last number in bold; of a total and its parts the total."""
    bold = [n for b in _BOLD.finditer(plain, start, end) for n in numerals(plain, *b.span(1))]
    return (bold[0] if _is_total(bold) else bold[-1]) if bold else None


def _is_total(found: list[Numeral]) -> bool:
    """Whether the numbers are a total and its parts: `5 vegetables: 2 leeks and 3 onions`."""
    if not 3 <= len(found) <= 12:
        return False
    first, *parts = (value_of(number.value) for number in found)
    return first is not None and None not in parts and first == sum(part or 0 for part in parts)


def _unmarked(plain: str) -> Reading:
    """The number that an answer ends with, where nothing marks it."""
    lines = last_lines(plain)
    if not lines or _says_nothing(plain, *lines[-1]):
        return NOTHING
    start, end = lines[-1]
    if bold := _bold(plain, start, end):
        return _reading(bold)
    begin, end = _last_sentence(plain, start, end)
    equals = plain.rfind("=", begin, end)
    if equals >= 0:
        result = list(islice(numerals(plain, equals, end), 1))
        if result:
            return _reading(result[0])
    found = list(deque(_unlisted(plain, begin, end), maxlen=13))
    if found:
        return _concluded(plain, begin, end, found)
    last = deque(_unlisted(plain, 0, end), maxlen=1)
    return _reading(last[0]) if last else NOTHING


def _says_nothing(plain: str, start: int, end: int) -> bool:
    """Whether a last line breaks off, or says without a number that there is no answer."""
    if BROKEN_OFF.search(plain, max(start, end - LONGEST), end):
        return True
    unknown = UNKNOWN.match(plain, start, end)
    return unknown is not None and next(numerals(plain, start, end), None) is None


def _concluded(plain: str, begin: int, end: int, found: list[Numeral]) -> Reading:
    """The number of a last sentence that has no mark: the last that is not a circumstance."""
    if _is_total(found):
        return _reading(found[0])
    stop = sentence_end(plain, found[-1].end)
    if plain.startswith("?", stop) or _EITHER.search(plain, begin, stop):
        return NOTHING
    if takes := _TAKES.search(plain, max(begin, end - LONGEST), end):
        found = [number for number in found if number.start < takes.end()]
    for behind in (_REASON, _OF_WHICH, _ONLY_WHEN):
        if mark := behind.search(plain, max(found[0].end, end - LONGEST), end):
            found = [number for number in found if number.start < mark.start()]
    said = _outside_brackets(plain, begin, found)
    stated = [number for number in said if not _is_circumstance(plain, begin, end, number)]
    return _reading((stated or said)[-1])


def _outside_brackets(plain: str, begin: int, found: list[Numeral]) -> list[Numeral]:
    """Those that stand in no round brackets, if any does: `2.5 hours (150 minutes)`."""
    opened = [plain.count("(", begin, n.start) - plain.count(")", begin, n.start) for n in found]
    return [n for n, depth in zip(found, opened, strict=True) if depth <= 0] or found


def _unlisted(plain: str, start: int, end: int) -> Iterator[Numeral]:
    """The numbers but for those of a list's items: `2. Double it`."""
    for number in numerals(plain, start, end):
        line = plain.rfind("\n", max(0, number.start - 9), number.start) + 1
        item = None if plain[line : number.start].strip() else ITEM.match(plain, line)
        if item is None or item.start("number") != number.start or item.end() >= end:
            yield number


def _last_sentence(plain: str, start: int, end: int) -> tuple[int, int]:
    """Where the last sentence of a line begins that holds a number; to where the line goes on
    without checking it."""
    at = max(start, end - 10 * LONGEST)
    begin, until = (at if at == start else start), end
    while at < end:
        stop = min(sentence_end(plain, at), end)
        if begin < at and _CHECKS.match(plain, at, stop):
            until = min(until, at)
        elif (
            not (begin < at and _GIVES_REASON.match(plain, at, stop))
            and next(numerals(plain, at, stop), None) is not None
        ):
            begin, until = at, end
        at = stop + 1
    return begin, until
