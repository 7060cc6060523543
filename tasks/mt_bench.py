"""MT-Bench (Zheng et al. 2023): 80 questions of two turns in eight categories, rated by a judge.

Published setting: FastChat's questions and its temperatures by category.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ochat_eval.records import Item, Sampling, Score
from ochat_eval.sources import SampleSource, Source, files_of
from ochat_eval.task import Answered, ScoringOptions, Task, make_item

QUESTIONS = files_of("fastchat")["fastchat/llm_judge/data/mt_bench/question.jsonl"]
SAMPLE = SampleSource("mt_bench")


@dataclass(frozen=True, kw_only=True)
class MtBench(Task):
    """Attributes: temperatures: by category; the others have `temperature`."""

    metric: ClassVar[str] = "rating"
    bounds: ClassVar[tuple[float, float]] = (1.0, 10.0)
    scale: ClassVar[float] = 1.0

    condition: str | None = "GPT4 Correct"
    max_tokens: int | None = 4096
    temperatures: dict[str, float] = field(
        default_factory=lambda: {"writing": 0.7, "roleplay": 0.7, "stem": 0.1, "humanities": 0.1}
    )

    def sources(self) -> tuple[Source[Any], ...]:
        return (SAMPLE if self.data == "sample" else QUESTIONS,)

    def expected_items(self) -> int | None:
        return None if self.data == "sample" else 80

    def items(self) -> Iterator[Item]:
        """The subset is the category, the index the question id."""
        rows = SAMPLE.load() if self.data == "sample" else QUESTIONS.jsonl()
        for row in rows:
            yield make_item(self, row["category"], row["question_id"], row["turns"], ())

    def sampling(self, item: Item) -> Sampling:
        temperature = self.temperatures.get(item.subset, self.temperature)
        return Sampling(temperature, self.top_p, self.max_tokens)

    def score(self, answered: Iterable[Answered], options: ScoringOptions) -> Iterator[Score]:
        """No scores: there is no judge yet, and nothing else can rate these answers."""
        del answered, options
        return iter(())
