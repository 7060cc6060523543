"""review.jsonl: a person's marks on what the rules read, each on disk before the next is asked."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal

import msgspec

from ochat_eval.records import Rule, Score, UserError
from ochat_eval.run import store
from ochat_eval.run.journal import Lines

Opinion = Literal["right", "wrong", "unclear"]
Key = tuple[str, int, int, Rule]
"""Id, sample, turn and rule: what makes a reading one of a kind in a run."""


class Mark(msgspec.Struct, frozen=True):
    """What a person thinks of one reading.

    Attributes:
        id, sample, turn: of the response.
        rule: whose reading it is.
        mark: whether the rule reads what the answer says; `unclear` where persons would differ.
        reading: digest of the response's text and of what was read in it: another reading of it,
            by a changed rule, is not marked by this.
    """

    id: str
    sample: int
    turn: int
    rule: Rule
    mark: Opinion
    reading: str

    @property
    def key(self) -> Key:
        """The reading that is marked; its last mark counts."""
        return self.id, self.sample, self.turn, self.rule


def reading_digest(text: str, score: Score) -> str:
    """16 hex digits of the SHA-256 of a response's text and of what a score says was read in it."""
    whole = json.dumps([text, score.answer, score.matched])
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def read_marks(folder: Path) -> dict[Key, Mark]:
    """A run's marks, of each reading the last one; a half-written last line is passed over.

    Raises:
        UserError: a line is no mark; names it.
    """
    path = folder / store.REVIEW
    try:
        data = path.read_bytes() if path.exists() else b""
    except OSError as e:
        raise UserError(f"cannot read {path}: {e.strerror}") from e
    marks = {}
    for number, line in enumerate(data[: data.rfind(b"\n") + 1].splitlines(), 1):
        try:
            mark = msgspec.json.decode(line, type=Mark)
        except ValueError as e:
            raise UserError(f"{path} line {number} is no mark: {e}; mend or remove it") from e
        marks[mark.key] = mark
    return marks


class MarkFile(Lines):
    """The file of marks, open to be added to; a half-written last line is cut off."""

    def __init__(self, folder: Path):
        """Opens or creates a run's file of marks.

        Raises:
            UserError: it cannot be opened for writing.
        """
        super().__init__(folder / store.REVIEW)

    def add(self, mark: Mark) -> None:
        """Writes a mark and waits until the disk has it.

        Raises:
            UserError: the disk refused.
        """
        try:
            line = msgspec.json.encode(mark)
        except UnicodeEncodeError:  # an id with a lone surrogate: it stays \\u-escaped
            line = json.dumps(msgspec.to_builtins(mark)).encode()
        self.write(line + b"\n")
