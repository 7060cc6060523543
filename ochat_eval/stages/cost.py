"""What a run's answers cost: tokens, and hours of its engine and of GPUs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ochat_eval.terminal.words import counted, duration


def cost_line(summary: Mapping[str, Any], times: Iterable[Mapping[str, Any]]) -> str:
    """One line; empty where no answer tells its tokens or nothing was generated.

    Args:
        summary: summary.json.
        times: of the manifest; an engine's start is reckoned to the generating that follows. Of
            what runs did together each has an equal part.
    """
    tokens = [task["tokens"] for task in summary["tasks"].values()]
    prompts, answers = (sum(one[key] for one in tokens) for key in ("prompt", "completion"))
    seconds = on_gpus = starting = 0.0
    for one in times:
        if one["stage"] in ("start", "generate"):
            share = one["seconds"] / one.get("shared", 1)
            seconds += share
            starting += share
        if one["stage"] == "generate":
            on_gpus, starting = on_gpus + one.get("gpus", 0) * starting, 0.0
    if not answers or not seconds:
        return ""
    hours = f", {counted(round(on_gpus / 3600, 2), 'GPU hour')}" if on_gpus else ""
    return (
        f"cost: {prompts:,} tokens of prompts and {answers:,} of answers, {duration(seconds)} of "
        f"the engine{hours}"
    )
