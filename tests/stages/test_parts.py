"""Answers that are read in worker processes, a part at a time."""

import json
import os
import signal
from dataclasses import dataclass, replace

import pytest

from ochat_eval import pipeline
from ochat_eval.bench.harness import workload
from ochat_eval.config.load import job
from ochat_eval.records import RULES, UserError
from ochat_eval.stages import parts
from ochat_eval.stages.parts import read_in_parts
from ochat_eval.stages.plan import plan
from ochat_eval.tasks.gsm8k import Gsm8k
from tests.replays import REPLAY, RUN, sample_answers, write

pytestmark = pytest.mark.slow  # each starts worker processes


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def refuse():
    raise UserError("the rule has no pattern; name one")


BAD = {"die": die, "refuse": refuse}


@dataclass(frozen=True, kw_only=True)
class Bad(Gsm8k):
    """A rule that some answers are too much for."""

    def read(self, item, text, rule):
        return super().read(item, text, rule) if text.startswith("The answer") else BAD[text]()


@pytest.fixture(autouse=True)
def small_parts(monkeypatch, tmp_path):
    """A few items are many, and make several parts."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(parts, "MANY", 2)
    monkeypatch.setattr(parts, "_PART_BYTES", 900)


@pytest.fixture
def read(monkeypatch):
    """The parts that workers have read, as they are asked for."""
    parts_read, run_jobs = [], parts.run_jobs

    def noting(function, jobs, **options):
        return run_jobs(function, (parts_read.append(job) or job for job in jobs), **options)

    monkeypatch.setattr(parts, "run_jobs", noting)
    return parts_read


def test_the_scores_and_their_order_are_those_of_one_process(cli, tmp_path, monkeypatch, read):
    monkeypatch.delenv("OCHAT_EVAL_DATA", raising=False)
    names = ("agieval", "bbh_mc", "gsm8k", "truthfulqa")
    asked = workload(names, tmp_path).command[3:]
    scores = []
    for workers in (1, 2):
        done = cli(*asked, f"run=w{workers}", f"workers={workers}")
        assert done.returncode == 0, done.stderr
        scores.append((tmp_path / f"results/runs/w{workers}/scores.jsonl").read_bytes())
        assert (len(read) > 2 * len(names)) is (workers > 1)
    assert scores[0] and scores[0] == scores[1]


def test_items_that_do_not_count_are_not_read(tmp_path, monkeypatch, read):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.jsonl", *sample_answers())
    pipeline.execute(job([*REPLAY, "stage=generate"]))
    planned = plan(job([*REPLAY]))
    seen = {"gsm8k/main/1", "gsm8k/main/6"}
    stopped = replace(planned, seen={"gsm8k": seen})
    found = list(read_in_parts(stopped, ["gsm8k"], tmp_path / RUN / "responses.jsonl", 2))
    planned.run.close()
    lines = [json.loads(line) for some in found for line in some.lines.splitlines()]
    assert [line["id"] for line in lines] == [one for one in sorted(seen) for _ in RULES]
    assert sum(some.number for some in found) == len(lines) and len(read) == len(found) > 2


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        ("die", UserError, "gave none: died: SIGKILL; run the same command again, with workers=1"),
        ("refuse", UserError, "^the rule has no pattern; name one$"),
        ("raise", RuntimeError, r"(?s)a rule failed.*BAD\[text\]\(\).*KeyError: 'raise'"),
    ],
)
def test_what_a_worker_does_not_read_ends_the_scoring(tmp_path, monkeypatch, answer, error, said):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.jsonl", *sample_answers(i7=answer))
    asked = job([*REPLAY, "workers=2"])
    task = Bad(name="gsm8k", data="sample")
    with pytest.raises(error, match=said):
        pipeline.execute(replace(asked, tasks={"gsm8k": task}))
    assert not (tmp_path / RUN / "scores.jsonl").exists()
