"""The gate's verdicts for people and for CI: terminal, Markdown, JUnit XML."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from ochat_eval.baseline import look_formats
from ochat_eval.baseline.gate import GateResult, TaskGate
from ochat_eval.terminal.grid import DASH, grid, interval, notes, number

_HEADERS = (
    "task", "verdict", "n", "recorded", "run", "difference", "90 % interval", "± margin",
    "rerun passes", "fails at", "why",
)  # fmt: skip
_ALIGN = ("left", "left", *["right"] * 4, "left", *["right"] * 3, "left")
_NARROW, _BELOW = _HEADERS[:8], _HEADERS[8:10]
"""Of the headers, a terminal's columns, and what stands below its table."""
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, not even escaped."""
_LEGEND = (
    " rerun passes: the chance that a faultless rerun passes, verdicts flipping as often as in the "
    "recorded reruns; fails at: the true loss that fails with 80 % chance."
)
_WEIGHTED = " A verdict in brackets does not decide: its benchmark counts in the weighted mean."


def _cells(row: TaskGate) -> list[str]:
    reached = interval(row.lo, row.hi, "+.2f").replace("…", " … ")
    n = f"{row.n:,}" if row.n == row.of else f"{row.n:,} of {row.of:,}"
    return [
        row.task,
        row.verdict if row.decides else f"({row.verdict})",
        n,
        number(row.recorded),
        number(row.score),
        number(row.difference, "+.2f"),
        reached,
        number(row.margin),
        DASH if row.passes is None else f"{100 * row.passes:.0f} %",
        number(row.detects),
        row.reason,
    ]


def _legend(outcome: GateResult) -> str:
    chances = _LEGEND * any(row.passes is not None for row in outcome.rows)
    return f"Points.{chances}" + _WEIGHTED * any(not row.decides for row in outcome.rows)


def terminal(outcome: GateResult) -> str:
    """The table, the notes and the verdict, for a terminal."""
    cells, below = [], []
    for row in outcome.rows:
        found = dict(zip(_HEADERS, _cells(row), strict=True))
        cells.append([found[name].replace(" … ", "…") for name in _NARROW])
        more = [f"{name} {found[name]}" for name in _BELOW if found[name] != DASH]
        more += [row.reason] if row.reason else []
        if more:
            below.append(f"{row.task}: {'; '.join(more)}")
    table = grid(cells, ("task", "verdict", "n", "recorded", "run", "diff.", "90 % CI", "±"),
                 align=("left", "left", *["right"] * 6))  # fmt: skip
    said = notes([_legend(outcome), *below, *outcome.notes])
    looks = [look_formats.table(outcome.looks), ""] if outcome.looks else []
    return "\n".join([*looks, table, "", *said, "", outcome.title])


def markdown(outcome: GateResult) -> str:
    """The same in GitHub's Markdown, for a job's summary."""
    cells = [[_escaped(cell) for cell in _cells(row)] for row in outcome.rows]
    table = grid(cells, _HEADERS, "github", align=_ALIGN)
    listed = [f"- {_escaped(note)}" for note in outcome.notes]
    looks = look_formats.table(outcome.looks, "github") if outcome.looks else ""
    title = f"### {_escaped(outcome.title)}"
    parts = [title, table, _legend(outcome), "\n".join(listed), looks]
    return "\n\n".join(part for part in parts if part) + "\n"


def _escaped(text: str) -> str:
    """Names in Markdown: what it would take for its own, or for HTML, is escaped."""
    return re.sub(r"([\\`*_\[\]<>|&])", r"\\\1", text).replace("\n", " ")


def junit(outcome: GateResult) -> str:
    """JUnit XML: a test case a benchmark; FAIL is a failure, all but PASS else an error.

    A benchmark that could not be decided must not look green, so INCONCLUSIVE is an error, too; one
    that counts in the weighted mean only is skipped.
    """
    kinds = [_kind(row) for row in outcome.rows]
    counts = {"tests": str(len(kinds))}
    counts |= {f"{kind}s": str(kinds.count(kind)) for kind in ("failure", "error")}
    counts["skipped"] = str(kinds.count("skipped"))
    root = ET.Element("testsuites", counts)
    name = _xml(f"gate {outcome.run} against {outcome.against}")
    suite = ET.SubElement(root, "testsuite", {"name": name, **counts, "time": "0"})
    for row in outcome.rows:
        asked = _xml(f"gate.{outcome.asked.removeprefix('rule ')}")
        attributes = {"classname": asked, "name": _xml(row.task), "time": "0"}
        case = ET.SubElement(suite, "testcase", attributes)
        if kind := _kind(row):
            message = {"type": row.verdict, "message": _xml(row.reason)}
            ET.SubElement(case, kind, message).text = _xml(_line(row))
    ET.SubElement(suite, "system-out").text = _xml(terminal(outcome))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _kind(row: TaskGate) -> str:
    """The element that says of a benchmark that it did not pass; empty where it did."""
    if row.verdict == "PASS":
        return ""
    if not row.decides:
        return "skipped"
    return "failure" if row.verdict == "FAIL" else "error"


def _line(row: TaskGate) -> str:
    return "\n".join(f"{h}: {c}" for h, c in zip(_HEADERS, _cells(row), strict=True))


def _xml(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
