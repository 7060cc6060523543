"""Stage report: the summary, the tables and the page of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ochat_eval import stats
from ochat_eval.baseline.runs import check_scores
from ochat_eval.benchmark.task import Answered, Task
from ochat_eval.config.job import Job
from ochat_eval.engines.judge import Judge
from ochat_eval.records import Item, Response, Score, UserError
from ochat_eval.report import scores_table
from ochat_eval.report.controlled import add_controlled
from ochat_eval.report.page.entries import Run, answers_of, is_rating
from ochat_eval.report.page.page import Page, begun_page
from ochat_eval.report.summary import Judged, Stopped, summarise_task
from ochat_eval.report.tables import files
from ochat_eval.report.why import Differences, markdown
from ochat_eval.review import rate_formats
from ochat_eval.review.rates import measured
from ochat_eval.run import store
from ochat_eval.run.folder import RunDir
from ochat_eval.run.index import Index
from ochat_eval.run.otherwise import asked_otherwise
from ochat_eval.stages.cost import cost_line
from ochat_eval.stages.plan import Plan, counts
from ochat_eval.terminal.grid import notes
from ochat_eval.terminal.say import tell


def report(job: Job, planned: Plan, responses: Index[Response]) -> None:
    """Writes the summary, the tables and report.html, and prints the tables."""
    run_dir = planned.run
    if not run_dir.file(store.SCORES).exists():
        raise UserError(f"{run_dir.path} has no scores yet: run stage=score first")
    shown = Run(run_dir.path)
    shown.responses, shown.scores = responses, Index(run_dir.file(store.SCORES), Score)
    seen = {name: Differences(task) for name, task in planned.tasks.items()}
    with (
        planned.manifest.timing("report"),
        begun_page(run_dir.file(store.REPORT), 1) as page,
    ):
        tasks = {
            name: summarise_task(
                task,
                seen[name].watch(_judged(planned, task, shown, page)),
                planned.counts[name],
                planned.totals[name],
                named=job.ids is not None,
                stopped=_stopped(planned, name),
            )
            for name, task in planned.tasks.items()
        }
        manifest = planned.manifest
        otherwise = asked_otherwise(manifest.values["identity"], manifest.learnt("engine"))
        review = measured(run_dir.path)
        for name, task in tasks.items():
            task["changed"] = [*job.changed[name], *otherwise]
            if name in review:
                task["review"] = review[name]
        average = add_controlled(tasks, run_dir.path, job.controls) if job.controls else None
        summary = {
            "model": planned.model,
            "published_row": job.model.published,
            "run": run_dir.path.name,
            "tasks": tasks,
            **({"controlled": average} if average else {}),
        }
        summary["tables"] = files.write(run_dir, summary)
        why = {name: one.result(tasks[name]) for name, one in seen.items()}
        store.write_json(run_dir.file(f"{store.WHY}.json"), why)
        marked = rate_formats.markdown(review)
        store.write_text(run_dir.file(f"{store.WHY}.md"), markdown(why) + marked)
        store.write_json(run_dir.file(store.SUMMARY), summary)
        store.write_text(run_dir.file(store.TABLE), scores_table.markdown(summary) + "\n")
        page.finish([shown])
    whole = planned.whole(responses)
    judging = planned.manifest.values.get("judging", {})
    all_judged = judging and judging["verdicts"] == judging["of"]
    judge = [judging["judge"], judging["style"]] if all_judged else None
    planned.manifest.set("judged_by", judge)
    planned.manifest.set("report_only", _report_only(planned))
    planned.manifest.set("controls", list(job.controls))
    planned.manifest.set("finished", planned.digests() if whole else "no")
    show(run_dir)


def _judged(planned: Plan, task: Task, shown: Run, page: Page) -> Iterator[Judged]:
    """A benchmark's items that count and have responses; all its items are put on the page."""
    items = planned.run.file(store.ITEMS)
    for item in store.read_records(items, Item, planned.spans[task.name]):
        found = answers_of(shown, item)
        page.add(item, [found], rated=is_rating(task.scale))
        check_scores(task, found["scores"], planned.run.path)
        if found["responses"] and counts(item, planned.seen):
            yield Answered(item, tuple(found["responses"])), found["scores"]


def _stopped(planned: Plan, name: str) -> Stopped | None:
    """How a benchmark was stopped early, for its figures; None where it was not."""
    found = planned.manifest.sequential()
    one = found.stopped.get(name) if found else None
    if found is None or one is None:
        return None
    shares = [seen / one.planned for seen in one.looks]
    confidence = stats.look_confidences(shares, 0.95)[one.look - 1]
    why = f"{one.verdict} against {found.against}, {found.mode.replace('-', ' ')}"
    return Stopped(one.look, len(one.looks), why, confidence)


def show(run_dir: RunDir) -> None:
    """Prints a reported run's tables, what its answers cost, and where its page is."""
    summary, manifest = (store.read_json(run_dir.file(f)) for f in (store.SUMMARY, store.MANIFEST))
    tell(scores_table.terminal(summary))
    if "controlled" in summary:
        tell("\n".join(["", *notes([summary["controlled"]["said"]])]))
    files.show(summary)
    # What answers that were copied cost once, nobody knows.
    copied = "replay" in manifest["identity"] or manifest.get("reused")
    cost = "" if copied else cost_line(summary, manifest["times"])
    tell(f"\n{cost}\n{run_dir.file(store.REPORT)}" if cost else f"\n{run_dir.file(store.REPORT)}")


def is_finished(planned: Plan, judge: Judge | None, controls: Sequence[str]) -> bool:
    """Whether a run is done: its files are those that were reported, rated by this judge, and the
    report is as now asked for."""
    done, asked = planned.manifest.values, any(task.judged for task in planned.tasks.values())
    by = [judge.served_name, judge.style] if judge is not None and asked else None
    return (
        done.get("finished") == planned.digests()
        and (by is None or done.get("judged_by") == by)
        and list(controls) in ([], done.get("controls"))
        and done.get("report_only", {}) == _report_only(planned)
    )


def _report_only(planned: Plan) -> dict[str, dict[str, Any]]:
    """The options of the run's benchmarks that only add figures, by benchmark."""
    tasks = {name: task for name, task in planned.tasks.items() if task.report_only}
    return {n: {key: getattr(task, key) for key in task.report_only} for n, task in tasks.items()}
