"""lm-eval's files: what `lm_eval --output_path --log_samples` writes.

`samples_*.jsonl` has a JSON line per document and filter, `results_*.json` the figures.

https://github.com/EleutherAI/lm-evaluation-harness, lm_eval/loggers/evaluation_tracker.py: `doc_id`
is the document's place in its data, `doc` its row, `resps` the texts before lm-eval's filters,
`arguments` what the model was asked.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from ochat_eval.benchmark.task import Task
from ochat_eval.exchange import Asked, Note, Recorded, made_folder
from ochat_eval.exchange.logs import as_line, file_name, file_time, messages, model_of
from ochat_eval.records import RULES, Item, Response, Rule, Score, UserError
from ochat_eval.report.measures import SCORE, marks_of, measures, subsets_of
from ochat_eval.report.tables.cells import MARK
from ochat_eval.run import store
from ochat_eval.stats import mean

QUESTION_FIELDS = ("question", "problem", "input", "prompt", "query", "goal")
"""Where a row has its question, in the order of trial."""


def read(path: Path, asked: Asked) -> Iterator[Response | Note]:
    """The texts generated for documents whose place and question are an item's.

    A document stands in the file once for each filter; its texts count once.
    """
    by_index: dict[int, list[Item]] = {}
    for item in asked.items:
        by_index.setdefault(item.index, []).append(item)
    seen: dict[str, list[str]] = {}
    for number, fields in store.read_lines(path):
        place, doc = fields.get("doc_id"), fields.get("doc")
        if not isinstance(place, int) or not isinstance(doc, dict) or "resps" not in fields:
            raise UserError(
                f"{path} line {number} is no sample of lm-eval: it needs doc_id, doc and resps"
            )
        where = f"line {number}, doc_id {place}"
        question = _question(doc)
        if question is None:
            yield Note(f"not imported, no question in {'/'.join(QUESTION_FIELDS)}", where)
            continue
        items = [one for one in by_index.get(place, []) if question in one.turns[0]]
        if len(items) != 1:
            what = "no item asked has this place and question"
            if items:
                what = "several items have this place and question"
            yield Note(f"not imported, {what}", where)
            continue
        texts = _texts(fields["resps"])
        if texts is None:
            yield Note("not imported, no generated text (a request for likelihoods)", where)
            continue
        [item] = items
        if item.id in seen:
            if seen[item.id] != texts:
                yield Note("not imported, a second, other answer to an item", where)
            continue
        seen[item.id] = texts
        if not _asked_with(fields.get("arguments"), item):
            yield Note("imported, but the model was asked with another prompt than ours", where)
        for sample, text in enumerate(texts):
            yield Response(item.id, text, sample)


def _question(doc: Mapping[str, Any]) -> str | None:
    """The row's question, less the white space around it; None where there is none."""
    for name in QUESTION_FIELDS:
        if isinstance(value := doc.get(name), str) and value.strip():
            return value.strip()
    return None


def _texts(resps: Any) -> list[str] | None:
    """The generated texts, one a sample; None where they are something else."""
    if isinstance(resps, list) and len(resps) == 1 and isinstance(resps[0], list):
        resps = resps[0]  # a request's answers: generation has one request a document
    if isinstance(resps, list) and resps and all(isinstance(text, str) for text in resps):
        return resps
    return None


def _asked_with(arguments: Any, item: Item) -> bool:
    """Whether the item's prompt stands in what lm-eval sent, which may be a chat as JSON."""
    prompt = item.turns[0].strip()
    sent = json.dumps(arguments, ensure_ascii=False)
    inside = json.dumps(prompt, ensure_ascii=False)[1:-1]
    return inside in sent or json.dumps(inside, ensure_ascii=False)[1:-1] in sent


_METRICS = {"accuracy": "acc"}
"""Our metrics by lm-eval's names, where it has them."""


def write(run: Recorded, path: Path, rule: Rule | None) -> Iterator[Note]:
    """Writes `MODEL/results_TIME.json` and `MODEL/samples_TASK_TIME.jsonl` into a folder.

    Our rules are filters there, and the subsets of a benchmark that has several are tasks of its
    group. Figures are fractions; a mark (†) stands in the task's alias, which lm-eval's table
    shows. Conversations, which lm-eval has not, are left out.
    """
    summary, tasks, model = run.summary, run.tasks, model_of(run)
    rules, time = RULES if rule is None else (rule,), file_time(run.created)
    folder = made_folder(path / file_name(model.replace("/", "__")))
    with contextlib.ExitStack() as stack:
        files: dict[str, TextIO] = {}
        for item, responses, scores in run.judged():
            if len(item.turns) > 1:
                yield Note("left out, a conversation", item.id)
                continue
            name = _leaf(item.task, item.subset, summary)
            if name not in files:
                file = folder / f"samples_{name}_{time}.jsonl"
                files[name] = stack.enter_context(store.atomic(file))
            metric = _METRICS.get(tasks[item.task].metric, tasks[item.task].metric)
            for chosen in rules:
                own = [s for s in scores if s.rule == chosen]
                if own:
                    files[name].write(as_line(_sample(item, responses, own, metric)))
    if not files:
        raise UserError(f"{run.path} has nothing that lm-eval knows: no scored single answers")
    store.write_text(folder / f"results_{time}.json", as_line(_results(run, rule, set(files))))


def _leaf(task: str, subset: str, summary: Mapping[str, Any]) -> str:
    """The name of a benchmark's subset as a task of lm-eval's; of an only one, the benchmark's."""
    several = subsets_of(summary["tasks"][task]["published"])
    return re.sub(r"\W", "_", f"{task}_{subset}" if several else task)


def _sample(
    item: Item, responses: Sequence[Response], scores: Sequence[Score], metric: str
) -> dict[str, Any]:
    """A document under one rule; its value is the mean over its samples, None without verdict."""
    values = [one.value for one in scores if one.value is not None]
    doc = {"id": item.id, "question": item.turns[0], "choices": item.choices, "target": item.target}
    prompt = item.turns[0]
    if item.examples:
        prompt = json.dumps([*messages(item, ()), {"role": "user", "content": prompt}])
    target = item.target[0] if len(item.target) == 1 else json.dumps(item.target)
    return {
        "doc_id": item.index,
        "doc": doc,
        "target": target,
        "arguments": {"gen_args_0": {"arg_0": prompt, "arg_1": {"until": []}}},
        "resps": [[one.text for one in responses]],
        "filtered_resps": [one.answer for one in scores],
        "filter": scores[0].rule,
        "metrics": [metric],
        "doc_hash": _hash(doc),
        "prompt_hash": _hash(prompt),
        "target_hash": _hash(target),
        metric: mean(values) if values else None,
    }


def _hash(value: Any) -> str:
    return hashlib.sha256(as_line(value).encode()).hexdigest()


def _results(run: Recorded, rule: Rule | None, written: Container[str]) -> dict[str, Any]:
    """What results_*.json holds; `written` are the tasks that have samples."""
    summary, tasks, model = run.summary, run.tasks, model_of(run)
    results: dict[str, dict[str, Any]] = {}
    groups: dict[str, list[str]] = {}
    numbers: dict[str, dict[str, int]] = {}
    for one in measures(summary, rule):
        task, told = tasks[one.task], summary["tasks"][one.task]
        subset = next(iter(told[one.rule]["subsets"])) if one.subset is None else one.subset
        leaf = _leaf(one.task, subset, summary)
        name = one.task if one.subset is None else leaf
        if not one.in_unit or leaf not in written:
            continue
        if name != one.task:
            children = groups.setdefault(one.task, [])
            children.extend([] if name in children else [name])
        marks = marks_of(told)
        alias = f"{name} {MARK} {'; '.join(marks)}" if marks else name
        metric = _METRICS.get(task.metric, task.metric) if one.name == SCORE else one.name
        error = "N/A" if one.stderr is None else one.stderr / task.scale
        results.setdefault(name, {"alias": alias}).update(
            {
                f"{metric},{one.rule}": one.score / task.scale,
                f"{metric}_stderr,{one.rule}": error,
            }
        )
        numbers[name] = {"original": told["of"], "effective": one.n}
    higher = {name: {key.split(",")[0]: True for key in found} for name, found in results.items()}
    return {
        "results": results,
        "group_subtasks": {name: groups.get(name, []) for name in results},
        "configs": {name: _config(run, task) for name, task in tasks.items() if name in results},
        "versions": dict.fromkeys(results, 0),
        "n-shot": {},
        "higher_is_better": higher,
        "n-samples": numbers,
        "config": {"model": "ochat_eval", "model_args": f"pretrained={model}"},
        "git_hash": None,
        "date": run.created.timestamp(),
        "model_name": model,
        "model_name_sanitized": re.sub(r"\W", "_", model),
        "ochat_eval_version": run.manifest["ochat_eval"],
    }


def _config(run: Recorded, task: Task) -> dict[str, Any]:
    at = run.on_hub(task)
    longest = {} if task.max_tokens is None else {"max_gen_toks": task.max_tokens}
    return {
        "task": task.name,
        "dataset_path": at.dataset if at else task.name,
        **({"dataset_name": at.config, "test_split": at.split} if at else {}),
        "output_type": "generate_until",
        "repeats": task.n,
        "generation_kwargs": {"temperature": task.temperature, "top_p": task.top_p, **longest},
        "metadata": {"options": task.options()},
    }
