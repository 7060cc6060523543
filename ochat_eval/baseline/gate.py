"""The gate's verdicts, as pure functions: did a run do the recorded work, and as well?

Like is compared with like: a run that asked other items, other prompts, with other sampling, or
whose answers were read by another rule is REFUSED, not compared. Points are 0…100 (a rating: 100
is the best). The formulas are in `stats.equivalence`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ochat_eval import stats
from ochat_eval.baseline.figures import sharing
from ochat_eval.baseline.policy import Policy
from ochat_eval.baseline.results import (
    Outcome,
    RunResults,
    TaskResults,
    Verdicts,
    flip_rates,
    points,
)
from ochat_eval.baseline.same_work import difference, recorded_items, unlike_unmatched, unlike_work
from ochat_eval.run.identity import differences, engine_part
from ochat_eval.terminal.words import counted

Verdict = Literal["PASS", "FAIL", "INCONCLUSIVE", "REFUSED"]
ORDER: tuple[Verdict, ...] = ("REFUSED", "FAIL", "INCONCLUSIVE", "PASS")
"""Of several benchmarks' verdicts the first of these is the whole gate's."""
EXIT: dict[Verdict, int] = {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 2, "REFUSED": 3}
"""Exit codes; a mistake on the command line has that of REFUSED."""
ONCE = (
    "recorded once, without reruns, so that nobody knows how often verdicts flip by themselves: "
    "run its command again with shuffle=1 run=RERUN, record both (ochat-eval record RUN RERUN --as "
    "NAME), or say with --margin how many points may be lost"
)


@dataclass(frozen=True, slots=True)
class Look:
    """A look at a benchmark before all of it is answered.

    Attributes:
        confidence: of its interval (`stats.look_confidences`).
        planned: how many items there are to be; the margin is theirs.
    """

    confidence: float
    planned: int


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
        passes: the chance that a faultless rerun passes this gate, at that flip rate; None where
            it is not known.
        detects: the true loss that fails it with 80 % chance; None as `passes`.
        decides: whether the whole gate's verdict counts it by itself (`Policy.veto`).
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
    decides: bool = True


@dataclass(frozen=True)
class GateResult:
    """The whole gate.

    Attributes:
        run, against: their names.
        asked: what was asked, in words (`Policy.title`).
        rows: a verdict for each benchmark.
        notes: what else must be known.
        looks: of a run looked at while it went on, each benchmark's verdicts look by look.
    """

    run: str
    against: str
    asked: str
    verdict: Verdict
    rows: Sequence[TaskGate]
    notes: Sequence[str]
    looks: Mapping[str, Sequence[TaskGate]] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The verdict in one line."""
        return f"{self.verdict}: {self.run} against {self.against}, {self.asked}"


def gate(
    run: RunResults, recorded: RunResults, policy: Policy, *, part: bool = False
) -> list[TaskGate]:
    """A verdict for each recorded benchmark, in the recorded order; last the weighted mean, if any.

    Args:
        policy: what is asked.
        part: a run over some of the recorded items and benchmarks will do.
    """
    rows = []
    for name, there in recorded.tasks.items():
        if name in run.tasks:
            row = gate_task(run, recorded, name, policy.of(name), part=part)
        elif not part:
            row = TaskGate(name, "REFUSED", "the run did not ask it", of=len(there.outcomes))
        else:
            continue
        decides = policy.veto(name) or row.verdict == "REFUSED"
        rows.append(dataclasses.replace(row, decides=decides))
    return [*rows, *weighted(rows, policy)]


def overall(rows: Sequence[TaskGate]) -> Verdict:
    """PASS only if every benchmark that decides passes, REFUSED if one is; FAIL if one fails.

    No correction for several benchmarks: all must pass (an intersection-union test, Berger 1982,
    keeps its level), and a faultless rerun fails one with a chance below one in a million.
    """
    verdicts = {row.verdict for row in rows if row.decides}
    return next((v for v in ORDER if v in verdicts), "REFUSED")


def _unfinished(new: Sequence[Outcome], recorded: Sequence[Outcome]) -> list[str]:
    """How many answers are thoughts without an end, where some are."""
    if not any(one.unfinished for one in (*new, *recorded)):
        return []
    shares = [100 * stats.mean([one.unfinished for one in side]) for side in (new, recorded)]
    return [
        f"{shares[0]:.1f} % of the answers are thoughts without an end, recorded {shares[1]:.1f} %"
    ]


def notes(run: RunResults, recorded: RunResults) -> list[str]:
    """What is no ground for refusal, but must be known: parts, other models, other engines."""
    found = []
    known = {id_: one for task in recorded.tasks.values() for id_, one in task.outcomes.items()}
    new = [one for task in run.tasks.values() for one in task.outcomes.values() if one.id in known]
    if len(new) < len(known):
        tasks = sum(not known.keys().isdisjoint(task.outcomes) for task in run.tasks.values())
        asked = f"{len(new):,} of {len(known):,} items"
        found.append(f"part: {asked}, {tasks} of {len(recorded.tasks)} benchmarks")
    if new:
        same = sum(one.responses == known[one.id].responses for one in new)
        found.append(f"{same:,} of {len(new):,} items were answered with the very same text")
    found += _unfinished(new, [known[one.id] for one in new])
    found += [f"{name} is not in the recorded run: not gated" for name in run.tasks
              if name not in recorded.tasks]  # fmt: skip
    if recorded.runs < 2:
        found.append("recorded without reruns: its noise (ψ) is unknown")
    there, here = (engine_part(one.identity) for one in (recorded, run))
    return found + [f"not the same: {change}" for change in differences(there, here)]


def gate_task(
    run: RunResults,
    recorded: RunResults,
    name: str,
    policy: Policy,
    *,
    part: bool = False,
    look: Look | None = None,
) -> TaskGate:
    """One benchmark's verdict; arguments as `gate`, the policy the benchmark's own.

    Args:
        look: where the run's items are those that are there so far; nothing is said then of the
            chances of the gate.
    """
    here, there, rule = run.tasks[name], recorded.tasks[name], policy.rule
    n, of = len(here.outcomes), len(there.outcomes)
    refused = next(unlike_work(here, there, rule, part), "")
    if run.identity.get("overlong") != recorded.identity.get("overlong"):
        refused = refused or "overlong differs: prompts longer than the context were cut otherwise"
    if recorded.runs < 2 and policy.margin is None:
        refused = refused or ONCE
    if refused:
        return TaskGate(name, "REFUSED", refused, n=n, of=of)
    rates = flip_rates(there, rule, recorded.runs)
    psi, psi_unmatched = rates or (0.0, 0.0)
    margin = policy.margin
    if margin is None:
        margin = stats.delta(psi, look.planned if look else n, policy.flip_sds)
    confidence = look.confidence if look else stats.CONFIDENCE
    worst, middle, best = _differences(here, there, policy, psi, recorded.runs, confidence)
    verdict: Verdict = stats.decide(worst.lo, worst.hi, margin, policy.mode)
    if margin > 100 or verdict != stats.decide(best.lo, best.hi, margin, policy.mode):
        verdict = "INCONCLUSIVE"
    base = [stats.mean(o.rules[rule].values) for o in recorded_items(here, there)]
    row = TaskGate(
        name,
        verdict,
        n=n,
        of=of,
        recorded=points(stats.mean(base), there),
        score=points(stats.mean([o.rules[rule].values[0] for o in here.outcomes.values()]), here),
        difference=middle.score,
        lo=worst.lo,
        hi=best.hi,
        margin=margin,
        psi=rates[0] if rates else None,
    )
    if not look:
        row = _with_chances(row, here, policy, middle.stderr, recorded.runs)
    reason = _reason(row, policy, alone=middle.stderr is None)
    if unread := sum(not o.rules[rule].read() for o in here.outcomes.values()):
        reason = "; ".join(filter(None, [reason, _unread(unread, here)]))
    if odd := unlike_unmatched(here, there, policy, psi_unmatched, recorded.runs, confidence):
        verdict = "FAIL" if verdict == "FAIL" else "REFUSED"
        reason = f"{reason}; {odd}" if verdict == "FAIL" else odd
    return dataclasses.replace(row, verdict=verdict, reason=reason)


def _differences(
    here: TaskResults,
    there: TaskResults,
    policy: Policy,
    psi: float,
    runs: int,
    confidence: float,
) -> tuple[stats.Estimate, stats.Estimate, stats.Estimate]:
    """The difference if what is unread were as bad as can be for the run, as it was read, and as
    good as can be; the same three times where all was read."""
    low, top = there.bounds

    def valued(end: float | None, verdicts: Verdicts) -> list[float]:
        found = verdicts.values if end is None else verdicts.values_if(end)
        return [value / top for value in found]

    def found(new: float | None, recorded: float | None) -> stats.Estimate:
        measures = lambda v: valued(new, v), lambda v: valued(recorded, v)
        bounds = None if there.bounds == (0, 1) else (low / top, 1.0)
        return difference(here, there, policy.rule, measures, psi, runs, confidence, bounds)

    every = [*here.outcomes.values(), *recorded_items(here, there)]
    middle = found(None, None)
    if not any(one.rules[policy.rule].unread for one in every):
        return middle, middle, middle
    return found(low, top), middle, found(top, low)


def _with_chances(
    row: TaskGate, task: TaskResults, policy: Policy, stderr: float | None, runs: int
) -> TaskGate:
    """The row with what this gate does at the recorded flip rate."""
    if row.psi is None or row.margin is None:
        return row
    if task.bounds == (0, 1):
        found = stats.chances(row.margin, row.psi, row.n, runs, mode=policy.mode)
        detects = stats.detects(row.margin, row.psi, row.n, runs, mode=policy.mode)
        return dataclasses.replace(row, passes=found.passes, detects=detects)
    noise = max(stderr or 0.0, stats.rerun_error(row.psi, row.n, runs))
    passes = stats.normal_chance(row.margin, noise, policy.mode)
    detects = row.margin + stats.minimum_detectable_effect(noise, 1 - stats.CONFIDENCE)
    return dataclasses.replace(row, passes=passes, detects=detects)


def _reason(row: TaskGate, policy: Policy, alone: bool = False) -> str:
    """Why, in words; empty for a plain PASS. `alone`: there is one item or cluster only."""
    assert row.lo is not None and row.hi is not None and row.margin is not None
    moved = f"{row.difference:+.2f} points"
    if row.verdict == "PASS":
        return f"better: {moved}" if policy.mode == "no-worse" and row.lo > 0 else ""
    if row.verdict == "FAIL":
        better = "; better is not the same: ask --no-worse of a new checkpoint"
        outside = f"outside ±{row.margin:.2f}{better if row.lo > row.margin else ''}"
        return f"{moved} lie {outside if policy.mode == 'same' else f'below -{row.margin:.2f}'}"
    if row.margin > 100:
        return "reruns differ so much that no score would fail: record more items"
    if alone:
        return "one item or cluster tells no error"
    if row.passes is not None and row.passes < 0.005:
        few = counted(row.n, "item")
        return f"no run over {few} passes {row.margin:.2f}: ask more items, or say a wider margin"
    return "the interval reaches over the margin: more items can tell"


def _unread(count: int, task: TaskResults) -> str:
    """What the interval makes of verdicts that could not be read."""
    low, top = task.bounds
    return (
        f"{counted(count, 'item')} with unread verdicts: the interval takes them as {low:g} and as "
        f"{top:g}, the score as the middle"
    )


def weighted(rows: Sequence[TaskGate], policy: Policy) -> list[TaskGate]:
    """The weighted mean of the benchmarks that have a weight, gated as one; nothing without any.

    Its interval is put together of theirs (`stats.average_interval`), which rise and fall together
    where they ask the same questions; its margin is the policy's, or `stats.delta` of the mean's
    own noise.
    """
    found = [(row, w) for row in rows if (w := policy.weight(row.task)) is not None]
    if not found:
        return []
    name, of = "weighted mean", sum(row.of for row, _ in found)
    n = sum(row.n for row, _ in found)
    if bad := [row.task for row, _ in found if row.difference is None]:
        return [TaskGate(name, "REFUSED", f"{bad[0]} is refused", n=n, of=of)]
    total = sum(w for _, w in found)

    def parts(field: str) -> list[float]:
        """A figure of each row times its weight, so that their plain mean is the weighted one."""
        return [getattr(row, field) * w * len(found) / total for row, w in found]

    if policy.margin is None and any(row.psi is None for row, _ in found):
        return [
            TaskGate(name, "REFUSED", "its margin is not known: say one, in points", n=n, of=of)
        ]
    ends = list(zip(parts("lo"), parts("hi"), strict=True))
    questions = sharing()
    together = [questions.get(row.task, row.task) for row, _ in found]
    lo, hi = stats.average_interval(parts("difference"), ends, together)
    noise = sum((w / total) ** 2 * (row.psi or 0.0) / row.n for row, w in found)
    margin = policy.margin
    if margin is None:
        margin = stats.delta(noise, 1, policy.flip_sds)
    row = TaskGate(
        name,
        stats.decide(lo, hi, margin, policy.mode) if margin <= 100 else "INCONCLUSIVE",
        n=n,
        of=of,
        recorded=stats.mean(parts("recorded")),
        score=stats.mean(parts("score")),
        difference=stats.mean(parts("difference")),
        lo=lo,
        hi=hi,
        margin=margin,
    )
    return [dataclasses.replace(row, reason=_reason(row, policy))]
