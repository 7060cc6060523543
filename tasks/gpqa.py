"""GPQA diamond (Rein et al. 2023): 198 questions for experts, four choices, zero-shot."""

import random
from dataclasses import dataclass
from typing import ClassVar

from ochat_eval.records import Item
from ochat_eval.shapes import LABELS, MarkedChoice, OwnCopy
from ochat_eval.sources import Row, SampleSource
from ochat_eval.task import make_item


@dataclass(frozen=True, kw_only=True)
class Gpqa(OwnCopy, MarkedChoice):
    """Attributes: file: the user's copy of gpqa_diamond.csv, which is not to be put online."""

    sample: ClassVar[SampleSource] = SampleSource("gpqa")
    size: ClassVar[int] = 198

    def item(self, subset: str, index: int, row: Row) -> Item:
        """The authors' zero-shot prompt, the choices in an order that the index decides."""
        answers = [row["Correct Answer"], *(row[f"Incorrect Answer {n}"] for n in (1, 2, 3))]
        order = random.Random(f"gpqa/{index}").sample(range(4), 4)
        choices = [f"{LABELS[at]} {answers[n].strip()}" for at, n in enumerate(order)]
        prompt = (
            f"What is the correct answer to this question: {row['Question'].strip()}\n\nChoices:\n"
            + "\n".join(choices)
            + '\n\nFormat your response as follows: "The correct answer is (insert answer here)"'
        )
        return make_item(self, subset, index, prompt, LABELS[order.index(0)], LABELS[:4])
