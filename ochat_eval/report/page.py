"""report.html: one self-contained page of a run, or of several runs side by side.

All items are in it: an index of small numbers that is read at once, and blocks of texts, packed,
that are unpacked when an item of theirs is looked at. The page may load nothing and run nothing
but its own script (its digest is in the policy); model text reaches the document as text only.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, TextIO

from ochat_eval import store
from ochat_eval.index import Index
from ochat_eval.records import RULES, Item, Response, Score, UserError, Verdict

SHOWN = 100_000
"""Items with their texts on a page; more than that a browser does not hold."""
_BLOCK_ITEMS = 200
_BLOCK_CHARACTERS = 2_000_000
_LEVEL = 6  # of gzip: 9 packs 2 % better in three times the time

_RIGHT, _UNMATCHED, _TRUNCATED, _EMPTY, _UNSCORED, _FLIPPED = 1, 4, 16, 32, 64, 128
"""Bits of an index entry; for `robust` those of right and unmatched are shifted by one."""


@dataclass(frozen=True)
class Run:
    """A run on disk that has been scored."""

    folder: Path

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Its summary.json."""
        return store.read_json(self.folder / store.SUMMARY)

    @cached_property
    def responses(self) -> Index[Response]:
        """Its responses by item."""
        return Index(self.folder / store.RESPONSES, Response)

    @cached_property
    def scores(self) -> Index[Score]:
        """Its scores by item."""
        return Index(self.folder / store.SCORES, Score)

    @cached_property
    def verdicts(self) -> Index[Verdict] | None:
        """A judge's verdicts by item; None where there are none."""
        path = self.folder / store.JUDGMENTS
        return Index(path, Verdict) if path.exists() else None

    def items(self) -> Iterator[Item]:
        """Its items, in the plan's order."""
        return store.read_records(self.folder / store.ITEMS, Item)

    def close(self) -> None:
        """Removes the indexes."""
        for index in (self.responses, self.scores, self.verdicts):
            if index is not None:
                index.close()


def find(folder: Path) -> Run:
    """The run in a folder.

    Raises:
        UserError: it is no run, or not yet scored and reported.
    """
    for name in (store.MANIFEST, store.RESPONSES, store.SCORES, store.SUMMARY):
        if not (folder / name).exists():
            raise UserError(f"{folder} has no {name}: it is no run that has been reported")
    return Run(folder)


@dataclass
class _Lengths:
    """How long a benchmark's answers are: counts by powers of two, in tokens or characters."""

    unit: str = "tokens"
    counts: Counter[int] = field(default_factory=Counter)

    def add(self, response: Response) -> None:
        length = response.completion_tokens
        if length is None:
            self.unit, length = "characters", len(response.text)
        self.counts[length.bit_length()] += 1


def write_page(path: Path, runs: Sequence[Run]) -> None:
    """Writes the page of the first run's items, each with the answers of all runs.

    Raises:
        UserError: the page cannot be written, or a run's file is damaged.
    """
    style, script = _asset("page.css"), _asset("page.js")
    lengths: list[dict[str, _Lengths]] = [{} for _ in runs]
    with store.atomic(path) as file:
        head, tail = _asset("page.html").split("<!--data-->")
        file.write(
            head.replace("STYLE_HASH", _hash(style))
            .replace("SCRIPT_HASH", _hash(script))
            .replace("/*style*/", style)
        )
        index = _write_items(file, runs, lengths)
        _write_data(file, "index", index)
        _write_data(file, "about", _about(runs, lengths))
        file.write(tail.replace("/*script*/", script))


def _asset(name: str) -> str:
    return resources.files("ochat_eval.report").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _write_data(file: TextIO, name: str, value: Any) -> None:
    """Data as packed JSON in base64: nothing in it can end the element that it stands in."""
    packed = gzip.compress(json.dumps(value).encode(), _LEVEL, mtime=0)
    text = base64.b64encode(packed).decode()
    file.write(f'<script type="text/plain" id="{name}">{text}</script>\n')


def _write_items(
    file: TextIO, runs: Sequence[Run], lengths: Sequence[dict[str, _Lengths]]
) -> dict[str, Any]:
    """Writes the blocks of texts; returns the index.

    Returns:
        `names`: task and subset by number; `rows`: for each answer the number of its name, the
        item's index, sample, bits of the first run and of the second, block and place in it.
    """
    names: dict[tuple[str, str], int] = {}
    rows: list[list[int]] = []
    block: list[dict[str, Any]] = []
    blocks = characters = shown = left_out = 0
    last: int | None = None

    def flush() -> None:
        nonlocal blocks, characters
        if block:
            _write_data(file, f"block{blocks}", block)
            blocks, characters = blocks + 1, 0
            block.clear()

    for item in runs[0].items():
        answers = [_answers(run, item) for run in runs]
        for every, found in zip(lengths, answers, strict=True):
            for response in found["responses"]:
                every.setdefault(item.task, _Lengths()).add(response)
        if not answers[0]["responses"]:
            continue
        if shown == SHOWN:
            left_out += 1
            continue
        shown += 1
        name = names.setdefault((item.task, item.subset), len(names))
        if len(block) == _BLOCK_ITEMS or characters > _BLOCK_CHARACTERS or name != last:
            flush()
        last = name
        for sample in sorted({r.sample for r in answers[0]["responses"]}):
            bits = [_bits(found, sample) for found in answers]
            if len(bits) > 1 and not bits[1] & _UNSCORED and (bits[0] ^ bits[1]) & _RIGHT:
                bits[0] |= _FLIPPED
            rows.append([name, item.index, sample, *bits[:2], blocks, len(block)])
        entry = _entry(item, answers)
        characters += sum(len(turn) for turn in item.turns)
        block.append(entry)
    flush()
    return {"names": list(names), "rows": rows, "leftOut": left_out}


def _answers(run: Run, item: Item) -> dict[str, Any]:
    verdicts = run.verdicts.of(item.id) if run.verdicts else []
    return {
        "responses": run.responses.of(item.id),
        "scores": run.scores.of(item.id),
        "verdicts": verdicts,
    }


def _bits(found: dict[str, Any], sample: int) -> int:
    """What the filters ask of an answer."""
    responses = [r for r in found["responses"] if r.sample == sample]
    scores = [s for s in found["scores"] if s.sample == sample]
    bits = 0 if scores else _UNSCORED
    for shift, rule in enumerate(RULES):
        ruled = [s for s in scores if s.rule == rule]
        bits |= (_RIGHT << shift) * (bool(ruled) and all(s.value for s in ruled))
        bits |= (_UNMATCHED << shift) * (not all(s.matched for s in ruled))
    bits |= _TRUNCATED * any(r.finish_reason == "length" for r in responses)
    return bits | _EMPTY * any(not r.text.strip() for r in responses)


def _entry(item: Item, answers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """All that is shown of an item."""
    return {
        "id": item.id,
        "turns": item.turns,
        "target": item.target,
        "choices": item.choices,
        "condition": item.condition,
        "runs": [
            {
                "responses": [
                    [r.sample, r.turn, r.text, r.finish_reason, r.completion_tokens]
                    for r in found["responses"]
                ],
                "scores": [
                    [s.sample, s.turn, s.rule, s.answer, s.matched, s.value, s.detail]
                    for s in found["scores"]
                ],
                "verdicts": [[v.sample, v.turn, v.text, v.judge] for v in found["verdicts"]],
            }
            for found in answers
        ],
    }


def _about(runs: Sequence[Run], lengths: Sequence[dict[str, _Lengths]]) -> dict[str, Any]:
    """All but the items: summaries, manifests, causes, replicas, lengths."""
    return {
        "runs": [
            {
                "name": run.folder.name,
                "summary": run.summary,
                "manifest": store.read_json(run.folder / store.MANIFEST),
                "why": _optional(run.folder / f"{store.WHY}.json"),
                "replicas": _replicas(run.folder / "replicas.jsonl"),
                "lengths": {
                    task: {"unit": one.unit, "counts": dict(one.counts)}
                    for task, one in found.items()
                },
            }
            for run, found in zip(runs, lengths, strict=True)
        ]
    }


def _optional(path: Path) -> dict[str, Any] | None:
    return store.read_json(path) if path.exists() else None


def _replicas(path: Path) -> list[dict[str, Any]]:
    """What the replicas of a run did over time, a thousand lines at the most."""
    if not path.exists():
        return []
    found = [line for _, line in store.read_lines(path)]
    step = max(1, len(found) // 1000)
    return [one for place, one in enumerate(found) if "event" in one or place % step == 0]
