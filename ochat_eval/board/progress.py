"""How far a run is, by the size of its journal: answers, how fast they come, what is left."""

from __future__ import annotations

import os
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec

from ochat_eval.run.journal import end_of_last_line

_WINDOW_SECONDS = 300.0
"""So far back answers are counted for their rate."""
_AT_ONCE = 2**20


class _Counts(msgspec.Struct):
    completion_tokens: int | None = None


class Rate(NamedTuple):
    """Answers and tokens per second."""

    answers: float
    tokens: float


@dataclass
class Progress:
    """What the journal of one run has; reads only what was added since the last look.

    Attributes:
        answers: whole lines of it.
    """

    path: Path
    answers: int = 0
    _read: int = 0
    _inode: int = 0
    _tokens: int = 0
    _seen: deque[tuple[float, int, int]] = field(default_factory=deque)

    def look(self) -> None:
        """Counts what is there now."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return
        try:
            status = os.fstat(fd)
            end = end_of_last_line(fd, status.st_size)
            if status.st_ino != self._inode or end < self._read:  # another file, or cut off
                self._inode, self._read, self.answers = status.st_ino, 0, 0
                self._seen.clear()
            self._count(fd, end)
        finally:
            os.close(fd)
        self._seen.append((time.monotonic(), self.answers, self._tokens))
        while self._seen[-1][0] - self._seen[0][0] > _WINDOW_SECONDS:
            self._seen.popleft()

    def rate(self) -> Rate | None:
        """Over the last minutes that it was looked at; None where it was not long enough."""
        if len(self._seen) < 2:
            return None
        (begun, answers, tokens), (now, more, written) = self._seen[0], self._seen[-1]
        seconds = now - begun
        return Rate((more - answers) / seconds, (written - tokens) / seconds) if seconds else None

    def _count(self, fd: int, end: int) -> None:
        """Takes the bytes up to `end`; tokens only of what comes while it is looked at."""
        rest = b""
        while self._read < end:
            part = os.pread(fd, min(_AT_ONCE, end - self._read), self._read)
            self._read += len(part)
            self.answers += part.count(b"\n")
            if self._seen:
                *lines, rest = (rest + part).split(b"\n")
                self._tokens += sum(map(_tokens, lines))


def _tokens(line: bytes) -> int:
    try:
        return msgspec.json.decode(line, type=_Counts).completion_tokens or 0
    except ValueError:  # a damaged line, which the run itself will say
        return 0
