"""A limited run keeps its items, whatever its limit would draw today."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ochat_eval.stages import draft, rules
from tests.conftest import lines
from tests.replays import REPLAY, RUN, sample_answers, write

RUNS = Path("results/runs")
LIMITED = ("task=file", "tasks.file.path=rows.jsonl", "engine=replay", "engine.path=answers.jsonl",
           "engine.ignore_unknown=true", "limit=4")  # fmt: skip


def rows(folder: Path, question: str) -> None:
    write(folder / "rows.jsonl", *({"question": f"{question} {i}", "answer": i} for i in range(40)))


def ran(cli, folder: Path, *options: str, code: int = 0) -> tuple[str, list[set[object]]]:
    """What it says, and the items of each run that is there."""
    done = cli(*LIMITED, *options)
    assert done.returncode == code, done.stderr
    found = sorted((folder / RUNS).glob("*/items.jsonl"))
    return done.stderr, [{one["id"] for one in lines(path)} for path in found]


@pytest.mark.slow
@pytest.mark.parametrize("named", [(), ("run=r",)])
def test_a_run_with_other_items_goes_on_with_them(cli, tmp_path, named):
    rows(tmp_path, "What is")
    write(
        tmp_path / "answers.jsonl", *({"id": f"file/main/{i}", "text": str(i)} for i in range(40))
    )
    mine = {f"file/main/{i}" for i in range(4)}
    write(tmp_path / "ids.jsonl", *({"id": one} for one in sorted(mine)))
    ran(cli, tmp_path, *named, "ids=ids.jsonl", "stage=generate")
    [folder] = (tmp_path / RUNS).glob("*/")
    if not named:  # that they were named is another choice
        _, both = ran(cli, tmp_path)
        assert len(both) == 2
        for other in (tmp_path / RUNS).glob("*/summary.json"):
            shutil.rmtree(other.parent)
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["only_ids"], manifest["overrides"]  # as if a limit had drawn them
    (folder / "manifest.json").write_text(json.dumps(manifest))

    (folder / "responses.jsonl").unlink()
    _, found = ran(cli, tmp_path, *named)
    assert found == [mine]
    assert cli("stage=score", f"run={folder.name}", LIMITED[1]).returncode == 0
    assert {one["id"] for one in lines(folder / "scores.jsonl")} == mine
    assert "finished before" in ran(cli, tmp_path, *named)[0]

    rows(tmp_path, "How much is")  # other questions: other work, whose sample is drawn today
    if named:
        assert "did other work: prompts" in ran(cli, tmp_path, *named, code=2)[0]
    else:
        _, found = ran(cli, tmp_path)
        assert len(found) == 2 and found.count(mine) == 1


@pytest.mark.slow
def test_prompts_that_stand_are_not_built_again(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write(tmp_path / "answers.jsonl", *({"id": f"file/main/{i}", "text": "1"} for i in range(40)))
    write(tmp_path / "a.jsonl", *sample_answers())
    rows(tmp_path, "What is")
    assert cli(*REPLAY).returncode == 0 and cli(*LIMITED).returncode == 0
    items = tmp_path / RUN / "items.jsonl"
    made = items.read_bytes()
    built = []
    (tmp_path / "my_tasks.py").write_text("")
    selection = draft.Selection
    monkeypatch.setattr(draft, "Selection", lambda *a: built.append(a) or selection(*a))

    def builds(*options, code=0):
        built.clear()
        done = cli(*(options or REPLAY), "stage=score")
        assert done.returncode == code, done.stderr
        return bool(built)

    assert not builds() and not builds()
    for other in (made[:-9], made.replace(b"?", b"!", 1)):
        items.write_bytes(other)
        assert builds() and items.read_bytes() == made and not builds()
    items.unlink()
    assert builds() and items.read_bytes() == made
    assert builds(*LIMITED), "nobody can tell whether the user's rows are the same"
    assert builds(*REPLAY, "--allow", "my_tasks"), "or what code of the user's does"
    with monkeypatch.context() as other:
        other.setattr(rules, "_LOADED", 0.0)
        assert builds(), "or code that was changed while it ran"
    assert builds(*REPLAY, "limit=2", code=2), "it did other work"
    assert items.read_bytes() == made and not builds()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "of someone else"))
    assert builds() and not builds()
