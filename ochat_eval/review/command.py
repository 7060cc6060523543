"""The command line of read."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from ochat_eval.baseline.find import RECORDED, find
from ochat_eval.config.again import tasks_of
from ochat_eval.records import UserError
from ochat_eval.review import rate_formats
from ochat_eval.review.marks import MarkFile
from ochat_eval.review.rates import measured
from ochat_eval.review.strata import SHOWN
from ochat_eval.review.walk import Walk, queue
from ochat_eval.run import store
from ochat_eval.run.folder import RunDir
from ochat_eval.run.manifest import read_facts
from ochat_eval.terminal.command import Parser, ending
from ochat_eval.terminal.keys import at_terminal, single_keys
from ochat_eval.terminal.say import say, tell
from ochat_eval.terminal.words import counted, nearest

_READ = """\
Shows you answers of a run and what each rule read in them, and asks with one key whether the
reading is what the answer says: r right, w wrong, u unclear. It is the reading that is judged, not
the model: a wrong answer that was read as it stands is read right, and so is nothing read where
nothing is stated. b goes back, q leaves; the same command goes on where it stopped.

example:
  ochat-eval read before --task gsm8k --show disagree
"""
_READ_MORE = """\
The marks go to review.jsonl in the run's folder. The rates that they tell are printed at the end;
ochat-eval report and stage=report show them, too. Those of unmatched or disagree are about such
answers only: a rate over all answers takes marks on every kind (--show all, the default).

exit codes: 0, or 2 for what cannot be shown.
"""


def read(argv: Sequence[str]) -> int:
    """`ochat-eval read`; returns the exit code."""
    parser = Parser("read", _READ, _READ_MORE)
    parser.add_argument("run", metavar="RUN", help="a run's folder, or its name under --runs")
    parser.add_argument("--task", metavar="TASK", help="which benchmark; not needed for one")
    parser.add_argument(
        "--show", choices=SHOWN, default="all",
        help="what a rule could not read, what the rules read differently, or all (default)",
    )  # fmt: skip
    parser.add_runs()
    args = parser.parse_args(argv)

    def work() -> int:
        folder = find(args.run, args.runs)
        task = _task(folder, args.task)
        if not at_terminal():
            raise UserError("a person presses keys here: run it in a terminal (over ssh: ssh -t)")
        _walk(folder, task, args.show)
        return 0

    return ending(parser.prog, work)


def _task(folder: Path, name: str | None) -> str:
    """The benchmark that is looked at.

    Raises:
        UserError: the run has no answers or scores, not that benchmark, or several and none was
            named; or a judge rates its answers, and no rule reads them.
    """
    if (folder / RECORDED).exists():
        raise UserError(f"{folder} is a recorded run, which has no texts: read the run itself")
    for file in (store.ITEMS, store.RESPONSES, store.SCORES):
        if not (folder / file).exists():
            raise UserError(f"{folder} has no {file}: it is no run that has been scored")
    tasks = tasks_of(read_facts(folder / store.MANIFEST))
    known = [task for task, of in tasks.items() if not of.judged]
    if name is None and len(known) == 1:
        return known[0]
    if name is None:
        raise UserError(f"{folder.name} has several benchmarks: add --task{nearest('', known)}")
    if name not in known:
        why = "its answers are rated by a judge; no rule reads them" if name in tasks else (
            f"{folder.name} has no such benchmark{nearest(name, known)}"
        )  # fmt: skip
        raise UserError(f"--task {name}: {why}")
    return name


def _walk(folder: Path, task: str, show: str) -> None:
    with contextlib.closing(RunDir(folder)), contextlib.closing(MarkFile(folder)) as marks:
        if marks.torn:
            say(f"cut {counted(marks.torn, 'byte')} of a half-written last line off {marks.path}")
        asked = queue(folder, task, show)
        if not asked.of:
            raise UserError(f"{folder.name} has no such answers of {task}: --show {show}")
        tell(f"{folder.name}, {task}: {counted(asked.of, 'answer')}, {asked.done:,} marked before")
        try:
            with single_keys() as key:
                Walk(folder, marks).go(asked, key)
        finally:
            rates = {name: of for name, of in measured(folder).items() if name == task}
            if rates:
                tell(f"\n{rate_formats.terminal(rates)}")
            tell(f"\n{marks.path}")
