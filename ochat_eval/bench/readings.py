"""How often the robust rules misread: answers of which it is known what a careful person reads."""

from __future__ import annotations

import ast
import textwrap
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec

from ochat_eval import answers, stats
from ochat_eval.answers.math import verify, verify_plainly
from ochat_eval.bench.costs import Table
from ochat_eval.records import Reading, UserError
from ochat_eval.run.store import read_lines
from ochat_eval.sandbox.workers import Killed, run_jobs
from ochat_eval.terminal.grid import interval
from ochat_eval.terminal.words import counted

Outcome = Literal["right", "misread", "unread", "guessed"]
OUTCOMES: tuple[Outcome, ...] = ("right", "misread", "unread", "guessed")
"""`right`: what a person reads (nothing, where nothing is stated); `misread`: something else;
`unread`: nothing, though an answer is stated; `guessed`: something, though none is."""
_SECONDS, _MEMORY_BYTES = 10.0, 2 << 30  # of a process that grades MATH, for one answer
_CAUSE = 32  # characters of a cause that a terminal has room for


class Verdict(msgspec.Struct, forbid_unknown_fields=True):
    """What is known of a MATH answer: whether it is the gold one."""

    right: bool


class Case(msgspec.Struct):
    """A line of the file: an answer, and what a careful person reads in it.

    Attributes:
        kind: which rule reads it.
        text: the answer.
        expected: what a person reads; None: nothing is stated. `math`: whether it is right, as
            `{"right": true}`. `code`: the function's source, or `compiles` for any program that
            does and has the function.
        cause: what the case is about; cases of a cause are counted together.
        labels: of a choice: `["A", "B"]` or `["(A)", "(B)"]`.
        options: the words that a text may be; empty for any text.
        gold: the right answer of a MATH problem, in LaTeX.
        prompt, entry_point: the code that an answer goes on with, and the function asked for.
        debatable: persons differ on it; it is not counted.
    """

    kind: Literal["choice", "number", "text", "math", "code"]
    text: str
    expected: str | Verdict | None
    cause: str = "no cause named"
    labels: list[str] = []
    options: list[str] = []
    gold: str | None = None
    prompt: str = ""
    entry_point: str | None = None
    debatable: bool = False


@dataclass(frozen=True)
class _Read:
    """A case, where it stands, and what came of it."""

    case: Case
    where: str
    outcome: Outcome


def readings(paths: Sequence[str]) -> Table:
    """Rates by kind and by cause, of the answers in files or in folders of `.jsonl` files.

    Raises:
        UserError: no path, no file, or a line that is no such case; names the line.
    """
    if not paths:
        raise UserError("readings: name a file or a folder of answers, as in bench readings FILE")
    files = [file for path in paths for file in _files(Path(path))]
    read = list(outcomes(files))
    if not read:
        raise UserError(f"{', '.join(paths)}: no answer that is beyond debate")
    by_kind: defaultdict[str, list[_Read]] = defaultdict(list)
    for one in read:
        by_kind[one.case.kind].append(one)
    rows = []
    for kind, of_kind in sorted(by_kind.items()):
        by_cause: defaultdict[str, list[_Read]] = defaultdict(list)
        for one in of_kind:
            by_cause[one.case.cause.removeprefix(f"{kind}: ")].append(one)
        rows.append([kind, *_cells(of_kind)])
        for cause, of_cause in by_cause.items():
            rows.append([f"- {textwrap.shorten(cause, _CAUSE)}", *_cells(of_cause)])
    errors = sum(one.outcome in ("misread", "guessed") for one in read)
    low, high = (100 * end for end in stats.wilson(errors, len(read)))
    title = (
        f"{counted(len(read), 'answer')} by the robust rules: {100 * errors / len(read):.2f} % "
        f"misread or guessed (95 %: {interval(low, high, '.2f')})"
    )
    return Table(title, ("kind, and cause", "n", *OUTCOMES, "line"), rows)


def _cells(read: Sequence[_Read]) -> list[str]:
    """How many there are, the rates in percent, and where the first stands that is not right."""
    found = Counter(one.outcome for one in read)
    rates = [f"{100 * found[outcome] / len(read):.1f}" for outcome in OUTCOMES]
    first = next((one.where for one in read if one.outcome != "right"), "")
    return [f"{len(read):,}", *rates, first]


def outcomes(files: Sequence[Path]) -> Iterator[_Read]:
    """What comes of each case; MATH that a library has to grade is read last."""
    graded: list[tuple[Case, str]] = []
    for file in files:
        for number, value in read_lines(file):
            where = f"{file.name}:{number}" if len(files) > 1 else str(number)
            case = case_of(value, f"{file} line {number}")
            if case.debatable:
                continue
            if case.kind == "math":
                graded.append((case, where))
            else:
                yield _Read(case, where, outcome(case, reading_of(case)))
    results = run_jobs(
        _verified, ((case.text, case.gold or "") for case, _ in graded),
        workers=1, seconds=_SECONDS, memory_bytes=_MEMORY_BYTES, here=_plainly_verified,
    )  # fmt: skip
    for place, verdict in results:
        case, where = graded[place]
        right, reading = (
            (False, Reading(None, matched=False)) if isinstance(verdict, Killed) else verdict
        )
        yield _Read(case, where, outcome(case, reading, right))


def case_of(value: Mapping[str, Any], where: str) -> Case:
    """A line's case.

    Raises:
        UserError: a field is missing or is not what it must be.
    """
    try:
        case = msgspec.convert(value, Case)
        needed = {"choice": case.labels, "math": case.gold, "code": case.entry_point}
        if not needed.get(case.kind, True):
            name = {"choice": "labels", "math": "gold", "code": "entry_point"}[case.kind]
            raise ValueError(f"a {case.kind} needs {name!r}")
        wanted = Verdict if case.kind == "math" else str
        if not isinstance(case.expected, wanted | None):
            raise ValueError(f"of {case.kind}, 'expected' is no {wanted.__name__.lower()}")
    except ValueError as e:
        raise UserError(f"{where} is no answer with what is read in it: {e}") from e
    return case


def reading_of(case: Case) -> Reading:
    """What the robust rule of its kind reads in a case that is not MATH."""
    rules: dict[str, Callable[[str], Reading]] = {
        "choice": partial(answers.robust_choice, labels=case.labels),
        "text": partial(answers.robust_text, options=case.options),
        "number": answers.robust_number,
        "code": partial(
            answers.robust_code, prompt=case.prompt, entry_point=case.entry_point or ""
        ),
    }
    return rules[case.kind](case.text)


def outcome(case: Case, reading: Reading, right: bool = False) -> Outcome:
    """What a reading is worth.

    Args:
        right: for MATH, whether the rule takes the answer for the gold one.
    """
    found = reading.answer if reading.matched else None
    if case.expected is None:
        return "right" if found is None else "guessed"
    if isinstance(case.expected, Verdict):
        # A wrong answer that is not read gets its right verdict, too.
        good = right is case.expected.right
    elif found is None:
        good = False
    else:
        good = _same(case, found, case.expected)
    return "right" if good else "unread" if found is None else "misread"


def _same(case: Case, found: str, expected: str) -> bool:
    if case.kind == "number":
        return answers.same_number(found, expected)
    if case.kind == "text":
        return answers.same_text(found, expected)
    if case.kind == "code":
        program = _function(found, case.entry_point or "")
        return program is not None and (
            expected == "compiles" or program == _function(expected, case.entry_point or "")
        )
    return found == expected


def _function(source: str, name: str) -> str | None:
    """The last function of that name in a program, without its docstring and its places; None
    where there is none."""
    with suppress(SyntaxError, ValueError, RecursionError, MemoryError):
        for node in reversed(ast.parse(source).body):
            if isinstance(node, ast.FunctionDef) and node.name == name:
                described = ast.get_docstring(node) is not None
                body = node.body[1:] if described else node.body
                return ast.dump(node.args) + "".join(map(ast.dump, body))
    return None


def _verified(job: tuple[str, str]) -> tuple[bool, Reading]:
    return verify(*job)


def _plainly_verified(job: tuple[str, str]) -> tuple[bool, Reading] | None:
    return verify_plainly(*job)


def _files(path: Path) -> list[Path]:
    """The file, or the files of a folder.

    Raises:
        UserError: there is none.
    """
    found = sorted(path.glob("*.jsonl")) if path.is_dir() else [path] if path.is_file() else []
    if not found:
        raise UserError(f"{path}: there is no such file, or no .jsonl file in it")
    return found
