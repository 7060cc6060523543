"""MT-Bench (Zheng et al. 2023): 80 questions of two turns in eight categories, rated by a judge.

Published setting: FastChat's questions, its temperatures by category, and its single-answer
grading: each turn is rated by itself, math, reasoning and coding with a reference answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar

from ochat_eval.answers.feedback import feedback_rating
from ochat_eval.answers.rating import published_rating, robust_rating
from ochat_eval.benchmark.feedback import feedback_prompt
from ochat_eval.benchmark.judged import Judged, conversation
from ochat_eval.benchmark.task import OnHub, Task, check_temperature, make_item
from ochat_eval.data.files import files_of
from ochat_eval.data.rows import Row
from ochat_eval.data.shipped import SampleSource
from ochat_eval.data.source import Source
from ochat_eval.records import Item, Message, Reading, Response, Rule, Score, UserError

_DATA = "fastchat/llm_judge/data"
QUESTIONS = files_of("fastchat")[f"{_DATA}/mt_bench/question.jsonl"]
REFERENCES = files_of("fastchat")[f"{_DATA}/mt_bench/reference_answer/gpt-4.jsonl"]
PROMPTS = files_of("fastchat")[f"{_DATA}/judge_prompts.jsonl"]
SAMPLE = SampleSource("mt_bench")
SAMPLE_PROMPTS = SampleSource("mt_bench_judge")

CATEGORIES = (
    *("writing", "roleplay", "reasoning", "math"),
    *("coding", "extraction", "stem", "humanities"),
)
WITH_REFERENCE = ("math", "reasoning", "coding")
"""Categories that are judged with a reference answer."""
DISPUTED = frozenset((104, 105, 109, 111, 113, 114, 120, 122, 124, 125, 126, 128, 130))
"""Questions whose reference answer is disputed in FastChat's tracker."""

_CRITERION = "How well the response serves the person who wrote the instruction."
_LEVELS = (
    "It does not do what is asked, or is wrong or unusable throughout.",
    "It does a part of what is asked, with serious mistakes or gaps.",
    "It does what is asked in the main, with mistakes or gaps that one notices.",
    "It does all that is asked, with small flaws only.",
    "It does all that is asked: right, complete, clear and helpful.",
)
_NO_REFERENCE = "(none is given; imagine the best answer that you can)"


@dataclass(frozen=True, kw_only=True)
class MtBench(Judged):
    """Attributes:
    temperatures: by category; the others have `temperature`.
    undisputed: report the score without the disputed questions, too.
    """

    bounds: ClassVar[tuple[float, float]] = (1.0, 10.0)
    on_hub: ClassVar[OnHub | None] = OnHub("HuggingFaceH4/mt_bench_prompts", split="train")
    report_only: ClassVar[frozenset[str]] = frozenset({"undisputed"})

    condition: str | None = "GPT4 Correct"
    max_tokens: int | None = 4096
    temperatures: dict[str, float] = field(
        default_factory=lambda: {"writing": 0.7, "roleplay": 0.7, "stem": 0.1, "humanities": 0.1}
    )
    undisputed: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for category, value in self.temperatures.items():
            option = f"tasks.{self.name}.temperatures.{category}"
            if category not in CATEGORIES:
                raise UserError(f"{option}: the categories are {', '.join(CATEGORIES)}")
            check_temperature(option, value)

    def sources(self) -> tuple[Source[Any], ...]:
        if self.data == "sample":
            return (SAMPLE, SAMPLE_PROMPTS)
        return (QUESTIONS, PROMPTS, REFERENCES)

    def expected_items(self) -> int | None:
        return None if self.data == "sample" else 80

    def items(self) -> Iterator[Item]:
        """The subset is the category, the index the question id."""
        rows = SAMPLE.load() if self.data == "sample" else QUESTIONS.jsonl()
        for row in rows:
            yield make_item(self, row["category"], row["question_id"], row["turns"], ())

    def _temperature(self, item: Item) -> float:
        return self.temperatures.get(item.subset, self.temperature)

    def sampled(self, **values: Any) -> Task:
        if "temperature" in values:
            values["temperatures"] = {}
        return super().sampled(**values)

    def scored(self, item: Item, responses: Sequence[Response]) -> Sequence[Response]:
        """Every turn is rated by itself."""
        del item
        return responses

    def rating_messages(
        self, item: Item, answers: Sequence[str], style: str
    ) -> tuple[Message, ...]:
        """Style `graded`: FastChat's prompts; `feedback`: the feedback evaluator with a rubric."""
        if style == "graded":
            name = self.judge_prompt_name(item, len(answers) - 1)
            return self._filled(item, name, {"answer": answers})
        if style == "feedback":
            return (Message("user", self._feedback(item, answers)),)
        raise UserError(f"judge.style={style}: {self.name} has the styles graded and feedback")

    def pair_messages(
        self, item: Item, first: Sequence[str], second: Sequence[str]
    ) -> tuple[Message, ...]:
        """FastChat's prompts for pairs."""
        name = "pair-math-v1" if item.subset in WITH_REFERENCE else "pair-v2"
        more = "-multi-turn" * (len(first) - 1)
        return self._filled(item, name + more, {"answer_a": first, "answer_b": second})

    def judge_prompt_name(self, item: Item, turn: int) -> str:
        name = "single-math-v1" if item.subset in WITH_REFERENCE else "single-v1"
        return name + "-multi-turn" * turn

    def _reference(self, item: Item) -> list[str] | None:
        """The reference answers to both turns, where the category is judged with them."""
        if item.subset not in WITH_REFERENCE:
            return None
        return _references(self.data == "sample")[item.index]

    def _filled(
        self, item: Item, name: str, answers: Mapping[str, Sequence[str]]
    ) -> tuple[Message, ...]:
        """One of FastChat's prompts; `answers` by the name that it has for them."""
        prompt = _prompts(self.data == "sample")[name]
        named = {"question": item.turns[0]}
        for n, question in enumerate(item.turns, 1):
            named[f"question_{n}"] = question
        for whose, texts in answers.items():
            named[whose] = texts[0]
            named |= {f"{whose}_{n}": text for n, text in enumerate(texts, 1)}
        for n, text in enumerate(self._reference(item) or (), 1):
            named[f"ref_answer_{n}"] = text
        filled = prompt["prompt_template"].format(**named)
        return (Message("system", prompt["system_prompt"]), Message("user", filled))

    def _feedback(self, item: Item, answers: Sequence[str]) -> str:
        reference, last = self._reference(item), len(answers) - 1
        return feedback_prompt(
            conversation(item.turns, answers),
            answers[last],
            reference[last] if reference else _NO_REFERENCE,
            _CRITERION,
            _LEVELS,
        )

    def range_of(self, style: str) -> tuple[float, float]:
        return (1, 5) if style == "feedback" else super().range_of(style)

    def figures(
        self, items: Sequence[Item], scores: Mapping[str, Sequence[Score]], rule: Rule
    ) -> dict[str, Any]:
        """As `Judged`, and the turns."""
        every = [(item, score) for item in items for score in scores[item.id]]
        found = super().figures(items, scores, rule)
        if (every[0][1].detail or {})["style"] == "feedback":
            found["incomparable"] = "rated 1 to 5, not 1 to 10"
        elif self.against is not None:
            found["incomparable"] = "compared, not rated"
        for turn in sorted({score.turn for _, score in every}):
            found[f"turn_{turn + 1}"] = self._of([p for p in every if p[1].turn == turn])
        if self.undisputed:
            found["undisputed"] = self._of([p for p in every if p[0].index not in DISPUTED])
        return found

    def _of(self, pairs: Sequence[tuple[Item, Score]]) -> dict[str, Any]:
        return self.figure(pairs, (score.value for _, score in pairs))

    def rating(self, text: str, rule: Rule, style: str) -> tuple[Reading, float | None]:
        """1 to 10 when graded, 1 to 5 as feedback."""
        if style == "feedback":
            reading = feedback_rating(text, rule)
        else:
            reading = published_rating(text) if rule == "published" else robust_rating(text)
        return reading, None if reading.answer is None else float(reading.answer)


@lru_cache
def _prompts(sample: bool) -> dict[str, Row]:
    """FastChat's judge prompts by name, or the repository's own."""
    rows = SAMPLE_PROMPTS.load() if sample else PROMPTS.jsonl()
    return {row["name"]: row for row in rows}


@lru_cache
def _references(sample: bool) -> dict[int, list[str]]:
    """The reference answers by question id."""
    if sample:
        return {r["question_id"]: r["reference"] for r in SAMPLE.load() if "reference" in r}
    return {row["question_id"]: row["choices"][0]["turns"] for row in REFERENCES.jsonl()}
