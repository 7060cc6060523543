"""What a model is to the harness."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Model:
    """A chat model, as `conf/model/<name>.yaml` describes it.

    Attributes:
        path: a folder, a hub id (`org/name`), or, where `package` is set, a GGUF file in it.
        name: what reports and run folders call it; empty: the last component of `path`.
        served_names: what our server calls it besides `name`.
        revision: the hub's commit, tag or branch; None for its main branch.
        chat: how a conversation becomes tokens: `openchat`, `template` (the tokenizer's own
            chat template) or `fastchat:<name>` (an entry of fschat's registry).
        condition: the chat format's condition where an item names none.
        conditions: the conditions it may have; empty for a model that has none.
        context: longest prompt and answer together, in tokens.
        stop: texts of special tokens that end a turn, besides those the model's files name.
        published: the row of results/recorded/published.yaml with this model's own figures;
            None where none are published.
        package: an installed package that carries the weights.
        sha256: of the package's file.
    """

    path: str
    name: str = ""
    served_names: list[str] = field(default_factory=list)
    revision: str | None = None
    chat: str = "template"
    condition: str | None = None
    conditions: list[str] = field(default_factory=list)
    context: int = 8192
    stop: list[str] = field(default_factory=list)
    published: str | None = None
    package: str | None = None
    sha256: str | None = None

    def __post_init__(self) -> None:
        if not self.name:
            last = Path(self.path).name or Path(self.path).resolve().name
            object.__setattr__(self, "name", last)
