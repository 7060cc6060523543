"""The objects that a configuration names: which classes it may name, and their typed options."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import importlib
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from ochat_eval.benchmark.reader import Reader
from ochat_eval.benchmark.task import Task
from ochat_eval.config import allowed, groups
from ochat_eval.config.hidden import is_hidden
from ochat_eval.records import UserError
from ochat_eval.terminal.words import nearest

T = TypeVar("T")


def build(node: Any, base: type[T], where: str, **given: Any) -> T:
    """An object of the class that a configuration node names in `_target_`.

    Args:
        node: the mapping: `_target_` and the options.
        base: what the class must be derived from.
        where: the node's place, for messages: `engine`, `tasks.gsm8k`.
        given: options that the harness sets.

    Raises:
        UserError: no `_target_`, one that is not allowed (`allowed`), or an option that the class
            does not have or cannot take.
    """
    values = {str(k): v for k, v in dict(node or {}).items()}
    target = values.pop("_target_", None)
    if target is None:
        group, _, name = where.partition(".")
        several = {there: choice for choice, there in groups.SEVERAL.items()}
        choice = f"{several[group]}={name}" if group in several else f"{group}=…"
        raise UserError(f"{where} is set but not chosen: choose it with {choice}")
    return typed(class_of(str(target), base, f"{where}._target_"), values, where, **given)


def typed(cls: type[T], values: Mapping[str, Any], where: str, **given: Any) -> T:
    """An object of a dataclass; unknown options and values of the wrong type are refused."""
    from omegaconf import OmegaConf
    from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

    known = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
    extra = {name: value for name, value in values.items() if name not in known}
    if extra and "arguments" in known:
        own = [name for name in known if name != "arguments"]
        for name in extra:  # others are refused by what the arguments are for
            if near := difflib.get_close_matches(name, own, n=1, cutoff=0.85):
                raise UserError(f"{where}.{name}: there is no such option; did you mean {near[0]}?")
        given["arguments"] = {**values.get("arguments", {}), **extra}
    elif extra:
        visible = [name for name in known if name not in given]
        name = next(iter(extra))
        raise UserError(f"{where}.{name}: there is no such option{nearest(name, visible)}")
    hints, form = types_of(cls), _form(cls)  # type: ignore[arg-type]
    named = {
        # One of a list, written without the brackets.
        name: [value]
        if isinstance(value, str) and typing.get_origin(hints[name]) is list
        else value
        for name, value in values.items()
        if name in known
    }
    try:
        filled = OmegaConf.create({**named, **given})
        made: Any = OmegaConf.to_object(OmegaConf.merge(form, filled))
    except OmegaConfBaseException as e:
        if isinstance(e, MissingMandatoryValue):
            raise UserError(f"{where}.{e.key} is not set: write {where}.{e.key}=VALUE") from e
        name = f"{where}.{e.full_key or e.key}"
        if is_hidden(name):
            raise UserError(f"{name} must be names with texts: {{NAME: TEXT}}") from None
        raise UserError(f"{name}: {str(e).splitlines()[0]}") from e
    return made  # type: ignore[no-any-return]


@functools.lru_cache(maxsize=64)
def types_of(cls: type) -> Mapping[str, Any]:
    """The types of a dataclass's fields, by name."""
    return typing.get_type_hints(cls)


@functools.lru_cache(maxsize=64)
def _form(cls: type) -> Any:
    """A dataclass's defaults, which a merge copies."""
    from omegaconf import OmegaConf

    return OmegaConf.structured(cls)


def class_of(target: str, base: type[T], option: str) -> type[T]:
    """The class that a configuration names.

    Args:
        target: the class, with its module.
        option: what names it: `engine._target_`.

    Raises:
        UserError: it is not allowed, or no dataclass derived from `base`.
    """
    module, _, name = target.rpartition(".")
    allowed.check(target, option)
    try:
        cls = getattr(importlib.import_module(module), name, None)
    except ModuleNotFoundError as e:
        if e.name is None or not module.startswith(e.name):
            raise
        cls = None
    if not (isinstance(cls, type) and issubclass(cls, base) and dataclasses.is_dataclass(cls)):
        raise UserError(f"{option} is {target}: there is no such {base.__name__.lower()}")
    return cls  # type: ignore[return-value]


def reader_class(name: str, option: str) -> type[Reader] | None:
    """The reader that an option names.

    Args:
        name: the class, with its module, or the name that an installed package gives it.

    Returns:
        None where it is neither.

    Raises:
        UserError: as `class_of`.
    """
    target = allowed.installed_classes("reader").get(name, name)
    module, *names = target.split(".")
    is_path = bool(names) and all(map(str.isidentifier, (module, *names)))
    return class_of(target, Reader, option) if is_path else None


def task_class(name: str, where: str) -> type[Task]:
    """The class of a benchmark that conf/task/ has a file for.

    Args:
        where: what names the benchmark, for the message.

    Raises:
        UserError: there is no such benchmark.
    """
    target = groups.node("task", name).get("_target_")
    if target is None:
        raise UserError(
            f"{where}: there is no benchmark {name!r} here, and none of yours in a folder that "
            f"--config-dir names{nearest(name, groups.options('task'))}"
        )
    return class_of(str(target), Task, f"tasks.{name}._target_")


def published_task(name: str, row: str | None = None) -> Task:
    """A benchmark in its published setting: as its file of conf/task/ has it, all items.

    Args:
        row: the published row whose setting is meant; None for the defaults.

    Raises:
        UserError: there is no such benchmark.
    """
    cls = task_class(name, "task")
    values = {k: v for k, v in groups.node("task", name).items() if k != "_target_"}
    values |= cls.published_with.get(row or "", {})
    return typed(cls, values, f"tasks.{name}", name=name, data="full")


def changed_options(task: Task, row: str | None) -> list[str]:
    """The options of a benchmark that can change its score and are not as published.

    `row` is the published row that the model is compared with, if any.

    Which items are asked (`data`, `limit`, `subsets`) is not among them, nor the chat format's
    condition, which is the model's.

    Returns:
        `option=value` for each; nothing for a benchmark that conf/task/ has no file for, or that
        is the user's own.
    """
    if not task.has_published_setting or "_target_" not in groups.node("task", task.name):
        return []
    apart = ("name", "data", "limit", "subsets", "condition")
    usual = published_task(task.name, row)
    return [
        f"{key}={value}"
        for key, value in dataclasses.asdict(task).items()
        if key not in (*apart, *task.report_only) and value != getattr(usual, key)
    ]
