"""The runs of a folder, a row each: by manifest, summary and the size of the journal alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from ochat_eval.board.notes import Notes, read_notes
from ochat_eval.board.progress import Progress
from ochat_eval.model.step import named_step
from ochat_eval.records import RULES, UserError, decoded
from ochat_eval.run import store
from ochat_eval.run.folder import is_held
from ochat_eval.terminal.words import counted

_LONGEST_LINE = 500
"""Characters of why a run failed."""
_SHOWN_FAILURES = 20
_READ = (store.MANIFEST, store.SUMMARY, store.NOTES, store.FAILURES, store.JUDGE_FAILURES)
_Stamp = tuple[tuple[int, int, int] | None, ...]


class NoSuchRun(UserError):
    """There is no run of that name."""


class _Asked(msgspec.Struct):
    asked: int


class _Time(msgspec.Struct):
    stage: str
    failed: str | None = None


class _Identity(msgspec.Struct):
    model: str
    tasks: dict[str, dict[str, Any]]


class _Manifest(msgspec.Struct):
    identity: _Identity
    items: dict[str, _Asked]
    created: str = ""
    step: float | None = None
    requests: int | None = None
    times: list[_Time] = []
    in_stage: str | None = None
    finished: Any = None


class _Rule(msgspec.Struct):
    score: float | None
    n: int
    ci95: tuple[float, float] | None = None


class _Task(msgspec.Struct):
    published: _Rule
    robust: _Rule
    scale: float = 100
    bounds: tuple[float, float] = (0, 1)
    changed: list[str] = []


class _Column(msgspec.Struct):
    task: str | None = None


class _Cell(msgspec.Struct):
    marks: list[str] = []


class _TableRow(msgspec.Struct):
    cells: list[_Cell]


class _Table(msgspec.Struct):
    columns: list[_Column]
    runs: list[_TableRow] = []


class _Summary(msgspec.Struct):
    tasks: dict[str, _Task]
    tables: dict[str, _Table] = {}


class _Failure(msgspec.Struct):
    id: str
    reason: str


_FAILURE = msgspec.json.Decoder(_Failure)


@dataclass
class _Known:
    """What was read of a run, and of which state of its files."""

    stamp: _Stamp
    row: dict[str, Any]
    manifest: _Manifest | None
    progress: Progress = field(repr=False)


class Shelf:
    """The runs of a folder. What does not change is read once."""

    def __init__(self, root: Path):
        """Takes the folder of the runs' folders; it need not be there yet."""
        self.root = root
        self._known: dict[str, _Known] = {}

    def folders(self) -> Iterator[Path]:
        """The runs' folders; links are passed over."""
        try:
            entries = sorted(os.scandir(self.root), key=lambda entry: entry.name)
        except FileNotFoundError:
            return
        except OSError as e:
            raise UserError(f"cannot read {self.root}: {e.strerror}") from e
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and _is_file(Path(entry, store.MANIFEST)):
                yield self.root / entry.name

    def folder(self, name: str) -> Path:
        """The folder of a run that `folders` has: a name is looked up, never made a path of.

        Raises:
            NoSuchRun: there is none.
            UserError: it holds links, or its manifest, summary or notes are damaged.
        """
        for folder in self.folders():
            if folder.name == name:
                store.check_files(folder)
                row = self.row(folder)
                if self._known[name].manifest is None:
                    raise UserError(row["line"])
                return folder
        raise NoSuchRun(f"there is no such run in {self.root}")

    def rows(self) -> list[dict[str, Any]]:
        """All runs as `row` gives them, the newest first."""
        rows = [self.row(folder) for folder in self.folders()]
        self._known = {row["name"]: self._known[row["name"]] for row in rows}
        return sorted(rows, key=lambda row: str(row["created"]), reverse=True)

    def row(self, folder: Path) -> dict[str, Any]:
        """One run.

        Returns:
            `name`, `model`, `created`, `step` (of its training: the number, and `step` or `epoch`;
            null where neither the run nor a name tells one), `tasks` (each `scale`, `bounds`,
            `marks`: why a figure is not the benchmark's own, and for each rule `score`, `ci95`,
            `n`; null before the run is scored), `tags`, `note`, `state` (`running`, `stopped`,
            `failed`, `done`), `line` (why), `answers` of `requests` responses (null where it is
            scored and some are missing), `failures` (null where there are none: `number` of
            requests without what each `lacks`, a response or a judge's verdict, the `first` as [id,
            reason], `said` in a line), and of a running one `rate` and `tokens` a second and `left`
            seconds; null where not known yet.
        """
        stamp = tuple(_stamp(folder / name) for name in _READ)
        known = self._known.get(folder.name)
        if known is None or known.stamp != stamp:
            progress = known.progress if known else Progress(folder / store.RESPONSES)
            known = _Known(stamp, *_read(folder), progress)
            self._known[folder.name] = known
        return {**known.row, **self._now(folder, known)}

    def _now(self, folder: Path, known: _Known) -> dict[str, Any]:
        """What changes while a run goes."""
        manifest, row = known.manifest, known.row
        if manifest is None:
            return {}
        requests = row["requests"]
        if is_held(folder):
            known.progress.look()
            rate = known.progress.rate()
            missing = max(0, requests - known.progress.answers)
            return {
                "state": "running",
                "line": row["failures"]["said"] if row["failures"] else "",
                "answers": known.progress.answers,
                "rate": rate and round(rate.answers, 3),
                "tokens": rate and round(rate.tokens, 1),
                "left": round(missing / rate.answers) if rate and rate.answers else None,
            }
        if row["state"] == "done":
            return {"answers": requests}
        if any(row["tasks"].values()):  # scored: what is missing, its figures say
            return {"answers": None}
        known.progress.look()
        answers = known.progress.answers
        if row["state"] == "stopped" and answers >= requests:
            return {"line": "all is answered; not scored and reported yet", "answers": answers}
        return {"answers": answers}


def _read(folder: Path) -> tuple[dict[str, Any], _Manifest | None]:
    """The part of a row that its small files have, and the manifest where it can be read."""
    row: dict[str, Any] = {
        "name": folder.name, "model": "", "created": "", "tasks": {}, "tags": [], "note": "",
        "state": "failed", "line": "", "answers": 0, "requests": 0, "rate": None, "tokens": None,
        "left": None, "failures": None, "step": None,
    }  # fmt: skip
    try:
        manifest = _read_as(folder / store.MANIFEST, _Manifest)
        row |= _scored(folder, manifest)
        notes = read_notes(folder)
    except UserError as e:
        return {**row, "line": _shortened(str(e))}, None
    row |= _named(folder.name, manifest, notes)
    row["failures"] = _failures(folder / store.FAILURES, "response") or _failures(
        folder / store.JUDGE_FAILURES, "verdict"
    )
    row["state"], line = _state(manifest, row["failures"])
    return {**row, "line": _shortened(line)}, manifest


def _named(name: str, manifest: _Manifest, notes: Notes) -> dict[str, Any]:
    each = (
        asked.asked * _whole(manifest.identity.tasks.get(task, {}).get("n", 1))
        for task, asked in manifest.items.items()
    )
    model = manifest.identity.model
    told = named_step(name) or named_step(model.rpartition("/")[2])
    return {
        "model": model,
        "step": told if manifest.step is None else (manifest.step, "step"),
        "created": manifest.created,
        "requests": sum(each) if manifest.requests is None else manifest.requests,
        "tags": list(notes.tags),
        "note": notes.note,
    }


def _scored(folder: Path, manifest: _Manifest) -> dict[str, Any]:
    """The benchmarks, with their scores where there are any."""
    if not (folder / store.SUMMARY).exists():
        return {"tasks": dict.fromkeys(manifest.items)}
    summary = _read_as(folder / store.SUMMARY, _Summary)
    marks: dict[str, dict[str, None]] = {name: {} for name in summary.tasks}
    for name, task in summary.tasks.items():
        marks[name] |= dict.fromkeys(task.changed)
    for table in summary.tables.values():
        for run in table.runs:
            for column, cell in zip(table.columns, run.cells, strict=False):
                if column.task in marks:
                    marks[column.task] |= dict.fromkeys(cell.marks)
    tasks = {
        name: {
            "scale": task.scale,
            "bounds": task.bounds,
            "marks": list(marks[name]),
            **{rule: msgspec.to_builtins(getattr(task, rule)) for rule in RULES},
        }
        for name, task in summary.tasks.items()
    }
    return {"tasks": dict.fromkeys(manifest.items) | tasks}


def _state(manifest: _Manifest, failures: dict[str, Any] | None) -> tuple[str, str]:
    """The state of a run that no process works on, and why it is in it."""
    said = failures["said"] if failures else ""
    if manifest.in_stage is not None:  # it was killed, or Ctrl-C ended it
        return "stopped", said
    if manifest.times and (failed := manifest.times[-1].failed):
        return "failed", failed
    if isinstance(manifest.finished, dict):
        return "done", ""
    return ("failed" if failures else "stopped"), said


def _failures(path: Path, lacks: str) -> dict[str, Any] | None:
    """The requests that got nothing so far, as `Shelf.row` has them; `lacks` says what."""
    if not _is_file(path):
        return None
    first: list[_Failure] = []
    number = 0
    try:
        with path.open("rb") as file:
            for line in file:
                if len(first) < _SHOWN_FAILURES and line.endswith(b"\n"):
                    first.append(decoded(_FAILURE, line))
                number += line.endswith(b"\n")
    except (OSError, ValueError, RecursionError) as e:
        said = f"{path.name} cannot be read: {e}"
        return {"number": 0, "lacks": lacks, "first": [], "said": said}
    if not first:
        return None
    one = first[0]
    said = f"{counted(number, 'request')} got no {lacks}, the first: {one.id}: {one.reason}"
    told = [[one.id, _shortened(one.reason)] for one in first]
    return {"number": number, "lacks": lacks, "first": told, "said": _shortened(said)}


def _read_as(path: Path, kind: type[Any]) -> Any:
    try:
        return decoded(msgspec.json.Decoder(kind), path.read_bytes())
    except (OSError, ValueError, RecursionError) as e:
        raise UserError(f"{path.name} cannot be read: {e}") from e


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 1


def _shortened(line: str) -> str:
    return line if len(line) <= _LONGEST_LINE else line[:_LONGEST_LINE] + "…"


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False
