"""The files of the board's page: its own, and those it shares with the report."""

from __future__ import annotations

from ochat_eval.report.page import formula_files, page
from ochat_eval.report.page.frame import assets, element
from ochat_eval.serve.page_headers import POLICY

_SHARED_STYLES = (*page.STYLES, "curve.css")
_SHARED_SCRIPTS = (*page.SCRIPTS, "curve.js")
STYLES = (*formula_files.STYLES, *_SHARED_STYLES, "board.css")
_OWN_SCRIPTS = ("drawn.js", "remote.js", "runs.js", "steps.js", "marks.js", "board.js")
SCRIPTS = (*formula_files.SCRIPTS, *_SHARED_SCRIPTS, *_OWN_SCRIPTS)
_KINDS = {"css": "text/css", "js": "text/javascript"}


def page_files(runs: bytes | None = None) -> dict[str, tuple[bytes, str]]:
    """The page's files by name, each with its media type; the page itself is `index.html`.

    Args:
        runs: the list of runs as JSON, for a page that no server answers: it may be opened as a
            file, and then can read no other.
    """
    styles = "\n".join(f'<link rel="stylesheet" href="{name}">' for name in STYLES)
    scripts = "\n".join(f'<script src="{name}" defer></script>' for name in SCRIPTS)
    html = (
        _own("board.html")
        .replace("POLICY", POLICY)
        .replace("MODE", "server" if runs is None else "files")
        .replace("<!--files-->", f"{styles}\n{scripts}")
        .replace("<!--sections-->", assets("sections.html"))
        .replace("<!--runs-->", "" if runs is None else element("runs", runs))
    )
    found = {"index.html": (html.encode(), "text/html"), **formula_files.formula_files()}
    for name in (*_SHARED_STYLES, *_SHARED_SCRIPTS):
        found[name] = assets(name).encode(), _KINDS[name.rpartition(".")[2]]
    for name in ("board.css", *_OWN_SCRIPTS):
        found[name] = _own(name).encode(), _KINDS[name.rpartition(".")[2]]
    return found


def _own(name: str) -> str:
    return assets(name, package="ochat_eval.board.page")
