"""The items that a job asks, written to a file before the run's folder is known."""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import hashlib
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ochat_eval.benchmark.selection import Selection
from ochat_eval.config.job import Job
from ochat_eval.records import UserError, to_json
from ochat_eval.run import store
from ochat_eval.run.identity import differences, engine_part, identity, with_model_options
from ochat_eval.run.manifest import read_facts
from ochat_eval.sandbox.kept import Kept
from ochat_eval.stages.rules import digest_of_rules


@dataclass
class Draft:
    """The items of a file, by benchmark.

    Attributes:
        digest: SHA-256 of the file.
        counts: items asked.
        totals: items that the whole benchmark has.
        answers: generations, later turns and samples counted.
        spans: where the items stand in the file.
    """

    digest: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)
    spans: dict[str, store.Span] = field(default_factory=dict)


def draft(job: Job, path: Path) -> Draft:
    """Builds every prompt and writes the items.

    A limited run that is there goes on with its own items: a limit may have drawn others in its
    day. They count only where their prompts are still the same.
    """
    for ids, prompts in _kept(job):
        with contextlib.suppress(UserError):  # the data has other items today
            made = _written(job, ids, path)
            if made.digest == prompts:
                return made
    return _written(job, job.ids, path)


def kept_draft(job: Job) -> Draft | None:
    """What `draft` has made of the very same before; None where that is not known.

    Its data need not be read for that: they are pinned.
    """
    with _drafts(job) as (drafts, made_of):
        return drafts.get(made_of) if drafts else None


def keep_draft(job: Job, made: Draft) -> None:
    """Keeps what was drafted, from run to run."""
    with _drafts(job) as (drafts, made_of):
        if drafts:
            drafts.add(made_of, made)


@contextlib.contextmanager
def _drafts(job: Job) -> Iterator[tuple[Kept[Draft] | None, list[Any]]]:
    """The drafts by what they were made of beside the rules, and what the job's is made of; None
    where nobody can tell."""
    tasks = job.tasks.values()
    sources = [source for task in tasks for source in task.sources()]
    rules = digest_of_rules(tasks) if all(source.pinned for source in sources) else None
    if rules is None:
        yield None, []
        return
    asked = [[type(task).__qualname__, repr(dataclasses.asdict(task))] for task in tasks]
    ids = None if job.ids is None else sorted(job.ids)
    with Kept[Draft]("items", rules, Draft) as drafts:
        yield drafts, [asked, list(map(repr, sources)), job.seed, ids]


def _written(job: Job, ids: Collection[str] | None, path: Path) -> Draft:
    made, place, digest = Draft(), 0, hashlib.sha256()
    with store.atomic(path) as file:
        for task in job.tasks.values():
            count, answers, start = 0, 0, place
            selection = Selection(task, job.seed, ids)
            for item in selection:
                count += 1
                answers += task.n * len(item.turns)
                line = to_json(item) + b"\n"
                place += len(line)
                digest.update(line)
                file.buffer.write(line)
            made.counts[task.name], made.totals[task.name] = count, selection.total
            made.answers[task.name], made.spans[task.name] = answers, (start, place)
    made.digest = digest.hexdigest()
    return made


def _kept(job: Job) -> Iterator[tuple[Collection[str], str]]:
    """The items, and the digest of the prompts, of each run that may be this one, if limited."""
    if job.ids is not None or all(task.limit is None for task in job.tasks.values()):
        return
    there_are = sorted(folders(job))
    now = identity_of(job, "") if there_are else {}
    for manifest in there_are:
        with contextlib.suppress(UserError):  # damaged: refused where it is the one that is named
            store.check_files(manifest.parent)
            there = read_facts(manifest)
            if not there.only_ids and not differences({**there.identity, "prompts": ""}, now):
                ids = store.read_ids(manifest.parent / store.ITEMS)
                yield ids, str(there.identity.get("prompts"))


def folders(job: Job) -> Iterator[Path]:
    """The manifests of all folders that can be this run's; its default name hangs on prompts."""
    names = job.run or f"{glob.escape(stem(job))}-*"
    return job.results.glob(f"{names}/{store.MANIFEST}")


def stem(job: Job) -> str:
    """A default name without what tells the work."""
    model = re.sub(r"[^\w.+-]+", "-", job.model.name).strip(".-") or "model"
    return f"{model}-{job.engine.label}"


def identity_of(job: Job, prompts: str) -> dict[str, Any]:
    """A job's identity, `prompts` being the digest of its items.

    To score again neither engine nor model need be there, so the run's word is taken.
    """
    known = engine_part(job.known.identity) if job.known is not None else {}
    return identity(
        known or with_model_options(job.engine.identity(job.model), job.model.changes()),
        prompts=prompts,
        seed=job.seed,
        overlong="truncate" if job.truncate_overlong else "error",
        tasks={name: task.options() for name, task in job.tasks.items()},
    )
