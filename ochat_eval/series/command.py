"""The command line of series."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ochat_eval.config.load import job
from ochat_eval.records import UserError
from ochat_eval.series.find import is_begun
from ochat_eval.series.follow import Watch
from ochat_eval.series.series import Series, run_series
from ochat_eval.terminal.command import Parser, ending

_SERIES = """\
The checkpoints of a training, one after another, a run each: the score against the step. A place is
a checkpoint, a folder of checkpoints, or a pattern; the step is read from names as checkpoint-100,
step_200, epoch-3, or from trainer_state.json. What has been run is not run again.

examples:
  ochat-eval series out/sft task=gsm8k,mmlu limit=500
  ochat-eval series 'out/sft/checkpoint-*00' task=gsm8k --watch --until 10
"""
_MORE = """\
NAME=VALUE: any option of a run but run, models and stage; model=NAME takes another file of
conf/model/ than hf, whose path each checkpoint replaces. Adapters need their base: model=NAME,
ORG/NAME or a folder. It is loaded once for all that are there.

At the end, and after each checkpoint, there are results/series/NAME.md and NAME.html: beside the
folder of the runs.

exit codes: 0, or 2 where a run failed, nothing was run, or, without --watch, a checkpoint is not
whole.
"""


def series(argv: Sequence[str]) -> int:
    """`ochat-eval series`; returns the exit code."""
    parser = Parser("series", _SERIES, _MORE)
    parser.add_argument(
        "place", metavar="PLACE", nargs="+", help="checkpoints, and options of a run: NAME=VALUE"
    )
    parser.add_argument("--watch", action="store_true", help="go on as new checkpoints appear")
    parser.add_argument(
        "--until", type=_count, metavar="N", help="watch until so many have been run"
    )
    parser.add_argument("--for", type=_hours, metavar="HOURS", dest="hours", help="watch so long")
    parser.add_argument(
        "--every", type=_seconds, default=10.0, metavar="SECONDS",
        help="between two looks, of which both must find a checkpoint alike (default: 10)",
    )  # fmt: skip
    parser.add_argument("--name", help="of table and page; default: the checkpoints' folder")
    args = parser.parse_intermixed_args(argv)
    return ending(parser.prog, lambda: run_series(_asked(args)))


def _asked(args: argparse.Namespace) -> Series:
    """What the command line asks for.

    Raises:
        UserError: no place, or an option that cannot hold for a series.
    """
    options = [one for one in args.place if _is_option(one)]
    places = [one for one in args.place if not _is_option(one)]
    if not places:
        raise UserError("no checkpoint is named: give a folder of checkpoints")
    given = {one.partition("=")[0] for one in options}
    if "stage" in given:
        raise UserError("stage=…: a checkpoint goes through all; a dry run takes one, model=FOLDER")
    for name in ("run", "models", "model.path", "model.name", "model.adapters"):
        if name in given:
            raise UserError(f"{name}=…: each checkpoint is a run of its own, named after it")
    if "model" not in given:
        options.append("model=hf")
    asked = job([*options, "model.path=checkpoint"])  # a mistake is refused before the first run
    watched = args.watch or args.until is not None or args.hours is not None
    seconds = None if args.hours is None else 3600 * args.hours
    name = args.name or _name(places[0])
    if not name or "/" in name or name.startswith("."):
        raise UserError(f"--name {name}: a name of a file, without a folder")
    return Series(
        name=name,
        places=places,
        options=options,
        base="model" in given,
        runs=asked.results,
        watch=Watch(args.until, seconds, args.every) if watched else None,
    )


def _is_option(word: str) -> bool:
    """Whether a word is NAME=VALUE; a folder may have a `=` in its name (`epoch=3-step=1200`)."""
    head, equals, _ = word.partition("=")
    return bool(equals) and not any(c in head for c in "/*?[") and not Path(word).exists()


def _name(place: str) -> str:
    """A series' name by its first place: the folder that the checkpoints are in."""
    path = Path(place).expanduser()
    whole = path.resolve()
    inside = path.is_dir() and not is_begun(path)
    return whole.name if inside else whole.parent.name


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def _hours(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no number of hours")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds")
    return number
