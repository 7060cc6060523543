"""The append-only journal of responses."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ochat_eval.records import Response, to_json
from ochat_eval.run.store import open_file, writing


class Journal:
    """The append-only file of responses: a response is on disk when `append` returns."""

    def __init__(self, path: Path):
        """Opens or creates the journal; a torn last line is cut off.

        Attributes:
            torn: bytes of a half-written last line that were cut off; 0 is the rule.

        Raises:
            UserError: the file cannot be opened for writing.
        """
        self.path = path
        self._fd = open_file(path)
        with writing(path):
            self._size = os.fstat(self._fd).st_size
            whole = self._end_of_last_line()
            self.torn = self._size - whole
            if self.torn:
                os.ftruncate(self._fd, whole)
            self._size = whole

    def _end_of_last_line(self) -> int:
        end = self._size
        while end:
            start = max(0, end - 65536)
            newline = os.pread(self._fd, end - start, start).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            end = start
        return 0

    def append(self, responses: Iterable[Response]) -> None:
        """Writes responses and waits until the disk has them.

        Raises:
            UserError: the disk refused; the file ends with the last whole line before the call.
        """
        data = b"".join(to_json(r) + b"\n" for r in responses)
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
