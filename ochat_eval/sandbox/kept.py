"""Results of slow work, kept from run to run in a file of the cache.

A file holds only what was made by the very same rules: its name has a digest of them. It is an
append-only list of lines, each with a checksum, so that a kill or two runs at once cost at most the
lines that were being written; what is torn, damaged or of another shape is passed over, and the
work is done again. A checksum guards against accidents, not against whoever may write to the
file: one that others than its user can write to is not read.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from ochat_eval.data.source import cache_root
from ochat_eval.terminal.say import say

T = TypeVar("T")

MOST_BYTES = 8 << 20
"""A file that has grown to this is begun anew: some 60,000 short results."""
RESULTS = "results"
"""The cache's folder of these files."""
_VERSIONS = 3
"""Files of so many rules, the latest ones, are left beside each other."""
_AT_ONCE = 64
"""So many new results are written together."""
_CHECKED = 16


class Kept(Generic[T]):
    """Results by what they are of; to be closed, which writes the last ones."""

    def __init__(self, name: str, rules: str, kind: Any):
        """Reads what there is.

        Args:
            name: what is kept, a word.
            rules: a digest of all that a result depends on beside its key, hexadecimal.
            kind: the type of a result, `T`; one that `msgspec` can write and read as JSON.
        """
        self._files = f"{name}-*.jsonl"
        self.path = cache_root() / RESULTS / self._files.replace("*", rules[:32])
        self._decoder: Any = msgspec.json.Decoder(tuple.__class_getitem__((str, kind)))
        self._known: dict[str, T] = {}
        self._new: list[bytes] = []
        self._usable = True
        with self._failing():
            for key, result in self._lines():
                self._known[key] = result

    def __enter__(self) -> Kept[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self._write()

    def get(self, key: Any) -> T | None:
        """The result of this, from this run or an earlier one; None where there is none."""
        return self._known.get(_name(key))

    def add(self, key: Any, result: T) -> None:
        """Keeps a result. `key` is JSON-serialisable."""
        name = _name(key)
        self._known[name] = result
        line = msgspec.json.encode((name, result))
        self._new.append(_check(line) + line + b"\n")
        if len(self._new) >= _AT_ONCE:
            self._write()

    def _lines(self) -> Iterator[tuple[str, T]]:
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return
        with open(descriptor, "rb") as file:
            about = os.fstat(descriptor)
            others = about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid() or others:
                self._give_up(f"{self.path} is not this user's alone")
                return
            if about.st_size >= MOST_BYTES:
                self.path.unlink()
                return
            for line in file:
                if line[:_CHECKED] == _check(line[_CHECKED:].rstrip(b"\n")):
                    with contextlib.suppress(msgspec.DecodeError):  # of another shape
                        key, result = self._decoder.decode(line[_CHECKED:])
                        yield key, result

    def _write(self) -> None:
        lines, self._new = self._new, []
        if not lines or not self._usable:
            return
        with self._failing():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not self.path.exists():
                by_age = sorted(self.path.parent.glob(self._files), key=os.path.getmtime)
                for old in by_age[: 1 - _VERSIONS]:
                    old.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
            descriptor = os.open(self.path, flags, 0o600)
            try:  # behind a line end: a kill may have left half a line
                os.write(descriptor, b"\n" + b"".join(lines))
            finally:
                os.close(descriptor)

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        """What the disk refuses costs nothing but time."""
        try:
            yield
        except OSError as e:
            self._give_up(str(e))

    def _give_up(self, why: str) -> None:
        self._usable = False
        say(f"results are not kept for the next run: {why}")


def _name(key: Any) -> str:
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]


def _check(line: bytes) -> bytes:
    return hashlib.sha256(line).hexdigest()[:_CHECKED].encode()


def rules_digest(*sources: Path, versions: object) -> str:
    """A digest of rules: their source files, of a folder all Python files, and versions."""
    found = hashlib.sha256(repr(versions).encode())
    for source in sources:
        for file in sorted(source.rglob("*.py")) if source.is_dir() else [source]:
            found.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()
