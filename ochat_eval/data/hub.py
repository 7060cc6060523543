"""Rows of the Hugging Face hub."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ochat_eval.data.mirrors import ADVICE, hub_address, hub_answers, unreachable
from ochat_eval.data.rows import Row, check_rows, parquet_batches
from ochat_eval.data.source import Remote, check_names
from ochat_eval.records import UserError
from ochat_eval.terminal.words import one_line

_ROWS_BYTES = 512 << 20


@dataclass(frozen=True)
class HubSource(Remote[list[Row]]):
    """A split of a data set of the Hugging Face hub.

    Attributes:
        id: `owner/name`.
        config: the data set's configuration (MMLU: `all`).
        split: `test`.
        revision: the commit of the data set's repository.
        rows: how many rows the split has.
        digest: their `rows_digest`; `also` that of a copy known to differ in nothing that counts.
    """

    kind = "hub"
    id: str
    config: str
    split: str
    revision: str
    rows: int
    digest: str
    also: str | None = None

    def __post_init__(self) -> None:
        check_names(self.id, self.config, self.split, self.revision)

    @property
    def label(self) -> str:
        """As `cais/mmlu (all, test)`."""
        return f"{self.id} ({self.config}, {self.split})"

    def _path(self, root: Path) -> Path:
        return root / "hub" / self.id / self.config / f"{self.split}-00000-of-00001.parquet"

    def _open(self, root: Path) -> list[Row]:
        files = sorted(self._path(root).parent.glob(f"{self.split}-*.parquet"))
        if not files:
            raise FileNotFoundError
        import pyarrow as pa

        rows: list[Row] = []
        size = 0
        for file in files:
            try:
                for batch, nbytes in parquet_batches(file):
                    rows += batch
                    size += nbytes
                    if len(rows) > self.rows or size > _ROWS_BYTES:
                        raise ValueError(f"it has more than {self.rows:,} rows, or huge ones")
            except pa.ArrowException as error:
                raise ValueError(f"{file.name}: {error}") from error
        check_rows(rows, self.rows, self.digest, *filter(None, [self.also]))
        return rows

    def _fetch(self) -> list[Row]:
        if not hub_answers():
            raise unreachable(self.label, hub_address())
        try:
            from datasets import load_dataset

            data = load_dataset(self.id, self.config, split=self.split, revision=self.revision)
            if len(data) != self.rows or data.data.nbytes > _ROWS_BYTES:
                raise ValueError(f"{len(data):,} rows of {data.data.nbytes:,} bytes")
            rows: list[Row] = data.to_list()
            check_rows(rows, self.rows, self.digest, *filter(None, [self.also]))
        # The errors of the hub, its two http clients, Arrow and the system share no base class.
        except Exception as error:
            raise UserError(
                f"{self.label}: not to be had from the hub at revision {self.revision[:12]}: "
                f"{one_line(error)}. {ADVICE}"
            ) from error
        return rows

    def _bytes(self, value: list[Row]) -> bytes:
        import pyarrow as pa
        import pyarrow.parquet as pq

        buffer = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(value), buffer)
        return bytes(buffer.getvalue())

    def _write(self, root: Path, value: list[Row]) -> None:
        super()._write(root, value)
        # Shards of a damaged copy under other names would be read as more rows.
        path = self._path(root)
        for file in path.parent.glob(f"{self.split}-*.parquet"):
            if file != path:
                file.unlink()
