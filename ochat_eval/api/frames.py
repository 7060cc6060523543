"""A run's records as pandas frames, with a type for each column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from ochat_eval.records import Item, Response, Score

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["text", "name", "whole", "count", "number", "truth", "any"]
"""What a column holds: texts; few different texts (categories); whole numbers; whole numbers that
may be unknown (NA); numbers, unknown ones NaN; true or false; lists and mappings."""

ITEMS: Mapping[str, Kind] = {
    "id": "text", "task": "name", "subset": "name", "index": "whole", "turns": "any",
    "target": "any", "choices": "any", "condition": "name", "examples": "any",
    "system": "text", "cluster": "text", "stratum": "text",
}  # fmt: skip
RESPONSES: Mapping[str, Kind] = {
    "id": "text", "task": "name", "subset": "name", "sample": "whole", "turn": "whole",
    "text": "text", "finish_reason": "name", "prompt_tokens": "count",
    "completion_tokens": "count", "reasoning": "text", "reasoning_tokens": "count",
    "unfinished": "truth", "request": "text", "reused_from": "name",
}  # fmt: skip
SCORES: Mapping[str, Kind] = {
    "id": "text", "task": "name", "subset": "name", "sample": "whole", "turn": "whole",
    "rule": "name", "answer": "text", "matched": "truth", "value": "number", "detail": "any",
}  # fmt: skip


def frame(
    records: Iterable[Item | Response | Score],
    columns: Mapping[str, Kind],
    items: Iterable[Item] = (),
) -> pd.DataFrame:
    """The records, a row each, in their order.

    Args:
        columns: the fields, and what they hold.
        items: tell the `task` and `subset` of records that have an `id` only.
    """
    import pandas as pd

    types: dict[Kind, Any] = {
        # Texts as Python has them: of a model's there may be some that UTF-8 cannot say.
        "text": pd.StringDtype("python"),
        "name": "category",
        "whole": "int64",
        "count": "Int64",
        "number": "float64",
        "truth": "bool",
        "any": "object",
    }
    places = {item.id: item for item in items}
    rows = [_row(record, columns, places.get(record.id)) for record in records]
    return pd.DataFrame(
        {
            name: pd.Series([row[i] for row in rows], dtype=types[kind])
            for i, (name, kind) in enumerate(columns.items())
        }
    )


def _row(
    record: Item | Response | Score, columns: Iterable[str], item: Item | None
) -> tuple[Any, ...]:
    def values() -> Iterator[Any]:
        for name in columns:
            has = name in type(record).__dataclass_fields__
            yield getattr(record if has else item, name, None)

    return tuple(values())
