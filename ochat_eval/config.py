"""The configuration: Hydra composes it, dataclasses check it, and mistakes get one clear line.

`engine.X=…` and `tasks.NAME.X=…` may name any option of the engine or the task, whether or not
its YAML file lists it; the classes named in the YAML files say which there are.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hydra import compose, initialize_config_module
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from ochat_eval.config_groups import GROUPS, options
from ochat_eval.engines import Engine
from ochat_eval.models import Model
from ochat_eval.records import UserError
from ochat_eval.sources import Source
from ochat_eval.task import Task

if TYPE_CHECKING:
    from ochat_eval.judging import Judge

TARGET_PREFIXES = ("ochat_eval.tasks.", "ochat_eval.engines.", "ochat_eval.judging.")
"""A configuration file can name classes of these packages only."""


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


class Overlong(StrEnum):
    """What becomes of a prompt that is longer than the context."""

    error = "error"
    truncate = "truncate"


@dataclass
class Config:
    """Every option of a run; conf/config.yaml has the values and what they mean."""

    stage: Stage = Stage.all
    run: str | None = None
    results: str = "results/runs"
    limit: int | None = None
    max_tokens: int | None = None
    seed: int = 0
    ids: str | None = None
    shuffle: int | None = None
    tokens_per_second: float | None = None
    data: Data = Data.full
    sandbox: Sandbox = Sandbox.bwrap
    workers: int | None = None
    overlong: Overlong = Overlong.error
    tasks: dict[str, Any] = field(default_factory=dict)
    model: Any = None
    engine: Any = None
    judge: Any = None


ConfigStore.instance().store("schema", Config)


def load(overrides: Sequence[str]) -> Config:
    """Composes and checks the configuration of a run.

    Args:
        overrides: Hydra overrides as on the command line: `task=gsm8k`, `limit=40`.

    Raises:
        UserError: an unknown option, value or file, with the nearest right name.
    """
    config: Config = compose_file("config", Config, overrides)
    if not config.tasks:
        raise UserError("no task is chosen; write task=gsm8k, or task=[gsm8k,humaneval]")
    if config.tokens_per_second is not None and not config.tokens_per_second > 0:
        raise UserError(f"tokens_per_second={config.tokens_per_second:g}; it must be above 0")
    if config.run is not None and not re.fullmatch(r"[\w.+-]*[\w+-]", config.run):
        raise UserError(
            f"run={config.run}: a run's name has letters, digits, '.', '_', '+', '-' only"
        )
    return config


def compose_file(file: str, schema: type, overrides: Sequence[str]) -> Any:
    """An object of `schema` made of a file of conf/ and overrides; its `model` is a `Model`.

    Raises:
        UserError: an unknown option, value or file, with the nearest right name.
    """
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals:
            raise UserError(f"{override!r} is no option: write NAME=VALUE, as in model=hf")
        if key.lstrip("+~") in ("_target_", "hydra") or "._target_" in key or "hydra" in key:
            raise UserError(f"{key}: this cannot be set from the command line")
        if key in GROUPS:
            _check_choice(key, value)
    known = [*(f.name for f in dataclasses.fields(schema) if f.name != "tasks"), "task"]
    GlobalHydra.instance().clear()
    try:
        with initialize_config_module("ochat_eval.conf", version_base="1.3"):
            composed = compose(file, [_open(override) for override in overrides])
        config: Any = OmegaConf.to_object(composed)
    except (HydraException, OmegaConfBaseException) as e:
        raise UserError(_explain(e, overrides, known)) from e
    config.model = _typed(Model, config.model or {}, "model")
    return config


def _open(override: str) -> str:
    """Lets `engine.` and `tasks.` options be named that the YAML files do not list."""
    groups = ("engine.", "model.", "tasks.", "judge.")
    return f"++{override}" if override.startswith(groups) else override


def _check_choice(key: str, value: str) -> None:
    """Refuses a file of a group that is not there."""
    known = options(key)
    for name in (one.strip() for one in value.strip("[]").split(",")):
        if name not in known and value != "[]":
            raise UserError(f"{key}={name}: there is no such {key}{nearest(name, known)}")


def _explain(error: Exception, overrides: Sequence[str], known: Sequence[str]) -> str:
    """One line for what Hydra refused, naming the option and the nearest right one."""
    lower: BaseException = error
    while lower.__cause__ is not None:
        lower = lower.__cause__
    if isinstance(lower, MissingMandatoryValue):
        return f"{lower.full_key} is not set: write {lower.full_key}=VALUE"
    if isinstance(error, OverrideParseException):
        given = str(error.override)
        if given.startswith("++"):  # `_open`'s mark; an address may hold a key
            given = given.removeprefix("++").partition("=")[0]
        return f"{given}: this cannot be read as NAME=VALUE (quotes or brackets?)"
    reason = (str(lower).splitlines() or [type(lower).__name__])[0]
    for override in overrides:
        key, _, value = override.partition("=")
        if f"'{key}'" in str(error) or f"full_key: {key}" in str(lower) or override in str(error):
            if "not in" in reason or "Could not override" in reason:
                return f"{key}: there is no such option{nearest(key, known)}"
            if reason.startswith("Ambiguous value"):
                return f"{key}={value}: a list is written in brackets: {key}=[{value}]"
            return f"{key}={value}: {reason}"
    return reason


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean X?`, or all that there is where nothing is near."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"


T = TypeVar("T")


def build(node: Any, base: type[T], where: str, **given: Any) -> T:
    """An object of the class that a configuration node names in `_target_`.

    Args:
        node: the mapping: `_target_` and the options.
        base: what the class must be derived from.
        where: the node's place, for messages: `engine`, `tasks.gsm8k`.
        given: options that the harness sets.

    Raises:
        UserError: no `_target_`, one outside `TARGET_PREFIXES`, or an option that the class
            does not have or cannot take.
    """
    values = {str(k): v for k, v in dict(node or {}).items()}
    target = values.pop("_target_", None)
    if target is None:
        raise UserError(
            f"{where} is set but not chosen: choose it with {where.partition('.')[0]}=…"
        )
    return _typed(_class(str(target), base, where), values, where, **given)


def _typed(cls: type[T], values: dict[str, Any], where: str, **given: Any) -> T:
    """An object of a dataclass; unknown options and values of the wrong type are refused."""
    known = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
    extra = {name: value for name, value in values.items() if name not in known}
    if extra and "arguments" in known:
        own = [name for name in known if name != "arguments"]
        for name in extra:  # others are refused by what the arguments are for, but much later
            if near := difflib.get_close_matches(name, own, n=1, cutoff=0.85):
                raise UserError(f"{where}.{name}: there is no such option; did you mean {near[0]}?")
        given["arguments"] = {**values.get("arguments", {}), **extra}
    elif extra:
        visible = [name for name in known if name not in given]
        name = next(iter(extra))
        raise UserError(f"{where}.{name}: there is no such option{nearest(name, visible)}")
    named = {name: value for name, value in values.items() if name in known}
    try:
        filled = OmegaConf.create({**named, **given})
        made: Any = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(cls), filled))
    except OmegaConfBaseException as e:
        if isinstance(e, MissingMandatoryValue):
            raise UserError(f"{where}.{e.key} is not set: write {where}.{e.key}=VALUE") from e
        raise UserError(f"{where}.{e.full_key or e.key}: {str(e).splitlines()[0]}") from e
    return made  # type: ignore[no-any-return]


def _class(target: str, base: type[T], where: str) -> type[T]:
    module, _, name = target.rpartition(".")
    if not target.startswith(TARGET_PREFIXES):
        raise UserError(
            f"{where}._target_ is {target}: a configuration may name only classes under "
            f"{' or '.join(p.rstrip('.') for p in TARGET_PREFIXES)}"
        )
    try:
        cls = getattr(importlib.import_module(module), name, None)
    except ModuleNotFoundError as e:
        if e.name is None or not module.startswith(e.name):
            raise
        cls = None
    if not (isinstance(cls, type) and issubclass(cls, base) and dataclasses.is_dataclass(cls)):
        raise UserError(f"{where}._target_ is {target}: there is no such {base.__name__.lower()}")
    return cls  # type: ignore[return-value]


def build_tasks(config: Config) -> list[Task]:
    """The chosen benchmarks, in the order chosen, the run's options filled in."""
    tasks = []
    for name, node in config.tasks.items():
        task = build(node, Task, f"tasks.{name}", name=name)
        tasks.append(
            dataclasses.replace(
                task,
                limit=config.limit if task.limit is None else task.limit,
                max_tokens=_least(config.max_tokens, task.max_tokens),
                data=config.data.value if task.data is None else task.data,
                condition=task.condition if config.model.conditions else None,
            )
        )
    return tasks


def changed_options(tasks: Iterable[Task]) -> dict[str, list[str]]:
    """By task, the options that can change its score and are not as its YAML file has them.

    Which items are asked (`data`, `limit`, `subsets`) is not among them, nor the chat format's
    condition, which is the model's.
    """
    known = {task.name: task for task in tasks}
    named = [name for name in known if name in options("task")]
    usual = build_tasks(load([f"task=[{','.join(named)}]"])) if named else []
    apart = ("name", "data", "limit", "subsets", "condition")
    found: dict[str, list[str]] = {name: [] for name in known}
    for one in usual:
        chosen = known[one.name].options()
        for key, value in one.options().items():
            if key not in apart and chosen[key] != value:
                found[one.name].append(f"{key}={chosen[key]}")
    return found


def _least(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else min(one, other)


def build_engine(config: Config) -> Engine:
    """The chosen engine, not yet started."""
    return build(config.engine, Engine, "engine")


def build_judge(config: Config) -> Judge | None:
    """The chosen judge; None where none is chosen. Raises UserError if it cannot work."""
    if not config.judge:
        return None
    from ochat_eval.judging import Judge

    judge = build(config.judge, Judge, "judge")
    judge.check(judge.where)
    return judge


def all_sources(chosen: Sequence[str]) -> list[Source[Any]]:
    """The pinned data of tasks, for `ochat_eval.pull`.

    Args:
        chosen: names of tasks (none: all), and `NAME=VALUE` options of them.

    Raises:
        UserError: an unknown task or option.
    """
    names = [name for name in chosen if "=" not in name] or ["all"]
    overrides = [option for option in chosen if "=" in option]
    tasks = build_tasks(load([f"task=[{','.join(names)}]", *overrides, "data=full"]))
    return list(dict.fromkeys(source for task in tasks for source in task.sources()))


def to_yaml(config: Config) -> str:
    """The resolved configuration as YAML."""
    return OmegaConf.to_yaml(DictConfig(OmegaConf.structured(config)), resolve=True)


def results_folder(config: Config) -> Path:
    """The folder of all runs."""
    return Path(config.results).expanduser()
