"""MATH (Hendrycks et al. 2021): 5,000 competition problems in seven subjects, zero-shot.

Published setting: openchat's evaluation of January 2024, graded as in PRM800K.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from ochat_eval.math_grader import (
    grade,
    grade_job,
    last_boxed,
    published_answer,
    verify,
    verify_job,
)
from ochat_eval.records import Item, Reading, Response, Rule, Score
from ochat_eval.shapes import RowTask
from ochat_eval.sources import HubSource, Row, SampleSource
from ochat_eval.task import Answered, ScoringOptions, make_item, score_of
from ochat_eval.workers import Killed, run_jobs

# subject: rows of the test split, and their digest
_PINS = {
    "algebra": (1187, "2deef9e5ddbc76e9f83da0bdd84628337c580bdb7eb1ca3da50842274e6535ee"),
    "counting_and_probability": (
        474,
        "3d473b7a1ecbaff3390d5a604fc28c4d6f822ad197cfc6377a167e54e7a14a74",
    ),
    "geometry": (479, "486c7aaadb13b7f03b89c90868548aa48a04bc0b49bdfc6c4c3dc245d44577aa"),
    "intermediate_algebra": (
        903,
        "c6b4b3d21f1d85ecaa74906d90c935385c99df830bb075ff89384a23b4b0fdd6",
    ),
    "number_theory": (540, "f3709e00fa7cb153df904401f1c64f599da1cee90dca7482f443b0618baa1ff8"),
    "prealgebra": (871, "8f3255bacfee5ea8ea64ffedb375533a8b29f3dd0a96f4b0b4916e3bf7bd7c40"),
    "precalculus": (546, "501f2fee1befd1f4a7fa2a29fd81cfe1c3e0ff60f82118fd8fa60ac0fb0daad7"),
}

SECONDS = 10.0
"""Wall time for one grade; nearly all take milliseconds."""
MEMORY_BYTES = 2 << 30
"""Address space of a grading process, its imports included."""

T = TypeVar("T")
V = TypeVar("V")

_Pair = tuple[str, str]  # what is graded, and the gold answer
_UNREAD = Reading(None, matched=False)


@dataclass(frozen=True, kw_only=True)
class Math(RowTask):
    """No options beyond `Task`'s."""

    full: ClassVar[Mapping[str, HubSource]] = {
        subject: HubSource(
            id="EleutherAI/hendrycks_math",
            config=subject,
            split="test",
            revision="21a5633873b6a120296cce3e2df9d5550074f4a3",
            rows=rows,
            digest=digest,
        )
        for subject, (rows, digest) in _PINS.items()
    }
    sample: ClassVar[SampleSource] = SampleSource("math")
    size: ClassVar[int] = 5000

    condition: str | None = "Math Correct"

    def item(self, subset: str, index: int, row: Row) -> Item:
        """The problem as it is; its label is the last box of the solution."""
        box = last_boxed(row["solution"])
        if box is None:
            raise ValueError(f"{self.name}/{subset}/{index}: the solution has no box")
        return make_item(self, subset, index, row["problem"], row["solution"][slice(*box)])

    def score(self, answered: Iterable[Answered], options: ScoringOptions) -> Iterator[Score]:
        """Grades in processes that can be killed, each pair of texts only once per rule."""
        published: dict[_Pair, list[tuple[Response, Reading]]] = {}
        robust: dict[_Pair, list[Response]] = {}
        for one in answered:
            gold = one.item.target[0]
            for response in one.responses:
                reading = published_answer(response.text)
                published.setdefault((reading.answer or "", gold), []).append((response, reading))
                robust.setdefault((response.text, gold), []).append(response)

        for right, read in _graded(grade_job, published, options.workers):
            for response, reading in read:
                yield _score(response, "published", reading, right)
        for verdict, responses in _graded(verify_job, robust, options.workers):
            right, reading = (verdict, _UNREAD) if isinstance(verdict, Killed) else verdict
            for response in responses:
                yield _score(response, "robust", reading, right)


def warm_up() -> None:
    """Brings a grading process to the point where a grade takes no more imports."""
    grade("x+1", "1+x")
    verify(r"$\frac{1}{2}$", "0.5")


def _graded(
    function: Callable[[_Pair], T], jobs: Mapping[_Pair, V], workers: int
) -> Iterator[tuple[T | Killed, V]]:
    """What the function gives for each pair, or why it was killed, with the pair's value."""
    pairs = list(jobs)
    results = run_jobs(
        function,
        pairs,
        workers=workers,
        seconds=SECONDS,
        memory_bytes=MEMORY_BYTES,
        setup=warm_up,
    )
    for place, result in results:
        yield result, jobs[pairs[place]]


def _score(response: Response, rule: Rule, reading: Reading, right: bool | Killed) -> Score:
    """The verdict as a score; a grade that was killed is wrong, with the reason."""
    score = score_of(response, rule, reading, right is True)
    return score.with_detail(reason=right.reason) if isinstance(right, Killed) else score
