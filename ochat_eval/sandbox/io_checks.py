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

import contextlib
import functools
import gzip
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ochat_eval.data.source import cache_root
from ochat_eval.data.unpack import gunzip
from ochat_eval.records import UserError
from ochat_eval.sandbox.checks import Check, be_killed_first, check_available, judge_all, run_check
from ochat_eval.sandbox.child import Opaque, decode, digest, encode
from ochat_eval.sandbox.limits import Limits
from ochat_eval.sandbox.program import Program, ProgramFailed, one_line
from ochat_eval.sandbox.workers import Killed, run_jobs
from ochat_eval.terminal.say import bar

LIMITS = Limits(wall_seconds=150.0, cpu_seconds=60, memory_bytes=2 << 30)
"""For all inputs of one kind together; 60 s as EvalPlus. A program that sleeps, and so takes no
processor time, is stopped by the wall time."""
_TRUSTED_SECONDS = 150.0
_TRUSTED_BYTES = 1 << 30
_RECIPE = 2  # of the ground truth; another one, and the files made before are not used
_KEPT_WHOLE = 1000  # characters of an answer's JSON form; HumanEval+ has answers of 12 MB
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


@dataclass(frozen=True)
class Truth:
    """What the reference returned for one input.

    Attributes:
        answer: as `child.encode` has it, or in hex the digest of a large one.
        digested: which of the two.
        seconds: processor time it took.
    """

    answer: Any
    digested: bool
    seconds: float


Truths = dict[Kind, list[Truth]]


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
    seconds = len(KINDS) * (LIMITS.wall_seconds + _TRUSTED_SECONDS)
    yield from judge_all(
        functools.partial(_check, sandbox=sandbox),
        checks,
        killed=lambda reason: IoVerdict(reason, reason),
        workers=workers,
        seconds=seconds,
        memory_bytes=LIMITS.memory_bytes + _TRUSTED_BYTES,
        setup=_set_up,
    )


def _set_up() -> None:
    """Import what the jobs need before a worker's memory is limited."""
    os.environ["EVALPLUS_MAX_MEMORY_BYTES"] = "-1"  # it would raise the worker's own limit
    os.environ.pop("EVALPLUS_TIMEOUT_PER_TASK", None)  # it would compare a string with a number
    import evalplus.eval  # noqa: F401

    be_killed_first()


def _check(check: IoCheck, sandbox: str) -> IoVerdict:
    reason, uncounted = _check_kind(check, "base", sandbox)
    if reason:
        return IoVerdict(reason, reason)
    reason, more = _check_kind(check, "plus", sandbox)
    return IoVerdict("", reason, uncounted or more)


def _check_kind(check: IoCheck, kind: Kind, sandbox: str) -> tuple[str, bool]:
    """Why a program fails the inputs of one kind, and `IoVerdict.uncounted`."""
    from evalplus.config import DEFAULT_GT_TIME_LIMIT_FACTOR, DEFAULT_MIN_TIME_LIMIT

    problem, truths = check.problem, check.truths[kind]
    program = Program(check.program, sandbox, LIMITS)
    answers = []
    try:
        with program:
            for args, truth in zip(problem.inputs[kind], truths, strict=True):
                limit = max(DEFAULT_MIN_TIME_LIMIT, DEFAULT_GT_TIME_LIMIT_FACTOR * truth.seconds)
                answers.append(
                    program.call(problem.entry_point, args, seconds=limit, digested=truth.digested)
                )
    except ProgramFailed as error:
        return str(error), False
    except Exception as error:  # what the program raised
        if program.raised is None or error is not program.raised[0]:
            raise
        return program.raised[1], False
    expected = [decode(truth.answer) for truth in truths]
    try:
        return _compare(problem, kind, answers, expected)
    except MemoryError:
        return "memory limit", False
    except Exception as error:
        _compare(problem, kind, expected, expected)  # raises again where it is not the answers
        return f"the answers cannot be compared: {one_line(repr(error))}", False


def _compare(
    problem: IoProblem, kind: Kind, answers: list[Any], expected: list[Any]
) -> tuple[str, bool]:
    """EvalPlus's verdict on answers, as `_check_kind` gives it."""
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

    forms = json.dumps([encode(answer) for answer in answers])
    status, details = untrusted_check(
        problem.dataset,
        _REPLAY.format(name=problem.entry_point, forms=forms),
        inputs,
        problem.entry_point,
        expected,
        problem.atol,
        ref_time=[0.0] * len(expected),
        fast_check=True,
        min_time_limit=_TRUSTED_SECONDS,
    )
    return status, len(details)


# What EvalPlus is given to execute in place of the program.
_REPLAY = """
import json
from ochat_eval.sandbox.child import decode
answers = map(decode, json.loads({forms!r}))
def {name}(*args):
    return next(answers)
"""


def ground_truth(problems: Sequence[IoProblem], *, sandbox: str, workers: int) -> list[Truths]:
    """What the reference solutions return, in the order of `problems`.

    Computed once in the sandbox, each then kept in a file of the user's cache the moment that it
    is there; one that is damaged is made anew. Versions of a benchmark share what is the same.

    Raises:
        UserError: the sandbox does not work here, or a file cannot be written.
        RuntimeError: a reference solution failed, or fails the benchmark's own test.
    """
    found: dict[int, Truths] = {}
    files = [_truths_file(problem) for problem in problems]
    for index, path in enumerate(files):
        with contextlib.suppress(FileNotFoundError, ValueError):
            found[index] = _unpack(path.read_bytes())
    missing = [index for index in range(len(problems)) if index not in found]
    for place, truths in _compute([problems[i] for i in missing], sandbox, workers):
        path = files[missing[place]]
        with _cached(path) as part:
            part.write_bytes(_pack(truths))
            part.replace(path)
        found[missing[place]] = truths
    return [found[index] for index in range(len(problems))]


def check_ground_truth(problems: Iterable[IoProblem]) -> None:
    """Sees that what `ground_truth` computes can be kept, before there is anything to compute.

    Raises:
        UserError: a file is not there yet, and none can be written.
    """
    try:
        with _cached(cache_root() / "ground_truth" / "any") as part:
            part.touch()
            part.unlink()
    except UserError:
        if not all(_truths_file(problem).exists() for problem in problems):
            raise


def _truths_file(problem: IoProblem) -> Path:
    """Named by all that the answers depend on."""
    inputs = {kind: encode(rows, strict=True) for kind, rows in problem.inputs.items()}
    whole = json.dumps([_RECIPE, asdict(replace(problem, inputs=inputs))], sort_keys=True)
    name = hashlib.sha256(whole.encode()).hexdigest()[:32]
    return cache_root() / "ground_truth" / f"{name}.json.gz"


@contextlib.contextmanager
def _cached(path: Path) -> Iterator[Path]:
    """Where a file of the cache is written before it appears; UserError where it cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield path.with_name(f".{path.name}.{os.getpid()}.part")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error}; XDG_CACHE_HOME names the cache") from error


def _pack(truths: Truths) -> bytes:
    """The content of a ground truth's file: the SHA-256 of the rest, a line end, the rest."""
    row = {kind: [[t.answer, t.digested, t.seconds] for t in truths[kind]] for kind in KINDS}
    body = json.dumps(row, separators=(",", ":")).encode()
    return gzip.compress(hashlib.sha256(body).hexdigest().encode() + b"\n" + body, mtime=0)


def _unpack(content: bytes) -> Truths:
    """What `_pack` wrote. Raises ValueError."""
    head, _, body = gunzip(content).partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != head:
        raise ValueError("damaged")
    row = json.loads(body)
    return {kind: [Truth(*entry) for entry in row[kind]] for kind in KINDS}


def _compute(
    problems: Sequence[IoProblem], sandbox: str, workers: int
) -> Iterator[tuple[int, Truths]]:
    """The place and the answers of each problem, in order of completion."""
    if not problems:
        return
    check_available(sandbox)
    results = run_jobs(
        functools.partial(_answer, sandbox=sandbox),
        problems,
        workers=workers,
        seconds=len(KINDS) * LIMITS.wall_seconds,
        setup=_set_up,
    )
    with contextlib.closing(results), bar("reference answers", "problems", len(problems)) as done:
        for index, result in results:
            if isinstance(result, Killed):
                name = problems[index].entry_point
                raise RuntimeError(f"the reference solution of {name} failed: {result.reason}")
            yield index, result
            done.update()


def _answer(problem: IoProblem, sandbox: str) -> Truths:
    """What the reference solution returns.

    Raises:
        ValueError: it fails the benchmark's own test.
        Exception: what it raised; TypeError where it returns other than plain data.
    """
    check = Check(problem.reference, problem.entry_point, problem.setup, problem.test)
    verdict = run_check(check, sandbox, LIMITS)
    if not verdict.passed:
        raise ValueError(f"its own test: {verdict.reason}")
    return {kind: _answer_kind(problem, kind, sandbox) for kind in KINDS}


def _answer_kind(problem: IoProblem, kind: Kind, sandbox: str) -> list[Truth]:
    from evalplus.eval import is_floats

    answers = []
    with Program(problem.reference, sandbox, LIMITS) as program:
        for args in problem.inputs[kind]:
            answers.append((program.call(problem.entry_point, args), program.seconds))
    # EvalPlus compares exactly, so that a digest will do, unless there is a tolerance; one
    # answer of floats makes it allow all that follow a tolerance too.
    exact = problem.atol == 0 and not any(is_floats(answer) for answer, _ in answers)
    truths = []
    for answer, seconds in answers:
        form = encode(answer, strict=True)
        large = exact and _is_large(form)
        truths.append(Truth(digest(answer) if large else form, large, round(seconds, 3)))
    return truths


def _is_large(form: Any) -> bool:
    """Whether the JSON form of an answer has over `_KEPT_WHOLE` characters."""
    if isinstance(form, list) and len(form) > _KEPT_WHOLE // 2:
        return True  # a comma and a character each: no need to write millions of them
    return len(json.dumps(form)) > _KEPT_WHOLE
