"""The story of a run, in one screen: plan → generate → judge → score → report."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from ochat_eval.baseline import figures
from ochat_eval.benchmark.advice import advice
from ochat_eval.benchmark.task import ScoringOptions
from ochat_eval.config.command import asked
from ochat_eval.config.job import Job
from ochat_eval.config.schema import Stage
from ochat_eval.config.several import each_model
from ochat_eval.records import UserError
from ochat_eval.run import store
from ochat_eval.series.models import run_models
from ochat_eval.stages.baselines import Baselines
from ochat_eval.stages.generate import generate
from ochat_eval.stages.judge import judge_answers
from ochat_eval.stages.limits import with_limits
from ochat_eval.stages.plan import Plan, format_at_hand, is_new, plan, planned_work
from ochat_eval.stages.report import is_finished, report, show
from ochat_eval.stages.reuse import reuse_answers
from ochat_eval.stages.score import recorded_responses, score
from ochat_eval.stages.show import shown_prompts
from ochat_eval.stages.until import as_stopped, stands
from ochat_eval.terminal.say import say, tell
from ochat_eval.track.send import STEP, chosen, send


def run(argv: Sequence[str]) -> int:
    """`ochat-eval run`; returns the exit code."""
    models = each_model(argv)
    job = asked(argv) if models is None else None
    try:
        if models is not None:
            return run_models(models)
        if job is not None:
            execute(job)
    except KeyboardInterrupt:
        say("the same command goes on where this one was stopped")
        raise
    return 0


def execute(job: Job) -> Path:
    """Runs the chosen stages and returns the run's folder.

    Raises:
        UserError: anything a user can mend.
    """
    generates, new = job.stage in (Stage.all, Stage.generate), is_new(job)
    if job.model.published is not None:
        figures.row(job.model.published)  # refused now where there is no such row
    if generates or job.stage is Stage.plan:
        job.engine.check_options()
    if generates and new:
        job.engine.check_model(job.model)
    trackers = chosen(job.trackers)
    job = with_limits(job)
    planned, reported = plan(job), False
    with contextlib.closing(planned.run):
        if new or job.stage is Stage.plan:
            for task in planned.tasks.values():
                for line in advice(task, planned.items(task.name)):
                    say(line)
        if job.stage is Stage.plan:
            _show_plan(job, planned)
        elif (
            job.stage is Stage.all
            and is_finished(planned, job.judge, job.controls)
            and stands(job.until, planned)
        ):
            again = "stage=score or stage=report do their part anew"
            if trackers:
                again = f"trackers are told again by: ochat-eval track {planned.run.path} --to …"
            say(f"finished before, nothing to do; {again}")
            show(planned.run)
        else:
            if generates and not new:  # not before: what is finished needs neither of them
                job.engine.check_model(job.model)
            _go_on(job, planned)
            reported = job.stage is not Stage.generate
    if trackers and reported:
        send(trackers, planned.run.path)
    return planned.run.path


def _show_plan(job: Job, planned: Plan) -> None:
    """What a dry run prints."""
    chat = format_at_hand(job.model)
    tell(planned_work(job, planned, chat))
    if job.show > 0:
        tell("\n" + shown_prompts(planned, job.model, chat, job.show))


def _go_on(job: Job, planned: Plan) -> None:
    """Generates, judges, scores and reports, as far as the stage says."""
    stage, judge, baselines = job.stage, job.judge, Baselines(planned)
    if job.step is not None:
        planned.manifest.set(STEP, job.step)
    options = ScoringOptions(job.sandbox, job.workers, against=baselines.of)
    if stage in (Stage.all, Stage.score):
        baselines.check()
        for task in planned.tasks.values():
            task.check_scoring(options)
    if stage is Stage.all and judge is not None:
        judge.reach(judge.where)
    if stage in (Stage.all, Stage.generate):
        reuse_answers(job, planned)
        generate(job, planned)
    if stage is Stage.generate:
        return
    responses, planned = recorded_responses(planned), as_stopped(planned)
    judged = True
    if stage is not Stage.report:
        if judge is not None:
            judged = judge_answers(judge, planned, responses, baselines.of)
        score(planned, responses, options)
    report(job, planned, responses)
    if not judged:
        raise UserError(f"nothing was judged; {planned.run.file(store.JUDGE_FAILURES)} says why")
