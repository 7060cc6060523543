"""The run directory: atomic files, the append-only journal of responses, the identity check.

Nothing here is lost to a kill at any moment: a whole file is written beside its name and then
renamed, a journal line is on disk before the next is asked for, and a torn last line is cut off
when the journal is opened again.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
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
REVIEW = "review.jsonl"
"""A person's marks on what the rules read (`ochat-eval read`)."""
NOTES = "notes.json"
"""Tags and a note that people add on the board (`ochat-eval board`)."""
DAMAGED = "damaged.jsonl"
"""`responses.damaged.jsonl`: lines that could not be read and were set aside."""
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


_MORE_FILES = (
    "this process has as many files and connections open as it may: raise the limit (ulimit -n), "
    "or have fewer requests in flight (engine.concurrency, judge.concurrency)"
)

_OF_RUNS = "(of runs: results=DIR)"
_WRITABLE = f"name a place that can be written to {_OF_RUNS}"


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what the file system refuses (no space, read-only) into one clear line.

    Args:
        path: what is being written, for the message. An error that names a file elsewhere, which
            was read meanwhile, stays as it is.

    Raises:
        UserError: in place of an OSError.
    """
    try:
        yield
    except OSError as e:
        named = [Path(str(one)) for one in (e.filename, e.filename2) if one is not None]
        family = (path, part_of(path), *path.parents)
        if named and not any(one in family or path in one.parents for one in named):
            raise
        hint = {
            errno.ENOSPC: "free some space and run the same command again: it goes on from here",
            errno.EDQUOT: "free some quota and run the same command again: it goes on from here",
            errno.EMFILE: _MORE_FILES,
            errno.ENFILE: _MORE_FILES,
            errno.ENOENT: f"make its folder first, or name another place {_OF_RUNS}",
            errno.EROFS: _WRITABLE,
            errno.EACCES: _WRITABLE,
            errno.EPERM: _WRITABLE,
        }.get(e.errno or 0, f"name another place {_OF_RUNS}")
        raise UserError(f"cannot write {path}: {e.strerror}; {hint}") from e


def check_files(folder: Path) -> None:
    """Refuses a folder that holds links, pipes or devices: what seems a run's file is none.

    Raises:
        UserError: names the first.
    """
    with writing(folder):
        kinds = {
            entry.name: entry.stat(follow_symlinks=False).st_mode for entry in os.scandir(folder)
        }
    for name, mode in sorted(kinds.items()):
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            what = "a link" if stat.S_ISLNK(mode) else "no file"
            raise UserError(
                f"{folder / name} is {what}; a run's folder holds files only: put the file itself "
                "there, or remove it"
            )


def open_file(path: Path, flags: int = 0) -> int:
    """A descriptor to read and write a file with, made if need be; nothing is cut off.

    Raises:
        UserError: it is a link, has a second name (writing would change that one), is no file, or
            cannot be opened.
    """
    with writing(path):
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o666)
        except OSError as e:
            if e.errno == errno.ELOOP:
                raise UserError(f"{path} is a link and is not written to; remove it") from e
            raise
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        os.close(fd)
        why = "has a second name (a hard link)" if stat.S_ISREG(status.st_mode) else "is no file"
        raise UserError(f"{path} {why} and is not written to; put a copy of it in its place")
    return fd


def part_of(path: Path) -> Path:
    """Where a file is written before it appears under its name."""
    return path.with_name(f".{path.name}.{os.getpid()}")


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[TextIO]:
    """A text file that appears under its name only when whole and on disk.

    Raises:
        UserError: it cannot be written; what stood at `path` stays as it was.
    """
    temporary = part_of(path)
    with writing(path):
        if path.exists() and not path.is_file():
            raise UserError(f"{path} is no file (a device, pipe or folder); name another place")
        try:
            temporary.unlink(missing_ok=True)  # of another process that had this number
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            with open(fd, "w", encoding="utf-8", newline="\n") as file:
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
    line = (json.dumps(value) + "\n").encode()
    with writing(path), open(open_file(path, os.O_APPEND), "ab", buffering=0) as file:
        file.write(line)


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
    except (OSError, ValueError, RecursionError) as e:
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
                    # Some editors put a mark of the encoding at a file's beginning.
                    value = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
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
