"""What the commands' argument parsers share: help that teaches, one line for a mistake."""

from __future__ import annotations

import argparse
import os
import re
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from ochat_eval.records import UserError
from ochat_eval.terminal.grid import WIDTH
from ochat_eval.terminal.say import say
from ochat_eval.terminal.words import nearest

MISTAKE = 2
"""The exit code of what a user can mend."""
STOPPED = 130
"""The exit code after Ctrl-C."""


class Parser(argparse.ArgumentParser):
    """A subcommand's parser.

    Attributes:
        mistake: the exit code for a mistake on the command line.
    """

    def __init__(self, name: str, about: str, epilog: str = "", mistake: int = MISTAKE):
        """Takes the subcommand's name and what its help says before and behind the options."""
        super().__init__(
            prog=f"ochat-eval {name}",
            description=_filled(about),
            epilog=_filled(epilog),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self.mistake = mistake

    def error(self, message: str) -> NoReturn:
        """Says what is wrong in one line and ends the process."""
        if unknown := re.match(r"unrecognized arguments: (-\S+)", message):
            name = unknown[1].partition("=")[0]
            options = list(self._option_string_actions)
            near = [one for one in options if len(name) > 2 and one.startswith(name)]
            meant = f"; did you mean {near[0]}?" if near else nearest(name, options)
            message = f"{name}: there is no such option{meant}"
        say(f"{self.prog}: {message}; {self.prog} --help shows the options")
        sys.exit(self.mistake)

    def add_runs(self) -> None:
        """Adds `--runs DIR`, the folder that runs are named in."""
        self.add_argument(
            "--runs",
            type=Path,
            default=Path("results/runs"),
            metavar="DIR",
            help="folder of the runs (default: %(default)s)",
        )


def _filled(text: str) -> str:
    """Paragraphs to the width of a terminal; examples and lists stay as they are."""
    return "\n\n".join(
        part if "\n  " in part else textwrap.fill(part, WIDTH, break_on_hyphens=False)
        for part in text.strip().split("\n\n")
    )


def ending(name: str, work: Callable[[], int], mistake: int = MISTAKE) -> int:
    """The exit code of a command's work: its own, or that of a mistake said in one line.

    Args:
        name: what stands before the line: `ochat-eval compare`.
        mistake: the exit code of a UserError, and of a path that the system refuses: too long, in
            a folder that is closed to us.
    """
    try:
        return work()
    except UserError as e:
        say(f"{name}: {e}")
        return mistake
    except OSError as e:
        if e.filename is None:
            raise
        say(f"{name}: cannot use {os.fsdecode(e.filename)}: {e.strerror}; name another path")
        return mistake
    except KeyboardInterrupt:
        say(f"{name}: stopped")
        # Python ends by SIGINT instead where the exception came through an `exec` of some import
        # and `python -m` runs us: CPython notes it there, and the next `exec` clears the note.
        exec("")
        return STOPPED
