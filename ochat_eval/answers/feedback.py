"""The rating in a feedback evaluator's answer, `Feedback: … [RESULT] n`. Pure functions."""

from __future__ import annotations

import re
import unicodedata
from collections import deque

from ochat_eval.records import Reading, Rule

SCORES = (1, 2, 3, 4, 5)
"""The ratings that there are."""
_FRAME = r"[\s*_`\"'“”‘’:=(\[{<]*+"  # markup, quotes, an open bracket, a colon
_MARKERS = {
    "published": re.compile(r"\[RESULT\]"),
    "robust": re.compile(r"\[RESULT\]", re.IGNORECASE | re.ASCII),
}
_RATINGS = {
    "published": re.compile(r"\s*+([1-5])"),
    "robust": re.compile(
        rf"{_FRAME}(?:(?:score|rating){_FRAME})?+"
        r"([1-5])(?:\.0++)?+[*_`]*+(?:\s*+(?:/|out\sof)\s*+5(?:\.0++)?+)?+[*_`>]*+",
        re.IGNORECASE,
    ),
}
_WIDE = str.maketrans("０１２３４５６７８９．／：（）［］", "0123456789./:()[]")
# Punctuation with which a number goes on: `4%`, `4/` and `4-` are no 4, and may be cut off.
_GOES_ON = frozenset("%‰‱٪/\\&-‐‑‒–—―﹘﹣－／％")


def feedback_rating(text: str, rule: Rule) -> Reading:
    """The rating that an answer ends with: `answer` is `1` to `5`, None where there is none.

    Takes the evaluator's own words only, not the prompt. Never raises on any text, linear in it.

    Published: the last `[RESULT]`, white space, one integer from 1 to 5, and then nothing but
    white space and punctuation (Unicode's category P) with which no number goes on. Robust: the
    marker in any case, and around the integer also what a careful person sees through: markup,
    quotes, brackets, a colon, `Score:`, full-width digits, `4.0`, `4/5` and `4 out of 5`. Under
    both `6`, `4.5`, `-4`, `4%`, `4 or 5`, words behind the integer and an answer without one are
    unmatched: an earlier marker is not tried, and nothing is guessed.
    """
    plain = text if rule == "published" else text.translate(_WIDE)  # one character for one
    last = deque(_MARKERS[rule].finditer(plain), maxlen=1)
    found = _RATINGS[rule].match(plain, last[0].end()) if last else None
    if found is None or not all(map(_ends, plain[found.end() :])):
        return Reading(None, matched=False)
    return Reading(found[1], matched=True, span=found.span(1))


def _ends(character: str) -> bool:
    """Whether it may stand behind a rating: white space, or punctuation that ends something."""
    if character.isspace():
        return True
    return unicodedata.category(character)[0] == "P" and character not in _GOES_ON
