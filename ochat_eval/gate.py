"""Gate a run against a recorded one: `python -m ochat_eval.gate RUN --against RECORDED`.

RUN is a run's folder or its name under results/runs. RECORDED is a recorded run (a folder, or a
name under results/recorded), or a published row, as in published:OpenChat-3.5-0106.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from ochat_eval import gating, published, recorded, stats_gate, store
from ochat_eval.comparison import RunResults
from ochat_eval.config import build_tasks, load
from ochat_eval.gating import Verdict
from ochat_eval.records import RULES, UserError
from ochat_eval.report import gate as show

EXIT: dict[Verdict, int] = {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 2, "REFUSED": 3}
"""Exit codes; a mistake on the command line has that of REFUSED."""

_EPILOG = """\
exit codes: 0 PASS, 1 FAIL, 2 INCONCLUSIVE (more items can tell), 3 REFUSED: not the same work
(items, prompts, sampling, answer rule, unmatched rate), or a mistake on the command line.

PASS: the 90 % interval of the difference to the recorded score lies within the margin, which is
the larger of 0.3 points and 3.29 standard deviations of the noise between reruns. FAIL: it lies
wholly outside. All benchmarks must pass. A published figure passes where reruns explain the
distance; say with --psi how often verdicts flip between reruns.
"""


class _Parser(argparse.ArgumentParser):
    """Its own exit code for mistakes: argparse's is that of INCONCLUSIVE."""

    def error(self, message: str) -> NoReturn:
        print(f"ochat_eval.gate: {message}; --help shows the options", file=sys.stderr)
        sys.exit(EXIT["REFUSED"])


def against_recorded(run: RunResults, args: argparse.Namespace) -> show.Outcome:
    """The gate against a recorded run."""
    there = recorded.read(args.against, args.runs)
    if args.psi is not None:
        raise UserError("--psi is for published figures; a recorded run has its own")
    rows = gating.gate(run, there, args.rule, part=args.part, flip_sds=args.flip_sds)
    if not rows:
        raise UserError(f"{run.name} and {there.name} have no benchmark in common")
    notes = gating.notes(run, there, rows)
    return show.Outcome(run.name, there.name, args.rule, gating.overall(rows), rows, notes)


def against_figures(run: RunResults, args: argparse.Namespace) -> show.Outcome:
    """The gate against a published row."""
    row = published.row(args.against.removeprefix(published.PREFIX))
    if args.rule != "published":
        raise UserError("published figures are of the rule published: leave --rule away")
    if args.part:
        raise UserError("a published figure is of all items: leave --part away")
    if args.psi is None:
        raise UserError(
            "a published figure needs --psi: the rate at which verdicts flip between reruns of "
            "such a model, a number as 0.02, or a recorded run that has it measured"
        )
    rates = recorded.flip_rates_of(args.psi, list(run.tasks), args.runs)
    prompts = store.read_json(recorded.shipped("prompts.json"))
    rows = []
    for name in (name for name in row.tasks if name in run.tasks):
        [task] = build_tasks(load([f"task={name}"]))
        here = run.tasks[name]
        setting = gating.Setting(dataclasses.asdict(task), **prompts[name])
        unit = 100 / (here.scale * here.bounds[1])  # in points
        figure = gating.Figure(row.tasks[name] * unit, 0.05 * unit)
        rows.append(gating.gate_figure(here, figure, rates.get(name), setting))
    if not rows:
        raise UserError(f"{run.name} and {row.name} have no benchmark in common")
    notes = [f"{name} has no published figure: not gated" for name in run.tasks
             if name not in row.tasks]  # fmt: skip
    return show.Outcome(run.name, args.against, args.rule, gating.overall(rows), rows, notes)


def _write(outcome: show.Outcome, args: argparse.Namespace) -> None:
    if args.junit:
        store.write_text(args.junit, show.junit(outcome))
    if args.summary:
        text = show.markdown(outcome)
        if str(args.summary) == os.environ.get("GITHUB_STEP_SUMMARY"):
            with store.writing(args.summary), args.summary.open("a") as file:
                file.write(text)  # the job's other steps have theirs in it
        else:
            store.write_text(args.summary, text)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = _Parser(
        prog="python -m ochat_eval.gate",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("run", metavar="RUN", help="the run to judge")
    made.add_argument("--against", metavar="RECORDED", required=True, help="what it must match")
    made.add_argument("--rule", choices=RULES, default="published", help="(default: published)")
    made.add_argument(
        "--part", action="store_true", help="the run asked only some of the recorded items"
    )
    made.add_argument(
        "--flip-sds",
        type=float,
        default=stats_gate.FLIP_SDS,
        metavar="K",
        help="the margin in standard deviations of rerun noise (default: %(default)s)",
    )
    made.add_argument("--psi", metavar="X", help="published figures: the flip rate, or a recorded "
                      "run to take it from")  # fmt: skip
    made.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML")
    made.add_argument(
        "--summary",
        type=Path,
        metavar="FILE",
        help="write Markdown; appended where FILE is $GITHUB_STEP_SUMMARY",
    )
    made.add_argument(
        "--runs", type=Path, default=Path("results/runs"), metavar="DIR", help="folder of the runs"
    )
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    args = parser().parse_args(argv)
    try:
        if not 0 <= args.flip_sds < float("inf"):
            raise UserError(f"--flip-sds is {args.flip_sds}; it must be a number from 0")
        run = recorded.read_run(recorded.find(args.run, args.runs))
        figures = args.against.startswith(published.PREFIX)
        outcome = (against_figures if figures else against_recorded)(run, args)
        _write(outcome, args)
        print(show.terminal(outcome))
    except UserError as e:
        print(f"ochat_eval.gate: {e}", file=sys.stderr)
        return EXIT["REFUSED"]
    except KeyboardInterrupt:
        return 130
    except Exception:  # Python's own exit code for it is 1, and that is FAIL
        traceback.print_exc()
        return EXIT["REFUSED"]
    return EXIT[outcome.verdict]


if __name__ == "__main__":
    sys.exit(main())
