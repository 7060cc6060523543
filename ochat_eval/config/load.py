"""From a command line to a `Job`: composed once, here."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from ochat_eval.benchmark.task import Task
from ochat_eval.config import hidden
from ochat_eval.config.again import published_row, tasks_of
from ochat_eval.config.build import build, changed_options
from ochat_eval.config.compose import load, to_yaml
from ochat_eval.config.job import Gated, Job
from ochat_eval.config.sampling import chosen_sampling
from ochat_eval.config.schema import AUTO, Config, Mode, Overlong, Stage
from ochat_eval.data.source import Source
from ochat_eval.engines.engine import Engine
from ochat_eval.engines.judge import Judge
from ochat_eval.engines.live import Live
from ochat_eval.model.model import Model
from ochat_eval.records import UserError
from ochat_eval.run import store
from ochat_eval.run.identity import LIVE
from ochat_eval.run.manifest import Facts, read_facts


def job(arguments: Sequence[str], live: Live | None = None) -> Job:
    """What a command line asks for.

    `stage=score` and `stage=report` of a run that is there take from its folder what the run is
    (`again`), and everything else from the command line.

    Args:
        live: an engine that a Python program holds, in the place of the one that is named.

    Raises:
        UserError: an unknown option, value or file, with the nearest right name.
    """
    config = load(arguments)
    shown = list(map(hidden.argument, arguments))
    if live is not None:
        config.engine = {LIVE: live.kind}
        shown.append(f"(from Python: engine={live.kind})")
    named = {argument.partition("=")[0] for argument in arguments}
    results = Path(config.results).expanduser()
    known = _known(config, results)
    ids = store.read_ids(Path(config.ids).expanduser()) if config.ids else None
    if known is None:
        tasks, model = build_tasks(config, named), config.model
    else:
        tasks, model = _tasks_again(config, known, named), _model_again(config, known, named)
        if ids is None and known.only_ids:
            ids = store.read_ids(results / str(config.run) / store.ITEMS)
    return Job(
        stage=config.stage,
        results=results,
        run=config.run,
        tasks=tasks,
        changed={name: changed_options(task, model.published) for name, task in tasks.items()},
        model=model,
        engine=build(config.engine, Engine, "engine") if live is None else live,
        judge=_judge(config),
        seed=known.seed if known and "seed" not in named else config.seed,
        ids=ids,
        step=config.step,
        trackers=config.trackers,
        until=_gated(config, named, tasks),
        controls=_against(config) if config.until is None else (),
        auto_limit=known is None and _is_auto(config, named, tasks),
        precision=config.precision,
        reuse=config.reuse,
        shuffle=config.shuffle,
        truncate_overlong=(
            known.overlong if known and "overlong" not in named else config.overlong.value
        )
        == Overlong.truncate,
        show=config.show,
        tokens_per_second=config.tokens_per_second,
        sandbox=config.sandbox.value,
        workers=config.workers or os.cpu_count() or 1,
        known=known,
        arguments=tuple(shown),
        resolved=functools.partial(to_yaml, config),
    )


def trackers(names: Sequence[str], options: Sequence[str]) -> Mapping[str, Any]:
    """The trackers of these names, as `Job.trackers`.

    Args:
        options: `NAME=VALUE`, of them.

    Raises:
        UserError: an unknown tracker or option.
    """
    found: Mapping[str, Any] = load([f"track=[{','.join(names)}]", *options]).trackers
    return found


def build_tasks(config: Config, named: Container[str] = ()) -> dict[str, Task]:
    """The chosen benchmarks by name, in the order chosen, the run's options filled in.

    Args:
        named: the options that the command line names: they win over those that the figures of
            the model's published row were made with.
    """
    tasks = {}
    drawn = chosen_sampling(config.sampling, config.model)
    for name, node in config.tasks.items():
        task = build(node, Task, f"tasks.{name}", name=name)
        row = task.published_with.get(config.model.published or "", {})
        chosen, sampled = (
            {key: values[key] for key in values if f"tasks.{name}.{key}" not in named}
            for values in (row, drawn)
        )
        task = dataclasses.replace(task, **chosen).sampled(**sampled)
        tasks[name] = _filled(task, config)
    return tasks


def _filled(task: Task, config: Config) -> Task:
    return dataclasses.replace(
        task,
        limit=config.limit if task.limit is None and isinstance(config.limit, int) else task.limit,
        max_tokens=_least(config.max_tokens, task.max_tokens),
        data=config.data.value if task.data is None else task.data,
        condition=task.condition if config.model.conditions else None,
    )


def _least(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else min(one, other)


def _judge(config: Config) -> Judge | None:
    """The chosen judge; None where none is chosen. Raises UserError if it cannot work."""
    if not config.judge:
        return None
    judge = build(config.judge, Judge, "judge")
    judge.check(judge.where)
    return judge


def _gated(config: Config, named: Container[str], tasks: Mapping[str, Task]) -> Gated | None:
    """What ends the run early. Raises UserError for options that do not go together."""
    if config.until is None:
        if alone := [name for name in ("margin", "gate") if name in named]:
            raise UserError(f"{alone[0]} is for until=decided: say that, too")
        limited = config.limit == AUTO or any(task.limit for task in tasks.values())
        if config.against and not limited and config.stage != Stage.plan:
            raise UserError("against is for until=decided, or for a limited run: say limit=N")
        return None
    if len(against := _against(config)) != 1:
        raise UserError("until=decided: say against=NAME, a recorded run")
    if config.shuffle is not None:
        raise UserError("until=decided has an order of its own: leave shuffle away")
    if config.margin is not None and not 0 < config.margin <= 100:
        raise UserError(f"margin is {config.margin:g}; it must be above 0 and at most 100")
    mode: Literal["same", "no-worse"] = "same" if config.gate == Mode.same else "no-worse"
    return Gated(against[0], mode, config.margin)


def _is_auto(config: Config, named: Container[str], tasks: Mapping[str, Task]) -> bool:
    """Whether earlier runs choose the limits. Raises UserError for what does not go with that."""
    if config.limit != AUTO:
        whole = config.until is None and all(task.limit is None for task in tasks.values())
        if "precision" in named and not (config.stage == Stage.plan and config.against and whole):
            raise UserError("precision is for limit=auto against=NAME: say that, too")
        return False
    if config.until is not None:
        raise UserError("limit=auto and until=decided each ask less in their way: leave one away")
    if not config.against:
        raise UserError("limit=auto: say against=NAME, a whole run of the same benchmarks")
    if config.ids:
        raise UserError("limit=auto is of whole benchmarks: leave ids away")
    for name, task in tasks.items():
        for option in ("limit", "subsets"):
            if getattr(task, option) is not None:
                raise UserError(
                    f"limit=auto is of whole benchmarks: leave tasks.{name}.{option} away"
                )
    return True


def _against(config: Config) -> tuple[str, ...]:
    """The runs that `against` names."""
    names = config.against if isinstance(config.against, list) else [config.against]
    return tuple(str(name) for name in names if name)


def _known(config: Config, results: Path) -> Facts | None:
    """What the folder of a run that is scored or reported again says; None for any other."""
    again = config.stage in (Stage.score, Stage.report) and config.run
    path = results / str(config.run) / store.MANIFEST
    if not again or not path.exists():
        return None
    store.check_files(path.parent)
    return read_facts(path)


def _tasks_again(config: Config, known: Facts, named: set[str]) -> dict[str, Task]:
    """The run's benchmarks, or those that `task=` names, with the options given now on top."""
    if "task" in named and set(config.tasks) != set(known.tasks):
        return build_tasks(config, named)  # other work, and refused as such
    given: dict[str, dict[str, Any]] = {name: {} for name in known.tasks}
    for name in named:
        group, _, rest = name.partition(".")
        task, _, option = rest.partition(".")
        if group == "tasks":
            if task not in known.tasks:
                build(config.tasks.get(task), Task, f"tasks.{task}")  # refused as not chosen
            key = option.partition(".")[0]
            given.setdefault(task, {})[key] = config.tasks[task][key]
    chosen = {"limit"} if config.limit == AUTO else set()  # the folder has what was chosen
    for key in (named & {"limit", "max_tokens", "data"}) - chosen:
        for options in given.values():
            options.setdefault(key, _plain(getattr(config, key)))
    return tasks_of(known, given, paths=True)


def _plain(value: Any) -> Any:
    return getattr(value, "value", value)


def _model_again(config: Config, known: Facts, named: set[str]) -> Model:
    """The run's model so far as scoring and reporting know one; what is named now wins."""
    if "model" in named:
        return config.model  # type: ignore[no-any-return]
    changes: Mapping[str, Any] = {
        name.removeprefix("model."): getattr(config.model, name.removeprefix("model."))
        for name in named
        if name.startswith("model.")
    }
    model = Model(path="", name=known.model, published=published_row(known))
    return dataclasses.replace(model, **changes)


def sources_of(chosen: Sequence[str]) -> list[Source[Any]]:
    """The pinned data of benchmarks, for `pull`.

    Args:
        chosen: names of benchmarks (none: all), and `NAME=VALUE` options of them.

    Raises:
        UserError: an unknown benchmark or option.
    """
    names = [name for name in chosen if "=" not in name] or ["all"]
    overrides = [option for option in chosen if "=" in option]
    tasks = build_tasks(load([f"task=[{','.join(names)}]", *overrides, "data=full"]))
    return list(dict.fromkeys(source for task in tasks.values() for source in task.sources()))
