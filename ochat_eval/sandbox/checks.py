"""Judging model-written Python without telling it what is expected.

The program runs in a sandbox (`program`). The benchmark's test code runs outside, in
a trusted process; of each of its calls only the arguments go in, and plain data comes out. So a
program cannot read the expected results, and no object it makes can take part in the
comparison: it passes only by returning right values.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ochat_eval.records import UserError
from ochat_eval.sandbox.child import describe
from ochat_eval.sandbox.limits import SANDBOXES, Limits
from ochat_eval.sandbox.program import Program, ProgramFailed
from ochat_eval.sandbox.reasons import exception_reason, one_line
from ochat_eval.sandbox.workers import Killed, Raised, run_jobs

# What the trusted half of a check may use above the program's limits.
_TRUSTED_SECONDS = 5.0
_TRUSTED_BYTES = 1 << 30
C = TypeVar("C")
V = TypeVar("V")


@dataclass(frozen=True)
class Check:
    """A program and the test that it must pass.

    Attributes:
        program: the untrusted source, complete.
        entry_point: the function that is tested.
        setup: trusted source that the test may need (helpers of HumanEval's prompt).
        test: trusted source that defines `check(candidate)`.
    """

    program: str
    entry_point: str
    setup: str
    test: str


@dataclass(frozen=True)
class Verdict:
    """Whether a program passed its test.

    Attributes:
        reason: empty if passed, else one line: `assertion`, `time limit`, `memory limit`,
            `died: SIGSEGV`, `does not compile: …`, `exception: NameError: …`.
    """

    passed: bool
    reason: str


def check_available(sandbox: str) -> None:
    """Start the sandbox once.

    Raises:
        UserError: there is no such sandbox, or it does not work on this machine.
    """
    if sandbox not in SANDBOXES:
        raise UserError(f"sandbox={sandbox}: there is no such sandbox; use bwrap or none")
    try:
        with Program("def double(x): return 2 * x", sandbox, Limits()) as program:
            answer = program.call("double", (21,))
    except (RuntimeError, ProgramFailed) as error:
        raise UserError(
            f"sandbox={sandbox} cannot start a program here ({one_line(str(error))}): let "
            "bubblewrap create namespaces, or accept the risk of sandbox=none"
        ) from error
    if answer != 42:
        raise UserError(f"sandbox={sandbox} gave {answer!r} where 42 was expected")


def run_check(check: Check, sandbox: str, limits: Limits) -> Verdict:
    """Run a program against its test, whose code runs in this process.

    A test that computes with what the program returned can itself take for ever: use
    `run_checks`, where it can be killed.

    Raises:
        UserError: bubblewrap is not installed.
        RuntimeError: the sandbox did not start.
        Exception: whatever the trusted `setup` or `test` raise as they are defined.
    """
    namespace: dict[str, Any] = {"__name__": "check"}
    exec(check.setup, namespace)
    exec(check.test, namespace)
    try:
        with Program(check.program, sandbox, limits) as program:

            def candidate(*args: Any, **kwargs: Any) -> Any:
                return program.call(check.entry_point, args, kwargs)

            namespace[check.entry_point] = candidate
            reason = _judge(namespace["check"], candidate, program)
    except ProgramFailed as error:
        reason = str(error)
    return Verdict(not reason, reason)


def _judge(check: Any, candidate: Any, program: Program) -> str:
    """Why the candidate fails its check, empty if it does not."""
    try:
        check(candidate)
    except Exception as error:  # a test fails by raising, with anything
        if program.failure is None:
            if program.raised is not None and error is program.raised[0]:
                return program.raised[1]
            if isinstance(error, AssertionError):
                return "assertion"
            return exception_reason(*describe(error))
    return program.failure or ""  # also where the test caught it


def run_checks(
    checks: Iterable[Check], *, sandbox: str, workers: int, limits: Limits
) -> Iterator[tuple[int, Verdict]]:
    """Run programs against their tests in `workers` processes.

    Yields:
        (place in `checks`, verdict) in order of completion. Where the trusted process was
        killed, over what the program returned, the program has failed.

    Raises:
        UserError: the sandbox does not work here (`check_available`).
        RuntimeError: something failed that is not the program's fault; no verdict is guessed.
    """
    check_available(sandbox)
    yield from judge_all(
        functools.partial(run_check, sandbox=sandbox, limits=limits),
        checks,
        killed=lambda reason: Verdict(False, reason),
        workers=workers,
        seconds=limits.wall_seconds + _TRUSTED_SECONDS,
        memory_bytes=limits.memory_bytes + _TRUSTED_BYTES,
    )


def judge_all(
    function: Callable[[C], V],
    checks: Iterable[C],
    *,
    killed: Callable[[str], V],
    workers: int,
    seconds: float,
    memory_bytes: int,
    setup: Callable[[], None] | None = None,
) -> Iterator[tuple[int, V]]:
    """Verdicts of the trusted half, each check in a process that can be killed.

    Args:
        killed: the verdict for a process that was killed, from the reason.
        setup: what a process does before its memory is limited; None: `be_killed_first`.

    Yields:
        (place in `checks`, verdict) in order of completion.

    Raises:
        RuntimeError: something failed that is not the program's fault; no verdict is guessed.
    """
    results = run_jobs(
        function,
        checks,
        workers=workers,
        seconds=seconds,
        memory_bytes=memory_bytes,
        setup=setup or be_killed_first,
    )
    with contextlib.closing(results):
        for index, result in results:
            if isinstance(result, Raised):
                raise RuntimeError(f"check {index} could not be run: {result.traceback}")
            yield index, killed(result.reason) if isinstance(result, Killed) else result


def be_killed_first() -> None:
    """If memory runs out all the same, let it be here and not in the engine."""
    with contextlib.suppress(OSError):  # a wish only
        Path("/proc/self/oom_score_adj").write_text("900")
