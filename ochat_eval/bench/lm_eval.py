"""GSM8K, whole processes without a model: compared with lm-eval in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import distributions
from pathlib import Path

from ochat_eval.bench.costs import Table, in_turn, last_line, measure, ratio, spread
from ochat_eval.bench.harness import workload
from ochat_eval.progress import say
from ochat_eval.records import UserError
from ochat_eval.store import read_json, write_lines, write_text
from ochat_eval.task import Task

LM_EVAL = "0.4.13"
"""The version of lm-eval that ours is compared with."""


def lm_eval_python() -> Path:
    """The Python of an environment that has lm-eval; the environment is made the first time.

    It lies beside this one, as `.venv-lm-eval`; packages that both need have the same version.

    Raises:
        UserError: this Python is in no environment, or the installation failed.
    """
    if sys.prefix == sys.base_prefix:
        raise UserError("this Python is in no virtual environment; use the one of make setup")
    folder = Path(sys.prefix).with_name(".venv-lm-eval")
    python, ready = folder / "bin" / "python", folder / f".ready-{LM_EVAL}"
    if ready.exists():
        return python
    say(f"installing lm-eval {LM_EVAL} into {folder}: once, about two minutes, 0.8 GB")
    _must([sys.executable, "-m", "venv", "--clear", str(folder)], f"cannot make {folder}")
    versions = folder / "versions.txt"
    ours = sorted({f"{d.name}=={d.version}\n" for d in distributions()})
    write_text(versions, "".join(ours))
    install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    _must([*install, "-c", str(versions), f"lm-eval=={LM_EVAL}"], "cannot install lm-eval")
    ready.touch()
    return python


def _must(command: Sequence[str], problem: str) -> None:
    """Runs a command; raises UserError with its last line of output if it fails."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, env=_bare()
    )
    if done.returncode:
        raise UserError(f"{problem}: {last_line(done.stdout)}")


def _bare(**more: str) -> dict[str, str]:
    """This process's environment, less what would show its packages to another Python."""
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    return {**kept, **more}


def lm_eval_side(python: Path, task: Task, folder: Path) -> tuple[list[str], dict[str, str]]:
    """lm-eval's command line and environment for its own 8-shot task over our rows, offline.

    The task is its `gsm8k_cot`, unchanged but for the address of the rows.

    Args:
        python: of the environment that has lm-eval.
        task: our GSM8K, for its rows.
        folder: where the rows and the task's file are written.
    """
    rows = [row for row in task.sources()[0].load() if not row.get("example")]
    write_lines(folder / "rows.jsonl", rows)
    [site] = python.parent.parent.glob("lib/python*/site-packages")
    tasks = folder / "tasks"
    tasks.mkdir()
    settings = {
        "include": str(site / "lm_eval/tasks/gsm8k/gsm8k-cot.yaml"),
        "task": "gsm8k_cot_rows",
        "dataset_path": "json",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": {"test": str(folder / "rows.jsonl")}},
    }
    write_text(tasks / "gsm8k_cot_rows.yaml", json.dumps(settings))  # JSON is YAML
    command = [str(python), "-m", "lm_eval", "--model", "dummy", "--num_fewshot", "8"]
    command += ["--tasks", "gsm8k_cot_rows", "--include_path", str(tasks)]
    command += ["--output_path", str(folder / "output")]
    environment = _bare(
        HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_HOME=str(folder / "huggingface")
    )
    return command, environment


def comparison(pairs: int) -> Table:
    """Times ours and lm-eval over GSM8K's rows, in turn.

    Raises:
        UserError: one of them failed, or they did not have the same number of items.
    """
    python = lm_eval_python()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        work = workload(["gsm8k"], folder)
        command, environment = lm_eval_side(python, work.tasks[0], folder)
        ours, theirs = "ochat_eval", f"lm-eval {LM_EVAL}, dummy model"
        costs = in_turn(
            {
                ours: lambda pair: measure([*work.command, f"run=bench{pair}"], folder),
                theirs: lambda pair: measure(command, folder, environment),
            },
            pairs,
        )
        for file in (folder / "output").rglob("results_*.json"):
            [counted] = read_json(file)["n-samples"].values()
            if counted["effective"] != work.items:
                raise UserError(f"lm-eval had {counted['effective']} items, ours {work.items}")
    seconds = {who: [cost.seconds for cost in every] for who, every in costs.items()}
    rows = [
        [who, *spread(seconds[who]), f"{max(cost.mib for cost in every):.0f}"]
        for who, every in costs.items()
    ]
    rows.append(["ratio", f"{ratio(seconds[ours], seconds[theirs]):.3f}", "", ""])
    title = f"{work.title}, 8-shot; {pairs} runs of each in turn, median"
    return Table(title, ["process", "seconds", "from, to", "peak MiB"], rows, seconds)
