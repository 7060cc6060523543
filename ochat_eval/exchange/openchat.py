"""openchat's eval_results: a JSON list with an entry per question of all its evaluation sets.

https://github.com/imoneoi/openchat, ochat/evaluation/run_eval.py: `question` is the whole prompt,
`task_name` the path of the question's file without its ending, `response` what the model wrote.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ochat_eval.exchange import Asked, Note, text_of
from ochat_eval.records import Item, Response, UserError


def read(path: Path, asked: Asked) -> Iterator[Response | Note]:
    """The responses to questions that are, letter for letter, an item's prompt.

    Of several items with one prompt, those whose subset the entry's file is named after come
    first, and then the order decides.
    """
    waiting: dict[str, deque[Item]] = {}
    for item in asked.items:
        waiting.setdefault(item.turns[0], deque()).append(item)
    prompts = set(waiting)
    for place, entry in enumerate(_entries(path)):
        where = f"{path} entry {place}"
        if not isinstance(entry, dict):
            raise UserError(f"{where} is no object but {type(entry).__name__}")
        question, response = (text_of(entry, name, where) for name in ("question", "response"))
        source = text_of(entry, "task_name", where)
        items = waiting.get(question)
        if not items:
            what = "are answered twice" if question in prompts else "are none of the items asked"
            yield Note(f"not imported, their questions {what}", f"entry {place} of {source}")
            continue
        name = source.rpartition("/")[2].partition(".")[0]
        item = next((one for one in items if one.subset == name), items[0])
        items.remove(item)
        if not response:
            yield Note("imported as empty answers (or openchat got none)", item.id)
        yield Response(item.id, response)


def _entries(path: Path) -> list[Any]:
    try:
        entries = json.loads(path.read_bytes())
    except OSError as e:
        raise UserError(f"cannot read {path}: {e.strerror}") from e
    except (ValueError, RecursionError) as e:
        raise UserError(f"{path} is not JSON: {e}") from e
    if not isinstance(entries, list):
        raise UserError(f"{path} is no JSON list; openchat's eval_results are one")
    return entries
