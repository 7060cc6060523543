"""Capitals: which city is a country's capital, asked with four choices."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ochat_eval.benchmark.shapes import FirstLetter, RowTask
from ochat_eval.benchmark.task import make_item
from ochat_eval.data.own import OwnRows
from ochat_eval.data.rows import Row
from ochat_eval.data.source import Source
from ochat_eval.records import Item

ROWS = OwnRows(str(Path(__file__).with_name("capitals.jsonl")))


@dataclass(frozen=True, kw_only=True)
class Capitals(RowTask, FirstLetter):
    """Attributes: politely: whether the question begins with a greeting."""

    has_published_setting: ClassVar[bool] = False
    full: ClassVar[Mapping[str, Source[list[Row]]]] = {"europe": ROWS}
    sample: ClassVar[Source[list[Row]]] = ROWS
    size: ClassVar[int] = 4

    politely: bool = False

    def item(self, subset: str, index: int, row: Row) -> Item:
        """The question, a line for each choice, and how to answer."""
        cities = zip("ABCD", row["cities"], strict=True)
        choices = "\n".join(f"{letter}. {city}" for letter, city in cities)
        greeting = "Good morning. " if self.politely else ""
        prompt = (
            f"{greeting}What is the capital of {row['country']}?\n\n{choices}\n\n"
            "Answer with the letter of the right choice."
        )
        return make_item(self, subset, index, prompt, row["answer"], tuple("ABCD"))
