"""Compare runs, item by item: `python -m ochat_eval.compare A B [C ...]`.

A, B, … are folders of runs, names under results/runs or results/recorded, or published rows, as in
published:OpenChat-3.5-0106. Each is compared with the first. Only items that both asked in the
very same words are paired.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from ochat_eval import comparison, published, recorded, store
from ochat_eval.comparison import RunResults, TaskComparison
from ochat_eval.progress import say
from ochat_eval.records import RULES, Rule, UserError
from ochat_eval.report import comparison as show

Side = RunResults | published.Row
FORMATS = ("terminal", "markdown", "json")

_EPILOG = """\
columns: B − A over the common items, with the 95 % interval of the paired difference (items that
share a passage count as one); flips: items that B gained and lost; p: exact McNemar for 0/1
verdicts of independent items, else a normal test; p (Holm): adjusted for all benchmarks of the
table; detectable: the true difference that such a comparison finds with 80 % chance.
exit codes: 0, or 2 for what cannot be compared.
"""


def read_side(name: str, runs: Path) -> Side:
    """A run, a recorded run or a published row, as the user names it."""
    if name.startswith(published.PREFIX):
        return published.row(name.removeprefix(published.PREFIX))
    return recorded.read(name, runs)


def compare_sides(a: Side, b: Side, rules: Sequence[Rule]) -> list[TaskComparison]:
    """The comparison of two sides under each rule, `b` less `a`.

    Published figures are compared under the rule `published` only.

    Raises:
        UserError: both are published rows, or they have no benchmark in common.
    """
    if isinstance(a, RunResults) and isinstance(b, RunResults):
        found = [row for rule in rules for row in comparison.compare(a, b, rule)]
    elif "published" not in rules:
        raise UserError("published figures are of the rule published: --rule published")
    elif isinstance(a, published.Row) and isinstance(b, RunResults):
        found = [
            comparison.compare_figure(figure, b.tasks[name], "published")
            for name, figure in a.tasks.items()
            if name in b.tasks
        ]
    elif isinstance(a, RunResults) and isinstance(b, published.Row):
        found = [
            comparison.compare_figure(figure, a.tasks[name], "published", figure_is_b=True)
            for name, figure in b.tasks.items()
            if name in a.tasks
        ]
    else:
        raise UserError(f"{a.name} and {b.name} are both published rows; name a run")
    if not found:
        raise UserError(
            f"{a.name} ({', '.join(a.tasks)}) and {b.name} ({', '.join(b.tasks)}) have no "
            f"benchmark in common to compare under {' or '.join(rules)}"
        )
    return found


def _flips(
    rows: list[TaskComparison], a: Side, b: Side, names: tuple[str, str], runs: Path
) -> list[show.Flip]:
    """Every flip with both answers, which are read from the runs again."""
    if not (isinstance(a, RunResults) and isinstance(b, RunResults)):
        return []
    ids = {id_ for row in rows for id_ in (*row.flips.gained, *row.flips.lost)}
    answers = [
        recorded.answers(recorded.find(name, runs), one, ids)
        for name, one in zip(names, (a, b), strict=True)
    ]
    return list(show.flips(rows, *answers))


def _title(a: Side, b: Side) -> str:
    def named(side: Side) -> str:
        return f"{side.name} ({side.model})" if isinstance(side, RunResults) else side.name

    return f"A: {named(a)}    B: {named(b)}"


def run(args: argparse.Namespace) -> str:
    """Makes every comparison, writes the flips where asked, and returns what is to be printed."""
    rules = RULES if args.rule == "both" else (args.rule,)
    names = [args.a, *args.b]
    sides = []
    for name in names:
        say(f"reading {name}")
        sides.append(read_side(name, args.runs))
    printed: list[str] = []
    values: list[dict[str, Any]] = []
    listed: list[dict[str, Any]] = []
    for name, side in zip(names[1:], sides[1:], strict=True):
        rows = compare_sides(sides[0], side, rules)
        wanted = args.flips or args.flips_file
        flipped = _flips(rows, sides[0], side, (args.a, name), args.runs) if wanted else []
        listed += [{"A": args.a, "B": name, **dataclasses.asdict(flip)} for flip in flipped]
        shown = list(islice(flipped, args.flips))
        values.append({"A": args.a, "B": name, **show.as_json(rows, shown)})
        printed += [_title(sides[0], side), show.table(rows, args.format)]
        printed += [show.side_by_side(flip, args.format) for flip in shown]
    if args.flips_file:
        store.write_lines(args.flips_file, listed)
        say(f"{len(listed):,} flips in {args.flips_file}")
    if args.format == "json":
        return json.dumps({"comparisons": values}, indent=1)
    return "\n\n".join(printed)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m ochat_eval.compare",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("a", metavar="A", help="what the others are compared with")
    made.add_argument("b", metavar="B", nargs="+", help="one or more others")
    made.add_argument(
        "--rule", choices=(*RULES, "both"), default="both", help="which answer rule (default: both)"
    )
    made.add_argument("--format", choices=FORMATS, default="terminal", help="of what is printed")
    made.add_argument(
        "--flips", type=int, default=0, metavar="N", help="show N flips, both answers side by side"
    )
    made.add_argument(
        "--flips-file", type=Path, metavar="FILE", help="write all flips there, as JSON lines"
    )
    made.add_argument(
        "--runs", type=Path, default=Path("results/runs"), metavar="DIR", help="folder of the runs"
    )
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    args = parser().parse_args(argv)
    try:
        if args.flips < 0:
            raise UserError(f"--flips is {args.flips}; it must be at least 0")
        print(run(args))
    except UserError as e:
        print(f"ochat_eval.compare: {e}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
