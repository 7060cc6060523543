"""What a run will take, from what earlier ones took: tokens of the answers, and hours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ochat_eval import store
from ochat_eval.records import UserError


@dataclass(frozen=True)
class Earlier:
    """What is known of an earlier run.

    Attributes:
        name, model: the run's and its model's.
        answers: by benchmark, the mean length of an answer, in tokens.
        rate: tokens of answers written in a second while it generated; None where it did not.
        hardware: what it ran on.
    """

    name: str
    model: str
    answers: Mapping[str, float]
    rate: float | None
    hardware: str


@dataclass(frozen=True)
class Estimate:
    """Tokens of a benchmark's answers, in all, and what they are derived from; None: unknown."""

    tokens: float | None
    source: str


def earlier_runs(folder: Path) -> list[Earlier]:
    """The reported runs under a results folder, the latest first; a damaged one is passed over."""
    paths = sorted(folder.glob(f"*/{store.SUMMARY}"), key=lambda p: p.stat().st_mtime, reverse=True)
    return [one for path in paths for one in _read(path.parent)]


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
    mean = chosen.answers[task] if longest is None else min(longest, chosen.answers[task])
    whose = chosen.name if chosen.model == model else f"{chosen.name} ({chosen.model})"
    return Estimate(mean * answers, whose)


def rate(model: str, given: float | None, earlier: Iterable[Earlier]) -> tuple[float | None, str]:
    """Tokens a second, and where that is from: the option, or the latest run of this model."""
    if given is not None:
        return given, "tokens_per_second"
    for one in earlier:
        if one.model == model and one.rate is not None:
            return one.rate, f"{one.name} on {one.hardware}"
    return None, ""
