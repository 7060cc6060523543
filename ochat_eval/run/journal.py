"""The append-only journal of responses, and the file of lines that it is."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ochat_eval.records import R, Response, UserError, from_json, to_json
from ochat_eval.run.index import Index
from ochat_eval.run.store import DAMAGED, append_line, atomic, open_file, writing
from ochat_eval.terminal.say import say
from ochat_eval.terminal.words import counted


def _line(response: Response) -> bytes:
    """A response's line, which can be read again: one that cannot makes the whole file damaged."""
    try:
        line = to_json(response)
        if from_json(type(response), line) != response:
            raise ValueError("it would be read otherwise")
    except (ValueError, OverflowError, TypeError) as e:
        raise UserError(
            f"the response to {response.id!r} cannot be written down ({e}); it is not counted"
        ) from e
    return line + b"\n"


def recovered(path: Path, cls: type[R]) -> Index[R]:
    """The records of a journal that is to be gone on with, made if need be.

    A half-written last line is cut off; lines that are damaged are set aside, into a file beside
    it, so that what they answered is asked again. Both are said.

    Raises:
        UserError: the file cannot be read or written, or has a record twice.
    """
    journal = Journal(path)
    journal.close()
    if journal.torn:
        say(f"cut {counted(journal.torn, 'byte')} of a half-written last line off {path}")
    try:
        return Index(path, cls)
    except UserError:
        aside = path.with_name(f"{path.stem}.{DAMAGED}")
        if not (number := _set_aside(path, cls, aside)):
            raise
        say(f"set {counted(number, 'damaged line')} of {path} aside in {aside.name}: asked again")
        return Index(path, cls)


def _set_aside(path: Path, cls: type[R], aside: Path) -> int:
    """Moves the lines that cannot be read into another file; returns how many there were."""
    damaged = []
    with path.open("rb") as old, atomic(path) as new:
        for number, line in enumerate(old, 1):
            try:
                from_json(cls, line)
                new.buffer.write(line)
            except (ValueError, RecursionError) as e:
                if not line.isspace():
                    text = line.decode(errors="backslashreplace").rstrip("\n")
                    damaged.append({"line": number, "why": str(e), "text": text})
        for one in damaged:
            append_line(aside, one)
    return len(damaged)


def end_of_last_line(fd: int, size: int) -> int:
    """How many of a file's first `size` bytes are whole lines."""
    end = size
    while end:
        start = max(0, end - 65536)
        newline = os.pread(fd, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


class Lines:
    """An append-only file of lines: what is written is on disk when `write` returns."""

    def __init__(self, path: Path):
        """Opens or creates the file; a torn last line is cut off.

        Attributes:
            torn: bytes of a half-written last line that were cut off; 0 is the rule.

        Raises:
            UserError: the file cannot be opened for writing.
        """
        self.path = path
        self._fd = open_file(path)
        with writing(path):
            self._size = os.fstat(self._fd).st_size
            whole = end_of_last_line(self._fd, self._size)
            self.torn = self._size - whole
            if self.torn:
                os.ftruncate(self._fd, whole)
            self._size = whole

    def write(self, data: bytes) -> None:
        """Writes whole lines and waits until the disk has them.

        Raises:
            UserError: the disk refused; the file ends with the last whole line before the call.
        """
        with writing(self.path):
            try:
                view = memoryview(data)
                written = 0
                while written < len(data):
                    written += os.pwrite(self._fd, view[written:], self._size + written)
                os.fsync(self._fd)
            except OSError:
                os.ftruncate(self._fd, self._size)
                raise
        self._size += len(data)

    def close(self) -> None:
        """Closes the file."""
        os.close(self._fd)


class Journal(Lines):
    """The append-only file of responses: a response is on disk when `append` returns."""

    def append(self, responses: Iterable[Response]) -> None:
        """Writes responses and waits until the disk has them.

        Raises:
            UserError: the disk refused, or a response cannot be written down; nothing is.
        """
        self.write(b"".join(map(_line, responses)))
