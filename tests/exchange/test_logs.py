"""What the logs of other tools have in common: names that lead nowhere else, the answer scored."""

from __future__ import annotations

import json
import shutil

import pytest

from ochat_eval.config.build import published_task
from ochat_eval.exchange.logs import scored
from ochat_eval.records import Item, Response, Score
from tests import replays
from tests.conftest import door


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    replays.write(folder / "a.jsonl", *replays.sample_answers())
    assert door(*replays.REPLAY, folder=folder).returncode == 0
    return folder / replays.RUN


@pytest.mark.parametrize("format_", ["lm_eval", "every_eval_ever", "inspect"])
@pytest.mark.parametrize("change", [{"model": ".."}, {"weights": "hub:../../..@x"}, {"model": "/"}])
def test_a_runs_folder_cannot_name_a_place_to_write_to(run, tmp_path, format_, change):
    copy = tmp_path / "deep/r"
    shutil.copytree(run, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["identity"] |= change
    (copy / "manifest.json").write_text(json.dumps(manifest))
    before = set(tmp_path.rglob("*"))
    done = door("export", format_, str(copy), "-o", "out", folder=tmp_path / "deep")
    assert done.returncode == 0, done.stderr
    written = set(tmp_path.rglob("*")) - before
    assert written and all(path.is_relative_to(tmp_path / "deep/out") for path in written)


@pytest.mark.parametrize(
    ("format_", "change", "complaint"),
    [
        ("inspect", {"created": "yesterday"}, "damaged: created"),
        ("model_index", {"sources": []}, "damaged: sources"),
    ],
)
def test_a_damaged_manifest_is_one_line(run, tmp_path, format_, change, complaint):
    shutil.copytree(run, tmp_path / "r")
    manifest = json.loads((run / "manifest.json").read_text())
    (tmp_path / "r/manifest.json").write_text(json.dumps({**manifest, **change}))
    done = door("export", format_, "./r", "-o", "out", folder=tmp_path)
    assert done.returncode == 2 and complaint in done.stderr and done.stderr.count("\n") == 1


def test_of_a_judged_conversation_the_answer_is_taken_that_was_scored():
    item = Item("mt_bench/w/1", "mt_bench", "w", 1, ("a?", "b?"), ())
    responses = [Response(item.id, text, turn=turn) for turn, text in enumerate(("a!", "b!"))]
    first = Score(item.id, 0, "robust", "7", True, 7.0, turn=0)
    [one] = scored(published_task("mt_bench"), item, responses, [first], "robust")
    assert one.text == "a!"
    [one] = scored(published_task("gsm8k"), item, responses, [first], "robust")
    assert one.text == "b!", "what is not judged turn by turn is one conversation"
