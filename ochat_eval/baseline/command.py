"""The command lines of compare, gate and record."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import traceback
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from ochat_eval import stats
from ochat_eval.baseline import difference_formats, figures, verdict_formats
from ochat_eval.baseline.against import against
from ochat_eval.baseline.compare import corrected
from ochat_eval.baseline.find import find
from ochat_eval.baseline.flips import answers, flips
from ochat_eval.baseline.gate import EXIT, GateResult
from ochat_eval.baseline.policy import chosen_policy
from ochat_eval.baseline.record import record as record_runs
from ochat_eval.baseline.results import RunResults
from ochat_eval.baseline.runs import read_run
from ochat_eval.baseline.sequential import against_at_looks
from ochat_eval.baseline.sides import Side, compare_sides, read_side
from ochat_eval.records import RULES, UserError
from ochat_eval.run import store
from ochat_eval.terminal.command import Parser, ending
from ochat_eval.terminal.say import say, tell
from ochat_eval.terminal.words import counted

FORMATS = ("terminal", "markdown", "json")

# --- compare ------------------------------------------------------------------------------------

_COMPARE = """\
Compares runs, item by item. A, B, … are folders of runs, names under results/runs or
results/recorded, or published rows, as in published:OpenChat-3.5-0106. Each is compared with the
first. Only items that both asked in the very same words are paired.

example:
  ochat-eval compare before after --flips 3
"""
_COMPARE_MORE = """\
columns: B − A over the common items, with the 95 % interval of the paired difference (items that
share a passage count as one); flips: items that B gained and lost; p: exact McNemar for 0/1
verdicts of independent items, else a permutation of signs below 30 items (passages) and a t test
from there on; p (Holm): adjusted for all benchmarks of all pairs that are shown, under each rule;
detectable: the true difference that such a comparison finds with 80 % chance.

exit codes: 0, or 2 for what cannot be compared.
"""


def compare(argv: Sequence[str]) -> int:
    """`ochat-eval compare`; returns the exit code."""
    parser = Parser("compare", _COMPARE, _COMPARE_MORE)
    parser.add_argument("a", metavar="A", help="what the others are compared with")
    parser.add_argument("b", metavar="B", nargs="+", help="one or more others")
    parser.add_argument(
        "--rule", choices=(*RULES, "both"), default="both", help="which answer rule (default: both)"
    )
    parser.add_argument("--format", choices=FORMATS, default="terminal", help="of what is printed")
    parser.add_argument(
        "--flips", type=int, default=0, metavar="N", help="show N flips, both answers side by side"
    )
    parser.add_argument(
        "--flips-file", type=Path, metavar="FILE", help="write all flips there, as JSON lines"
    )
    parser.add_runs()
    args = parser.parse_args(argv)

    def work() -> int:
        if args.flips < 0:
            raise UserError(f"--flips is {args.flips}; it must be at least 0")
        tell(_compared(args))
        return 0

    return ending(parser.prog, work)


def _compared(args: argparse.Namespace) -> str:
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
    every = corrected([compare_sides(sides[0], side, rules) for side in sides[1:]])
    for name, side, rows in zip(names[1:], sides[1:], every, strict=True):
        flipped = []
        if (args.flips or args.flips_file) and isinstance(side, RunResults):
            ids = {id_ for row in rows for id_ in (*row.flips.gained, *row.flips.lost)}
            pairs = ((args.a, sides[0]), (name, side))
            flipped = list(
                flips(rows, *(
                    answers(find(which, args.runs), one, ids)
                    for which, one in pairs if isinstance(one, RunResults)
                ))
            ) if isinstance(sides[0], RunResults) else []  # fmt: skip
        listed += [{"A": args.a, "B": name, **dataclasses.asdict(flip)} for flip in flipped]
        shown = list(islice(flipped, args.flips))
        values.append({"A": args.a, "B": name, **difference_formats.as_json(rows, shown)})
        printed += [_title(sides[0], side), difference_formats.table(rows, args.format)]
        printed += [difference_formats.side_by_side(flip, args.format) for flip in shown]
    if args.flips_file:
        store.write_lines(args.flips_file, listed)
        say(f"{counted(len(listed), 'flip')} in {args.flips_file}")
    if args.format == "json":
        return json.dumps({"comparisons": values}, indent=1)
    return "\n\n".join(printed)


def _title(a: Side, b: Side) -> str:
    def named(side: Side) -> str:
        return f"{side.name} ({side.model})" if isinstance(side, RunResults) else side.name

    return f"A: {named(a)}    B: {named(b)}"


# --- gate ---------------------------------------------------------------------------------------

_GATE = """\
Gates a run against a recorded one. RUN is a run's folder or its name under results/runs. RECORDED
is a recorded run (a folder, or a name under results/recorded), or a published row, as in
published:OpenChat-3.5-0106.

example, a step of a CI job:
  ochat-eval gate nightly --against smollm2_135m-cpu --junit gate.xml
"""
_GATE_MORE = """\
exit codes: 0 PASS, 1 FAIL, 2 INCONCLUSIVE (more items can tell), 3 REFUSED: not the same work
(items, prompts, sampling, answer rule, unmatched rate), recorded without reruns and without a
--margin, or a mistake on the command line.

--same, is it a rerun: PASS if the 90 % interval of the difference to the recorded score lies within
the margin on both sides, FAIL if it lies wholly outside. --no-worse, is a new checkpoint as good:
PASS if it lies above minus the margin, so that what is better passes, FAIL if wholly below. The
margin is --margin, or the larger of 0.3 points and 3.29 standard deviations of the noise between
reruns. All benchmarks must pass; --policy FILE says for each its rule, mode, margin, and weight or
veto (docs/ci.md). --sequential goes through the run's items as `run until=decided` asks them, and
says at which look that would have stopped. A published figure passes where reruns explain the
distance; say with --psi how often verdicts flip between reruns.
"""


def gate(argv: Sequence[str]) -> int:
    """`ochat-eval gate`; returns the exit code."""
    refused = EXIT["REFUSED"]
    parser = Parser("gate", _GATE, _GATE_MORE, refused)
    parser.add_argument("run", metavar="RUN", help="the run to judge")
    parser.add_argument("--against", metavar="RECORDED", required=True, help="what it must match")
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument(
        "--same", dest="mode", action="store_const", const="same",
        help="a rerun: neither worse nor better (default)",
    )  # fmt: skip
    modes.add_argument(
        "--no-worse", dest="mode", action="store_const", const="no-worse",
        help="a new checkpoint: what is better passes",
    )  # fmt: skip
    parser.add_argument("--rule", choices=RULES, help="(default: published)")
    parser.add_argument(
        "--margin", type=float, metavar="POINTS", help="the margin (default: by the rerun noise)"
    )
    parser.add_argument(
        "--flip-sds",
        type=float,
        metavar="K",
        help=f"it in standard deviations of that noise (default: {stats.FLIP_SDS})",
    )
    parser.add_argument(
        "--policy", type=Path, metavar="FILE", help="all that by benchmark, as gate.yaml"
    )
    parser.add_argument(
        "--part", action="store_true", help="the run asked only some of the recorded items"
    )
    parser.add_argument(
        "--sequential", action="store_true",
        help="look while it goes on: at which of 20 looks is it decided?",
    )  # fmt: skip
    parser.add_argument("--psi", metavar="X", help="published figures: the flip rate, or a "
                        "recorded run to take it from")  # fmt: skip
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML")
    parser.add_argument(
        "--summary",
        type=Path,
        metavar="FILE",
        help="write Markdown; appended where FILE is $GITHUB_STEP_SUMMARY",
    )
    parser.add_runs()
    args = parser.parse_args(argv)

    def work() -> int:
        if args.junit and args.summary and args.junit.resolve() == args.summary.resolve():
            raise UserError("--junit and --summary name the same file; each needs its own")
        said = {name: getattr(args, name) for name in ("mode", "rule", "margin", "flip_sds")}
        policy, folder = chosen_policy(args.policy, said), find(args.run, args.runs)
        if args.sequential:
            if args.against.startswith(figures.PREFIX) or args.part or args.psi is not None:
                raise UserError("--sequential is against a recorded run, without --part and --psi")
            made = against_at_looks(folder, args.against, policy, args.runs)
        else:
            run = read_run(folder)
            made = against(run, args.against, policy, runs=args.runs, part=args.part, psi=args.psi)
        _write_verdict(made, args)
        tell(verdict_formats.terminal(made))
        return EXIT[made.verdict]

    try:
        return ending(parser.prog, work, refused)
    except Exception:  # Python's own exit code for it is 1, and that is FAIL
        say(traceback.format_exc().rstrip())
        return refused


def _write_verdict(made: GateResult, args: argparse.Namespace) -> None:
    if args.junit:
        store.write_text(args.junit, verdict_formats.junit(made))
    if args.summary:
        text = verdict_formats.markdown(made)
        if str(args.summary) == os.environ.get("GITHUB_STEP_SUMMARY"):
            with store.writing(args.summary), args.summary.open("a", encoding="utf-8") as file:
                file.write(text)  # the job's other steps have theirs in it
        else:
            store.write_text(args.summary, text)


# --- record -------------------------------------------------------------------------------------

_RECORD = """\
Records a run to compare and gate with. Writes results/recorded/NAME: digests, answers as read and
verdicts, but nobody's text, so that it can be kept in a repository. Reruns of the same work, made
with shuffle=1, shuffle=2, … and other batch sizes, measure how often verdicts flip by themselves:
a gate needs that. Three are enough.

example:
  ochat-eval record base base-1 base-2 base-3 --as base
"""


def record(argv: Sequence[str]) -> int:
    """`ochat-eval record`; returns the exit code."""
    parser = Parser("record", _RECORD)
    parser.add_argument("run", metavar="RUN", help="a run's folder, or its name under results/runs")
    parser.add_argument("rerun", metavar="RERUN", nargs="*", help="reruns of it")
    parser.add_argument("--as", dest="name", metavar="NAME", required=True, help="its name")
    parser.add_argument(
        "--into",
        type=Path,
        default=Path("results/recorded"),
        metavar="DIR",
        help="where it goes (default: %(default)s)",
    )
    parser.add_runs()
    args = parser.parse_args(argv)

    def work() -> int:
        folder, made = record_runs([args.run, *args.rerun], args.name, args.into, args.runs)
        tell(difference_formats.recorded_table(made))
        tell(
            f"\n{folder}: {counted(made.runs, 'run')}. "
            f"Gate with: ochat-eval gate RUN --against {args.name}"
        )
        return 0

    return ending(parser.prog, work)
