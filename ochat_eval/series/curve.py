"""The score against the step: what moved by more than noise, and which checkpoint is best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ochat_eval import stats
from ochat_eval.baseline.figures import sharing
from ochat_eval.baseline.results import RunResults, TaskResults, clusters, points, strata, values
from ochat_eval.baseline.runs import read_run, read_summary
from ochat_eval.records import Rule
from ochat_eval.series.find import Checkpoint
from ochat_eval.stats.checks import added

ALPHA = 0.05
"""The chance that any pair of one benchmark is called different while none is."""
_RULE: Rule = "published"
"""The rule whose scores are followed."""


@dataclass(frozen=True)
class Point:
    """A checkpoint that has been run.

    Attributes:
        summary: the run's summary.json.
        results: its outcomes, item by item.
    """

    checkpoint: Checkpoint
    folder: Path
    summary: dict[str, Any]
    results: RunResults


def read_point(checkpoint: Checkpoint, folder: Path) -> Point:
    """A checkpoint with what its run found.

    Raises:
        UserError: the run is damaged.
    """
    return Point(checkpoint, folder, read_summary(folder), read_run(folder))


@dataclass(frozen=True)
class Pair:
    """Two checkpoints on one benchmark, or on the average of all.

    Attributes:
        a, b: their places in the series.
        difference, lo, hi: b less a with its 95 % interval, in the curve's unit.
        moved: whether they differ by more than noise.
        p: Holm's p-value over all pairs of the benchmark; None on the average.
        gained, lost: items whose value rose and fell.
    """

    a: int
    b: int
    difference: float
    lo: float
    hi: float
    moved: bool
    p: float | None
    gained: int
    lost: int


@dataclass(frozen=True)
class Curve:
    """A benchmark over a series, or the average of all.

    Attributes:
        task: the benchmark; empty for the average.
        scores: each checkpoint's score, and its interval in `ends`; None where there is none.
        pairs: every two checkpoints, on the items that all of them answered; empty where there are
            fewer than two such items or checkpoints.
        items: ids of these items, and by checkpoint their values in `values`.
        best: the place of the best; None where nothing is compared.
        among: the places of those that cannot be told from it, the best with them.
    """

    task: str
    scores: tuple[float | None, ...]
    ends: tuple[tuple[float, float] | None, ...]
    pairs: tuple[Pair, ...] = ()
    items: tuple[str, ...] = ()
    values: tuple[tuple[float, ...], ...] = ()
    best: int | None = None
    among: tuple[int, ...] = ()

    def steps(self) -> dict[int, Pair]:
        """The pairs of neighbours, by the later one's place."""
        return {pair.b: pair for pair in self.pairs if pair.b == pair.a + 1}


def curves(series: Sequence[Point]) -> list[Curve]:
    """Each benchmark's curve, in the order of the benchmarks; then the average's where it has more
    than one benchmark.

    Args:
        series: the checkpoints by step, of the same benchmarks.
    """
    names = list(dict.fromkeys(name for point in series for name in point.results.tasks))
    found = [_curve(name, series) for name in names]
    average = _average(found, series) if len(found) > 1 else None
    return found if average is None else [*found, average]


def _curve(name: str, series: Sequence[Point]) -> Curve:
    scores, ends = [], []
    for point in series:
        one = point.summary["tasks"].get(name, {}).get(_RULE, {})
        low_high = one.get("ci95")
        scores.append(one.get("score"))
        ends.append(None if low_high is None else (low_high[0], low_high[1]))
    curve = Curve(name, tuple(scores), tuple(ends))
    tasks = [point.results.tasks[name] for point in series if name in point.results.tasks]
    ids = _shared(tasks)
    if len(tasks) < max(2, len(series)) or len(ids) < 2:
        return curve
    items = [tasks[0].outcomes[id_] for id_ in ids]
    found = [values(task, ids, _RULE) for task in tasks]
    one = tasks[0]
    pairs = stats.all_pairs(
        found, clusters(items), strata=strata(items), bounds=one.bounds, scale=one.scale
    )
    best = stats.best(pairs, ALPHA)
    return Curve(
        name,
        curve.scores,
        curve.ends,
        tuple(_pair(pair, found) for pair in pairs),
        tuple(ids),
        tuple(map(tuple, found)),
        best.place,
        best.among,
    )


def _pair(pair: stats.Pair, found: Sequence[Sequence[float]]) -> Pair:
    changes = [added((y, -x)) for x, y in zip(found[pair.a], found[pair.b], strict=True)]
    return Pair(
        pair.a,
        pair.b,
        pair.difference.score,
        pair.difference.lo,
        pair.difference.hi,
        pair.p_holm < ALPHA,
        pair.p_holm,
        sum(change > 0 for change in changes),
        sum(change < 0 for change in changes),
    )


def _shared(tasks: Sequence[TaskResults]) -> list[str]:
    """The items that all were asked alike and whose verdicts were read in all."""
    return [
        id_
        for id_, first in (tasks[0].outcomes.items() if tasks else ())
        if all(
            (other := task.outcomes.get(id_)) is not None
            and other.prompt == first.prompt
            and other.rules[_RULE].read()
            for task in tasks
        )
    ]


def _average(found: Sequence[Curve], series: Sequence[Point]) -> Curve | None:
    """The plain average of the benchmarks in points (a right answer or the best rating is 100);
    None where one of them is not compared.

    Two differ by more than noise where the interval of their difference (`stats.average_interval`)
    does not hold 0: 95 % for each pair by itself.
    """
    if not all(curve.pairs and None not in curve.scores for curve in found):
        return None
    tasks = series[0].results.tasks
    weights = [points(1 / tasks[c.task].scale, tasks[c.task]) for c in found]
    questions = sharing()
    together = [questions.get(curve.task, curve.task) for curve in found]

    def averaged(
        centers: Sequence[float], ends: Sequence[tuple[float, float]]
    ) -> tuple[float, tuple[float, float]]:
        weighed = [w * c for w, c in zip(weights, centers, strict=True)]
        intervals = [(w * lo, w * hi) for w, (lo, hi) in zip(weights, ends, strict=True)]
        return stats.mean(weighed), stats.average_interval(weighed, intervals, together)

    scores, ends = [], []
    for place in range(len(series)):
        known = [(c.scores[place], c.ends[place]) for c in found]
        one = averaged([s for s, _ in known if s is not None], [e for _, e in known if e])
        scores.append(one[0])
        ends.append(one[1])
    pairs = []
    for every in zip(*(curve.pairs for curve in found), strict=True):
        center, (lo, hi) = averaged([p.difference for p in every], [(p.lo, p.hi) for p in every])
        gained, lost = sum(p.gained for p in every), sum(p.lost for p in every)
        moved = not lo <= 0 <= hi
        pairs.append(Pair(every[0].a, every[0].b, center, lo, hi, moved, None, gained, lost))
    best = max(range(len(series)), key=lambda place: scores[place])
    worse = {p.a if p.b == best else p.b for p in pairs if p.moved and best in (p.a, p.b)}
    among = tuple(place for place in range(len(series)) if place not in worse)
    return Curve("", tuple(scores), tuple(ends), tuple(pairs), best=best, among=among)
