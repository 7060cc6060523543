"""`evaluate`: a run from Python, composed and carried out as the command line does it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ochat_eval.api.run import Run
from ochat_eval.config.allowed import allow as allow_packages
from ochat_eval.config.arguments import arguments_of
from ochat_eval.config.groups import use_folder
from ochat_eval.config.load import job
from ochat_eval.pipeline import execute
from ochat_eval.terminal.say import Voice, voice

_ALONE = threading.RLock()
"""Who speaks how, and Hydra's state, are the process's: one run at a time."""


def evaluate(
    task: str | Sequence[str],
    model: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    verbose: bool = False,
    progress: bool | None = None,
    **named: Any,
) -> Run:
    """Evaluates a model: `ochat-eval run` as a function. The same call again goes on where a run
    stopped; a finished one is returned at once.

    Args:
        task: a benchmark of conf/task/, or several.
        model: a file of conf/model/, a hub id (`ORG/NAME`) or a folder, or a mapping of options;
            None: the embedded small model.
        verbose: print what the command prints; otherwise it goes to Python's log `ochat_eval`.
        progress: show progress bars; None: where a person looks on, at a terminal or in a notebook.
        options, named: every option of the command line: `limit=20`, `engine="openai"`,
            `tasks={"gsm8k": {"num_fewshot": 4}}`; one with a dot in its name stands in `options`:
            `options={"engine.base_url": "http://…/v1"}`.

    Returns:
        The run; its folder is on disk.

    Raises:
        UserError: what a user can mend, in one line.
    """
    chosen = {"task": task} if model is None else {"task": task, "model": model}
    given = {**chosen, **(options or {}), **named}
    with _ALONE, voice(_voice(verbose, progress)):
        return Run(execute(job(arguments_of(given))))


def use(*, config_dir: str | os.PathLike[str] | None = None, allow: Iterable[str] = ()) -> None:
    """What is yours, for all that this process does from now on: `--config-dir` and `--allow`.

    Args:
        config_dir: a folder with files for the groups of conf/, as `task/mine.yaml`.
        allow: packages of which such files may name classes.

    Raises:
        UserError: there is no such folder or package.
    """
    with _ALONE:
        allow_packages(allow)
        use_folder(None if config_dir is None else Path(config_dir))


def _voice(verbose: bool, progress: bool | None) -> Voice:
    looked_on = sys.stderr.isatty() or "ipykernel" in sys.modules
    return Voice(speaks=verbose, bars=looked_on if progress is None else progress, notebook=True)
