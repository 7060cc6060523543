"""Judging model-written Python by inputs alone, as EvalPlus does (Liu et al. 2023).

What a function must return is what a reference solution returns. Both run in the sandbox
(`program`) and are only called from here; `evalplus.eval.untrusted_check` then compares,
in a process of ours, what came back: it is given a function that returns the recorded answers.
So the rules of the comparison (tolerances, special oracles) are EvalPlus's own code, and the
untrusted program is never in a process that holds an expected answer.

Time limits are EvalPlus's, in processor time instead of wall time: a busy machine changes no
verdict.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ochat_eval.sandbox.calls import Call
from ochat_eval.sandbox.checks import check_available, judge_all
from ochat_eval.sandbox.compared import (
    KINDS,
    LIMITS,
    TRUSTED_SECONDS,
    Found,
    IoProblem,
    Kind,
    compare,
    set_up,
    written,
)
from ochat_eval.sandbox.ground_truth import Truths
from ochat_eval.sandbox.plain import decode, encode
from ochat_eval.sandbox.program import Program, ProgramFailed
from ochat_eval.sandbox.reasons import one_line

_TRUSTED_BYTES = 1 << 30


@dataclass(frozen=True)
class IoCheck:
    """A program, complete, and the problem that it should solve."""

    program: str
    problem: IoProblem
    truths: Truths


@dataclass(frozen=True)
class IoVerdict:
    """What came of a program.

    Attributes:
        base: why it fails the base inputs, in one line; empty if it passes.
        plus: the same for base and plus inputs together; None where there are no plus inputs.
        uncounted: EvalPlus found no wrong answer and yet would say that it fails: it does not
            count the inputs that its special oracles accept (version 0.3.1).
    """

    base: str
    plus: str | None
    uncounted: bool = False


def run_io_checks(
    checks: Iterable[IoCheck], *, sandbox: str, workers: int
) -> Iterator[tuple[int, IoVerdict]]:
    """Run programs on the inputs of their problems in `workers` processes.

    Yields:
        (place in `checks`, verdict) in order of completion.

    Raises:
        UserError: the sandbox does not work here.
        RuntimeError: something failed that is not the program's fault; no verdict is guessed.
    """
    check_available(sandbox)
    seconds = len(KINDS) * (LIMITS.wall_seconds + TRUSTED_SECONDS)
    yield from judge_all(
        functools.partial(_check, sandbox=sandbox),
        checks,
        killed=lambda reason: IoVerdict(reason, reason),
        workers=workers,
        seconds=seconds,
        memory_bytes=LIMITS.memory_bytes + _TRUSTED_BYTES,
        setup=set_up,
    )


def _check(check: IoCheck, sandbox: str) -> IoVerdict:
    reason, uncounted = _check_kind(check, "base", sandbox)
    if reason:
        return IoVerdict(reason, reason)
    reason, more = _check_kind(check, "plus", sandbox)
    return IoVerdict("", reason, uncounted or more)


def _check_kind(check: IoCheck, kind: Kind, sandbox: str) -> Found:
    """What comes of a program on the inputs of one kind."""
    from evalplus.config import DEFAULT_GT_TIME_LIMIT_FACTOR, DEFAULT_MIN_TIME_LIMIT

    problem = check.problem
    truths, own = check.truths.answers[kind], check.truths.own[kind]
    limits = [
        max(DEFAULT_MIN_TIME_LIMIT, DEFAULT_GT_TIME_LIMIT_FACTOR * truth.seconds)
        for truth in truths
    ]
    calls = [
        Call(args, seconds=limit, digested=truth.digested)
        for args, limit, truth in zip(problem.inputs[kind], limits, truths, strict=True)
    ]
    program = Program(check.program, sandbox, LIMITS)
    try:
        with program:
            answers = [answer for answer, _ in program.calls(problem.entry_point, calls)]
    except ProgramFailed as error:
        return str(error), False
    except Exception as error:  # what the program raised
        if program.raised is None or error is not program.raised[0]:
            raise
        return program.raised[1], False
    forms = [truth.answer for truth in truths]
    expected = list(map(decode, forms))
    try:
        if not own[0] and written(map(encode, answers)) == written(forms):  # types and all
            return own
        return compare(problem, kind, answers, expected)
    except MemoryError:
        return "memory limit", False
    except Exception as error:
        compare(problem, kind, expected, expected)  # raises again where it is not the answers
        return f"the answers cannot be compared: {one_line(repr(error))}", False
