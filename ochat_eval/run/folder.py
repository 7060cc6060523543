"""A run's folder, held by one process at a time."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from ochat_eval.records import UserError
from ochat_eval.run.identity import differences
from ochat_eval.run.store import (
    CONFIG,
    ITEMS,
    MANIFEST,
    NOTES,
    check_files,
    open_file,
    read_json,
    writing,
)

LOCK = ".lock"
_OF_A_PLAN = (ITEMS, MANIFEST, CONFIG, NOTES)
"""The files of a run that no request was made for yet, and what people note of it."""
_INSTANT = 0.05


def is_held(path: Path) -> bool:
    """Whether a process works in a run's folder now; False, too, where that cannot be told."""
    try:
        fd = os.open(path / LOCK, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    with open(fd, "rb") as file:
        return not _taken(file, fcntl.LOCK_SH)


def _taken(file: BinaryIO, kind: int) -> bool:
    """Takes a lock, until the file is closed; False where another process has it."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class RunDir:
    """One run's directory, held by one process at a time."""

    def __init__(self, path: Path):
        """Creates the directory if need be and takes its lock.

        Raises:
            UserError: it cannot be created, another process works in it, or it holds links.
        """
        self.path = path
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
        check_files(path)
        self._lock = open(open_file(path / LOCK), "rb")  # noqa: SIM115 (held until `close`)
        with writing(path):
            try:
                if not _taken(self._lock, fcntl.LOCK_EX):
                    time.sleep(_INSTANT)  # whoever asks `is_held` holds it so long at most
                    fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(
                    f"another process is working in {path}; wait for it or choose run=NAME"
                ) from None
            for left in path.glob(".*.[0-9]*"):  # half-written, by a process that was killed
                left.unlink(missing_ok=True)

    def close(self) -> None:
        """Lets go of it; the end of the process does, too."""
        self._lock.close()

    def file(self, name: str) -> Path:
        """The path of one of the run's files."""
        return self.path / name

    def manifest(self) -> dict[str, Any]:
        """What manifest.json holds; empty for a new run."""
        path = self.file(MANIFEST)
        return read_json(path) if path.exists() else {}

    def forget_plan(self, identity: Mapping[str, Any]) -> bool:
        """Lets go of other work that was planned here and never answered: there is nothing to mix.

        Returns:
            Whether there was such work.
        """
        known = self.manifest().get("identity")
        if known is None or not differences(known, identity):
            return False
        there = {path.name for path in self.path.iterdir() if path.stat().st_size}
        if not there <= {LOCK, *_OF_A_PLAN}:
            return False
        with writing(self.path):
            self.file(MANIFEST).unlink()
        return True

    def check_identity(self, identity: Mapping[str, Any]) -> None:
        """Refuses to mix two kinds of work in one directory.

        Args:
            identity: nested mappings of plain values: data, prompts, sampling, model.

        Raises:
            UserError: the run on disk was made with another identity; the first differences
                are shown.
        """
        known = self.manifest().get("identity")
        if known is None:
            return
        if changed := differences(known, identity):
            more = f" (and {len(changed) - 4} more)" if len(changed) > 4 else ""
            raise UserError(
                f"the run in {self.path} did other work: {'; '.join(changed[:4])}{more}. "
                "Choose another run=NAME, or the options that it was made with"
            )
