"""Several answers an item: what k of them find, what sampling adds to the error, and what one more
answer would buy."""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ochat_eval import stats
from ochat_eval.benchmark.task import Task
from ochat_eval.records import Score

_KS = (1, 2, 4, 5, 8, 10, 16, 32, 64, 100)
_KINDS = ("pass@k", "pass^k", "maj@k")
Estimate = Callable[[Sequence[float]], Mapping[str, Any]]
"""The entries `score`, `n`, `stderr` and `ci95` of a value an item (or an item's turn)."""


class Samples:
    """One rule's several answers to some of a task's items: numbers only."""

    def __init__(self, task: Task):
        self._task = task
        # By the figure's name ("" for the score), the kind and k: one rate a value.
        self._rates: defaultdict[tuple[str, str, int], array[float]] = defaultdict(
            lambda: array("d")
        )
        self._squares = array("d")  # one an item, as `stats.sampling_parts` takes them
        self._numbers: set[int] = set()  # of answers an item; 0 for items that lack some

    def merge(self, other: Samples) -> None:
        """Takes in those of other items."""
        for key, rates in other._rates.items():
            self._rates[key].extend(rates)
        self._squares += other._squares
        self._numbers |= other._numbers

    def add_turn(self, name: str, values: Sequence[float], answers: Sequence[str | None]) -> None:
        """Counts in the answers to one turn: a figure's values, and what the rule read."""
        n = len(values)
        for k in {k for k in _KS if k <= n} | {n}:
            for kind, rate in _at_k(self._task, values, answers, k).items():
                self._rates[name, kind, k].append(rate)

    def add_item(self, scores: Sequence[Score]) -> None:
        """Counts an item in, with all its scores."""
        if len(scores) == 1:
            self._numbers.add(1)
            return
        turns, values = {s.turn for s in scores}, defaultdict[int, list[float]](list)
        for score in scores:
            if score.value is not None:
                values[score.sample].append(score.value)
        whole = all(len(found) == len(turns) for found in values.values())
        self._numbers.add(len(values) if whole else 0)
        totals = [math.fsum(found) for found in values.values()]
        center = stats.mean(totals) if totals else 0.0
        self._squares.append(math.fsum((total - center) ** 2 for total in totals))

    def figures(self, name: str, n: int, estimate: Estimate) -> dict[str, dict[str, Any]]:
        """A figure's `pass@k`, `pass^k` and `maj@k` by k, and their intervals: the items' own, of
        which each has one pass@k, are averaged like their values.

        Args:
            n: how many values there are; a k that not all of them have is left out.
        """
        found: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        for (of, kind, k), rates in sorted(self._rates.items()):
            if of == name and len(rates) == n:
                one = estimate(rates)
                found[kind][str(k)] = one["score"]
                found[f"{kind}_ci95"][str(k)] = one["ci95"]
        return dict(found)

    def parts(self, values: int, stderr: float | None) -> stats.Sampling | None:
        """What the variance of the score is made of; None unless all items have as many answers,
        two at least, and something varies.

        Args:
            values: how many the score is the mean of.
            stderr: its standard error, in the values' unit, over such items.
        """
        n = min(self._numbers, default=0)
        if stderr is None or self._numbers != {n} or n < 2:
            return None
        return stats.sampling_parts(stderr, self._squares, n, values)


def entry(
    parts: stats.Sampling, unit: float, width: Callable[[float], float], at: Mapping[str, Any]
) -> dict[str, Any]:
    """The summary's `samples`.

    Args:
        unit: what an error in the values' unit is multiplied by to stand in the summary.
        width: half the width of the score's interval if its variance were so many times as large.
        at: what `Samples.figures` gave.

    Returns:
        `n` answers an item, `items_stderr` and `answers_stderr`, whose squares add up to the
        score's (unless the items' is 0), `items_share` of these squares, `half_width` of the
        interval by the number of answers (now, one more, twice as many), and what is `said` of
        it all.
    """
    n = parts.n
    widths = {str(m): width(parts.ratio(m)) for m in (n, n + 1, 2 * n)}
    found = [f"{kind[:-1]}{n} {at[kind][str(n)]:.2f}" for kind in _KINDS if kind in at]
    now, *then = (f"±{half:.2f} with {m}" for m, half in widths.items())
    buys = ", ".join([f"{now} answers", *then])
    share = f"{100 * parts.items_share:.0f} % of the variance is the choice of the items"
    return {
        "n": n,
        "items_stderr": unit * math.sqrt(parts.items),
        "answers_stderr": unit * math.sqrt(parts.answers),
        "items_share": parts.items_share,
        "half_width": widths,
        "said": [f"avg@{n}", *found, f"{buys} ({share}, which more answers do not remove)"],
    }


def _at_k(
    task: Task, values: Sequence[float], answers: Sequence[str | None], k: int
) -> dict[str, float]:
    """An item's pass@k and pass^k, where its values are right or wrong, and its maj@k, where
    answers can be voted on: code cannot, and a judge's rating is no answer."""
    n, found = len(values), {}
    if set(values) <= {0.0, 1.0}:
        right = int(sum(values))
        found = {"pass@k": stats.pass_at_k(n, right, k), "pass^k": stats.all_at_k(n, right, k)}
    if task.metric != "pass@1" and not task.judged:
        found["maj@k"] = stats.maj_at_k(answers, values, k)
    return found
