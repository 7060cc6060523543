"""What a model thinks aloud, told from its answer by the marks around it.

Sources of the marks: the chat templates of DeepSeek R1, Qwen 3 and QwQ (`<think>`), Magistral
(`[THINK]`), Seed-OSS, Command A Reasoning; openai/harmony's format for gpt-oss's channels. All
functions take a time linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Marks:
    """What stands around a thought.

    Attributes:
        start, end: the two marks.
        opened: the prompt ends with the opening mark, so that an answer begins in a thought.
    """

    start: str
    end: str
    opened: bool = False


CHANNELS = Marks("<|channel|>", "<|channel|>final<|message|>")
"""gpt-oss: messages of the channels `analysis` and `commentary`, then one of `final`."""

KNOWN: tuple[Marks, ...] = (
    Marks("<think>", "</think>"),
    Marks("[THINK]", "[/THINK]"),
    CHANNELS,
    Marks("<thinking>", "</thinking>"),
    Marks("<seed:think>", "</seed:think>"),
    Marks("<|START_THINKING|>", "<|END_THINKING|>"),
    Marks("<|begin_of_thought|>", "<|end_of_thought|>"),
)
"""The marks that models are known to write."""


@dataclass(frozen=True, slots=True)
class Thought:
    """A thought found in a text.

    Attributes:
        reasoning: what was thought, without its marks; None where only marks of the answer stood.
        end: where the answer begins, in characters; None where the thought has no end.
        marks: by which it was found.
    """

    reasoning: str | None
    end: int | None
    marks: Marks


BLANK = re.compile(r"\s*")
BLANK_LINES = re.compile(r"(?:[^\S\n]*\n)*")
FINAL = re.compile(r"<\|channel\|>final\b[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>")
_TAG = re.compile(r"<\|(?:start|channel|constrain)\|>[^<]*|<\|(?:end|message|return|call)\|>")
CHANNEL_STARTS = (CHANNELS.start, "<|start|>assistant")
"""With either of them a response in channels begins."""
CHANNEL_END = re.compile(r"<\|(?:end|return)\|>")
_BARE = ("analysis", "assistantfinal")
"""What is left of gpt-oss's marks in a text whose special tokens were dropped."""


def find_thought(
    text: str, known: Sequence[Marks] = KNOWN, *, shown: bool = False
) -> Thought | None:
    """The thought that a response begins with, by the first marks that fit; None without one.

    A thought begins with its opening mark, which only white space may stand before, or with the
    text where the prompt or a response cut out of it had the mark: a closing mark with no opening
    one before it ends a thought. It lasts to the first closing mark; thoughts that follow each
    other at once are one.

    Args:
        text: the response.
        known: the marks.
        shown: only what the first mark shows is a thought, so that it can be told before the text
            is whole: no closing mark without an opening one, no channels without their marks.
    """
    for marks in known:
        found = (_channels if marks == CHANNELS else _between)(text, marks, shown)
        if found is not None:
            return found
    return None


def answer_from(text: str, thought: Thought) -> str:
    """What is left of a text behind a thought, less the blank lines between; empty without end."""
    if thought.end is None:
        return ""
    rest = text[end_of(BLANK_LINES, text, thought.end) :]
    return CHANNEL_END.split(rest, maxsplit=1)[0] if thought.marks == CHANNELS else rest


def _between(text: str, marks: Marks, shown: bool) -> Thought | None:
    place = end_of(BLANK, text, 0)
    if text.startswith(marks.start, place):
        place += len(marks.start)
    elif not marks.opened:
        if shown:
            return None
        end = text.find(marks.end)
        if end < 0 or marks.start in text[:end]:
            return None
        place = 0
    pieces = []
    while True:
        end = text.find(marks.end, place)
        pieces.append(text[place : end if end >= 0 else None].strip())
        if end < 0:
            return Thought(_joined(pieces), None, marks)
        place = end + len(marks.end)
        if not text.startswith(marks.start, next_ := end_of(BLANK, text, place)):
            return Thought(_joined(pieces), place, marks)
        place = next_ + len(marks.start)


def _channels(text: str, marks: Marks, shown: bool) -> Thought | None:
    place = end_of(BLANK, text, 0)
    bare = not shown and text.startswith(_BARE[0], place)
    if bare and (end := text.find(_BARE[1])) >= 0:
        return Thought(text[place + len(_BARE[0]) : end].strip(), end + len(_BARE[1]), marks)
    if not text.startswith(CHANNEL_STARTS, place):
        return None
    final = FINAL.search(text)
    before = text if final is None else text[: final.start()]
    reasoning = _joined([piece.strip() for piece in _TAG.split(before)])
    return Thought(reasoning or None, None if final is None else final.end(), marks)


def _joined(pieces: Sequence[str]) -> str:
    return "\n\n".join(piece for piece in pieces if piece)


def end_of(pattern: re.Pattern[str], text: str, place: int) -> int:
    """Where a pattern that may match nothing ends at a place."""
    found = pattern.match(text, place)
    return found.end() if found else place
