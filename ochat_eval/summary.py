"""summary.json: scores with their errors, and what was unmatched, truncated, empty or missing."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ochat_eval import stats
from ochat_eval.records import RULES, Item, Response, Rule, Score
from ochat_eval.task import Answered, Task

_KS = (1, 2, 4, 5, 8, 10, 16, 32, 64, 100)


def summarise_task(
    task: Task, answered: Sequence[Answered], scores: Iterable[Score], asked: int, of: int
) -> dict[str, Any]:
    """One task's part of the summary.

    Scores, errors and intervals are in the task's unit (points 0…100; a judge's rating for
    judged tasks); `unmatched`, `truncated` and `empty` are fractions of the responses,
    `truncated` None where no response says how it ended.

    Args:
        answered: the items that have responses, with them.
        scores: every score record of the task.
        asked: items that the run asked; what is not in `answered` is missing, never wrong.
        of: items that the whole benchmark has.

    Returns:
        `published` and `robust` (`score`, `n`, `stderr`, `ci95`, `unmatched`, `truncated`,
        `empty`, `subsets`, `pass@k` or `maj@k` for several samples, and what the task's
        `figures` adds), and beside them
        `metric`, `asked`, `of`, `missing`, `data`, `notes`.
    """
    by_rule: dict[str, dict[str, list[Score]]] = {rule: defaultdict(list) for rule in RULES}
    for score in scores:
        by_rule[score.rule][score.id].append(score)
    whole: dict[str, Any] = {
        rule: _rule(task, answered, by_rule[rule], rule, subsets=True) for rule in RULES
    }
    whole.update(
        metric=task.metric,
        asked=asked,
        of=of,
        missing=asked - len(answered),
        data=task.data,
        scale=task.scale,
        also=list(task.also),
    )
    whole["notes"] = _notes(task, whole)
    return whole


def _notes(task: Task, whole: Mapping[str, Any]) -> list[str]:
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
    if unjudged := whole["asked"] - whole["missing"] - rule["n"]:
        notes.append(f"{unjudged:,} not judged")
    for name in ("truncated", "empty"):
        if (rule[name] or 0) > 0.01:
            notes.append(f"{rule[name]:.1%} {name}")
    return notes


def _rule(
    task: Task,
    answered: Sequence[Answered],
    scores: Mapping[str, Sequence[Score]],
    rule: Rule,
    subsets: bool,
) -> dict[str, Any]:
    """One rule's figures; a score of None where nothing has been judged."""
    ends = _ends([r for one in answered for r in one.responses])
    items = [one.item for one in answered if scores.get(one.item.id)]
    every = [s for item in items for s in scores[item.id]]
    readable = {i.id: [s for s in scores[i.id] if s.value is not None] for i in items}
    valued = [item for item in items if readable[item.id]]
    result: dict[str, Any] = {
        **dict.fromkeys(("score", "n", "stderr", "ci95")),
        "n": 0,
        "unmatched": stats.mean([not s.matched for s in every]) if every else None,
        **ends,
    }
    if valued:
        found = _estimate(task, valued, readable, lambda s: s.value or 0.0)
        result |= {
            "score": found.score,
            "n": found.n,
            "stderr": found.stderr,
            "ci95": [found.lo, found.hi],
            **_several(task, valued, readable),
        }
    if not items:
        return result
    for name in task.also:
        if all(name in (s.detail or {}) for item in items for s in scores[item.id]):
            named = functools.partial(_detail, name)
            more = _estimate(task, items, scores, named)
            result[name] = {
                "score": more.score, "n": more.n, "stderr": more.stderr, "ci95": [more.lo, more.hi]
            }  # fmt: skip
    if subsets:
        result |= task.figures(items, scores, rule)
        by_subset: dict[str, list[Answered]] = defaultdict(list)
        for one in answered:
            by_subset[one.item.subset].append(one)
        result["subsets"] = {
            name: _rule(task, part, scores, rule, subsets=False) for name, part in by_subset.items()
        }
    return result


def _detail(name: str, score: Score) -> float:
    return float((score.detail or {})[name])


def _estimate(
    task: Task,
    items: Sequence[Item],
    scores: Mapping[str, Sequence[Score]],
    value: Callable[[Score], float],
) -> stats.Estimate:
    """The mean over items, each the mean of its samples, with the task's clusters and strata."""
    values = [stats.mean([value(s) for s in scores[item.id]]) for item in items]
    clusters = [task.cluster(item) for item in items]
    strata = [task.stratum(item) for item in items]
    return stats.estimate(
        values,
        clusters=clusters if len(set(clusters)) < len(items) else None,
        strata=strata if len(set(strata)) > 1 else None,
        bounds=task.bounds,
        scale=task.scale,
    )


def _ends(responses: Sequence[Response]) -> dict[str, float | None]:
    known = [r.finish_reason == "length" for r in responses if r.finish_reason is not None]
    return {
        "truncated": stats.mean(known) if known else None,
        "empty": stats.mean([not r.text.strip() for r in responses]) if responses else None,
    }


def _several(task: Task, items: Sequence[Any], scores: Mapping[str, Sequence[Score]]) -> Any:
    """pass@k for executed code, maj@k for answers, where items have several samples."""
    n = min(len(scores[item.id]) for item in items)
    if n < 2:
        return {}
    ks = sorted({k for k in _KS if k <= n} | {n})
    if task.metric == "pass@1":
        counts = [(len(scores[i.id]), sum(bool(s.value) for s in scores[i.id])) for i in items]
        rates = {k: stats.mean([stats.pass_at_k(m, c, k) for m, c in counts]) for k in ks}
        return {"pass@k": {str(k): 100 * rate for k, rate in rates.items()}}
    by_sample = [sorted(scores[item.id], key=lambda s: s.sample) for item in items]
    drawn = [([s.answer for s in row], [s.value or 0.0 for s in row]) for row in by_sample]
    rates = {k: stats.mean([stats.maj_at_k(a, v, k) for a, v in drawn]) for k in ks}
    return {"maj@k": {str(k): 100 * rate for k, rate in rates.items()}}
