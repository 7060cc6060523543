"""What a run's manifest says of looks at it while it went on (`sequential`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import msgspec

from ochat_eval.records import UserError


@dataclass(frozen=True, kw_only=True)
class Looked:
    """One benchmark.

    Attributes:
        planned: its items.
        looks: how many of them each planned look sees.
        look: the last that was made, from 1; 0 for none.
        verdict: that look's.
        difference, lo, hi, margin: as in the gate, of that look, in points.
        stopped: it was decided and the other items were not asked: only those that the look saw
            count.
    """

    planned: int
    looks: list[int]
    look: int = 0
    verdict: str | None = None
    difference: float | None = None
    lo: float | None = None
    hi: float | None = None
    margin: float | None = None
    stopped: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError for looks that cannot be planned, and for one that was not."""
        ends = [0, *self.looks]
        if ends[-1] != self.planned or any(a >= b for a, b in pairwise(ends)):
            raise ValueError(f"looks at {self.looks} of {self.planned} items")
        if not 0 <= self.look <= len(self.looks) or (self.stopped and not self.look):
            raise ValueError(f"look {self.look} of {len(self.looks)}")


@dataclass(frozen=True, kw_only=True)
class Sequential:
    """A run that was looked at while it went on.

    Attributes:
        against: the recorded run that it was gated against.
        mode, margin: of the gate, as they were asked for.
        tasks: by benchmark; those that could not be looked at are not there.
    """

    against: str
    mode: Literal["same", "no-worse"]
    margin: float | None
    tasks: dict[str, Looked]

    @property
    def stopped(self) -> dict[str, Looked]:
        """The benchmarks that were stopped early."""
        return {name: one for name, one in self.tasks.items() if one.stopped}


def read_sequential(manifest: Mapping[str, Any], where: str) -> Sequential | None:
    """What a manifest's values say of looks; None where there were none.

    Args:
        where: the manifest's path, for messages.

    Raises:
        UserError: it is damaged there.
    """
    try:
        return msgspec.convert(manifest.get("sequential"), Sequential | None)
    except msgspec.ValidationError as e:
        raise UserError(f"{where} is no manifest of a run: sequential: {e}") from e
