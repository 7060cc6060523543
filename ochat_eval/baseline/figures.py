"""Published rows: the figures of results/recorded/published.yaml, by benchmark, and the tables
that they stand in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml

from ochat_eval.records import UserError
from ochat_eval.terminal.words import nearest

PREFIX = "published:"
"""What a user writes before a row's name: published:OpenChat-3.5-0106."""


@dataclass(frozen=True)
class Row:
    """A model's published figures.

    Attributes:
        name: the row's, as the tables have it.
        tasks: benchmark → figure, in the benchmark's unit.
    """

    name: str
    tasks: Mapping[str, float]


def row(name: str) -> Row:
    """The figures of a row, of all tables that have it.

    Raises:
        UserError: no table has it, or no figures are there.
    """
    found: dict[str, dict[str, float]] = {}
    for columns, model, scores in _rows(tables()):
        figures = found.setdefault(model, {})
        figures.update((c, s) for c, s in zip(columns, scores, strict=True) if s is not None)
    if name not in found:
        raise UserError(f"{PREFIX}{name}: no published table has this row{nearest(name, found)}")
    return Row(name, {k: v for k, v in found[name].items() if k != "average"})


def half_digit(figure: float) -> float:
    """Half a unit of a published figure's last digit: 0.05 for 65.8 or 7.8, 0.005 for 7.76."""
    return 0.5 * 10.0 ** -len(repr(float(figure)).partition(".")[2])


@cache
def tables() -> Mapping[str, Any]:
    """The published tables by name: `source`, `columns`, and `rows` by model; read once."""
    file = resources.files("ochat_eval.results.recorded").joinpath("published.yaml")
    if not file.is_file():
        raise UserError("results/recorded/published.yaml is not there: no published figures")
    found: Mapping[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return found


@cache
def layouts() -> Mapping[str, Any]:
    """The tables of conf/table/ by name, in the order of `tables`: `title` and `columns`; read
    once."""
    files = resources.files("ochat_eval.conf.table")
    return {
        name: yaml.safe_load(files.joinpath(f"{name}.yaml").read_text(encoding="utf-8"))
        for name in tables()
    }


def sharing() -> dict[str, str]:
    """By benchmark, the name of its questions, where another column of a table asks the same."""
    columns = [column for one in layouts().values() for column in one["columns"]]
    return {column["task"]: column["shares"] for column in columns if "shares" in column}


def _rows(tables: Mapping[str, Any]) -> list[tuple[list[str], str, list[float | None]]]:
    return [
        (table["columns"], model, row["scores"])
        for table in tables.values()
        if isinstance(table, dict) and "rows" in table
        for model, row in table["rows"].items()
    ]
