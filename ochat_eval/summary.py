"""summary.json: scores with their errors, and what was unmatched, truncated, empty or missing."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ochat_eval import stats
from ochat_eval.records import RULES, Rule, Score
from ochat_eval.task import Answered, Task

_KS = (1, 2, 4, 5, 8, 10, 16, 32, 64, 100)


Judged = tuple[Answered, Sequence[Score]]
"""An item with its responses, and the scores of both rules."""


def summarise_task(task: Task, judged: Iterable[Judged], asked: int, of: int) -> dict[str, Any]:
    """One task's part of the summary, from one pass over its items.

    Scores, errors and intervals are in the task's unit (points 0…100; a judge's rating for
    judged tasks); `unmatched`, `truncated` and `empty` are fractions of the responses,
    `truncated` None where no response says how it ended.

    Args:
        judged: the items that have responses, with these and with their scores.
        asked: items that the run asked; what is not in `judged` is missing, never wrong.
        of: items that the whole benchmark has.

    Returns:
        `published` and `robust` (`score`, `n`, `stderr`, `ci95`, `unmatched`, `truncated`,
        `empty`, `subsets`, and `pass@k` or `maj@k` for several samples), and beside them
        `metric`, `asked`, `of`, `missing`, `data`, `notes`.
    """
    parts = {rule: _Part(task) for rule in RULES}
    subsets: dict[str, dict[Rule, _Part]] = {}
    answered = unjudged = 0
    for one, scores in judged:
        answered += 1
        unjudged += not scores
        if one.item.subset not in subsets:
            subsets[one.item.subset] = {rule: _Part(task) for rule in RULES}
        for rule in RULES:
            ruled = [s for s in scores if s.rule == rule]
            parts[rule].add(one, ruled)
            subsets[one.item.subset][rule].add(one, ruled)
    whole: dict[str, Any] = {
        rule: {
            **parts[rule].figures(),
            "subsets": {name: part[rule].figures() for name, part in subsets.items()},
        }
        for rule in RULES
    }
    whole.update(
        metric=task.metric,
        asked=asked,
        of=of,
        missing=asked - answered,
        data=task.data,
        scale=task.scale,
        also=list(task.also),
    )
    whole["notes"] = _notes(task, whole, unjudged)
    return whole


def _notes(task: Task, whole: Mapping[str, Any], unjudged: int) -> list[str]:
    """Why this is not the benchmark's own figure; empty where it is."""
    notes = []
    if task.data == "sample":
        notes.append("sample items, not the benchmark")
    elif whole["asked"] < whole["of"]:
        notes.append(f"limited to {whole['asked']:,} of {whole['of']:,}")
    if task.subsets is not None:
        notes.append(f"only {', '.join(task.subsets)}")
    if whole["missing"]:
        notes.append(f"{whole['missing']:,} missing")
    rule = whole["published"]
    if unjudged:
        notes.append(f"{unjudged:,} not judged")
    for name in ("truncated", "empty"):
        if (rule[name] or 0) > 0.01:
            notes.append(f"{rule[name]:.1%} {name}")
    return notes


class _Part:
    """One rule's figures over some of a task's items: numbers only, 24 bytes an item."""

    def __init__(self, task: Task):
        self._task = task
        self._values = array("d")  # a number for each item, or for each judged turn of it
        self._also = {name: array("d") for name in task.also}
        self._clusters, self._strata = array("q"), array("q")
        self._cluster_codes: dict[str, int] = {}
        self._stratum_codes: dict[str, int] = {}
        self._scores = self._matched = self._unread = 0
        self._responses = self._empty = self._ended = self._cut = 0
        self._several: dict[int, list[float]] = {}

    def add(self, one: Answered, scores: Sequence[Score]) -> None:
        """Counts an item in; `scores` are one rule's."""
        for response in one.responses:
            self._responses += 1
            self._empty += not response.text.strip()
            self._ended += response.finish_reason is not None
            self._cut += response.finish_reason == "length"
        self._scores += len(scores)
        self._matched += sum(s.matched for s in scores)
        self._unread += sum(s.value is None for s in scores)
        for turn in sorted({s.turn for s in scores}):
            of_turn = [s for s in scores if s.turn == turn]
            if values := [s.value for s in of_turn if s.value is not None]:
                self._add_values(one, of_turn, values, only=len(of_turn) == len(scores))

    def _add_values(
        self, one: Answered, scores: Sequence[Score], values: list[float], only: bool
    ) -> None:
        item, codes = one.item, self._cluster_codes
        cluster, own = self._task.cluster(item), -1 - len(self._values)
        shared = not only or cluster != item.id
        self._clusters.append(codes.setdefault(cluster, len(codes)) if shared else own)
        stratum = self._task.stratum(item)
        self._strata.append(self._stratum_codes.setdefault(stratum, len(self._stratum_codes)))
        self._values.append(stats.mean(values))
        for name, column in self._also.items():
            if all(name in (s.detail or {}) for s in scores):
                column.append(stats.mean([float((s.detail or {})[name]) for s in scores]))
        if self._task.n > 1 and len(values) == len(scores):
            for k, rate in _at_k(self._task, scores).items():
                self._several.setdefault(k, []).append(rate)

    def figures(self) -> dict[str, Any]:
        """The figures; a score of None where nothing has been judged."""
        ends = {
            "truncated": self._cut / self._ended if self._ended else None,
            "empty": self._empty / self._responses if self._responses else None,
        }
        unmatched = 1 - self._matched / self._scores if self._scores else None
        n = len(self._values)
        if not n:
            nothing = dict.fromkeys(("score", "stderr", "ci95"))
            return {**nothing, "n": 0, "unmatched": unmatched, **ends}
        result = {**self._estimate(self._values), "unmatched": unmatched, **ends}
        if self._unread:
            result["unread"] = self._unread
        name = "pass@k" if self._task.metric == "pass@1" else "maj@k"
        if rates := {k: 100 * stats.mean(v) for k, v in self._several.items() if len(v) == n}:
            result[name] = {str(k): rate for k, rate in sorted(rates.items())}
        for name, column in self._also.items():
            if len(column) == n:
                result[name] = self._estimate(column)
        return result

    def _estimate(self, values: Sequence[float]) -> dict[str, Any]:
        """The mean with the task's clusters and strata."""
        found = stats.estimate(
            values,
            clusters=self._clusters if self._cluster_codes else None,
            strata=self._strata if len(self._stratum_codes) > 1 else None,
            bounds=self._task.bounds,
            scale=self._task.scale,
        )
        return {
            "score": found.score,
            "n": found.n,
            "stderr": found.stderr,
            "ci95": [found.lo, found.hi],
        }


def _at_k(task: Task, scores: Sequence[Score]) -> dict[int, float]:
    """An item's pass@k for executed code, maj@k for answers, from its samples."""
    n = len(scores)
    ks = {k for k in _KS if k <= n} | {n}
    values = [s.value or 0.0 for s in scores]
    if task.metric == "pass@1":
        return {k: stats.pass_at_k(n, sum(v > 0 for v in values), k) for k in ks}
    answers = [s.answer for s in scores]
    return {k: stats.maj_at_k(answers, values, k) for k in ks}
