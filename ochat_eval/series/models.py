"""`models=A,B`: several models one after another, a run each, side by side at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ochat_eval.baseline.runs import read_summary
from ochat_eval.config.load import job
from ochat_eval.report.page.entries import reported
from ochat_eval.report.page.page import write_page
from ochat_eval.run import store
from ochat_eval.run.identity import short_digest
from ochat_eval.series.child import run_alone
from ochat_eval.series.scores import scores_table
from ochat_eval.terminal.command import MISTAKE
from ochat_eval.terminal.say import say, tell
from ochat_eval.terminal.words import counted


def run_models(lines: Mapping[str, Sequence[str]]) -> int:
    """Runs each; one that fails does not take the others along.

    Args:
        lines: by the model's name, the options of its run.

    Returns:
        The exit code: 0 where all ended well.

    Raises:
        UserError: a mistake in one of the command lines, before the first is run.
        KeyboardInterrupt: all of it was stopped.
    """
    for options in lines.values():
        job(options)
    failed, folders = {}, {}
    for number, (model, options) in enumerate(lines.items(), 1):
        say(f"model {number} of {len(lines)}: {model}")
        ended = run_alone(options)
        if ended.code:
            failed[model] = ended.code
        if ended.folder is not None:
            folders[model] = ended.folder
    if len(folders) > 1:
        side_by_side(folders)
    if failed:
        named = ", ".join(f"{model} (exit code {code})" for model, code in failed.items())
        say(f"{len(failed)} of {counted(len(lines), 'model')} failed, each said why: {named}")
    return MISTAKE if failed else 0


def side_by_side(folders: Mapping[str, Path]) -> None:
    """Prints a table of the runs and writes their page, beside the folder of the runs.

    Args:
        folders: the runs' folders, by the model's name.
    """
    tell("\n" + scores_table({model: read_summary(at) for model, at in folders.items()}))
    name = short_digest({model: at.name for model, at in folders.items()})
    pages = next(iter(folders.values())).parents[1] / "series"
    with store.writing(pages):
        pages.mkdir(parents=True, exist_ok=True)
    write_page(pages / f"models-{name}.html", [reported(at) for at in folders.values()])
    tell(f"\n{pages / f'models-{name}.html'}")
