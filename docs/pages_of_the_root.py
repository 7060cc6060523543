"""A hook of the site: pages that stand in the repository's root are pages of it, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

_PAGES = {"ARCHITECTURE.md": "architecture.md", "CONTRIBUTING.md": "contributing.md"}


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages; their links into docs/ are links beside them on the site."""
    root = Path(config["config_file_path"]).parent
    for name, page in _PAGES.items():
        text = (root / name).read_text("utf-8").replace("](docs/", "](")
        for other, of_the_site in _PAGES.items():
            text = text.replace(f"]({other}", f"]({of_the_site}")
        files.append(File.generated(config, page, content=text))
    return files
