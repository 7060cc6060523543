"""summary.json: scores with their errors, and what was unmatched, truncated, empty, without an end
of its thought, or missing."""

from __future__ import annotations

import dataclasses
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from ochat_eval import stats
from ochat_eval.benchmark.task import Answered, Task
from ochat_eval.records import RULES, Response, Rule, Score
from ochat_eval.report.samples import Samples, entry

Judged = tuple[Answered, Sequence[Score]]
"""An item with its responses, and the scores of both rules."""


@dataclass(frozen=True)
class Stopped:
    """That a benchmark was stopped early.

    Attributes:
        look, looks: at which of how many.
        why: what was decided then.
        confidence: that an interval must have so that it holds at any look with 95 %.
    """

    look: int
    looks: int
    why: str
    confidence: float


def summarise_task(
    task: Task,
    judged: Iterable[Judged],
    asked: int,
    of: int,
    *,
    named: bool = False,
    stopped: Stopped | None = None,
) -> dict[str, Any]:
    """One task's part of the summary, from one pass over its items.

    Scores, errors and intervals are in the task's unit (points 0…100; a judge's rating for
    judged tasks); `unmatched`, `truncated`, `empty` and `unfinished` (a thought without an end,
    which is not `empty`) are fractions of the responses, `truncated` None where no response says
    how it ended.

    Args:
        judged: the items that have responses, with these and with their scores.
        asked: items that the run asked; what is not in `judged` is missing, never wrong.
        of: items that the whole benchmark has.
        named: whether the items were named one by one, so that they are no random sample of it.
        stopped: where it was stopped early; the items are those that the deciding look saw.

    Returns:
        `published` and `robust` (`score`, `n`, `stderr`, `ci95`, `unmatched`, `truncated`,
        `empty`, `unfinished`, `subsets`, for several samples what `Samples.figures` gives and, as
        `samples`, `samples.entry`, and what the task's `figures` adds), and beside them `metric`,
        `asked`, `of`, `missing`, `drawn` (whether those asked are a random part of the benchmark),
        `data`, `notes`, and what `_Written.figures` gives.
    """
    codes = _Codes()
    subsets: dict[str, dict[Rule, _Part]] = {}
    # Only for a task that has figures of its own: they take all its items and scores.
    kept: list[Judged] | None = [] if task.has_figures else None
    answered = scored = unjudged = unasked = 0
    written = _Written()
    for one, scores in judged:
        answered += 1
        written.add(one.responses)
        scored += bool(scores)
        if kept is not None and scores:
            kept.append((one, scores))
        unasked += task.n * len(one.item.turns) - len(one.responses)
        unjudged += _unjudged(task.scored(one.item, one.responses), scores)
        if one.item.subset not in subsets:
            subsets[one.item.subset] = {rule: _Part(task, codes, stopped) for rule in RULES}
        for rule, part in subsets[one.item.subset].items():
            part.add(one, [s for s in scores if s.rule == rule])
    whole: dict[str, Any] = {}
    fraction = 0.0 if named or asked >= of else _drawn(task, scored / of, stopped)
    for rule in RULES:
        parts = {name: part[rule] for name, part in subsets.items()}
        more = _own_figures(task, kept, rule) if kept else {}
        whole[rule] = _of_rule(_Part(task, codes, stopped, fraction), parts, more)
    whole.update(
        metric=task.metric,
        asked=asked,
        of=of,
        missing=asked - answered,
        data=task.data,
        bounds=list(task.bounds),
        scale=task.scale,
        also=list(task.also),
        **written.figures(),
    )
    whole["drawn"] = fraction > 0
    whole["rule"] = {option: getattr(task, option) for option in task.rule_options}
    whole["notes"] = _notes(task, whole, unjudged, unasked, fraction > 0)
    if stopped is not None:
        at = f"stopped at look {stopped.look} of {stopped.looks}, {stopped.why}"
        whole["notes"].insert(0, f"{at} (the interval holds at any look)")
    return whole


class _Written:
    """The tokens of a task's responses, and what was thought aloud in them."""

    def __init__(self) -> None:
        self._tokens = Counter(answers=0, prompt=0, completion=0)
        self._thoughts = Counter(answers=0, unfinished=0, counted=0, tokens=0)

    def add(self, responses: Iterable[Response]) -> None:
        """Counts an item's responses in."""
        for response in responses:
            if response.completion_tokens is not None:
                self._tokens["answers"] += 1
                self._tokens["prompt"] += response.prompt_tokens or 0
                self._tokens["completion"] += response.completion_tokens
            if response.reasoning is not None or response.unfinished:
                self._thoughts["answers"] += 1
                self._thoughts["unfinished"] += response.unfinished
                self._thoughts["counted"] += response.reasoning_tokens is not None
                self._thoughts["tokens"] += response.reasoning_tokens or 0

    def figures(self) -> dict[str, Any]:
        """`tokens` of the answers that tell them; where something was thought, `thoughts`: the
        `answers` with one, of these `unfinished`, the `tokens` of the `counted` ones, and what is
        `said` of them."""
        found: dict[str, Any] = {"tokens": dict(self._tokens)}
        if self._thoughts["answers"]:
            found["thoughts"] = {**self._thoughts, "said": self._said()}
        return found

    def _said(self) -> list[str]:
        """How much was thought and how much answered; what helps where a thought has no end."""
        thoughts, tokens, said = self._thoughts, self._tokens, []
        if thoughts["counted"] and tokens["answers"]:
            thought = thoughts["tokens"] / thoughts["counted"]
            answer = (tokens["completion"] - thoughts["tokens"]) / tokens["answers"]
            said.append(f"thought {thought:,.0f} tokens, answered in {answer:,.0f} (means)")
        if thoughts["unfinished"]:
            said.append(
                f"{thoughts['unfinished']:,} of {thoughts['answers']:,} thoughts have no end: more "
                "room (max_tokens, model.context) or a limit (model.thinking_budget) can help"
            )
        return said


def _unjudged(responses: Sequence[Response], scores: Sequence[Score]) -> int:
    """How many of the responses that get scores have none."""
    if len(scores) >= len(RULES) * len(responses):
        return 0
    judged = {(score.sample, score.turn) for score in scores}
    return sum((r.sample, r.turn) not in judged for r in responses)


def _drawn(task: Task, share: float, stopped: Stopped | None) -> float:
    """The share of the benchmark that was asked, where its `limit` or the order of blocks drew it
    at random, else 0."""
    drawn = task.limit is not None or stopped is not None
    at_random = drawn and task.subsets is None and task.data != "sample"
    return share if at_random else 0.0


def _of_rule(total: _Part, parts: Mapping[str, _Part], more: Mapping[str, Any]) -> dict[str, Any]:
    """One rule's figures over all subsets, and those of each; `total` is empty before."""
    for part in parts.values():
        total.merge(part)
    by_subset = {name: part.figures() for name, part in parts.items()}
    return {**total.figures(), **more, "subsets": by_subset}


def _own_figures(task: Task, judged: Sequence[Judged], rule: Rule) -> dict[str, Any]:
    scores = {one.item.id: [s for s in every if s.rule == rule] for one, every in judged}
    return task.figures([one.item for one, _ in judged], scores, rule)


def _notes(
    task: Task, whole: Mapping[str, Any], unjudged: int, unasked: int, drawn: bool
) -> list[str]:
    """Why this is not the benchmark's own figure; empty where it is.

    Args:
        drawn: the interval is that of the whole benchmark's score, of which these are a sample.
    """
    notes = []
    if task.data == "sample":
        notes.append("sample items, not the benchmark")
    elif whole["asked"] < whole["of"]:
        question = f"all {whole['of']:,}" if drawn else "such items"
        limited = f"limited to {whole['asked']:,} of {whole['of']:,}"
        notes.append(f"{limited} (interval: this model on {question})")
    if task.subsets is not None:
        notes.append(f"only {', '.join(task.subsets)}")
    if whole["missing"]:
        notes.append(f"{whole['missing']:,} missing")
    rule = whole["published"]
    if note := rule.get("note"):
        notes.append(note)
    if unasked:
        notes.append(f"{unasked:,} later turns or samples missing")
    if unjudged:
        notes.append(f"{unjudged:,} not judged")
    if unread := rule.get("unread"):
        notes.append(f"{unread:,} unread")
    for name in ("truncated", "empty", "unfinished"):
        if (rule[name] or 0) > 0.01:
            notes.append(f"{rule[name]:.1%} {name}")
    return notes


class _Codes:
    """Numbers for the names of clusters and strata."""

    def __init__(self) -> None:
        self._lone = count(-1, -1)
        self._shared: dict[str, int] = {}
        self._strata: dict[str, int] = {}

    def cluster(self, name: str, lone: bool) -> int:
        """One number for each name, without a record of the lone ones; below 0 for these."""
        return next(self._lone) if lone else self._shared.setdefault(name, len(self._shared))

    def stratum(self, name: str) -> int:
        """One number for each name."""
        return self._strata.setdefault(name, len(self._strata))


class _Part:
    """One rule's figures over some of a task's items: numbers only, 24 bytes an item.

    Args:
        fraction: as in `stats.estimate`.
    """

    def __init__(self, task: Task, codes: _Codes, stopped: Stopped | None, fraction: float = 0.0):
        self._task, self._codes, self._fraction = task, codes, fraction
        self._left = 1 - fraction  # of the variance
        self._confidence = 0.95 if stopped is None else stopped.confidence
        self._values = array("d")  # a number for each item, or for each judged turn of it
        self._clusters, self._strata = array("q"), array("q")
        self._also = {name: array("d") for name in task.also}
        self._samples = Samples(task)
        self._counts = Counter[str]()

    def merge(self, other: _Part) -> None:
        """Takes in another part's items."""
        self._values += other._values
        self._clusters += other._clusters
        self._strata += other._strata
        for name, column in self._also.items():
            column.extend(other._also[name])
        self._samples.merge(other._samples)
        self._counts += other._counts

    def add(self, one: Answered, scores: Sequence[Score]) -> None:
        """Counts an item in; `scores` are one rule's."""
        counts = self._counts
        for response in one.responses:
            counts["responses"] += 1
            counts["unfinished"] += response.unfinished
            counts["empty"] += not response.unfinished and not response.text.strip()
            counts["ended"] += response.finish_reason is not None
            counts["cut"] += response.cut
        for score in scores:
            counts["scores"] += 1
            counts["matched"] += score.matched
            counts["unread"] += score.value is None
        self._samples.add_item(scores)
        if len(scores) == 1:
            self._add_values(one, scores, lone=True)
            return
        turns = sorted({s.turn for s in scores})
        for turn in turns:
            self._add_values(one, [s for s in scores if s.turn == turn], lone=len(turns) == 1)

    def _add_values(self, one: Answered, scores: Sequence[Score], lone: bool) -> None:
        values = [s.value for s in scores if s.value is not None]
        if not values:
            return
        cluster = self._task.cluster(one.item)
        self._clusters.append(self._codes.cluster(cluster, lone and cluster == one.item.id))
        self._strata.append(self._codes.stratum(self._task.stratum(one.item)))
        self._values.append(values[0] if len(values) == 1 else stats.mean(values))
        named = {"": values}
        for name, column in self._also.items():
            if all(name in (s.detail or {}) for s in scores):
                named[name] = [float((s.detail or {})[name]) for s in scores]
                column.append(stats.mean(named[name]))
        if 1 < len(values) == len(scores):
            answers = [s.answer for s in scores]
            for name, found in named.items():
                self._samples.add_turn(name, found, answers)

    def figures(self) -> dict[str, Any]:
        """The figures; a score of None where nothing has been judged."""
        counts, n = self._counts, len(self._values)
        ends = {
            "truncated": counts["cut"] / counts["ended"] if counts["ended"] else None,
            **{
                name: counts[name] / counts["responses"] if counts["responses"] else None
                for name in ("empty", "unfinished")
            },
        }
        missed = counts["scores"] - counts["matched"]
        unmatched = missed / counts["scores"] if counts["scores"] else None
        if not n:
            nothing = dict.fromkeys(("score", "stderr", "ci95"))
            unread = {"unread": counts["unread"]} if counts["unread"] else {}
            return {**nothing, "n": 0, "unmatched": unmatched, **ends, **unread}
        parts = self._parts()
        result = {**self._estimate(self._values), "unmatched": unmatched, **ends}
        if counts["unread"]:
            result["unread"] = counts["unread"]
        at = self._samples.figures("", n, self._estimate)
        result.update(at)
        if parts is not None:
            result["samples"] = entry(parts, self._task.scale, self._half_width, at)
        for name, column in self._also.items():
            if len(column) == n:
                more = self._samples.figures(name, n, self._estimate)
                result[name] = {**self._estimate(column), **more}
        return result

    def _parts(self) -> stats.Sampling | None:
        """What the score's variance is made of; sets how much of it is left where the items are a
        part of all: less of the items' part only (two-stage sampling: Cochran 1977, chapter 10)."""
        found = stats.spread(self._values, *self._together())
        whole = self._samples.parts(len(self._values), found.stderr)
        if whole is None:
            # Of answers that are more to some items than to others the parts are not known.
            self._left = 1.0 if self._task.n > 1 and found.stderr else 1 - self._fraction
            return None
        parts = dataclasses.replace(whole, items=whole.items * (1 - self._fraction))
        self._left = (parts.items + parts.answers) / (whole.items + whole.answers)
        return parts if parts.items + parts.answers > 0 else None

    def _half_width(self, ratio: float) -> float:
        """Half the score's interval if its variance were `ratio` times what it is."""
        lo, hi = self._estimate(self._values, ratio)["ci95"]
        return float(hi - lo) / 2

    def _estimate(self, values: Sequence[float], ratio: float = 1.0) -> dict[str, Any]:
        """The mean with the task's clusters and strata; the variance times `ratio`, at most 1."""
        clusters, strata = self._together()
        found = stats.estimate(
            values,
            clusters=clusters,
            strata=strata,
            bounds=self._task.bounds,
            scale=self._task.scale,
            confidence=self._confidence,
            fraction=1 - ratio * self._left,
        )
        return found.figures()

    def _together(self) -> tuple[Sequence[int] | None, Sequence[int] | None]:
        """The values' clusters and strata, where there are some."""
        return (
            self._clusters if max(self._clusters) >= 0 else None,
            self._strata if len(set(self._strata)) > 1 else None,
        )
