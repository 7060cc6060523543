"""`make bench`: what the harness itself costs, measured as whole processes in one run.

    python -m ochat_eval.bench harness [TASK ...]   plan, replay, score, report; no engine

Recorded answers (each item's own target) are replayed, so that what is measured is the harness.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

from ochat_eval.config import build_tasks, load
from ochat_eval.records import Response, UserError
from ochat_eval.sources import data_root
from ochat_eval.store import write_records
from ochat_eval.task import selected_items


@dataclass(frozen=True)
class Cost:
    """One process: wall seconds, and the peak resident memory of it or a child, in MiB."""

    seconds: float
    mib: float


_LAUNCH = """
import json, os, resource, subprocess, sys, time
begun = time.monotonic()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
seconds = time.monotonic() - begun
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(json.dumps([done.returncode, seconds, peak]))
"""
"""A small process of its own starts the command: a child's peak is never below its parent's."""


def measure(command: list[str], folder: Path) -> Cost:
    """Runs a command to its end in a folder.

    Raises:
        UserError: it failed.
    """
    launch = [sys.executable, "-I", "-S", "-c", _LAUNCH, *command]
    done = subprocess.run(launch, cwd=folder, capture_output=True, text=True, check=True)
    code, seconds, mib = json.loads(done.stdout)
    if code:
        raise UserError(f"{' '.join(command)} failed: {done.stderr.strip().splitlines()[-1:]}")
    return Cost(seconds, mib)


def harness(names: list[str]) -> str:
    """Times each stage over the named tasks; the table as text."""
    data = "full" if data_root() else "sample"
    chosen = f"task=[{','.join(names)}]"
    base = [chosen, f"data={data}", "model=openchat_3.5_0106"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        answers = []
        for task in build_tasks(load(base)):
            items, _ = selected_items(task, 0)
            answers += [
                Response(i.id, f"The answer is {' '.join(i.target)}", turn=t, finish_reason="stop")
                for i in items
                for t in range(len(i.turns))
            ]
        write_records(folder / "answers.jsonl", answers)
        count = len(answers)
        command = [sys.executable, "-m", "ochat_eval", *base, "engine=replay", "run=bench"]
        command.append(f"engine.path={folder / 'answers.jsonl'}")
        rows = []
        for stage in ("all", "generate", "score", "report"):
            cost = measure([*command, f"stage={stage}"], folder)
            rows.append(
                [
                    stage,
                    f"{cost.seconds:.2f}",
                    f"{1000 * cost.seconds / count:.3f}",
                    f"{cost.mib:.0f}",
                ]
            )
    headers = ["stage", "seconds", "seconds per 1,000 items", "peak MiB"]
    start = measure([sys.executable, "-m", "ochat_eval", "--help"], Path.cwd())
    rows.append(["--help", f"{start.seconds:.2f}", "", f"{start.mib:.0f}"])
    title = f"{', '.join(names)} ({data} data): {count:,} items, whole processes, start included"
    return f"{title}\n{tabulate(rows, headers, 'simple', disable_numparse=True)}"


def main(arguments: list[str] | None = None) -> int:
    """Runs the named measurement and prints its table."""
    given = sys.argv[1:] if arguments is None else arguments
    kind, names = (given or ["harness"])[0], given[1:]
    if kind != "harness":
        print(f"ochat_eval.bench: no measurement {kind!r}; there is: harness", file=sys.stderr)
        return 2
    try:
        print(harness(names or ["gsm8k"]))
    except UserError as e:
        print(f"ochat_eval.bench: {e}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
