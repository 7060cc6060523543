"""The published tables of one run: its files, its part of summary.json, and what is printed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ochat_eval.report.tables import build, formats
from ochat_eval.report.tables.upright import terminal
from ochat_eval.run import store
from ochat_eval.run.folder import RunDir
from ochat_eval.terminal.say import tell

FILES = {
    f"{store.TABLES}.md": "markdown", f"{store.TABLES}.csv": "csv", f"{store.TABLES}.tex": "latex",
}  # fmt: skip
"""By file, the format that the tables have in it."""


def write(run_dir: RunDir, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Writes tables.md, tables.csv and tables.tex; returns the tables as JSON, by name.

    A run without any of the tables' benchmarks has no such files.
    """
    made = build.build_all([summary])
    for file, name in FILES.items():
        path = run_dir.file(file)
        if made:
            store.write_text(path, formats.FORMATS[name](made))
        else:
            path.unlink(missing_ok=True)
    return {table.name: build.as_json(table) for table in made}


def show(summary: Mapping[str, Any]) -> None:
    """Prints the tables whose benchmarks were all asked; the files have the others too."""
    made = build.build_all([summary])
    whole = [table for table in made if build.is_whole(table, summary)]
    if whole:
        tell(f"\n{terminal(whole).rstrip()}")
    if left := [table.title for table in made if table not in whole]:
        tell(f"\nin part, in {store.TABLES}.md: {', '.join(left)}")
