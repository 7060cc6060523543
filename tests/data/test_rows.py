"""Rows as JSON: digests and JSON lines."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ochat_eval.data.rows import parse_jsonl, rows_digest


def test_digest_is_sha256_over_canonical_lines() -> None:
    rows = [{"b": [1, None], "a": "é\n"}, {"c": 0.5}]
    text = '{"a":"é\\n","b":[1,null]}\n{"c":0.5}\n'
    assert rows_digest(rows) == hashlib.sha256(text.encode()).hexdigest()


@given(st.lists(st.dictionaries(st.text(st.characters(codec="utf-8")), st.integers()), max_size=5))
def test_digest_ignores_key_order_and_nothing_else(rows: list[dict[str, int]]) -> None:
    assert rows_digest([dict(reversed(row.items())) for row in rows]) == rows_digest(rows)
    assert rows_digest([*rows, {}]) != rows_digest(rows)
    assert parse_jsonl("\n".join(map(json.dumps, rows)).encode()) == rows


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, "\ud800"])
def test_digest_refuses_what_is_not_json(value: object) -> None:
    with pytest.raises(ValueError):
        rows_digest([{"a": value}])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1}\n\n{"a": \n', "line 3 is not JSON"),
        (b'{"a": 1}\n[1]\n', "line 2 is not a JSON object but list"),
        (b"\xff\xfe\n", "line 1 is not JSON"),
        (b"[" * 100_000, "line 1 is not JSON"),
    ],
)
def test_broken_json_lines_name_the_line(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_jsonl(content)
