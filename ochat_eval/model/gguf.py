"""A GGUF file as an ordinary model folder, made once."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

from filelock import FileLock

from ochat_eval.model.files import file_sha256
from ochat_eval.model.model import Model
from ochat_eval.model.tokenizer import quiet_transformers
from ochat_eval.records import UserError
from ochat_eval.terminal.say import say

RECIPE = 1
"""Raised when `_convert` changes what it writes, so that older conversions are not used."""
_MARKER = "digests.json"


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
            if (found := file_sha256(gguf)) != model.sha256:
                raise UserError(
                    f"{gguf} is not the file that {model.name} is pinned to (sha256 {found[:12]}…,"
                    f" not {(model.sha256 or '')[:12]}…); install the package again"
                )
            say(f"converting {model.name}: once, about half a minute …")
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
        if not (folder / name).is_file() or file_sha256(folder / name) != digest:
            return f"{name} is not as written"
    return None


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
