"""Checkpoints as a training leaves them: small, but of the right form."""

from __future__ import annotations

import json
import struct
from pathlib import Path


def weights(path: Path, size: int = 16, *, cut: int = 0) -> None:
    """A safetensors file of one tensor; `cut` bytes of its end are not there yet."""
    header = {"w": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}}
    told = json.dumps({**header, "__metadata__": {"format": "pt"}}).encode()
    whole = struct.pack("<Q", len(told)) + told + bytes(size)
    path.write_bytes(whole[: len(whole) - cut])


def checkpoint(path: Path, *, cut: int = 0) -> Path:
    """A checkpoint's folder."""
    path.mkdir(parents=True)
    (path / "config.json").write_text("{}")
    (path / "tokenizer.json").write_text("{}")
    weights(path / "model.safetensors", cut=cut)
    return path
