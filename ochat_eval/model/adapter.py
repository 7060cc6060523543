"""LoRA adapters: folders as peft writes them, each a change to the weights of a base model."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from ochat_eval.model.files import DamagedError, file_sha256, json_object
from ochat_eval.model.model import Model
from ochat_eval.model.safetensors import Tensor, tensors
from ochat_eval.records import UserError

CONFIG = "adapter_config.json"
"""What a folder that holds an adapter has."""
WEIGHTS = "adapter_model.safetensors"
_NAME = re.compile(r"[\w+-][\w.+-]*")
_PART = re.compile(r"base_model\.model\.(.+)\.lora_([AB])\.weight")
_TIED = ("lm_head", "embed_tokens")
"""Modules that share one weight in many models, so that files name one of them only."""
_UNPACKED = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")
"""Types of weights whose shape in the file is the matrix's own; others may be packed."""


class _Config(msgspec.Struct):
    """Of adapter_config.json, what is read here; the engine reads the rest."""

    r: Annotated[int, msgspec.Meta(ge=1)]
    peft_type: str = "LORA"
    base_model_name_or_path: str | None = None
    rank_pattern: dict[str, Annotated[int, msgspec.Meta(ge=1)]] | None = None


@dataclass(frozen=True)
class Adapter:
    """A LoRA adapter's folder.

    Attributes:
        name: the user's name for it.
        path: the folder, absolute.
        rank: the largest of its matrices'.
        base: the model that it says it is of; None where it says none.
        shapes: by module of the base, the rows and columns of the matrix that it adds to.
    """

    name: str
    path: Path
    rank: int
    base: str | None
    shapes: dict[str, tuple[int, int]]

    @property
    def digest(self) -> str:
        """Which adapter it is, for the identity of a run: sha256 over its two files."""
        both = "".join(file_sha256(self.path / name) for name in (CONFIG, WEIGHTS))
        return f"sha256:{hashlib.sha256(both.encode()).hexdigest()}"


def places(entries: Sequence[str]) -> dict[str, Path]:
    """The folders that `model.adapters` names, absolute, by the adapters' names.

    Raises:
        UserError: no NAME=PATH, or a name that cannot be one or is given twice.
    """
    found: dict[str, Path] = {}
    for entry in entries:
        name, equals, path = (part.strip() for part in entry.partition("="))
        if not (equals and path and _NAME.fullmatch(name)):
            raise UserError(
                f"model.adapters: {entry!r} is no NAME=PATH; a name has letters, digits, '.', '_', "
                "'+', '-' only"
            )
        if name in found:
            raise UserError(f"model.adapters: {name} is given twice; choose another name")
        found[name] = Path(path).expanduser().absolute()
    return found


def adapters_of(model: Model) -> list[Adapter]:
    """The model's adapters, in the order given.

    Raises:
        UserError: one is not there or cannot be read.
    """
    found = []
    for name, path in places(model.adapters).items():
        try:
            found.append(read_adapter(name, path))
        except DamagedError as e:
            raise UserError(f"adapter {name}: {path}: {e}") from e
    return found


def read_adapter(name: str, path: Path) -> Adapter:
    """What a folder holds, as peft saves it; of its weights the header.

    Raises:
        DamagedError: there is none, it is not whole, or it is of another kind.
    """
    if not path.is_dir():
        raise DamagedError("there is no such folder; download an adapter first")
    try:
        config = msgspec.convert(json_object(path / CONFIG), _Config)
    except msgspec.ValidationError as e:
        raise DamagedError(f"{CONFIG}: {e}") from e
    if config.peft_type != "LORA":
        raise DamagedError(f"it is a {config.peft_type} adapter; there is LoRA only")
    if not (path / WEIGHTS).is_file():
        raise DamagedError(f"it has no {WEIGHTS}; save it so (safe_serialization=True)")
    rank = max(config.r, *(config.rank_pattern or {"": 1}).values())
    shapes = _shapes(tensors(path / WEIGHTS))
    return Adapter(name, path, rank, config.base_model_name_or_path, shapes)


def _shapes(held: dict[str, Tensor]) -> dict[str, tuple[int, int]]:
    """By module, the shape of B times A: A is rank x columns, B rows x rank."""
    parts: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, tensor in held.items():
        if found := _PART.fullmatch(name):
            parts.setdefault(found[1], {})[found[2]] = tensor.shape
    if not parts:
        raise DamagedError(f"{WEIGHTS} has no LoRA matrices (base_model.model.….lora_A.weight)")
    shapes = {}
    for module, pair in parts.items():
        if set(pair) != {"A", "B"}:
            raise DamagedError(f"{WEIGHTS} has one of two matrices of {module}")
        a, b = pair["A"], pair["B"]
        if len(a) != 2 or len(b) != 2 or a[0] != b[1]:
            raise DamagedError(f"{WEIGHTS}: the matrices of {module} do not fit each other")
        shapes[module] = (b[0], a[1])
    return shapes


def check_base(adapter: Adapter, model: Model, folder: Path) -> None:
    """Refuses an adapter of another base.

    vLLM 0.32 takes matrices of other shapes without a word, and passes over those of layers that
    the base does not have.

    Args:
        folder: the base's, with its safetensors files; where it has none nothing can be told.

    Raises:
        UserError: a matrix does not fit the base's weight, or the base has no such module.
    """
    base: dict[str, Tensor] = {}
    try:
        for file in sorted(folder.glob("*.safetensors")):
            base.update(tensors(file))
    except DamagedError as e:
        raise UserError(f"{folder}: {e}") from e
    modules = {name.rpartition(".")[0] for name in base}
    missing = [one for one in adapter.shapes if one not in modules and not one.endswith(_TIED)]
    other = f"it was made for another base{f', {adapter.base}' if adapter.base else ''}"
    if missing and len(missing) < len(adapter.shapes):  # all: vLLM knows them by other names
        raise UserError(
            f"adapter {adapter.name} changes {missing[0]}, which {model.name} has not: {other}"
        )
    for module, shape in adapter.shapes.items():
        weight = base.get(f"{module}.weight")
        if weight is not None and weight.dtype in _UNPACKED and weight.shape != shape:
            there = " x ".join(map(str, weight.shape))
            raise UserError(
                f"adapter {adapter.name} changes {module} as one of {shape[0]} x {shape[1]}, which "
                f"is {there} in {model.name}: {other}"
            )


def check_chat(adapter: Adapter, template: str | None, vocabulary: Collection[str]) -> None:
    """Refuses an adapter whose conversations are written otherwise than the base's.

    Trainers save the tokenizer with an adapter. All adapters are asked with the base's.

    Args:
        template: the chat template that is used; None where none is, or the user chose one.
        vocabulary: the base's tokens.

    Raises:
        UserError: its template is another, it has tokens that the base has not, or its files cannot
            be read.
    """
    try:
        own = _own_template(adapter.path)
        added = _added_tokens(adapter.path)
    except (DamagedError, OSError, ValueError) as e:
        raise UserError(f"adapter {adapter.name}: {adapter.path}: {e}") from e
    if new := sorted(set(added) - set(vocabulary)):
        raise UserError(
            f"adapter {adapter.name} has tokens that its base has not ({', '.join(new[:3])}): "
            "merge it into its base (peft's merge_and_unload) and give that as a model"
        )
    if template is not None and own is not None and own.strip() != template.strip():
        raise UserError(
            f"adapter {adapter.name} has another chat template than its base; all are asked with "
            "one: choose it with model.template=FILE (the base's is in its folder, too)"
        )


def _own_template(folder: Path) -> str | None:
    """The chat template that was saved with an adapter."""
    if (file := folder / "chat_template.jinja").is_file():
        return file.read_text(encoding="utf-8")
    if not (file := folder / "tokenizer_config.json").is_file():
        return None
    carried = json_object(file).get("chat_template")
    return carried if isinstance(carried, str) else None


def _added_tokens(folder: Path) -> list[str]:
    """The texts of the tokens beside the usual ones, in the tokenizer saved with an adapter."""
    if not (file := folder / "tokenizer.json").is_file():
        return []
    added = json_object(file).get("added_tokens")
    entries = added if isinstance(added, list) else []
    return [str(one.get("content")) for one in entries if isinstance(one, dict)]
