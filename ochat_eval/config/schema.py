"""Every option of a run, typed."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Stage(StrEnum):
    """How far a run goes; each stage but `all` does its own part."""

    all = "all"
    plan = "plan"
    generate = "generate"
    score = "score"
    report = "report"


class Data(StrEnum):
    """The benchmarks themselves, or the few sample items that the repository ships."""

    full = "full"
    sample = "sample"


class Sandbox(StrEnum):
    """How model-written code is isolated."""

    bwrap = "bwrap"
    none = "none"


class Until(StrEnum):
    """When a run asks no further, before all is asked."""

    decided = "decided"


Mode = StrEnum("Mode", {"same": "same", "no-worse": "no-worse"})
"""What until=decided asks of a run, as the gate does."""


class Overlong(StrEnum):
    """What becomes of a prompt that is longer than the context."""

    error = "error"
    truncate = "truncate"


AUTO = "auto"
"""In place of a `limit`: as many items as a precision takes."""


@dataclass
class Config:
    """Every option of a run; conf/config.yaml has the values and what they mean."""

    stage: Stage = Stage.all
    run: str | None = None
    models: Any = None
    results: str = "results/runs"
    limit: int | str | None = None
    precision: float = 0.5
    max_tokens: int | None = None
    sampling: Any = "published"
    seed: int = 0
    ids: str | None = None
    step: int | None = None
    until: Until | None = None
    against: Any = None
    margin: float | None = None
    gate: Mode = Mode.same
    reuse: str | None = None
    shuffle: int | None = None
    show: int = 0
    tokens_per_second: float | None = None
    data: Data = Data.full
    sandbox: Sandbox = Sandbox.bwrap
    workers: int | None = None
    overlong: Overlong = Overlong.error
    tasks: dict[str, Any] = field(default_factory=dict)
    model: Any = None
    engine: Any = None
    judge: Any = None
    trackers: dict[str, Any] = field(default_factory=dict)
