"""The `model-index` block of a model card: a run's figures in the head of a README.md of the hub.

https://github.com/huggingface/hub-docs, modelcard.md; written by huggingface_hub's own classes. A
figure that is not the benchmark's own (†) says so in its name, which the card shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ochat_eval.benchmark.task import OnHub, Task
from ochat_eval.exchange import Note, Recorded, told
from ochat_eval.records import Rule, UserError
from ochat_eval.report.measures import SCORE, Measure, measures
from ochat_eval.run import store


def write(run: Recorded, path: Path, rule: Rule | None) -> Iterator[Note]:
    """Writes the block of both rules' figures, or one rule's, as the head of a card.

    Raises:
        UserError: there is such a file (it may be a card with a text), or the run has no score.
    """
    from huggingface_hub import ModelCardData

    if path.exists():
        raise UserError(
            f"{path} is there: name another file, and put the block into the card's head yourself"
        )
    summary, tasks = run.summary, run.tasks
    results, own_names = [], set()
    for one in measures(summary, rule):
        if one.subset is None:
            results.append(_result(one, tasks[one.task], summary["tasks"][one.task], run))
            if results[-1].dataset_type == one.task:
                own_names.add(one.task)
    card = ModelCardData(model_name=summary["model"], eval_results=results)
    if not results:
        raise UserError(f"{run.path} has no score")
    yield from (Note("under our own name, as no data set of the hub", n) for n in sorted(own_names))
    store.write_text(path, f"---\n{card.to_yaml(line_break=chr(10))}\n---\n")


def _result(one: Measure, task: Task, told_of: dict[str, Any], run: Recorded) -> Any:
    """The hub's record of a figure; `told_of` is the benchmark's part of the summary."""
    from huggingface_hub import EvalResult

    at = run.on_hub(task) or OnHub(one.task)
    metric = task.metric if one.name == SCORE else one.name
    return EvalResult(
        task_type="text-generation",
        dataset_type=at.dataset,
        dataset_name=one.task,
        dataset_config=at.config,
        dataset_split=at.split,
        dataset_revision=run.revision(one.task, at.dataset),
        metric_type=metric,
        metric_name=f"{metric}, {told(one, told_of)}",
        metric_value=round(one.score, 2),
        metric_args={"n": one.n, "ci95": one.ci95 and [round(end, 2) for end in one.ci95]},
    )
