"""What a run will take, from what earlier ones took: tokens of the answers, and hours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

from ochat_eval.baseline.find import RECORDED, recorded_folders
from ochat_eval.baseline.recorded import read_recorded
from ochat_eval.records import UserError
from ochat_eval.run import store


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
    try:
        run = read_recorded(folder)
        lengths = {
            name: [end[2] for o in task.outcomes.values() for end in o.ends if end[2] is not None]
            for name, task in run.tasks.items()
        }
        answers = {name: mean(every) for name, every in lengths.items() if every}
        yield Earlier(folder.name, run.model, answers, None, "", _limits(run.identity))
    except (UserError, KeyError, TypeError, AttributeError):
        return


def _limits(identity: Mapping[str, Any]) -> dict[str, int]:
    limits = {name: task["max_tokens"] for name, task in identity["tasks"].items()}
    return {name: limit for name, limit in limits.items() if limit is not None}


def _read(folder: Path) -> Iterator[Earlier]:
    try:
        summary = store.read_json(folder / store.SUMMARY)
        manifest = store.read_json(folder / store.MANIFEST)
        tokens = {name: task["tokens"] for name, task in summary["tasks"].items()}
        seconds = sum(t["seconds"] for t in manifest["times"] if t["stage"] == "generate")
        written = sum(one["completion"] for one in tokens.values())
        # A replay only copies answers: it says nothing of the time that they took.
        ours = "replay" not in manifest["identity"] and seconds > 0 and written > 0
        yield Earlier(
            name=folder.name,
            model=summary["model"],
            answers={n: t["completion"] / t["answers"] for n, t in tokens.items() if t["answers"]},
            rate=written / seconds if ours else None,
            hardware=_hardware(manifest["hardware"]),
            limits=_limits(manifest["identity"]),
        )
    except (UserError, KeyError, TypeError, AttributeError):
        return


def _hardware(hardware: Mapping[str, Any]) -> str:
    gpus: Sequence[str] = hardware.get("gpus") or ()
    return f"{len(gpus)} x {gpus[0]}" if gpus else f"{hardware['cores']} CPU cores"


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
            "time: unknown, for no earlier run tells how long all these answers are; a short one "
            "does (limit=20)"
        )
    if rate is None:
        return (
            "time: unknown, for no earlier run of this model tells its rate; give it with "
            "tokens_per_second=N"
        )
    hours = tokens / rate / 3600
    shown = f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.1f} minutes"
    return f"time: about {shown} at {rate:,.0f} tokens of answers a second ({source})"
