"""The command line: `python -m ochat_eval.report RUN [RUN …] -o FILE`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ochat_eval.recorded import find as find_folder
from ochat_eval.records import UserError
from ochat_eval.report.page import find, write_page


def main(argv: Sequence[str] | None = None) -> int:
    """Writes a page of runs side by side. Returns 0, or 2 after a line on what went wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m ochat_eval.report",
        description="One page of runs side by side: scores, subsets, and every item of the first "
        "run with the answers of all; where the first two differ, it is a flip.",
    )
    parser.add_argument("run", nargs="+", help="a run's folder, or its name in results/runs")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the page to write")
    given = parser.parse_args(argv)
    try:
        write_page(given.output, [find(find_folder(name)) for name in given.run])
    except UserError as error:
        print(f"ochat_eval.report: {error}", file=sys.stderr)
        return 2
    print(given.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
