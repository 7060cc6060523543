"""Two runs side by side: the items they share, how the scores differ, which answers flipped.

Pure functions over `RunResults`, which `runs` and `recorded` read.
Items are paired only where both runs asked the very same question (`prompt`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ochat_eval import stats
from ochat_eval.baseline.results import Outcome, RunResults, TaskResults, clusters, strata, values
from ochat_eval.baseline.same_work import CHOICE_OF_ITEMS
from ochat_eval.benchmark.task import Task
from ochat_eval.records import Rule


@dataclass(frozen=True, slots=True)
class Pairing:
    """Which items of one benchmark two runs share, under one rule.

    Attributes:
        ids: asked alike in both and judged in both, in the first run's order.
        unlike: ids in both whose question, target or choices differ: not paired.
        unjudged: asked alike, but not judged in one of the runs, or with an unread verdict.
        only_a, only_b: how many items only one of the runs has.
    """

    ids: tuple[str, ...]
    unlike: tuple[str, ...]
    unjudged: tuple[str, ...]
    only_a: int
    only_b: int


@dataclass(frozen=True, slots=True)
class TaskComparison:
    """How one benchmark's score differs between two runs, under one rule.

    Scores, difference and effect are in the benchmark's unit (points 0…100, or a rating).

    Attributes:
        pairing: what was compared; None against a published figure, whose items nobody has.
        a, b: the scores over the paired items; None where there are none.
        difference: b − a with its error and 95 % interval.
        flips: the ids whose value rose or fell.
        test: of `stats.paired_test`; None where nothing can be tested.
        p, p_holm: its p-value, and that adjusted for all that is shown with it (`corrected`).
        detectable: the least true difference that such a comparison finds with 80 % chance; None
            where it finds none.
        note: what a reader must know.
    """

    task: str
    rule: Rule
    a: float | None
    b: float | None
    difference: stats.Estimate | None = None
    pairing: Pairing | None = None
    flips: stats.Flips = field(default_factory=lambda: stats.Flips((), ()))
    test: str | None = None
    p: float | None = None
    p_holm: float | None = None
    detectable: float | None = None
    note: str = ""


def pair(a: TaskResults, b: TaskResults, rule: Rule) -> Pairing:
    """The items that two runs of one benchmark can be compared on."""
    both = [id_ for id_ in a.outcomes if id_ in b.outcomes]
    alike = [id_ for id_ in both if a.outcomes[id_].prompt == b.outcomes[id_].prompt]
    judged = [
        id_
        for id_ in alike
        if a.outcomes[id_].rules[rule].read() and b.outcomes[id_].rules[rule].read()
    ]
    return Pairing(
        ids=tuple(judged),
        unlike=tuple(sorted(set(both) - set(alike))),
        unjudged=tuple(sorted(set(alike) - set(judged))),
        only_a=len(a.outcomes) - len(both),
        only_b=len(b.outcomes) - len(both),
    )


def unlike_units(a: TaskResults | Task, b: TaskResults | Task) -> str:
    """Says so where the values of two sides cannot be compared; empty where they can."""
    units = [f"{one.metric} ({one.bounds[0]:g} to {one.bounds[1]:g})" for one in (a, b)]
    return "" if units[0] == units[1] else f"not compared: {units[0]} in A, {units[1]} in B"


def compare_task(a: TaskResults, b: TaskResults, rule: Rule) -> TaskComparison:
    """The paired comparison of one benchmark (`p_holm` is left to `corrected`)."""
    if apart := unlike_units(a, b):
        return TaskComparison(a.name, rule, None, None, note=apart)
    pairing = pair(a, b, rule)
    note = "; ".join(_pairing_notes(a, b, pairing))
    if not pairing.ids:
        return TaskComparison(a.name, rule, None, None, pairing=pairing, note=note)
    items = [a.outcomes[id_] for id_ in pairing.ids]
    shared = clusters(items)
    x, y = values(a, pairing.ids, rule), values(b, pairing.ids, rule)
    difference = stats.paired(x, y, shared, strata=strata(items), bounds=a.bounds, scale=a.scale)
    flips = stats.flips(
        dict(zip(pairing.ids, x, strict=True)), dict(zip(pairing.ids, y, strict=True))
    )
    test = stats.paired_test(x, y, shared, strata(items)) if len(x) > 1 else None
    return TaskComparison(
        task=a.name,
        rule=rule,
        a=stats.mean(x) * a.scale,
        b=stats.mean(y) * a.scale,
        difference=difference,
        pairing=pairing,
        flips=flips,
        test=test.name if test else None,
        p=test.p if test else None,
        detectable=_detectable(a, test, x, y, items) if test else None,
        note=note,
    )


def _detectable(
    task: TaskResults,
    test: stats.Test,
    x: Sequence[float],
    y: Sequence[float],
    items: Sequence[Outcome],
) -> float | None:
    """The least true difference that such a test finds with 80 % chance, in the task's unit."""
    differences = [after - before for before, after in zip(x, y, strict=True)]
    if test.name == "McNemar":
        flipped = sum(d != 0 for d in differences) / len(differences)
        found = stats.mcnemar_detectable(len(differences), flipped)
        return None if found is None else found * task.scale
    spread = stats.spread(differences, clusters(items), strata(items))
    least_p = 2 / 2**spread.units
    if not spread.stderr or (test.name == "permutation" and least_p > 0.05):
        return None
    effect = stats.minimum_detectable_effect(spread.stderr * task.scale, df=spread.df)
    width = task.scale * (task.bounds[1] - task.bounds[0])
    return effect if effect <= width else None


_APART = {*CHOICE_OF_ITEMS, "condition"}  # the last is the model's chat format's
"""Options in which two sides may differ without a word."""
_SAMPLE = "sample items, not the benchmark"


def _pairing_notes(a: TaskResults, b: TaskResults, pairing: Pairing) -> list[str]:
    """Why this does not compare the benchmark's figures, or fewer items than were asked."""
    notes = []
    if not pairing.ids:
        notes.append("nothing in common to compare")
    if "sample" in (a.options.get("data"), b.options.get("data")):
        notes.append(_SAMPLE)
    elif pairing.ids and min(a.asked, b.asked) < a.of:
        notes.append(f"limited to {len(pairing.ids):,} of {a.of:,}")
    for name in sorted((a.options.keys() & b.options.keys()) - _APART):
        if a.options[name] != b.options[name]:
            one, other = (json.dumps(run.options[name], ensure_ascii=False) for run in (a, b))
            notes.append(f"{name} {one} in A, {other} in B")
    if a.other_judges(b):
        notes.append(f"judged by {', '.join(a.judges)} in A, {', '.join(b.judges)} in B")
    if pairing.unlike:
        notes.append(f"{len(pairing.unlike):,} asked differently ({pairing.unlike[0]})")
    if pairing.unjudged:
        notes.append(f"{len(pairing.unjudged):,} not judged or unread")
    for which, task, only in ("A", a, pairing.only_a), ("B", b, pairing.only_b):
        if only:
            notes.append(f"{only:,} only in {which}")
        if task.stopped:
            notes.append(f"{which} was stopped early: interval and p do not allow for that")
        elif task.missing:
            notes.append(f"{task.missing:,} missing in {which}")
    return notes


def compare_figure(
    figure: float, b: TaskResults, rule: Rule, *, figure_is_b: bool = False
) -> TaskComparison:
    """A run against a published figure, in the benchmark's unit, without that run's items.

    The difference is unpaired, and its interval too wide for two runs on the same items: the
    errors of both are added, the figure's taken to be the run's own (the run's interval, √2 times
    as wide). No test is made: whether the
    figure can be a rerun is the gate's question.

    Args:
        figure_is_b: the figure is the second, and `b` the first.
    """
    judged = [one for one in b.outcomes.values() if one.rules[rule].read()]
    if not judged:
        return TaskComparison(b.name, rule, None, None, note="not judged or unread")
    found = stats.estimate(
        [one.rules[rule].values[0] for one in judged],
        clusters=clusters(judged),
        strata=strata(judged),
        bounds=b.bounds,
        scale=b.scale,
    )
    sign = -1 if figure_is_b else 1
    center = sign * (found.score - figure)
    notes = ["unpaired: the published run's items are not at hand"]
    if b.options.get("data") == "sample":
        notes.append(_SAMPLE)
    elif len(judged) < b.of:
        notes.append(f"{len(judged):,} of {b.of:,} items")
    if unread := len(b.outcomes) - len(judged):
        notes.append(f"{unread:,} not judged or unread")
    if b.judges:
        notes.append(f"judged by {', '.join(b.judges)}")
    below, above = ((2**0.5) * (found.score - found.lo), (2**0.5) * (found.hi - found.score))
    if figure_is_b:
        below, above = above, below
    both = None if found.stderr is None else found.stderr * 2**0.5
    difference = stats.Estimate(center, len(judged), both, center - below, center + above)
    detectable = stats.minimum_detectable_effect(both) if both else None
    scores = (found.score, figure) if figure_is_b else (figure, found.score)
    return TaskComparison(
        b.name, rule, *scores, difference, detectable=detectable, note="; ".join(notes)
    )


def compare(a: RunResults, b: RunResults, rule: Rule) -> list[TaskComparison]:
    """Every benchmark that both runs have."""
    return [compare_task(a.tasks[t], b.tasks[t], rule) for t in a.tasks if t in b.tasks]


def corrected(tables: Sequence[Sequence[TaskComparison]]) -> list[list[TaskComparison]]:
    """The comparisons with `p_holm`: Holm's over all that were tested, each rule by itself.

    All pairs of runs that are shown together are one family: who looks at several sees the
    smallest p of all.
    """
    adjusted: dict[int, float] = {}
    every = [row for table in tables for row in table]
    for rule in {row.rule for row in every}:
        tested = [row for row in every if row.rule == rule and row.p is not None]
        found = stats.holm([row.p for row in tested if row.p is not None]) if tested else []
        adjusted |= dict(zip(map(id, tested), found, strict=True))
    return [[replace(row, p_holm=adjusted.get(id(row))) for row in table] for table in tables]
