"""A GGUF file as an ordinary model folder, made once: of a package, or the user's own."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock

from ochat_eval.model.files import file_sha256
from ochat_eval.model.imports import never_fork_engines, quiet_transformers
from ochat_eval.model.model import Model
from ochat_eval.records import UserError
from ochat_eval.terminal.say import say

RECIPE = 1
"""Raised when `_convert` changes what it writes, so that older conversions are not used."""
_MARKER = "digests.json"


def _smollm() -> Any:
    """Every digit for itself, then GPT-2's pattern."""
    from tokenizers import pre_tokenizers

    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )


def _pattern(digits: str) -> Any:
    """Llama 3's pattern, with so many digits in one piece."""
    from tokenizers import Regex, pre_tokenizers

    pattern = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
        + digits
        + r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


_SPLITS: dict[str | None, Callable[[], Any]] = {
    "smollm": _smollm,
    "llama-bpe": lambda: _pattern(r"\p{N}{1,3}"),
    "qwen2": lambda: _pattern(r"\p{N}"),
}
"""How a text is split before pairs of bytes are merged, by `tokenizer.ggml.pre`, which transformers
5.19 passes over: as llama.cpp does (`LLAMA_VOCAB_PRE_TYPE_…` in src/llama-vocab.cpp)."""


def _cache() -> Path:
    own = os.environ.get("OCHAT_EVAL_CACHE")
    if own:
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ochat_eval"


def converted(model: Model, gguf: Path, digest: str) -> Path:
    """The model folder made of `gguf`: from the cache, or made now.

    A lock lets one process convert while others wait; the folder appears whole or not at all.
    """
    key = hashlib.sha256(f"{digest} recipe {RECIPE}".encode()).hexdigest()
    target = _cache() / "models" / f"{model.name}-{key[:12]}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{target}.lock"):
            if target.exists():
                fault = _fault(target)
                if fault is None:
                    return target
                say(f"the converted model in {target} is damaged ({fault}): making it anew")
                shutil.rmtree(target)
            if model.package is not None and (found := file_sha256(gguf)) != model.sha256:
                raise UserError(
                    f"{gguf} is not the file that {model.name} is pinned to (sha256 {found[:12]}…,"
                    f" not {(model.sha256 or '')[:12]}…); install the package again"
                )
            say(f"converting {model.name}: once, a minute or so for each billion parameters …")
            partial = target.with_name(f"{target.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
            _convert(gguf, partial)
            digests = {file.name: file_sha256(file) for file in sorted(partial.iterdir())}
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
        file = folder / name
        if not file.is_file() or _digest(file, *_stamp(file)) != digest:
            return f"{name} is not as written"
    return None


def _stamp(file: Path) -> tuple[int, ...]:
    """What changes with a file: which one it is, its length, and when it was written."""
    found = file.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


@functools.cache
def _digest(file: Path, *_stamp: int) -> str:
    """The digest of a file, read once: a run asks for its model's folder several times."""
    return file_sha256(file)


@contextlib.contextmanager
def _read_once(reader: Any) -> Iterator[None]:
    """Meanwhile the package `gguf` keeps what it has read and made.

    transformers 5.19 asks it for the same file three times, and for the names of a model's tensors
    once for each of its modules: most of the time that a small model's conversion took.

    Args:
        reader: the module `gguf`.
    """
    own = reader.GGUFReader, reader.get_tensor_name_map
    reader.GGUFReader, reader.get_tensor_name_map = map(functools.cache, own)
    try:
        yield
    finally:
        reader.GGUFReader, reader.get_tensor_name_map = own


def _convert(gguf: Path, folder: Path) -> None:
    """Writes the GGUF model as an ordinary one: bfloat16, which is what it was trained in and
    what vLLM computes in on CPUs; rounding to it is far finer than the 4-bit blocks were.

    Raises:
        UserError: a package that this needs is missing, or transformers cannot read the file.
    """
    where = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    never_fork_engines()
    try:
        import gguf as reader

        transformers = quiet_transformers()
        import torch
        from tqdm import tqdm
        from transformers import modeling_gguf_pytorch_utils as reading

        reading.tqdm = functools.partial(tqdm, disable=None)  # no bar where there is no terminal
        with _read_once(reader):
            loaded = transformers.AutoModelForCausalLM.from_pretrained(
                **where,
                dtype=torch.bfloat16,
                quantization_config=transformers.GgufConfig(dequantize=True),
            )
            tokenizer = transformers.AutoTokenizer.from_pretrained(**where)
            fields = reader.GGUFReader(str(gguf)).fields
    except ImportError as e:
        raise UserError(
            f"converting {gguf.name} needs torch, transformers, gguf and accelerate ({e}): "
            "pip install gguf accelerate"
        ) from e
    loaded.config.name_or_path = ""
    loaded.save_pretrained(folder)
    if fields["tokenizer.ggml.model"].contents() == "gpt2":  # SentencePiece's kinds split nothing
        split = fields["tokenizer.ggml.pre"].contents() if "tokenizer.ggml.pre" in fields else None
        if split not in _SPLITS:
            raise UserError(f"{gguf.name} splits text as {split!r}, which is not known here")
        tokenizer.backend_tokenizer.pre_tokenizer = _SPLITS[split]()
    tokenizer.model_max_length = loaded.config.max_position_embeddings
    tokenizer.save_pretrained(folder)
