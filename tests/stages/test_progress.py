"""What is said while a run answers: by benchmark, time left, and never a scroll of bars."""

from __future__ import annotations

import sys

import pytest

from ochat_eval.engines.engine import Failure, Session
from ochat_eval.records import Response
from ochat_eval.stages.cost import cost_line
from ochat_eval.stages.progress import Meter
from ochat_eval.terminal.say import Lines, bar
from ochat_eval.terminal.words import duration


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Started(Session):
    window = 8
    writing = 0

    def unfinished_tokens(self) -> int:
        return self.writing

    def state(self) -> list[str]:
        return ["2 of 2 replicas"]


def answer(task: str, number: int, tokens: int | None = 100) -> Response:
    return Response(f"{task}/x/{number}", "yes", 0, 0, "stop", 9, tokens)


def test_a_line_every_ten_seconds_where_nothing_moves_and_one_at_the_end(capsys, monkeypatch):
    clock = Clock()
    monkeypatch.setattr("ochat_eval.terminal.say.time.monotonic", clock)
    session = Started()
    with Meter("generate", {"a": 30, "b": 10}, lambda: {"a": 50, "b": 300}, clock) as meter:
        for second in range(1, 26):
            clock.now = second
            meter.add([answer("a", second)], session)
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(";")[0] for line in said] == [
        f"generate: {n} of 40 answers" for n in (10, 20, 25)
    ]
    # 20 answers of 100 tokens count as much as an earlier run's mean of 50: 75 a piece.
    left = (10 * 75 + 10 * 300) / 100
    assert said[1] == (
        f"generate: 20 of 40 answers; 100 tokens/s, {duration(left)} left; a 20/30; 2 of 2 replicas"
    )


def test_quick_work_says_nothing(capsys):
    with Meter("generate", {"a": 1}) as meter:
        meter.add([answer("a", 0)], Started())
    with bar("score", "scores", 10) as progress:
        progress.update(10)
    assert isinstance(progress, Lines) and capsys.readouterr().err == ""


def test_failures_what_is_being_written_and_many_benchmarks():
    clock, session = Clock(), Started()
    meter = Meter("generate", {f"t{i}": 2 for i in range(6)}, clock=clock)
    done = [answer(f"t{i}", 0) for i in range(5)]
    meter.add([*done, answer("t5", 0), Failure("t5/x/1", 0, 0, "no"), Failure("t1/x/1", 0, 0, "no"),
               answer("t3", 1)], session)  # fmt: skip
    clock.now, session.writing = 10, 300
    assert meter.state(session) == (
        "2 failed, 100 tokens/s, 0 s left; t0 1/2; t2 1/2; t4 1/2; 3 of 6 benchmarks done; "
        "2 of 2 replicas"
    ).replace(", 0 s left", "")


def test_a_server_that_counts_no_tokens_is_reckoned_by_answers():
    clock, session = Clock(), Started()
    meter = Meter("judge", {"mt_bench": 100}, clock=clock)
    clock.now = 30
    meter.add([answer("mt_bench", n, None) for n in range(25)], session)
    assert meter.state(session) == "90 s left; 2 of 2 replicas"


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (99, "99 s"), (754, "13 min"), (36e3, "10.0 hours")]
)
def test_a_time_in_its_unit(seconds, said):
    assert duration(seconds) == said


SUMMARY = {"tasks": {"a": {"tokens": {"answers": 2, "prompt": 1500, "completion": 90}},
                     "b": {"tokens": {"answers": 1, "prompt": 0, "completion": 10}}}}  # fmt: skip
NOTHING = {"tasks": {"a": {"tokens": {"answers": 0, "prompt": 0, "completion": 0}}}}


@pytest.mark.parametrize(
    ("summary", "times", "said"),
    [
        (NOTHING, [{"stage": "generate", "seconds": 5}], ""),
        (SUMMARY, [{"stage": "score", "seconds": 5}], ""),
        (SUMMARY, [{"stage": "start", "seconds": 60}, {"stage": "generate", "seconds": 30},
                   {"stage": "score", "seconds": 500}],
         "cost: 1,500 tokens of prompts and 100 of answers, 90 s of the engine"),
        # A start that came to nothing, then one on two GPUs, and a second go on four.
        (SUMMARY, [{"stage": "start", "seconds": 900}, {"stage": "generate", "seconds": 0},
                   {"stage": "start", "seconds": 600}, {"stage": "generate", "seconds": 1200, "gpus": 2},
                   {"stage": "start", "seconds": 600}, {"stage": "generate", "seconds": 3000, "gpus": 4}],
         "cost: 1,500 tokens of prompts and 100 of answers, 1.8 hours of the engine, 5 GPU hours"),
        # Of three runs on one engine each has a third.
        (SUMMARY, [{"stage": "start", "seconds": 3600, "shared": 3},
                   {"stage": "generate", "seconds": 7200, "gpus": 2, "shared": 3}],
         "cost: 1,500 tokens of prompts and 100 of answers, 60 min of the engine, 2 GPU hours"),
    ],
)  # fmt: skip
def test_what_a_run_cost(summary, times, said):
    assert cost_line(summary, times) == said


def test_at_a_terminal_one_bar_moves(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Meter("generate", {"a": 2, "b": 2}) as meter:
        meter.add([answer("a", 0), answer("a", 1)], Started())
    shown = capsys.readouterr().err
    assert "\n" not in shown.rstrip("\n")
    last = shown.rstrip("\n").rpartition("\r")[2]
    assert last.startswith("generate:  50%|") and "2/4" in last
    assert "1 of 2 benchmarks done; 2 of 2 replicas" in last
