"""Runs as they are compared: pure data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ochat_eval import stats
from ochat_eval.records import Rule


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What one rule made of one item.

    Attributes:
        answers: as read, one a response; a long one as `sha256:` and its digest, so that no text
            of a benchmark is kept; None where nothing was read.
        matched: whether the rule found what it looks for, one a response.
        values: the item's value (the mean over its responses, in the benchmark's unit), in the
            run itself and then in each of its recorded reruns; empty where not all is judged.
        unmatched: the share of its responses without a match, in the same runs.
        unread: the share of its responses whose verdict could not be read, in the same runs, so
            that `values` is the mean over the others (the middle of the bounds where there are
            none); empty where all were read.
    """

    answers: tuple[str | None, ...]
    matched: tuple[bool, ...]
    values: tuple[float, ...]
    unmatched: tuple[float, ...]
    unread: tuple[float, ...] = ()

    def read(self, run: int = 0) -> bool:
        """Whether every verdict on it was made and could be read in a run."""
        return bool(self.values) and not (self.unread and self.unread[run])

    def values_if(self, end: float) -> list[float]:
        """The values by run, if each unread verdict were `end`."""
        unread = self.unread or (0.0,) * len(self.values)
        return [v * (1 - u) + end * u for v, u in zip(self.values, unread, strict=True)]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One item of one run.

    Attributes:
        prompt: digest of id, turns, targets and choices; not of the chat format's condition,
            which belongs to the model.
        cluster, stratum: of `Task.cluster` and `Task.stratum`; a cluster of several items is named
            by a digest.
        responses: digests of the texts, ordered by sample and turn.
        ends: for each response the finish reason and the numbers of prompt and answer tokens.
        rules: the verdicts by rule.
        unfinished: the share of its responses that are thoughts without an end.
    """

    id: str
    prompt: str
    cluster: str
    stratum: str
    responses: tuple[str, ...]
    ends: tuple[tuple[str | None, int | None, int | None], ...]
    rules: Mapping[Rule, Verdicts]
    unfinished: float = 0.0


@dataclass(frozen=True, slots=True)
class TaskResults:
    """One benchmark in one run.

    Attributes:
        metric, bounds, scale: as in `task.Task`.
        options: the benchmark's options in the run's identity.
        asked, of: items that the run asked, and that the whole benchmark has.
        outcomes: the items that have all their responses, by id; where it was stopped early, those
            that the deciding look saw.
        stopped: whether it was (`run.sequential`).
        judges: who rated it, in which style; empty where nobody did, or nobody noted it.
    """

    name: str
    metric: str
    bounds: stats.Bounds
    scale: float
    options: Mapping[str, Any]
    asked: int
    of: int
    outcomes: Mapping[str, Outcome]
    stopped: bool = False
    judges: tuple[str, ...] = ()

    @property
    def to_mend(self) -> str:
        """What brings the answers that are missing."""
        if self.stopped:
            return "it was stopped early, and its command without until= asks the rest"
        return "run its command again"

    def other_judges(self, other: TaskResults) -> bool:
        """Whether it is known that others rated it: ratings hang on the judge."""
        return bool(self.judges and other.judges) and self.judges != other.judges

    @property
    def missing(self) -> int:
        """Items asked that lack a response."""
        return self.asked - len(self.outcomes)


@dataclass(frozen=True, slots=True)
class RunResults:
    """A run, or a recorded run with its reruns.

    Attributes:
        name: as the user named it.
        identity: of its manifest.
        runs: 1, and one more for each recorded rerun.
        about: what else is known of it (versions, hardware, times), for people.
    """

    name: str
    model: str
    identity: Mapping[str, Any]
    tasks: Mapping[str, TaskResults]
    runs: int = 1
    about: Mapping[str, Any] = field(default_factory=dict)


def values(task: TaskResults, ids: Sequence[str], rule: Rule) -> list[float]:
    """The run's own value of each item, in the benchmark's unit."""
    return [task.outcomes[id_].rules[rule].values[0] for id_ in ids]


def score(task: TaskResults, rule: Rule) -> float | None:
    """The run's own score, in the benchmark's unit, over the items whose verdicts were read; None
    where none was."""
    found = [one.rules[rule] for one in task.outcomes.values()]
    read = [verdicts.values[0] for verdicts in found if verdicts.read()]
    return stats.mean(read) * task.scale if read else None


def clusters(outcomes: Sequence[Outcome]) -> list[str] | None:
    """Each item's cluster, for `stats`; None where every item is its own."""
    names = [one.cluster for one in outcomes]
    return names if len(set(names)) < len(names) else None


def strata(outcomes: Sequence[Outcome]) -> list[str] | None:
    """Each item's stratum, for `stats`; None where there is but one."""
    names = [one.stratum for one in outcomes]
    return names if len(set(names)) > 1 else None


def points(value: float, task: TaskResults) -> float:
    """A value in points: a right answer is 100, and so is the best rating."""
    return 100 * value / task.bounds[1]


def flip_rates(task: TaskResults, rule: Rule, runs: int) -> tuple[float, float] | None:
    """ψ of a recorded benchmark's values and of its `unmatched`, as fractions.

    Over the items that were read in every run. Ratings are brought to 0…1 by their upper bound.
    None without reruns.
    """
    found = [(id_, outcome.rules[rule]) for id_, outcome in task.outcomes.items()]
    judged = [(id_, verdicts) for id_, verdicts in found if all(map(verdicts.read, range(runs)))]
    if runs < 2 or not judged:
        return None
    top = task.bounds[1]
    values = [{id_: verdicts.values[run] / top for id_, verdicts in judged} for run in range(runs)]
    unmatched = [{id_: verdicts.unmatched[run] for id_, verdicts in judged} for run in range(runs)]
    return stats.flip_rate(values), stats.flip_rate(unmatched)
