"""MT-Bench (Zheng et al. 2023): 80 questions of two turns in eight categories, rated by a judge.

Published setting: FastChat's questions, its temperatures by category, and its single-answer
grading: each turn is rated by itself, math, reasoning and coding with a reference answer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar

from ochat_eval import stats
from ochat_eval.answers.feedback import feedback_rating
from ochat_eval.answers.rating import published_rating, robust_rating
from ochat_eval.benchmark.feedback import feedback_prompt
from ochat_eval.benchmark.task import (
    Answered,
    OnHub,
    ScoringOptions,
    Task,
    check_temperature,
    make_item,
)
from ochat_eval.data.files import files_of
from ochat_eval.data.rows import Row
from ochat_eval.data.shipped import SampleSource
from ochat_eval.data.source import Source
from ochat_eval.records import (
    RULES,
    Item,
    Message,
    Reading,
    Request,
    Response,
    Rule,
    Sampling,
    Score,
    UserError,
    Verdict,
)

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
class MtBench(Task):
    """Attributes:
    temperatures: by category; the others have `temperature`.
    undisputed: report the score without the disputed questions, too.
    """

    metric: ClassVar[str] = "rating"
    bounds: ClassVar[tuple[float, float]] = (1.0, 10.0)
    scale: ClassVar[float] = 1.0
    judged: ClassVar[bool] = True
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

    def judge_request(self, one: Answered, response: Response, style: str) -> Request | None:
        """Style `graded`: FastChat's prompts; `feedback`: the feedback evaluator with a rubric."""
        texts = {r.turn: r.text for r in one.responses if r.sample == response.sample}
        answers = [texts[turn] for turn in range(response.turn + 1) if turn in texts]
        if len(answers) <= response.turn:
            return None
        if style == "graded":
            messages = self._graded(one.item, answers)
        elif style == "feedback":
            messages = (Message("user", self._feedback(one.item, answers)),)
        else:
            raise UserError(f"judge.style={style}: {self.name} has the styles graded and feedback")
        return Request(*response.key, messages, None, Sampling())

    def judge_prompt_name(self, item: Item, turn: int) -> str:
        name = "single-math-v1" if item.subset in WITH_REFERENCE else "single-v1"
        return name + "-multi-turn" * turn

    def _reference(self, item: Item) -> list[str] | None:
        """The reference answers to both turns, where the category is judged with them."""
        if item.subset not in WITH_REFERENCE:
            return None
        return _references(self.data == "sample")[item.index]

    def _graded(self, item: Item, answers: Sequence[str]) -> tuple[Message, ...]:
        reference = self._reference(item)
        name = self.judge_prompt_name(item, len(answers) - 1)
        prompt = _prompts(self.data == "sample")[name]
        named = {"question": item.turns[0], "answer": answers[0]}
        for n, (question, answer) in enumerate(zip(item.turns, answers, strict=False), 1):
            named |= {f"question_{n}": question, f"answer_{n}": answer}
        for n, text in enumerate(reference or (), 1):
            named[f"ref_answer_{n}"] = text
        filled = prompt["prompt_template"].format(**named)
        return (Message("system", prompt["system_prompt"]), Message("user", filled))

    def _feedback(self, item: Item, answers: Sequence[str]) -> str:
        reference, last = self._reference(item), len(answers) - 1
        instruction = item.turns[0]
        for question, answer in zip(item.turns[1:], answers[:-1], strict=False):
            instruction += f"\n\n[the response was]\n{answer}\n\n[and then was asked]\n{question}"
        return feedback_prompt(
            instruction,
            answers[last],
            reference[last] if reference else _NO_REFERENCE,
            _CRITERION,
            _LEVELS,
        )

    def score(self, answered: Iterable[Answered], options: ScoringOptions) -> Iterator[Score]:
        """Both rules' readings of the verdicts; what has no verdict has no score.

        A verdict on another answer than the present one is no verdict.
        """
        for one in answered:
            verdicts = {v.key: v for v in options.verdicts(one.item.id)}
            for response in one.responses:
                verdict = verdicts.get(response.key)
                if verdict is None:
                    continue
                request = self.judge_request(one, response, verdict.style)
                if request is not None and request.digest == verdict.prompt:
                    yield from _scores(verdict)

    def figures(
        self, items: Sequence[Item], scores: Mapping[str, Sequence[Score]], rule: Rule
    ) -> dict[str, Any]:
        """The turns, the share of unread verdicts and what it can matter, who judged."""
        every = [(item, score) for item in items for score in scores[item.id]]
        details = [score.detail or {} for _, score in every]
        judges = sorted({f"{d['judge']} ({d['style']})" for d in details})
        worst, best = (1, 5) if details[0]["style"] == "feedback" else (1, 10)
        found: dict[str, Any] = {"note": f"judge: {', '.join(judges)}, {worst} to {best}"}
        if best != 10:
            found["incomparable"] = f"rated {worst} to {best}, not 1 to 10"
        for turn in sorted({score.turn for _, score in every}):
            found[f"turn_{turn + 1}"] = _figure([p for p in every if p[1].turn == turn])
        unread = sum(score.value is None for _, score in every)
        found["unparsed"] = unread / len(every)
        if unread:
            for name, value in (("if_worst", worst), ("if_best", best)):
                found[name] = _figure(every, value)
        if self.undisputed:
            found["undisputed"] = _figure([p for p in every if p[0].index not in DISPUTED])
        return found


def _figure(pairs: Iterable[tuple[Item, Score]], unread: float | None = None) -> dict[str, Any]:
    """The mean rating, questions as clusters, categories as strata; `unread` stands for what could
    not be read."""
    values: list[float] = []
    clusters: list[str] = []
    strata: list[str] = []
    by_turn: defaultdict[tuple[Item, int], list[float]] = defaultdict(list)
    for item, score in pairs:
        value = unread if score.value is None else score.value
        if value is not None:
            by_turn[item, score.turn].append(value)
    for (item, _), ratings in by_turn.items():
        values.append(stats.mean(ratings))
        clusters.append(item.id)
        strata.append(item.subset)
    if not values:
        return {"score": None, "n": 0, "stderr": None, "ci95": [None, None]}
    found = stats.estimate(
        values, clusters=clusters, strata=strata, bounds=MtBench.bounds, scale=1.0
    )
    return {
        "score": found.score,
        "n": found.n,
        "stderr": found.stderr,
        "ci95": [found.lo, found.hi],
    }


def _scores(verdict: Verdict) -> Iterator[Score]:
    for rule in RULES:
        reading, value = rating(verdict.text, rule, verdict.style)
        detail: dict[str, Any] = {"judge": verdict.judge, "style": verdict.style}
        if reading.span:
            detail["verdict_span"] = list(reading.span)
        if verdict.finish_reason == "length":
            detail["reason"] = "the verdict was cut off"
        yield Score(
            verdict.id,
            verdict.sample,
            rule,
            reading.answer,
            reading.matched,
            value,
            detail,
            verdict.turn,
        )


def rating(text: str, rule: Rule, style: str) -> tuple[Reading, float | None]:
    """What a verdict says: 1 to 10 when graded, 1 to 5 as feedback; None where it says nothing."""
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
