"""The header of a safetensors file: which tensors it has, and whether it is whole."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path

from ochat_eval.model.files import DamagedError

_LONGEST_HEADER = 100_000_000
"""Bytes; the format's own limit."""

_UNREADABLE = (
    ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RecursionError,
)  # fmt: skip
"""What comes of a header that is JSON, or nearly, and says something else."""


@dataclass(frozen=True)
class Tensor:
    """One tensor: its type as the format writes it (`BF16`), and its shape."""

    dtype: str
    shape: tuple[int, ...]


def tensors(file: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file by name; nothing but its header is read.

    Eight bytes with the header's length (little-endian), the header (JSON: for each tensor its
    type, its shape, and where its bytes begin and end), the bytes (the format's README,
    github.com/huggingface/safetensors).

    Raises:
        DamagedError: it is cut off, or its header cannot be read.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as opened:
            first = opened.read(8)
            length = struct.unpack("<Q", first)[0] if len(first) == 8 else None
            if length is None or not 2 <= length <= min(_LONGEST_HEADER, size - 8):
                raise DamagedError(f"{file.name} is cut off or damaged: its header is not whole")
            header = json.loads(opened.read(length))
        entries = {name: one for name, one in header.items() if name != "__metadata__"}
        wanted = 8 + length + max(one["data_offsets"][1] for one in entries.values())
        found = {
            name: Tensor(str(one["dtype"]), tuple(map(int, one["shape"])))
            for name, one in entries.items()
        }
    except OSError as e:
        raise DamagedError(f"{file.name} cannot be read: {e.strerror}") from e
    except _UNREADABLE as e:
        raise DamagedError(f"{file.name} is damaged: its header cannot be read") from e
    if size != wanted:
        raise DamagedError(f"{file.name} has {size:,} of {wanted:,} bytes")
    return found
