"""A run's results as one Parquet table, for pandas: `pandas.read_parquet(FILE)`.

A row per response and rule, in the order of the items: the item's fields, the response's and the
score's under the names that they have in the run's own files. Where a response has no score, the
score's columns are null. `detail` is JSON.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ochat_eval.exchange import Note, Recorded
from ochat_eval.records import RULES, Item, Response, Rule, Score
from ochat_eval.run import store

_ROWS = 2000  # in a row group; these are in memory at a time


def write(run: Recorded, path: Path, rule: Rule | None) -> Iterator[Note]:
    """Writes both rules' results, or one rule's."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = pa.list_(pa.string())
    schema = pa.schema(
        [
            *((name, pa.string()) for name in ("id", "task", "subset")),
            ("index", pa.int64()),
            *((name, texts) for name in ("turns", "target", "choices")),
            ("condition", pa.string()),
            ("sample", pa.int64()),
            ("turn", pa.int64()),
            *((name, pa.string()) for name in ("text", "finish_reason")),
            *((name, pa.int64()) for name in ("prompt_tokens", "completion_tokens")),
            ("reasoning", pa.string()),
            ("reasoning_tokens", pa.int64()),
            ("unfinished", pa.bool_()),
            *((name, pa.string()) for name in ("rule", "answer")),
            ("matched", pa.bool_()),
            ("value", pa.float64()),
            ("detail", pa.string()),
        ]
    )
    rows: list[dict[str, Any]] = []
    with (
        store.atomic(path) as file,
        pq.ParquetWriter(file.buffer, schema, compression="zstd") as table,
    ):
        for item, responses, scores in run.judged():
            by_key = {(one.sample, one.turn, one.rule): one for one in scores}
            for response in responses:
                for chosen in RULES if rule is None else (rule,):
                    score = by_key.get((response.sample, response.turn, chosen))
                    if score is None:
                        yield Note(f"responses without a {chosen} score", response.id)
                    rows.append(_row(item, response, chosen, score))
            if len(rows) >= _ROWS:
                table.write_table(pa.Table.from_pylist(rows, schema))
                rows = []
        if rows:
            table.write_table(pa.Table.from_pylist(rows, schema))


def _row(item: Item, response: Response, rule: Rule, score: Score | None) -> dict[str, Any]:
    """One row; lone surrogates of model text become `?`, for Parquet's text is UTF-8."""
    row: dict[str, Any] = {
        name: getattr(item, name)
        for name in ("id", "task", "subset", "index", "turns", "target", "choices", "condition")
    }
    for field in dataclasses.fields(Response):
        row[field.name] = getattr(response, field.name)
    row["rule"] = rule
    if score is not None:
        detail = None if score.detail is None else json.dumps(score.detail)
        row.update(answer=score.answer, matched=score.matched, value=score.value, detail=detail)
    return {name: _utf8(value) for name, value in row.items()}


def _utf8(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    return [_utf8(one) for one in value] if isinstance(value, tuple) else value
