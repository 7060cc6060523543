"""Runs as `comparison` sees them: read from a run's folder, or from a recorded run.

A recorded run is a small folder without anybody's text, fit to be kept in a repository:

- `recorded.json`: what the run was (model, identity, versions, hardware) and, per benchmark and
  rule, its score and ψ, the rate at which verdicts flip between its reruns;
- `items.jsonl`: a line an item: digests of question and responses, finish reasons, token counts,
  and what each rule read and decided, in the run and in its reruns.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from ochat_eval import stats, store
from ochat_eval.comparison import Outcome, RunResults, TaskResults, Verdicts, flip_rates
from ochat_eval.config import build_tasks, load, nearest
from ochat_eval.index import Index
from ochat_eval.records import RULES, Item, Response, Rule, Score, UserError
from ochat_eval.task import Task

RECORDED = "recorded.json"
VERSION = 1
_LONGEST_ANSWER = 24
_ABOUT = (
    "overrides", "created", "ochat_eval", "git_revision", "python", "packages", "hardware",
)  # fmt: skip


# --- Where a run is -----------------------------------------------------------------------------


def shipped(name: str = "") -> Path:
    """A file of results/recorded as it ships with this package; the folder itself without one."""
    return Path(str(resources.files("ochat_eval.results.recorded"))) / name


def recorded_folders() -> list[Path]:
    """Where recorded runs are looked for: ./results/recorded, then those that ship with us."""
    return [Path("results/recorded"), shipped()]


def find(name: str, runs: Path = Path("results/runs")) -> Path:
    """The folder of a run or a recorded run, given as a path or by its name.

    Raises:
        UserError: there is none; names those that there are.
    """
    places = [Path(name).expanduser(), runs / name, *(f / name for f in recorded_folders())]
    for place in places:
        if (place / store.MANIFEST).exists() or (place / RECORDED).exists():
            return place
    known = {
        path.parent.name
        for folder in (runs, *recorded_folders())
        for pattern in (store.MANIFEST, RECORDED)
        for path in folder.glob(f"*/{pattern}")
    }
    there = nearest(name, sorted(known)) if known else f"; there are no runs in {runs}"
    raise UserError(f"{name}: there is no such run or recorded run{there}")


def read(name: str, runs: Path = Path("results/runs")) -> RunResults:
    """A run, or a recorded run.

    Raises:
        UserError: there is none, or it is damaged or not scored.
    """
    folder = find(name, runs)
    return read_recorded(folder) if (folder / RECORDED).exists() else read_run(folder)


def flip_rates_of(psi: str, tasks: Sequence[str], runs: Path) -> dict[str, float]:
    """ψ by benchmark as --psi gives it: one number for all, or what a recorded run measured.

    Raises:
        UserError: neither a number from 0 to 1 nor a recorded run with reruns.
    """
    try:
        rate = float(psi)
    except ValueError:
        measured = read(psi, runs)
        rates = {k: flip_rates(v, "published", measured.runs) for k, v in measured.tasks.items()}
        found = {name: rate[0] for name, rate in rates.items() if rate is not None}
        if not found:
            raise UserError(f"--psi {psi}: it has no flip rates; record it with reruns") from None
        return found
    if not 0 <= rate <= 1:
        raise UserError(f"--psi is {psi}; a flip rate lies from 0 to 1")
    return dict.fromkeys(tasks, rate)


# --- A run's folder -----------------------------------------------------------------------------


def read_run(folder: Path) -> RunResults:
    """The results of a run's folder; no text is kept.

    Raises:
        UserError: the run is damaged, or has no scores yet.
    """
    if not (folder / store.MANIFEST).exists():
        raise UserError(f"{folder} is no run's folder: it has no {store.MANIFEST}")
    manifest = store.read_json(folder / store.MANIFEST)
    if not {"overrides", "identity", "items"} <= manifest.keys():
        raise UserError(f"{folder / store.MANIFEST} is no manifest of a run")
    for name, stage in (store.RESPONSES, "generate"), (store.SCORES, "score"):
        if not (folder / name).exists():
            raise UserError(f"{folder} has no {name} yet: run its command with stage={stage} first")
    tasks = {task.name: task for task in build_tasks(load(manifest["overrides"]))}
    outcomes: dict[str, dict[str, Outcome]] = {name: {} for name in tasks}
    with _indexes(folder) as (responses, scores):
        for item in store.read_records(folder / store.ITEMS, Item):
            task, given = tasks[item.task], responses.of(item.id)
            if len(given) == task.n * len(item.turns):
                outcome = _outcome(task, item, given, scores.of(item.id))
                outcomes[item.task][item.id] = outcome
    identity = manifest["identity"]
    return RunResults(
        name=folder.name,
        model=str(identity.get("model")),
        identity=identity,
        tasks={
            name: TaskResults(
                name=name,
                metric=task.metric,
                bounds=task.bounds,
                scale=task.scale,
                options=identity["tasks"][name],
                asked=manifest["items"][name]["asked"],
                of=manifest["items"][name]["of"],
                outcomes=_cluster_names(outcomes[name]),
            )
            for name, task in tasks.items()
        },
        about={key: manifest[key] for key in _ABOUT if key in manifest},
    )


def read_summary(folder: Path) -> dict[str, Any]:
    """A run's summary.json.

    Raises:
        UserError: there is none, or it is damaged.
    """
    path = folder / store.SUMMARY
    if not path.exists():
        raise UserError(f"{folder} has no {path.name}: run stage=report run={folder.name}")
    summary = store.read_json(path)
    if not isinstance(summary.get("tasks"), dict) or not {"model", "run"} <= summary.keys():
        raise UserError(f"{path} is no summary of a run: run stage=report again")
    return summary


def digest(text: str) -> str:
    """The first 16 hexadecimal digits of the text's SHA-256; lone surrogates are no error."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


def prompt_digest(item: Item) -> str:
    """Digest of what an item asks and accepts; see `comparison.Outcome`."""
    return digest(json.dumps([item.id, item.turns, item.target, item.choices]))


@contextlib.contextmanager
def _indexes(folder: Path) -> Iterator[tuple[Index[Response], Index[Score]]]:
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


def _outcome(task: Task, item: Item, given: Sequence[Response], scores: Sequence[Score]) -> Outcome:
    rules = {}
    keys = {(r.sample, r.turn) for r in given}
    for rule in RULES:
        ours = [s for s in scores if s.rule == rule]
        judged = [s.value for s in ours if s.value is not None]
        whole = len(judged) == len(ours) and keys == {(s.sample, s.turn) for s in ours}
        rules[rule] = Verdicts(
            answers=tuple(_without_text(s.answer) for s in ours),
            matched=tuple(s.matched for s in ours),
            values=(stats.mean(judged),) if whole else (),
            unmatched=(stats.mean([not s.matched for s in ours]),) if whole else (),
        )
    return Outcome(
        id=item.id,
        prompt=prompt_digest(item),
        cluster=digest(task.cluster(item)),
        stratum=task.stratum(item),
        responses=tuple(digest(r.text) for r in given),
        ends=tuple((r.finish_reason, r.prompt_tokens, r.completion_tokens) for r in given),
        rules=rules,
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


# --- Texts, of a few items ----------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """One item's responses in one run, and what a rule made of them, for people to read.

    Attributes:
        texts: the responses by sample and turn; None where the run is recorded without them.
        answers, value: as the rule read and valued them.
    """

    texts: tuple[str, ...] | None
    answers: tuple[str | None, ...]
    value: float


def answers(
    folder: Path, results: RunResults, ids: Iterable[str]
) -> dict[tuple[Rule, str], Answer]:
    """The named items' answers by rule and id: with their texts where the folder has them.

    Args:
        folder: of the run or recorded run that `results` was read from.
        ids: judged items of it.
    """
    outcomes = {i: o for task in results.tasks.values() for i, o in task.outcomes.items()}
    found: dict[tuple[Rule, str], Answer] = {}
    with contextlib.ExitStack() as stack:
        recorded = (folder / RECORDED).exists()
        indexes = None if recorded else stack.enter_context(_indexes(folder))
        for id_ in ids:
            texts = tuple(r.text for r in indexes[0].of(id_)) if indexes else None
            scores = indexes[1].of(id_) if indexes else []
            for rule, verdicts in outcomes[id_].rules.items():
                read_as = tuple(s.answer for s in scores if s.rule == rule)
                if verdicts.values:
                    read_as = read_as if indexes else verdicts.answers
                    found[rule, id_] = Answer(texts, read_as, verdicts.values[0])
    return found


# --- A recorded run -----------------------------------------------------------------------------


def combined(runs: Sequence[RunResults]) -> RunResults:
    """One run with its reruns' verdicts behind its own.

    Benchmarks of which nothing is judged are left out.

    Raises:
        UserError: a rerun did other work, or an item is missing or not judged in one of them.
    """
    first = runs[0]
    for rerun in runs[1:]:
        changed = store.differences(*(_work(run.identity) for run in (first, rerun)))
        if changed:
            raise UserError(
                f"{rerun.name} is no rerun of {first.name}, it did other work: {changed[0]}"
            )
    tasks = {}
    for name, task in first.tasks.items():
        judged = any(one.rules[rule].values for one in task.outcomes.values() for rule in RULES)
        if judged:
            for run in runs:
                _must_be_whole(run.name, run.tasks[name])
            tasks[name] = dataclasses.replace(
                task,
                outcomes={
                    id_: _with_reruns(one, [run.tasks[name].outcomes[id_] for run in runs])
                    for id_, one in task.outcomes.items()
                },
            )
    if not tasks:
        raise UserError(f"{first.name}: nothing in it is judged, so there is nothing to record")
    return dataclasses.replace(first, tasks=tasks, runs=len(runs))


def _work(identity: Mapping[str, Any]) -> dict[str, Any]:
    """What reruns must share: not the file of answers, where they were replayed."""
    return {key: value for key, value in identity.items() if key != "replay"}


def _must_be_whole(run: str, task: TaskResults) -> None:
    if task.missing:
        raise UserError(
            f"{run}: {task.missing:,} of {task.asked:,} items of {task.name} have no response; "
            "run its command again"
        )
    for one in task.outcomes.values():
        if not all(one.rules[rule].values for rule in RULES):
            raise UserError(f"{run}: {one.id} is not judged; run its command with stage=score")


def _with_reruns(one: Outcome, every: Sequence[Outcome]) -> Outcome:
    rules = {
        rule: dataclasses.replace(
            one.rules[rule],
            values=tuple(run.rules[rule].values[0] for run in every),
            unmatched=tuple(run.rules[rule].unmatched[0] for run in every),
        )
        for rule in RULES
    }
    return dataclasses.replace(one, rules=rules)


def write_recorded(folder: Path, recorded: RunResults) -> None:
    """Writes a recorded run, each of its two files whole or not at all."""
    with store.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    every = [one for task in recorded.tasks.values() for one in task.outcomes.values()]
    store.write_lines(folder / store.ITEMS, map(_to_line, every))
    store.write_json(
        folder / RECORDED,
        {
            "version": VERSION,
            "model": recorded.model,
            "runs": recorded.runs,
            "tasks": {n: _task_json(t, recorded.runs) for n, t in recorded.tasks.items()},
            "identity": recorded.identity,
            "about": recorded.about,
        },
    )


def _task_json(task: TaskResults, runs: int) -> dict[str, Any]:
    made: dict[str, Any] = {
        name: getattr(task, name) for name in ("metric", "bounds", "scale", "asked", "of")
    }
    for rule in RULES:
        first = [one.rules[rule].values[0] for one in task.outcomes.values()]
        psi, psi_unmatched = flip_rates(task, rule, runs) or (None, None)
        unmatched = [one.rules[rule].unmatched[0] for one in task.outcomes.values()]
        made[rule] = {
            "score": stats.mean(first) * task.scale,
            "unmatched": stats.mean(unmatched),
            "psi": psi,
            "psi_unmatched": psi_unmatched,
        }
    return made


def _to_line(one: Outcome) -> dict[str, Any]:
    line = {name: getattr(one, name) for name in ("id", "prompt", "stratum", "responses", "ends")}
    if one.cluster != one.id:
        line["cluster"] = one.cluster
    return {**line, **{rule: dataclasses.asdict(v) for rule, v in one.rules.items()}}


def read_recorded(folder: Path) -> RunResults:
    """A recorded run.

    Raises:
        UserError: it is damaged, or of a format that this version does not know.
    """
    head = store.read_json(folder / RECORDED)
    if head.get("version") != VERSION:
        raise UserError(f"{folder / RECORDED} has format {head.get('version')}; known: {VERSION}")
    outcomes: dict[str, dict[str, Outcome]] = {}
    for number, line in store.read_lines(folder / store.ITEMS):
        try:
            one = _from_line(line, head["runs"])
        except (KeyError, TypeError, ValueError) as e:
            raise UserError(
                f"{folder / store.ITEMS} line {number} is no recorded item: {e!r}"
            ) from e
        outcomes.setdefault(one.id.partition("/")[0], {})[one.id] = one
    try:
        tasks = {
            name: TaskResults(
                name=name,
                metric=task["metric"],
                bounds=tuple(task["bounds"]),
                scale=task["scale"],
                options=head["identity"]["tasks"][name],
                asked=task["asked"],
                of=task["of"],
                outcomes=outcomes.get(name, {}),
            )
            for name, task in head["tasks"].items()
        }
        results = RunResults(
            folder.name, head["model"], head["identity"], tasks, head["runs"], head["about"]
        )
    except (KeyError, TypeError) as e:
        raise UserError(f"{folder / RECORDED} is no recorded run: {e!r}") from e
    for task in results.tasks.values():
        if task.missing:
            raise UserError(
                f"{folder / store.ITEMS} has {len(task.outcomes):,} items of {task.name}, "
                f"{RECORDED} says {task.asked:,}: it is damaged; record it again"
            )
    return results


def _from_line(line: Mapping[str, Any], runs: int) -> Outcome:
    rules = {
        rule: Verdicts(**{name: tuple(value) for name, value in line[rule].items()})
        for rule in RULES
    }
    for verdicts in rules.values():
        if not len(verdicts.values) == len(verdicts.unmatched) == runs:
            raise ValueError(f"{len(verdicts.values)} values for {runs} runs")
    return Outcome(
        id=line["id"],
        prompt=line["prompt"],
        cluster=line.get("cluster", line["id"]),
        stratum=line["stratum"],
        responses=tuple(line["responses"]),
        ends=tuple(tuple(end) for end in line["ends"]),
        rules=rules,
    )
