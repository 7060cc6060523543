"""All that prompts, scores and reports are made by: our files, Python and its packages.

What the very same rules have made of the very same things need not be made again.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from ochat_eval.benchmark.task import Task
from ochat_eval.config import allowed
from ochat_eval.sandbox.kept import rules_digest

_LOADED = time.time()
"""When this process read our code: what was written later is not what it runs."""


def digest_of_rules(tasks: Iterable[Task]) -> str | None:
    """A digest of all rules; None where code that is not ours may be among them, or ours has
    changed since this process began, in a run of hours: what it is, nobody can tell."""
    if _has_own_code(tasks) or any(file.stat().st_mtime > _LOADED for file in _ours()):
        return None
    places = (Path(place) for place in sys.path)
    installed = sorted(
        one.name for place in places if place.is_dir() for one in place.glob("*.dist-info")
    )
    return rules_digest(*_ours(), versions=[sys.version, installed])


def _ours() -> list[Path]:
    names = ("ochat_eval", "ochat_eval.tasks", "ochat_eval.conf", "ochat_eval.results.recorded")
    folders = (Path(str(resources.files(name))) for name in names)
    found = (file for folder in folders for file in sorted(folder.rglob("*")) if file.is_file())
    return [file for file in found if "__pycache__" not in file.parts]


def _has_own_code(tasks: Iterable[Task]) -> bool:
    """Whether code that is not ours may make prompts or read answers."""
    if allowed.allowed() or any(map(allowed.installed_classes, ("task", "reader"))):
        return True
    return not all(type(task).__module__.startswith("ochat_eval.") for task in tasks)
