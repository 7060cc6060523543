"""Reading the answer in a response: the published rules, and all others by their names.

Every rule is a pure function from the response's text to a `Reading`. It never raises on any text,
takes time linear in it, and gives the span of what it read. The published rules keep every quirk
of openchat's `ochat/evaluation/match_answer.py` of January 2024 (the one for code is in
`extract_code`). The `robust_…` rules (`extract_robust`, `extract_code`) read what a careful person
would, and refuse to guess: where nothing is stated the answer is None, unmatched.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Sequence
from functools import lru_cache

from ochat_eval.answers.code import strip_span
from ochat_eval.records import Reading

_NOTHING = Reading(None, matched=False)


def choice_after_marker(
    text: str, labels: Sequence[str], *, marker: str = "answer is", default: str | None = None
) -> Reading:
    """The first of `labels`, in their own order, that occurs after the last `marker`.

    Not the label that stands first in the text: of `(B), not (A)` this reads `(A)`.

    Returns:
        `default`, unmatched, where there is no marker or no label behind it.
    """
    at = text.rfind(marker)
    if at >= 0:
        for label in labels:
            start = text.find(label, at + len(marker))
            if start >= 0:
                return Reading(label, matched=True, span=(start, start + len(label)))
    return Reading(default, matched=False)


def text_after_marker(
    text: str, labels: Sequence[str] | None = None, *, marker: str = "answer is "
) -> Reading:
    """What follows the last `marker`, stripped: a label if `labels` are given, else free text.

    With `labels` the answer is the first of them, in their own order, that occurs there; if none
    does, the text itself, unmatched. Without, it is the text less one final full stop; nothing
    there is unmatched (the published code stops with an error). No marker: the whole
    response, unmatched.
    """
    at = text.rfind(marker)
    if at < 0:
        return Reading(text, matched=False)
    start, end = strip_span(text, at + len(marker), len(text))
    if labels is not None:
        found = choice_after_marker(text, labels, marker=marker)
        return found if found.matched else Reading(text[start:end], matched=False)
    matched = end > start
    if text.endswith(".", start, end):
        end -= 1
    return Reading(text[start:end], matched=matched, span=(start, end))


def last_number(text: str) -> Reading:
    r"""The last match of `\d*\.?\d+`: no sign, no thousands commas; to be compared as text."""
    last = deque(re.finditer(r"\d*\.?\d+", text), maxlen=1)
    return Reading(last[0][0], matched=True, span=last[0].span()) if last else _NOTHING


def first_letter(text: str, letters: Collection[str]) -> Reading:
    """The first character of the response that is one of `letters`, wherever it stands.

    Raises:
        ValueError: `letters` holds something that is not one character.
    """
    found = _any_of("".join(letters), len(letters)).search(text)
    return Reading(found[0], matched=True, span=found.span()) if found else _NOTHING


@lru_cache
def _any_of(letters: str, count: int) -> re.Pattern[str]:
    """Matches one of the letters; ValueError if they are not `count` single ones."""
    if len(letters) != count:
        raise ValueError(f"not single letters: {letters!r}")
    return re.compile(f"[{re.escape(letters)}]" if letters else r"(?!)")
