"""The command lines of tables and report."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ochat_eval.baseline.find import find
from ochat_eval.baseline.runs import flip_rates_of, read_summary
from ochat_eval.records import UserError
from ochat_eval.report.page.entries import reported
from ochat_eval.report.page.page import write_page
from ochat_eval.report.tables.build import build_all, definitions
from ochat_eval.report.tables.formats import FORMATS
from ochat_eval.terminal.command import Parser, ending
from ochat_eval.terminal.say import tell
from ochat_eval.terminal.words import nearest

_TABLES = """\
The published tables with the rows of finished runs. A RUN is the folder of a run or its name under
results/runs; it has been scored and reported.

example:
  ochat-eval tables before after --table model_card --format latex > table.tex
"""
_TABLES_MORE = """\
verdicts, the run against the figure published for the same model:
  agrees, differs  whether it can be a rerun of that figure; takes --psi
  within interval, outside interval
                   without --psi: whether the run's 95 % interval holds it
  unknown          the figure is marked: the reason stands below the table

--psi X: how often verdicts flip between reruns of such a model, a number as 0.02, or the name of
a recorded run that has it measured.

exit codes: 0, or 2 for what cannot be shown.
"""


def tables(argv: Sequence[str]) -> int:
    """`ochat-eval tables`; returns the exit code."""
    parser = Parser("tables", _TABLES, _TABLES_MORE)
    parser.add_argument("run", metavar="RUN", nargs="+", help="a folder, or a name under --runs")
    parser.add_argument("--format", choices=FORMATS, default="terminal", help="of what is printed")
    parser.add_argument("--table", metavar="NAME", help="only this one of conf/table/")
    parser.add_argument("--psi", metavar="X", help="the flip rate, or a recorded run that has it")
    parser.add_runs()
    args = parser.parse_args(argv)

    def work() -> int:
        tell(_tables(args).rstrip("\n"))
        return 0

    return ending(parser.prog, work)


def _tables(args: argparse.Namespace) -> str:
    """The tables as text."""
    known = definitions()
    if args.table is not None and args.table not in known:
        raise UserError(f"--table {args.table}: there is no such table{nearest(args.table, known)}")
    folders = [find(name, args.runs) for name in args.run]
    summaries = [read_summary(folder) for folder in folders]
    asked = {task for summary in summaries for task in summary["tasks"]}
    psi = {} if args.psi is None else flip_rates_of(args.psi, sorted(asked), args.runs)
    made = build_all(summaries, psi)
    if args.table is not None:
        made = [table for table in made if table.name == args.table]
    if not made:
        raise UserError(f"{', '.join(args.run)}: no benchmark of {args.table or 'the tables'}")
    return FORMATS[args.format](made)


_REPORT = """\
One page of runs side by side: scores, subsets, and every item of the first run with the answers of
all; where the first two differ, it is a flip.

example:
  ochat-eval report before after -o compared.html
"""


def report(argv: Sequence[str]) -> int:
    """`ochat-eval report`; returns the exit code."""
    parser = Parser("report", _REPORT)
    parser.add_argument(
        "run", metavar="RUN", nargs="+", help="a run's folder, or its name in results/runs"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="the page to write"
    )
    parser.add_runs()
    args = parser.parse_args(argv)

    def work() -> int:
        write_page(args.output, [reported(find(name, args.runs)) for name in args.run])
        tell(str(args.output))
        return 0

    return ending(parser.prog, work)
