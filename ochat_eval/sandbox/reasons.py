"""What untrusted programs say and raise, as words of a verdict."""

from __future__ import annotations

import builtins
import contextlib


def one_line(text: str) -> str:
    """Untrusted text as one short line of printable characters."""
    words = "".join(c if c.isprintable() else " " for c in text[:1000]).split()
    line = " ".join(words)
    return line if len(line) <= 200 else line[:199] + "…"


def exception_reason(name: str, text: str) -> str:
    """What an exception, of the program or over its answers, is called in a verdict."""
    if name == "MemoryError":
        return "memory limit"
    return one_line(f"exception: {name}: {text}")


def exception(name: str, text: str) -> Exception:
    """The built-in exception of that name, or RuntimeError for any other."""
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        with contextlib.suppress(TypeError):  # UnicodeDecodeError wants five arguments
            return kind(text)
    return RuntimeError(f"{name}: {text}")
