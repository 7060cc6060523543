"""Pinned data: where a benchmark's rows come from, and the proof that they are the right ones.

A source is looked for in the local data root (`OCHAT_EVAL_DATA`), then in the user's cache, then
on the network. Root and cache have one layout:

    hub/<id>/<config>/<split>-*.parquet            rows of a data set of the hub
    raw/<owner>/<repo>/<commit>/<path>             a file of a public git repository
    evalplus/HumanEvalPlus-<version>.jsonl         HumanEval+

What identifies data is its digest, not the place it was found in: every `load` verifies it.
`OCHAT_EVAL_RAW_BASE`, `OCHAT_EVAL_RELEASE_BASE` and `HF_ENDPOINT` name mirrors; a mirror need not
be trusted.
"""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from ochat_eval.records import UserError
from ochat_eval.terminal.words import one_line

T = TypeVar("T")
V = TypeVar("V")
_NAME = re.compile(r"[\w][\w .+@=-]*")


def data_root() -> Path | None:
    """The folder that `OCHAT_EVAL_DATA` names, None where it is unset or empty.

    Raises:
        UserError: there is no such folder.
    """
    named = os.environ.get("OCHAT_EVAL_DATA")
    if not named:
        return None
    root = Path(named).expanduser()
    if not root.is_dir():
        raise UserError(
            f"OCHAT_EVAL_DATA: no folder {root}; unset it, or fill it with ochat-eval pull {root}"
        )
    return root


def cache_root() -> Path:
    """The folder that keeps what was fetched (pooch's place for this program)."""
    import pooch

    return Path(pooch.os_cache("ochat_eval"))


@dataclass(frozen=True)
class Source(ABC, Generic[T]):
    """One piece of pinned data; `T` is what it loads as."""

    kind: ClassVar[str]
    pinned: ClassVar[bool] = False
    """Whether its fields, and the versions of all packages, tell what it loads."""

    @abstractmethod
    def load(self) -> T:
        """The verified data.

        Raises:
            UserError: not to be had, or not what is pinned.
        """

    def describe(self) -> dict[str, Any]:
        """What pins the data, for a run's manifest: `kind` and the fields; JSON-serialisable."""
        return {"kind": self.kind, **asdict(self)}

    def store(self, root: Path) -> bool:
        """Put the data into a data root, unless it is there and verifies; True if it was written.

        What ships inside a package is everywhere already: nothing is written.

        Raises:
            UserError: as `load`; or the file cannot be written.
        """
        return False


@dataclass(frozen=True)
class Remote(Source[T]):
    """A source of the network that a data root can hold."""

    pinned = True

    @property
    @abstractmethod
    def label(self) -> str:
        """The data's name in messages."""

    @abstractmethod
    def _path(self, root: Path) -> Path:
        """The file that `_write` makes in a root."""

    @abstractmethod
    def _open(self, root: Path) -> T:
        """The verified data of a root.

        Raises:
            FileNotFoundError: the root has no such data.
            ValueError, OSError: it cannot be read, or is not what is pinned.
        """

    @abstractmethod
    def _fetch(self) -> T:
        """The verified data from the network. Raises UserError."""

    @abstractmethod
    def _bytes(self, value: T) -> bytes:
        """The content of the file in a root."""

    def load(self) -> T:
        """The verified data: from the data root, else the cache, else the network."""
        root, cache = data_root(), cache_root()
        value = None if root is None else self._read(root)
        if value is None:
            value = self._intact(cache)
        if value is None:
            value = self._fetch()
            self._write(cache, value)
        return value

    def store(self, root: Path) -> bool:
        """As `Source.store`; a damaged file is replaced."""
        if self._intact(root) is not None:
            return False
        local = data_root()
        value = None
        if local is not None and local.resolve() != root.resolve():
            value = self._read(local)
        if value is None:
            value = self._intact(cache_root())
        self._write(root, self._fetch() if value is None else value)
        self._read(root)  # what was written must load again
        return True

    def _read(self, root: Path) -> T | None:
        """The data of a root, None where it has none. Raises UserError where it is damaged."""
        try:
            return self._open(root)
        except FileNotFoundError:
            return None
        except (ValueError, OSError) as error:
            raise UserError(
                f"{self.label}: {self._path(root)} is damaged: {one_line(error)}; delete it, or "
                f"have it replaced: ochat-eval pull {root}"
            ) from error

    def _intact(self, root: Path) -> T | None:
        """The data of a root that we may overwrite, None where it is missing or damaged."""
        try:
            return self._read(root)
        except UserError:
            return None

    def _write(self, root: Path, value: T) -> None:
        """Put the data into a root; a reader sees the whole file or none."""
        path = self._path(root)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                part.write_bytes(self._bytes(value))
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
        except OSError as error:
            raise UserError(f"{self.label}: cannot write {path}: {one_line(error)}") from error


def check_names(*names: str) -> None:
    """Refuse names that would lead out of a data root or to another address."""
    for name in names:
        if not all(_NAME.fullmatch(part) for part in name.split("/")):
            raise UserError(f"{name!r} cannot name pinned data: use letters, digits and .+-_@=")
