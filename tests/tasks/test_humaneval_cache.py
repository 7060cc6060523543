"""HumanEval+ keeps what its references return in a cache: one that cannot be written is refused."""

from __future__ import annotations

import pytest

from ochat_eval.benchmark.task import Answered, ScoringOptions
from ochat_eval.records import Response, UserError
from ochat_eval.tasks.humaneval import HumanEval

OPTIONS = ScoringOptions("none", 1)


def task(**options):
    return HumanEval(name="humaneval", data="full", **options)


def test_an_unwritable_cache_is_refused_before_anything_is_generated(
    real_data, tmp_path, monkeypatch
):
    no_folder = tmp_path / "file"
    no_folder.touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(no_folder))
    with pytest.raises(UserError, match=r"cannot write .*ground_truth.*XDG_CACHE_HOME names"):
        task().check_scoring(OPTIONS)
    task(plus=False).check_scoring(OPTIONS)
    task(problems="package").check_scoring(OPTIONS)


def test_the_check_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    task().check_scoring(OPTIONS)
    [folder] = tmp_path.rglob("ground_truth")
    assert list(folder.iterdir()) == []


@pytest.mark.sandbox
def test_references_run_for_what_has_programs_alone(real_data, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    humaneval = task()
    item = list(humaneval.items())[7]
    answered = Answered(item, (Response(item.id, "```python\ndef f(): pass\n```"),))
    for some in ([], [answered]):
        scores = list(humaneval.score(some, ScoringOptions("bwrap", 1)))
        assert [score.value for score in scores] == [0.0, 0.0] * len(some)
        assert len(list(tmp_path.rglob("*.json.gz"))) == len(some)
