"""The story of a run: plan → generate → judge → score → report."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ochat_eval.baseline import figures
from ochat_eval.benchmark.advice import advice
from ochat_eval.benchmark.task import ScoringOptions
from ochat_eval.config.command import asked
from ochat_eval.config.job import Job
from ochat_eval.config.schema import Stage
from ochat_eval.config.several import each_model
from ochat_eval.records import UserError
from ochat_eval.run import store
from ochat_eval.series.models import run_models, side_by_side
from ochat_eval.stages.adapters import acts, ask_adapters, each_adapter
from ochat_eval.stages.baselines import Baselines
from ochat_eval.stages.generate import generate
from ochat_eval.stages.judge import judge_answers
from ochat_eval.stages.limits import with_limits
from ochat_eval.stages.plan import Plan, format_at_hand, is_new, plan, planned_work
from ochat_eval.stages.report import is_finished, report, show
from ochat_eval.stages.reuse import reuse_answers
from ochat_eval.stages.score import recorded_responses, score
from ochat_eval.stages.scored import Scored
from ochat_eval.stages.show import shown_prompts
from ochat_eval.stages.until import as_stopped, stands
from ochat_eval.terminal.say import say, tell
from ochat_eval.track.send import STEP, chosen, send

_OBJECTS = 50_000
"""Made since it was last looked for garbage, of which records have none: a tenth of the time."""


def run(argv: Sequence[str]) -> int:
    """`ochat-eval run`; returns the exit code."""
    gc.set_threshold(_OBJECTS)
    models = each_model(argv)
    job = asked(argv) if models is None else None
    try:
        if models is not None:
            return run_models(models)
        if job is not None:
            execute_each(job)
    except KeyboardInterrupt:
        say("the same command goes on where this one was stopped")
        raise
    return 0


def execute(job: Job) -> Path:
    """Runs the chosen stages of one run and returns its folder.

    Raises:
        UserError: anything a user can mend; several adapters, which are several runs.
    """
    if len(job.model.adapters) > 1:
        raise UserError("model.adapters: this makes one run; give one adapter at a time")
    [folder] = execute_each(job)
    return folder


def execute_each(job: Job) -> list[Path]:
    """Runs the chosen stages: of one run, or of one for each of the model's adapters.

    Returns:
        The runs' folders.

    Raises:
        UserError: anything a user can mend; an adapter that was not shown to act, when the runs of
            the others have been reported.
    """
    new = any(map(is_new, each_adapter(job)))
    _check(job, new)
    trackers = chosen(job.trackers)
    job = with_limits(job)
    with contextlib.ExitStack() as held:
        runs = [_begun(one, held) for one in each_adapter(job)]
        if new or job.stage is Stage.plan:
            _advise(runs[0].planned)
        if job.stage is Stage.plan:
            _show_plan(runs)
            return [run.planned.run.path for run in runs]
        left = [run for run in runs if not run.is_done()]
        for run in runs:
            if run not in left:
                _show_again(run.planned, trackers)
        if left:
            if not new:  # not before: what is finished needs neither machine nor model
                _check(job, True)
            _go_on(job, left)
    scored = [run for run in runs if acts(run.planned)]
    if job.stage is not Stage.generate:
        _tell(scored, [run for run in scored if run in left], trackers)
    if idle := [run.planned.model for run in runs if run not in scored]:
        raise UserError(f"not scored, for nothing shows that the adapter acts: {', '.join(idle)}")
    return [run.planned.run.path for run in runs]


@dataclass(frozen=True, eq=False)
class _Run:
    """One run of a command line: its job, and the work that was planned."""

    job: Job
    planned: Plan

    def is_done(self) -> bool:
        """Whether there is nothing left to do for it."""
        return (
            self.job.stage is Stage.all
            and is_finished(self.planned, self.job.judge, self.job.controls)
            and stands(self.job.until, self.planned)
        )


def _check(job: Job, starts: bool) -> None:
    """Refuses what cannot work; `starts`: the engine is to be started if the stage needs it."""
    generates = job.stage in (Stage.all, Stage.generate)
    if job.model.published is not None:
        figures.row(job.model.published)  # refused now where there is no such row
    if generates or job.stage is Stage.plan:
        job.engine.check_options()
    if generates and starts:
        job.engine.check_model(job.model)


def _begun(job: Job, held: contextlib.ExitStack) -> _Run:
    """Plans a run; its folder is held until the stack is left."""
    planned = plan(job)
    held.callback(planned.run.close)
    return _Run(job, planned)


def _advise(planned: Plan) -> None:
    for task in planned.tasks.values():
        for line in advice(task, planned.items(task.name)):
            say(line)


def _show_plan(runs: Sequence[_Run]) -> None:
    """What a dry run prints; adapters are asked the same, one by one."""
    job, planned = runs[0].job, runs[0].planned
    chat = format_at_hand(job.model, job.engine)
    tell(planned_work(job, planned, chat))
    if len(runs) > 1:
        tell(f"\nso much for each of {', '.join(run.job.model.name for run in runs)}")
    if job.show > 0:
        tell("\n" + shown_prompts(planned, job.model, chat, job.show))


def _show_again(planned: Plan, trackers: Mapping[str, Any]) -> None:
    """What is said of a run that was finished before."""
    again = "stage=score or stage=report do their part anew"
    if trackers:
        again = f"trackers are told again by: ochat-eval track {planned.run.path} --to …"
    say(f"finished before, nothing to do; {again}")
    show(planned.run)


def _tell(scored: Sequence[_Run], new: Sequence[_Run], trackers: Mapping[str, Any]) -> None:
    """Puts several reported runs side by side, and tells the trackers of those that are new."""
    if len(scored) > 1:
        side_by_side({run.planned.model: run.planned.run.path for run in scored})
    for run in new if trackers else ():
        send(trackers, run.planned.run.path)


def _go_on(job: Job, runs: Sequence[_Run]) -> None:
    """Generates, judges, scores and reports, as far as the stage says."""
    stage, judge = job.stage, job.judge
    scoring = []
    for run in runs:
        baselines = Baselines(run.planned)
        if run.job.step is not None:
            run.planned.manifest.set(STEP, run.job.step)
        options = ScoringOptions(job.sandbox, job.workers, against=baselines.of)
        if stage in (Stage.all, Stage.score):
            baselines.check()
            for task in run.planned.tasks.values():
                task.check_scoring(options)
        scoring.append((run, options))
    if stage is Stage.all and judge is not None:
        judge.reach(judge.where)
    if stage in (Stage.all, Stage.generate):
        for run in runs:
            reuse_answers(run.job, run.planned)
        if runs[0].job.model.adapters:
            ask_adapters(job, [(run.job, run.planned) for run in runs])
        else:
            generate(job, runs[0].planned)
    if stage is not Stage.generate:
        for run, options in scoring:
            if acts(run.planned):
                _score(run, options)


def _score(run: _Run, options: ScoringOptions) -> None:
    """Judges, scores and reports what there is, as far as the stage says."""
    judge, judged, scores = run.job.judge, True, run.job.stage is not Stage.report
    responses, planned = recorded_responses(run.planned), as_stopped(run.planned)
    if scores and judge is not None:
        judged = judge_answers(judge, planned, responses, options.against)
    scored = Scored(planned, options)
    if scores and scored.stands():
        stand = f"{planned.run.file(store.SCORES)} stands"
        say(f"{stand}: made by these rules of these answers; remove it to score anew")
    elif scores:
        scored.made(score(planned, responses, options))
    if scores and scored.report_stands(run.job):
        page = planned.run.file(store.REPORT)
        say(f"{page} stands: made of these scores, with all beside it; stage=report makes it anew")
        show(planned.run)
    else:
        report(run.job, planned, responses)
        scored.report_made(run.job)
    if not judged:
        raise UserError(f"nothing was judged; {planned.run.file(store.JUDGE_FAILURES)} says why")
