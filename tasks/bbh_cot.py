"""BIG-Bench Hard (Suzgun et al. 2022): 27 subsets, three examples with reasoning.

Published setting: openchat's evaluation of January 2024. 17 subsets are answered with a label,
ten with text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from ochat_eval.benchmark.fewshot import first_examples
from ochat_eval.benchmark.shapes import MarkedText, WorkedExamples, by_subset
from ochat_eval.benchmark.task import make_item
from ochat_eval.data.files import files_of
from ochat_eval.data.rows import Row
from ochat_eval.data.shipped import SampleSource
from ochat_eval.data.source import Source
from ochat_eval.records import Item

FILES = files_of("bbh")
SUBSETS = sorted(path[4:-5] for path in FILES if path.startswith("bbh/"))
SAMPLE = SampleSource("bbh_cot")
_LABEL = re.compile(r"^\([A-Z]\)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class BbhCot(WorkedExamples, MarkedText):
    """Attributes: num_fewshot: examples before the question, from 0 to 3; None for all 3. The
    subset's description stays with none.
    """

    question_end: ClassVar[str] = "A: Let's think step by step."

    condition: str | None = "GPT4 Correct"

    def sources(self) -> tuple[Source[Any], ...]:
        return (SAMPLE,) if self.data == "sample" else tuple(FILES.values())

    def expected_items(self) -> int | None:
        return None if self.data == "sample" else 6511

    def items(self) -> Iterator[Item]:
        for subset, prompt, rows in self._subsets():
            # What stands above the line is the file's canary.
            block = prompt.split("-----\n", maxsplit=1)[1] + "\n\n"
            option = f"tasks.{self.name}.num_fewshot"
            examples = first_examples(block, "Q: ", self.num_fewshot, option)
            for index, row in enumerate(rows):
                question = f"Q: {row['input']}\n{self.question_end}"
                choices = _LABEL.findall(row["input"])
                item = make_item(self, subset, index, question, row["target"], choices or None)
                yield self.asked(item, examples, "Q: ")

    def _subsets(self) -> Iterator[tuple[str, str, list[Row]]]:
        """Each subset with its file of examples and its rows."""
        if self.data != "sample":
            for subset in SUBSETS:
                rows = json.loads(FILES[f"bbh/{subset}.json"].text())["examples"]
                yield subset, FILES[f"cot-prompts/{subset}.txt"].text(), rows
        else:
            for subset, rows in by_subset(SAMPLE.load()).items():
                prompt = "".join(row["prompt"] for row in rows if "prompt" in row)
                yield subset, prompt, [row for row in rows if "prompt" not in row]
