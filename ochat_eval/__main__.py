"""The door: `ochat-eval SUBCOMMAND …`, and `ochat-eval NAME=VALUE …` for a run."""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib
import io
import os
import re
import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import NoReturn

try:
    from ochat_eval import __version__
    from ochat_eval.config.allowed import allow
    from ochat_eval.config.groups import use_folder
    from ochat_eval.config.help import run_help
    from ochat_eval.model.imports import never_fork_engines
    from ochat_eval.records import UserError
    from ochat_eval.terminal.command import MISTAKE, ending
    from ochat_eval.terminal.encoding import heed_terminal
    from ochat_eval.terminal.grid import listing
    from ochat_eval.terminal.say import tell, uncaught
    from ochat_eval.terminal.words import nearest
except KeyboardInterrupt:  # else `ending` heeds it, which is not there yet
    sys.stderr.write("ochat-eval: stopped\n")
    exec("")  # as there
    sys.exit(130)

COMMANDS = {
    "run": ("evaluate a model; the word may be left away", "ochat_eval.pipeline"),
    "series": ("a training's checkpoints: score against step", "ochat_eval.series.command"),
    "compare": (
        "two runs, item by item: what differs, and is it noise?",
        "ochat_eval.baseline.command",
    ),
    "gate": ("pass or fail a run against a recorded one, for CI", "ochat_eval.baseline.command"),
    "record": ("keep a run to compare and gate with, without texts", "ochat_eval.baseline.command"),
    "read": ("mark whether the rules read answers right", "ochat_eval.review.command"),
    "tables": ("the published tables with the rows of runs", "ochat_eval.report.command"),
    "report": ("one page of runs side by side", "ochat_eval.report.command"),
    "board": ("a web page over all runs, live", "ochat_eval.board.command"),
    "pull": ("fetch data for machines without a network", "ochat_eval.config.command"),
    "import": ("other tools' answers, to be scored here", "ochat_eval.exchange.command"),
    "export": ("a run's results in other tools' formats", "ochat_eval.exchange.command"),
    "track": ("send a run to MLflow, W&B, TensorBoard, Trackio", "ochat_eval.track.command"),
    "serve": ("an OpenAI-compatible server with a chat page", "ochat_eval.serve.command"),
    "bench": ("measure what the harness costs", "ochat_eval.bench.command"),
    "completion": ("tab completion for bash and zsh", "ochat_eval.config.completion"),
}
"""Each subcommand: what it is for, and the room whose `command` has a function of its name."""

_OF_ALL = {
    "--config-dir": "DIR: no folder is named",
    "--allow": "PACKAGE: no package is named",
}
"""Flags of all subcommands, and what is said where they stand alone."""

_HELP = """\
usage: ochat-eval [SUBCOMMAND] [NAME=VALUE | OPTION ...]; ochat-eval --version
The benchmarks of the OpenChat-3.5 model card, as published; better, or noise?
{commands}
examples:
  ochat-eval task=demo                    a first look, no network needed
  ochat-eval task=gsm8k model=ORG/NAME    as published; again: it goes on
  ochat-eval compare before after         two of your runs
Each SUBCOMMAND --help teaches; run --help: tasks, models, options, your own.
The guide: {guide}
"""


def help_text() -> str:
    """What `ochat-eval --help` prints: one screen."""
    commands = listing({name: text for name, (text, _) in COMMANDS.items()})
    return _HELP.format(commands=commands, guide=resources.files("ochat_eval.docs") / "index.md")


def _heeded(given: list[str]) -> list[str]:
    """Takes `--config-dir DIR` and every `--allow PACKAGE` off the command line, heeds them, and
    returns the rest."""
    rest: list[str] = []
    said: dict[str, list[str]] = {"--config-dir": [], "--allow": []}
    arguments = iter(given)
    for argument in arguments:
        flag, equals, value = argument.partition("=")
        name = "--config-dir" if flag == "-cd" else flag
        if name not in said:
            rest.append(argument)
            continue
        found = value if equals else next(arguments, "")
        if not found:
            raise UserError(f"{name} {_OF_ALL[name]}")
        said[name].append(found)
    allow(said["--allow"])
    folders = [Path(one).expanduser() for one in said["--config-dir"]]
    use_folder(folders[-1] if folders else None)
    return rest


def _answered(given: list[str]) -> int:
    if given in ([], ["-h"], ["--help"], ["help"]):
        tell(help_text(), end="")
        return 0
    if given in (["--version"], ["-V"]):
        tell(f"ochat-eval {__version__}")
        return 0
    return _command(_heeded(given))


def _command(given: Sequence[str]) -> int:
    name, rest = ("run", given) if "=" in given[0] or given[0][:1] == "-" else (given[0], given[1:])
    if name not in COMMANDS:
        raise UserError(
            f"{name!r} is no subcommand (an option is written NAME=VALUE, as in limit=20)"
            f"{nearest(name, COMMANDS)}"
        )
    if name == "run" and any(a in ("-h", "--help", "help") for a in rest):
        tell(run_help(), end="")
        return 0
    module = importlib.import_module(COMMANDS[name][1])
    if name == "completion":
        flags = {one: functools.partial(_flags_of, one) for one in COMMANDS}
        return int(module.completion(rest, flags))
    code: int = getattr(module, "import_" if name == "import" else name)(rest)
    return code


def _flags_of(name: str) -> list[str]:
    """The flags that a subcommand's help lists."""
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
        _command([name, "--help"])
    return re.findall(r"(?m)^ +(?:-\w, |-\w \w+, )?(--[\w-]+)", shown.getvalue())


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code: 0, or what the subcommand says of a mistake."""
    sys.excepthook = uncaught
    heed_terminal()
    never_fork_engines()
    given = list(sys.argv[1:] if argv is None else argv)
    try:
        return ending("ochat-eval", lambda: _answered(given))
    except BrokenPipeError:  # of a pager that was left
        sys.stderr.close()
        return MISTAKE


def program() -> NoReturn:
    """`main` as a whole process, which ends as soon as all is closed and written.

    Python would go on and take apart what was imported: of torch and vLLM that takes seconds.
    """
    ended: list[int] = []
    atexit.register(_leave, ended)  # the first registered, the last called
    ended.append(main())
    sys.exit(ended[0])


def _leave(ended: Sequence[int]) -> None:
    """Ends this process, unless `main` has not come to its end: Python says why."""
    if not ended:
        return
    code = ended[0]
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):  # nobody reads it, or there is no space
        code = code or MISTAKE
    os._exit(code)


if __name__ == "__main__":
    program()
