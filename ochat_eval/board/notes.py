"""notes.json in a run's folder: tags and a note, which people add on the board."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from ochat_eval.records import UserError
from ochat_eval.run import store

MOST_BYTES = 2**16
"""Of the file; what a note and its tags may take, and more than they do."""
_Tag = Annotated[str, msgspec.Meta(min_length=1, max_length=40, pattern=r"^[^\x00-\x1f\x7f]+$")]
Tags = Annotated[tuple[_Tag, ...], msgspec.Meta(max_length=20)]
Note = Annotated[str, msgspec.Meta(max_length=10_000)]


class Notes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What people say about a run.

    Attributes:
        tags: short names to find runs by, without control characters.
        note: free text.
    """

    tags: Tags = ()
    note: Note = ""


def read_notes(folder: Path) -> Notes:
    """A run's tags and note; empty where there are none.

    Raises:
        UserError: the file is damaged, or longer than it can be.
    """
    path = folder / store.NOTES
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return Notes()
    except OSError as e:
        raise UserError(f"cannot read {path}: {e.strerror}") from e
    if len(data) > MOST_BYTES:
        raise UserError(f"{path} is longer than {MOST_BYTES:,} bytes: mend or remove it")
    try:
        return msgspec.json.decode(data, type=Notes)
    except (ValueError, RecursionError) as e:
        raise UserError(f"{path} has no tags and note: {e}; mend or remove it") from e


def write_notes(folder: Path, notes: Notes) -> Notes:
    """Puts a run's tags and note in place of those before; each tag once. Returns them.

    Raises:
        UserError: the disk refused.
    """
    once = Notes(tuple(dict.fromkeys(notes.tags)), notes.note)
    store.check_files(folder)
    store.write_json(folder / store.NOTES, msgspec.to_builtins(once))
    return once
