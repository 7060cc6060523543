"""The command line of track."""

from __future__ import annotations

from collections.abc import Sequence

from ochat_eval.baseline.find import find
from ochat_eval.config.groups import options
from ochat_eval.config.load import trackers
from ochat_eval.terminal.command import MISTAKE, Parser, ending
from ochat_eval.terminal.grid import listing
from ochat_eval.track.send import chosen, send

_TRACK = """\
Sends a finished run's figures, tables and page to experiment trackers; track=NAME does so at a
run's end. Keys and addresses come from the trackers' own environment variables.

example, a checkpoint of a training:
  ochat-eval track NAME --to mlflow tensorboard --step 1000
example, with an option of a tracker:
  ochat-eval track NAME --to wandb --set trackers.wandb.project=mine
"""


def track(argv: Sequence[str]) -> int:
    """`ochat-eval track`; returns the exit code."""
    known = {name: text for name, text in options("track").items() if name != "none"}
    parser = Parser("track", _TRACK, f"trackers:\n{listing(known)}")
    parser.add_argument("run", metavar="RUN", help="the run: its folder, or its name")
    parser.add_argument(
        "--to", nargs="+", required=True, choices=known, metavar="TRACKER", help="those below"
    )
    parser.add_argument("--step", type=int, metavar="N", help="the training step of its model")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="NAME=VALUE", help="options of trackers"
    )
    parser.add_runs()
    args = parser.parse_args(argv)

    def work() -> int:
        made = chosen(trackers(args.to, args.set))
        return 0 if send(made, find(args.run, args.runs), args.step) else MISTAKE

    return ending(parser.prog, work)
