"""The gate's verdicts, as pure functions: did a run do the recorded work, and as well?

Like is compared with like: a run that asked other items, other prompts, with other sampling, or
whose answers were read by another rule is REFUSED, not compared. Points are 0…100 (a rating: 100
is the best). The formulas are in `stats` and `stats_gate`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ochat_eval import stats, stats_gate, store
from ochat_eval.comparison import (
    Outcome,
    RunResults,
    TaskResults,
    Verdicts,
    clusters,
    flip_rates,
    points,
    strata,
)
from ochat_eval.records import Rule

Verdict = Literal["PASS", "FAIL", "INCONCLUSIVE", "REFUSED"]
ORDER: tuple[Verdict, ...] = ("REFUSED", "FAIL", "INCONCLUSIVE", "PASS")
"""Of several benchmarks' verdicts the first of these is the whole gate's."""

_CHOICE_OF_ITEMS = ("limit", "subsets", "data")
"""Options that say which items are asked; the items themselves are compared."""


@dataclass(frozen=True, slots=True)
class TaskGate:
    """One benchmark's verdict. Scores, interval, margin and `detects` are in points.

    Attributes:
        reason: why, in words; empty for a plain PASS.
        n, of: items compared, and items that the recorded run has.
        recorded, score: mean over these items; the recorded one over all its runs.
        difference, lo, hi: score − recorded and its 90 % interval.
        margin: δ; differences within it count as none.
        psi: the recorded flip rate, a fraction; None where there are no reruns.
        passes: the chance that a faultless rerun passes this gate; None where no rerun flipped,
            which for few items does not say that none ever will.
        detects: the true difference that fails it with 80 % chance; None as `passes`.
    """

    task: str
    verdict: Verdict
    reason: str = ""
    n: int = 0
    of: int = 0
    recorded: float | None = None
    score: float | None = None
    difference: float | None = None
    lo: float | None = None
    hi: float | None = None
    margin: float | None = None
    psi: float | None = None
    passes: float | None = None
    detects: float | None = None


def gate(
    run: RunResults,
    recorded: RunResults,
    rule: Rule,
    *,
    part: bool = False,
    flip_sds: float = stats_gate.FLIP_SDS,
) -> list[TaskGate]:
    """A verdict for each recorded benchmark, in the recorded order.

    Args:
        part: a run over some of the recorded items and benchmarks will do.
        flip_sds: the margin in flip SDs (`stats_gate.delta`).
    """
    rows = []
    for name, there in recorded.tasks.items():
        if name in run.tasks:
            rows.append(gate_task(run, recorded, name, rule, part=part, flip_sds=flip_sds))
        elif not part:
            rows.append(TaskGate(name, "REFUSED", "the run did not ask it", of=len(there.outcomes)))
    return rows


def overall(rows: Sequence[TaskGate]) -> Verdict:
    """PASS only if every benchmark passes, REFUSED if one is; FAIL if one fails.

    No correction for several benchmarks: all must pass (an intersection-union test, Berger 1982,
    keeps its level), and a faultless rerun fails one with a chance below one in a million.
    """
    verdicts = {row.verdict for row in rows}
    return next((v for v in ORDER if v in verdicts), "REFUSED")


def notes(run: RunResults, recorded: RunResults, rows: Sequence[TaskGate]) -> list[str]:
    """What is no ground for refusal, but must be known: parts, other models, other engines."""
    found = []
    asked, of = sum(row.n for row in rows), sum(len(t.outcomes) for t in recorded.tasks.values())
    if asked < of:
        found.append(
            f"part: {asked:,} of {of:,} items, {len(rows)} of {len(recorded.tasks)} benchmarks"
        )
    known = {id_: one for task in recorded.tasks.values() for id_, one in task.outcomes.items()}
    new = [one for task in run.tasks.values() for one in task.outcomes.values() if one.id in known]
    same = sum(one.responses == known[one.id].responses for one in new)
    found.append(f"{same:,} of {len(new):,} items were answered with the very same text")
    found += [f"{name} is not in the recorded run: not gated" for name in run.tasks
              if name not in recorded.tasks]  # fmt: skip
    if recorded.runs < 2:
        found.append("recorded without reruns: its noise (ψ) is unknown, the margin is the floor")
    ours = ("prompts", "seed", "tasks", "overlong")
    there, here = (
        {k: v for k, v in one.identity.items() if k not in ours} for one in (recorded, run)
    )
    return found + [f"not the same: {change}" for change in store.differences(there, here)]


# --- One benchmark ------------------------------------------------------------------------------


def gate_task(
    run: RunResults,
    recorded: RunResults,
    name: str,
    rule: Rule,
    *,
    part: bool = False,
    flip_sds: float = stats_gate.FLIP_SDS,
) -> TaskGate:
    """One benchmark's verdict; arguments as `gate`."""
    here, there = run.tasks[name], recorded.tasks[name]
    counts = {"n": len(here.outcomes), "of": len(there.outcomes)}
    refused = next(_unlike_work(here, there, rule, part), "")
    if run.identity.get("overlong") != recorded.identity.get("overlong"):
        refused = refused or "overlong differs: prompts longer than the context were cut otherwise"
    if refused:
        return TaskGate(name, "REFUSED", refused, **counts)
    rates = flip_rates(there, rule, recorded.runs)
    psi, psi_unmatched = rates or (0.0, 0.0)
    top = there.bounds[1]

    def value(v: Verdicts) -> Sequence[float]:
        return [x / top for x in v.values]

    margin = stats_gate.delta(psi, len(here.outcomes), flip_sds)
    score, stderr = _difference(here, there, rule, value, psi, recorded.runs)
    verdict: Verdict = stats_gate.equivalence(score, stderr, margin)
    reason = {
        "FAIL": f"{score:+.2f} points lie outside ±{margin:.2f}",
        "INCONCLUSIVE": "the interval reaches over the margin: more items can tell",
        "PASS": "",
    }[verdict]
    if stderr is None:
        reason = "one item or cluster tells no error"
    if odd := _unlike_unmatched(here, there, rule, psi_unmatched, recorded.runs):
        verdict = "FAIL" if verdict == "FAIL" else "REFUSED"
        reason = f"{reason}; {odd}" if verdict == "FAIL" else odd
    half = stats.z_value(0.9) * stderr if stderr is not None else None
    base = [stats.mean(o.rules[rule].values) for o in _recorded_items(here, there)]
    noise = stats_gate.rerun_error(psi, len(here.outcomes), recorded.runs)
    return TaskGate(
        name,
        verdict,
        reason,
        **counts,
        recorded=points(stats.mean(base), there),
        score=points(stats.mean([o.rules[rule].values[0] for o in here.outcomes.values()]), here),
        difference=score,
        lo=None if half is None else score - half,
        hi=None if half is None else score + half,
        margin=margin,
        psi=rates[0] if rates else None,
        passes=stats_gate.pass_chance(margin, noise) if noise else None,
        detects=margin + stats.minimum_detectable_effect(noise, 0.1) if noise else None,
    )


def _recorded_items(here: TaskResults, there: TaskResults) -> list[Outcome]:
    return [there.outcomes[id_] for id_ in here.outcomes]


def _difference(
    here: TaskResults,
    there: TaskResults,
    rule: Rule,
    measure: Callable[[Verdicts], Sequence[float]],
    psi: float,
    runs: int,
) -> tuple[float, float | None]:
    """Score less recorded mean, in points, and its error: the items' own, or the rerun noise.

    The larger of the two: among few items too few may have flipped to show the noise.
    """
    items = _recorded_items(here, there)
    recorded = [stats.mean(measure(one.rules[rule])) for one in items]
    new = [measure(one.rules[rule])[0] for one in here.outcomes.values()]
    found = stats.paired(recorded, new, clusters(items), strata=strata(items), scale=100)
    if found.stderr is None:
        return found.score, None
    return found.score, max(found.stderr, stats_gate.rerun_error(psi, len(items), runs))


def _unlike_unmatched(
    here: TaskResults, there: TaskResults, rule: Rule, psi: float, runs: int
) -> str:
    """Says so where the unmatched rate moved by more than reruns do; empty where it did not."""
    moved, stderr = _difference(here, there, rule, lambda v: v.unmatched, psi, runs)
    margin = stats_gate.delta(psi, len(here.outcomes))
    if stats_gate.equivalence(moved, stderr, margin) != "FAIL":
        return ""
    rate = 100 * stats.mean([o.rules[rule].unmatched[0] for o in here.outcomes.values()])
    return (
        f"the unmatched rate is {rate:.1f} %, recorded {rate - moved:.1f} %: more than reruns "
        "differ, so these are not the same kind of answers"
    )


def _unlike_work(here: TaskResults, there: TaskResults, rule: Rule, part: bool) -> Iterator[str]:
    """Why the two are not the same work, the first reason first; nothing where they are."""
    if here.missing:
        yield f"{here.missing:,} of {here.asked:,} items have no answer: run its command again"
    if not here.outcomes:
        yield "the run asked no item of it"
    if extra := [id_ for id_ in here.outcomes if id_ not in there.outcomes]:
        yield f"{len(extra):,} items are not in the recorded run, {extra[0]} the first"
    if len(here.outcomes) < len(there.outcomes) and not part:
        yield (
            f"{len(here.outcomes):,} of the {len(there.outcomes):,} recorded items; "
            "say --part if a part is meant"
        )
    pairs = [(one, there.outcomes[id_]) for id_, one in here.outcomes.items()]
    if other := [new.id for new, old in pairs if new.prompt != old.prompt]:
        yield (
            f"{len(other):,} of {len(pairs):,} prompts or targets differ from the recorded ones, "
            f"{other[0]} the first"
        )
    if unjudged := [new.id for new, _ in pairs if not new.rules[rule].values]:
        yield f"{len(unjudged):,} items are not judged, {unjudged[0]} the first"
    yield from _changed_options(here.options, there.options)
    if reread := [new.id for new, old in pairs if _read_otherwise(new, old, rule)]:
        yield (
            f"the rule {rule} reads {len(reread):,} unchanged responses otherwise than recorded, "
            f"{reread[0]} the first: it is another rule"
        )


def _changed_options(here: Mapping[str, Any], there: Mapping[str, Any]) -> list[str]:
    """The differences in what both know of sampling, prompts and scoring."""
    shared = [name for name in there if name in here and name not in _CHOICE_OF_ITEMS]
    return store.differences({k: there[k] for k in shared}, {k: here[k] for k in shared})


def _read_otherwise(new: Outcome, old: Outcome, rule: Rule) -> bool:
    """Whether the same response was read as another answer."""
    if new.responses != old.responses:
        return False
    a, b = new.rules[rule], old.rules[rule]
    return (a.answers, a.matched) != (b.answers, b.matched)


# --- A published figure -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Figure:
    """A published score: in points, and half a unit of its last digit."""

    points: float
    rounding: float = 0.05


@dataclass(frozen=True, slots=True)
class Setting:
    """The published setting of a benchmark.

    Attributes:
        options: of the benchmark; the chat format's condition is the model's and not compared.
        n: how many items it has.
        prompts: the digest over all of them (`prompts_digest`).
    """

    options: Mapping[str, Any]
    n: int
    prompts: str


def gate_figure(task: TaskResults, figure: Figure, psi: float | None, setting: Setting) -> TaskGate:
    """One benchmark against a published figure: can the score be a rerun of it?

    `stats_gate.matches_published`, under the rule `published`: PASS or FAIL, or REFUSED where the
    run did not ask exactly the published prompts in the published way, or ψ is not known.

    Args:
        psi: the flip rate, measured by reruns of some run like it; a fraction. None: unknown.
    """
    counts = {"n": len(task.outcomes), "of": setting.n}
    options = {k: v for k, v in task.options.items() if k != "condition"}
    refused = ""
    if task.missing or len(task.outcomes) != setting.n:
        refused = f"{len(task.outcomes):,} of {setting.n:,} items have an answer"
    elif changed := store.differences(
        {k: v for k, v in setting.options.items() if k in options},
        {k: v for k, v in options.items() if k in setting.options},
    ):
        refused = f"not the published setting: {changed[0]}"
    elif prompts_digest({i: o.prompt for i, o in task.outcomes.items()}) != setting.prompts:
        refused = "the prompts are not the published ones"
    elif any(not one.rules["published"].values for one in task.outcomes.values()):
        refused = "not all of it is judged"
    elif psi is None:
        refused = "--psi has no flip rate of it: record a run of it with reruns"
    if refused or psi is None:
        return TaskGate(task.name, "REFUSED", refused, **counts)
    values = [one.rules["published"].values[0] for one in task.outcomes.values()]
    score = points(stats.mean(values), task)
    same = stats_gate.matches_published(
        score, figure.points, psi, setting.n, rounding=figure.rounding
    )
    margin = figure.rounding + stats.z_value(0.95) * 100 * stats_gate.flip_sd(psi, setting.n)
    return TaskGate(
        task.name,
        "PASS" if same else "FAIL",
        "" if same else f"further from the figure than ±{margin:.2f}, which reruns explain",
        **counts,
        recorded=figure.points,
        score=score,
        difference=score - figure.points,
        margin=margin,
        psi=psi,
        passes=0.95,
    )


def prompts_digest(prompts: Mapping[str, str]) -> str:
    """One digest over a benchmark's prompts (id → `Outcome.prompt`), whatever their order."""
    lines = (f"{id_} {prompt}\n" for id_, prompt in sorted(prompts.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
