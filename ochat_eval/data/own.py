"""Rows of a user's own: a file, a folder of files, or a split of a data set of the hub.

Nothing pins them beforehand: what was read is digested, and the digest stands in the manifest.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ochat_eval.data.mirrors import ADVICE, hub_address, hub_answers, unreachable
from ochat_eval.data.rows import Row, parquet_batches, parse_jsonl, rows_digest
from ochat_eval.data.source import Source, check_names, data_root
from ochat_eval.records import UserError
from ochat_eval.terminal.words import one_line

HUB = "hub:"
_HUB = re.compile(r"hub:(?P<id>[^@#]+)@(?P<revision>[^@#]+)#(?P<config>[^/@#]+)/(?P<split>[^/@#]+)")
_BYTES = 512 << 20
"""Of a file, and of all rows: one that has more is no file of questions."""


@dataclass(frozen=True)
class HubSplit:
    """A split of a data set of the hub, as `hub:ORG/NAME@REVISION#CONFIG/SPLIT` names it."""

    id: str
    revision: str
    config: str
    split: str


def hub_split(path: str) -> HubSplit | None:
    """What a path says of the hub; None where it names files, or is not whole."""
    found = _HUB.fullmatch(path)
    return None if found is None else HubSplit(**found.groupdict())


@dataclass(frozen=True)
class OwnRows(Source[list[Row]]):
    """Rows that the user names.

    Attributes:
        path: a file (`.jsonl`, `.csv`, `.parquet`), a folder of such files (read in the order of
            their names), or `hub:ORG/NAME@REVISION#CONFIG/SPLIT`.
    """

    kind = "own"
    path: str

    def load(self) -> list[Row]:
        """The rows, each a mapping from field to value.

        Raises:
            UserError: it is not there, or cannot be read as what its name says.
        """
        rows = _of_the_hub(self.path) if self.path.startswith(HUB) else _of_files(self.path)
        if not rows:
            raise UserError(f"{self.path}: it has no rows")
        return rows

    def describe(self) -> dict[str, Any]:
        """As `Source.describe`, and the digest of the rows as they are now; of a split of the hub
        its `id`, `revision`, `config` and `split`, too."""
        at = hub_split(self.path)
        named = {} if at is None else asdict(at)
        return {**super().describe(), **named, "digest": rows_digest(self.load())}


def _of_files(path: str) -> list[Row]:
    place = Path(path).expanduser()
    try:
        inside = list(place.iterdir()) if place.is_dir() else None
    except OSError as error:  # a folder that is closed to us, a name that is too long
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    if inside is None:
        return _of_file(place)
    files = sorted(file for file in inside if file.suffix in _READERS)
    if not files:
        raise UserError(f"{path}: the folder has no file that ends in {', '.join(_READERS)}")
    return [row for file in files for row in _of_file(file)]


def _of_file(file: Path) -> list[Row]:
    reader = _READERS.get(file.suffix)
    if reader is None:
        raise UserError(f"{file}: a file of rows ends in {', '.join(_READERS)}")
    try:
        if file.stat().st_size > _BYTES:
            raise ValueError(f"it is larger than {_BYTES >> 20} MiB")
        return reader(file)
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"{file}: cannot be read: {one_line(error)}") from error


def _jsonl(file: Path) -> list[Row]:
    return parse_jsonl(file.read_bytes().removeprefix(b"\xef\xbb\xbf"))


def _csv(file: Path) -> list[Row]:
    text = file.read_text("utf-8-sig")
    rows: list[Row] = []
    for number, row in enumerate(csv.DictReader(io.StringIO(text, newline=""), strict=True), 1):
        if None in row or None in row.values():
            raise ValueError(f"row {number} has not as many fields as the header")
        rows.append(row)
    return rows


def _parquet(file: Path) -> list[Row]:
    import pyarrow as pa

    rows: list[Row] = []
    size = 0
    try:
        for batch, nbytes in parquet_batches(file):
            rows += batch
            size += nbytes
            if size > _BYTES:
                raise ValueError(f"its rows are larger than {_BYTES >> 20} MiB")
    except pa.ArrowException as error:
        raise ValueError(one_line(error)) from error
    return rows


_READERS = {".jsonl": _jsonl, ".csv": _csv, ".parquet": _parquet}


def _of_the_hub(path: str) -> list[Row]:
    """From the data root, where it has the split at all, else from the network at the revision."""
    at = hub_split(path)
    if at is None:
        raise UserError(
            f"{path}: write hub:ORG/NAME@REVISION#CONFIG/SPLIT (hub:me/quiz@1a2b3c#default/test)"
        )
    check_names(at.id, at.revision, at.config, at.split)
    root = data_root()
    files = sorted((root / "hub" / at.id / at.config).glob(f"{at.split}-*.parquet")) if root else []
    if files:
        return [row for file in files for row in _of_file(file)]
    if not hub_answers():
        raise unreachable(path, hub_address())
    try:
        from datasets import load_dataset

        data = load_dataset(at.id, at.config, split=at.split, revision=at.revision)
        if data.data.nbytes > _BYTES:
            raise ValueError(f"its rows are larger than {_BYTES >> 20} MiB")
        rows: list[Row] = data.to_list()
    # The errors of the hub, its two http clients, Arrow and the system share no base class.
    except Exception as error:
        raise UserError(
            f"{path}: not to be had from the hub: {one_line(error)}. {ADVICE}"
        ) from error
    return rows
