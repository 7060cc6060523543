"""The command line: `python -m ochat_eval.exchange import|export FORMAT …`."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ochat_eval import store
from ochat_eval.exchange import FORMATS, Asked, Note, Recorded, tasks
from ochat_eval.records import RULES, Item, Response, UserError
from ochat_eval.task import Selection

EPILOG = """\
formats:
{formats}

examples:
  python -m ochat_eval.exchange import evalplus samples.jsonl --task humaneval -o responses.jsonl
  python -m ochat_eval task=humaneval engine=replay engine.path=responses.jsonl
      somebody's code, scored by both rules
  python -m ochat_eval.exchange export evalplus results/runs/NAME -o samples.jsonl
      a run's code, for evalplus.evaluate
"""


def parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    width = max(map(len, FORMATS))
    listed = (
        f"  {name:{width}}  {one.text} ({', '.join(one.directions)})"
        for name, one in FORMATS.items()
    )
    made = argparse.ArgumentParser(
        prog="python -m ochat_eval.exchange",
        description="Other tools' file formats: recorded answers in, a run's results out.",
        epilog=EPILOG.format(formats="\n".join(listed)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = made.add_subparsers(dest="direction", required=True, metavar="import|export")
    to = commands.add_parser(
        "import",
        help="make a responses.jsonl that engine=replay answers from",
        description="Make a responses.jsonl that engine=replay engine.path=FILE answers from. "
        "What fits none of the items asked is counted and shown.",
    )
    to.add_argument("format", choices=_names("import"), help="the file's format")
    to.add_argument("file", type=Path, help="the file to read")
    asked = to.add_mutually_exclusive_group(required=True)
    asked.add_argument("--run", metavar="RUN", help="the items of this run (folder or name)")
    asked.add_argument("--items", type=Path, metavar="FILE", help="the items of an items.jsonl")
    asked.add_argument(
        "--task", nargs="+", metavar="NAME", help="the items of these tasks; and options of them"
    )
    out = commands.add_parser(
        "export",
        help="write a run's results in another format",
        description="Write a run's results in another format.",
    )
    out.add_argument("format", choices=_names("export"), help="the format to write")
    out.add_argument("run", metavar="RUN", help="the run: its folder, or its name in results/runs")
    out.add_argument(
        "--rule", choices=RULES, help="whose reading of the answers; evalplus: published by default"
    )
    for one in (to, out):
        one.add_argument("-o", "--output", type=Path, required=True, help="the file to write")
    return made


def _names(direction: str) -> list[str]:
    return [name for name, one in FORMATS.items() if direction in one.directions]


def run_folder(name: str) -> Path:
    """A run's directory, given as such or by its name in `results/runs`.

    Raises:
        UserError: neither is there.
    """
    for folder in (Path(name).expanduser(), Path("results/runs") / name):
        if (folder / store.MANIFEST).exists():
            return folder
    raise UserError(f"{name}: there is no such run, neither that folder nor results/runs/{name}")


def _asked(args: argparse.Namespace) -> Asked:
    """The items that are asked, as the command line names them."""
    if args.run:
        run = Recorded(run_folder(args.run))
        return Asked(list(run.items()), run.manifest["overrides"], run)
    if args.items:
        return Asked(list(store.read_records(args.items, Item)))
    names = [name for name in args.task if "=" not in name]
    overrides = [f"task=[{','.join(names)}]", *(o for o in args.task if "=" in o)]
    from ochat_eval.config import load

    seed = load(overrides).seed
    chosen = tasks(overrides).values()
    return Asked([item for task in chosen for item in Selection(task, seed)], overrides)


def _check_output(path: Path) -> None:
    """Refuses to put a file in the place of a run's own: verdicts may have cost money."""
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
    bar = tqdm(module.read(path, asked), unit=" answers", delay=2, file=sys.stderr)
    for one in bar:
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
        raise UserError(f"{path} answers none of the {len(asked.items):,} items asked{reason}")
    store.write_records(output, found.values())
    head = f"{output}: {len(found):,} responses to {len(answered):,} of {len(asked.items):,} items"
    if missing:
        lines.append(f"{len(missing):,} items have no response, the first: {missing[0]}")
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


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit code: 0, or 2 after one line about what went wrong."""
    args = parser().parse_args(argv)
    try:
        _check_output(args.output)
        module = importlib.import_module(FORMATS[args.format].module)
        if args.direction == "import":
            lines = import_file(module, args.file, _asked(args), args.output)
        else:
            notes: Iterator[Note] = module.write(
                Recorded(run_folder(args.run)), args.output, args.rule
            )
            lines = [*_counted(notes), str(args.output)]
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
