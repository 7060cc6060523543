"""Where each record of a growing file of JSON lines stands, and what little of it is kept."""

from __future__ import annotations

import os
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import msgspec

from ochat_eval.records import R, UserError, decoded, from_json
from ochat_eval.run.journal import end_of_last_line

_AT_ONCE = 1 << 18
"""Bytes that are read at a time. Four times as fast as `open`'s own, where lines are long."""


class Head(Protocol):
    """Some fields of a record."""

    @property
    def id(self) -> str:
        """Its item's."""


H = TypeVar("H", bound=Head)


class Places(Generic[R, H]):
    """Where each record of a growing JSON lines file stands, by item.

    A record is known by its number in the file. Those of an item are a chain: its last one is
    looked up, and each knows the one before it. So there is no object a record, of which a run has
    a hundred thousand.
    """

    def __init__(
        self, path: Path, cls: type[R], head: type[H], cut: Callable[[bytes], bytes] | None = None
    ):
        """Takes a file that need not be there yet; `new` reads it.

        Args:
            head: the fields that `new` takes of a record; of the others nothing is made.
            cut: makes a line one that has these fields alone, where that is quickly done. Then
                what is wrong with the others is found when `of` is asked for the record.
        """
        self.path = path
        self._cls: type[R] = cls
        self._head = msgspec.json.Decoder(head)
        self._cut = cut
        self._read = 0
        self._starts = array("q")
        self._last: dict[str, int] = {}
        self._before = array("q")  # -1: none

    def new(self) -> Iterator[H]:
        """The heads of the whole lines that were added since the last call, in their order.

        Raises:
            UserError: the file cannot be read, or a line is no such record.
        """
        if not self.path.exists():
            return
        try:
            with self.path.open("rb", buffering=_AT_ONCE) as file:
                whole = end_of_last_line(file.fileno(), os.fstat(file.fileno()).st_size)
                file.seek(self._read)
                while self._read < whole and (lines := file.readlines(_AT_ONCE)):
                    places = list(accumulate(map(len, lines), initial=self._read))
                    within = bisect_right(places, whole) - 1
                    heads = self._heads(lines[:within], places[: within + 1])
                    self._read = places[within]
                    yield from heads
                    if within < len(lines):  # half-written, or added meanwhile
                        return
        except OSError as e:
            raise UserError(f"cannot read {self.path}: {e.strerror}") from e

    def _heads(self, lines: list[bytes], places: list[int]) -> list[H]:
        """The heads of lines that begin, and the last of them ends, at these places; noted."""
        starts = places[:-1]
        try:
            heads = list(map(self._head.decode, map(self._cut, lines) if self._cut else lines))
        except (ValueError, RecursionError):  # a blank line, a lone surrogate, or one to be named
            heads, starts = self._one_by_one(lines, starts)
        self._starts.extend(starts)
        last, before = self._last, self._before
        for number, head in enumerate(heads, len(before)):
            before.append(last.get(head.id, -1))
            last[head.id] = number
        return heads

    def _one_by_one(self, lines: list[bytes], starts: list[int]) -> tuple[list[H], list[int]]:
        """The heads of the lines that are not blank, and where these begin."""
        heads, found = [], []
        for line, start in zip(lines, starts, strict=True):
            if line.isspace():
                continue
            try:
                heads.append(decoded(self._head, line))
            except (ValueError, RecursionError) as e:
                kind = self._cls.__name__.lower()
                raise UserError(f"{self.path} at byte {start:,}: no {kind} record ({e})") from e
            found.append(start)
        return heads, found

    def __len__(self) -> int:
        """How many records were read."""
        return len(self._starts)

    def has_several(self, item_id: str) -> bool:
        """Whether an item has more than one record."""
        number = self._last.get(item_id, -1)
        return number >= 0 and self._before[number] >= 0

    def numbers(self, item_id: str) -> list[int]:
        """Which of the file's records, counted from 0, are an item's."""
        found = []
        number = self._last.get(item_id, -1)
        while number >= 0:
            found.append(number)
            number = self._before[number]
        return found[::-1]

    def of(self, item_id: str) -> list[R]:
        """The records of an item; empty where it has none.

        Raises:
            UserError: one is damaged, or the file is another by now.
        """
        if not (numbers := self.numbers(item_id)):
            return []
        try:
            with self.path.open("rb") as file:
                records = [from_json(self._cls, self._line(file.fileno(), n)) for n in numbers]
            if any(record.id != item_id for record in records):
                raise ValueError(f"it is not {item_id!r} that stands there")
        except (OSError, ValueError, RecursionError) as e:
            raise UserError(f"{self.path} is damaged or has changed meanwhile: {e}") from e
        return records

    def _line(self, fd: int, number: int) -> bytes:
        """A record's line, with blank ones that follow it."""
        start = self._starts[number]
        ends = number + 1 == len(self._starts)
        return os.pread(fd, (self._read if ends else self._starts[number + 1]) - start, start)
