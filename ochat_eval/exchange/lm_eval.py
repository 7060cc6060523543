"""lm-eval's samples: what `lm_eval --log_samples` writes, a JSON line per document and filter.

https://github.com/EleutherAI/lm-evaluation-harness, lm_eval/loggers/evaluation_tracker.py: `doc_id`
is the document's place in its data, `doc` its row, `resps` the texts before lm-eval's filters,
`arguments` what the model was asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ochat_eval.exchange import Asked, Note
from ochat_eval.records import Item, Response, UserError
from ochat_eval.run import store

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
