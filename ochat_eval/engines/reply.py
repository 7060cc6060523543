"""An HTTP answer, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


class Unreadable(Exception):
    """An answer whose body cannot be had: too long, or packed in a way that cannot be undone."""


class Lost(Exception):
    """No answer came.

    Attributes:
        kind: short, for counting.
    """

    def __init__(self, kind: str, reason: str):
        super().__init__(reason)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer of any status, unpacked; headers are found by names in any case."""

    status: int
    headers: Mapping[str, str]
    content: bytes
