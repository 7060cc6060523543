"""Many calls of a program's function, sent together: each has its own answer and time limit."""

from __future__ import annotations

import time
from typing import Any

import pytest

from ochat_eval.sandbox import program as module
from ochat_eval.sandbox.calls import Call, batches
from ochat_eval.sandbox.limits import Limits
from ochat_eval.sandbox.plain import decode
from ochat_eval.sandbox.program import Program, ProgramFailed
from tests.sandbox.test_sandbox import needs_bwrap

pytestmark = [pytest.mark.sandbox, needs_bwrap]

LONG = Limits(wall_seconds=120, cpu_seconds=60)
COUNTS = """
seen = []
def count(x):
    seen.append(len(x))
    if not x:
        next(iter(()))
    return len(seen), x
"""
BUSY = """
import signal, time
signal.signal(signal.SIGPROF, signal.SIG_IGN)
def busy(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end: pass
    return seconds
"""


def test_answers_come_in_turn_and_end_at_the_first_exception() -> None:
    texts = ["a", "b" * 100_000, *["c"] * 150]
    with Program(COUNTS, "bwrap", LONG) as program:
        answers = program.calls("count", [Call([text]) for text in texts])
        assert [answer for answer, _ in answers] == list(enumerate(texts, 1))
        with pytest.raises(StopIteration):
            program.calls("count", [Call(["d"]), Call([""]), Call(["not called"])])
        assert program.call("count", ["e"]) == (len(texts) + 3, "e")


def test_what_is_sent_together() -> None:
    sizes = [1, 100_000, 1, 1, *[30_000] * 5, *[1] * 100]
    calls = [Call(["x" * size]) for size in sizes]
    sent = [batch for batch, _ in batches("f", calls)]
    assert [call for batch in sent for call in batch] == calls
    assert [len(batch) for batch in sent] == [1, 1, 4, 2, 64, 37]


def test_one_call_among_many_cannot_take_the_time_of_the_others() -> None:
    calls = [Call([3.0 if place == 40 else 0.0], seconds=0.5) for place in range(64)]
    with Program(BUSY, "bwrap", LONG) as program:
        with pytest.raises(ProgramFailed, match="time limit"):
            program.calls("busy", calls)


def test_answers_that_are_read_late_are_not_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine on which the program runs and this process does not."""

    def slow(node: Any) -> Any:
        time.sleep(1)
        return decode(node)

    monkeypatch.setattr(module, "decode", slow)
    with Program(BUSY, "bwrap", LONG) as program:
        answers = program.calls("busy", [Call([0.4], seconds=0.5)] * 8)
    assert [answer for answer, _ in answers] == [0.4] * 8
