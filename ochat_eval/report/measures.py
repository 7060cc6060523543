"""Every figure of a summary, one by one: for model cards, trackers and other tools' files."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ochat_eval.records import RULES, Rule

SCORE = "score"
"""What a rule's own score is called among its figures."""
RATES = ("unmatched", "truncated", "empty", "unfinished")
"""The rates of a rule, or of a subset of it."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of a run.

    Attributes:
        task: the benchmark.
        subset: the part of it; None for the whole.
        rule: by which answers were read.
        name: `score`, or what else the summary has: `plus`, `pass@5`, `maj@8`.
        n: items, or judged turns.
        stderr, ci95: None where the data cannot tell.
        in_unit: it is in the unit of the benchmark's score; others have one of their own.
    """

    task: str
    subset: str | None
    rule: Rule
    name: str
    score: float
    n: int
    stderr: float | None
    ci95: tuple[float, float] | None
    in_unit: bool


def marks_of(task: Mapping[str, Any]) -> tuple[str, ...]:
    """Why a benchmark's figures are not its own (†): what was not asked as published, or not whole.

    Args:
        task: its part of a summary.
    """
    changed = (f"not the published setting: {option}" for option in task.get("changed", ()))
    return (*task["notes"], *changed)


def is_whole(task: Mapping[str, Any]) -> bool:
    """Whether all of a benchmark's own items were asked and answered."""
    missing = task["missing"] or task["asked"] < task["of"]
    return task.get("data") != "sample" and not missing


def measures(summary: Mapping[str, Any], rule: Rule | None = None) -> Iterator[Measure]:
    """The figures of a summary, those of a benchmark before those of its subsets, if several.

    Args:
        rule: only this rule's; None for both.
    """
    for name, task in summary["tasks"].items():
        for chosen in RULES if rule is None else (rule,):
            also = task.get("also", ())
            yield from _of(name, None, chosen, task[chosen], also)
            for subset, figures in subsets_of(task[chosen]).items():
                yield from _of(name, subset, chosen, figures, also)


def subsets_of(one: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """The subsets of a rule's figures; none where an only one says the same."""
    found: Mapping[str, Mapping[str, Any]] = one["subsets"]
    return found if len(found) > 1 else {}


def _of(
    task: str, subset: str | None, rule: Rule, one: Mapping[str, Any], also: Collection[str]
) -> Iterator[Measure]:
    for name, figure, of in _figures(one):
        if figure["score"] is not None:
            low_high = figure.get("ci95")
            yield Measure(
                task,
                subset,
                rule,
                name,
                figure["score"],
                figure.get("n") or one["n"],
                figure.get("stderr"),
                None if low_high is None else (low_high[0], low_high[1]),
                of == SCORE or of in also,
            )


def _figures(one: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    """A rule's score; what it has beside it; of both, the figures of several samples, by k.

    Returns:
        Each one's name, the figure, and the name of the figure that it is made of.
    """
    yield SCORE, one, SCORE
    yield from ((name, figure, SCORE) for name, figure in _by_k(one, ""))
    for name, figure in one.items():
        if isinstance(figure, Mapping) and SCORE in figure and "ci95" in figure:
            yield name, figure, name
            yield from ((more, by_k, name) for more, by_k in _by_k(figure, f"{name} "))


def _by_k(one: Mapping[str, Any], of: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """`pass@k`, `maj@k`, … with their intervals beside them, each k a figure of its own."""
    for name, scores in one.items():
        if (intervals := one.get(f"{name}_ci95")) and isinstance(scores, Mapping):
            for k, score in scores.items():
                yield f"{of}{name.removesuffix('k')}{k}", {SCORE: score, "ci95": intervals[k]}
