"""What makes two runs the same work: the identity that a run's manifest holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

_OF_THE_WORK = ("prompts", "seed", "overlong", "tasks")
"""What is asked, and how; the rest of an identity is engine and model."""

MODEL_OPTIONS = "model_options"
"""Of an identity, the model's options that are not at their defaults."""
STOP_LOOPS = "stop_loops"
"""An engine's option that ends answers which the published figures' models could go on with."""
ADAPTER = "adapter"
"""The digest of the adapter that the model is asked with; absent where there is none."""
LIVE = "live"
"""Of an engine over what a program held: what that was. No command line makes such a run again."""
OWN_SAMPLING = "own_sampling"
"""Of such an engine, that it draws answers in its own way, whatever the benchmark says."""


def with_model_options(engine: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The engine's part of an identity with the model's options that are not at their defaults.

    Where all are there is nothing of them, so that runs of before there were such options go on.
    """
    return {**engine, **({MODEL_OPTIONS: dict(changes)} if changes else {})}


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
