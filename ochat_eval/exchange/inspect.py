"""Logs of inspect_ai, a JSON file a benchmark: `inspect view --log-dir FOLDER`, `read_eval_log`.

https://inspect.aisi.org.uk/eval-logs.html, version 2 of its log. Both rules are scorers of one log.
A score is a fraction there where it is points here; a mark (†) stands in the log's tags.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from ochat_eval.benchmark.task import Task
from ochat_eval.exchange import Note, Recorded, made_folder
from ochat_eval.exchange.logs import (
    Scored,
    as_line,
    digest_of,
    file_time,
    messages,
    model_of,
    scored,
)
from ochat_eval.records import RULES, Item, Response, Rule, Score
from ochat_eval.report.measures import RATES, SCORE, Measure, marks_of, measures
from ochat_eval.report.tables.cells import MARK
from ochat_eval.run import store

_VERSION = 2
_STOPS = {"stop": "stop", "length": "max_tokens", "content_filter": "content_filter"}
"""Our reasons for an answer's end in its words."""


def write(run: Recorded, path: Path, rule: Rule | None) -> Iterator[Note]:
    """Writes `TIME_BENCHMARK_ID.json` into a folder for every benchmark that has a score."""
    summary, tasks = run.summary, run.tasks
    rules = RULES if rule is None else (rule,)
    figures = [one for one in measures(summary, rule) if one.subset is None and one.in_unit]
    model = model_of(run)
    for name, judged in groupby(run.judged(), key=lambda one: one[0].task):
        own = [one for one in figures if one.task == name]
        if not own:
            yield Note("left out, without a score", name)
            continue
        key = digest_of(run, name).hex()[:22]
        head = _head(run, tasks[name], summary["tasks"][name], own, model, key)
        file_name = f"{file_time(run.created)}_{name.replace('_', '-')}_{key}.json"
        with store.atomic(made_folder(path) / file_name) as file:
            file.write(as_line(head).removesuffix("}\n") + ',"samples":[\n')
            between = ""
            for item, responses, scores in judged:
                for sample in _samples(tasks[name], item, responses, scores, rules, model):
                    file.write(between + as_line(sample))
                    between = ","
            file.write("]}\n")


def _head(
    run: Recorded,
    task: Task,
    told: dict[str, Any],
    figures: Sequence[Measure],
    model: str,
    key: str,
) -> dict[str, Any]:
    """All of a log but its samples.

    Args:
        told: the benchmark's part of the summary.
        key: of the log.
    """
    marks, at, manifest = marks_of(told), run.on_hub(task), run.manifest
    asked = told["asked"]
    dataset = {"name": task.name, "samples": asked, "shuffled": False}
    return {
        "version": _VERSION,
        "status": "success",
        "eval": {
            "eval_id": key,
            "run_id": digest_of(run).hex()[:22],
            "task_id": key,
            "created": run.created.isoformat(),
            "task": task.name,
            "task_version": 0,
            "task_args": json.loads(json.dumps(task.options())),
            "tags": [f"{MARK} {mark}" for mark in marks],
            "dataset": {**dataset, **({"location": at.dataset} if at else {})},
            "model": model,
            "model_generate_config": {
                "temperature": task.temperature,
                "top_p": task.top_p,
                **({} if task.max_tokens is None else {"max_tokens": task.max_tokens}),
            },
            "config": {"epochs": task.n, "epochs_reducer": ["mean"]},
            "packages": {"ochat_eval": manifest["ochat_eval"]},
            "metadata": {"run": run.path.name, "marks": list(marks)},
        },
        "plan": {"name": "ochat_eval", "steps": [], "config": {}},
        "results": {
            "total_samples": asked * task.n,
            "completed_samples": (asked - told["missing"]) * task.n,
            "scores": [_score(one, task, told) for one in figures],
        },
        "stats": {"started_at": run.created.isoformat(), "completed_at": _ended(manifest)},
    }


def _ended(manifest: dict[str, Any]) -> str:
    """When the last stage began."""
    return str(manifest["times"][-1]["begun"] if manifest["times"] else manifest["created"])


def _score(one: Measure, task: Task, told: dict[str, Any]) -> dict[str, Any]:
    """A figure as a scorer with its metrics; the rates of the rule stand beside its own score."""
    low, high = one.ci95 or (None, None)
    ends = {"stderr": one.stderr, "ci95_lower": low, "ci95_upper": high}
    metrics = {task.metric: one.score / task.scale}
    metrics |= {name: end / task.scale for name, end in ends.items() if end is not None}
    figures = told[one.rule]
    if one.name == SCORE:
        metrics |= {rate: figures[rate] for rate in RATES if figures.get(rate) is not None}
    return {
        "name": one.rule if one.name == SCORE else f"{one.rule} {one.name}",
        "scorer": one.rule,
        "scored_samples": one.n,
        "unscored_samples": figures.get("unread", 0),
        "metrics": {key: {"name": key, "value": value} for key, value in metrics.items()},
    }


def _samples(
    task: Task,
    item: Item,
    responses: Sequence[Response],
    scores: Sequence[Score],
    rules: Sequence[Rule],
    model: str,
) -> Iterator[dict[str, Any]]:
    """A sample for each answer to an item; the epoch counts them. A score that could not be read
    is left out, as inspect does."""
    by_rule = {rule: list(scored(task, item, responses, scores, rule)) for rule in rules}
    for number in sorted({response.sample for response in responses}):
        own = sorted((r for r in responses if r.sample == number), key=lambda one: one.turn)
        found = {
            rule if one.score.turn == 0 else f"{rule} turn {one.score.turn + 1}": _verdict(one)
            for rule, every in by_rule.items()
            for one in every
            if one.score.sample == number and one.score.value is not None
        }
        yield {
            "id": item.id,
            "epoch": number + 1,
            "input": item.turns[0],
            "choices": None if item.choices is None else list(item.choices),
            "target": item.target[0] if len(item.target) == 1 else list(item.target),
            "messages": messages(item, own),
            "output": _output(own[-1], model),
            "scores": found,
            "metadata": {"subset": item.subset, "index": item.index},
        }


def _verdict(one: Scored) -> dict[str, Any]:
    score = one.score
    read = "read" if score.matched else "not found"
    return {
        "value": score.value,
        "answer": score.answer,
        "explanation": f"the rule {score.rule}: {read}",
        "metadata": score.detail or {},
    }


def _output(response: Response, model: str) -> dict[str, Any]:
    content: Any = response.text
    if response.reasoning is not None:
        thought = {"type": "reasoning", "reasoning": response.reasoning}
        content = [thought, {"type": "text", "text": response.text}]
    message = {"role": "assistant", "content": content, "source": "generate", "model": model}
    found: dict[str, Any] = {
        "model": model,
        "choices": [
            {
                "message": message,
                "stop_reason": _STOPS.get(response.finish_reason or "", "unknown"),
            }
        ],
    }
    into, out = response.prompt_tokens, response.completion_tokens
    if into is not None and out is not None:
        found["usage"] = {"input_tokens": into, "output_tokens": out, "total_tokens": into + out}
    return found
