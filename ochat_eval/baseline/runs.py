"""Runs read from their folders."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec

from ochat_eval import stats
from ochat_eval.baseline.find import RECORDED, find
from ochat_eval.baseline.looks import looks_at
from ochat_eval.baseline.recorded import read_recorded
from ochat_eval.baseline.results import Outcome, RunResults, TaskResults, Verdicts, flip_rates
from ochat_eval.benchmark.task import Task
from ochat_eval.config.again import options_of, tasks_of
from ochat_eval.records import RULES, Item, Response, Score, UserError
from ochat_eval.run import store
from ochat_eval.run.index import Index
from ochat_eval.run.manifest import read_facts
from ochat_eval.terminal.words import plain

_LONGEST_ANSWER = 24


def read(name: str, runs: Path = Path("results/runs"), recorded: bool = False) -> RunResults:
    """A run, or a recorded run; `recorded` as in `find`.

    Raises:
        UserError: there is none, or it is damaged or not scored.
    """
    folder = find(name, runs, recorded)
    return read_recorded(folder) if (folder / RECORDED).exists() else read_run(folder)


def flip_rates_of(psi: str, tasks: Sequence[str], runs: Path) -> dict[str, float]:
    """ψ by benchmark as --psi gives it: one number for all, or what a recorded run measured.

    Raises:
        UserError: neither a number from 0 to 1 nor a recorded run with reruns.
    """
    try:
        rate = float(psi)
    except ValueError:
        measured = read(psi, runs, recorded=True)
        rates = {k: flip_rates(v, "published", measured.runs) for k, v in measured.tasks.items()}
        found = {name: rate[0] for name, rate in rates.items() if rate is not None}
        if not found:
            raise UserError(f"--psi {psi}: it has no flip rates; record it with reruns") from None
        return found
    if not 0 <= rate <= 1:
        raise UserError(f"--psi is {psi}; a flip rate lies from 0 to 1")
    return dict.fromkeys(tasks, rate)


def read_run(folder: Path) -> RunResults:
    """The results of a run's folder; no text is kept.

    Raises:
        UserError: the run is damaged, or has no scores yet.
    """
    if not (folder / store.MANIFEST).exists():
        raise UserError(f"{folder} is no run's folder: it has no {store.MANIFEST}")
    facts = read_facts(folder / store.MANIFEST)
    for name, stage in (store.RESPONSES, "generate"), (store.SCORES, "score"):
        if not (folder / name).exists():
            raise UserError(f"{folder} has no {name} yet: run its command with stage={stage} first")
    tasks = tasks_of(facts)
    stopped = facts.sequential.stopped if facts.sequential else {}
    looks = looks_at(folder) if stopped else {}
    seen = {
        name: frozenset(looks[name].seen(one.look - 1))
        for name, one in stopped.items()
        if name in looks
    }
    outcomes: dict[str, dict[str, Outcome]] = {name: {} for name in tasks}
    judges: dict[str, set[str]] = {name: set() for name in tasks}
    with indexes(folder) as (responses, scores):
        for item in store.read_records(folder / store.ITEMS, Item):
            if item.task not in tasks:
                raise UserError(f"{folder / store.ITEMS} has {item.id!r}, of no task of the run")
            task, given = tasks[item.task], responses.of(item.id)
            if item.id in seen.get(item.task, (item.id,)) and (
                len(given) == task.n * len(item.turns)
            ):
                ours = scores.of(item.id)
                check_scores(task, ours, folder)
                outcomes[item.task][item.id] = outcome(task, item, given, ours)
                judges[item.task] |= _judges(task, ours)
    return RunResults(
        name=folder.name,
        model=facts.model,
        identity=facts.identity,
        tasks={
            name: TaskResults(
                name=name,
                metric=task.metric,
                bounds=task.bounds,
                scale=task.scale,
                options=options_of(facts, name),
                asked=facts.items[name].asked,
                of=facts.items[name].of,
                outcomes=_cluster_names(outcomes[name]),
                stopped=name in stopped,
                judges=tuple(sorted(judges[name])),
            )
            for name, task in tasks.items()
        },
        about=facts.about,
    )


_Figure = Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]
"""A number that can be printed, whoever wrote it: neither infinite nor none."""


@dataclass(frozen=True)
class _Part:
    """Of summary.json, a subset's figures."""

    score: _Figure | None
    n: int
    stderr: _Figure | None = None
    ci95: tuple[_Figure, _Figure] | None = None
    unmatched: _Figure | None = None
    truncated: _Figure | None = None
    empty: _Figure | None = None
    unfinished: _Figure | None = None


@dataclass(frozen=True, kw_only=True)
class _Whole(_Part):
    """Of summary.json, one rule's figures of a benchmark."""

    subsets: dict[str, _Part]


@dataclass(frozen=True)
class _Told:
    """Of summary.json, one benchmark."""

    published: _Whole
    robust: _Whole
    asked: int
    of: int
    missing: int
    notes: list[str]
    changed: list[str] = field(default_factory=list)
    scale: _Figure = 100
    rule: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Summary:
    """summary.json, so far as others read it; what more it has is the page's."""

    model: str
    run: str
    tasks: dict[str, _Told]
    published_row: str | None = None


def read_summary(folder: Path) -> dict[str, Any]:
    """A run's summary.json.

    Raises:
        UserError: there is none, or it is damaged.
    """
    path = folder / store.SUMMARY
    if not path.exists():
        raise UserError(f"{folder} has no {path.name}: run stage=report run={folder.name}")
    summary = store.read_json(path)
    try:
        msgspec.convert(summary, _Summary)
    except msgspec.ValidationError as e:
        raise UserError(f"{path} is no summary of a run ({e}): run stage=report again") from e
    return summary


def digest(text: str) -> str:
    """The first 16 hexadecimal digits of the text's SHA-256; lone surrogates are no error."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


def prompt_digest(item: Item) -> str:
    """Digest of what an item asks and accepts; see `comparison.Outcome`."""
    more = [field for field in (item.examples, item.system) if field]
    return digest(json.dumps([item.id, item.turns, item.target, item.choices, *more]))


@contextlib.contextmanager
def indexes(folder: Path) -> Iterator[tuple[Index[Response], Index[Score]]]:
    """The responses and scores of a run by item."""
    responses = Index(folder / store.RESPONSES, Response)
    scores = Index(folder / store.SCORES, Score)
    try:
        yield responses, scores
    finally:
        responses.close()
        scores.close()


def _without_text(answer: str | None) -> str | None:
    """A short answer as it is, a long one as its digest."""
    if answer is None or (len(answer) <= _LONGEST_ANSWER and answer.isprintable()):
        return answer
    return f"sha256:{digest(answer)}"


def outcome(task: Task, item: Item, given: Sequence[Response], scores: Sequence[Score]) -> Outcome:
    """One item's outcome from its responses and its scores, both by sample and turn."""
    rules = {}
    keys = {(r.sample, r.turn) for r in task.scored(item, given)}
    for rule in RULES:
        ours = [s for s in scores if s.rule == rule]
        judged = [s.value for s in ours if s.value is not None]
        whole = keys == {(s.sample, s.turn) for s in ours}
        unread = 1 - len(judged) / len(ours) if ours else 0.0
        rules[rule] = Verdicts(
            answers=tuple(_without_text(s.answer) for s in ours),
            matched=tuple(s.matched for s in ours),
            values=(stats.mean(judged or task.bounds),) if whole else (),
            unmatched=(stats.mean([not s.matched for s in ours]),) if whole else (),
            unread=(unread,) if whole and unread else (),
        )
    return Outcome(
        id=item.id,
        prompt=prompt_digest(item),
        cluster=digest(task.cluster(item)),
        stratum=task.stratum(item),
        responses=tuple(digest(r.text) for r in given),
        ends=tuple((r.finish_reason, r.prompt_tokens, r.completion_tokens) for r in given),
        rules=rules,
        unfinished=stats.mean([r.unfinished for r in given]),
    )


def _judges(task: Task, scores: Sequence[Score]) -> set[str]:
    """Who rated an item, in which style."""
    details = [score.detail or {} for score in scores] if task.judged else []
    return {plain(f"{one.get('judge')} ({one.get('style')})") for one in details}


def check_scores(task: Task, scores: Sequence[Score], folder: Path) -> None:
    """UserError for a value that the benchmark cannot give: a run's folder may be anybody's."""
    low, high = task.bounds
    for score in scores:
        wrong = ""
        if score.value is not None and not low <= score.value <= high:
            wrong = f"has the value {score.value:g}, {task.name} gives {low:g} to {high:g}"
        for name in task.also:
            if (score.detail or {}).get(name, False) not in (False, True):
                wrong = f"says of {name} neither true nor false"
        if wrong:
            raise UserError(
                f"{folder / store.SCORES}: {score.id} {wrong}; run its command again with "
                "stage=score"
            )


def _cluster_names(outcomes: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """An item that is alone in its cluster is the cluster, whatever the benchmark calls it."""
    sizes: dict[str, int] = {}
    for one in outcomes.values():
        sizes[one.cluster] = sizes.get(one.cluster, 0) + 1
    return {
        id_: one if sizes[one.cluster] > 1 else dataclasses.replace(one, cluster=id_)
        for id_, one in outcomes.items()
    }
