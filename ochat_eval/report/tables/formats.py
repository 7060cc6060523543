"""The tables as text: Markdown, CSV, LaTeX and JSON; for a terminal in `upright`.

Names come from models, runs and files of users, so each format escapes them.
"""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

from ochat_eval.report.tables.build import PublishedRow, RunRow, Table, as_json
from ochat_eval.report.tables.cells import below, headers, rows_of
from ochat_eval.report.tables.upright import terminal
from ochat_eval.terminal.grid import grid
from ochat_eval.terminal.words import plain

CSV_HEADERS = (
    "table", "model", "run", "rule", "column", "score", "lo", "hi", "published", "difference",
    "verdict", "marks",
)  # fmt: skip


def _tabulate(table: Table, style: str, escape: Callable[[str], str]) -> str:
    heads = [escape(header) for header in headers(table)]
    rows = [[escape(text) for text in row] for row in rows_of(table)]
    align = ("left", "left", *("right" for _ in table.columns))
    return grid(rows, heads, style, align=align)


def markdown(tables: Sequence[Table]) -> str:
    """GitHub's Markdown."""
    parts = []
    for table in tables:
        body = _tabulate(table, "github", _markdown)
        notes = "".join(f"- {_markdown(line)}\n" for line in below(table))
        source = f"Published rows: {_markdown(table.source)}."
        parts.append(f"## {_markdown(table.title)}\n\n{body}\n\n{notes}\n{source}\n")
    return "\n".join(parts)


def latex(tables: Sequence[Table]) -> str:
    """Tables for a LaTeX document with the packages booktabs and graphicx, in UTF-8.

    One that is wider than the text is made smaller. pdfLaTeX takes them unless a name has letters
    other than Latin and small Greek ones; XeLaTeX and LuaLaTeX take any that the font has.
    """
    parts = []
    for table in tables:
        body = _tabulate(table, "latex_booktabs", str)  # which escapes by itself
        for verdict in ("within", "outside"):  # the widest cells
            body = body.replace(f"{verdict} interval", rf"\shortstack[r]{{{verdict}\\interval}}")
        lines = [r"\begin{table}", rf"\caption{{{_latex(table.title)}}}"]
        lines += [r"\setlength{\tabcolsep}{3pt}", rf"\resizebox{{{_FITTING}}}{{!}}{{%", f"{body}}}"]
        lines += [rf"\par {_latex(line)}" for line in below(table)]
        parts.append("\n".join([*lines, r"\end{table}", ""]))
    return re.sub("[\u0370-\u03ff\ufffd]", _pdflatex, "\n".join(parts))


_FITTING = r"\ifdim\width>\linewidth\linewidth\else\width\fi"


def _pdflatex(character: re.Match[str]) -> str:
    """Small Greek letters by their commands; `plain`'s sign of what it took out is in no font."""
    letter = re.fullmatch(r"GREEK SMALL LETTER (\w+)", unicodedata.name(character[0], ""))
    if letter is None or letter[1] == "OMICRON":
        return character[0].replace("\ufffd", "?")
    return rf"\ensuremath{{\{letter[1].lower().replace('lamda', 'lambda')}}}"


def csv_text(tables: Sequence[Table]) -> str:
    """A line for each figure, for spreadsheets and data frames; a dash is an empty field."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(CSV_HEADERS)
    for table in tables:
        rows: list[RunRow | PublishedRow] = [*table.runs, *table.published]
        for row in rows:
            writer.writerows(_csv_rows(table, row))
    return file.getvalue()


def _csv_rows(table: Table, row: RunRow | PublishedRow) -> list[list[Any]]:
    names = [column.name for column in table.columns]
    if isinstance(row, PublishedRow):
        head = [_csv(table.name), _csv(row.model), "", "published"]
        return [
            [*head, name, score, "", "", "", "", "", ""]
            for name, score in zip(names, row.scores, strict=True)
        ]
    head = [_csv(table.name), _csv(row.model), _csv(row.run), row.rule]
    return [
        [*head, name, c.score, *(c.ci95 or ("", "")), c.published, c.difference, c.verdict,
         _csv("; ".join(c.marks))]
        for name, c in zip(names, row.cells, strict=True)
    ]  # fmt: skip


def json_text(tables: Sequence[Table]) -> str:
    """All there is, by table, as in summary.json."""
    values = {table.name: as_json(table) for table in tables}
    return json.dumps(values, indent=1) + "\n"


FORMATS: dict[str, Callable[[Sequence[Table]], str]] = {
    "terminal": terminal, "markdown": markdown, "csv": csv_text, "latex": latex, "json": json_text,
}  # fmt: skip


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", text).replace("&", "&amp;").replace("<", "&lt;")


_LATEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", **{c: "\\" + c for c in "&%$#_{}"},
}  # fmt: skip


def _latex(text: str) -> str:
    return "".join(_LATEX.get(c, c) for c in text)


def _csv(text: str) -> str:
    """Text that a spreadsheet does not take for a formula."""
    text = plain(text)
    return f"'{text}" if text.lstrip()[:1] in ("=", "+", "-", "@") else text
