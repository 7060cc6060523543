"""Programs that answer a user's own questions, judged by the tests of the row.

The rows may be anybody's, so their tests are not trusted: they run in the sandbox, with the
program. A program that means to can therefore cheat its test, as with most harnesses; it can do
nothing else.
"""

from __future__ import annotations

import ast
import secrets
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ochat_eval.answers import code_block, robust_code
from ochat_eval.benchmark.task import Answered, ScoringOptions, score_of
from ochat_eval.records import RULES, Reading, Response, Rule, Score, UserError
from ochat_eval.sandbox.checks import Check, run_checks
from ochat_eval.sandbox.limits import Limits
from ochat_eval.terminal.words import one_line

_READERS = {"published": code_block, "robust": robust_code}
_CHECK = "def check(candidate):\n    assert candidate() == {passed!r}\n"


def tests_of(fields: Mapping[str, Any], where: str) -> tuple[str, str]:
    """The function that a row wants, and the code that tests it.

    Args:
        fields: `entry_point`, a function's name; `tests`, code with asserts, or a list of it. Where
            it defines `check`, this is called with the function, as in HumanEval.
        where: the row's place, for messages.

    Raises:
        UserError: it lacks one of them, or the tests are no Python.
    """
    name, given = fields.get("entry_point"), fields.get("tests")
    if not isinstance(name, str) or not name.isidentifier():
        raise UserError(f"{where}: answer=code needs a field entry_point, the function's name")
    every = given if isinstance(given, list) else [given]
    lines = [line for line in every if isinstance(line, str) and line.strip()]
    if not lines or len(lines) < len(every):
        raise UserError(f"{where}: answer=code needs a field tests: code with asserts, or a list")
    tests = "\n".join(lines)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd escapes in them are not our news
            ast.parse(tests)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UserError(f"{where}: its tests are no Python: {one_line(error)}") from error
    called = f"\ncheck({name})" if "def check(" in tests else ""
    return name, tests + called


def code_scores(answered: Iterable[Answered], options: ScoringOptions) -> Iterator[Score]:
    """Both rules' verdicts: the program that each reads is run with the tests, each only once.

    Args:
        answered: the target of each item is what `tests_of` gives.
    """
    wanted: dict[tuple[str, str], list[tuple[Response, Rule, Reading]]] = {}
    for one in answered:
        entry_point, tests = one.item.target
        for response in one.responses:
            for rule in RULES:
                reading = _READERS[rule](response.text, "", entry_point)
                if reading.answer is None:
                    yield score_of(response, rule, reading, 0).with_detail(reason="no code")
                    continue
                program = reading.answer, tests
                wanted.setdefault(program, []).append((response, rule, reading))
    programs = list(wanted)
    checks = [_check(program, tests) for program, tests in programs]
    for place, verdict in run_checks(
        checks, sandbox=options.sandbox, workers=options.workers, limits=Limits()
    ):
        for response, rule, reading in wanted[programs[place]]:
            score = score_of(response, rule, reading, verdict.passed)
            yield score.with_detail(reason=verdict.reason) if verdict.reason else score


def _check(program: str, tests: str) -> Check:
    """The program with a function behind it that runs the tests and says a word of ours."""
    word, name = secrets.token_hex(8), "run_the_tests_of_the_row"
    run = f"\n\ndef {name}():\n    exec({tests!r}, globals())\n    return {word!r}\n"
    return Check(program + run, name, "", _CHECK.format(passed=word))
