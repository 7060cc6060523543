"""The request log: one JSON line for each request, in a file that rotates."""

from __future__ import annotations

import json
import logging
import os
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from ochat_eval.records import UserError
from ochat_eval.terminal.say import say

LONGEST_NAME = 200
"""What a sender may put into a log line by a path or a model's name, in characters."""

_ENTRY: ContextVar[dict[str, Any] | None] = ContextVar("entry", default=None)


def begin() -> dict[str, Any]:
    """A new entry, which `note` fills for as long as this request is served."""
    entry: dict[str, Any] = {}
    _ENTRY.set(entry)
    return entry


def note(**fields: Any) -> None:
    """Adds fields to the entry of the request that is being served, if there is one."""
    if (entry := _ENTRY.get()) is not None:
        entry.update(fields)


class _Private(RotatingFileHandler):
    """Its files are for their owner only."""

    failed = False

    def handleError(self, record: logging.LogRecord) -> None:
        """Says the first time, in one line, that the file takes no more; requests go on."""
        if not self.failed:
            self.failed = True
            reason = sys.exc_info()[1]
            say(f"log_file={self.baseFilename}: lines are lost ({reason})")

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return open(descriptor, "a", encoding=self.encoding)


class RequestLog:
    """Writes entries; without a file it drops them.

    An entry: `time` (UTC), `client`, `method`, `path`, `status`, `seconds` until the last byte,
    `disconnected` where the client went first; of a chat `model`, `condition`, `stream`,
    `messages` (how many), `prompt_tokens`, `completion_tokens` and `finish_reason` (a list each,
    one of each choice), and, only if `texts`, `conversation` and `answers`. Never a key.
    """

    def __init__(self, file: str | None, max_bytes: int, backups: int, texts: bool):
        """Opens the file. Raises UserError where it cannot be written."""
        self.texts = texts and file is not None
        self._logger = logging.Logger("ochat_eval.serve")  # no child of the root: to the file only
        if file is None:
            return
        path = Path(file).expanduser()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handler = _Private(path, maxBytes=max_bytes, backupCount=backups, encoding="utf-8")
        except OSError as e:
            raise UserError(f"log_file={file}: it cannot be written ({e.strerror})") from e
        self._logger.addHandler(handler)

    def write(self, entry: dict[str, Any]) -> None:
        """Writes one line; control characters in it are escaped, as JSON does."""
        if self._logger.handlers:
            for name in ("path", "model"):  # as long as their sender likes
                if isinstance(entry.get(name), str):
                    entry[name] = entry[name][:LONGEST_NAME]
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            self._logger.info(json.dumps({"time": now, **entry}))
