"""A tracker's package at work in a process of its own.

Whatever it does there (prints, waits for a network, asks for a key, dies), the run has lost nothing
but the time that it was given.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys

from ochat_eval.records import UserError
from ochat_eval.terminal.words import one_line
from ochat_eval.track.tracker import Sent, Tracker


def deliver(tracker: Tracker, sent: Sent) -> str:
    """Sends; returns where it can be seen.

    Raises:
        UserError: it failed or took too long; says why in one line.
    """
    command = [sys.executable, "-m", "ochat_eval.track.process"]
    try:
        done = subprocess.run(
            command, input=pickle.dumps((tracker, sent)), capture_output=True,
            timeout=tracker.seconds, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise UserError(f"no end within {tracker.seconds} s") from None
    answer = done.stdout.decode(errors="replace").strip()
    if done.returncode or not answer:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise UserError(answer or (said[-1] if said else f"it ended with code {done.returncode}"))
    return answer


def _main() -> int:
    """Sends what stands on the standard input; the answer is the one thing on the output."""
    tracker, sent = pickle.load(sys.stdin.buffer)
    answer = os.dup(1)
    os.dup2(2, 1)  # what packages print is none
    try:
        said, code = tracker.send(sent), 0
    except ModuleNotFoundError as error:
        if error.name != tracker.package:
            raise
        said, code = f"it is not installed: pip install 'ochat-eval[{tracker.package}]'", 1
    # Each package has errors of its own, with no base class in common.
    except Exception as error:
        said, code = one_line(error), 1
    os.write(answer, said.encode())
    return code


if __name__ == "__main__":
    sys.exit(_main())
