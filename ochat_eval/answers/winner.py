"""Which of two answers a judge's verdict prefers: pure functions from text to `Reading`."""

from __future__ import annotations

import re

from ochat_eval.records import Reading, Rule

_MARKS = r"[\s*_`\"'“”]{0,8}+"
_VERDICT = re.compile(rf"\\?\[\\?\[{_MARKS}(A|B|C|tie){_MARKS}\\?\]\\?\]", re.IGNORECASE)
_NOTHING = Reading(None, matched=False)


def winner(text: str, rule: Rule) -> Reading:
    """`A`, `B`, or `C` for a tie.

    Published: FastChat's rule (`run_judge_pair`): `[[A]]` wherever it stands, else `[[B]]`, else
    `[[C]]`. Robust: the last one in double brackets, which may hold marks (`[[**A**]]`, `[[tie]]`):
    a judge that names the choices before it decides is not misread.
    """
    if rule == "published":
        for label in "ABC":
            if (start := text.find(f"[[{label}]]")) >= 0:
                return Reading(label, matched=True, span=(start + 2, start + 3))
        return _NOTHING
    found = None
    for found in _VERDICT.finditer(text):  # noqa: B007 (the last counts)
        pass
    if found is None:
        return _NOTHING
    label = "C" if found[1].casefold() == "tie" else found[1].upper()
    return Reading(label, matched=True, span=found.span(1))
