"""Where each record of a JSON lines file stands, by item: kept on disk, so that memory stays flat.

Responses and scores are written as they finish, not in the order of the items; reading them
item by item would otherwise take all of them in memory.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Generic

from ochat_eval.records import Item, R, Response, Score, UserError, Verdict, from_json
from ochat_eval.run.store import placed_records

_CACHE_KIB = 8192


class Index(Generic[R]):
    """A file's records by item id. The index is sqlite's, in a temporary file of its own."""

    def __init__(self, path: Path, cls: type[R]):
        """Reads the whole file once, and with it checks every line.

        Raises:
            UserError: a line is no such record, a record stands there twice, or there is no
                space for the index.
        """
        self.path: Path = path
        self._cls: type[R] = cls
        self._size: int = 0
        try:
            self._db = sqlite3.connect("", check_same_thread=False, isolation_level=None)
            for setting in ("journal_mode=OFF", "synchronous=OFF", f"cache_size=-{_CACHE_KIB}"):
                self._db.execute(f"PRAGMA {setting}")
            self._db.execute(
                "CREATE TABLE lines (id BLOB, key TEXT, start INT, stop INT, "
                "PRIMARY KEY (id, key)) WITHOUT ROWID"
            )
            self._db.execute("BEGIN")
            for span, record in placed_records(path, cls):
                self._add(record, span)
            self._db.execute("COMMIT")
        except sqlite3.Error as e:
            raise no_index(e) from e
        self._file = path.open("rb")

    def _add(self, record: R, span: tuple[int, int]) -> None:
        row = (_name(record.id), _key(record), *span)
        try:
            self._db.execute("INSERT INTO lines VALUES (?, ?, ?, ?)", row)
        except sqlite3.IntegrityError:
            kind = self._cls.__name__.lower()
            raise UserError(
                f"{self.path} has two {kind}s of {record.id!r}, {_key(record)}; remove one of the "
                "lines"
            ) from None
        self._size += 1

    def __len__(self) -> int:
        """How many records there are."""
        return self._size

    def of(self, item_id: str) -> list[R]:
        """The records of an item, by sample and turn; empty where it has none."""
        try:
            found = self._db.execute(
                "SELECT start, stop FROM lines WHERE id = ?", (_name(item_id),)
            ).fetchall()
        except sqlite3.Error as e:
            raise no_index(e) from e
        fd = self._file.fileno()
        records = [from_json(self._cls, os.pread(fd, stop - start, start)) for start, stop in found]
        if len(records) > 1:
            records.sort(key=_order)
        return records

    def unknown(self, known: Iterable[str]) -> list[str]:
        """The ids in the file that are not among those known, in order."""
        try:
            self._db.execute("CREATE TEMP TABLE known (id BLOB PRIMARY KEY) WITHOUT ROWID")
            self._db.execute("BEGIN")
            self._db.executemany(
                "INSERT OR IGNORE INTO known VALUES (?)", ((_name(one),) for one in known)
            )
            self._db.execute("COMMIT")
            found = self._db.execute(
                "SELECT DISTINCT id FROM lines WHERE id NOT IN (SELECT id FROM known) ORDER BY id"
            ).fetchall()
            self._db.execute("DROP TABLE known")
        except sqlite3.Error as e:
            raise no_index(e) from e
        return [name.decode(errors="surrogatepass") for (name,) in found]

    def close(self) -> None:
        """Removes the index."""
        self._db.close()
        self._file.close()


def _name(item_id: str) -> bytes:
    """An id as sqlite takes it, lone surrogates and NUL included."""
    return item_id.encode(errors="surrogatepass")


def _key(record: Item | Response | Score) -> str:
    if isinstance(record, Verdict):
        order = " swapped" * record.swapped
        by = f" of {record.judge} ({record.style})"
        return f"sample {record.sample} turn {record.turn}{by}{order}"
    if isinstance(record, Response):
        return f"sample {record.sample} turn {record.turn}"
    if isinstance(record, Score):
        return f"sample {record.sample} turn {record.turn} {record.rule}"
    return ""


def _order(record: Item | Response | Score) -> tuple[int, int]:
    return (0, 0) if isinstance(record, Item) else (record.sample, record.turn)


def no_index(error: sqlite3.Error) -> UserError:
    """What to say where sqlite has no place for its file."""
    return UserError(
        f"the temporary index cannot be written: {error}; free some space in /var/tmp, or name "
        "another folder with SQLITE_TMPDIR=DIR"
    )
