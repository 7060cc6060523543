"""Fill a data root for machines without a network: `python -m ochat_eval.pull DIR [TASK ...]`.

Options that choose other data can be given too: `tasks.humaneval.problems=v0.1.10`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ochat_eval.records import UserError
from ochat_eval.sources import Source


def pull(sources: Iterable[Source[Any]], root: Path) -> int:
    """Put the sources into a data root; what is there and verifies stays as it is.

    Every file is written whole or not at all: after a failure, or a kill, run it again.

    Args:
        sources: what to put there; each once, however often it is named.
        root: the folder, made where missing.

    Returns:
        How many files were written.

    Raises:
        UserError: a source cannot be had, or the folder not be written.
    """
    wanted = list(dict.fromkeys(sources))
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {root}: {error.strerror}") from error
    with tqdm(wanted, desc=str(root), unit="file") as bar:
        return sum(source.store(root) for source in bar)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit code: 0, or 2 after one line about what went wrong."""
    parser = argparse.ArgumentParser(prog="python -m ochat_eval.pull", description=__doc__)
    parser.add_argument("dir", type=Path, help="the data root; name it in OCHAT_EVAL_DATA later")
    parser.add_argument("task", nargs="*", help="what to pull, all if none is named; and options")
    args = parser.parse_args(argv)
    from ochat_eval.config import all_sources

    try:
        written = pull(all_sources(args.task), args.dir)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{args.dir}: complete, {written} files written. Use it: OCHAT_EVAL_DATA={args.dir}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
