"""The story of a run, in one screen: plan → generate → score → report."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from ochat_eval import published, store
from ochat_eval.config import Config, Stage, build_engine, build_judge, changed_options, load
from ochat_eval.generate import generate
from ochat_eval.index import Index
from ochat_eval.plan import Plan, known_manifest, plan, planned_work
from ochat_eval.progress import say
from ochat_eval.records import RULES, Response, Score, UserError, Verdict, to_json
from ochat_eval.report import published_tables, table
from ochat_eval.report.page import find, write_page
from ochat_eval.report.why import Differences, markdown
from ochat_eval.scoring import scores_of
from ochat_eval.summary import summarise_task
from ochat_eval.task import ScoringOptions

if TYPE_CHECKING:  # loads the client's libraries
    from ochat_eval.judging import Judge


def run_command(arguments: list[str]) -> Path:
    """Runs a command line; returns the run's directory.

    `stage=score` and `stage=report` of a run that is there start from its own options.

    Raises:
        UserError: anything a user can mend.
    """
    config = load(arguments)
    if known := known_manifest(config):
        chosen = tuple(f"{o.partition('=')[0]}." for o in arguments)  # judge=none: no judge.X
        kept = (o for o in known["overrides"] if not o.startswith(chosen))
        arguments = list({o.partition("=")[0]: o for o in (*kept, *arguments)}.values())
        config = load(arguments)
    return run(config, arguments)


def run(config: Config, overrides: list[str]) -> Path:
    """Runs the chosen stages and returns the run's directory.

    Args:
        overrides: the command line that the configuration was made from.

    Raises:
        UserError: anything a user can mend.
    """
    stage, engine = config.stage, build_engine(config)
    if config.model.published is not None:
        published.row(config.model.published)  # refused now where there is no such row
    judge = build_judge(config)
    made = plan(config, engine, overrides)
    path = made.run.path
    if stage is Stage.plan:
        print(planned_work(config, made))
        return path
    table_file = path / store.TABLE
    if stage is Stage.all and _finished(made, judge) and table_file.exists():
        say("finished before, nothing to do; stage=score or stage=report do their part anew")
        print(table_file.read_text())
        published_tables.show(store.read_json(path / store.SUMMARY))
        print(made.run.file(store.REPORT))
        return path
    options = ScoringOptions(config.sandbox.value, config.workers or os.cpu_count() or 1)
    if stage in (Stage.all, Stage.score):
        for task in made.tasks.values():
            task.check_scoring(options)
        if judge is not None and stage is Stage.all:
            judge.reach(judge.where)  # what the environment lacks is said before hours of work
    if stage in (Stage.all, Stage.generate):
        generate(config, engine, made)
    if stage in (Stage.all, Stage.score, Stage.report):
        responses = _recorded(made)
        if judge is not None and stage is not Stage.report:
            from ochat_eval.judging import judge_answers

            judge_answers(judge, made, responses)
        if stage is not Stage.report:
            score(made, responses, options)
        report(made, responses, config.model.published)
    return path


def _finished(planned: Plan, judge: Judge | None) -> bool:
    """Whether a run is done: all answers there, rated by this judge, reported as now asked for."""
    done, asked = planned.manifest.values, any(task.judged for task in planned.tasks.values())
    by = [judge.served_name, judge.style] if judge is not None and asked else None
    return (
        done.get("finished") == planned.responses_digest()
        and (by is None or done.get("judged_by") == by)
        and done.get("report_only", {}) == _report_only(planned)
    )


def _report_only(planned: Plan) -> dict[str, dict[str, Any]]:
    """The options of the run's benchmarks that only add figures, by benchmark."""
    tasks = {name: task for name, task in planned.tasks.items() if task.report_only}
    return {n: {key: getattr(task, key) for key in task.report_only} for n, task in tasks.items()}


def _recorded(planned: Plan) -> Index[Response]:
    path = planned.run.file(store.RESPONSES)
    if not path.exists():
        raise UserError(f"{planned.run.path} has no responses yet: run stage=generate first")
    return Index(path, Response)


def score(planned: Plan, responses: Index[Response], options: ScoringOptions) -> None:
    """Reads and judges every response under both rules."""
    with (
        planned.manifest.timing("score"),
        store.atomic(planned.run.file(store.SCORES)) as file,
        tqdm(
            total=len(RULES) * len(responses), unit=" scores", desc="score", delay=2,
            mininterval=0.1 if sys.stderr.isatty() else 10, file=sys.stderr,
        ) as bar,
    ):  # fmt: skip
        judgments = planned.run.file(store.JUDGMENTS)
        if judgments.exists():
            options = dataclasses.replace(options, verdicts=Index(judgments, Verdict).of)
        for one in scores_of(planned, responses, options):
            file.buffer.write(to_json(one) + b"\n")
            bar.update()


def report(planned: Plan, responses: Index[Response], published_row: str | None) -> None:
    """Writes the summary, the tables and report.html, and prints the tables.

    Args:
        published_row: the published row of the same model.
    """
    run_dir = planned.run
    if not run_dir.file(store.SCORES).exists():
        raise UserError(f"{run_dir.path} has no scores yet: run stage=score first")
    scores = Index(run_dir.file(store.SCORES), Score)
    changed = changed_options(planned.tasks.values())
    seen = {name: Differences(task) for name, task in planned.tasks.items()}
    with planned.manifest.timing("report"):
        tasks = {
            name: summarise_task(
                task,
                seen[name].watch(
                    (one, scores.of(one.item.id)) for one in planned.answered(name, responses)
                ),
                planned.counts[name],
                planned.totals[name],
            )
            for name, task in planned.tasks.items()
        }
        for name, task in tasks.items():
            task["changed"] = changed[name]
        summary = {
            "model": planned.model,
            "published_row": published_row,
            "run": run_dir.path.name,
            "tasks": tasks,
        }
        summary["tables"] = published_tables.write(run_dir, summary)
        why = {name: one.result(tasks[name]) for name, one in seen.items()}
        store.write_json(run_dir.file(f"{store.WHY}.json"), why)
        store.write_text(run_dir.file(f"{store.WHY}.md"), markdown(why))
        store.write_json(run_dir.file(store.SUMMARY), summary)
        store.write_text(run_dir.file(store.TABLE), table.markdown(summary) + "\n")
        shown = find(run_dir.path)
        shown.responses, shown.scores = responses, scores
        write_page(run_dir.file(store.REPORT), [shown])
    whole = len(responses) == planned.requests
    judging = planned.manifest.values.get("judging", {})
    all_judged = judging and judging["verdicts"] == judging["of"]
    judge = [judging["judge"], judging["style"]] if all_judged else None
    planned.manifest.set("judged_by", judge)
    planned.manifest.set("report_only", _report_only(planned))
    planned.manifest.set("finished", planned.responses_digest() if whole else "no")
    print(table.terminal(summary))
    published_tables.show(summary)
    print(f"\n{run_dir.file(store.REPORT)}")
