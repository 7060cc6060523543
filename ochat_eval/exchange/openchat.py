"""openchat's eval_results: a JSON list with an entry per question of all its evaluation sets.

https://github.com/imoneoi/openchat, ochat/evaluation/run_eval.py: `question` is the whole prompt,
`response` what the model wrote, `task_name` the path of the question's file, without its ending.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ochat_eval.exchange import Asked, Note, text_of
from ochat_eval.records import Response, UserError


def read(path: Path, asked: Asked) -> Iterator[Response | Note]:
    """The responses to questions that are, letter for letter, an item's prompt.

    Items with the same prompt (35 prompts of the published sets, never of two subsets) are
    answered in their order.
    """
    waiting: dict[str, deque[str]] = {}
    for item in asked.items:
        waiting.setdefault(item.turns[0], deque()).append(item.id)
    for place, entry in enumerate(_entries(path)):
        where = f"{path} entry {place}"
        if not isinstance(entry, dict):
            raise UserError(f"{where} is no object but {type(entry).__name__}")
        question, response = (text_of(entry, name, where) for name in ("question", "response"))
        if not (ids := waiting.get(question)):
            what = "are none of the items asked" if ids is None else "are answered already"
            source = entry.get("task_name", "no task_name")
            yield Note(f"not imported, their questions {what}", f"entry {place} of {source}")
            continue
        item_id = ids.popleft()
        if not response:
            yield Note("imported as empty answers (or openchat got none)", item_id)
        yield Response(item_id, response)


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
