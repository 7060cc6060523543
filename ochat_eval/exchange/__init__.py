"""Other tools' file formats: recorded answers in, a run's results out.

`ochat-eval import --help`, `ochat-eval export --help`. One module per format, loaded when it is
used, with one or both of

- `read(path: Path, asked: Asked) -> Iterator[Response | Note]`: the responses that a file holds to
  the items that are asked. What it cannot use it says in a `Note`; nothing is dropped in silence.
- `write(run: Recorded, path: Path, rule: Rule | None) -> Iterator[Note]`: writes a run's results,
  atomically, to a file, or to several in a folder; `rule` is the user's choice, None where there
  was none. A figure that is not the benchmark's own goes out with its mark, or not at all.

Both raise UserError for a file that is not of the format, with the number of the line.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from ochat_eval.baseline.runs import read_summary
from ochat_eval.benchmark.task import OnHub, Task
from ochat_eval.config.again import tasks_of
from ochat_eval.config.build import published_task
from ochat_eval.records import Item, Response, Score, UserError
from ochat_eval.report.measures import Measure, marks_of
from ochat_eval.report.tables.cells import MARK
from ochat_eval.run import store
from ochat_eval.run.index import Index
from ochat_eval.run.manifest import read_facts


@dataclass(frozen=True)
class Format:
    """One entry of the registry: the module, the directions that it has, one line about it."""

    module: str
    directions: tuple[str, ...]
    text: str


FORMATS = {
    "evalplus": Format(
        "ochat_eval.exchange.evalplus",
        ("import", "export"),
        "samples.jsonl of EvalPlus: task_id with solution or completion",
    ),
    "openchat": Format(
        "ochat_eval.exchange.openchat",
        ("import",),
        "eval_results JSON of openchat's ochat.evaluation.run_eval",
    ),
    "lm_eval": Format(
        "ochat_eval.exchange.lm_eval",
        ("import", "export"),
        "samples_*.jsonl of lm-eval --log_samples, generated text; exported: a folder",
    ),
    "fastchat_answer": Format(
        "ochat_eval.exchange.fastchat_answer",
        ("import", "export"),
        "model_answer of FastChat: a model's answers to MT-Bench's questions",
    ),
    "fastchat_judgment": Format(
        "ochat_eval.exchange.fastchat_judgment",
        ("import", "export"),
        "model_judgment of FastChat: verdicts; imported as -o RUN/judgments.jsonl",
    ),
    "model_index": Format(
        "ochat_eval.exchange.model_index",
        ("export",),
        "the figures for the head of a model card (README.md) of the hub",
    ),
    "eval_results": Format(
        "ochat_eval.exchange.eval_results",
        ("export",),
        "for the hub's leaderboards; -o is the folder: .eval_results",
    ),
    "every_eval_ever": Format(
        "ochat_eval.exchange.every_eval_ever",
        ("export",),
        "Every Eval Ever 0.3.0: figures and samples; -o is the folder",
    ),
    "inspect": Format(
        "ochat_eval.exchange.inspect",
        ("export",),
        "a log a benchmark for inspect view; -o is the folder: logs",
    ),
    "parquet": Format(
        "ochat_eval.exchange.parquet",
        ("export",),
        "a row per response and rule: item, response, score; for pandas",
    ),
}
"""Every format by name."""


@dataclass(frozen=True)
class Note:
    """Something that a user must know about a file that was read or written.

    Attributes:
        what: one kind of thing, the same text for all its cases, which are counted.
        where: this case: `line 7`, an item's id.
    """

    what: str
    where: str


@dataclass(frozen=True)
class Asked:
    """What responses are wanted to.

    Attributes:
        items: the items, in the order of their sources.
        chosen: their benchmarks, where options were named; None: each as published.
        run: the run that they belong to, where one was named.
    """

    items: Sequence[Item]
    chosen: Mapping[str, Task] | None = None
    run: Recorded | None = None

    @cached_property
    def tasks(self) -> Mapping[str, Task]:
        """The items' benchmarks by name, made when they are first asked for."""
        names = dict.fromkeys(item.task for item in self.items)
        return (
            {name: published_task(name) for name in names} if self.chosen is None else self.chosen
        )


@dataclass(frozen=True)
class Recorded:
    """A run on disk, whose files are read once; `path` is its directory."""

    path: Path

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What its manifest.json holds."""
        return store.read_json(self.path / store.MANIFEST)

    @cached_property
    def summary(self) -> dict[str, Any]:
        """What its summary.json holds. Raises UserError where it has none yet, or another run's."""
        found = read_summary(self.path)
        if odd := sorted(found["tasks"].keys() ^ self.tasks.keys()):
            raise UserError(
                f"{self.path}: {store.SUMMARY} and {store.MANIFEST} differ in {odd[0]}: run "
                f"stage=report run={self.path.name}"
            )
        return found

    @cached_property
    def created(self) -> datetime:
        """When it was planned."""
        try:
            return datetime.fromisoformat(self.manifest["created"])
        except (KeyError, TypeError, ValueError) as e:
            raise UserError(f"{self.path / store.MANIFEST} is damaged: created: {e}") from e

    @cached_property
    def tasks(self) -> dict[str, Task]:
        """Its benchmarks by name, under its own options."""
        return tasks_of(read_facts(self.path / store.MANIFEST))

    def on_hub(self, task: Task) -> OnHub | None:
        """Where the hub has the questions that were asked: None for sample items."""
        return None if task.data == "sample" else task.on_hub

    def revision(self, task: str, dataset: str) -> str | None:
        """The commit of a data set of the hub that a benchmark's rows were read from; None where
        they come from elsewhere."""
        try:
            sources = msgspec.convert(self.manifest["sources"], dict[str, list[dict[str, Any]]])
        except (KeyError, msgspec.ValidationError) as e:
            raise UserError(f"{self.path / store.MANIFEST} is damaged: sources: {e}") from e
        found = [one for one in sources.get(task, ()) if one.get("id") == dataset]
        return str(found[0]["revision"]) if found and "revision" in found[0] else None

    def items(self) -> Iterator[Item]:
        """Its items, read from disk one by one."""
        return store.read_records(self.path / store.ITEMS, Item)

    def answered(self) -> Iterator[tuple[Item, list[Response]]]:
        """Its items, each with its responses.

        Raises:
            UserError: it has no responses yet.
        """
        path = self.path / store.RESPONSES
        if not path.exists():
            raise UserError(
                f"{self.path} has no {path.name} yet: run its command with stage=generate"
            )
        with contextlib.closing(Index(path, Response)) as responses:
            for item in self.items():
                yield item, responses.of(item.id)

    def judged(self) -> Iterator[tuple[Item, list[Response], list[Score]]]:
        """Its items, each with its responses and with both rules' scores of them.

        Raises:
            UserError: it has no responses or no scores yet.
        """
        path = self.path / store.SCORES
        if not path.exists():
            raise UserError(f"{self.path} has no {path.name} yet: run stage=score first")
        with contextlib.closing(Index(path, Score)) as scores:
            for item, responses in self.answered():
                if item.task not in self.tasks:
                    raise UserError(
                        f"{self.path / store.ITEMS}: {item.id} is of {item.task}, which "
                        f"{store.MANIFEST} does not have; run its command again"
                    )
                yield item, responses, scores.of(item.id)


def told(one: Measure, task: Mapping[str, Any]) -> str:
    """What stands beside a figure where no table does: its rule, and why it is marked.

    Args:
        task: the benchmark's part of the summary.
    """
    marks = marks_of(task)
    return f"{one.rule} answer rule" + (f" {MARK} {'; '.join(marks)}" if marks else "")


def made_folder(path: Path) -> Path:
    """The folder that several files go to, made if need be. Raises UserError where it cannot."""
    with store.writing(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


def text_of(fields: Mapping[str, Any], name: str, where: str) -> str:
    """A field that must be text.

    Args:
        where: the file and line, for the message.

    Raises:
        UserError: it is missing or something else.
    """
    value = fields.get(name)
    if not isinstance(value, str):
        found = "is missing" if value is None else f"is {type(value).__name__}, not text"
        raise UserError(f"{where}: the field {name!r} {found}")
    return value
