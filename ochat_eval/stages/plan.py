"""Stage plan: every prompt, the run's directory and its identity, before a model is loaded."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import time
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from ochat_eval.benchmark.task import Answered, Task
from ochat_eval.config.job import Job
from ochat_eval.config.schema import Stage
from ochat_eval.engines.engine import Engine
from ochat_eval.engines.vllm import Vllm
from ochat_eval.model.chat import load_format
from ochat_eval.model.chat.conversation import first_prompt
from ochat_eval.model.chat.format import ChatFormat
from ochat_eval.model.context import context_of
from ochat_eval.model.model import Model
from ochat_eval.model.tokenizer import load_tokenizer
from ochat_eval.model.weights import prepare
from ochat_eval.records import Item, Response, UserError
from ochat_eval.run import store
from ochat_eval.run.folder import RunDir
from ochat_eval.run.hardware import cores
from ochat_eval.run.identity import short_digest
from ochat_eval.run.index import Index
from ochat_eval.run.manifest import Manifest
from ochat_eval.stages.draft import draft, folders, identity_of, keep_draft, kept_draft, stem
from ochat_eval.stages.estimate import (
    all_answers,
    answer_tokens,
    earlier_runs,
    rate,
    recorded_runs,
    time_line,
)
from ochat_eval.stages.limits import proposal
from ochat_eval.stages.plan_table import Lengths, lengths, plan_table
from ochat_eval.terminal.say import bar, say

_DEAD_SECONDS = 3600.0
"""A draft of a plan that nothing was written to for so long is nobody's any more."""
_THREADS = 4
_NEIGHBOURS = 256
"""Prompts that a thread measures one after another: of those together, many begin alike."""
_FINISHED = (store.ITEMS, store.RESPONSES, store.JUDGMENTS, store.SCORES, store.SUMMARY)


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
        seen: of benchmarks that were stopped early, the items that count.
    """

    run: RunDir
    tasks: dict[str, Task]
    counts: dict[str, int]
    totals: dict[str, int]
    answers: dict[str, int]
    spans: dict[str, store.Span]
    model: str
    manifest: Manifest
    seen: Mapping[str, Collection[str]] = field(default_factory=dict)

    @property
    def requests(self) -> int:
        """Generations in all."""
        return sum(self.answers.values())

    def items(self, task: str | None = None) -> Iterator[Item]:
        """The planned items, of one task or of all, read anew from disk."""
        span = None if task is None else self.spans[task]
        items = store.read_records(self.run.file(store.ITEMS), Item, span)
        return (item for item in items if counts(item, self.seen)) if self.seen else items

    def as_asked(self) -> Iterator[Item]:
        """The planned items in the order of asking: benchmarks of several turns first.

        Asked last, their second answers would be written alone when all else is done.
        """
        talks = [name for name in self.spans if self._has_turns(name)]
        if not talks:
            yield from self.items()
            return
        for name in (*talks, *(name for name in self.spans if name not in talks)):
            yield from self.items(name)

    def _has_turns(self, task: str) -> bool:
        return self.answers[task] > self.tasks[task].n * self.counts[task]

    def shuffled(self, seed: int) -> Iterator[Item]:
        """The planned items in a random order; only their places are kept in memory."""
        path = self.run.file(store.ITEMS)
        places = [place for place, _ in store.placed_records(path, Item)]
        random.Random(seed).shuffle(places)
        for place in places:
            yield from store.read_records(path, Item, place)

    def answered(self, task: str, responses: Index[Response]) -> Iterator[Answered]:
        """A task's items that have responses, in the plan's order, with them."""
        return answered(self.items(task), responses)

    def missing(self, responses: Index[Response]) -> dict[str, int]:
        """By benchmark, how many responses to items that count are not there."""
        if not responses:
            return dict(self.answers)
        return {
            name: of - sum(len(responses.of(item.id)) for item in self.items(name))
            for name, of in self.answers.items()
        }

    def whole(self, responses: Index[Response]) -> bool:
        """Whether every item that counts has all its responses."""
        if not self.seen:
            return len(responses) == self.requests
        return not any(self.missing(responses).values())

    def digests(self, names: Sequence[str] = _FINISHED) -> dict[str, str]:
        """SHA-256 of the files that a finished run is made of, or of some, if they are there."""
        paths = {name: self.run.file(name) for name in names}
        return {name: _sha256(path) for name, path in paths.items() if path.exists()}


def counts(item: Item, seen: Mapping[str, Collection[str]]) -> bool:
    """Whether the item counts; `seen` as in `Plan`."""
    return item.task not in seen or item.id in seen[item.task]


def answered(items: Iterable[Item], responses: Index[Response]) -> Iterator[Answered]:
    """Those of the items that have responses, with them."""
    for item in items:
        if found := responses.of(item.id):
            yield Answered(item, tuple(found))


def plan(job: Job) -> Plan:
    """Builds every prompt, finds or makes the run's folder, and writes items.jsonl.

    Prompts that stand there as the same rules have made them are not built again.
    """
    tasks, root = dict(job.tasks), job.results
    with store.writing(root):
        root.mkdir(parents=True, exist_ok=True)
    _sweep(root)
    made, path = kept_draft(job), root / f".plan-{os.getpid()}.jsonl"
    try:
        is_now = {} if made is None else identity_of(job, made.digest)
        if made is None or not _stand(_folder(job, is_now), made.digest):
            made = draft(job, path)
            is_now = identity_of(job, made.digest)
            keep_draft(job, made)
        run_dir = RunDir(_folder(job, is_now))
        if job.stage not in (Stage.score, Stage.report) and run_dir.forget_plan(is_now):
            say(f"{run_dir.path} had no answers yet: other work is begun in it")
        run_dir.check_identity(is_now)
        if path.exists():
            with store.writing(run_dir.path):
                path.replace(run_dir.file(store.ITEMS))
    finally:
        with contextlib.suppress(OSError):  # a read-only folder has none
            path.unlink(missing_ok=True)
    manifest = Manifest(run_dir)
    if manifest.is_new:
        manifest.begin(
            is_now,
            list(tasks.values()),
            made.counts,
            made.totals,
            overrides=list(job.arguments),
            requests=sum(made.answers.values()),
            only_ids=job.ids is not None,
            published_row=job.model.published,
        )
        store.write_text(run_dir.file(store.CONFIG), job.resolved())
    return Plan(
        run_dir, tasks, made.counts, made.totals, made.answers, made.spans, job.model.name, manifest
    )


def _folder(job: Job, is_now: Mapping[str, Any]) -> Path:
    """A run's folder; its default name tells its work."""
    return job.results / (job.run or f"{stem(job)}-{short_digest(is_now)}")


def _stand(folder: Path, digest: str) -> bool:
    """Whether the items in a run's folder are those of this digest."""
    if not folder.is_dir():
        return False
    store.check_files(folder)
    items = folder / store.ITEMS
    return items.is_file() and _sha256(items) == digest


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sweep(root: Path) -> None:
    """Removes the drafts of plans that were killed; one that lives, wherever, writes on."""
    for pattern in (".plan-*.jsonl", "..plan-*.jsonl.*"):
        for left in root.glob(pattern):
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > _DEAD_SECONDS:
                    left.unlink()


def is_new(job: Job) -> bool:
    """Whether no folder can be this run's yet."""
    return not any(folders(job))


def planned_work(job: Job, planned: Plan, chat: ChatFormat | None) -> str:
    """What `stage=plan` prints: the table of prompts, and what the answers will take.

    Args:
        chat: the model's format; None where it is not at hand.
    """
    earlier = [*earlier_runs(job.results), *recorded_runs()]
    model = job.model.name
    answers = {
        name: answer_tokens(name, planned.answers[name], task.max_tokens, model, earlier)
        for name, task in planned.tasks.items()
    }
    measured = _lengths(job.model, planned, chat)
    table = plan_table(planned.tasks, planned.counts, planned.totals, measured, answers)
    speed, source = rate(model, job.tokens_per_second, earlier)
    tokens = all_answers(answers.values()).tokens
    seconds = None if tokens is None or speed is None else tokens / speed
    parts = (table, time_line(answers.values(), speed, source), proposal(job, seconds))
    return "\n\n".join(part for part in parts if part)


def format_at_hand(model: Model, engine: Engine) -> ChatFormat | None:
    """The model's chat format; None, which is said, where its tokenizer is not at hand.

    Raises:
        UserError: it is, and the engine could not ask with what the model's options make of it.
    """
    try:
        return load_format(model, prepare(model))
    except UserError as e:
        if isinstance(engine, Vllm) and _has_tokenizer(model):
            raise
        say(f"lengths in characters, for want of a tokenizer: {e}")
        return None


def _has_tokenizer(model: Model) -> bool:
    try:
        load_tokenizer(model, prepare(model))
    except UserError:
        return False
    return True


def token_lengths(
    items: Iterable[Item], system: str | None, chat: ChatFormat
) -> Iterator[tuple[Item, int]]:
    """Each item with its first prompt's length in tokens, in order; a thread for each core.

    Args:
        system: the system message.
    """
    idle = [chat.sharing(say) for _ in range(min(_THREADS, cores()))]

    def measured(some: Sequence[Item]) -> list[tuple[Item, int]]:
        mine = idle.pop()
        try:
            prompts = ((item, first_prompt(item, system)) for item in some)
            return [(item, len(mine.encode(text, item.condition))) for item, text in prompts]
        finally:
            idle.append(mine)

    at_work: deque[Future[list[tuple[Item, int]]]] = deque()
    stream = iter(items)
    with ThreadPoolExecutor(len(idle)) as pool:
        while some := list(islice(stream, _NEIGHBOURS)):
            at_work.append(pool.submit(measured, some))
            if len(at_work) > 2 * _THREADS:  # the others stay on disk
                yield from at_work.popleft().result()
        for one in at_work:
            yield from one.result()


def _lengths(model: Model, planned: Plan, chat: ChatFormat | None) -> dict[str, Lengths]:
    """Prompt lengths per task: in tokens where the model's tokenizer is at hand."""
    if chat is None:
        prompts = ((item, first_prompt(item, model.system)) for item in planned.items())
        return lengths(((item, sum(len(m.content) for m in ms)) for item, ms in prompts), None)
    with bar("measure", "prompts", sum(planned.counts.values())) as progress:

        def shown() -> Iterator[tuple[Item, int]]:
            for one in token_lengths(planned.items(), model.system, chat):
                yield one
                progress.update()

        return lengths(shown(), context_of(model))
