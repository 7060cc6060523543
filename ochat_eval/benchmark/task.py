"""What a benchmark must provide, and what every benchmark gets for it.

A benchmark is one class in `tasks/`: a frozen dataclass whose fields are its options and whose
methods say where its rows come from, how a prompt is built and how an answer is read. Its YAML
file in `conf/task/` names it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ochat_eval.data.source import Source
from ochat_eval.records import (
    RULES,
    Item,
    Reading,
    Request,
    Response,
    Rule,
    Sampling,
    Score,
    UserError,
    Verdict,
)


@dataclass(frozen=True)
class ScoringOptions:
    """What scoring may use.

    Attributes:
        sandbox: how model-written code is isolated: `bwrap` or `none`.
        workers: processes for code execution, for symbolic grading, and to read many answers.
        verdicts: gives the judges' verdicts on the responses to an item.
        judges: all that have given verdicts in the run.
        against: gives the responses to an item that a judge compares with.
    """

    sandbox: str
    workers: int
    verdicts: Callable[[str], Sequence[Verdict]] = lambda item_id: ()
    judges: tuple[str, ...] = ()
    against: Callable[[Item], Sequence[Response]] = lambda item: ()


@dataclass(frozen=True)
class Answered:
    """An item with the responses to it, ordered by sample and turn."""

    item: Item
    responses: tuple[Response, ...]


@dataclass(frozen=True)
class OnHub:
    """Where the Hugging Face hub has a benchmark, for model cards and what else goes there.

    Attributes:
        dataset: the data set's id, `owner/name`.
        config, split: of the data set; None for several configurations.
        task_id: the benchmark's name in the data set's `eval.yaml`; None where it has no such
            file, and so no leaderboard.
    """

    dataset: str
    config: str | None = None
    split: str | None = None
    task_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Task:
    """A benchmark. Subclasses add their options as fields and override the methods.

    Attributes:
        metric: what the score is called.
        bounds, scale: the least and greatest value of one item, and what turns their mean into
            the published unit: 100 for points.
        also: entries of a score's `detail`, true or false, that are summarised like its value.
        judged: responses are rated by a judge model; `judge_request` says what it is asked.
        scored_by_workers: `score` waits for processes of its own, so that others can be scored
            meanwhile.
        report_only: options that only add figures; a finished run can be reported with others.
        has_published_setting: options that differ from its file's are a change to something
            published, and reports mark it; not so a user's own benchmark.
        paths: options that name files of the user's own; a run's folder cannot.
        rule_options: options that choose how the published rule reads; reports name them.
        before: of options that came later, the value that says what was done until then: a run
            that has nothing of them was made so, and goes on.
        on_hub: where the hub has the same questions; None where it does not.
        published_with: by published row, the options that its figures were made with where they
            are not the defaults; a model that is compared with the row gets them.
        name: first part of every item id.
        data: `full` for the benchmark itself, `sample` for the repository's own few items;
            None takes the run's.
        subsets: ask only these subsets; None for all.
        limit: ask only so many items, a seeded sample stratified over the subsets, which a larger
            limit adds to; None for the run's limit.
        n: answers sampled per item.
        temperature, top_p, max_tokens: sampling; `max_tokens` None is what the context leaves.
        top_k, min_p, repetition_penalty, presence_penalty: more of it (`Sampling`).
        condition: the chat format's condition; dropped for models that have none.
    """

    metric: ClassVar[str] = "accuracy"
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    scale: ClassVar[float] = 100.0
    also: ClassVar[tuple[str, ...]] = ()
    judged: ClassVar[bool] = False
    scored_by_workers: ClassVar[bool] = False
    report_only: ClassVar[frozenset[str]] = frozenset()
    has_published_setting: ClassVar[bool] = True
    paths: ClassVar[frozenset[str]] = frozenset()
    before: ClassVar[Mapping[str, Any]] = {
        "top_k": None, "min_p": 0.0, "repetition_penalty": 1.0, "presence_penalty": 0.0,
    }  # fmt: skip
    rule_options: ClassVar[tuple[str, ...]] = ()
    on_hub: ClassVar[OnHub | None] = None
    published_with: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    name: str
    data: str | None = None
    subsets: list[str] | None = None
    limit: int | None = None
    n: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int | None = None
    condition: str | None = None
    top_k: int | None = None
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0

    def __post_init__(self) -> None:
        """Raises UserError for an option that nothing can be asked with."""
        for option in ("limit", "n", "max_tokens", "top_k"):
            value = getattr(self, option)
            if value is not None and value < 1:
                raise UserError(f"{self.name}: {option} is {value}; it must be at least 1")
        if not 0 < self.top_p <= 1:
            raise UserError(f"{self.name}: top_p is {self.top_p}; it must be above 0, at most 1")
        if not 0 <= self.min_p <= 1:
            raise UserError(f"{self.name}: min_p is {self.min_p}; it must be from 0 to 1")
        if not 0 < (penalty := self.repetition_penalty) < math.inf:
            raise UserError(f"{self.name}: repetition_penalty is {penalty}; it must be above 0")
        if not -2 <= (penalty := self.presence_penalty) <= 2:
            raise UserError(f"{self.name}: presence_penalty is {penalty}; it must be from -2 to 2")
        if self.data not in (None, "full", "sample"):
            raise UserError(f"{self.name}: data is {self.data}; it must be full or sample")
        if self.subsets == []:
            raise UserError(f"{self.name}: subsets is empty; name some, or null for all")
        check_temperature(f"{self.name}: temperature", self.temperature)

    def options(self) -> dict[str, Any]:
        """Its options and their values, for an identity: without those that only add figures, and
        those that are as they were before there was a choice."""
        every = dataclasses.asdict(self)
        return {
            name: value
            for name, value in every.items()
            if name not in self.report_only and self.before.get(name, ...) != value
        }

    def all_options(self) -> dict[str, Any]:
        """`options`, and those that are as they were before there was a choice."""
        return {**self.before, **self.options()}

    def sources(self) -> tuple[Source[Any], ...]:
        """The pinned data that `items` reads under these options."""
        raise NotImplementedError

    def items(self) -> Iterator[Item]:
        """Every item of the benchmark in the order of its source; subsets stay together."""
        raise NotImplementedError

    def expected_items(self) -> int | None:
        """How many items `items` must yield; None where nothing is published (sample items)."""
        raise NotImplementedError

    def read(self, item: Item, text: str, rule: Rule) -> Reading:
        """What the rule reads as the answer in a response."""
        raise NotImplementedError

    def right(self, item: Item, answer: str, rule: Rule) -> bool:
        """Whether an answer that was read is right under the rule."""
        raise NotImplementedError

    def code_problems(self) -> Mapping[str, tuple[str, str]]:
        """Where answers are code: by item id, the problem's name in its source (`HumanEval/0`)
        and the code that an answer continues. Other tools' files go by these."""
        return {}

    @property
    def executes_code(self) -> bool:
        """Whether `score` runs what models wrote: where it says whose code answers continue."""
        return type(self).code_problems is not Task.code_problems

    def scored(self, item: Item, responses: Sequence[Response]) -> Sequence[Response]:
        """Of the responses to an item, those that get scores: those to the last turn, of which the
        target is the answer."""
        if len(item.turns) == 1:
            return responses
        return [r for r in responses if r.turn == len(item.turns) - 1]

    def check_scoring(self, options: ScoringOptions) -> None:
        """Raises UserError where `score` could not work; asked before anything is generated."""

    def score(self, answered: Iterable[Answered], options: ScoringOptions) -> Iterator[Score]:
        """Both rules' verdicts on every response, in any order.

        The default is `scores_read`; benchmarks that execute or judge answers override it.
        """
        del options
        return (score for one in answered for score in self.scores_read(one))

    def scores_read(self, one: Answered) -> Iterator[Score]:
        """Both rules' verdicts on the responses to an item, each read by itself."""
        for response in self.scored(one.item, one.responses):
            for rule in RULES:
                reading = self.read(one.item, response.text, rule)
                value = reading.answer is not None and self.right(one.item, reading.answer, rule)
                yield score_of(response, rule, reading, value)

    @property
    def reads_alone(self) -> bool:
        """Whether `score` does nothing but `scores_read`: then any process can."""
        return type(self).score is Task.score

    def cause(self, item: Item, text: str, published: Score, robust: Score) -> str:
        """Why the two rules' values of one response differ, in a few words, the same for all alike.

        Args:
            text: the response.
            published, robust: the scores; their values differ.
        """
        del item, text
        if published.value is None or robust.value is None:
            return "read by one rule only"
        if published.answer == robust.answer:
            return "the same answer, compared otherwise"
        if not published.matched:
            return "published: nothing found" if published.answer is None else "published: fallback"
        return "robust: nothing stated" if not robust.matched else "another answer read"

    def quirks(self) -> dict[str, int]:
        """What the published setting leaves out or changes before anything is asked.

        Returns:
            The option that turns the quirk off and its effect -> how many rows of the benchmark
            it is about; empty where there is none, or all are turned off.
        """
        return {}

    def stated(self, item: Item) -> str | None:
        """A response that states the right answer as the prompt asks for it, for `advice`; None
        where there is no such text."""
        del item
        return None

    def advice(self) -> list[str]:
        """What a person should know of the rows before they cost anything, a line each, beside
        what `benchmark.advice` sees in the items."""
        return []

    def judge_request(self, one: Answered, response: Response, style: str) -> Request | None:
        """What a judge is asked about one of the responses, under the response's own key.

        Args:
            style: how the judge is asked (`conf/judge/`).

        Returns:
            None where it cannot be judged: an answer before it is missing.

        Raises:
            UserError: the benchmark does not know the style.
        """
        raise NotImplementedError

    def judge_style(self, style: str) -> str:
        """How a judge is asked that would be asked in this style; verdicts are named by it."""
        return style

    def compared_with(self) -> str | None:
        """The run whose answers a judge compares these with; None where it rates them."""
        return None

    def pair_request(
        self, one: Answered, response: Response, other: Sequence[Response], swapped: bool
    ) -> Request | None:
        """As `judge_request`, about the response and another run's to the same.

        Args:
            other: the other run's responses to the item.
            swapped: whether the other run's stands first.
        """
        raise NotImplementedError

    def judge_prompt_name(self, item: Item, turn: int) -> str:
        """What the prompt is called that a judge of the benchmark's own style is asked with."""
        raise NotImplementedError

    @property
    def has_figures(self) -> bool:
        """Whether `figures` gives any: it needs all items and scores in memory."""
        return type(self).figures is not Task.figures

    def figures(
        self, items: Sequence[Item], scores: Mapping[str, Sequence[Score]], rule: Rule
    ) -> dict[str, Any]:
        """More figures of one rule than the mean, which summary.json has beside it.

        Args:
            items: those that have scores, in the plan's order.
            scores: by item id, the rule's scores of its answers.

        Returns:
            By name, anything that is JSON. What is a mapping with `score` (in the figure's own
            unit; None where the data cannot tell) and `ci95` stands in the table's note too; so
            does the text `note`.
        """
        del items, scores, rule
        return {}

    def sampling(self, item: Item) -> Sampling:
        """How an item's answers are drawn; the seed is set per request."""
        return Sampling(
            self._temperature(item),
            self.top_p,
            self.max_tokens,
            top_k=self.top_k,
            min_p=self.min_p,
            repetition_penalty=self.repetition_penalty,
            presence_penalty=self.presence_penalty,
        )

    def _temperature(self, item: Item) -> float:
        del item
        return self.temperature

    def sampled(self, **values: Any) -> Task:
        """The same benchmark with all its answers drawn so; `values` are of its options."""
        return dataclasses.replace(self, **values)

    def cluster(self, item: Item) -> str:
        """Items with the same cluster share a passage or a question (docs/benchmarks.md)."""
        return item.cluster or item.id

    def stratum(self, item: Item) -> str:
        """Items of one stratum are a fixed part of the benchmark, as a subject is."""
        return item.stratum or item.subset


def check_temperature(option: str, value: float) -> None:
    """Raises UserError, naming the option, for a temperature that there is not."""
    if not 0 <= value < math.inf:
        raise UserError(f"{option} is {value}; it must be a number from 0 up")


def score_of(response: Response, rule: Rule, reading: Reading, value: float) -> Score:
    """The score record for a reading; its span goes into `detail`."""
    detail = {"span": list(reading.span)} if reading.span else None
    return Score(
        response.id,
        response.sample,
        rule,
        reading.answer,
        reading.matched,
        float(value),
        detail,
        response.turn,
    )


def make_item(
    task: Task,
    subset: str,
    index: int,
    prompt: str | Sequence[str],
    target: str | Sequence[str],
    choices: Sequence[str] | None = None,
) -> Item:
    """An item of a task; one string stands for one turn or one right answer."""
    return Item(
        id=f"{task.name}/{subset}/{index}",
        task=task.name,
        subset=subset,
        index=index,
        turns=(prompt,) if isinstance(prompt, str) else tuple(prompt),
        target=(target,) if isinstance(target, str) else tuple(target),
        choices=None if choices is None else tuple(choices),
        condition=task.condition,
    )
