"""Record a run to compare and gate with: `python -m ochat_eval.record RUN [RERUN ...] --as NAME`.

Writes results/recorded/NAME: digests, answers as read and verdicts, but nobody's text, so that it
can be kept in a repository. Reruns of the same work, made with shuffle=1, shuffle=2, … and other
batch sizes, measure how often verdicts flip by themselves: a gate needs that. Three are enough.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from ochat_eval import recorded
from ochat_eval.comparison import RunResults, flip_rates
from ochat_eval.progress import say
from ochat_eval.records import RULES, UserError


def record(names: Sequence[str], name: str, into: Path, runs: Path) -> tuple[Path, RunResults]:
    """Records the first of the named runs, with the others as its reruns.

    Returns:
        The folder written, and what was recorded.

    Raises:
        UserError: a run is no run's folder, not whole, or did other work.
    """
    if not re.fullmatch(r"[\w+-][\w.+-]*", name):
        raise UserError(f"--as {name}: a name has letters, digits, '.', '_', '+', '-' only")
    folders = [recorded.find(run, runs).resolve() for run in names]
    if len(set(folders)) < len(folders):
        raise UserError("the same run is named twice: a rerun must have been run again")
    every = []
    for folder in folders:
        say(f"reading {folder}")
        every.append(recorded.read_run(folder))
    made = recorded.combined(every)
    recorded.write_recorded(into / name, made)
    return into / name, made


def table(made: RunResults) -> str:
    """What was recorded: score and ψ of each benchmark and rule."""
    rows = []
    for name, task in made.tasks.items():
        for rule in RULES:
            values = [one.rules[rule].values[0] for one in task.outcomes.values()]
            rates = flip_rates(task, rule, made.runs)
            psi = f"{100 * rates[0]:.2f} %" if rates else "not measured"
            score = f"{task.scale * sum(values) / len(values):.2f}"
            rows.append([name, rule, f"{len(values):,}", score, psi])
    headers = ["task", "rule", "items", "score", "verdicts that flip between reruns (ψ)"]
    return tabulate(rows, headers, "simple", disable_numparse=True)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m ochat_eval.record",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", metavar="RUN", help="a run's folder, or its name under results/runs")
    parser.add_argument("rerun", metavar="RERUN", nargs="*", help="reruns of it")
    parser.add_argument("--as", dest="name", metavar="NAME", required=True, help="its name")
    parser.add_argument(
        "--into", type=Path, default=Path("results/recorded"), metavar="DIR", help="where it goes"
    )
    parser.add_argument(
        "--runs", type=Path, default=Path("results/runs"), metavar="DIR", help="folder of the runs"
    )
    args = parser.parse_args(argv)
    try:
        folder, made = record([args.run, *args.rerun], args.name, args.into, args.runs)
    except UserError as e:
        print(f"ochat_eval.record: {e}", file=sys.stderr)
        return 2
    print(table(made))
    print(f"\n{folder}: {made.runs} runs. Gate with: python -m ochat_eval.gate RUN "
          f"--against {args.name}")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
