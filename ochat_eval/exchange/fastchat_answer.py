"""FastChat's model_answer files: a line per question, its answers by choice and turn.

https://github.com/lm-sys/FastChat, fastchat/llm_judge: `gen_judgment.py` reads what `write` writes
(as `data/mt_bench/model_answer/MODEL.jsonl`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from ochat_eval.benchmark.task import Task
from ochat_eval.exchange import Asked, Note, Recorded
from ochat_eval.records import Item, Response, Rule, UserError
from ochat_eval.run import store

FAILED = "$ERROR$"
"""What FastChat writes in place of an answer or a verdict where the request failed."""


def judged_items(tasks: Mapping[str, Task], items: Iterator[Item]) -> Iterator[Item]:
    """Those of the items that a judge rates; a question's id is its `index`."""
    return (item for item in items if tasks[item.task].judged)


def read(path: Path, asked: Asked) -> Iterator[Response | Note]:
    """The answers of a file; a choice is a sample."""
    wanted = {item.index: item for item in judged_items(asked.tasks, iter(asked.items))}
    if not wanted:
        raise UserError("the items asked have no conversations: a task such as mt_bench has")
    for number, fields in store.read_lines(path):
        question, choices = fields.get("question_id"), fields.get("choices")
        item = wanted.get(question) if isinstance(question, int) else None
        if item is None:
            yield Note("not imported, the items asked have no such question_id", f"line {number}")
            continue
        if not isinstance(choices, list) or not choices:
            raise UserError(f"{path} line {number}: the field 'choices' is no list of answers")
        for place, choice in enumerate(choices):
            turns = choice.get("turns") if isinstance(choice, dict) else None
            if not isinstance(turns, list) or not all(isinstance(t, str) for t in turns):
                raise UserError(f"{path} line {number}: choice {place} has no list of 'turns'")
            for turn, text in enumerate(turns[: len(item.turns)]):
                if text == FAILED:  # and the next turn was asked on top of it
                    yield Note(
                        "not imported, the request failed", f"line {number}, turn {turn + 1}"
                    )
                    break
                yield Response(item.id, text, place, turn)


def write(run: Recorded, path: Path, rule: Rule | None) -> Iterator[Note]:
    """Writes a run's answers; what has not both turns is left out and said."""
    if rule is not None:
        raise UserError("--rule: answers are the same under both rules; leave it out")
    tasks, manifest = run.tasks, run.manifest
    if not any(task.judged for task in tasks.values()):
        raise UserError(f"{run.path} has no task whose answers a judge rates")
    created = run.created.timestamp()
    with store.atomic(path) as file:
        for item, responses in run.answered():
            if not tasks[item.task].judged:
                continue
            by_sample: dict[int, list[Response]] = {}
            for one in responses:
                by_sample.setdefault(one.sample, []).append(one)
            choices = []
            for sample, turns in sorted(by_sample.items()):
                if len(turns) < len(item.turns):
                    yield Note("answers left out, a turn is missing", f"{item.id} sample {sample}")
                else:
                    choices.append({"index": sample, "turns": [r.text for r in turns]})
            if choices:
                name = manifest["identity"]["model"]
                text = json.dumps([name, item.id, choices])
                line = {
                    "question_id": item.index,
                    "answer_id": hashlib.sha256(text.encode()).hexdigest()[:22],
                    "model_id": name,
                    "choices": choices,
                    "tstamp": created,
                }
                file.write(json.dumps(line) + "\n")
