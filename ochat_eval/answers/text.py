"""The text that a response states, as a careful reader takes it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ochat_eval.answers.statements import (
    ENDED,
    LONGEST,
    MARKUP,
    NOT,
    NOTHING,
    PLAIN,
    lines_of,
    statements,
)
from ochat_eval.records import Reading

_TEXT_MACRO = re.compile(r"\\(?:text|math)[a-z]{0,4}\s?\{([^{}]*)\}")
_TYPESET = str.maketrans("", "", "*_`\"'“”‘’$")


def robust_text(text: str, options: Sequence[str] = ()) -> Reading:
    """The text that a response states as its answer, as a careful reader takes it.

    Read is what stands in the last box or behind the last `answer is`, `answer:`, to the end of
    the sentence, less its markup and final stop; a response of one line without such a statement
    is all answer.

    Args:
        options: the answers there are (`Yes`, `No`), if they are few: the answer is one of these,
            as written here. Of a statement it is the option that it begins with, else the only one
            that occurs, as a word and not behind `not`. Without a statement it is the one that the
            first or last line begins with (`Yes, …`) or the last line ends with, if no other does.
    """
    plain = text.translate(PLAIN)
    lines = lines_of(plain)
    if options:
        found = _stated_option(plain, lines, options)
        if found is None:
            return NOTHING
        answer = next(option for option in options if option.lower() == found[0].lower())
        return Reading(answer, matched=True, span=found.span())
    for start, end in [*statements(plain), *(lines if len(lines) == 1 else ())]:
        macro = _TEXT_MACRO.fullmatch(plain, start, end)
        start, end = macro.span(1) if macro else (start, end)  # noqa: PLW2901
        answer = text[start:end].rstrip(MARKUP + ".。").strip(MARKUP)
        if answer:
            start = text.index(answer, start)  # noqa: PLW2901
            return Reading(answer, matched=True, span=(start, start + len(answer)))
    return NOTHING


def _stated_option(
    plain: str, lines: Sequence[tuple[int, int]], options: Sequence[str]
) -> re.Match[str] | None:
    """Where the option stands that is stated."""
    word = "|".join(re.escape(option) for option in options)
    pattern = re.compile(rf"(?<![A-Za-z0-9])(?:{word})(?![A-Za-z0-9])", re.IGNORECASE | re.ASCII)

    def named(start: int, end: int) -> list[re.Match[str]]:
        found = pattern.finditer(plain, start, end)
        return [m for m in found if not NOT.search(plain, max(0, m.start() - 40), m.start())]

    for start, end in statements(plain):
        found = named(start, end)
        if found and (found[0].start() == start or len({m[0].lower() for m in found}) == 1):
            return found[0]
    at_edges = []
    for start, end in (*lines[:1], *lines[-1:]):
        head = pattern.match(plain, end - len(plain[start:end].lstrip(MARKUP)))
        if head and ENDED.match(plain, head.end()):
            at_edges.append(head)
    for start, end in lines[-1:]:
        for tail in named(max(start, end - LONGEST), end)[-1:]:
            if not plain[tail.end() : end].strip(MARKUP + ".!。"):
                at_edges.append(tail)
    return at_edges[-1] if len({m[0].lower() for m in at_edges}) == 1 else None


def same_text(a: str, b: str) -> bool:
    """Whether two answers read the same: but for case, markup, quotes, final stop and commas.

    White space between words counts as one blank, none between brackets (`] ]` is `]]`).
    """
    return _canonical(a) == _canonical(b)


def _canonical(text: str) -> str:
    """The text as `same_text` compares it."""
    text = _TEXT_MACRO.sub(r"\1", text.translate(PLAIN)).translate(_TYPESET).casefold()
    words = text.strip().rstrip(".。").replace(",", " ").split()
    between = " " if any(character.isalnum() for character in text) else ""
    return between.join(words)
