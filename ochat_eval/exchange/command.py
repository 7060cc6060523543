"""The command lines of import and export."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ochat_eval.baseline.find import find
from ochat_eval.benchmark.selection import Selection
from ochat_eval.config.load import job
from ochat_eval.exchange import FORMATS, Asked, Note, Recorded
from ochat_eval.records import RULES, Item, Response, UserError
from ochat_eval.run import store
from ochat_eval.terminal.command import Parser, ending
from ochat_eval.terminal.grid import listing
from ochat_eval.terminal.say import tell
from ochat_eval.terminal.words import counted

_IMPORT = """\
Makes a responses.jsonl that engine=replay engine.path=FILE answers from, of another tool's file.
What fits none of the items asked is counted and shown.

example, somebody's code, scored by both rules:
  ochat-eval import evalplus samples.jsonl --task humaneval -o responses.jsonl
  ochat-eval task=humaneval engine=replay engine.path=responses.jsonl
"""
_EXPORT = """\
Writes a run's results in another tool's format.

example, a run's code, for evalplus.evaluate:
  ochat-eval export evalplus NAME -o samples.jsonl
example, a run's figures, for a model card:
  ochat-eval export model_index NAME -o README.md
"""


def _formats(direction: str) -> dict[str, str]:
    """The formats of a direction, with what each is."""
    return {name: one.text for name, one in FORMATS.items() if direction in one.directions}


def _parser(direction: str, about: str) -> Parser:
    known = _formats(direction)
    made = Parser(direction, about, f"formats:\n{listing(known)}")
    made.add_argument("format", metavar="FORMAT", choices=known, help="one of those below")
    made.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="PATH",
        help="the file to write, or folder",
    )
    made.add_runs()
    return made


def import_(argv: Sequence[str]) -> int:
    """`ochat-eval import`; returns the exit code."""
    parser = _parser("import", _IMPORT)
    parser.add_argument("file", metavar="FILE", type=Path, help="the file to read")
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("--run", metavar="RUN", help="the items of this run (folder or name)")
    asked.add_argument("--items", type=Path, metavar="FILE", help="the items of an items.jsonl")
    asked.add_argument(
        "--task", nargs="+", metavar="NAME", help="the items of these tasks; and options of them"
    )
    args = parser.parse_args(argv)

    def work() -> int:
        _check_output(args.output)
        if args.output.exists() and args.file.exists() and args.output.samefile(args.file):
            raise UserError(f"-o {args.output}: this is the file that is read; name another")
        module = importlib.import_module(FORMATS[args.format].module)
        tell("\n".join(import_file(module, args.file, _asked(args), args.output)))
        return 0

    return ending(parser.prog, work)


def export(argv: Sequence[str]) -> int:
    """`ochat-eval export`; returns the exit code."""
    parser = _parser("export", _EXPORT)
    parser.add_argument("run", metavar="RUN", help="the run: its folder, or its name")
    parser.add_argument(
        "--rule", choices=RULES, help="whose reading of the answers; evalplus: published by default"
    )
    args = parser.parse_args(argv)

    def work() -> int:
        _check_output(args.output)
        module = importlib.import_module(FORMATS[args.format].module)
        run = Recorded(_run_folder(args.run, args.runs))
        notes: Iterator[Note] = module.write(run, args.output, args.rule)
        tell("\n".join([*_counted(notes), str(args.output)]))
        return 0

    return ending(parser.prog, work)


def _run_folder(name: str, runs: Path) -> Path:
    """A run's folder, given as such or by its name; a recorded run has no texts."""
    folder = find(name, runs)
    if not (folder / store.MANIFEST).exists():
        raise UserError(f"{name}: a recorded run keeps nobody's text; name the run itself")
    return folder


def _asked(args: argparse.Namespace) -> Asked:
    """The items that are asked, as the command line names them."""
    if args.run:
        run = Recorded(_run_folder(args.run, args.runs))
        return Asked(list(run.items()), run.tasks, run)
    if args.items:
        return Asked(list(store.read_records(args.items, Item)))
    names = [name for name in args.task if "=" not in name]
    made = job([f"task=[{','.join(names)}]", *(o for o in args.task if "=" in o)])
    items = [item for task in made.tasks.values() for item in Selection(task, made.seed)]
    return Asked(items, made.tasks)


def _check_output(path: Path) -> None:
    """Refuses to put a file in the place of a run's own: verdicts may have cost money."""
    if (path / store.MANIFEST).exists():
        raise UserError(f"-o {path}: this is a run's folder; name another")
    if path.exists() and (path.parent / store.MANIFEST).exists():
        raise UserError(f"-o {path}: the run has this file; move it away first")


def import_file(module: Any, path: Path, asked: Asked, output: Path) -> list[str]:
    """Writes the responses that a file holds to the items asked.

    Args:
        module: the format's.

    Returns:
        What there is to say, a line each.

    Raises:
        UserError: the file is not of the format, or it has no response to any item.
    """
    notes: list[Note] = []
    found: dict[tuple[str, int, int], Response] = {}
    for one in module.read(path, asked):
        if isinstance(one, Note):
            notes.append(one)
        elif one.key in found:
            name = f"{one.id} sample {one.sample} turn {one.turn}"
            notes.append(Note("not imported, a second answer to the same request", name))
        else:
            found[one.key] = one
    answered = {key[0] for key in found}
    missing = [item.id for item in asked.items if item.id not in answered]
    lines = _counted(notes)
    if not found:
        reason = f": {lines[0]}" if lines else ""
        raise UserError(f"{path} answers none of {counted(len(asked.items), 'item')} asked{reason}")
    store.write_records(output, found.values())
    head = f"{output}: {counted(len(found), 'response')} to {len(answered):,} of "
    head += counted(len(asked.items), "item")
    if missing:
        number = counted(len(missing), "item has", "items have")
        lines.append(f"{number} no response, the first: {missing[0]}")
    return [head, *lines]


def _counted(notes: Iterable[Note]) -> list[str]:
    """A line for each kind of note, with how many there are and the first three."""
    kinds: dict[str, list[str]] = {}
    for note in notes:
        kinds.setdefault(note.what, []).append(note.where)
    return [
        f"{len(where):,} {what}: {'; '.join(where[:3])}{'; …' if len(where) > 3 else ''}"
        for what, where in kinds.items()
    ]
