"""A limited run with a whole one as control, through the command line."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests.conftest import door
from tests.replays import write

N = 300


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """A file of questions, and a run that is right on most, over all."""
    folder = tmp_path_factory.mktemp("control")
    write(folder / "rows.jsonl", *({"question": f"{i}?", "answer": i} for i in range(N)))
    rng = random.Random(0)
    right = [rng.random() < 0.6 for _ in range(N)]
    write(
        folder / "base.jsonl",
        *({"id": f"file/main/{i}", "text": str(i if ok else i + 1)} for i, ok in enumerate(right)),
    )
    (folder / "base2.jsonl").write_bytes((folder / "base.jsonl").read_bytes())
    new = [ok != (rng.random() < 0.03) for ok in right]
    write(
        folder / "new.jsonl",
        *({"id": f"file/main/{i}", "text": str(i if ok else i + 1)} for i, ok in enumerate(new)),
    )
    ran(folder, "base")
    ran(folder, "base2")  # knows nothing more
    return folder


def ran(folder: Path, name: str, *more: str, code: int = 0) -> str:
    asked = ("task=file", "tasks.file.path=rows.jsonl", "engine=replay", f"engine.path={name}.jsonl",
             "engine.ignore_unknown=true", f"run={name}")  # fmt: skip
    done = door(*asked, *more, folder=folder)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def test_the_control_tells_the_score_of_all_items_better(world):
    out = " ".join(ran(world, "new", "limit=100", "against=base").split())
    assert "with base as control, of all: published" in out
    told = json.loads((world / "results/runs/new/summary.json").read_text())["tasks"]["file"]
    alone, controlled = told["robust"], told["robust"]["controlled"]
    right = sum(
        json.loads(line)["text"] == str(i) for i, line in enumerate((world / "new.jsonl").open())
    )
    assert controlled["ci95"][0] < 100 * right / N < controlled["ci95"][1]
    assert controlled["stderr"] < 0.6 * alone["stderr"] and controlled["against"] == ["base"]
    assert "finished before" in ran(world, "new", "limit=100", "against=base")
    assert "finished before" in ran(world, "new", "limit=100")
    out = " ".join(ran(world, "new", "limit=100", "against=base,base2,new").split())
    assert "new tells no more of it" in out and "with base and base2 as control, of all:" in out
    told = json.loads((world / "results/runs/new/summary.json").read_text())["tasks"]["file"]
    assert told["robust"]["controlled"]["score"] == pytest.approx(controlled["score"])


def test_a_control_that_does_not_fit_is_said(world):
    out = " ".join(ran(world, "new", "limit=100", "against=new", "run=self").split())
    assert "new tells no more of it: it has 100 of 300 items" in out
    assert "say limit=N" in ran(world, "new", "against=base", "run=whole", code=2)
    assert "there is no such run" in ran(world, "new", "limit=9", "against=nobody", "run=x", code=2)
