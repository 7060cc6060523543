"""The options that an engine, a judge, a model, a task has, by their whole names."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from ochat_eval.benchmark.task import Task
from ochat_eval.config.build import class_of
from ochat_eval.config.groups import node
from ochat_eval.engines.engine import Engine
from ochat_eval.engines.judge import Judge
from ochat_eval.engines.vllm_build import vllm_arguments
from ochat_eval.model.model import Model
from ochat_eval.records import UserError

NESTED = ("tasks", "model", "engine", "judge", "trackers")
"""What has options of its own in the configuration."""


def nested(group: str, chosen: Mapping[str, str]) -> Iterator[str]:
    """The options of what is chosen: `engine.dtype`, `tasks.gsm8k.num_fewshot`.

    Args:
        group: one of `NESTED`; there is nothing of any other.
        chosen: the command line: `engine` -> `vllm`.
    """
    if group == "model":
        yield from (f"model.{f.name}" for f in dataclasses.fields(Model))
    elif group in ("engine", "judge"):
        base: type = Engine if group == "engine" else Judge
        name = chosen.get(group, "vllm" if group == "engine" else "local")
        for option in _fields(group, name, base):
            yield f"{group}.{option}"
    elif group == "trackers":
        for name in chosen.get("track", "none").strip("[]").split(","):
            options_of = (key for key in node("track", name) if key != "_target_")
            yield from (f"trackers.{name}.{option}" for option in options_of)
    elif group == "tasks":
        for name in chosen.get("task", "gsm8k").strip("[]").split(","):
            yield from (f"tasks.{name}.{option}" for option in _fields("task", name, Task))


def _fields(group: str, name: str, base: type) -> list[str]:
    target = node(group, name).get("_target_")
    try:
        cls: type = class_of(str(target), base, f"{group}._target_")
    except UserError:
        return []
    names = [f.name for f in dataclasses.fields(cls)]
    more = sorted(vllm_arguments()) if "arguments" in names else []
    return [name for name in (*names, *more) if name not in ("name", "arguments")]
