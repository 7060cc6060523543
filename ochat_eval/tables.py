"""The published tables with the rows of finished runs: `python -m ochat_eval.tables RUN [RUN ...]`.

A RUN is the folder of a run or its name under results/runs; it has been scored and reported.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ochat_eval import recorded
from ochat_eval.config import nearest
from ochat_eval.records import UserError
from ochat_eval.report import tables
from ochat_eval.report.tables_formats import FORMATS

_EPILOG = """\
verdicts (the run against the figure published for the same model, model.published):
  agrees, differs                    whether it can be a rerun of that figure; takes --psi
  within interval, outside interval  without --psi: whether the run's 95 % interval holds it
  unknown                            the figure is marked: the reason stands below the table
--psi X: how often verdicts flip between reruns of such a model, a number as 0.02, or the name of
a recorded run that has it measured.
exit codes: 0, or 2 for what cannot be shown.
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m ochat_eval.tables",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("run", metavar="RUN", nargs="+", help="a folder, or a name under --runs")
    made.add_argument("--format", choices=FORMATS, default="terminal", help="of what is printed")
    made.add_argument("--table", metavar="NAME", help="only this one of conf/table/")
    made.add_argument("--psi", metavar="X", help="the flip rate, or a recorded run that has it")
    made.add_argument(
        "--runs", type=Path, default=Path("results/runs"), metavar="DIR", help="folder of the runs"
    )
    return made


def run(args: argparse.Namespace) -> str:
    """The tables as text."""
    known = tables.definitions()
    if args.table is not None and args.table not in known:
        raise UserError(f"--table {args.table}: there is no such table{nearest(args.table, known)}")
    folders = [recorded.find(name, args.runs) for name in args.run]
    summaries = [recorded.read_summary(folder) for folder in folders]
    asked = {task for summary in summaries for task in summary["tasks"]}
    psi = {} if args.psi is None else recorded.flip_rates_of(args.psi, sorted(asked), args.runs)
    made = tables.build_all(summaries, psi)
    if args.table is not None:
        made = [table for table in made if table.name == args.table]
    if not made:
        raise UserError(f"{', '.join(args.run)}: no benchmark of {args.table or 'the tables'}")
    return FORMATS[args.format](made)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    args = parser().parse_args(argv)
    try:
        print(run(args).rstrip("\n"))
    except UserError as e:
        print(f"ochat_eval.tables: {e}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
