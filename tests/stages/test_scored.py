"""Scores and reports are made again only where something they are made of has changed."""

import json

import msgspec
import pytest

from ochat_eval.records import Score
from ochat_eval.review.marks import Mark, reading_digest
from ochat_eval.run import store
from ochat_eval.stages import rules
from ochat_eval.stages.scored import REPORTED, is_settled
from tests.replays import REPLAY, RUN, sample_answers, write

SCORES, RESPONSES = f"{RUN}/scores.jsonl", f"{RUN}/responses.jsonl"


@pytest.fixture
def again(cli, tmp_path, monkeypatch):
    """A finished run; the call scores it and tells whether its scores stood as they were."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write(tmp_path / "a.jsonl", *sample_answers(i1="The answer is 5."))
    assert cli(*REPLAY).returncode == 0

    def stood(*options):
        done = cli(*options, "stage=score", "run=r")
        assert done.returncode == 0, done.stderr
        assert "gsm8k" in done.stdout, "the tables are shown either way"
        return "scores.jsonl stands: made by these rules of these answers" in done.stderr

    return stood


@pytest.mark.slow
def test_scores_stand_until_what_is_on_disk_is_another(again, tmp_path, monkeypatch):
    scores, responses = tmp_path / SCORES, tmp_path / RESPONSES
    made = scores.read_bytes()
    assert again()
    for changed in (made.replace(b'"value":1.0', b'"value":0.0', 1), made[:-9], None):
        scores.write_bytes(changed) if changed is not None else scores.unlink()
        assert not again()
        assert scores.read_bytes() == made and again()

    whole = responses.read_bytes()
    responses.write_bytes(whole.replace(b"The answer is 5.", b"The answer is 6."))
    assert not again() and scores.read_bytes() != made
    responses.write_bytes(whole)
    assert not again(), "the scores on disk are those of the other answers"

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "of someone else"))
    assert not again(), "a run's folder cannot say of itself that its scores are right"


@pytest.mark.slow
def test_other_rules_score_again_and_so_does_code_of_ones_own(again, tmp_path, monkeypatch):
    (tmp_path / "my_readers.py").write_text("")
    assert not again("--allow", "my_readers")
    with monkeypatch.context() as other:
        other.setattr(rules, "rules_digest", lambda *places, versions: "0" * 64)
        assert not again() and again()
    with monkeypatch.context() as other:
        other.setattr(rules, "_LOADED", 0.0)
        assert not again(), "code on disk that is newer than this process is not what it runs"
    assert again() and not again("sandbox=none")


@pytest.mark.slow
def test_a_report_stands_until_something_that_it_is_made_of_is_another(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write(tmp_path / "a.jsonl", *sample_answers(i1="The answer is 5."))
    folder = tmp_path / RUN

    def stood(*options, stage="stage=score"):
        done = cli(*REPLAY, *options, stage)
        assert done.returncode == 0 and "91.67" in done.stdout, done.stderr
        return "report.html stands: made of these scores" in done.stderr

    def made():
        return {name: (folder / name).read_bytes() for name in REPORTED if (folder / name).exists()}

    assert not stood(stage="stage=all")
    first = made()
    assert {"report.html", "summary.json", "table.md", "why.md"} <= set(first)
    assert stood() and made() == first
    assert not stood(stage="stage=report") and stood()
    for name in first:
        for changed in (first[name] + b" ", None):
            (folder / name).write_bytes(changed) if changed else (folder / name).unlink()
            assert not stood(), name
            assert made()[name] != changed and stood()

    scores = folder / "scores.jsonl"
    whole = scores.read_bytes()
    scores.write_bytes(whole[:-9])
    assert stood() and scores.read_bytes() == whole, "the scores are made anew, and are the same"
    response = json.loads((folder / "responses.jsonl").read_text().splitlines()[1])
    score = next(store.read_records(scores, Score, None))
    mark = Mark(response["id"], 0, 0, "robust", "wrong", reading_digest(response["text"], score))
    (folder / "review.jsonl").write_bytes(msgspec.json.encode(mark) + b"\n")
    assert not stood() and "review" in (folder / "summary.json").read_text(), "a new mark"
    assert stood()
    assert not stood("model.published='OpenChat-3.5'"), "another published row"
    with monkeypatch.context() as other:
        other.setattr(rules, "rules_digest", lambda *files, versions: "0" * 64)
        assert not stood(), "another release"


@pytest.mark.parametrize(
    ("detail", "settled"),
    [
        (None, True), ({"span": [1, 2]}, True), ({"reason": "assertion"}, True),
        ({"reason": "wrong answer: plus input 3"}, True), ({"reason": "died: SIGKILL"}, False),
        ({"reason": "exception: NameError: x"}, True), ({"reason": "time limit (10 s)"}, False),
        ({"reason": "exception: BlockingIOError: [Errno 11] no process"}, False),
        ({"reason": "exception: RuntimeError: can't start new thread"}, False),
    ],
)  # fmt: skip
def test_what_the_machine_may_have_failed_is_tried_again(detail, settled):
    assert is_settled(Score("a", 0, "robust", "x", True, 0.0, detail)) is settled
