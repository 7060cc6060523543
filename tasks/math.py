"""MATH (Hendrycks et al. 2021): 5,000 competition problems in seven subjects, zero-shot.

Published setting: openchat's evaluation of January 2024, graded as in PRM800K.
"""

from __future__ import annotations

import gc
import importlib.metadata
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import ochat_eval.records
from ochat_eval import answers
from ochat_eval.answers.math import (
    grade,
    grade_plainly,
    last_boxed,
    published_answer,
    verify,
    verify_plainly,
)
from ochat_eval.benchmark.shapes import BEFORE_MATH_MODE, RowTask
from ochat_eval.benchmark.task import Answered, OnHub, ScoringOptions, make_item, score_of
from ochat_eval.data.hub import HubSource
from ochat_eval.data.rows import Row
from ochat_eval.data.shipped import SampleSource
from ochat_eval.records import Item, Reading, Response, Rule, Score
from ochat_eval.sandbox.kept import Kept, rules_digest
from ochat_eval.sandbox.workers import Killed, run_jobs

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

_Job = tuple[Rule, str, str]  # the rule, what is graded, and the gold answer
_Verdict = tuple[bool, Reading | None]  # what was read, where that was not known before
_UNREAD = Reading(None, matched=False)


class _Known(NamedTuple):
    """A verdict that no process need be asked for."""

    verdict: _Verdict


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
    on_hub: ClassVar[OnHub | None] = OnHub("EleutherAI/hendrycks_math", split="test")
    scored_by_workers: ClassVar[bool] = True
    published_with: ClassVar[Mapping[str, Mapping[str, Any]]] = BEFORE_MATH_MODE

    condition: str | None = "Math Correct"

    def item(self, subset: str, index: int, row: Row) -> Item:
        """The problem as it is; its label is the last box of the solution."""
        box = last_boxed(row["solution"])
        if box is None:
            raise ValueError(f"{self.name}/{subset}/{index}: the solution has no box")
        return make_item(self, subset, index, row["problem"], row["solution"][slice(*box)])

    def score(self, answered: Iterable[Answered], options: ScoringOptions) -> Iterator[Score]:
        """Grades in processes that can be killed, and never again what was graded before."""
        kept: Kept[_Verdict] = Kept("math", _rules(), _Verdict)
        with kept:
            yield from self._graded(answered, options, kept)

    def _graded(
        self, answered: Iterable[Answered], options: ScoringOptions, kept: Kept[_Verdict]
    ) -> Iterator[Score]:
        """The scores; equal answers to an item are one job."""
        waiting: dict[int, tuple[_Job, list[tuple[Response, Reading]]]] = {}

        def known(job: _Job) -> _Known | None:
            verdict = judge_plainly(job) or kept.get(job)
            return None if verdict is None else _Known(verdict)

        def jobs() -> Iterator[_Job]:
            places = count()
            for one in answered:
                gold, asked = one.item.target[0], defaultdict[_Job, list[Any]](list)
                for response in one.responses:
                    read = published_answer(response.text)
                    asked["published", read.answer or "", gold].append((response, read))
                    asked["robust", response.text, gold].append((response, _UNREAD))
                for job, who in asked.items():
                    waiting[next(places)] = job, who
                    yield job

        results: Iterator[tuple[int, _Verdict | _Known | Killed]] = run_jobs(
            judge,
            jobs(),
            workers=options.workers,
            seconds=SECONDS,
            memory_bytes=MEMORY_BYTES,
            setup=warm_up,
            here=known,
        )
        for place, result in results:
            job, who = waiting.pop(place)
            if isinstance(result, Killed):
                for response, reading in who:
                    killed = score_of(response, job[0], reading, 0)
                    yield killed.with_detail(reason=result.reason)
                continue
            if isinstance(result, _Known):
                right, read = result.verdict
            else:
                kept.add(job, result)
                right, read = result
            for response, reading in who:
                yield score_of(response, job[0], read or reading, right)

    def cause(self, item: Item, text: str, published: Score, robust: Score) -> str:
        """How the answer is marked, brackets, or how the graders compare."""
        details = published.detail or {}, robust.detail or {}
        if any("reason" in detail for detail in details):
            return "a grader was stopped"
        if not published.matched:
            return "no marker and no box" if "\\boxed" not in text else "no marker before the box"
        if published.answer is not None and robust.answer is not None:
            gold = item.target[0]
            if _bracketed(published.answer) != _bracketed(gold):
                return "brackets"
            if gold in published.answer and len(published.answer) > len(gold) + 2:
                return "more text beside the answer"
        if robust.answer is None:
            return "robust: nothing stated"
        return "the graders compare otherwise"


def _bracketed(answer: str) -> bool:
    return answer.strip(" $\\")[:1] in tuple("([{")


def _rules() -> str:
    """A digest of all that a verdict depends on beside what is graded."""
    readers, records = Path(answers.__file__).parent, Path(ochat_eval.records.__file__)
    names = ("sympy", "mpmath", "math-verify", "latex2sympy2-extended", "antlr4-python3-runtime")
    packages = [importlib.metadata.version(name) for name in names]
    versions = [sys.version, SECONDS, MEMORY_BYTES, *packages]
    return rules_digest(readers, records, Path(__file__), versions=versions)


def judge(job: _Job) -> _Verdict:
    """One rule's verdict, and what it read where that was not known before."""
    rule, answer, gold = job
    return verify(answer, gold) if rule == "robust" else (grade(answer, gold), None)


def judge_plainly(job: _Job) -> _Verdict | None:
    """The same where texts or plain numbers decide it, as they do for most answers; else None."""
    rule, answer, gold = job
    if rule == "robust":
        return verify_plainly(answer, gold)
    verdict = grade_plainly(answer, gold)
    return None if verdict is None else (verdict, None)


def warm_up() -> None:
    """Brings a grading process to the point where a grade takes no more imports.

    What is there then lives as long as the process: the garbage collector, a sixth of a grade's
    time, need not go through it again and again.
    """
    grade("x+1", "1+x")
    verify(r"$\frac{x}{2}$", "0.5x")
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
