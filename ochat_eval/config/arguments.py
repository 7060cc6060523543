"""Options as Python values, written as the command line has them: `limit=40`, `task=[a,b]`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ochat_eval.config.groups import GROUPS
from ochat_eval.records import UserError

_PLAIN = re.compile(r"[A-Za-z_][\w.-]*")
_WORDS = {"null", "true", "false", "nan", "inf"}
"""Texts that Hydra would take for something else."""
_DEPTH = {"tasks": 2, "model": 1, "engine": 1, "judge": 1}
"""How many levels of names an option of a group has: `tasks.NAME.OPTION`, `engine.OPTION`."""


def arguments_of(options: Mapping[str, Any]) -> list[str]:
    """The arguments of a command line that says the same.

    Args:
        options: by name, also `"engine.dtype"`; texts, numbers, truth values, None, paths, and
            lists and mappings of these. A mapping of `tasks`, `model`, `engine` or `judge` has
            options of it: `engine={"dtype": "float32"}`.

    Raises:
        UserError: a value of another kind, a text that Hydra would resolve, or an option that is
            written in two ways.
    """
    flat = once(*({name: value} for name, value in _flat(options)))
    return [f"{name}={_said(name, value)}" for name, value in flat.items()]


def once(*parts: Mapping[str, Any]) -> dict[str, Any]:
    """Options from several places together.

    Raises:
        UserError: two places name the same one: nobody can tell which is meant.
    """
    found: dict[str, Any] = {}
    for part in parts:
        if twice := sorted(found.keys() & part.keys()):
            raise UserError(f"{twice[0]} is given twice: say it in one place")
        found |= part
    return found


def quoted(text: str) -> str:
    """A text as one value of an override: in Hydra's quotes, which take all others as they are.

    A backslash counts there in front of a quote only.
    """
    inner = re.sub(r"(\\*)'", lambda found: found[1] * 2 + r"\'", text)
    return "'" + re.sub(r"\\+$", lambda found: found[0] * 2, inner) + "'"


def _flat(options: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in options.items():
        depth = _DEPTH.get(name.partition(".")[0], 0) - name.count(".")
        if depth > 0 and isinstance(value, Mapping):
            yield from _flat({f"{name}.{key}": inner for key, inner in value.items()})
        else:
            yield name, value


def _said(name: str, value: Any) -> str:
    """A value of an option; names of files of conf/ and places of models stay as they are."""
    if name in GROUPS and isinstance(value, str | Path):
        return str(value)
    if name in GROUPS and isinstance(value, Sequence):
        return f"[{','.join(map(str, value))}]"
    return _value(name, value)


def _value(name: str, value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str | Path):
        return _text(name, str(value))
    if isinstance(value, Mapping):
        inner = (f"{_text(name, str(k))}:{_value(name, v)}" for k, v in value.items())
        return f"{{{','.join(inner)}}}"
    if isinstance(value, Sequence):
        return f"[{','.join(_value(name, one) for one in value)}]"
    raise UserError(
        f"{name} is of the type {type(value).__name__}; an option is a text, a number, true, "
        "false, none, or a list or mapping of these"
    )


def _text(name: str, text: str) -> str:
    if "${" in text:
        raise UserError(
            f"{name}: a text with ${{ would be resolved as a configuration's variable; put it into "
            "a file of yours, where the option takes one"
        )
    return text if _PLAIN.fullmatch(text) and text.lower() not in _WORDS else quoted(text)
