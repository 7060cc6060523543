"""GSM8K (Cobbe et al. 2021): grade-school word problems, 8-shot with worked solutions.

Published setting: openchat's evaluation of January 2024, with chain-of-thought hub's examples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ochat_eval.benchmark.fewshot import first_examples, shared_block
from ochat_eval.benchmark.shapes import BEFORE_MATH_MODE, LastNumber, WorkedExamples
from ochat_eval.benchmark.task import OnHub, make_item
from ochat_eval.data.files import files_of
from ochat_eval.data.hub import HubSource
from ochat_eval.data.rows import Row
from ochat_eval.data.shipped import SampleSource
from ochat_eval.data.source import Source
from ochat_eval.records import Item

TEST = HubSource(
    id="openai/gsm8k",
    config="main",
    split="test",
    revision="cc7b047b6e5bb11b4f1af84efc572db110a51b3c",
    rows=1319,
    digest="32c548f08195e19e33408b844dd7be6aa4bcae457d957bc05909ff4bd4a00595",
)
PUBLISHED = files_of("openchat")["ochat/evaluation/eval_data/fs_cothub/gsm8k/gsm8k.jsonl"]
SAMPLE = SampleSource("gsm8k")


@dataclass(frozen=True, kw_only=True)
class Gsm8k(WorkedExamples, LastNumber):
    """Attributes: num_fewshot: worked examples before the question, from 0 to 8."""

    question_end: ClassVar[str] = "\n"
    on_hub: ClassVar[OnHub | None] = OnHub(TEST.id, TEST.config, TEST.split, task_id="gsm8k")
    published_with: ClassVar[Mapping[str, Mapping[str, Any]]] = BEFORE_MATH_MODE

    condition: str | None = "Math Correct"

    def sources(self) -> tuple[Source[Any], ...]:
        return (SAMPLE,) if self.data == "sample" else (TEST, PUBLISHED)

    def expected_items(self) -> int | None:
        return None if self.data == "sample" else TEST.rows

    def items(self) -> Iterator[Item]:
        rows, block = self._sample() if self.data == "sample" else self._published()
        examples = first_examples(
            block, "Question: ", self.num_fewshot, f"tasks.{self.name}.num_fewshot"
        )
        for index, row in enumerate(rows):
            question = f"Question: {row['question']}\n"
            item = make_item(self, "main", index, question, row["answer"].split("#### ")[-1])
            yield self.asked(item, examples, "Question: ")

    def _published(self) -> tuple[list[Row], str]:
        return TEST.load(), shared_block([row["question"] for row in PUBLISHED.jsonl()])

    def _sample(self) -> tuple[list[Row], str]:
        rows = SAMPLE.load()
        examples = [row for row in rows if row.get("example")]
        block = "".join(
            f"Question: {row['question']}\nLet's think step by step\n{row['answer']}\n\n"
            for row in examples
        )
        return [row for row in rows if not row.get("example")], block
