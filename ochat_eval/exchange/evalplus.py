"""EvalPlus' samples.jsonl: a line per answer, `task_id` with `solution` or `completion`.

https://github.com/evalplus/evalplus: `solution` is a whole program; `completion` is put behind
the problem's code. `evalplus.evaluate --samples FILE` reads what `write` writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from ochat_eval.exchange import Asked, Note, Recorded, text_of
from ochat_eval.records import Response, Rule, UserError
from ochat_eval.run import store


def read(path: Path, asked: Asked) -> Iterator[Response | Note]:
    """The programs in a samples.jsonl; several for one problem are its samples, in their order."""
    wanted = {item.id for item in asked.items}
    ids, prompts = {}, {}
    for task in asked.tasks.values():
        for item_id, (name, prompt) in task.code_problems().items():
            if item_id in wanted:
                ids[name], prompts[name] = item_id, prompt
    if not ids:
        raise UserError("the items asked have no code for answers: a task such as HumanEval has")
    samples: dict[str, int] = {}
    for number, fields in store.read_lines(path):
        where = f"{path} line {number}"
        name = text_of(fields, "task_id", where)
        if "solution" in fields:
            program = text_of(fields, "solution", where)
        else:
            completion = text_of(fields, "completion", where)
            program = prompts.get(name, "") + completion
        if name not in ids:
            yield Note(
                "not imported, the items asked have no such task_id", f"line {number}, {name}"
            )
            continue
        sample = samples.setdefault(name, 0)
        samples[name] += 1
        yield Response(ids[name], program, sample)


def write(run: Recorded, path: Path, rule: Rule | None) -> Iterator[Note]:
    """Writes the program that a rule, `published` by default, read in each answer of a run.

    Where the rule found none, the answer stands there as it is.
    """
    chosen = rule or "published"
    problems: dict[str, tuple[str, str]] = {}
    for task in run.tasks.values():
        problems.update(task.code_problems())
    if not problems:
        raise UserError(f"{run.path} has no task whose answers are code")
    unanswered = dict(problems)
    with store.atomic(path) as file:
        for item, responses, scores in run.judged():
            if item.id not in problems:
                continue
            by_sample = {score.sample: score for score in scores if score.rule == chosen}
            for one in responses:
                score = by_sample.get(one.sample)
                if score is None:
                    raise UserError(f"{one.id} has no score yet: run stage=score first")
                if not score.matched:
                    yield Note(f"answers without a program that the {chosen} rule finds", one.id)
                program = one.text if score.answer is None else score.answer
                line = {"task_id": problems[item.id][0], "solution": program}
                file.write(json.dumps(line) + "\n")
                unanswered.pop(item.id, None)
    for name, _ in unanswered.values():
        yield Note("problems without an answer; evalplus.evaluate wants all", name)
