"""The checkpoints of a series: where they are, at which step, and whether they are whole."""

from __future__ import annotations

import contextlib
import glob
import json
import re
import struct
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ochat_eval.model.files import TOKENIZER_FILES
from ochat_eval.model.step import named_step
from ochat_eval.records import UserError

_PATTERN = re.compile(r"[*?\[]")
_LONGEST_HEADER = 100_000_000
"""Bytes; the format's own limit."""


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint of a training.

    Attributes:
        path: its folder.
        step: where in the training it was written; None where nothing tells.
        unit: what `step` counts: `step` or `epoch`.
    """

    path: Path
    step: float | None
    unit: str

    @property
    def label(self) -> str:
        """What tables call it: `step 100`, `epoch 0.5`; the folder's name without a step."""
        return self.path.name if self.step is None else f"{self.unit} {self.step:g}"


def check_places(places: Sequence[str]) -> None:
    """Refuses what cannot be a place of checkpoints.

    Raises:
        UserError: one that is neither a folder nor a pattern.
    """
    for place in places:
        if not (Path(place).expanduser().is_dir() or _PATTERN.search(place)):
            raise UserError(f"{place}: there is no such folder; a pattern has a * in it")


def checkpoints(places: Sequence[str]) -> list[Checkpoint]:
    """The checkpoints that are there, by step and then by path; whole or not.

    Args:
        places: checkpoints, folders of checkpoints, and patterns of either.
    """
    found: dict[Path, None] = {}
    for place in places:
        path = Path(place).expanduser()
        paths = [path] if path.is_dir() else map(Path, glob.glob(str(path), recursive=True))
        for one in paths:
            found.update(dict.fromkeys(_within(one)))
    placed = (Checkpoint(path, *_place(path)) for path in found)
    return sorted(placed, key=lambda c: (c.step is None, c.step or 0, str(c.path)))


def _within(path: Path) -> Iterator[Path]:
    """A checkpoint itself, or the checkpoints in a folder of them."""
    if not path.is_dir():
        return
    if (path / "config.json").is_file() or named_step(path.name):
        yield path
        return
    for child in sorted(path.iterdir()):
        begun = named_step(child.name) or (child / "config.json").is_file()
        if begun and child.is_dir() and not child.name.startswith((".", "tmp")):
            yield child


def _place(path: Path) -> tuple[float | None, str]:
    """A checkpoint's step by its name, else by what transformers' Trainer wrote in it."""
    if named := named_step(path.name):
        return named
    try:
        step = _object(path / "trainer_state.json").get("global_step")
    except _NotWholeError:
        step = None
    if isinstance(step, int | float) and not isinstance(step, bool):
        return float(step), "step"
    return None, "step"


def lacking(path: Path) -> str | None:
    """What a checkpoint's folder lacks to be whole; None where nothing does.

    A file that is still being written and one that is damaged look alike: only waiting tells.
    """
    try:
        _check_whole(path)
    except _NotWholeError as e:
        return str(e)
    except OSError as e:
        return f"it cannot be read ({e.strerror})"
    return None


def _check_whole(path: Path) -> None:
    if (path / "adapter_config.json").is_file():
        raise _NotWholeError("it is an adapter, no model of its own: merge it into its base")
    _object(path / "config.json")
    if not any((path / name).is_file() for name in TOKENIZER_FILES):
        raise _NotWholeError(f"it has no tokenizer ({', '.join(TOKENIZER_FILES)})")
    for index in sorted(path.glob("*.index.json")):
        shards = _object(index).get("weight_map")
        if not isinstance(shards, dict) or not all(isinstance(s, str) for s in shards.values()):
            raise _NotWholeError(f"{index.name} names no files")
        for shard in sorted(set(shards.values())):
            if not (path / shard).is_file():
                raise _NotWholeError(f"{shard} is missing")
    weights, older = sorted(path.glob("*.safetensors")), sorted(path.glob("pytorch_model*.bin"))
    if not weights and not older:
        raise _NotWholeError("it has no weights (*.safetensors)")
    for file in weights:
        _check_safetensors(file)
    for file in older:
        if not zipfile.is_zipfile(file):  # torch.save writes the list of a zip file last
            raise _NotWholeError(f"{file.name} is cut off or damaged")


class _NotWholeError(Exception):
    """What is wrong with a file."""


def _object(file: Path) -> dict[str, Any]:
    """The JSON object that a file must hold."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _NotWholeError(f"it has no {file.name}") from None
    except (OSError, ValueError, RecursionError):
        raise _NotWholeError(f"{file.name} cannot be read whole") from None
    if not isinstance(value, dict):
        raise _NotWholeError(f"{file.name} holds no JSON object")
    return value


def _check_safetensors(file: Path) -> None:
    """Compares a safetensors file's length with what its header tells.

    Eight bytes with the header's length (little-endian), the header (JSON: for each tensor where
    its bytes begin and end), the bytes (the format's README, github.com/huggingface/safetensors).
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as opened:
            first = opened.read(8)
            length = struct.unpack("<Q", first)[0] if len(first) == 8 else None
            if length is None or not 2 <= length <= min(_LONGEST_HEADER, size - 8):
                raise _NotWholeError(f"{file.name} is cut off or damaged: its header is not whole")
            header = json.loads(opened.read(length))
        ends = [one["data_offsets"][1] for name, one in header.items() if name != "__metadata__"]
        wanted = 8 + length + max(ends)
    except OSError as e:
        raise _NotWholeError(f"{file.name} cannot be read: {e.strerror}") from e
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as e:
        raise _NotWholeError(f"{file.name} is damaged: its header cannot be read") from e
    if size != wanted:
        raise _NotWholeError(f"{file.name} has {size:,} of {wanted:,} bytes")


def looks(path: Path) -> tuple[tuple[str, int, int], ...]:
    """How a checkpoint's files look now: names, sizes, times; the same twice is a rest."""
    found = []
    with contextlib.suppress(FileNotFoundError):  # renamed or removed meanwhile
        for file in sorted(path.iterdir()):
            status = file.stat()
            found.append((file.name, status.st_size, status.st_mtime_ns))
    return tuple(found)
