"""Problems judged by inputs, and answers compared with expected ones: by EvalPlus's own code."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ochat_eval.sandbox.checks import be_killed_first
from ochat_eval.sandbox.limits import Limits
from ochat_eval.sandbox.plain import Opaque, encode

LIMITS = Limits(wall_seconds=150.0, cpu_seconds=60, memory_bytes=2 << 30)
"""For all inputs of one kind together; 60 s as EvalPlus. A program that sleeps, and so takes no
processor time, is stopped by the wall time."""
TRUSTED_SECONDS = 150.0
"""For comparing the answers to all inputs of one kind."""
Kind = str
"""`base` or `plus`: inputs of one kind run in one process, one after another."""
KINDS: tuple[Kind, ...] = ("base", "plus")


@dataclass(frozen=True)
class IoProblem:
    """A function to be written, and what it is tried with.

    Attributes:
        dataset: EvalPlus's name of the data set, which selects its special oracles.
        entry_point: the function's name.
        reference: the source of the reference solution, complete.
        inputs: by kind, the argument lists; plain data.
        setup, test: the benchmark's own test, as in `sandbox.Check`; the reference must pass it.
        atol: absolute tolerance; 0 for exact, save that EvalPlus allows floats 1e-6.
    """

    dataset: str
    entry_point: str
    reference: str
    setup: str
    test: str
    inputs: dict[Kind, list[list[Any]]]
    atol: float


Found = tuple[str, bool]
"""Of answers to the inputs of one kind: why they fail, empty if they pass, and
`IoVerdict.uncounted`."""


def set_up() -> None:
    """Import what the jobs need before a worker's memory is limited."""
    os.environ["EVALPLUS_MAX_MEMORY_BYTES"] = "-1"  # it would raise the worker's own limit
    os.environ.pop("EVALPLUS_TIMEOUT_PER_TASK", None)  # it would compare a string with a number
    import evalplus.eval  # noqa: F401

    be_killed_first()


def written(forms: Iterable[Any]) -> str:
    """Answers' forms (`plain.encode`) as one text."""
    return json.dumps(list(forms))


def compare(problem: IoProblem, kind: Kind, answers: list[Any], expected: list[Any]) -> Found:
    """EvalPlus's verdict on answers."""
    inputs = problem.inputs[kind]
    status, places = _untrusted_check(problem, inputs, answers, expected)
    if status == "pass":
        return "", False
    if places:  # it stops at the first wrong answer, whose place is the last
        return f"wrong answer: {kind} input {places - 1}", False
    # Either none was counted, or nothing could be compared. One more answer, a wrong one, tells:
    # it alone is counted.
    more = [*inputs, inputs[-1]], [*answers, Opaque("wrong")], [*expected, expected[-1]]
    if status == "fail" and _untrusted_check(problem, *more) == ("fail", 1):
        return "", True
    return "the answers could not be compared", False


def _untrusted_check(
    problem: IoProblem, inputs: list[list[Any]], answers: list[Any], expected: list[Any]
) -> tuple[str, int]:
    """EvalPlus's status (`pass`, `fail`, `timeout`), and how many inputs it counted."""
    from evalplus.eval import untrusted_check

    forms = written(map(encode, answers))
    status, details = untrusted_check(
        problem.dataset,
        _REPLAY.format(name=problem.entry_point, forms=forms),
        inputs,
        problem.entry_point,
        expected,
        problem.atol,
        ref_time=[0.0] * len(expected),
        fast_check=True,
        min_time_limit=TRUSTED_SECONDS,
    )
    return status, len(details)


# What EvalPlus is given to execute in place of the program.
_REPLAY = """
import json
from ochat_eval.sandbox.plain import decode
answers = map(decode, json.loads({forms!r}))
def {name}(*args):
    return next(answers)
"""
