"""Recorded answers, and the options that replay them: runs without a model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tests.conftest import CHECKOUT

REPLAY = ("task=gsm8k", "data=sample", "engine=replay", "engine.path=a.jsonl", "run=r")
RUN = "results/runs/r"
"""Where REPLAY runs, under the folder it is started in."""


def write(path: Path, *records: Mapping[str, object]) -> Path:
    """Writes a JSON lines file."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def sample_answers(**changed: str) -> list[dict[str, object]]:
    """An answer to each GSM8K sample item: right for all but what is changed (by index)."""
    rows = [json.loads(x) for x in (CHECKOUT / "tasks/samples/gsm8k.jsonl").open()]
    targets = [r["answer"].split("#### ")[1] for r in rows if "example" not in r]
    return [
        {"id": f"gsm8k/main/{i}", "text": changed.get(f"i{i}", f"The answer is {target}")}
        for i, target in enumerate(targets)
    ]
