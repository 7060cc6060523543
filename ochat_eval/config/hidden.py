"""What of a configuration is never written or shown: values that may be keys."""

from __future__ import annotations

import re
from typing import Any

_NAMES = ("extra_headers", "extra_query")
"""Options whose values are written nowhere, but for the names of environment variables."""
_VARIABLE = re.compile(r"(?:[A-Za-z]+ )?\$[A-Za-z_][A-Za-z0-9_]*")
_INSTEAD = "[hidden]"


def is_hidden(option: str) -> bool:
    """Whether an option's value (`engine.extra_headers.api-key`) is never shown."""
    return any(part in _NAMES for part in option.split("."))


def argument(given: str) -> str:
    """A command line's `NAME=VALUE` as it may be written down."""
    name, _, _ = given.partition("=")
    return f"{name}={_INSTEAD}" if is_hidden(name) else given


def values(node: Any, hidden: bool = False) -> Any:
    """Nested mappings and lists as they may be written down."""
    if isinstance(node, dict):
        return {key: values(inner, hidden or key in _NAMES) for key, inner in node.items()}
    if isinstance(node, list):
        return [values(inner, hidden) for inner in node]
    if not hidden or (isinstance(node, str) and _VARIABLE.fullmatch(node)):
        return node
    return _INSTEAD
