"""A thought told from its answer while the text comes in pieces.

The pieces given out, put together, are what `find_thought` and `answer_from` make of the whole,
however the text was cut. Two ways to tell a thought need the whole text and are left out
(`shown=True` there): a closing mark without an opening one, and gpt-oss's channels whose marks were
dropped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from ochat_eval.answers.thinking import (
    BLANK,
    BLANK_LINES,
    CHANNEL_END,
    CHANNEL_STARTS,
    CHANNELS,
    FINAL,
    KNOWN,
    Marks,
    end_of,
)

_ENDS = ("<|end|>", "<|return|>")
_SINGLE = ("<|message|>", "<|call|>", *_ENDS)
_TAGS = ("<|start|>", "<|channel|>", "<|constrain|>", *_SINGLE)
_TAG = re.compile("|".join(map(re.escape, _TAGS)))
_FINAL_SO_FAR = re.compile(r"<\|channel\|>final\b[^<]*(?:<\|constrain\|>[^<]*)?(<[^<>]*>?)?")


class ThoughtStream:
    """Takes a response in pieces, gives out what of it is thought and what is answer.

    What may turn out to be part of a mark, or white space that belongs to neither, is held back
    until more comes. Takes a time linear in the text.

    Attributes:
        marks: by which a thought was found; None as long as there is none.
        ended: whether what comes is answer.
    """

    def __init__(self, known: Sequence[Marks] = KNOWN):
        self._known = known
        self._held, self._at = "", 0  # what has come and is not given out: `_held` from `_at` on
        self._step: Callable[[bool], bool] = self._begin
        self._thought = _Pieces()
        self._given: tuple[list[str], list[str]] = ([], [])
        self.marks: Marks | None = None
        self.ended = False

    def feed(self, piece: str, last: bool = False) -> tuple[str, str]:
        """What can be given out now that `piece` has come: of the thought, and of the answer.

        Args:
            last: nothing comes behind it.
        """
        self._held, self._at = self._held[self._at :] + piece, 0
        while self._step(last):
            pass
        thought, answer = ("".join(given) for given in self._given)
        self._given = ([], [])
        return thought, answer

    @property
    def has_thought(self) -> bool:
        """Whether something was thought so far; between marks that may be nothing, but in channels
        it is not (`Thought.reasoning` is None there)."""
        return self.marks is not None and (self.marks != CHANNELS or self._thought.any)

    # Each step takes from what is held, and says whether another is to go on with the rest.

    def _begin(self, last: bool) -> bool:
        place = end_of(BLANK, self._held, self._at)
        for marks in self._known:
            channels = marks == CHANNELS
            starts = CHANNEL_STARTS if channels else (marks.start,)
            begun = next((s for s in starts if self._held.startswith(s, place)), None)
            if begun is not None:
                step = self._in_channels if channels else self._in_thought
                return self._go(step, place if channels else place + len(begun), marks)
            if not last and self._may_be(starts, place):
                return False
            if marks.opened:
                return self._go(self._in_thought, place, marks)
        self.ended = True
        return self._go(self._in_answer, self._at)

    def _in_thought(self, last: bool) -> bool:
        assert self.marks is not None
        mark = self.marks.end
        place = self._held.find(mark, self._at)
        if place < 0:
            self._think_to(len(self._held) if last else self._safe((mark,)))
            return False
        self._think_to(place, ends=True)
        return self._go(self._between, place + len(mark))

    def _between(self, last: bool) -> bool:
        """Behind a closing mark: another thought, or the answer less the blank lines before it."""
        assert self.marks is not None
        channels, start = self.marks == CHANNELS, self.marks.start
        place = end_of(BLANK, self._held, self._at)
        if not channels and self._held.startswith(start, place):
            return self._go(self._in_thought, place + len(start))
        if not last and self._may_be(() if channels else (start,), place):
            return False
        self.ended = True
        place = end_of(BLANK_LINES, self._held, self._at)
        return self._go(self._in_final if channels else self._in_answer, place)

    def _in_answer(self, last: bool) -> bool:
        self._answer_to(len(self._held))
        return False

    def _in_channels(self, last: bool) -> bool:
        """Messages before the final one: their texts are thought, their headers are not."""
        tag = _TAG.search(self._held, self._at)
        if tag is None:
            self._think_to(len(self._held) if last else self._safe(_TAGS))
            return False
        self._think_to(tag.start(), ends=True)
        if tag[0] in _SINGLE:
            return self._go(self._in_channels, tag.end())
        if final := FINAL.match(self._held, tag.start()):
            return self._go(self._between, final.end())
        header_end = self._held.find("<", tag.end())
        if not last and (header_end < 0 or self._may_be_final()):
            return False
        return self._go(self._in_channels, header_end if header_end >= 0 else len(self._held))

    def _in_final(self, last: bool) -> bool:
        """The final message of the channels, up to its end."""
        if end := CHANNEL_END.search(self._held, self._at):
            self._answer_to(end.start())
            return self._go(self._behind, end.end())
        self._answer_to(len(self._held) if last else self._safe(_ENDS))
        return False

    def _behind(self, last: bool) -> bool:
        self._at = len(self._held)
        return False

    def _go(self, step: Callable[[bool], bool], place: int, marks: Marks | None = None) -> bool:
        self._step, self._at = step, place
        self.marks = marks or self.marks
        return True

    def _think_to(self, place: int, ends: bool = False) -> None:
        self._given[0].append(self._thought.feed(self._held[self._at : place]))
        self._at = place
        if ends:
            self._thought.end()

    def _answer_to(self, place: int) -> None:
        self._given[1].append(self._held[self._at : place])
        self._at = place

    def _may_be(self, marks: Sequence[str], place: int) -> bool:
        """Whether all that is held from a place on is nothing yet, or the beginning of a mark."""
        if place == len(self._held):
            return True
        longest = max(map(len, marks), default=0)
        rest = self._held[place : place + longest]
        return len(self._held) - place < longest and any(m.startswith(rest) for m in marks)

    def _may_be_final(self) -> bool:
        """Whether the channel's tag that is next may go on to `FINAL`."""
        so_far = _FINAL_SO_FAR.match(self._held, self._at)
        if so_far is None or so_far.end() < len(self._held):
            return False
        return any(tag.startswith(so_far[1] or "<") for tag in ("<|message|>", "<|constrain|>"))

    def _safe(self, marks: Sequence[str]) -> int:
        """Up to where there is no beginning of a mark that may go on behind what is held."""
        longest = max(map(len, marks)) - 1
        for place in range(max(self._at, len(self._held) - longest), len(self._held)):
            if any(mark.startswith(self._held[place:]) for mark in marks):
                return place
        return len(self._held)


class _Pieces:
    """Texts, each without the white space around it, a blank line between two, as they come.

    Attributes:
        any: whether something was given out.
    """

    def __init__(self) -> None:
        self._blank = ""  # may stand within a text, or be its end
        self.any = self._inside = False

    def feed(self, text: str) -> str:
        """What can be given out of the text that goes on with `text`."""
        text = self._blank + text if self._inside else text.lstrip()
        kept = text.rstrip()
        self._blank = text[len(kept) :]
        if not kept:
            return ""
        between = "\n\n" if self.any and not self._inside else ""
        self.any = self._inside = True
        return between + kept

    def end(self) -> None:
        """The text ends; another may begin."""
        self._blank, self._inside = "", False
