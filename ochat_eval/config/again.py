"""What a run's folder says that the run is, as typed objects.

A folder may be somebody else's. So its manifest is data, never a command: of it are taken the
benchmarks by name and their options, field by field and type by type, as plain values. Classes
come from our own conf/task/, the reader of a file's answers from what the person at the command
line has allowed; sandbox, judge, engine, paths and addresses from that person alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import msgspec

from ochat_eval.benchmark.task import Task
from ochat_eval.config import groups
from ochat_eval.config.build import task_class
from ochat_eval.records import UserError
from ochat_eval.run.manifest import Facts


def tasks_of(
    facts: Facts, given: Mapping[str, Mapping[str, Any]] | None = None, *, paths: bool = False
) -> dict[str, Task]:
    """The benchmarks of a run, by name.

    Args:
        facts: what its folder says.
        given: options by benchmark that the person at the command line has named; they win.
        paths: the benchmarks' files will be read: those that only the folder names are refused.

    Raises:
        UserError: a benchmark or an option that this version does not know, or a value of the
            wrong type.
    """
    return {name: _task(facts, name, (given or {}).get(name, {}), paths) for name in facts.tasks}


def options_of(facts: Facts, name: str) -> dict[str, Any]:
    """A benchmark's options as a run's folder has them, with what was done before some existed."""
    return {**task_class(name, f"{facts.where}: tasks.{name}").before, **facts.tasks[name]}


def _task(facts: Facts, name: str, given: Mapping[str, Any], paths: bool) -> Task:
    where = f"{facts.where}: tasks.{name}"
    cls = task_class(name, where)
    more = facts.report_only.get(name, {})
    options = options_of(facts, name) | {k: more[k] for k in cls.report_only if k in more}
    for key, value in given.items():
        old = options.get(key)
        both = isinstance(value, Mapping) and isinstance(old, Mapping)
        options[key] = {**old, **value} if both else value  # type: ignore[dict-item]
    known = {f.name for f in dataclasses.fields(cls)}
    if unknown := sorted(options.keys() - known):
        raise UserError(f"{where}.{unknown[0]}: this version knows no such option")
    if options.get("name") != name:
        raise UserError(f"{where}.name is {options.get('name')!r}; the folder is damaged")
    for key in cls.paths if paths and options.get("data") != "sample" else ():
        own = groups.node("task", name).get(key, getattr(cls, key, None))
        if key not in given and options.get(key) not in (None, own):
            raise UserError(
                f"{where}.{key}: a path that only the run's folder names is not read; if "
                f"{options[key]} is the file, say tasks.{name}.{key}={options[key]}"
            )
    try:
        return msgspec.convert(options, cls)
    except msgspec.ValidationError as e:
        raise UserError(f"{where}: {e}; the folder is damaged") from e


def published_row(facts: Facts) -> str | None:
    """The published row of a run's model; of an older run that of our own model of its name."""
    if facts.published_row is not None:
        return facts.published_row
    for name in groups.options("model"):
        values = groups.node("model", name)
        if values.get("name", name) == facts.model:
            row = values.get("published")
            return row if isinstance(row, str) else None
    return None
