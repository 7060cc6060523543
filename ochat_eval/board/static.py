"""The board as files, with a web server or without: the list of runs, and each run's report."""

from __future__ import annotations

from pathlib import Path

from ochat_eval.board.files import page_files
from ochat_eval.board.shelf import Shelf
from ochat_eval.records import UserError
from ochat_eval.report.page.entries import reported
from ochat_eval.report.page.frame import as_json
from ochat_eval.report.page.page import write_page
from ochat_eval.run import store
from ochat_eval.terminal.say import say


def write_board(root: Path, into: Path) -> Path:
    """Writes the page and `RUN/report.html` of every run that is scored.

    A report that is younger than the run's summary stays; one is written from the run's records, as
    another's report.html could hold any script.

    Args:
        into: a folder, made if need be; what it holds beside these files stays.

    Returns:
        The page.

    Raises:
        UserError: something cannot be read or written.
    """
    if into.resolve().is_relative_to(root.resolve()):
        raise UserError(f"--static {into} lies in the runs' folder {root}; name another folder")
    shelf = Shelf(root)
    rows = shelf.rows()
    with store.writing(into):
        into.mkdir(parents=True, exist_ok=True)
    for row in rows:
        if any(row["tasks"].values()):
            _report(shelf.folder(row["name"]), into)
    for name, (data, _) in page_files(as_json(rows)).items():
        with store.writing(into):
            (into / name).parent.mkdir(parents=True, exist_ok=True)
        _write(into / name, data)
    return into / "index.html"


def _report(folder: Path, into: Path) -> None:
    page = into / folder.name / store.REPORT
    since = (folder / store.SUMMARY).stat().st_mtime
    if page.exists() and page.stat().st_mtime > since:
        return
    say(f"writing {page}")
    with store.writing(page.parent):
        page.parent.mkdir(exist_ok=True)
    write_page(page, [reported(folder)])


def _write(path: Path, data: bytes) -> None:
    with store.atomic(path) as file:
        file.buffer.write(data)
