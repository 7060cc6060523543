"""GSM8K, whole processes: compared with lm-eval in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import distributions
from pathlib import Path
from statistics import median
from typing import Any

from ochat_eval.bench.costs import Cost, Table, in_turn, last_line, measure, ratio, spread
from ochat_eval.bench.harness import workload
from ochat_eval.bench.work import data_title, options, stage_seconds
from ochat_eval.config import Config, build_engine, build_tasks, load
from ochat_eval.engines.vllm import Vllm
from ochat_eval.models import prepare
from ochat_eval.progress import say
from ochat_eval.records import Item, Response, UserError
from ochat_eval.store import (
    RESPONSES,
    read_json,
    read_lines,
    read_records,
    write_lines,
    write_text,
)
from ochat_eval.task import Selection, Task

LM_EVAL = "0.4.13"
"""The version of lm-eval that ours is compared with."""
REQUESTS = 50
MAX_TOKENS = 64


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
    [site] = python.parent.parent.glob("lib/python*/site-packages")
    included = {"include": str(site / "lm_eval/tasks/gsm8k/gsm8k-cot.yaml"), "dataset_name": None}
    command = [str(python), "-m", "lm_eval", "--model", "dummy", "--num_fewshot", "8"]
    command += _task("gsm8k_cot_rows", rows, included, folder)
    return command, _offline(folder)


def _task(
    name: str, rows: Sequence[Mapping[str, Any]], settings: Mapping[str, Any], folder: Path
) -> list[str]:
    """Writes a task over rows for lm-eval; returns the arguments that choose it."""
    write_lines(folder / "rows.jsonl", rows)
    tasks = folder / "tasks"
    tasks.mkdir()
    data = {
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(folder / "rows.jsonl")}},
    }
    # JSON is YAML
    write_text(tasks / f"{name}.yaml", json.dumps({"task": name, **data, **settings}))
    output = str(folder / "output")
    return ["--tasks", name, "--include_path", str(tasks), "--output_path", output]


def _offline(folder: Path, **more: str) -> dict[str, str]:
    home = str(folder / "huggingface")
    return _bare(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_HOME=home, **more)


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


def with_model(
    pairs: int, requests: int = REQUESTS, max_tokens: int = MAX_TOKENS, more: Sequence[str] = ()
) -> Table:
    """Times whole processes with vLLM, ours and lm-eval's, on the same prompts.

    Both have the same weights, engine arguments, user messages, chat template and limit of
    tokens, and decode greedily; both load the model. What is not in vLLM's loading and generating
    is outside.

    Args:
        requests: at least so many.
        max_tokens: longest answer.
        more: options of the run: `model=…`, `engine.NAME=VALUE`.
    """
    python = lm_eval_python()
    arguments = options(["gsm8k"], requests, f"max_tokens={max_tokens}", *more)
    config = load(arguments)
    items = [item for task in build_tasks(config) for item in Selection(task, config.seed)]
    command = [sys.executable, "-m", "ochat_eval", *arguments]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        arguments, environment = _vllm_side(config, items, max_tokens, folder)
        texts: dict[str, dict[str, str]] = {}

        def ours(pair: int) -> Cost:
            cost = measure([*command, f"run=bench{pair}"], folder)
            run = folder / "results" / "runs" / f"bench{pair}"
            responses = read_records(run / RESPONSES, Response)
            texts["ours"] = {one.id: one.text.strip() for one in responses}
            seconds = stage_seconds(run)
            inside.setdefault("ours", []).append((seconds["start"], seconds["generate"]))
            return cost

        def theirs(pair: int) -> Cost:
            file = folder / f"seconds{pair}.json"
            launcher = str(Path(__file__).with_name("lm_eval_timed.py"))
            # -P: the launcher's neighbours are called as packages are
            timed = [str(python), "-P", launcher, str(file)]
            cost = measure([*timed, *arguments], folder, environment)
            seconds = read_json(file)
            inside.setdefault("theirs", []).append((seconds["load"], seconds["generate"]))
            [samples] = (folder / "output").rglob("samples_*.jsonl")
            answers = [line for _, line in read_lines(samples)]
            texts["theirs"] = {one["doc"]["id"]: one["resps"][0][0].strip() for one in answers}
            samples.unlink()
            return cost

        inside: dict[str, list[tuple[float, float]]] = {}
        costs = in_turn({"ochat_eval": ours, f"lm-eval {LM_EVAL}": theirs}, pairs)
    same = sum(texts["theirs"].get(key) == text for key, text in texts["ours"].items())
    seconds = {who: [cost.seconds for cost in every] for who, every in costs.items()}
    outside: list[list[float]] = []
    rows = []
    for (who, every), parts in zip(seconds.items(), inside.values(), strict=True):
        outside.append([a - b - c for a, (b, c) in zip(every, parts, strict=True)])
        middle = [median(part) for part in (*zip(*parts, strict=True), outside[-1])]
        rows.append([who, *spread(every), *(f"{one:.2f}" for one in middle)])
    ratios = [ratio(*seconds.values()), ratio(*outside)]
    rows.append(["ratio", f"{ratios[0]:.3f}", "", "", "", f"{ratios[1]:.3f}"])
    title = (
        f"{config.model.name}, gsm8k ({data_title()}): {len(items)} requests, at most {max_tokens} "
        f"tokens; {same} of {len(items)} texts the same; {pairs} runs of each in turn, median"
    )
    headers = ["process", "seconds", "from, to", "loading", "generating", "outside"]
    return Table(title, headers, rows, seconds)


def _vllm_side(
    config: Config, items: Sequence[Item], max_tokens: int, folder: Path
) -> tuple[list[str], dict[str, str]]:
    """lm-eval's arguments and environment for the same requests on the same engine."""
    settings = {
        "output_type": "generate_until",
        "test_split": "test",
        "doc_to_text": "{{prompt}}",
        "doc_to_target": "{{target}}",
        "generation_kwargs": {"until": [], "max_gen_toks": max_tokens, "do_sample": False},
        "metric_list": [{"metric": "exact_match"}],
    }
    rows = [{"id": i.id, "prompt": i.turns[0], "target": i.target[0]} for i in items]
    engine = build_engine(config)
    if not isinstance(engine, Vllm):
        raise UserError("lm-eval is compared on engine=vllm")
    given = {"pretrained": prepare(config.model), **engine.llm_arguments(config.model, config.seed)}
    listed = ",".join(f"{key}={value}" for key, value in given.items())
    command = ["--model", "vllm", "--model_args", listed, "--batch_size", "auto"]
    command += ["--apply_chat_template", "--log_samples"]
    # The packages of this environment, vLLM among them: the other has what lm-eval needs beside.
    sites = os.pathsep.join(p for p in sys.path if p.endswith("site-packages"))
    vllm = {k: v for k, v in os.environ.items() if k.startswith("VLLM_")}
    environment = _offline(folder, PYTHONPATH=sites, **vllm)
    return [*command, *_task("gsm8k_prompts", rows, settings, folder)], environment
