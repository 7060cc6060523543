"""Recording a run, with its reruns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ochat_eval.baseline.find import RECORDED, find
from ochat_eval.baseline.recorded import combined, write_recorded
from ochat_eval.baseline.results import RunResults
from ochat_eval.baseline.runs import read_run
from ochat_eval.records import Response, UserError
from ochat_eval.run import store
from ochat_eval.terminal.say import say


def record(names: Sequence[str], name: str, into: Path, runs: Path) -> tuple[Path, RunResults]:
    """Records the first of the named runs, with the others as its reruns.

    Returns:
        The folder written, and what was recorded.

    Raises:
        UserError: a run is no run's folder, not whole, or did other work; or there is one where it
            should go.
    """
    if not re.fullmatch(r"[\w+-][\w.+-]*", name):
        raise UserError(f"--as {name}: a name has letters, digits, '.', '_', '+', '-' only")
    place = into / name
    if (place / store.MANIFEST).exists():
        raise UserError(f"{place} is a run's own folder, whose files would be lost: another --as")
    folders = [find(run, runs).resolve() for run in names]
    if len(set(folders)) < len(folders):
        raise UserError("the same run is named twice: a rerun must have been run again")
    every = []
    for folder in folders:
        say(f"reading {folder}")
        if len(folders) > 1:
            _refuse_copied(folder)
        every.append(read_run(folder))
    made = combined(every)
    if (place / RECORDED).exists():
        say(f"{place} was there: what it had recorded is replaced")
    write_recorded(place, made)
    return place, made


def _refuse_copied(folder: Path) -> None:
    """A rerun whose answers are another run's own would show no flips where there are some."""
    path = folder / store.RESPONSES
    for one in store.read_records(path, Response) if path.exists() else ():
        if one.reused_from is not None:
            raise UserError(
                f"{folder} took answers over from {one.reused_from} (reuse=…): reruns must have "
                "been asked themselves; run it again without reuse"
            )
