"""Calls of a program's function, and which of them are sent together."""

from __future__ import annotations

import marshal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ochat_eval.sandbox.plain import encode

_AT_ONCE = 64
_BYTES_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class Call:
    """What a function is called with.

    Attributes:
        args, kwargs: plain data (`plain.encode`); what the function does to them is not seen here.
        seconds: processor time that the call may take, 0 for what is left of the limits.
        digested: whether only the `plain.digest` of what it returns is wanted.
    """

    args: Sequence[Any]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    digested: bool = False


def batches(name: str, calls: Iterable[Call]) -> Iterator[tuple[list[Call], bytes]]:
    """Calls of the function `name`, some at a time, and their message: a list, by `marshal`.

    Raises:
        TypeError: an argument is not plain data.
    """
    batch: list[Call] = []
    parts: list[bytes] = []
    for call in calls:
        packed = [encode(part, strict=True) for part in (list(call.args), dict(call.kwargs))]
        part = marshal.dumps([name, *packed, call.seconds, call.digested])
        if len(batch) == _AT_ONCE or (parts and sum(map(len, parts), len(part)) > _BYTES_AT_ONCE):
            yield batch, marshal.dumps(parts)
            batch, parts = [], []
        batch.append(call)
        parts.append(part)
    if batch:
        yield batch, marshal.dumps(parts)
