"""What a notebook shows of a run: a table, the report's page."""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import PosixPath

_HEIGHT = 720


@dataclass(frozen=True)
class Table:
    """A table; `print` shows it for a terminal, a notebook as a table.

    Attributes:
        terminal: within 80 columns.
        markdown: GitHub's.
    """

    terminal: str
    markdown: str

    def __str__(self) -> str:
        return self.terminal

    def __repr__(self) -> str:
        return self.terminal

    def _repr_markdown_(self) -> str:
        return self.markdown


class Page(PosixPath):
    """The path of a page, which a notebook shows.

    Texts of models are in it: it stands in a frame of its own that cannot reach the notebook.
    """

    def _repr_html_(self) -> str:
        if not self.is_file():
            return html.escape(f"{self}: there is no such file")
        page = html.escape(self.read_text(encoding="utf-8"), quote=True)
        return (
            f'<iframe sandbox="allow-scripts" srcdoc="{page}" width="100%" height="{_HEIGHT}" '
            'style="border: 1px solid #ccc"></iframe>'
        )
