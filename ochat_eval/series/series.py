"""A series of checkpoints: each is run, then the table and the page."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ochat_eval.baseline.runs import read_summary
from ochat_eval.config.arguments import quoted
from ochat_eval.records import UserError
from ochat_eval.run import store
from ochat_eval.series.child import Ended, run_alone
from ochat_eval.series.curve import Point, curves, read_point
from ochat_eval.series.find import Checkpoint
from ochat_eval.series.follow import Progress, Watch, follow
from ochat_eval.series.page import write_series_page
from ochat_eval.series.table import markdown, terminal
from ochat_eval.terminal.command import MISTAKE
from ochat_eval.terminal.say import say, tell

_Alone = Callable[[Sequence[str]], Ended]


@dataclass(frozen=True, kw_only=True)
class Series:
    """What is asked for.

    Attributes:
        name: of the table's and the page's file.
        places: where the checkpoints are, as in `find.checkpoints`.
        options: of each run, a model among them.
        base: whether the command line names that model, so that it may be the base of adapters.
        runs: the folder of the runs.
        watch: how long to look for new ones; None: what is there now.
    """

    name: str
    places: Sequence[str]
    options: Sequence[str]
    base: bool
    runs: Path
    watch: Watch | None

    @property
    def folder(self) -> Path:
        """Where table and page are: beside the folder of the runs."""
        return self.runs.parent / "series"

    @property
    def link(self) -> Path:
        """The path by which the engine knows each checkpoint in turn."""
        return self.folder / f".{self.name}.checkpoint"


def run_series(series: Series, alone: _Alone = run_alone) -> int:
    """Runs each checkpoint and writes table and page after each; prints the table at the end.

    Args:
        alone: runs `ochat-eval run OPTIONS` so that nothing of it is left when it has ended.

    Returns:
        The exit code.

    Raises:
        UserError: nothing can be begun: no such place, another process has this series.
        KeyboardInterrupt: a run was stopped; what had been finished is in table and page.
    """
    folder = series.folder
    with store.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with open(store.open_file(folder / f".{series.name}.lock"), "rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"another process runs the series {series.name}; wait for it, or give this one "
                "another --name"
            ) from None
        shown, points = "", dict[Checkpoint, Point]()
        for progress in follow(series.places, lambda some: _run(series, some, alone), series.watch):
            for checkpoint, ended in progress.ended.items():
                if checkpoint not in points and ended.folder is not None:
                    points[checkpoint] = read_point(checkpoint, ended.folder)
            if points:
                ordered = sorted(points.values(), key=lambda point: point.checkpoint.step or 0)
                shown = _write(series, ordered, _missing(progress))
    if not progress.ended and not progress.left:
        raise UserError(f"there is no checkpoint in {', '.join(series.places)}")
    if shown:
        tell(shown)
    else:
        for label, why in _missing(progress).items():
            say(f"{label} has no figures: {why}")
    failed = [one.label for one, ended in progress.ended.items() if ended.code]
    if failed:
        say(f"failed, each said why: {', '.join(failed)}")
    missed = bool(progress.left) and series.watch is None
    return MISTAKE if failed or missed or not shown else 0


def _run(
    series: Series, checkpoints: Sequence[Checkpoint], alone: _Alone
) -> dict[Checkpoint, Ended]:
    """Runs one checkpoint, or several adapters on one loaded base."""
    if checkpoints[0].is_adapter:
        return _run_adapters(series, checkpoints, alone)
    return {one: _run_model(series, one, alone) for one in checkpoints}


def _run_adapters(
    series: Series, checkpoints: Sequence[Checkpoint], alone: _Alone
) -> dict[Checkpoint, Ended]:
    """One process for all, which makes a run of each; if it ends without any, one for each, so that
    an adapter that cannot be loaded costs the others nothing.

    Raises:
        UserError: the command line names no base.
    """
    if not series.base:
        raise UserError(
            f"{checkpoints[0].path} is an adapter: name its base with model=NAME, ORG/NAME or a "
            "folder"
        )
    given = ",".join(quoted(f"{one.name}={one.path.resolve()}") for one in checkpoints)
    ended = alone([*series.options, f"model.adapters=[{given}]"])
    if ended.code and not ended.folders and len(checkpoints) > 1:
        found = {}
        for one in checkpoints:
            found.update(_run_adapters(series, [one], alone))
        return found
    named = {f"+{one.name}": one for one in sorted(checkpoints, key=lambda one: len(one.name))}
    found = {}
    for folder in ended.folders:
        model = str(read_summary(folder)["model"])
        [*_, own] = (one for suffix, one in named.items() if model.endswith(suffix))
        found[own] = Ended(0, (folder,))
    return {one: found.get(one, Ended(ended.code or MISTAKE)) for one in checkpoints}


def _run_model(series: Series, checkpoint: Checkpoint, alone: _Alone) -> Ended:
    """Runs a checkpoint under one path for all.

    vLLM keeps what it compiled under a digest of the model's path among others, so that each
    checkpoint under its own would be compiled anew.
    """
    link = series.link
    with store.writing(link):
        link.unlink(missing_ok=True)
        link.symlink_to(checkpoint.path.resolve())
    options = [
        *series.options,
        f"model.path={quoted(str(link))}",
        f"model.name={quoted(checkpoint.path.resolve().name)}",
    ]
    if checkpoint.step is not None and checkpoint.unit == "step":  # trackers count no epochs
        options.append(f"step={int(checkpoint.step)}")
    try:
        return alone(options)
    finally:
        link.unlink(missing_ok=True)


def _missing(progress: Progress) -> dict[str, str]:
    """The checkpoints that have no figures, and why."""
    failed = {
        one.label: f"its run failed (exit code {ended.code})"
        for one, ended in progress.ended.items()
        if ended.folder is None
    }
    return {**{one.label: why for one, why in progress.left.items()}, **failed}


def _write(series: Series, points: Sequence[Point], left: Mapping[str, str]) -> str:
    """Writes table and page; returns the table for the terminal.

    Args:
        points: the checkpoints with figures, by step.
        left: those without, and why.
    """
    found = curves(points)
    page = series.folder / f"{series.name}.html"
    store.write_text(page.with_suffix(".md"), markdown(series.name, points, found, left))
    write_series_page(page, series.name, points, found, left)
    return f"\n{terminal(points, found, left)}\n\n{os.path.relpath(page)}"
