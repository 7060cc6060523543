"""The story of a run, in one screen: plan → generate → judge → score → report."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from ochat_eval.baseline import figures
from ochat_eval.benchmark.task import ScoringOptions
from ochat_eval.config.command import asked
from ochat_eval.config.job import Job
from ochat_eval.config.schema import Stage
from ochat_eval.stages.generate import generate
from ochat_eval.stages.judge import judge_answers
from ochat_eval.stages.plan import plan, planned_work
from ochat_eval.stages.report import is_finished, report, show
from ochat_eval.stages.score import recorded_responses, score
from ochat_eval.terminal.say import say


def run(argv: Sequence[str]) -> int:
    """`ochat-eval run`; returns the exit code."""
    job = asked(argv)
    if job is not None:
        execute(job)
    return 0


def execute(job: Job) -> Path:
    """Runs the chosen stages and returns the run's folder.

    Raises:
        UserError: anything a user can mend.
    """
    stage, judge = job.stage, job.judge
    if job.model.published is not None:
        figures.row(job.model.published)  # refused now where there is no such row
    if stage in (Stage.plan, Stage.all, Stage.generate):
        job.engine.check_options()
    planned = plan(job)
    with contextlib.closing(planned.run):
        path = planned.run.path
        if stage is Stage.plan:
            print(planned_work(job, planned))
            return path
        if stage is Stage.all and is_finished(planned, judge):
            say("finished before, nothing to do; stage=score or stage=report do their part anew")
            show(planned.run)
            return path
        if stage in (Stage.all, Stage.generate):
            job.engine.check_model(job.model)  # not before: what is finished needs neither
        options = ScoringOptions(job.sandbox, job.workers)
        if stage in (Stage.all, Stage.score):
            for task in planned.tasks.values():
                task.check_scoring(options)
            if judge is not None and stage is Stage.all:
                judge.reach(judge.where)
        if stage in (Stage.all, Stage.generate):
            generate(job, planned)
        if stage in (Stage.all, Stage.score, Stage.report):
            responses = recorded_responses(planned)
            if judge is not None and stage is not Stage.report:
                judge_answers(judge, planned, responses)
            if stage is not Stage.report:
                score(planned, responses, options)
            report(job, planned, responses)
        return path
