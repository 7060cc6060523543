"""Runs and recorded runs whose files somebody damaged, or made up: one line, and nothing written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.replays import REPLAY, RUN, sample_answers, write

RECORDED = "results/recorded/base"


@pytest.fixture
def recorded(cli, tmp_path) -> Path:
    """A folder with a run `r`, recorded as `base`."""
    write(tmp_path / "a.jsonl", *sample_answers())
    assert cli(*REPLAY).returncode == 0
    assert cli("record", "r", "--as", "base").returncode == 0
    return tmp_path


def changed(file: Path, path: str, value: object) -> None:
    """Sets one value of the JSON of a file, or of the first line of a file of lines."""
    first, _, rest = file.read_text().partition("\n") if file.suffix == ".jsonl" else (
        file.read_text(), "", "")  # fmt: skip
    whole = json.loads(first)
    *above, last = path.split(".")
    place = whole
    for name in above:
        place = place[int(name) if isinstance(place, list) else name]
    place[int(last) if isinstance(place, list) else last] = value
    file.write_text(json.dumps(whole) + "\n" + rest)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("tasks.gsm8k", "x"),
        ("tasks.gsm8k.robust", None),
        ("tasks.gsm8k.robust.score", {}),
        ("tasks.gsm8k.published.score", float("inf")),
        ("tasks.gsm8k.published.subsets", []),
        ("tasks.gsm8k.notes", 3),
        ("model", ["x"]),
        ("tasks", {}),
    ],
)
def test_a_summary_that_is_none(recorded, cli, path, value):
    changed(recorded / RUN / "summary.json", path, value)
    commands = [("export", name, "r", "-o", "out") for name in
                ("lm_eval", "inspect", "every_eval_ever", "model_index")]  # fmt: skip
    for command in (("tables", "r"), ("tables", "r", "--format", "json"), *commands):
        if path == "tasks" and command[0] == "tables":
            continue  # a run of nothing has no row
        done = cli(*command)
        assert done.returncode == 2, command
        assert "summary.json" in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr
        assert not (recorded / "out").exists()


@pytest.mark.parametrize("value", [1.5, -1, float("nan")])
def test_a_recorded_value_out_of_bounds(recorded, cli, value):
    changed(recorded / RECORDED / "items.jsonl", "published.values.0", value)
    for command in (("compare", "base", "r"), ("gate", "r", "--against", "base", "--sequential")):
        done = cli(*command)
        assert done.returncode in (2, 3)
        assert "record it again" in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("value", [5, -1, float("nan")])
def test_a_score_that_the_benchmark_does_not_give(recorded, cli, value):
    """A traceback before."""
    changed(recorded / RUN / "scores.jsonl", "value", value)
    commands = [("compare", "base", "r"), ("gate", "r", "--against", "base", "--margin", "5")]
    for command in (*commands, ("record", "r", "--as", "new"), (*REPLAY, "stage=report")):
        done = cli(*command)
        assert done.returncode in (2, 3)
        assert "scores.jsonl" in done.stderr.splitlines()[-1], command
        assert "Traceback" not in done.stderr
    assert not (recorded / "results/recorded/new").exists()
    assert cli(*REPLAY, "stage=score").returncode == 0 and cli("compare", "base", "r").stdout


@pytest.mark.parametrize("value", [-1, 10**30])
@pytest.mark.parametrize("name", ["sample", "turn"])
def test_the_number_of_an_answer_is_a_count(recorded, cli, name, value):
    changed(recorded / RUN / "responses.jsonl", name, value)
    done = cli("export", "parquet", "r", "-o", "x.parquet")
    assert done.returncode == 2 and "responses.jsonl line 1" in done.stderr.splitlines()[-1]
    assert not (recorded / "x.parquet").exists()


def test_an_item_of_another_benchmark(recorded, cli):
    changed(recorded / RUN / "items.jsonl", "task", "mmlu")
    for name in ("lm_eval", "inspect", "every_eval_ever"):
        done = cli("export", name, "r", "-o", "out")
        assert done.returncode == 2 and "is of mmlu" in done.stderr.splitlines()[-1]


def test_a_manifest_of_brackets_alone(recorded, cli):
    (recorded / RUN / "manifest.json").write_text("[" * 100_000)
    for command in (("export", "inspect", "r", "-o", "out"), ("compare", "r", "base"), REPLAY):
        done = cli(*command)
        assert done.returncode == 2 and "manifest.json" in done.stderr.splitlines()[-1]
