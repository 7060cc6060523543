"""What a run is to do, as plain typed values: all that leaves this room."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ochat_eval.benchmark.task import Task
from ochat_eval.config.schema import Stage
from ochat_eval.engines.engine import Engine
from ochat_eval.engines.judge import Judge
from ochat_eval.model.model import Model
from ochat_eval.run.manifest import Facts


@dataclass(frozen=True)
class Gated:
    """What ends a run early: a gate that can tell.

    Attributes:
        against: the recorded run.
        mode: `same` or `no-worse`.
        margin: in points; None: by the noise of the recorded reruns.
    """

    against: str
    mode: Literal["same", "no-worse"]
    margin: float | None


@dataclass(frozen=True, kw_only=True)
class Job:
    """A command line, composed and checked.

    Attributes:
        stage: how far to go.
        results: the folder of all runs.
        run: the run's name in it; None: named after model, engine and what is asked.
        tasks: the benchmarks by name, in the order chosen, the run's options filled in.
        changed: by benchmark, the options that can change its score and are not as published.
        model: whose answers are wanted.
        engine: what gives them, not yet started.
        judge: who rates answers; None: nobody.
        seed: of the sample that a limit draws, and of sampled answers.
        ids: ask only these items; None: all.
        step: the training step that the model is of; None: nobody said.
        trackers: who is told of the finished run, by name: the class and its options, not checked.
        until: ask no further once this is decided; None: ask all.
        controls: the earlier runs that tell a limited one's scores better.
        auto_limit: whether they tell, too, how many items of each benchmark are asked.
        precision: of the benchmarks' average with so many, half its interval, in points.
        reuse: take answers from this earlier run, or `auto`: from all; None: from none.
        shuffle: seed of another order of asking; None: the plan's.
        truncate_overlong: whether a prompt longer than the context keeps its last tokens.
        show: how many prompts of each task a dry run prints whole.
        tokens_per_second: the rate that a dry run reckons with; None: an earlier run's.
        sandbox: how model-written code is isolated: `bwrap` or `none`.
        workers: processes for code execution, for symbolic grading, and to read many answers.
        known: of a run on disk that is scored or reported again, what its folder says it is.
        arguments: the command line, for people to read in the manifest.
        resolved: gives the configuration as YAML, for people to read in config.yaml.
    """

    stage: Stage
    results: Path
    run: str | None
    tasks: Mapping[str, Task]
    changed: Mapping[str, Sequence[str]]
    model: Model
    engine: Engine
    judge: Judge | None
    seed: int
    ids: Collection[str] | None
    step: int | None
    trackers: Mapping[str, Any]
    until: Gated | None
    controls: tuple[str, ...]
    auto_limit: bool
    precision: float
    reuse: str | None
    shuffle: int | None
    truncate_overlong: bool
    show: int
    tokens_per_second: float | None
    sandbox: str
    workers: int
    known: Facts | None
    arguments: Sequence[str]
    resolved: Callable[[], str]
