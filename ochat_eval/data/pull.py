"""Filling a data root for machines without a network."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ochat_eval.data.source import Source
from ochat_eval.records import UserError
from ochat_eval.terminal.say import bar


def pull(sources: Iterable[Source[Any]], root: Path) -> int:
    """Put the sources into a data root; what is there and verifies stays as it is.

    Every file is written whole or not at all: after a failure, or a kill, run it again.

    Args:
        sources: what to put there; each once, however often it is named.
        root: the folder, made where missing.

    Returns:
        How many files were written.

    Raises:
        UserError: a source cannot be had, or the folder not be written.
    """
    wanted = list(dict.fromkeys(sources))
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {root}: {error.strerror}") from error
    written = 0
    with bar(str(root), "files", len(wanted), delay=0) as progress:
        for source in wanted:
            written += source.store(root)
            progress.update()
    return written
