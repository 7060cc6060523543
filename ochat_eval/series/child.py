"""One run in a process of its own: what its engine held is free when it ends.

vLLM within one process does not give back all it took, so a second model would find less room than
the first, or none.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from ochat_eval.config.allowed import allowed
from ochat_eval.config.groups import own_folder
from ochat_eval.run import store
from ochat_eval.terminal.say import tell

_HANDED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes:
        code: its exit code; 0 where all went well, below 0 where a signal ended it.
        folders: the folders of what came as far as a report: one, or with adapters one for each.
    """

    code: int
    folders: tuple[Path, ...] = ()

    @property
    def folder(self) -> Path | None:
        """The only one's, or the last one's; None where there is no report."""
        return self.folders[-1] if self.folders else None


def run_alone(options: Sequence[str], show: Callable[[str], None] = tell) -> Ended:
    """`ochat-eval run OPTIONS` in a process of its own, waited for.

    What it says goes where ours goes. Ctrl-C and signals that end us are handed on to it and all
    its processes, once.

    Args:
        show: takes each line of its output as it comes.

    Raises:
        KeyboardInterrupt: after one of those signals, once the run has ended.
    """
    folder = own_folder()
    own = [] if folder is None else ["--config-dir", str(folder)]
    own += [part for package in allowed() for part in ("--allow", package)]
    command = [sys.executable, "-m", "ochat_eval", *own, "run", *options]
    folders: dict[Path, None] = {}
    # In a group of its own, so that a terminal's Ctrl-C reaches it once, through us.
    with (
        _HandedOn() as signals,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, errors="replace", process_group=0
        ) as child,
    ):
        signals.to(child.pid)
        assert child.stdout is not None
        for line in child.stdout:
            show(line.rstrip("\n"))
            page = Path(line.strip())  # the last line that a run prints, once it has been reported
            if page.name == store.REPORT and page.is_file():
                folders[page.parent] = None
        code = child.wait()
    if signals.came:
        raise KeyboardInterrupt
    return Ended(code, tuple(folders))


class _HandedOn:
    """Hands signals on to a group of processes, once each; those from before there is one, too.

    Attributes:
        came: whether there was any.
    """

    def __init__(self) -> None:
        self.came = False
        self._group: int | None = None
        self._early: list[int] = []
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _HandedOn:
        self._before = {number: signal.signal(number, self._come) for number in _HANDED_ON}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def to(self, group: int) -> None:
        """Names the group."""
        self._group = group
        while self._early:
            self._send(self._early.pop())

    def _come(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        if self._group is None:
            self._early.append(number)
        else:
            self._send(number)

    def _send(self, number: int) -> None:
        assert self._group is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._group, number)
