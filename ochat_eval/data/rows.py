"""Rows of data: their digest, the check against a pin, JSON lines, and Parquet."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ochat_eval.terminal.words import counted

Row = dict[str, Any]
_BATCH_ROWS = 256
_CANONICAL = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def rows_digest(rows: Iterable[Row]) -> str:
    """SHA-256 (hex) over the rows in order: each as canonical JSON (keys sorted, no blanks,
    UTF-8) and a line feed. It does not depend on the file format that the rows came in.

    Raises:
        ValueError: a row holds what JSON or UTF-8 cannot say.
    """
    digest = hashlib.sha256()
    try:
        for row in rows:
            digest.update(f"{_CANONICAL.encode(row)}\n".encode())
    except TypeError as error:
        raise ValueError(f"a row is not plain JSON: {error}") from error
    return digest.hexdigest()


def check_digest(what: str, got: str, *expected: str) -> None:
    """Raise ValueError unless the digest is one of those expected."""
    if got not in expected:
        raise ValueError(f"{what} is {got[:12]}, expected {' or '.join(e[:12] for e in expected)}")


def check_rows(rows: list[Row], count: int, *digests: str) -> None:
    """Raise ValueError unless these are the pinned rows."""
    if len(rows) != count:
        raise ValueError(f"{counted(len(rows), 'row')}, expected {count}")
    check_digest("row digest", rows_digest(rows), *digests)


def parse_jsonl(content: bytes) -> list[Row]:
    """One JSON object a line; blank lines are passed over. Raises ValueError with the line."""
    rows = []
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"line {number} is not JSON: {error}") from error
        if not isinstance(row, dict):
            raise ValueError(f"line {number} is not a JSON object but {type(row).__name__}")
        rows.append(row)
    return rows


def parquet_batches(file: Path) -> Iterator[tuple[list[Row], int]]:
    """The rows of a Parquet file, some at a time, and the bytes that these take unpacked.

    A small file may hold rows that are huge, or without end: whoever reads on counts.

    Raises:
        pyarrow.ArrowException, OSError: it cannot be read.
    """
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as parquet:
        for batch in parquet.iter_batches(batch_size=_BATCH_ROWS):
            yield batch.to_pylist(), batch.nbytes
