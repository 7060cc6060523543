"""The checkpoints of a series: where they are, at which step, and whether they are whole."""

from __future__ import annotations

import contextlib
import glob
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ochat_eval.model.adapter import CONFIG, read_adapter
from ochat_eval.model.files import TOKENIZER_FILES, DamagedError, json_object
from ochat_eval.model.safetensors import tensors
from ochat_eval.model.step import named_step
from ochat_eval.records import UserError

_PATTERN = re.compile(r"[*?\[]")


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
    def is_adapter(self) -> bool:
        """Whether it is a LoRA adapter, no model of its own."""
        return (self.path / CONFIG).is_file()

    @property
    def name(self) -> str:
        """As an adapter, what it is called beside others: its folder's name, of plain letters."""
        return re.sub(r"[^\w.+-]+", "-", self.path.resolve().name).lstrip(".") or "adapter"

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


def is_begun(path: Path) -> bool:
    """Whether a folder holds the beginning of a model or of an adapter."""
    return any((path / name).is_file() for name in ("config.json", CONFIG))


def _within(path: Path) -> Iterator[Path]:
    """A checkpoint itself, or the checkpoints in a folder of them."""
    if not path.is_dir():
        return
    if is_begun(path) or named_step(path.name):
        yield path
        return
    for child in sorted(path.iterdir()):
        if (
            (named_step(child.name) or is_begun(child))
            and child.is_dir()
            and not child.name.startswith((".", "tmp"))
        ):
            yield child


def _place(path: Path) -> tuple[float | None, str]:
    """A checkpoint's step by its name, else by what transformers' Trainer wrote in it."""
    if named := named_step(path.name):
        return named
    try:
        step = json_object(path / "trainer_state.json").get("global_step")
    except DamagedError:
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
    except DamagedError as e:
        return str(e)
    except OSError as e:
        return f"it cannot be read ({e.strerror})"
    return None


def _check_whole(path: Path) -> None:
    if (path / CONFIG).is_file():
        read_adapter(path.name, path)
        return
    json_object(path / "config.json")
    if not any((path / name).is_file() for name in TOKENIZER_FILES):
        raise DamagedError(f"it has no tokenizer ({', '.join(TOKENIZER_FILES)})")
    for index in sorted(path.glob("*.index.json")):
        shards = json_object(index).get("weight_map")
        if not isinstance(shards, dict) or not all(isinstance(s, str) for s in shards.values()):
            raise DamagedError(f"{index.name} names no files")
        for shard in sorted(set(shards.values())):
            if not (path / shard).is_file():
                raise DamagedError(f"{shard} is missing")
    weights, older = sorted(path.glob("*.safetensors")), sorted(path.glob("pytorch_model*.bin"))
    if not weights and not older:
        raise DamagedError("it has no weights (*.safetensors)")
    for file in weights:
        tensors(file)
    for file in older:
        if not zipfile.is_zipfile(file):  # torch.save writes the list of a zip file last
            raise DamagedError(f"{file.name} is cut off or damaged")


def looks(path: Path) -> tuple[tuple[str, int, int], ...]:
    """How a checkpoint's files look now: names, sizes, times; the same twice is a rest."""
    found = []
    with contextlib.suppress(FileNotFoundError):  # renamed or removed meanwhile
        for file in sorted(path.iterdir()):
            status = file.stat()
            found.append((file.name, status.st_size, status.st_mtime_ns))
    return tuple(found)
