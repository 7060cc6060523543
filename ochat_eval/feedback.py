"""The feedback evaluator: a model writes feedback on a response and rates it from 1 to 5.

The model card's experimental evaluator: given an instruction, a response, a reference answer that
is worth 5 and a rubric with a description of each score, a model answers
`Feedback: … [RESULT] n`. Pure functions: the prompt, and the rating in an answer.
"""

from __future__ import annotations

import re
import unicodedata
from collections import deque
from collections.abc import Sequence

from ochat_eval.records import Reading, Rule

SCORES = (1, 2, 3, 4, 5)
"""The ratings that there are."""

_TEMPLATE = """\
You are a strict and fair grader. Below are an instruction, a response to it, a reference answer \
that deserves the full score of 5, and a rubric: one criterion, and what a response is like that \
earns each score from 1 to 5.

Instruction:
{instruction}

Response to grade:
{response}

Reference answer (score 5):
{reference}

Criterion:
{criteria}
{descriptions}

Judge the response by this criterion alone, and not by how good it is in other ways. First write \
feedback that says how far it meets the criterion and where it falls short; then choose the score \
whose description fits best. Answer in one line of exactly this form, the score being one of the \
integers 1, 2, 3, 4 and 5, and write nothing behind it:
Feedback: <your feedback> [RESULT] <score>"""


def prompt(
    instruction: str, response: str, reference: str, criteria: str, descriptions: Sequence[str]
) -> str:
    """What the evaluator is asked.

    Args:
        instruction, response: what was asked, and the answer that is to be rated.
        reference: an answer that is worth 5.
        criteria: what the rating is about.
        descriptions: what a response is like that earns 1, 2, 3, 4 and 5, in this order.

    Raises:
        ValueError: not five descriptions.
    """
    levels = zip(SCORES, descriptions, strict=True)
    return _TEMPLATE.format(
        instruction=instruction,
        response=response,
        reference=reference,
        criteria=criteria,
        descriptions="\n".join(f"Score {score}: {text}" for score, text in levels),
    )


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


def rating(text: str, rule: Rule) -> Reading:
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
