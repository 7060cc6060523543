"""The files of conf/ that a user can choose from, found without loading Hydra.

A folder of the user's own (`--config-dir DIR`) adds files to every group; where both have a file
of one name, the user's counts. Classes that installed packages name (`allowed`) are choices without
a file, where no file has their name.
"""

from __future__ import annotations

import copy
import functools
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml

from ochat_eval.config.allowed import installed_classes
from ochat_eval.records import UserError

GROUPS = ("task", "model", "engine", "judge", "track")
SEVERAL = {"task": "tasks", "track": "trackers"}
"""The groups of which several can be chosen: where the configuration has them, each by its name."""

_own: list[Path] = []


def own_folder() -> Path | None:
    """The user's own folder of configurations; None where there is none."""
    return _own[0] if _own else None


def use_folder(folder: Path | None) -> None:
    """Adds a folder of the user's own to every group, for as long as this process runs.

    Raises:
        UserError: there is no such folder, or none of its folders is named like a group.
    """
    if folder is None:
        _own.clear()
        return
    if not folder.is_dir():
        raise UserError(f"--config-dir {folder}: there is no such folder")
    if not any((folder / group).is_dir() for group in GROUPS):
        raise UserError(
            f"--config-dir {folder}: it has no folder named {', '.join(GROUPS[:-1])} or "
            f"{GROUPS[-1]}; put a task's file into {folder / 'task'}"
        )
    _own[:] = [folder]


def files(group: str) -> dict[str, Traversable | Path]:
    """The files of a group by name, in the names' order."""
    found: dict[str, Traversable | Path] = {}
    for folder in (resources.files(f"ochat_eval.conf.{group}"), *(one / group for one in _own)):
        for file in folder.iterdir() if folder.is_dir() else ():
            if file.name.endswith(".yaml"):
                found[file.name.removesuffix(".yaml")] = file
    return dict(sorted(found.items()))


def names(group: str) -> list[str]:
    """The names of the choices of a group, in their order."""
    return sorted({*bare(group), *files(group)})


def options(group: str) -> dict[str, str]:
    """The choices of a configuration group: name -> the first comment that is no directive."""
    found = {name: f"of an installed package: {target}" for name, target in bare(group).items()}
    for name, file in files(group).items():
        lines = file.read_bytes().decode(errors="replace").splitlines()
        comments = [line[1:].strip() for line in lines if line[:1] == "#"]
        found[name] = next((line for line in comments if not line.startswith("@")), "")
    return dict(sorted(found.items()))


def bare(group: str) -> dict[str, str]:
    """The choices of a group that have no file: name -> the class."""
    installed = installed_classes(group)
    known = files(group) if installed else {}
    return {name: one for name, one in installed.items() if name not in known}


def node(group: str, name: str) -> dict[str, Any]:
    """A choice of a group as plain values; empty where there is none, or where it lists others.

    Raises:
        UserError: it cannot be read as YAML.
    """
    if target := bare(group).get(name):
        return {"_target_": target}
    file = files(group).get(name)
    try:
        values = _parsed(file.read_text(encoding="utf-8")) if file is not None else None
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as e:
        raise UserError(f"{file}: cannot be read as YAML: {' '.join(str(e).split())}") from e
    if not isinstance(values, dict) or "defaults" in values:
        return {}
    return copy.deepcopy(values)


@functools.lru_cache(maxsize=64)
def _parsed(text: str) -> Any:
    """YAML as plain values, read once: whoever changes them takes a copy."""
    return yaml.safe_load(text)


def option_texts(file: str) -> dict[str, str]:
    """The options of a file of conf/ that have a comment: `NAME=VALUE` -> the comment."""
    lines = resources.files("ochat_eval.conf").joinpath(file).read_text(encoding="utf-8")
    entries = [line.split(" # ") for line in lines.splitlines() if " # " in line]
    return {entry[0].replace(": ", "="): entry[1] for entry in entries}
