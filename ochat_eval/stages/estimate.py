"""What a run will take, from what earlier ones took: tokens of the answers, and hours."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Annotated, Any

import msgspec

from ochat_eval.baseline.find import RECORDED, recorded_folders
from ochat_eval.baseline.recorded import read_recorded
from ochat_eval.records import UserError
from ochat_eval.run import store
from ochat_eval.run.manifest import read_facts
from ochat_eval.terminal.words import counted, plain


@dataclass(frozen=True)
class Earlier:
    """What is known of an earlier run.

    Attributes:
        name, model: the run's and its model's.
        answers: by benchmark, the mean length of an answer, in tokens.
        rate: tokens of answers written in a second while it generated; None where it did not.
        hardware: what it ran on.
        limits: by benchmark, the tokens after which it cut an answer off, where it did.
    """

    name: str
    model: str
    answers: Mapping[str, float]
    rate: float | None
    hardware: str
    limits: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Estimate:
    """Tokens of a benchmark's answers, in all, and what they are derived from; None: unknown."""

    tokens: float | None
    source: str


def earlier_runs(folder: Path) -> list[Earlier]:
    """The reported runs under a results folder, the latest first; a damaged one is passed over."""
    paths = sorted(folder.glob(f"*/{store.SUMMARY}"), key=lambda p: p.stat().st_mtime, reverse=True)
    return [one for path in paths for one in _read(path.parent)]


def recorded_runs() -> list[Earlier]:
    """The recorded runs, which tell how long answers are but not how fast they were written."""
    paths = [p for folder in recorded_folders() for p in sorted(folder.glob(f"*/{RECORDED}"))]
    return [one for path in paths for one in _read_recorded(path.parent)]


def _read_recorded(folder: Path) -> Iterator[Earlier]:
    with contextlib.suppress(UserError):  # damaged: it tells nothing
        store.check_files(folder)
        run = read_recorded(folder)
        lengths = {
            name: [end[2] for o in task.outcomes.values() for end in o.ends if end[2] is not None]
            for name, task in run.tasks.items()
        }
        answers = {name: mean(every) for name, every in lengths.items() if every}
        tasks = {name: task.options for name, task in run.tasks.items()}
        yield Earlier(plain(folder.name), plain(run.model), answers, None, "", _limits(tasks))


def _limits(tasks: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    limits = {name: options.get("max_tokens") for name, options in tasks.items()}
    return {name: limit for name, limit in limits.items() if isinstance(limit, int)}


@dataclass(frozen=True)
class _Tokens:
    """Of summary.json, the tokens of a benchmark's answers."""

    answers: int
    completion: int


@dataclass(frozen=True)
class _Part:
    tokens: _Tokens


@dataclass(frozen=True)
class _Summary:
    model: str
    tasks: dict[str, _Part]


@dataclass(frozen=True)
class _Time:
    stage: str
    seconds: float
    shared: Annotated[int, msgspec.Meta(ge=1)] = 1


@dataclass(frozen=True)
class _Hardware:
    """Of manifest.json, what the run ran on."""

    cores: int | None = None
    gpus: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        if self.gpus:
            return plain(f"{len(self.gpus)} x {self.gpus[0]}")
        return "unknown" if self.cores is None else counted(self.cores, "CPU core")


@dataclass(frozen=True)
class _Manifest:
    times: list[_Time]
    hardware: _Hardware
    reused: dict[str, int] = field(default_factory=dict)


def _read(folder: Path) -> Iterator[Earlier]:
    """What a run's folder tells, as plain values of these types; nothing where it is damaged."""
    with contextlib.suppress(UserError, msgspec.ValidationError):
        store.check_files(folder)
        facts = read_facts(folder / store.MANIFEST)
        manifest = msgspec.convert(store.read_json(folder / store.MANIFEST), _Manifest)
        summary = msgspec.convert(store.read_json(folder / store.SUMMARY), _Summary)
        tokens = {name: part.tokens for name, part in summary.tasks.items()}
        seconds = sum(t.seconds / t.shared for t in manifest.times if t.stage == "generate")
        written = sum(one.completion for one in tokens.values())
        # Answers that were only copied say nothing of the time that they took.
        copied = "replay" in facts.identity or manifest.reused
        ours = not copied and seconds > 0 and written > 0
        served = facts.identity.get("chat") == "server"
        yield Earlier(
            name=plain(folder.name),
            model=plain(summary.model),
            answers={n: t.completion / t.answers for n, t in tokens.items() if t.answers > 0},
            rate=written / seconds if ours else None,
            hardware="a server" if served else str(manifest.hardware),
            limits=_limits(facts.tasks),
        )


def answer_tokens(
    task: str, answers: int, longest: int | None, model: str, earlier: Iterable[Earlier]
) -> Estimate:
    """The tokens of so many answers, by the latest run of this model, else of any.

    Args:
        longest: the run's limit of an answer, in tokens; None for none.
    """
    known = [one for one in earlier if task in one.answers]
    chosen = next((one for one in known if one.model == model), known[0] if known else None)
    if chosen is None:
        return Estimate(None, "no earlier run")
    per_answer = chosen.answers[task] if longest is None else min(longest, chosen.answers[task])
    whose = chosen.name if chosen.model == model else f"{chosen.name} ({chosen.model})"
    limit = chosen.limits.get(task)
    if limit is not None and (longest is None or limit < longest):
        whose += f", cut at {limit}"
    return Estimate(per_answer * answers, whose)


def rate(model: str, given: float | None, earlier: Iterable[Earlier]) -> tuple[float | None, str]:
    """Tokens a second, and where that is from: the option, or the latest run of this model."""
    if given is not None:
        return given, "tokens_per_second"
    for one in earlier:
        if one.model == model and one.rate is not None:
            return one.rate, f"{one.name} on {one.hardware}"
    return None, ""


def all_answers(answers: Iterable[Estimate]) -> Estimate:
    """The sum; unknown if one is."""
    tokens = [one.tokens for one in answers]
    known = [t for t in tokens if t is not None]
    return Estimate(sum(known) if len(known) == len(tokens) else None, "")


def time_line(answers: Iterable[Estimate], rate: float | None, source: str) -> str:
    """How long generating will take, or what is needed to tell."""
    tokens = all_answers(answers).tokens
    if tokens is None:
        return (
            "time: unknown, for no earlier run tells how long all these answers are;\n"
            "  a short one does (limit=20)"
        )
    if rate is None:
        return (
            "time: unknown, for no earlier run of this model tells its rate;\n"
            "  give it with tokens_per_second=N"
        )
    hours = tokens / rate / 3600
    shown = f"about {hours:.1f} hours" if hours >= 1 else f"about {60 * hours:.1f} minutes"
    shown = shown if hours >= 1 / 60 else "less than a minute"
    return f"time: {shown} at {rate:,.0f} tokens of answers a second ({source})"
