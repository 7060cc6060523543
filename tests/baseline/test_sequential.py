"""The gate as the looks decide, on runs of 600 questions of a file."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from ochat_eval import stats
from ochat_eval.baseline.command import gate, record
from tests.conftest import door
from tests.replays import write

N = 600


def answered(folder: Path, name: str, *, lost: int = 0, refused: int = 0, of: int = N) -> None:
    """A run that is right on nine in ten, less `lost` in a hundred, and says nothing on some."""
    texts = [
        "I pass." if i % 100 < refused else str(i if i % 10 and i % 100 >= lost else i + 1)
        for i in range(of)
    ]
    write(
        folder / f"{name}.jsonl",
        *({"id": f"file/{'ab'[i % 2]}/{i}", "text": text} for i, text in enumerate(texts)),
    )
    asked = ("task=file", "tasks.file.path=rows.jsonl", "engine=replay")
    done = door(*asked, f"engine.path={name}.jsonl", f"run={name}", folder=folder)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("looks")
    rows = ({"question": f"{i}?", "answer": i, "subset": "ab"[i % 2]} for i in range(N))
    write(folder / "rows.jsonl", *rows)
    answered(folder, "base")
    answered(folder, "worse", lost=10)
    answered(folder, "silent", refused=20)
    answered(folder, "torn", of=300)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert record(["base", "--as", "base"]) == 0
    return folder


def said(world: Path, monkeypatch, capsys, *arguments: str) -> tuple[int, str]:
    monkeypatch.chdir(world)
    capsys.readouterr()
    code = gate([arguments[0], "--against", "base", *arguments[1:]])
    return code, " ".join(capsys.readouterr().out.split())


@pytest.mark.slow
def test_the_same_answers_pass_early_and_a_loss_fails_early(world, monkeypatch, capsys):
    wide = ("--margin", "3", "--sequential")
    code, out = said(world, monkeypatch, capsys, "base", *wide)
    assert code == 0
    confidences = stats.look_confidences([k / 20 for k in range(1, 21)])
    allowed = [-math.log((1 - c) / 2) / (30 * k) for k, c in enumerate(confidences, 1)]
    first = next(k for k, loss in enumerate(allowed, 1) if loss <= 0.03)  # Poisson's, of no loss
    assert f"file: PASS at look {first} of 20, {30 * first} of 600 items" in out
    assert "PASS: base against base, rule published, looked at as it went on" in out
    code, out = said(world, monkeypatch, capsys, "worse", *wide, "--no-worse")
    assert code == 1 and "FAIL at look" in out
    look = int(out.split("FAIL at look ")[1].split()[0])
    assert 4 <= look <= 16, "10 points are lost"


def test_the_row_is_the_deciding_looks_and_the_looks_before_it_are_shown(
    world, monkeypatch, capsys
):
    arguments = ["worse", "--margin", "3", "--sequential", "--summary", "s.md", "--junit", "j.xml"]
    _, out = said(world, monkeypatch, capsys, *arguments)
    look = int(out.split("FAIL at look ")[1].split()[0])
    page = (world / "s.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines()
            if line.startswith("| file")]  # fmt: skip
    [verdict], looks = [r for r in rows if len(r) > 8], [r for r in rows if len(r) < 8]
    assert [r[1] for r in looks] == [str(k) for k in range(1, look + 1)]
    assert {r[-1] for r in looks[:-1]} == {"INCONCLUSIVE"} and looks[-1][-1] == "FAIL"
    assert verdict[2] == f"{30 * look} of 600" and verdict[5] == looks[-1][3]


def test_what_no_look_decides_is_inconclusive_and_the_last_is_wider_than_the_gates(
    world, monkeypatch, capsys
):
    _, plain = said(world, monkeypatch, capsys, "base", "--margin", "0.3")
    code, out = said(world, monkeypatch, capsys, "base", "--margin", "0.3", "--sequential")
    assert code == 2 and "file: undecided at look 20 of 20, 600 of 600 items" in out
    narrow, wide = (float(text.split("…+")[-1].split()[0]) for text in (plain, out))
    assert narrow < wide < 1.4 * narrow


def test_answers_that_can_no_longer_be_read_end_it_as_refused(world, monkeypatch, capsys):
    asked = ("silent", "--margin", "50", "--sequential", "--rule", "robust")
    code, out = said(world, monkeypatch, capsys, *asked)
    assert code == 3 and "file: REFUSED at look" in out and "the unmatched rate is" in out


def test_a_look_waits_for_all_its_items(world, monkeypatch, capsys):
    code, out = said(world, monkeypatch, capsys, "torn", "--margin", "30", "--sequential")
    assert code == 3 and "no look yet: not all of the first 30 items have an answer" in out


@pytest.mark.parametrize("more", [["--part"], ["--psi", "0.1"]])
def test_it_is_of_a_recorded_run(world, monkeypatch, capsys, more):
    monkeypatch.chdir(world)
    assert gate(["base", "--against", "base", "--sequential", *more]) == 3
    assert "--sequential is against a recorded run" in capsys.readouterr().err


def test_other_questions_are_refused_at_the_first_look(world, monkeypatch, capsys):
    rows = [json.loads(line) for line in (world / "rows.jsonl").open()]
    rows[0]["question"] = "0!"
    write(world / "rows.jsonl", *rows)
    answered(world, "other")
    code, out = said(world, monkeypatch, capsys, "other", "--margin", "3", "--sequential")
    assert code == 3 and "prompts or targets differ from the recorded ones" in out
