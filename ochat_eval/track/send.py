"""From a reported run to its trackers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ochat_eval.baseline.runs import read_summary
from ochat_eval.config.build import build
from ochat_eval.records import RULES, UserError
from ochat_eval.report import scores_table
from ochat_eval.report.measures import RATES, SCORE, marks_of, measures, subsets_of
from ochat_eval.report.tables.cells import MARK
from ochat_eval.run import store
from ochat_eval.terminal.say import say
from ochat_eval.track.process import deliver
from ochat_eval.track.tracker import Sent, Tracker

STEP = "step"
"""Where a run's manifest has the training step of its model."""
_FILES = (
    store.TABLE, f"{store.TABLES}.md", f"{store.TABLES}.csv", f"{store.WHY}.md", store.SUMMARY,
    store.REPORT,
)  # fmt: skip


def chosen(nodes: Mapping[str, Any]) -> dict[str, Tracker]:
    """The trackers that a configuration names, by name. Raises UserError for a wrong option."""
    return {name: build(node, Tracker, f"trackers.{name}") for name, node in nodes.items()}


def send(trackers: Mapping[str, Tracker], folder: Path, step: int | None = None) -> bool:
    """Tells every tracker of a run, and says where it can be seen, or why it cannot.

    Args:
        folder: the run's, with its report.
        step: the training step that its model is of; None: the one that the run was told.

    Returns:
        Whether all of them took it.

    Raises:
        UserError: the run has no report.
    """
    sent, failed = sent_of(folder, step), 0
    with ThreadPoolExecutor(max(1, len(trackers))) as pool:
        waiting = {name: pool.submit(deliver, one, sent) for name, one in trackers.items()}
        for name, answer in waiting.items():
            try:
                say(f"{name}: {answer.result()}")
            except UserError as error:
                failed += 1
                say(f"{name}: not sent: {error}; again: ochat-eval track {folder} --to {name}")
    return not failed


def sent_of(folder: Path, step: int | None) -> Sent:
    """What is told of a run; arguments and errors as in `send`."""
    summary, manifest = read_summary(folder), store.read_json(folder / store.MANIFEST)
    known = manifest.get(STEP) if step is None else step
    facts = {
        "run": str(summary["run"]),
        "model": str(summary["model"]),
        "ochat_eval": str(manifest["ochat_eval"]),
        "git_revision": str(manifest.get("git_revision")),
    }
    for name, task in summary["tasks"].items():
        if marks := marks_of(task):
            facts[f"mark.{name}"] = f"{MARK} {'; '.join(marks)}"
    files = tuple((folder / name).resolve() for name in _FILES if (folder / name).is_file())
    table = scores_table.markdown(summary)
    now = known if isinstance(known, int) else 0
    return Sent(facts["run"], now, dict(_figures(summary)), facts, table, files)


def _figures(summary: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Every figure with its interval, and the rates, by a name that all trackers take."""
    for one in measures(summary):
        where = "/".join(filter(None, (one.task, one.rule, one.subset)))
        ends = zip(("ci95_low", "ci95_high"), one.ci95 or (), strict=False)
        for name, value in ((SCORE, one.score), ("stderr", one.stderr), *ends):
            if value is not None:
                yield _name(where, *([one.name] if one.name != SCORE else []), name), value
    for task, told in summary["tasks"].items():
        for rule in RULES:
            parts = {"": told[rule], **subsets_of(told[rule])}
            for subset, figures in parts.items():
                for rate in RATES:
                    if (value := figures.get(rate)) is not None:
                        yield _name(task, rule, subset, rate), value


def _name(*parts: str) -> str:
    return re.sub(r"[^\w./ -]", "_", "/".join(filter(None, parts)))
