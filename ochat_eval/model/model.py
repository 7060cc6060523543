"""What a model is to the harness."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ochat_eval.records import UserError


@dataclass(frozen=True, kw_only=True)
class Model:
    """A chat model, as `conf/model/<name>.yaml` describes it.

    Attributes:
        path: a folder, a hub id (`org/name`), or, where `package` is set, a GGUF file in it.
        name: what reports and run folders call it; empty: the last component of `path`.
        served_names: what our server calls it besides `name`.
        revision: the hub's commit, tag or branch; None for its main branch.
        chat: how a conversation becomes tokens: `openchat`, `template` (the tokenizer's own
            chat template), `fastchat:<name>` (an entry of fschat's registry) or `raw` (a base
            model: the text as it is).
        template: with `chat: template` a template of the tokenizer's by name, or a file; None for
            the one called default.
        template_kwargs: the template's variables, as `enable_thinking`.
        system: a system message, or a file with its text; None for none.
        thinking: what stands around a thought: `auto` (by template and vocabulary), `none`, or
            the two marks.
        thinking_budget: the tokens after which the engine ends a thought; None for no such limit.
        condition: the chat format's condition where an item names none.
        conditions: the conditions it may have; empty for a model that has none.
        context: longest prompt and answer together, in tokens; None for the model's own.
        max_context: the most that `context: null` takes.
        stop: texts that end a turn, besides what the model's files name; the chat template's own
            end of turn is then one only if it is among them.
        trust_remote_code: run the code of tokenizer and model that comes with the model.
        adapters: LoRA adapters on it, `NAME=FOLDER` each; a run's own model has one at most.
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
    template: str | None = None
    template_kwargs: dict[str, Any] = field(default_factory=dict)
    system: str | None = None
    thinking: Any = "auto"
    thinking_budget: int | None = None
    condition: str | None = None
    conditions: list[str] = field(default_factory=list)
    context: int | None = 8192
    max_context: int = 32768
    stop: list[str] = field(default_factory=list)
    trust_remote_code: bool = False
    adapters: list[str] = field(default_factory=list)
    published: str | None = None
    package: str | None = None
    sha256: str | None = None

    def __post_init__(self) -> None:
        if not self.name:
            last = Path(self.path).name or Path(self.path).resolve().name
            object.__setattr__(self, "name", last.removesuffix(".gguf"))
        object.__setattr__(self, "system", _text("model.system", self.system))

    def changes(self) -> dict[str, Any]:
        """The options that change what the model is asked or how its answer is taken, of those
        that are not at their defaults; a template file by its digest. For a run's identity."""
        names = ("template_kwargs", "system", "thinking", "thinking_budget", "stop")
        found = {name: getattr(self, name) for name in (*names, "template", "trust_remote_code")}
        if self.template is not None and (file := Path(self.template).expanduser()).is_file():
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            found["template"] = f"{file.name} sha256:{digest[:16]}"
        usual = {f.name: f for f in dataclasses.fields(self)}
        return {name: value for name, value in found.items() if value != _default(usual[name])}


def _default(field_: dataclasses.Field[Any]) -> Any:
    made = field_.default_factory
    return field_.default if made is dataclasses.MISSING else made()


def _text(option: str, value: str | None) -> str | None:
    """A text, or the text of the file that it names.

    Raises:
        UserError: it looks like a text file's name, and there is no such file to read.
    """
    if not value or "\n" in value or len(value) > 500:
        return value or None
    file = Path(value).expanduser()
    try:
        if file.is_file():
            return file.read_text(encoding="utf-8").strip("\n")
    except (OSError, ValueError) as e:
        raise UserError(f"{option}={value}: this file cannot be read as text ({e})") from e
    if file.suffix in (".txt", ".md") and " " not in value:
        raise UserError(f"{option}={value}: there is no such file")
    return value
