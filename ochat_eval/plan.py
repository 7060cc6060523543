"""Stage plan: every prompt, the run's directory and its identity, before a model is loaded."""

from __future__ import annotations

import hashlib
import os
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ochat_eval import store
from ochat_eval.chat import load_format
from ochat_eval.config import Config, Stage, build_tasks, results_folder, to_yaml
from ochat_eval.engines import Engine
from ochat_eval.estimate import answer_tokens, earlier_runs, rate, recorded_runs
from ochat_eval.index import Index
from ochat_eval.manifest import Manifest
from ochat_eval.models import prepare
from ochat_eval.progress import say
from ochat_eval.records import Item, Message, Response, UserError, to_json
from ochat_eval.report.plan import Lengths, lengths, plan_table, time_line
from ochat_eval.task import Answered, Selection, Task


@dataclass(frozen=True)
class Plan:
    """A run's work, written and verified.

    Attributes:
        run: its directory.
        tasks: the benchmarks by name.
        counts: items asked per task.
        totals: items that the whole task has.
        answers: generations per task, later turns and samples counted.
        spans: where each task's items stand in items.jsonl.
    """

    run: store.RunDir
    tasks: dict[str, Task]
    counts: dict[str, int]
    totals: dict[str, int]
    answers: dict[str, int]
    spans: dict[str, store.Span]
    model: str
    manifest: Manifest

    @property
    def requests(self) -> int:
        """Generations in all."""
        return sum(self.answers.values())

    def items(self, task: str | None = None) -> Iterator[Item]:
        """The planned items, of one task or of all, read anew from disk."""
        span = None if task is None else self.spans[task]
        return store.read_records(self.run.file(store.ITEMS), Item, span)

    def shuffled(self, seed: int) -> Iterator[Item]:
        """The planned items in a random order; only their places are kept in memory."""
        path = self.run.file(store.ITEMS)
        places = [place for place, _ in store.placed_records(path, Item)]
        random.Random(seed).shuffle(places)
        for place in places:
            yield from store.read_records(path, Item, place)

    def answered(self, task: str, responses: Index[Response]) -> Iterator[Answered]:
        """A task's items that have responses, in the plan's order, with them."""
        for item in self.items(task):
            if found := responses.of(item.id):
                yield Answered(item, tuple(found))

    def responses_digest(self) -> str | None:
        """SHA-256 of the journal; None where there is none."""
        path = self.run.file(store.RESPONSES)
        if not path.exists():
            return None
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def known_manifest(config: Config) -> dict[str, Any]:
    """The manifest of a run that is to be scored or reported again; empty for any other."""
    again = config.stage in (Stage.score, Stage.report)
    path = results_folder(config) / (config.run or "") / store.MANIFEST
    return store.read_json(path) if again and config.run and path.exists() else {}


def plan(config: Config, engine: Engine, overrides: list[str]) -> Plan:
    """Builds every prompt, finds or makes the run's directory, and writes items.jsonl."""
    tasks = {task.name: task for task in build_tasks(config)}
    counts: dict[str, int] = {}
    totals: dict[str, int] = {}
    spans: dict[str, store.Span] = {}
    answers: dict[str, int] = {}
    place, digest = 0, hashlib.sha256()
    root = results_folder(config)
    with store.writing(root):
        root.mkdir(parents=True, exist_ok=True)
    draft = root / f".plan-{os.getpid()}.jsonl"
    ids = store.read_ids(Path(config.ids).expanduser()) if config.ids else None
    try:
        with store.atomic(draft) as file:
            for task in tasks.values():
                counts[task.name], answers[task.name], start = 0, 0, place
                selection = Selection(task, config.seed, ids)
                for item in selection:
                    counts[task.name] += 1
                    answers[task.name] += task.n * len(item.turns)
                    line = to_json(item) + b"\n"
                    place += len(line)
                    digest.update(line)
                    file.buffer.write(line)
                totals[task.name], spans[task.name] = selection.total, (start, place)
        identity = {
            **_engine_identity(config, engine),
            "prompts": digest.hexdigest(),
            "seed": config.seed,
            "overlong": config.overlong.value,
            "tasks": {name: task.options() for name, task in tasks.items()},
        }
        run_dir = store.RunDir(root / (config.run or _name(config, engine, identity)))
        run_dir.check_identity(identity)
        with store.writing(run_dir.path):
            draft.replace(run_dir.file(store.ITEMS))
    finally:
        draft.unlink(missing_ok=True)
    manifest = Manifest(run_dir)
    if manifest.is_new:
        manifest.begin(identity, list(tasks.values()), counts, totals, overrides)
        store.write_text(run_dir.file(store.CONFIG), to_yaml(config))
    return Plan(run_dir, tasks, counts, totals, answers, spans, config.model.name, manifest)


def _engine_identity(config: Config, engine: Engine) -> dict[str, Any]:
    """Engine and model; to score again neither need be there, so the run's word is taken."""
    ours = ("prompts", "seed", "overlong", "tasks")
    known = known_manifest(config).get("identity", {})
    return {k: v for k, v in known.items() if k not in ours} or engine.identity(config.model)


def _name(config: Config, engine: Engine, identity: dict[str, Any]) -> str:
    digest = hashlib.sha256(repr(sorted(store.flat(identity))).encode()).hexdigest()
    return f"{config.model.name}-{engine.label}-{digest[:10]}"


def planned_work(config: Config, planned: Plan) -> str:
    """What `stage=plan` prints: the table of prompts, and what the answers will take."""
    earlier = [*earlier_runs(results_folder(config)), *recorded_runs()]
    model = config.model.name
    answers = {
        name: answer_tokens(name, planned.answers[name], task.max_tokens, model, earlier)
        for name, task in planned.tasks.items()
    }
    table = plan_table(
        planned.tasks, planned.counts, planned.totals, token_counts(config, planned), answers
    )
    return (
        f"{table}\n\n{time_line(answers.values(), *rate(model, config.tokens_per_second, earlier))}"
    )


def token_counts(config: Config, planned: Plan) -> dict[str, Lengths]:
    """Prompt lengths per task: in tokens where the model's tokenizer is at hand."""
    try:
        chat = load_format(config.model, prepare(config.model))
    except UserError as e:
        say(f"lengths in characters, for want of a tokenizer: {e}")
        return lengths(((item, len(item.turns[0])) for item in planned.items()), None)
    items = tqdm(
        planned.items(), total=sum(planned.counts.values()), unit=" prompts", delay=2,
        desc="measure", file=sys.stderr, dynamic_ncols=True,
    )  # fmt: skip
    return lengths(
        ((i, len(chat.encode([Message("user", i.turns[0])], i.condition))) for i in items),
        config.model.context,
    )
