"""FastChat's model_judgment files: a line per verdict of single-answer grading.

https://github.com/lm-sys/FastChat, fastchat/llm_judge: what `gen_judgment.py --mode single` writes
and `show_result.py` reads. Its `score` is -1 where a verdict could not be read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from ochat_eval.benchmark.task import Answered
from ochat_eval.exchange import Asked, Note, Recorded, text_of
from ochat_eval.exchange.fastchat_answer import FAILED, judged_items
from ochat_eval.records import Response, Rule, UserError, Verdict
from ochat_eval.run import store
from ochat_eval.run.index import Index

STYLE = "graded"


def read(path: Path, asked: Asked) -> Iterator[Response | Note]:
    """The verdicts of a file on the answers of a run; to be written as its judgments.jsonl.

    A verdict counts for the very answer that it quotes; files with many models' verdicts can be
    given as they are.
    """
    if asked.run is None:
        raise UserError("verdicts are on a run's answers: name it with --run RUN")
    tasks = asked.tasks
    wanted = {item.index: item for item in judged_items(tasks, iter(asked.items))}
    responses = Index(asked.run.path / store.RESPONSES, Response)
    for number, fields in store.read_lines(path):
        where = f"{path} line {number}"
        item, turn, judge = (fields.get(name) for name in ("question_id", "turn", "judge"))
        if not isinstance(item, int) or item not in wanted or turn not in (1, 2):
            yield Note("not imported, the run asks no such question_id and turn", f"line {number}")
            continue
        if not (isinstance(judge, list) and judge and isinstance(judge[0], str)):
            raise UserError(f"{where}: the field 'judge' is no list of the judge and its prompt")
        given = responses.of(wanted[item].id)
        one = Answered(wanted[item], tuple(given))
        response = next((r for r in given if (r.sample, r.turn) == (0, turn - 1)), None)
        task = tasks[wanted[item].task]
        request = response and task.judge_request(one, response, STYLE)
        if not request or request.messages[-1].content != text_of(fields, "user_prompt", where):
            model = fields.get("model")
            yield Note("not imported, on another answer than the run's", f"line {number}, {model}")
            continue
        verdict = text_of(fields, "judgment", where)
        if verdict == FAILED:
            yield Note("not imported, the request failed", f"line {number}")
            continue
        yield Verdict(
            *request.key[:1],
            verdict,
            *request.key[1:],
            judge=judge[0],
            style=STYLE,
            prompt=request.digest,
        )


def write(run: Recorded, path: Path, rule: Rule | None) -> Iterator[Note]:
    """Writes a run's verdicts with the rating that a rule, `published` by default, reads."""
    chosen, tasks = rule or "published", run.tasks
    judgments = run.path / store.JUDGMENTS
    if not judgments.exists():
        raise UserError(f"{run.path} has no verdicts: run stage=score with a judge first")
    verdicts = Index(judgments, Verdict)
    created = run.created.timestamp()
    with store.atomic(path) as file:
        for item, responses, scores in run.judged():
            if not tasks[item.task].judged:
                continue
            ratings = {(s.sample, s.turn): s.value for s in scores if s.rule == chosen}
            one = Answered(item, tuple(responses))
            by_key = {r.key: r for r in responses}
            for verdict in verdicts.of(item.id):
                place = (verdict.sample, verdict.turn)
                if verdict.style != STYLE or verdict.sample or place not in ratings:
                    name = f"{item.id} sample {verdict.sample} turn {verdict.turn}"
                    yield Note("left out: not the first sample's, stale or of another style", name)
                    continue
                response, task = by_key[verdict.key], tasks[item.task]
                request = task.judge_request(one, response, STYLE)
                assert request is not None  # it has a score
                value = ratings[place]
                line = {
                    "question_id": item.index,
                    "model": run.manifest["identity"]["model"],
                    "judge": [verdict.judge, task.judge_prompt_name(item, verdict.turn)],
                    "user_prompt": request.messages[-1].content,
                    "judgment": verdict.text,
                    "score": -1 if value is None else int(value) if value == int(value) else value,
                    "turn": verdict.turn + 1,
                    "tstamp": created,
                }
                file.write(json.dumps(line) + "\n")
