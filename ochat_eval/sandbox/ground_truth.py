"""What reference solutions return: made once in the sandbox, and kept in the user's cache."""

from __future__ import annotations

import contextlib
import functools
import gzip
import hashlib
import importlib.metadata
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ochat_eval.data.source import cache_root
from ochat_eval.data.unpack import gunzip
from ochat_eval.records import UserError
from ochat_eval.sandbox.calls import Call
from ochat_eval.sandbox.checks import Check, check_available, run_check
from ochat_eval.sandbox.compared import (
    KINDS,
    LIMITS,
    Found,
    IoProblem,
    Kind,
    compare,
    set_up,
)
from ochat_eval.sandbox.plain import decode, digest, encode
from ochat_eval.sandbox.program import Program
from ochat_eval.sandbox.workers import Killed, run_jobs
from ochat_eval.terminal.say import bar

_RECIPE = 3  # of the ground truth; another one, and the files made before are not used
_KEPT_WHOLE = 1000  # characters of an answer's JSON form; HumanEval+ has answers of 12 MB


@dataclass(frozen=True)
class Truth:
    """What the reference returned for one input.

    Attributes:
        answer: as `plain.encode` has it, or in hex the digest of a large one.
        digested: which of the two.
        seconds: processor time it took.
    """

    answer: Any
    digested: bool
    seconds: float


@dataclass(frozen=True)
class Truths:
    """What the reference returned.

    Attributes:
        answers: by kind, for each input.
        own: by kind, EvalPlus's verdict on these very answers. If they pass, so do the same
            answers of a program, as most are: they need not be compared again.
    """

    answers: dict[Kind, list[Truth]]
    own: dict[Kind, Found]


def ground_truth(problems: Sequence[IoProblem], *, sandbox: str, workers: int) -> list[Truths]:
    """What the reference solutions return, in the order of `problems`.

    Computed once in the sandbox, each then kept in a file of the user's cache the moment that it
    is there; one that is damaged is made anew. Versions of a benchmark share what is the same.

    Raises:
        UserError: the sandbox does not work here, or a file cannot be written.
        RuntimeError: a reference solution failed, or fails the benchmark's own test.
    """
    found: dict[int, Truths] = {}
    files = [truths_file(problem) for problem in problems]
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


def check_ground_truth(problems: Callable[[], Iterable[IoProblem]]) -> None:
    """Sees that what `ground_truth` computes can be kept, before there is anything to compute.

    Args:
        problems: reads them; called only where nothing can be written.

    Raises:
        UserError: a file is not there yet, and none can be written.
    """
    try:
        with _cached(cache_root() / "ground_truth" / "any") as part:
            part.touch()
            part.unlink()
    except UserError:
        if not all(truths_file(problem).exists() for problem in problems()):
            raise


def truths_file(problem: IoProblem) -> Path:
    """Named by all that the answers depend on."""
    inputs = {kind: encode(rows, strict=True) for kind, rows in problem.inputs.items()}
    made_by = [_RECIPE, importlib.metadata.version("evalplus")]
    whole = json.dumps([made_by, {**vars(problem), "inputs": inputs}], sort_keys=True)
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
    row = {
        kind: [truths.own[kind], [[t.answer, t.digested, t.seconds] for t in truths.answers[kind]]]
        for kind in KINDS
    }
    body = json.dumps(row, separators=(",", ":")).encode()
    return gzip.compress(hashlib.sha256(body).hexdigest().encode() + b"\n" + body, mtime=0)


def _unpack(content: bytes) -> Truths:
    """What `_pack` wrote. Raises ValueError."""
    head, _, body = gunzip(content).partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != head:
        raise ValueError("damaged")
    row = json.loads(body)
    own = {kind: (reason, uncounted) for kind, ((reason, uncounted), _) in row.items()}
    return Truths({kind: [Truth(*one) for one in found] for kind, (_, found) in row.items()}, own)


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
        setup=set_up,
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
    answers = {kind: _answer_kind(problem, kind, sandbox) for kind in KINDS}
    values = {kind: [decode(truth.answer) for truth in answers[kind]] for kind in KINDS}
    own = {kind: compare(problem, kind, values[kind], values[kind]) for kind in KINDS}
    return Truths(answers, own)


def _answer_kind(problem: IoProblem, kind: Kind, sandbox: str) -> list[Truth]:
    from evalplus.eval import is_floats

    with Program(problem.reference, sandbox, LIMITS) as program:
        answers = program.calls(problem.entry_point, map(Call, problem.inputs[kind]))
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
