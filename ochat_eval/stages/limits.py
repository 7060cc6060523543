"""How many items of each benchmark to ask: limit=auto, and what `stage=plan` proposes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ochat_eval import stats
from ochat_eval.baseline.figures import sharing
from ochat_eval.baseline.results import TaskResults, clusters, flip_rates
from ochat_eval.baseline.runs import read
from ochat_eval.benchmark.task import Task
from ochat_eval.config.job import Job
from ochat_eval.config.schema import Stage
from ochat_eval.records import RULES, Rule, UserError
from ochat_eval.report.controlled import unfit
from ochat_eval.terminal.say import say
from ochat_eval.terminal.words import duration

_DIFFER = 0.10
"""The share of verdicts that a new run is taken to have otherwise than the only control; that of
reruns, where it is recorded and greater."""


@dataclass(frozen=True)
class Limits:
    """How many items to ask.

    Attributes:
        of: by benchmark, the items chosen and all that there are.
        aim: what they make how precise.
        basis: what that is reckoned with.
        share: of the work of all items, in tokens of prompts and answers where they are known.
    """

    of: Mapping[str, tuple[int, int]]
    aim: str
    basis: str
    share: float

    def __str__(self) -> str:
        """The sum, in a line."""
        asked, every = (sum(column) for column in zip(*self.of.values(), strict=True))
        return f"{self.aim}: {asked:,} of {every:,} items, {100 * asked / every:.0f} %"


def with_limits(job: Job) -> Job:
    """The job with the limits that limit=auto chooses, which is said; any other as it is.

    They hang on the earlier runs alone, so that the same command is the same run.

    Raises:
        UserError: an earlier run is none, or cannot be a control of a benchmark.
    """
    if not job.auto_limit:
        return job
    found = limits(job)
    each = ", ".join(f"{name} {n:,} of {of:,}" for name, (n, of) in found.of.items())
    say(f"limit=auto, {found} ({found.basis}): {each}")
    tasks = {n: dataclasses.replace(t, limit=found.of[n][0]) for n, t in job.tasks.items()}
    return dataclasses.replace(job, tasks=tasks)


def proposal(job: Job, seconds: float | None) -> str:
    """What `stage=plan against=NAME` proposes, or why it cannot; empty where limits are chosen.

    Args:
        seconds: that all items will take; None: not known.
    """
    whole = all(task.limit is None for task in job.tasks.values())
    if not (job.stage is Stage.plan and job.controls and whole):
        return ""
    try:
        found = limits(job)
    except UserError as e:  # the plan is of use without it
        return f"no limits to propose: {e}"
    time = ""
    if seconds is not None:
        time = f", about {duration(found.share * seconds)} of {duration(seconds)}"
    say_so = f"limit=auto precision={job.precision:g}"
    return f"{found}{time}\n  ({say_so}; {found.basis})"


def limits(job: Job) -> Limits:
    """The least work that makes the average of the job's benchmarks as precise as it says."""
    earlier = {name: read(name, job.results) for name in job.controls}
    runs = earlier[job.controls[0]].runs
    questions, known, costs = sharing(), {}, {}
    for name, task in job.tasks.items():
        fit = list(_fit(task, {one: run.tasks.get(name) for one, run in earlier.items()}))
        asks = questions.get(name, name)
        known[name] = stats.Benchmark(
            items=fit[0].of,
            variance=max(_variance(fit, rule, runs) for rule in RULES),
            controls=len(fit),
            clusters=len({one.cluster for one in fit[0].outcomes.values()}),
            strata=len({one.stratum for one in fit[0].outcomes.values()}),
            together=sum(questions.get(other, other) == asks for other in job.tasks),
        )
        costs[name] = _tokens(fit[0])
    told = {name: cost for name, cost in costs.items() if cost is not None}
    if len(told) == len(known):
        known = {n: dataclasses.replace(one, cost=told[n]) for n, one in known.items()}
    chosen = stats.allocation(list(known.values()), job.precision / 100)
    pairs = list(zip(chosen, known.values(), strict=True))
    many = f"the average of {len(known)} benchmarks" if len(known) > 1 else next(iter(known))
    return Limits(
        of={name: (n, known[name].items) for name, n in zip(known, chosen, strict=True)},
        aim=f"for ±{job.precision:g} points on {many}",
        basis=_basis(list(earlier), runs > 1),
        share=sum(n * k.cost for n, k in pairs) / sum(k.items * k.cost for _, k in pairs),
    )


def _basis(names: Sequence[str], reruns: bool) -> str:
    if len(names) > 1:
        return f"if it differs from {' and '.join(names)} as they do from each other"
    most = f"at most {100 * _DIFFER:.0f} %" + (", or as many as of its reruns," if reruns else "")
    return f"if {most} of its verdicts differ from {names[0]}"


def _fit(task: Task, there: Mapping[str, TaskResults | None]) -> Iterator[TaskResults]:
    """What the earlier runs have of a benchmark; UserError where one cannot be its control."""
    if task.judged or task.bounds != (0.0, 1.0):
        raise UserError(
            f"{task.name} is rated, not right or wrong, so that no limit of it can be told; leave "
            f"it out of task="
        )
    prompts: dict[str, str] = {}  # of the run before, whose items the next one must have
    options = task.all_options()
    for name, one in there.items():
        why = unfit(one, prompts, options)
        if one is not None and one.options["data"] != options["data"]:
            why = f"it has data={one.options['data']}"
        if one is None or why:
            raise UserError(
                f"against={name} is no control of {task.name}: {why}; name another run, or leave "
                f"{task.name} out of task="
            )
        prompts = {id_: item.prompt for id_, item in one.outcomes.items()}
        yield one


def _variance(fit: Sequence[TaskResults], rule: Rule, runs: int) -> float:
    """What the controls leave of an item's variance; one alone tells it only by its reruns."""
    ids = list(fit[0].outcomes)
    together = clusters(list(fit[0].outcomes.values()))
    values = [[one.outcomes[id_].rules[rule].values[0] for id_ in ids] for one in fit]
    if len(ids) < len(fit) + 2:
        return 1.0  # too few to tell anything: they are asked whole
    if len(fit) > 1:
        return stats.residual_variance(values, together)
    psi, _ = flip_rates(fit[0], rule, runs) or (0.0, 0.0)
    return min(1.0, max(_DIFFER, psi) * stats.design_effect(values[0], together))


def _tokens(task: TaskResults) -> float | None:
    """The mean tokens of an item's prompts and answers; None where they are not known."""
    ends = [end for one in task.outcomes.values() for end in one.ends]
    every = [(prompt, answer) for _, prompt, answer in ends]
    known = [p + a for p, a in every if p is not None and a is not None]
    if len(known) < len(ends) or sum(known) == 0:
        return None
    return sum(known) / len(task.outcomes)
