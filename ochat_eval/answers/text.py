"""The text that a response states, as a careful reader takes it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ochat_eval.answers.statements import (
    ITEM,
    LONGEST,
    MARKUP,
    NOT,
    NOTHING,
    OPEN,
    PLAIN,
    UNKNOWN,
    answer_part,
    last_lines,
    list_items,
    own_answers,
    sentence_end,
    sentence_start,
    statements,
)
from ochat_eval.records import Reading

_TEXT_MACRO = re.compile(r"\\(?:text|math)[a-z]{0,4}\s?\{([^{}]*)\}")
_BRACKETS = re.compile(r"\\text[a-z]{0,4}\s?\{([^A-Za-z0-9\n]*)\}")  # braces among them
_TYPESET = str.maketrans("", "", "*_`\"'“”‘’$")
_OPENING = re.compile(  # before the option that a line begins with: markup, a dialogue's `A:`
    r"(?:[\s*_`\"'“”‘’$#>({\[-]|\\[(\[]|\\text\w{0,4}\{|A:){0,20}+"
)
_CLOSING = MARKUP + ".!。)}]\\"
_PREDICATE = re.compile(  # right before the option that a sentence states
    r"(?:\b(?:is|are|be|was|answers?|answered|says?|(?:evaluates?|simplif(?:y|ies)"
    r"|reduces?|comes) to"
    r"|returns?|gives?|yields?|becomes|remains|therefore|thus|hence|conclude|deemed"
    r"|considered|called"
    r"|(?:logically|deductively|formally|clearly|definitely|also))\b,?|:)"
    r"(?:[\s*_`\"'“”‘’$({]|\\[(\[]|\\text\w{0,4}\{){0,12}+$",
    re.IGNORECASE,
)
_ENDS_OR_REASONS = re.compile(  # right behind it
    r"[*_`\"'“”‘’$)}\]\\]{0,8}(?:\s*(?:$|[\n.,;:!?。、—])"
    r"|\s+(?:because|since|as|for|due|given|that|based|in this|under|[-—]|\()"
    r"|\s+is\s(?:therefore\s|thus\s)?(?:the|my|our)\s(?:correct\s|right\s|final\s)?answer\b)",
    re.IGNORECASE,
)
_BOTH = re.compile(r"[\W_]{0,5}(?:and|or|/)[\W_]{0,5}", re.IGNORECASE)  # `yes and no`
_TALK = re.compile(  # in the same sentence: it is not said, or of a part only
    r"n['’]t\b|\b(?:not|cannot|neither|nor|if|whether|unless|suppose|assum\w+|doubt|consider"
    r"|check|determine"
    r"|would be|could be|might|premises?|either)\b",
    re.IGNORECASE,
)
_CONCLUDES = re.compile(
    r"\b(?:therefore|thus|hence|so|overall|in conclusion|in summary|finally|final|conclude)\b",
    re.IGNORECASE,
)
_ANNOUNCES = re.compile(  # a line above a list: `Here are the words in alphabetical order:`
    r"(?![^\n]{0,200}\b(?:let|let['’]s|we|need|to\ssort|first|steps?|compar\w+)\b)[^\n]{0,200}?"
    r"\b(?:sorted|(?:in|the)\salphabetical\sorder|final\s(?:list|order)|result)\b[^\n]{0,60}:[\s*_]*\Z",
    re.IGNORECASE,
)
_RESULT = re.compile(
    rf"{_CONCLUDES.pattern}|\b(?:sorted|remaining|missing|closing|correct|complet\w+|output|result|alphabetical)\b",
    re.IGNORECASE,
)
_GIVEN = re.compile(  # in a last line that gives the answer: `The sorted list is: a b`
    r"(?:\b(?:is|are|be|becomes)\s?(?:as follows\s?)?"
    r"|\b(?:sorted|list|order|sequence|completion|output|result|words|string|brackets"
    r"|translation|solution)"
    r"\s?(?:\([^()\n]{0,40}\)\s?)?)[*_]{0,3}:[*_]{0,3}"
    r"|\b(?:completion|sequence|brackets|parentheses)\s(?:is|are)(?=\s[*_]{0,3}`)",
    re.IGNORECASE,
)


def robust_text(text: str, options: Sequence[str] = ()) -> Reading:
    """The text that a response states as its answer, as a careful reader takes it.

    Read is what stands in the last box or tag, or behind the last `answer is`, `answer:`, to the
    end of the sentence, less its markup and final stop; of a list its items, a blank between them.
    Without one: what a last line gives (`So the sorted list is: elm oak`), also in a code block;
    a response of one line is all answer. An answer ends where the model goes on with a question of
    its own.

    Args:
        options: the answers there are (`Yes`, `No`), if they are few: the answer is one of these,
            as written here. Of a statement it is the option that it begins with, else the only one
            that occurs, as a word and not behind `not`. Without a statement it is the one that the
            first or last line begins with (`Yes, …`) or the last line ends with, if no other does;
            else the one that a sentence of the last lines states (`it is invalid because …`).
    """
    for plain in own_answers(answer_part(text)):
        reading = _option(plain, options) if options else _free(text, plain)
        if reading.matched:
            return reading
    return reading


def _option(plain: str, options: Sequence[str]) -> Reading:
    """The option that one answer states."""
    lines = last_lines(plain)
    found = _stated_option(plain, lines, options)
    if found is None:
        return NOTHING
    answer = next(option for option in options if option.lower() == found[0].lower())
    return Reading(answer, matched=True, span=found.span())


def _free(text: str, plain: str) -> Reading:
    """The text that one answer states."""
    for said in statements(plain):
        if said.conditional:
            continue
        reading = _listed(text, said.items) or _stripped(text, plain, said.start, said.end)
        if reading:
            return reading
    lines = last_lines(plain)
    if reading := _listed(text, _last_list(plain, lines)):
        return reading
    given = _given(plain, lines)
    one_line = len(lines) == 1 and len(plain) == len(text)  # not before a question of its own
    spans = [given] if given else lines if one_line else []
    for start, end in spans:
        if reading := _stripped(text, plain, start, end):
            return reading
    return NOTHING


def _stripped(text: str, plain: str, start: int, end: int) -> Reading | None:
    """A part of the text less its markup; None where nothing is left."""
    macro = _TEXT_MACRO.fullmatch(plain, start, end) or _BRACKETS.fullmatch(plain, start, end)
    start, end = macro.span(1) if macro else (start, end)
    answer = text[start:end].rstrip(MARKUP + ".。").strip(MARKUP)
    if not answer:
        return None
    start = text.index(answer, start)
    return Reading(answer, matched=True, span=(start, start + len(answer)))


def _listed(text: str, spans: Sequence[tuple[int, int]]) -> Reading | None:
    """The items of the list that is stated, a blank between them."""
    items = [text[start:end].rstrip(MARKUP + ".。").strip(MARKUP) for start, end in spans]
    if not items or not all(items):
        return None
    return Reading(" ".join(items), matched=True, span=(spans[0][0], spans[-1][1]))


def _last_list(plain: str, lines: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """The items of the list that ends the text below a line that announces the result."""
    for start, end in lines[-2:-32:-1]:
        if not ITEM.match(plain, start, end):
            items = list_items(plain, end) if _ANNOUNCES.match(plain, start, end) else ()
            return items if items and items[-1][1] >= lines[-1][1] else ()
    return ()


def _given(plain: str, lines: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    """What the last line gives behind a colon, or is below a line that ends with one."""
    for count, (first, end) in enumerate(lines[-1:-3:-1]):
        start = max(first, end - LONGEST)
        marks = list(_GIVEN.finditer(plain, start, end))
        if not marks or not _RESULT.search(plain, start, end):
            continue
        behind = plain[marks[-1].end() : end].strip(MARKUP)
        if behind and count == 0:
            return marks[-1].end(), end
        if not behind and count == 1:
            return lines[-1]
    return None


def _stated_option(
    plain: str, lines: Sequence[tuple[int, int]], options: Sequence[str]
) -> re.Match[str] | None:
    """Where the option stands that is stated."""
    word = "|".join(re.escape(option) for option in options)
    pattern = re.compile(rf"(?<![A-Za-z0-9])(?:{word})(?![A-Za-z0-9])", re.IGNORECASE | re.ASCII)

    open_ = re.compile(  # before an option: `valid or …`, `check if it is …`, `not the case that …`
        rf"(?<![A-Za-z])(?:{word})[^\w\n]{{1,9}}or[^\w\n]{{1,9}}\Z"
        r"|\b(?:if|whether)\s(?:[\w'’]{1,20}\s){1,6}[^\w\n]{0,9}\Z"
        r"|(?:\bnot|\bcannot|n['’]t)\s(?:[\w'’]{1,20}\s){0,3}that\s(?:[\w'’]{1,20}\s){1,8}[^\w\n]{0,9}\Z",
        re.IGNORECASE,
    )

    def named(start: int, end: int) -> list[re.Match[str]]:
        found = pattern.finditer(plain, start, end)
        return [m for m in found if not NOT.search(plain, max(0, m.start() - 40), m.start())]

    for said in statements(plain):
        if said.items or said.conditional:
            continue
        found = named(said.start, said.end)
        if OPEN.match(plain, said.start, said.end) or _are_joined(plain, found):
            return None
        if found and (found[0].start() == said.start or _agree(found)):
            return found[0]
        if not found and UNKNOWN.match(plain, said.start, said.end):
            return None
    lines = () if _is_listed(plain, lines, pattern) else lines
    at_edges = []
    last = [(sentence_start(plain, end), end) for _, end in lines[-1:]]
    for start, end in (*lines[:1], *lines[-1:], *last):
        opening = _OPENING.match(plain, start, end)
        head = pattern.match(plain, opening.end() if opening else start)
        if (
            head
            and _ENDS_OR_REASONS.match(plain, head.end())
            and not plain.startswith("?", head.end())
        ):
            at_edges.append(head)
    for start, end in lines[-1:]:
        for tail in named(max(start, end - LONGEST), end)[-1:]:
            unsettled = open_.search(plain, max(start, tail.start() - LONGEST), tail.start())
            if not (unsettled or plain[tail.end() : end].strip(_CLOSING)):
                at_edges.append(tail)
    if at_edges:
        return at_edges[-1] if _agree(at_edges) else None
    return _predicated(plain, lines, pattern)


def _are_joined(plain: str, found: Sequence[re.Match[str]]) -> bool:
    """Whether the first option is joined to another: `yes and no`."""
    return len(found) > 1 and bool(_BOTH.fullmatch(plain, found[0].end(), found[1].start()))


def _is_listed(plain: str, lines: Sequence[tuple[int, int]], pattern: re.Pattern[str]) -> bool:
    """Whether the last two lines only list the options: `- Yes`, `- No`."""
    found = []
    for start, end in lines[-2:]:
        item = ITEM.match(plain, start, end)
        option = item and pattern.match(plain, item.end(), end)
        if option and not plain[option.end() : end].strip(MARKUP):
            found.append(option)
    return len(found) == 2 and not _agree(found)


def _agree(found: Sequence[re.Match[str]]) -> bool:
    """Whether all name the same option."""
    return len({match[0].lower() for match in found}) == 1


def _predicated(
    plain: str, lines: Sequence[tuple[int, int]], pattern: re.Pattern[str]
) -> re.Match[str] | None:
    """The option that the sentences of the last two lines state: `Thus it is invalid because …`."""
    said, concluded = [], []
    for start, end in lines[-2:]:
        for match in pattern.finditer(plain, max(start, end - 2 * LONGEST), end):
            begin = max(start, sentence_start(plain, match.start()))
            stop = sentence_end(plain, match.end())
            if (
                _PREDICATE.search(plain, max(begin, match.start() - 40), match.start())
                and _ENDS_OR_REASONS.match(plain, match.end())
                and not _TALK.search(plain, begin, match.start())
                and not plain.startswith("?", stop)
            ):
                said.append(match)
                if _CONCLUDES.search(plain, begin, match.start()):
                    concluded.append(match)
    chosen = concluded or said
    return chosen[-1] if chosen and _agree(chosen) else None


def same_text(a: str, b: str) -> bool:
    """Whether two answers read the same: but for case, markup, quotes, final stop and commas.

    White space between words counts as one blank, none between brackets (`] ]` is `]]`).
    """
    return _canonical(a) == _canonical(b)


def _canonical(text: str) -> str:
    """The text as `same_text` compares it."""
    text = text.replace("\\{", "{").replace("\\}", "}")
    text = _TEXT_MACRO.sub(r"\1", text.translate(PLAIN)).translate(_TYPESET).casefold()
    between = " " if any(character.isalnum() for character in text) else ""
    if between:
        text = _without_list_marks(text)
    words = text.strip().rstrip(".。").replace(",", " ").split()
    return between.join(words)


def _without_list_marks(text: str) -> str:
    """A list of words less what only joins them: `a → b → c`, `[a, b]`, `a, b, and c`."""
    for mark in ("→", "->", "<"):
        if text.count(f" {mark} ") > 1:
            text = text.replace(f" {mark} ", " ")
    bare = text.strip(" .")
    if "," in bare and bare.startswith("[") and bare.endswith("]"):
        text = bare[1:-1]
    return text.replace(", and ", ", ") if text.count(",") > 1 else text
