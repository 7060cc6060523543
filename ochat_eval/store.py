"""The run directory: atomic files, the append-only journal of responses, the identity check.

Nothing here is lost to a kill at any moment: a whole file is written beside its name and then
renamed, a journal line is on disk before the next is asked for, and a torn last line is cut off
when the journal is opened again.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from ochat_eval.records import Item, R, Response, Score, UserError, from_json, to_json

ITEMS = "items.jsonl"
RESPONSES = "responses.jsonl"
FAILURES = "failures.jsonl"
REPLICAS = "replicas.jsonl"
SCORES = "scores.jsonl"
JUDGE_ITEMS = "judge_items.jsonl"
JUDGMENTS = "judgments.jsonl"
JUDGE_FAILURES = "judge_failures.jsonl"
SUMMARY = "summary.json"
MANIFEST = "manifest.json"
CONFIG = "config.yaml"
TABLE = "table.md"
REPORT = "report.html"
TABLES = "tables"
"""`tables.md`, `tables.csv`, `tables.tex`: the published tables with the run's row."""
WHY = "why"
"""`why.json`, `why.md`: why the two rules' scores differ."""

Span = tuple[int, int]
"""`[start, end)` in a file, in bytes."""


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what the file system refuses (no space, read-only) into one clear line.

    Args:
        path: what is being written, for the message.

    Raises:
        UserError: in place of an OSError.
    """
    try:
        yield
    except OSError as e:
        hint = {
            errno.ENOSPC: "free some space and run the same command again: it goes on from here",
            errno.EDQUOT: "free some quota and run the same command again: it goes on from here",
            errno.EROFS: "choose a writable folder with results=DIR",
            errno.EACCES: "choose a writable folder with results=DIR",
            errno.EPERM: "choose a writable folder with results=DIR",
        }.get(e.errno or 0, "choose another folder with results=DIR")
        raise UserError(f"cannot write {path}: {e.strerror}; {hint}") from e


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[TextIO]:
    """A text file that appears under its name only when whole and on disk.

    Raises:
        UserError: it cannot be written; what stood at `path` stays as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with writing(path):
        try:
            with temporary.open("w", encoding="utf-8", newline="\n") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def write_records(path: Path, records: Iterable[Item | Response | Score]) -> None:
    """Writes records as JSON lines, atomically."""
    with atomic(path) as file:
        for record in records:
            file.buffer.write(to_json(record) + b"\n")


def write_lines(path: Path, values: Iterable[Mapping[str, Any]]) -> None:
    """Writes mappings as JSON lines, atomically."""
    with atomic(path) as file:
        for value in values:
            file.write(json.dumps(value) + "\n")


def append_line(path: Path, value: Mapping[str, Any]) -> None:
    """Adds a mapping as one JSON line, in one write; for notes, not for what must last."""
    with writing(path), path.open("ab", buffering=0) as file:
        file.write((json.dumps(value) + "\n").encode())


def write_text(path: Path, text: str) -> None:
    """Writes a text file, atomically; lone surrogates of model text become `?`."""
    with atomic(path) as file:
        file.write(text.encode(errors="replace").decode())


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Writes a JSON document, atomically."""
    with atomic(path) as file:
        json.dump(value, file, indent=1, ensure_ascii=False)
        file.write("\n")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON document that holds an object.

    Raises:
        UserError: it is missing, unreadable, or no JSON object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise UserError(
            f"cannot read {path}: {e}; if it is damaged, choose another run=NAME"
        ) from e
    if not isinstance(value, dict):
        raise UserError(f"{path} holds no JSON object; choose another run=NAME")
    return value


def read_records(path: Path, cls: type[R], span: Span | None = None) -> Iterator[R]:
    """The records of a JSON lines file, one by one; blank lines are passed over.

    Args:
        span: read only these bytes, from the first of a line to the end of one.

    Raises:
        UserError: the file cannot be read, or a line is no such record; names the line.
    """
    for _, record in placed_records(path, cls, span):
        yield record


def placed_records(path: Path, cls: type[R], span: Span | None = None) -> Iterator[tuple[Span, R]]:
    """As `read_records`, each with the bytes that it takes in the file."""
    number, (start, stop) = 0, span or (0, sys.maxsize)
    try:
        with path.open("rb") as file:
            file.seek(start)
            for number, line in enumerate(file, 1):  # noqa: B007 (the message needs it)
                if start >= stop:
                    return
                end = start + len(line)
                if not line.isspace():
                    yield (start, end), from_json(cls, line)
                start = end
    except OSError as e:
        raise UserError(f"cannot read {path}: {e.strerror}") from e
    except UnicodeDecodeError as e:
        raise UserError(f"{path} line {number} is not UTF-8 text: {e.reason}") from e
    except (ValueError, RecursionError) as e:
        kind = cls.__name__.lower()
        raise UserError(f"{path} line {number} is no {kind} record: {e}; mend or remove it") from e


def read_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a JSON lines file, each with its line number; blank lines are passed over.

    Raises:
        UserError: the file cannot be read, or a line is no JSON object; names the line.
    """
    number = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.isspace():
                    value = json.loads(line.decode())
                    if not isinstance(value, dict):
                        raise ValueError(f"it holds {type(value).__name__}")
                    yield number, value
    except OSError as e:
        raise UserError(f"cannot read {path}: {e.strerror}") from e
    except UnicodeDecodeError as e:
        raise UserError(f"{path} line {number} is not UTF-8 text: {e.reason}") from e
    except (ValueError, RecursionError) as e:
        raise UserError(f"{path} line {number} is no JSON object: {e}") from e


def read_ids(path: Path) -> frozenset[str]:
    """The `id` of every line of a JSON lines file.

    Raises:
        UserError: the file cannot be read, or a line has none; names the line.
    """
    found = set()
    for number, value in read_lines(path):
        if not isinstance(value.get("id"), str):
            raise UserError(f'{path} line {number} names no item: it needs an "id"')
        found.add(value["id"])
    return frozenset(found)


class Journal:
    """The append-only file of responses: a response is on disk when `append` returns."""

    def __init__(self, path: Path):
        """Opens or creates the journal; a torn last line is cut off.

        Attributes:
            torn: bytes of a half-written last line that were cut off; 0 is the rule.

        Raises:
            UserError: the file cannot be opened for writing.
        """
        self.path = path
        with writing(path):
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            self._size = os.fstat(self._fd).st_size
            whole = self._end_of_last_line()
            self.torn = self._size - whole
            if self.torn:
                os.ftruncate(self._fd, whole)
            self._size = whole

    def _end_of_last_line(self) -> int:
        end = self._size
        while end:
            start = max(0, end - 65536)
            newline = os.pread(self._fd, end - start, start).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            end = start
        return 0

    def append(self, responses: Iterable[Response]) -> None:
        """Writes responses and waits until the disk has them.

        Raises:
            UserError: the disk refused; the file ends with the last whole line before the call.
        """
        data = b"".join(to_json(r) + b"\n" for r in responses)
        with writing(self.path):
            try:
                view = memoryview(data)
                written = 0
                while written < len(data):
                    written += os.pwrite(self._fd, view[written:], self._size + written)
                os.fsync(self._fd)
            except OSError:
                os.ftruncate(self._fd, self._size)
                raise
        self._size += len(data)

    def close(self) -> None:
        """Closes the file."""
        os.close(self._fd)


class RunDir:
    """One run's directory, held by one process at a time."""

    def __init__(self, path: Path):
        """Creates the directory if need be and takes its lock.

        Raises:
            UserError: it cannot be created, or another process works in it.
        """
        self.path = path
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
            self._lock = (path / ".lock").open("w")
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(
                    f"another process is working in {path}; wait for it or choose run=NAME"
                ) from None

    def file(self, name: str) -> Path:
        """The path of one of the run's files."""
        return self.path / name

    def manifest(self) -> dict[str, Any]:
        """What manifest.json holds; empty for a new run."""
        path = self.file(MANIFEST)
        return read_json(path) if path.exists() else {}

    def check_identity(self, identity: Mapping[str, Any]) -> None:
        """Refuses to mix two kinds of work in one directory.

        Args:
            identity: nested mappings of plain values: data, prompts, sampling, model.

        Raises:
            UserError: the run on disk was made with another identity; the first differences
                are shown.
        """
        known = self.manifest().get("identity")
        if known is None:
            return
        if changed := differences(known, identity):
            more = f" (and {len(changed) - 4} more)" if len(changed) > 4 else ""
            raise UserError(
                f"the run in {self.path} did other work: {'; '.join(changed[:4])}{more}. "
                "Choose another run=NAME, or the options that it was made with"
            )


def differences(there: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The leaves in which two identities differ, a phrase each: `seed: 0 there, 1 now`."""
    old, new = dict(flat(there)), dict(flat(now))
    return [
        f"{key}: {old.get(key, 'absent')} there, {new.get(key, 'absent')} now"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]


def flat(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """The leaves of nested mappings: dotted key and the value as JSON."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from flat(inner, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, json.dumps(value, ensure_ascii=False, sort_keys=True)
