"""The command and Python blocks of README and the guide, read as a reader would type them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import CHECKOUT

PAGES = sorted([*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/*.md")])
TYPED = [page for page in PAGES if not page.name.endswith(".zh.md")]  # it has README's commands


@dataclass(frozen=True)
class Step:
    """A command, and the lines that the page says it prints (None: it says nothing of them)."""

    command: str
    shown: list[str] | None


@dataclass(frozen=True)
class Block:
    """A fenced block of commands, or Python blocks with no command between them, as one script.

    Attributes:
        comment: the HTML comment in the line before it: `not run: REASON`, `loads the small model`.
    """

    page: Path
    line: int
    kind: str
    comment: str
    text: str

    @property
    def runs(self) -> bool:
        return not self.comment.startswith("not run")

    @property
    def loads_the_model(self) -> bool:
        return self.comment == "loads the small model"

    def steps(self) -> Iterator[Step]:
        if self.kind == "python":
            yield Step(f"python - <<'END OF THE BLOCK'\n{self.text}\nEND OF THE BLOCK", None)
            return
        if self.kind == "bash":
            yield Step(self.text, None)
            return
        lines = self.text.split("\n")
        while lines:
            first = lines.pop(0)
            assert first.startswith("$ "), f"{self.page}:{self.line}: {first!r} is no command"
            command = [first[2:]]
            heredoc = re.search(r"<<'(\w+)'", first)
            while heredoc and command[-1] != heredoc[1]:
                command.append(lines.pop(0))
            while command[-1].endswith("\\") or (lines and lines[0].startswith("> ")):
                command.append(lines.pop(0).removeprefix("> "))
            shown = []
            while lines and not lines[0].startswith("$ "):
                shown.append(lines.pop(0))
            yield Step("\n".join(command), shown)


def blocks(page: Path) -> list[Block]:
    found = []
    lines = page.read_text("utf-8").split("\n")
    at = 0
    while at < len(lines):
        if fence := re.fullmatch(r"```(\w*)", lines[at]):
            end = lines.index("```", at + 1)
            if fence[1] in ("bash", "console", "sh", "shell", "python"):
                said = re.fullmatch(r"<!-- (.*) -->", lines[at - 1])
                text, comment = "\n".join(lines[at + 1 : end]), said[1] if said else ""
                before = found[-1] if found else None
                if fence[1] == "python" and before and (before.kind, before.comment) == (
                    "python", comment
                ):  # fmt: skip
                    found[-1] = dataclasses.replace(before, text=f"{before.text}\n{text}")
                else:
                    found.append(Block(page, at + 1, fence[1], comment, text))
            at = end
        at += 1
    return found


def matches(shown: list[str], printed: str) -> bool:
    """Whether the page shows what was printed; `…` stands for any text, alone for any lines.

    Blanks count as one; progress bars do not count.
    """
    lines = [" ".join(line.split()) for line in re.split(r"[\r\n]", printed)]
    text = "".join(line + "\n" for line in lines if line and not re.search(r"\d%\|", line))
    pattern = ""
    for line in filter(None, (" ".join(line.split()) for line in shown)):
        if line == "…":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*?".join(re.escape(part.strip()) for part in line.split("…")) + r"[ ]*\n"
    return re.fullmatch(pattern, text) is not None
