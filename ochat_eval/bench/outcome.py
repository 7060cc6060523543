"""What became of each part of a bench, in one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from textwrap import shorten
from typing import Any

from ochat_eval.bench.costs import Claim, Table
from ochat_eval.terminal.grid import DASH, grid, number

HEADERS = ("part", "what is compared", "goal", "measured", "noise", "verdict")


@dataclass(frozen=True)
class Outcome:
    """What became of a part.

    Attributes:
        part: its name on the command line.
        table: what it found; None where it failed.
        problem: why it failed.
        seconds: how long it took, with all that is in no measurement.
    """

    part: str
    table: Table | None
    problem: str = ""
    seconds: float = 0.0

    @property
    def claims(self) -> Sequence[Claim]:
        """The ratios that it found."""
        return self.table.claims if self.table else ()


def recorded(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """What is kept of them as JSON: the tables that there are, and how each part ended."""
    return {
        "tables": [asdict(one.table) for one in outcomes if one.table],
        "parts": [
            {"part": one.part, "seconds": round(one.seconds, 2), "problem": one.problem}
            for one in outcomes
        ],
    }


def summary(outcomes: Sequence[Outcome]) -> str:
    """The table for a terminal: a row for each ratio, and for each part that has none or failed."""
    rows = [row for one in outcomes for row in _rows(one)]
    minutes = sum(one.seconds for one in outcomes) / 60
    return f"all parts, {minutes:.1f} minutes\n{grid(rows, HEADERS, 'simple')}\n"


def _rows(one: Outcome) -> list[list[str]]:
    if one.table is None:
        return [[one.part, shorten(one.problem, 60, placeholder=" …"), "", "", "", "FAILED"]]
    rows = [
        [
            one.part,
            claim.what,
            DASH if claim.goal is None else f"at most {claim.goal:g}",
            number(claim.measured, ".3f"),
            "?" if claim.noise is None else f"±{claim.noise:.3f}",
            claim.verdict,
        ]
        for claim in one.claims
    ]
    return rows or [[one.part, "no ratio, its table is above", "", "", "", ""]]
