"""A model's files, in its folder or on the hub."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from ochat_eval.data.mirrors import go_offline, hub_answers
from ochat_eval.model.model import Model
from ochat_eval.records import UserError
from ochat_eval.terminal.words import first_line

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json")
"""A model folder has at least one of these."""


class DamagedError(Exception):
    """What is wrong with a model's folder or file: `it has no config.json`."""


def json_object(file: Path) -> dict[str, Any]:
    """The JSON object that a file must hold.

    Raises:
        DamagedError: it is not there, not whole, or holds something else.
    """
    try:
        if not file.is_file():
            raise DamagedError(f"it has no {file.name}")
        value = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise DamagedError(f"{file.name} cannot be read whole") from None
    if not isinstance(value, dict):
        raise DamagedError(f"{file.name} holds no JSON object")
    return value


def model_file(model: Model, path: str | Path, name: str) -> Path | None:
    """A file of the model, downloaded if need be; None if the model has none of that name.

    Args:
        path: the folder or hub id that `prepare` returned.

    Raises:
        UserError: the hub cannot be reached, or has no such model.
    """
    if Path(path).is_dir():
        return file if (file := Path(path) / name).is_file() else None
    if not hub_answers():
        go_offline()
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


def file_sha256(file: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with file.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
