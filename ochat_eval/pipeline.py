"""The story of a run, in one screen: plan → generate → score → report."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ochat_eval import store
from ochat_eval.chat import load_format
from ochat_eval.config import (
    Config,
    Overlong,
    Stage,
    build_engine,
    build_tasks,
    load,
    results_folder,
    to_yaml,
)
from ochat_eval.engines import Engine, Failure, Session, Work
from ochat_eval.manifest import Manifest
from ochat_eval.models import prepare
from ochat_eval.records import (
    RULES,
    Item,
    Message,
    Request,
    Response,
    Score,
    UserError,
    to_json,
)
from ochat_eval.report import table
from ochat_eval.report.page import page
from ochat_eval.report.plan import Lengths, lengths, plan_table
from ochat_eval.summary import summarise_task
from ochat_eval.task import Answered, ScoringOptions, Task, selected_items

Key = tuple[str, int, int]
ByTask = dict[str, list[Answered]]


def say(line: str) -> None:
    """A line for the user, on the error stream: what is printed for use goes to the output."""
    print(line, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Plan:
    """A run's work, written and verified.

    Attributes:
        run: its directory.
        tasks: the benchmarks by name.
        counts: items asked per task.
        totals: items that the whole task has.
        requests: generations in all, later turns and samples counted.
    """

    run: store.RunDir
    tasks: dict[str, Task]
    counts: dict[str, int]
    totals: dict[str, int]
    requests: int
    model: str
    manifest: Manifest

    def items(self) -> Iterator[Item]:
        """The planned items, read anew from disk."""
        return store.read_records(self.run.file(store.ITEMS), Item)

    def answered(self) -> ByTask:
        """Per task, the items that have responses, in the plan's order, with them."""
        responses: dict[str, list[Response]] = {}
        path = self.run.file(store.RESPONSES)
        if path.exists():
            for response in store.read_records(path, Response):
                responses.setdefault(response.id, []).append(response)
        found: ByTask = {name: [] for name in self.tasks}
        for item in self.items():
            if item.id in responses:
                ordered = sorted(responses[item.id], key=lambda r: (r.sample, r.turn))
                found[item.task].append(Answered(item, tuple(ordered)))
        return found

    def responses_digest(self) -> str | None:
        """SHA-256 of the journal; None where there is none."""
        path = self.run.file(store.RESPONSES)
        if not path.exists():
            return None
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def run_command(arguments: list[str]) -> Path:
    """Runs a command line; returns the run's directory.

    `stage=score` and `stage=report` of a run that is there start from its own options.

    Raises:
        UserError: anything a user can mend.
    """
    config = load(arguments)
    if known := _known(config):
        by_name = {o.partition("=")[0]: o for o in (*known["overrides"], *arguments)}
        arguments = list(by_name.values())
        config = load(arguments)
    return run(config, arguments)


def _known(config: Config) -> dict[str, Any]:
    """The manifest of a run that is to be scored or reported again; empty for any other."""
    again = config.stage in (Stage.score, Stage.report)
    path = results_folder(config) / (config.run or "") / store.MANIFEST
    return store.read_json(path) if again and config.run and path.exists() else {}


def run(config: Config, overrides: list[str]) -> Path:
    """Runs the chosen stages and returns the run's directory.

    Args:
        overrides: the command line that the configuration was made from.

    Raises:
        UserError: anything a user can mend.
    """
    stage, engine = config.stage, build_engine(config)
    made = plan(config, engine, overrides)
    path = made.run.path
    if stage is Stage.plan:
        print(plan_table(made.tasks, made.counts, made.totals, token_counts(config, made)))
        return path
    finished = made.manifest.values.get("finished")
    table_file = path / store.TABLE
    if stage is Stage.all and finished == made.responses_digest() and table_file.exists():
        say("finished before, nothing to do; stage=score or stage=report do their part anew")
        print(table_file.read_text())
        print(made.run.file(store.REPORT))
        return path
    options = ScoringOptions(config.sandbox.value, config.workers or os.cpu_count() or 1)
    if stage in (Stage.all, Stage.score):
        for task in made.tasks.values():
            task.check_scoring(options)
    if stage in (Stage.all, Stage.generate):
        generate(config, engine, made)
    if stage in (Stage.all, Stage.score, Stage.report):
        answered = made.answered()
        if stage is not Stage.report:
            score(made, answered, options)
        report(made, answered)
    return path


def plan(config: Config, engine: Engine, overrides: list[str]) -> Plan:
    """Builds every prompt, finds or makes the run's directory, and writes items.jsonl."""
    tasks = {task.name: task for task in build_tasks(config)}
    counts: dict[str, int] = {}
    totals: dict[str, int] = {}
    requests, digest = 0, hashlib.sha256()
    root = results_folder(config)
    with store.writing(root):
        root.mkdir(parents=True, exist_ok=True)
    draft = root / f".plan-{os.getpid()}.jsonl"
    try:
        with store.atomic(draft) as file:
            for task in tasks.values():
                items, totals[task.name] = selected_items(task, config.seed)
                counts[task.name] = len(items)
                for item in items:
                    requests += task.n * len(item.turns)
                    line = to_json(item) + "\n"
                    digest.update(line.encode())
                    file.write(line)
        identity = {
            **_engine_identity(config, engine),
            "prompts": digest.hexdigest(),
            "seed": config.seed,
            "overlong": config.overlong.value,
            "tasks": {name: dataclasses.asdict(task) for name, task in tasks.items()},
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
    return Plan(run_dir, tasks, counts, totals, requests, config.model.name, manifest)


def _engine_identity(config: Config, engine: Engine) -> dict[str, Any]:
    """Engine and model; to score again neither need be there, so the run's word is taken."""
    ours = ("prompts", "seed", "overlong", "tasks")
    known = _known(config).get("identity", {})
    return {k: v for k, v in known.items() if k not in ours} or engine.identity(config.model)


def _name(config: Config, engine: Engine, identity: dict[str, Any]) -> str:
    digest = hashlib.sha256(repr(sorted(store.flat(identity))).encode()).hexdigest()
    return f"{config.model.name}-{engine.label}-{digest[:10]}"


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


class Queue:
    """The requests still to be made: follow-up turns first, then the plan, in its order."""

    def __init__(self, planned: Plan, seed: int, done: dict[Key, str | None]):
        """`done` maps the keys of recorded responses to the texts that a later turn needs."""
        self._seed = seed
        self._tasks = planned.tasks
        self._follow_ups: deque[Request] = deque()
        self._fresh = self._from_plan(planned.items(), done)
        self._open: dict[tuple[str, int], tuple[Item, tuple[Message, ...]]] = {}

    def _from_plan(self, items: Iterable[Item], done: dict[Key, str | None]) -> Iterator[Request]:
        for item in items:
            for sample in range(self._tasks[item.task].n):
                messages: tuple[Message, ...] = ()
                for turn, content in enumerate(item.turns):
                    messages = (*messages, Message("user", content))
                    text = done.get((item.id, sample, turn))
                    if (item.id, sample, turn) not in done:
                        yield self._request(item, sample, turn, messages)
                        break
                    messages = (*messages, Message("assistant", text or ""))

    def _request(
        self, item: Item, sample: int, turn: int, messages: tuple[Message, ...]
    ) -> Request:
        sampling = self._tasks[item.task].sampling(item)
        if sampling.temperature > 0:
            # From the request's own name, so that a resumed run draws what it would have drawn.
            name = f"{self._seed}/{item.id}/{sample}/{turn}".encode()
            seed = int.from_bytes(hashlib.sha256(name).digest()[:4]) >> 1
            sampling = dataclasses.replace(sampling, seed=seed)
        if turn + 1 < len(item.turns):
            self._open[item.id, sample] = (item, messages)
        return Request(item.id, sample, turn, messages, item.condition, sampling)

    def next(self) -> Request | None:
        """The next request; None when there is none now (an answer may bring another)."""
        return self._follow_ups.popleft() if self._follow_ups else next(self._fresh, None)

    def answered(self, response: Response) -> None:
        """Queues the item's next turn, asked with the model's own answer."""
        if (waiting := self._open.pop((response.id, response.sample), None)) is None:
            return
        item, messages = waiting
        turn = response.turn + 1
        messages = (*messages, Message("assistant", response.text))
        messages = (*messages, Message("user", item.turns[turn]))
        self._follow_ups.append(self._request(item, response.sample, turn, messages))


def generate(config: Config, engine: Engine, planned: Plan) -> None:
    """Asks what has no response yet; each response is on disk the moment it exists."""
    journal = store.Journal(planned.run.file(store.RESPONSES))
    try:
        if journal.torn:
            say(f"cut {journal.torn} bytes of a half-written last line off {journal.path}")
        done = _recorded(planned)
        missing = planned.requests - len(done)
        if not missing:
            say(f"all {planned.requests:,} responses are there; nothing to generate")
            return
        if done:
            say(f"going on: {len(done):,} of {planned.requests:,} responses are there")
        work = Work(
            model=config.model,
            items=planned.items,
            seed=config.seed,
            truncate_overlong=config.overlong is Overlong.truncate,
            say=say,
        )
        with planned.manifest.timing("start"):
            session = engine.start(work)
        try:
            with planned.manifest.timing("generate"):
                failures = _drive(session, Queue(planned, config.seed, done), journal, missing)
        finally:
            session.close()
    finally:
        journal.close()
    _record_failures(planned, failures)


def _recorded(planned: Plan) -> dict[Key, str | None]:
    """The keys of the responses at hand, with the text where a later turn is asked with it."""
    turns = {item.id: len(item.turns) for item in planned.items()}
    done: dict[Key, str | None] = {}
    path = planned.run.file(store.RESPONSES)
    for response in store.read_records(path, Response):
        n = planned.tasks[response.id.split("/")[0]].n if response.id in turns else 0
        if response.sample >= n or response.turn >= turns[response.id]:
            raise UserError(f"{path} answers {response.id!r}, which this run does not ask")
        if response.key in done:
            raise UserError(f"{path} answers {response.id!r} twice; remove one of the lines")
        later = response.turn + 1 < turns[response.id]
        done[response.key] = response.text if later else None
    return done


def _drive(session: Session, queue: Queue, journal: store.Journal, missing: int) -> list[Failure]:
    """Keeps the session's window full until every request is answered or has failed."""
    failures: list[Failure] = []
    in_flight = tokens = 0
    shown = time.monotonic()
    with tqdm(
        total=missing,
        unit=" answers",
        desc="generate",
        dynamic_ncols=True,
        smoothing=0.05,
        mininterval=0.5 if sys.stderr.isatty() else 10,
        file=sys.stderr,
    ) as bar:
        while True:
            while in_flight < session.window and (request := queue.next()):
                session.submit(request)
                in_flight += 1
            if not in_flight:
                return failures
            finished = session.collect()
            responses = [r for r in finished if isinstance(r, Response)]
            failures += [f for f in finished if isinstance(f, Failure)]
            journal.append(responses)
            for response in responses:
                queue.answered(response)
                tokens += response.completion_tokens or 0
            in_flight -= len(finished)
            written = tokens + session.unfinished_tokens()
            if written and (elapsed := bar.format_dict["elapsed"]):
                bar.set_postfix_str(f"{written / elapsed:,.0f} tokens/s", refresh=False)
            bar.update(len(finished))
            if time.monotonic() - shown > bar.mininterval:  # also while nothing finishes
                bar.refresh()
                shown = time.monotonic()


def _record_failures(planned: Plan, failures: list[Failure]) -> None:
    path = planned.run.file(store.FAILURES)
    if not failures:
        path.unlink(missing_ok=True)
        return
    store.write_lines(path, (dataclasses.asdict(failure) for failure in failures))
    say(
        f"{len(failures):,} requests got no response, the first: {failures[0].id}: "
        f"{failures[0].reason}; all are in {path}. Run the same command again to ask them again"
    )


def score(planned: Plan, answered: ByTask, options: ScoringOptions) -> None:
    """Reads and judges every response under both rules."""
    if not planned.run.file(store.RESPONSES).exists():
        raise UserError(f"{planned.run.path} has no responses yet: run stage=generate first")
    total = len(RULES) * sum(len(a.responses) for every in answered.values() for a in every)
    with (
        planned.manifest.timing("score"),
        store.atomic(planned.run.file(store.SCORES)) as file,
        tqdm(total=total, unit=" scores", desc="score", delay=2, file=sys.stderr) as bar,
    ):
        for name, task in planned.tasks.items():
            for one in task.score(answered[name], options):
                file.write(to_json(one) + "\n")
                bar.update()


def report(planned: Plan, answered: ByTask) -> None:
    """Writes summary.json, table.md and report.html, and prints the table."""
    run_dir = planned.run
    if not run_dir.file(store.SCORES).exists():
        raise UserError(f"{run_dir.path} has no scores yet: run stage=score first")
    scores: dict[str, list[Score]] = {name: [] for name in planned.tasks}
    for one in store.read_records(run_dir.file(store.SCORES), Score):
        scores[one.id.split("/")[0]].append(one)
    with planned.manifest.timing("report"):
        tasks = {
            name: summarise_task(
                task, answered[name], scores[name], planned.counts[name], planned.totals[name]
            )
            for name, task in planned.tasks.items()
        }
        summary = {"model": planned.model, "run": run_dir.path.name, "tasks": tasks}
        store.write_json(run_dir.file(store.SUMMARY), summary)
        store.write_text(run_dir.file(store.TABLE), table.markdown(summary) + "\n")
        html = page(run_dir.path.name, summary, planned.manifest.values, answered, scores)
        store.write_text(run_dir.file(store.REPORT), html)
    whole = sum(len(a.responses) for every in answered.values() for a in every) == planned.requests
    planned.manifest.set("finished", planned.responses_digest() if whole else "no")
    print(table.terminal(summary))
    print(f"\n{run_dir.file(store.REPORT)}")
