"""What goes to a model's page on the hub, read back with the hub's own classes."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from huggingface_hub import ModelCard, parse_eval_result_entries

from ochat_eval.benchmark.selection import Selection
from ochat_eval.config.load import job
from tests import replays
from tests.conftest import door


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """A folder with the run `r` of GSM8K's sample items; one answer is unmatched, one wrong."""
    folder = tmp_path_factory.mktemp("cards")
    answers = replays.sample_answers(i1="no idea", i2="The answer is 7")
    replays.write(folder / "a.jsonl", *answers, {"id": "truthfulqa/mc/0", "text": "A"})
    asked = ("task=[gsm8k,truthfulqa]", *replays.REPLAY[1:])
    assert door(*asked, folder=folder).returncode == 0
    return folder


def test_a_model_card_has_every_figure_with_its_mark(sample):
    done = door("export", "model_index", "r", "-o", "README.md", folder=sample)
    said, name = done.stdout.splitlines()
    assert said == "2 under our own name, as no data set of the hub: gsm8k; truthfulqa"
    assert name == "README.md"
    data = ModelCard.load(sample / "README.md").data
    summary = json.loads((sample / replays.RUN / "summary.json").read_text())
    assert data.model_name == summary["model"]
    results = [one for one in data.eval_results if one.dataset_name == "gsm8k"]
    for one, rule in zip(results, ("published", "robust"), strict=True):
        told = summary["tasks"]["gsm8k"][rule]
        assert one.metric_name == f"accuracy, {rule} answer rule † sample items, not the benchmark"
        assert one.metric_value == round(told["score"], 2)
        assert one.metric_args == {"n": 12, "ci95": [round(end, 2) for end in told["ci95"]]}
        assert (one.dataset_type, one.dataset_revision) == ("gsm8k", None)
    again = door("export", "model_index", "r", "-o", "README.md", folder=sample)
    assert again.returncode == 2 and "README.md is there: name another file" in again.stderr


def test_what_is_not_the_whole_benchmark_goes_to_no_leaderboard(sample):
    done = door("export", "eval_results", "r", "-o", ".eval_results", folder=sample)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "gsm8k (sample items, not the benchmark)" in done.stderr
    assert "the hub has no leaderboard of it: truthfulqa" in done.stderr
    inside = door("export", "model_index", "r", "-o", replays.RUN, folder=sample)
    assert inside.returncode == 2 and "this is a run's folder" in inside.stderr
    assert not (sample / ".eval_results").exists()


def test_a_split_of_the_hub_has_its_name_there(tmp_path):
    rows = tmp_path / "data/hub/me/quiz/default/test-00000-of-00001.parquet"
    rows.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([{"question": "1+1?", "answer": "2"}]), rows)
    replays.write(tmp_path / "a.jsonl", {"id": "file/main/0", "text": "The answer is 2"})
    place = "tasks.file.path='hub:me/quiz@1a2b3c#default/test'"
    asked = ("task=file", place, "engine=replay", "engine.path=a.jsonl", "run=r")
    done = door(*asked, folder=tmp_path, OCHAT_EVAL_DATA=str(tmp_path / "data"))
    assert done.returncode == 0, done.stderr
    done = door("export", "model_index", "r", "-o", "README.md", folder=tmp_path)
    assert done.stdout == "README.md\n", done.stderr
    for one in ModelCard.load(tmp_path / "README.md").data.eval_results:
        assert (one.dataset_type, one.dataset_revision) == ("me/quiz", "1a2b3c")
        assert (one.dataset_config, one.dataset_split) == ("default", "test")
    done = door("export", "eval_results", "r", "-o", "out", folder=tmp_path)
    assert "the hub has no leaderboard of it: file" in done.stderr


@pytest.mark.slow
def test_a_whole_benchmark_is_a_file_a_rule(tmp_path, real_data, monkeypatch):
    whole = ("task=gsm8k", "tasks.gsm8k.num_fewshot=4")
    monkeypatch.setenv("OCHAT_EVAL_DATA", str(real_data))
    [task] = job(whole).tasks.values()
    answers = ({"id": i.id, "text": f"The answer is {i.target[0]}."} for i in Selection(task, 0))
    replays.write(tmp_path / "a.jsonl", *answers)
    replay = (*whole, "engine=replay", "engine.path=a.jsonl", "run=whole")
    assert door(*replay, folder=tmp_path, OCHAT_EVAL_DATA=str(real_data)).returncode == 0
    done = door("export", "eval_results", "whole", "-o", "out", folder=tmp_path)
    assert done.stdout == "out\n"
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "gsm8k_published.yaml", "gsm8k_robust.yaml",
    }  # fmt: skip
    run = tmp_path / "results/runs/whole"
    summary = json.loads((run / "summary.json").read_text())["tasks"]["gsm8k"]
    for rule in ("published", "robust"):
        read = yaml.safe_load((tmp_path / f"out/gsm8k_{rule}.yaml").read_text())
        [entry] = parse_eval_result_entries(read)
        assert entry.value == round(summary[rule]["score"], 2) > 90
        assert (entry.dataset_id, entry.task_id) == ("openai/gsm8k", "gsm8k")
        assert entry.dataset_revision == "cc7b047b6e5bb11b4f1af84efc572db110a51b3c"
        assert entry.date == json.loads((run / "manifest.json").read_text())["created"]
        assert entry.notes == f"{rule} answer rule † not the published setting: num_fewshot=4"
