"""GSM8K, whole processes: compared with lm-eval in an environment of its own."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from ochat_eval.bench.costs import Table, claim, in_new_process, in_turn, measure, ratio, spread
from ochat_eval.bench.harness import workload
from ochat_eval.bench.others import bare, beside, python_with
from ochat_eval.bench.work import data_title, options
from ochat_eval.benchmark.selection import Selection
from ochat_eval.benchmark.task import Task
from ochat_eval.config.load import job
from ochat_eval.engines.vllm import Vllm
from ochat_eval.model.weights import prepare
from ochat_eval.records import Item, Response, UserError
from ochat_eval.run.store import (
    RESPONSES,
    read_json,
    read_lines,
    read_records,
    write_lines,
    write_text,
)

LM_EVAL = "0.4.13"
"""The version of lm-eval that ours is compared with."""
REQUESTS = 8
MAX_TOKENS = 64


def lm_eval_python() -> Path:
    """The Python that has lm-eval, in an environment of its own.

    Packages that both need have the same version, so that both have the same vLLM and torch.
    """
    return python_with("lm-eval", LM_EVAL, as_here=True)


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
    name: str, rows: Iterable[Mapping[str, Any]], settings: Mapping[str, Any], folder: Path
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
    return bare(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_HOME=home, **more)


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
        theirs = f"lm-eval {LM_EVAL}, dummy model"
        table = beside(theirs, work, command, environment, folder, pairs)
        for file in (folder / "output").rglob("results_*.json"):
            [counted] = read_json(file)["n-samples"].values()
            if counted["effective"] != work.items:
                raise UserError(f"lm-eval had {counted['effective']} items, ours {work.items}")
    return table


def with_model(
    pairs: int, requests: int = REQUESTS, max_tokens: int = MAX_TOKENS, more: Sequence[str] = ()
) -> Table:
    """Times whole processes with vLLM, ours and lm-eval's, on the same prompts.

    Both have the same weights, vLLM, engine arguments, environment, user messages, chat template
    and limit of tokens, and decode greedily; both load the model. Loading and generating are the
    seconds within vLLM's own calls, on either side; the rest is outside.

    Args:
        requests: at least so many.
        max_tokens: longest answer.
        more: options of the run: `model=…`, `engine.NAME=VALUE`.

    Raises:
        UserError: one of them failed, or they did not make the same number of requests.
    """
    options_ = options(["gsm8k"], requests, f"max_tokens={max_tokens}", *more)
    asked = job(options_)
    if type(asked.engine) is not Vllm:
        raise UserError("lm-eval is compared on engine=vllm")
    asked.engine.check_model(asked.model)
    python = lm_eval_python()
    [task] = asked.tasks.values()
    items = list(Selection(task, asked.seed))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        arguments, environment = in_new_process(_vllm_arguments, options_)
        arguments += _task("gsm8k_prompts", *_prompts(items, task), folder)
        inside: dict[str, list[dict[str, float]]] = {}
        texts: dict[str, Counter[tuple[str, str]]] = {}

        def measured(who: str, run: Path, command: list[str], env: Mapping[str, str]) -> float:
            file = folder / "seconds.json"
            launcher = str(Path(__file__).with_name("vllm_timed.py"))
            cost = measure([command[0], "-P", launcher, str(file), *command[1:]], folder, env)
            inside.setdefault(who, []).append(read_json(file))
            texts[who] = Counter(_texts(run))
            return cost.seconds

        def ours(pair: int) -> float:
            command = [sys.executable, "ochat_eval", *options_, f"run=bench{pair}"]
            run = folder / "results" / "runs" / f"bench{pair}"
            return measured("ours", run, command, {**os.environ, **environment})

        def theirs(pair: int) -> float:
            command = [str(python), "lm_eval", *arguments]
            shutil.rmtree(folder / "output", ignore_errors=True)
            env = _offline(folder, **environment, PYTHONPATH=_packages())
            return measured("theirs", folder / "output", command, env)

        seconds = in_turn({"ochat_eval": ours, f"lm-eval {LM_EVAL}": theirs}, pairs)
    same = _same(texts["ours"], texts["theirs"], made := len(items) * task.n)
    title = (
        f"{asked.model.name}, gsm8k ({data_title()}): {made} requests, at most "
        f"{task.max_tokens} tokens; {same} of the texts are the same; {pairs} runs of each in "
        "turn, median"
    )
    headers = ["process", "seconds", "from, to", "loading", "generating", "outside"]
    claims = [claim("GSM8K with vLLM / lm-eval", *seconds.values(), goal=1.0)]
    return Table(title, headers, _parts(seconds, list(inside.values())), seconds, claims)


def _same(ours: Counter[tuple[str, str]], theirs: Counter[tuple[str, str]], requests: int) -> int:
    """How many texts are the same; raises UserError if a side has not made all requests."""
    if {ours.total(), theirs.total()} != {requests}:
        raise UserError(f"ours made {ours.total()} requests, lm-eval {theirs.total()}")
    return (ours & theirs).total()


def _parts(
    seconds: Mapping[str, Sequence[float]], inside: Sequence[Sequence[Mapping[str, float]]]
) -> list[list[str]]:
    """The rows: a side's seconds, those in vLLM, and the rest; and the ratios."""
    rows, outside = [], []
    for (who, every), parts in zip(seconds.items(), inside, strict=True):
        outside.append([a - sum(b.values()) for a, b in zip(every, parts, strict=True)])
        within = [median(part[name] for part in parts) for name in ("load", "generate")]
        shown = [f"{one:.2f}" for one in (*within, median(outside[-1]))]
        rows.append([who, *spread(every), *shown])
    rows.append(["ratio", f"{ratio(*seconds.values()):.3f}", "", "", "", f"{ratio(*outside):.3f}"])
    return rows


def _texts(folder: Path) -> Iterator[tuple[str, str]]:
    """Ids and texts of the answers that a run of ours or of lm-eval's left."""
    if (ours := folder / RESPONSES).exists():
        for one in read_records(ours, Response):
            yield one.id, one.text.strip()
    for file in folder.rglob("samples_*.jsonl"):
        for _, line in read_lines(file):
            [texts] = line["resps"]
            yield from ((line["doc"]["id"], text.strip()) for text in texts)


def _prompts(items: Sequence[Item], task: Task) -> tuple[list[dict[str, str]], dict[str, Any]]:
    """lm-eval's rows and settings of a task for the very same user messages."""
    settings = {
        "output_type": "generate_until",
        "test_split": "test",
        "doc_to_text": "{{prompt}}",
        "doc_to_target": "{{target}}",
        "generation_kwargs": {"until": [], "max_gen_toks": task.max_tokens, "do_sample": False},
        "metric_list": [{"metric": "exact_match"}],
        "repeats": task.n,
    }
    rows = [{"id": i.id, "prompt": i.turns[0], "target": i.target[0]} for i in items]
    return rows, settings


def _vllm_arguments(arguments: list[str]) -> tuple[list[str], dict[str, str]]:
    """lm-eval's arguments for our engine, and the environment that ours gives vLLM.

    Raises:
        UserError: vLLM is not installed or does not know an argument.
    """
    asked = job(arguments)
    engine = asked.engine
    assert isinstance(engine, Vllm)
    before = dict(os.environ)
    engine.import_llm()
    made = {k: v for k, v in os.environ.items() if before.get(k) != v}
    given = {"pretrained": prepare(asked.model), **engine.llm_arguments(asked.model, asked.seed)}
    command = ["--model", "vllm", "--model_args", json.dumps(given, default=str)]
    command += ["--batch_size", "auto", "--apply_chat_template", "--log_samples"]
    return command, made


def _packages() -> str:
    """Where this environment's packages are, vLLM among them, for the other's Python."""
    return os.pathsep.join(p for p in sys.path if p.endswith("site-packages"))
