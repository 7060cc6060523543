"""What a benchmark must provide, and what every benchmark gets for it.

A benchmark is one class in `tasks/`: a frozen dataclass whose fields are its options and whose
methods say where its rows come from, how a prompt is built and how an answer is read. Its YAML
file in `conf/task/` names it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ochat_eval.records import (
    RULES,
    Item,
    Reading,
    Response,
    Rule,
    Sampling,
    Score,
    UserError,
)
from ochat_eval.sources import Source


@dataclass(frozen=True)
class ScoringOptions:
    """What scoring may use.

    Attributes:
        sandbox: how model-written code is isolated: `bwrap` or `none`.
        workers: processes for code execution and for symbolic grading.
    """

    sandbox: str
    workers: int


@dataclass(frozen=True)
class Answered:
    """An item with the responses to it, ordered by sample and turn."""

    item: Item
    responses: tuple[Response, ...]


@dataclass(frozen=True, kw_only=True)
class Task:
    """A benchmark. Subclasses add their options as fields and override the methods.

    Attributes:
        metric: what the score is called.
        bounds, scale: the least and greatest value of one item, and what turns their mean into
            the published unit: 100 for points.
        also: entries of a score's `detail`, true or false, that are summarised like its value.
        name: first part of every item id.
        data: `full` for the benchmark itself, `sample` for the repository's own few items;
            None takes the run's.
        subsets: ask only these subsets; None for all.
        limit: ask only so many items, a seeded sample stratified over the subsets; None for the
            run's limit.
        n: answers sampled per item.
        temperature, top_p, max_tokens: sampling; `max_tokens` None is what the context leaves.
        condition: the chat format's condition; dropped for models that have none.
    """

    metric: ClassVar[str] = "accuracy"
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    scale: ClassVar[float] = 100.0
    also: ClassVar[tuple[str, ...]] = ()

    name: str
    data: str | None = None
    subsets: list[str] | None = None
    limit: int | None = None
    n: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int | None = None
    condition: str | None = None

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

    def check_scoring(self, options: ScoringOptions) -> None:
        """Raises UserError where `score` could not work; asked before anything is generated."""

    def score(self, answered: Iterable[Answered], options: ScoringOptions) -> Iterator[Score]:
        """Both rules' verdicts on every response, in any order.

        The default reads and compares one response at a time; benchmarks that execute or judge
        answers override it.
        """
        del options
        for one in answered:
            for response in one.responses:
                for rule in RULES:
                    reading = self.read(one.item, response.text, rule)
                    value = reading.answer is not None and self.right(
                        one.item, reading.answer, rule
                    )
                    yield score_of(response, rule, reading, value)

    def sampling(self, item: Item) -> Sampling:
        """How an item's answers are drawn; the seed is set per request."""
        del item
        return Sampling(self.temperature, self.top_p, self.max_tokens)

    def cluster(self, item: Item) -> str:
        """Items with the same cluster share a passage or a question (DESIGN: statistics)."""
        return item.id

    def stratum(self, item: Item) -> str:
        """Items of one stratum are a fixed part of the benchmark, as a subject is."""
        return item.subset


def score_of(response: Response, rule: Rule, reading: Reading, value: float) -> Score:
    """The score record for a reading; its span goes into `detail`."""
    detail = {"span": list(reading.span)} if reading.span else None
    return Score(
        response.id, response.sample, rule, reading.answer, reading.matched, float(value), detail
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


def selected_items(task: Task, seed: int) -> tuple[list[Item], int]:
    """The items that a task's options ask for, in source order, and how many it has in all.

    `limit` takes a systematic sample: the items shuffled within their subsets, then every
    (N/limit)-th from a random start, so that each subset gets its share and each item the same
    chance (Cochran, Sampling Techniques, ch. 8).

    Raises:
        UserError: another number of rows than the benchmark has, an unknown subset, or a limit
            below 1.
    """
    items = list(task.items())
    total, expected = len(items), task.expected_items()
    if expected is not None and total != expected:
        raise UserError(
            f"{task.name}: the data yields {total:,} items where the benchmark has {expected:,}; "
            "the data or the options are not the published ones"
        )
    if task.subsets is not None:
        known = {item.subset: None for item in items}
        if unknown := [s for s in task.subsets if s not in known]:
            raise UserError(
                f"tasks.{task.name}.subsets: {task.name} has no subset {unknown[0]!r}; "
                f"it has {', '.join(known)}"
            )
        wanted = set(task.subsets)
        items = [item for item in items if item.subset in wanted]
    if task.limit is not None:
        if task.limit < 1:
            raise UserError(f"limit is {task.limit}; it must be at least 1")
        items = _stratified(items, task.limit, random.Random(f"{seed}/{task.name}"))
    return items, total


def _stratified(items: list[Item], limit: int, rng: random.Random) -> list[Item]:
    if limit >= len(items):
        return items
    by_subset: dict[str, list[int]] = {}
    for position, item in enumerate(items):
        by_subset.setdefault(item.subset, []).append(position)
    order: list[int] = []
    for positions in by_subset.values():
        rng.shuffle(positions)
        order += positions
    start = rng.random()
    chosen = {order[math.floor((start + k) * len(order) / limit)] for k in range(limit)}
    return [items[position] for position in sorted(chosen)]
