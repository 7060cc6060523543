"""The measured error rates written out: for a terminal, and as Markdown for why.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ochat_eval.records import RULES
from ochat_eval.terminal.grid import DASH, grid, interval, notes
from ochat_eval.terminal.words import counted, plain

HEADERS = ("task", "rule", "answers", "of", "marked", "wrong", "unclear", "error", "95 % CI")
_ALIGN = ("left", "left", "left", *["right"] * 5, "left")
ALL = "all, estimated"
SAID = (
    "A person's marks: how often a rule reads something else than the answer says, in percent of "
    "the readings marked right or wrong. Each rate is that of its kind of answers; the rate over "
    "all answers weights them, and is known only where every kind has marks."
)


def rows(measured: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """A row for each rule and stratum, and one over all answers."""
    made = []
    for task, of in measured.items():
        for rule in RULES:
            for name, part in of[rule]["strata"].items():
                counts = (of["strata"][name], part["marked"], part["wrong"], part["unclear"])
                made.append([task, rule, name, *(f"{n:,}" for n in counts), *_rate(part)])
            whole = f"{sum(of['strata'].values()):,}"
            made.append([task, rule, ALL, whole, "", "", "", *_rate(of[rule])])
    return made


def _rate(part: Mapping[str, Any]) -> list[str]:
    if part["rate"] is None:
        return [DASH, DASH]
    return [f"{100 * part['rate']:.1f}", interval(*(100 * end for end in part["ci95"]))]


def _stale(measured: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for task, of in measured.items():
        if of["stale"]:
            yield (
                f"{task}: {counted(of['stale'], 'mark')} of readings that have changed since, "
                "which count for nothing"
            )


def terminal(measured: Mapping[str, Mapping[str, Any]]) -> str:
    """A table for each benchmark, for a terminal, and below them what they say."""
    tables = []
    for task, of in measured.items():
        cells = [row[1:] for row in rows({task: of})]
        tables += [f"{task}:", grid(cells, HEADERS[1:], align=_ALIGN[1:]), ""]
    return "\n".join([*tables, *notes([SAID, *_stale(measured)])])


def markdown(measured: Mapping[str, Mapping[str, Any]]) -> str:
    """A section for why.md; empty where there are no marks."""
    if not measured:
        return ""
    cells = [[plain(cell).replace("|", "\\|") for cell in row] for row in rows(measured)]
    body: Sequence[str] = [grid(cells, HEADERS, "github", align=_ALIGN), *_stale(measured)]
    return f"\n# How often a rule misreads\n\n{SAID}\n\n" + "\n\n".join(body) + "\n"
