"""The hub's `.eval_results/*.yaml` of a model's repository: what leaderboards are made of.

https://huggingface.co/docs/hub/eval-results; written by huggingface_hub's own class. A file a
benchmark and rule. A leaderboard ranks by the value alone: what is not the whole benchmark is
refused; another setting than the published one goes out with its mark, in `notes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from ochat_eval.exchange import Note, Recorded, made_folder, told
from ochat_eval.records import Rule, UserError
from ochat_eval.report.measures import SCORE, Measure, is_whole, marks_of, measures
from ochat_eval.run import store


def write(run: Recorded, path: Path, rule: Rule | None) -> Iterator[Note]:
    """Writes `TASK_RULE.yaml` into a folder for every benchmark that has a leaderboard.

    Raises:
        UserError: the run has no figure for one.
    """
    summary, tasks = run.summary, run.tasks
    files: dict[str, str] = {}
    refused: dict[str, Note] = {}
    for one in measures(summary, rule):
        if one.subset is not None or one.name != SCORE:
            continue
        task, at = summary["tasks"][one.task], tasks[one.task].on_hub
        if at is None or at.task_id is None:
            refused[one.task] = Note("refused, the hub has no leaderboard of it", one.task)
        elif not is_whole(task):
            why = "; ".join(marks_of(task))
            refused[one.task] = Note("refused, not the whole benchmark", f"{one.task} ({why})")
        else:
            notes = told(one, task)
            files[f"{one.task}_{one.rule}.yaml"] = _entry(run, one, at.dataset, at.task_id, notes)
    if not files:
        said = "; ".join(f"{note.what}: {note.where}" for note in refused.values())
        raise UserError(f"{run.path} has nothing for a leaderboard: {said}")
    folder = made_folder(path)
    for name, text in files.items():
        store.write_text(folder / name, text)
    yield from refused.values()


def _entry(run: Recorded, one: Measure, dataset: str, task_id: str, notes: str) -> str:
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    entry = EvalResultEntry(
        dataset_id=dataset,
        task_id=task_id,
        value=round(one.score, 2),
        dataset_revision=run.revision(one.task, dataset),
        date=run.created.isoformat(),
        notes=notes,
    )
    values = eval_result_entries_to_yaml([entry])
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=10_000)
