"""The gate's verdicts, as pure functions: did a run do the recorded work, and as well?

Like is compared with like: a run that asked other items, other prompts, with other sampling, or
whose answers were read by another rule is REFUSED, not compared. Points are 0…100 (a rating: 100
is the best). The formulas are in `stats.equivalence`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ochat_eval import stats
from ochat_eval.baseline.results import RunResults, TaskResults, Verdicts, flip_rates, points
from ochat_eval.baseline.same_work import (
    difference,
    prompts_digest,
    recorded_items,
    unlike_unmatched,
    unlike_work,
)
from ochat_eval.records import Rule
from ochat_eval.run.identity import differences, engine_part

Verdict = Literal["PASS", "FAIL", "INCONCLUSIVE", "REFUSED"]
ORDER: tuple[Verdict, ...] = ("REFUSED", "FAIL", "INCONCLUSIVE", "PASS")
"""Of several benchmarks' verdicts the first of these is the whole gate's."""
EXIT: dict[Verdict, int] = {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 2, "REFUSED": 3}
"""Exit codes; a mistake on the command line has that of REFUSED."""


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


@dataclass(frozen=True)
class GateResult:
    """The whole gate.

    Attributes:
        run, against: their names.
        rows: a verdict for each benchmark.
        notes: what else must be known.
    """

    run: str
    against: str
    rule: Rule
    verdict: Verdict
    rows: Sequence[TaskGate]
    notes: Sequence[str]

    @property
    def title(self) -> str:
        """The verdict in one line."""
        return f"{self.verdict}: {self.run} against {self.against}, rule {self.rule}"


def gate(
    run: RunResults,
    recorded: RunResults,
    rule: Rule,
    *,
    part: bool = False,
    flip_sds: float = stats.FLIP_SDS,
) -> list[TaskGate]:
    """A verdict for each recorded benchmark, in the recorded order.

    Args:
        part: a run over some of the recorded items and benchmarks will do.
        flip_sds: the margin in flip SDs (`equivalence.delta`).
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
    there, here = (engine_part(one.identity) for one in (recorded, run))
    return found + [f"not the same: {change}" for change in differences(there, here)]


def gate_task(
    run: RunResults,
    recorded: RunResults,
    name: str,
    rule: Rule,
    *,
    part: bool = False,
    flip_sds: float = stats.FLIP_SDS,
) -> TaskGate:
    """One benchmark's verdict; arguments as `gate`."""
    here, there = run.tasks[name], recorded.tasks[name]
    counts = {"n": len(here.outcomes), "of": len(there.outcomes)}
    refused = next(unlike_work(here, there, rule, part), "")
    if run.identity.get("overlong") != recorded.identity.get("overlong"):
        refused = refused or "overlong differs: prompts longer than the context were cut otherwise"
    if refused:
        return TaskGate(name, "REFUSED", refused, **counts)
    rates = flip_rates(there, rule, recorded.runs)
    psi, psi_unmatched = rates or (0.0, 0.0)
    top = there.bounds[1]

    def value(v: Verdicts) -> Sequence[float]:
        return [x / top for x in v.values]

    margin = stats.delta(psi, len(here.outcomes), flip_sds)
    score, stderr = difference(here, there, rule, value, psi, recorded.runs)
    verdict: Verdict = stats.equivalence(score, stderr, margin)
    reason = {
        "FAIL": f"{score:+.2f} points lie outside ±{margin:.2f}",
        "INCONCLUSIVE": "the interval reaches over the margin: more items can tell",
        "PASS": "",
    }[verdict]
    if stderr is None:
        reason = "one item or cluster tells no error"
    if odd := unlike_unmatched(here, there, rule, psi_unmatched, recorded.runs):
        verdict = "FAIL" if verdict == "FAIL" else "REFUSED"
        reason = f"{reason}; {odd}" if verdict == "FAIL" else odd
    half = stats.z_value(0.9) * stderr if stderr is not None else None
    base = [stats.mean(o.rules[rule].values) for o in recorded_items(here, there)]
    noise = stats.rerun_error(psi, len(here.outcomes), recorded.runs)
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
        passes=stats.pass_chance(margin, noise) if noise else None,
        detects=margin + stats.minimum_detectable_effect(noise, 0.1) if noise else None,
    )


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


def gate_figure(
    task: TaskResults,
    figure: Figure,
    psi: float | None,
    setting: Setting,
    of_model: Sequence[str] = (),
) -> TaskGate:
    """One benchmark against a published figure: can the score be a rerun of it?

    `equivalence.matches_published`, under the rule `published`: PASS or FAIL, or REFUSED where the
    run did not ask exactly the published prompts in the published way, or ψ is not known.

    Args:
        psi: the flip rate, measured by reruns of some run like it; a fraction. None: unknown.
        of_model: the model's options that are not of the published setting.
    """
    counts = {"n": len(task.outcomes), "of": setting.n}
    options = {k: v for k, v in task.options.items() if k != "condition"}
    refused = ""
    if task.missing or len(task.outcomes) != setting.n:
        refused = f"{len(task.outcomes):,} of {setting.n:,} items have an answer"
    elif changed := differences(
        {k: v for k, v in setting.options.items() if k in options},
        {k: v for k, v in options.items() if k in setting.options},
    ):
        refused = f"not the published setting: {changed[0]}"
    elif of_model:
        refused = f"not the published setting: {of_model[0]}"
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
    same = stats.matches_published(score, figure.points, psi, setting.n, rounding=figure.rounding)
    margin = figure.rounding + stats.z_value(0.95) * 100 * stats.flip_sd(psi, setting.n)
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
