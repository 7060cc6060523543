"""An answer as a person at a terminal sees it: the question's end, the text with what was read."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from ochat_eval.records import RULES, Item, Response, Rule, Score
from ochat_eval.terminal.words import counted

QUESTION = 500
"""Characters of a question that are shown, from its end: worked examples stand before it."""
ANSWER = 4_000
"""Characters of an answer that are shown: its beginning, its end and what was read."""
_AROUND = 600  # characters shown before and behind what was read, in a longer one
_READ = 200  # characters shown of what was read
SIGNS: Mapping[Rule, tuple[str, str]] = {"published": ("⟦", "⟧"), "robust": ("⟪", "⟫")}
"""What stands around the part that each rule read."""
_UNSIGNED = str.maketrans("⟦⟧⟪⟫", "[][]")  # a model's own must not be taken for ours


def shown(item: Item, response: Response, scores: Mapping[Rule, Score]) -> str:
    """The end of the question, the answer with what was read marked, and the target."""
    question = item.turns[response.turn] if response.turn < len(item.turns) else ""
    legend = ", ".join(f"{rule} {''.join(SIGNS[rule])}" for rule in RULES)
    return "\n".join([
        "QUESTION", _tail(question.strip().translate(_UNSIGNED), QUESTION),
        "", f"ANSWER ({legend})", _marked(response.text, scores),
        "", f"TARGET  {' or '.join(item.target)}",
        *(f"{rule:9} {_reading(scores[rule])}" for rule in RULES),
    ])  # fmt: skip


def _reading(score: Score) -> str:
    if score.answer is None:
        return "read nothing"
    read = score.answer if len(score.answer) <= _READ else f"{score.answer[:_READ]} …"
    how = "read" if score.matched else "found nothing and fell back to"
    return f"{how} {read.translate(_UNSIGNED)}"


def _tail(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    return f"… ({counted(len(text) - most, 'character')} before)\n{text[-most:]}"


def _marked(text: str, scores: Mapping[Rule, Score]) -> str:
    """The answer with signs around what each rule read; of a long one the parts that matter."""
    if not text or text.isspace():
        return "(empty)"
    spans = {rule: span for rule in RULES if (span := _span(scores[rule], text)) is not None}
    signs: dict[int, str] = {}
    outer_first = sorted(spans, key=lambda rule: (spans[rule][0], -spans[rule][1]))
    for rule in outer_first:
        start, end = spans[rule]
        before, behind = SIGNS[rule]
        signs[start] = signs.get(start, "") + before
        signs[end] = behind + signs.get(end, "")
    parts, at = [], 0
    for start, end in _windows(len(text), list(spans.values())):
        if start > at:
            parts.append(f"\n… ({counted(start - at, 'character')}) …\n")
        places = [start, *(place for place in sorted(signs) if start < place < end), end]
        for one, other in pairwise(places):
            parts.append(signs.pop(one, "") + text[one:other].translate(_UNSIGNED))
        parts.append(signs.pop(end, ""))
        at = end
    return "".join(parts)


def _span(score: Score, text: str) -> tuple[int, int] | None:
    """Where a rule read, as the file says; None where that is no part of the text."""
    span: Any = (score.detail or {}).get("span")
    if not isinstance(span, list) or [type(end) for end in span] != [int, int]:
        return None
    start, end = span
    return (start, end) if 0 <= start < end <= len(text) else None


def _windows(length: int, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The parts of a text that are shown, in order and apart."""
    if length <= ANSWER:
        return [(0, length)]
    wanted = [(0, _AROUND), (length - 2 * _AROUND, length)]
    for start, end in spans:
        wanted += [(start - _AROUND, start + _AROUND), (end - _AROUND, end + _AROUND)]
    made: list[tuple[int, int]] = []
    for start, end in sorted((max(0, start), min(length, end)) for start, end in wanted):
        if made and start <= made[-1][1]:
            made[-1] = made[-1][0], max(end, made[-1][1])
        else:
            made.append((start, end))
    return made
