"""GPQA diamond (Rein et al. 2023): 198 questions for experts, four choices, zero-shot."""

import random
from dataclasses import dataclass
from typing import ClassVar

from ochat_eval.benchmark.shapes import LABELS, MarkedChoice, OwnCopy
from ochat_eval.benchmark.task import OnHub, make_item
from ochat_eval.data.rows import Row
from ochat_eval.data.shipped import SampleSource
from ochat_eval.records import Item


@dataclass(frozen=True, kw_only=True)
class Gpqa(OwnCopy, MarkedChoice):
    """Attributes: file: the user's copy of gpqa_diamond.csv, which is not to be put online."""

    sample: ClassVar[SampleSource] = SampleSource("gpqa")
    size: ClassVar[int] = 198
    on_hub: ClassVar = OnHub("Idavidrein/gpqa", "gpqa_diamond", "train", task_id="gpqa_diamond")
    columns: ClassVar[tuple[str, ...]] = (
        "Question", "Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2",
        "Incorrect Answer 3",
    )  # fmt: skip

    def item(self, subset: str, index: int, row: Row) -> Item:
        """The authors' zero-shot prompt; the index decides the order of the choices."""
        question, *answers = (row[name].strip() for name in self.columns)
        order = random.Random(f"gpqa/{index}").sample(range(4), 4)
        choices = "\n".join(f"{LABELS[at]} {answers[n]}" for at, n in enumerate(order))
        prompt = (
            f"What is the correct answer to this question: {question}\n\nChoices:\n{choices}\n\n"
            'Format your response as follows: "The correct answer is (insert answer here)"'
        )
        return make_item(self, subset, index, prompt, LABELS[order.index(0)], LABELS[:4])
