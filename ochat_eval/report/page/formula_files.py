"""KaTeX and its fonts, as a page that draws formulas loads them from where it comes from itself."""

from __future__ import annotations

from importlib import resources

SCRIPTS = ("katex/katex.min.js", "formulas.js")
STYLES = ("katex/katex.min.css",)
_KINDS = {"css": "text/css", "js": "text/javascript", "woff2": "font/woff2"}


def formula_files() -> dict[str, tuple[bytes, str]]:
    """The files by the path that the page loads them from, each with its media type."""
    folder = resources.files("ochat_eval.report.page")
    fonts = sorted(one.name for one in folder.joinpath("katex/fonts").iterdir())
    names = [*SCRIPTS, *STYLES, *(f"katex/fonts/{n}" for n in fonts if n.endswith(".woff2"))]
    return {n: (folder.joinpath(n).read_bytes(), _KINDS[n.rpartition(".")[2]]) for n in names}
