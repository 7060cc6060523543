"""What makes two runs the same work: the identity that a run's manifest holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

_OF_THE_WORK = ("prompts", "seed", "overlong", "tasks")
"""What is asked, and how; the rest of an identity is engine and model."""

_MODEL_OPTIONS = "model_options"
_ASK_OTHERWISE = ("template", "template_kwargs", "system", "thinking_budget")
"""Options of a model with which it is asked otherwise than the published figures' models were."""
STOP_LOOPS = "stop_loops"
"""An engine's option that ends answers which the published figures' models could go on with."""
_LONGEST_SHOWN = 60


def with_model_options(engine: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The engine's part of an identity with the model's options that are not at their defaults.

    Where all are there is nothing of them, so that runs of before there were such options go on.
    """
    return {**engine, **({_MODEL_OPTIONS: dict(changes)} if changes else {})}


def asked_otherwise(identity: Mapping[str, Any]) -> list[str]:
    """The options of a run's model and engine that are not of the published setting.

    Returns:
        `option=value` each.
    """
    options = identity.get(_MODEL_OPTIONS)
    found = [("model.chat", "raw")] if identity.get("chat") == "raw" else []
    if isinstance(options, Mapping):
        found += [
            (f"model.{name}", str(options[name])) for name in _ASK_OTHERWISE if name in options
        ]
    if STOP_LOOPS in identity:
        found.append((f"engine.{STOP_LOOPS}", str(identity[STOP_LOOPS])))
    return [
        f"{name}={value if len(value) <= _LONGEST_SHOWN else value[:_LONGEST_SHOWN] + '…'}"
        for name, value in found
    ]


def identity(
    engine: Mapping[str, Any],
    *,
    prompts: str,
    seed: int,
    overlong: str,
    tasks: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """The identity of a run.

    Args:
        engine: what of engine and model can change an answer (`Engine.identity`).
        prompts: the digest over all of items.jsonl.
        seed: of the limit's sample and of sampled answers.
        overlong: what becomes of a prompt that is longer than the context.
        tasks: each benchmark's options.
    """
    return {**engine, "prompts": prompts, "seed": seed, "overlong": overlong, "tasks": dict(tasks)}


def engine_part(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Of an identity, what is the engine's and the model's."""
    return {key: value for key, value in identity.items() if key not in _OF_THE_WORK}


def short_digest(identity: Mapping[str, Any]) -> str:
    """Ten hexadecimal digits for a default name: another identity gives others."""
    return hashlib.sha256(repr(sorted(flat(identity))).encode()).hexdigest()[:10]


def differences(there: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The leaves in which two identities differ, a phrase each: `seed: 0 there, 1 now`."""
    old, new = dict(flat(there)), dict(flat(now))
    return [
        f"{key}: {old.get(key, 'absent')} there, {new.get(key, 'absent')} now"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]


def flat(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """The leaves of nested mappings: dotted key and the value as JSON."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from flat(inner, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, json.dumps(value, ensure_ascii=False, sort_keys=True)
