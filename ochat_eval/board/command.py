"""The command line of board."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ochat_eval.records import UserError
from ochat_eval.terminal.command import Parser, ending
from ochat_eval.terminal.say import tell

_BOARD = """\
A web page over all runs of a folder, live: a row each with scores and intervals, how far a running
one is, tags and notes; any of them side by side, with every item and a person's marks.

examples:
  ochat-eval board
  ochat-eval board --static public     for any web server
"""
_BOARD_MORE = """\
It reads the runs' files and writes two: notes.json (tags, a note) and review.jsonl (marks), each in
the run's folder. On another --host than this machine it takes the keys of OCHAT_EVAL_API_KEYS, or
makes one and prints it with the address.

exit codes: 0, or 2 for what cannot be shown.
"""


def board(argv: Sequence[str]) -> int:
    """`ochat-eval board`; returns the exit code."""
    parser = Parser("board", _BOARD, _BOARD_MORE)
    parser.add_argument(
        "runs", metavar="RUNS", nargs="?", type=Path, default=Path("results/runs"),
        help="folder of the runs (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--port", type=int, default=18890, help="default: %(default)s; 0: any")
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s, this machine")
    parser.add_argument("--static", type=Path, metavar="DIR", help="write files instead of serving")
    args = parser.parse_args(argv)

    def work() -> int:
        if not args.runs.is_dir():
            raise UserError(f"{args.runs} is no folder; runs are made by ochat-eval task=…")
        if args.static is not None:
            from ochat_eval.board.static import write_board  # noqa: PLC0415 (starts sooner)

            tell(str(write_board(args.runs, args.static)))
        else:
            from ochat_eval.board.server import serve_board  # noqa: PLC0415 (starlette, uvicorn)

            serve_board(args.runs, args.host, args.port)
        return 0

    return ending(parser.prog, work)
