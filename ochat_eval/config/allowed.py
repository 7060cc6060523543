"""Which classes a configuration may name: ours, and those that a person has allowed.

A person allows a package at the command line (`--allow`) or from Python (`use`), or by installing
a package whose entry points name the classes. A configuration file can allow nothing.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import distributions
from pathlib import Path

from ochat_eval.records import UserError

OURS = ("ochat_eval.tasks", "ochat_eval.engines", "ochat_eval.track")
_ENTRY_POINTS = {"task": "ochat_eval.tasks", "engine": "ochat_eval.engines",
                 "judge": "ochat_eval.judges", "reader": "ochat_eval.readers"}  # fmt: skip
"""By group of conf/, the group of entry points whose names are choices of it; `reader`, which is no
group, has the names that a file of questions can be read by."""

_packages: list[str] = []
_looked_in: set[str] = set()
"""Folders that Python looks for modules in because a package of them was allowed."""


def allow(packages: Iterable[str]) -> None:
    """Lets configurations name classes of these packages, for as long as this process runs.

    A package that is not installed is looked for in the current folder.

    Raises:
        UserError: no package's name, or none of that name.
    """
    chosen = list(dict.fromkeys(packages))
    for package in chosen:
        if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", package, re.ASCII):
            raise UserError(f"--allow {package}: write a package's or module's name: my_package")
        _find(package)
    _packages[:] = chosen


def allowed() -> list[str]:
    """The packages that a person has allowed."""
    return list(_packages)


def _find(package: str) -> None:
    """Sees that there is such a package, without running it."""
    top = package.partition(".")[0]
    if top not in sys.modules and importlib.util.find_spec(top) is None:
        here = str(Path.cwd())
        sys.path.append(here)  # the last: nothing that is installed is replaced
        if importlib.util.find_spec(top) is None:
            sys.path.remove(here)
            raise UserError(
                f"--allow {package}: there is no {top} installed, nor in this folder ({here})"
            )
        _looked_in.add(os.path.realpath(here))


def check(target: str, option: str) -> None:
    """Refuses a class that a configuration may not name.

    Args:
        target: the class, with its module.
        option: what names it, for the message: `tasks.quiz._target_`.

    Raises:
        UserError: says what may be named, and who can allow more.
    """
    packages = (*OURS, *_packages)
    if target.startswith(tuple(f"{one}." for one in packages)):
        return
    if not any(target in installed_classes(group).values() for group in _ENTRY_POINTS):
        package = target.partition(".")[0]
        raise UserError(
            f"{option} is {target}: a configuration may name only classes under "
            f"{' or '.join(packages)}; if {package} is a package that you trust, say so at the "
            f"command line: --allow {package}"
        )


def installed_classes(group: str) -> Mapping[str, str]:
    """The classes that entry points of installed packages name, by the name of the choice.

    Args:
        group: of conf/: `task`; or `reader`.
    """
    found = _installed(tuple(sys.path), os.getcwd(), frozenset(_looked_in))
    return found.get(_ENTRY_POINTS.get(group, ""), {})


@functools.lru_cache(maxsize=8)
def _installed(
    path: tuple[str, ...], here: str, looked_in: frozenset[str]
) -> dict[str, dict[str, str]]:
    """By group of entry points, name and class. What only lies in the current folder, or in one
    that it was, is not installed, though Python may look for packages there."""
    apart = {os.path.realpath(here), *looked_in}
    places = dict.fromkeys(os.path.realpath(os.path.join(here, place)) for place in path)
    found: dict[str, dict[str, str]] = {}
    for place in places:
        for group, name, target in () if place in apart else _named_in(place):
            found.setdefault(group, {}).setdefault(name, target)
    return found


@functools.lru_cache(maxsize=64)
def _named_in(place: str) -> list[tuple[str, str, str]]:
    """What the packages in a folder name: the group of entry points, the name, the class."""
    return [
        (point.group, point.name, point.value.replace(":", ".").replace(" ", ""))
        for distribution in distributions(path=[place])
        for point in distribution.entry_points
        if point.group in _ENTRY_POINTS.values()
    ]
