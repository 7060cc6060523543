"""A file of the user's own."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ochat_eval.data.rows import Row, rows_digest
from ochat_eval.data.source import Source
from ochat_eval.records import UserError


@dataclass(frozen=True)
class LocalCsv(Source[list[Row]]):
    """A CSV file of the user's own, for data that may not be passed on; it is not pinned.

    Attributes:
        path: the file, with a header line.
        columns: what every row must have.
    """

    kind = "local"
    path: str
    columns: tuple[str, ...]

    def load(self) -> list[Row]:
        """The rows, by the names in the header."""
        try:
            text = Path(self.path).expanduser().read_text("utf-8-sig")
            rows: list[Row] = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
        except (OSError, ValueError, csv.Error) as error:
            raise UserError(f"{self.path}: cannot be read as CSV: {error}") from error
        for number, row in enumerate(rows, start=1):
            if missing := [name for name in self.columns if row.get(name) is None]:
                raise UserError(f"{self.path}: row {number} has no column {missing[0]!r}")
        return rows

    def describe(self) -> dict[str, Any]:
        """As `Source.describe`, and the digest of the rows as they are now."""
        return {**super().describe(), "digest": rows_digest(self.load())}
