"""`evaluate`: a run from Python, composed and carried out as the command line does it."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ochat_eval.api.held import Generate, live_engine
from ochat_eval.api.run import Run
from ochat_eval.config.allowed import allow as allow_packages
from ochat_eval.config.arguments import arguments_of, once
from ochat_eval.config.groups import use_folder
from ochat_eval.config.job import Job
from ochat_eval.config.load import job
from ochat_eval.engines.live import Live
from ochat_eval.pipeline import execute
from ochat_eval.records import UserError
from ochat_eval.run import store
from ochat_eval.terminal.say import Voice, voice

_LOG = logging.getLogger("ochat_eval")
_ALONE = threading.RLock()
"""Who speaks how, and Hydra's state, are the process's: one run at a time."""


def evaluate(
    task: str | Sequence[str],
    model: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    *,
    generate: Generate | None = None,
    name: str | None = None,
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
            None: the embedded small model. With `generate`: whose chat format and conditions count.
        generate: what your program holds and answers with, in place of an engine: a function from
            a list of chats to texts, a `vllm.LLM`, a server's address, or an object that says more
            (`Function`, `LiveVllm`, `Server`, `Weights`). Every call is a new run then: nobody
            can tell whether the weights are the same.
        name: what the run calls the model that `generate` answers with.
        options, named: every option of the command line: `limit=20`, `engine="openai"`,
            `tasks={"gsm8k": {"num_fewshot": 4}}`; one with a dot in its name stands in `options`:
            `options={"engine.base_url": "http://…/v1"}`.
        verbose: print what the command prints; otherwise it goes to Python's log `ochat_eval`.
        progress: show progress bars; None: where a person looks on, at a terminal or in a notebook.

    Returns:
        The run; its folder is on disk.

    Raises:
        UserError: what a user can mend, in one line. What `generate` raises comes through as it
            is; answers before it are kept.
    """
    live = None if generate is None else live_engine(generate)
    with _ALONE, voice(_voice(verbose, progress)):
        run = Run(execute(composed(task, model, live, name, once(options or {}, named))))
    failures = run.path / store.FAILURES
    if failures.exists() and not verbose:
        _LOG.warning("some requests got no answer and count as missing: %s", failures)
    return run


def composed(
    task: str | Sequence[str],
    model: str | os.PathLike[str] | Mapping[str, Any] | None,
    live: Live | None,
    name: str | None,
    options: Mapping[str, Any],
) -> Job:
    """What `evaluate` is to do, checked so far as the configuration can; arguments as there.

    Raises:
        UserError: an option that cannot be.
    """
    given = once({"task": task}, _model(model), options)
    if live is not None or name is not None:
        given = _held(given, live, name)
    return job(arguments_of(given), live)


def _model(model: str | os.PathLike[str] | Mapping[str, Any] | None) -> dict[str, Any]:
    """The options that choose and describe a model; one with a path of its own is no file's."""
    if not isinstance(model, Mapping):
        return {} if model is None else {"model": model}
    described = {f"model.{name}": value for name, value in model.items()}
    return {"model": "hf", **described} if "path" in model else described


def _held(given: Mapping[str, Any], live: Live | None, name: str | None) -> dict[str, Any]:
    """The options of a run whose engine the program holds."""
    if live is None or not name:
        raise UserError(
            "generate and name go together: say with name what the run is to call the model that "
            "generate answers with"
        )
    if engine := [one for one in given if one.partition(".")[0] == "engine"]:
        raise UserError(f"{engine[0]}: generate is the engine; leave it out")
    place = {} if "model" in given else {"model": "hf", "model.path": name}
    return once({**place, **given}, {"model.name": name})


def use(*, config_dir: str | os.PathLike[str] | None = None, allow: Iterable[str] = ()) -> None:
    """What is yours, for all that this process does from now on: `--config-dir` and `--allow`.
    Another call says both anew.

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
