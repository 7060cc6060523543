"""`make bench`: what the harness itself costs, as whole processes measured in one run.

No model: the answers are made up and replayed. About half of them are right, as a model's are,
because a right answer is often cheaper to grade than a wrong one, and each has some 700
characters.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from itertools import cycle, islice
from pathlib import Path
from statistics import median

from tabulate import tabulate

from ochat_eval.config import build_tasks, load
from ochat_eval.progress import say
from ochat_eval.records import Item, Response, UserError
from ochat_eval.sources import data_root
from ochat_eval.store import read_json, write_lines, write_records, write_text
from ochat_eval.task import Selection, Task

LM_EVAL = "0.4.13"
"""The version of lm-eval that ours is compared with."""
PAIRS = 3
"""How often each side of a comparison runs, in turn; the medians are compared."""
CODE = ("humaneval",)
"""Benchmarks whose answers are code: they are asked, but nothing is recorded to be executed."""

_SAMPLE_SECONDS = 0.05
_REASONING = "so this much is known, and from it follows what comes next in the reckoning; " * 9


@dataclass(frozen=True)
class Cost:
    """A command's cost.

    Attributes:
        seconds: wall time, start included.
        mib: peak resident memory of the process and all its descendants together, in MiB,
            sampled every 50 ms; pages that they share count for each of them.
    """

    seconds: float
    mib: float


@dataclass(frozen=True)
class Workload:
    """What is measured: benchmarks, and the answers to replay.

    Attributes:
        names: as given to `task=`.
        tasks: the benchmarks.
        items: how many there are of all tasks.
        unanswered: those of them with no recorded answer.
        command: the command line of a run over them; it lacks `run` and `stage`.
    """

    names: tuple[str, ...]
    tasks: tuple[Task, ...]
    items: int
    unanswered: int
    command: tuple[str, ...]

    @property
    def title(self) -> str:
        """Benchmarks, data and number of items, in words."""
        data = "full data" if data_root() else "sample data: OCHAT_EVAL_DATA is not set"
        left_out = f", {self.unanswered} of them code, not executed" if self.unanswered else ""
        return f"{', '.join(self.names)} ({data}): {self.items:,} items{left_out}"


def measure(
    command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
) -> Cost:
    """Runs a command to its end in a folder, in this process's environment or in the one given.

    Raises:
        UserError: it failed; with the last line that it wrote to its error stream.
    """
    peak, ended = 0, threading.Event()
    with tempfile.TemporaryFile() as errors:
        begun = time.monotonic()
        with subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=errors
        ) as process:

            def sample() -> None:
                nonlocal peak
                while not ended.wait(_SAMPLE_SECONDS):
                    peak = max(peak, _resident_pages(process.pid))

            sampler = threading.Thread(target=sample)
            sampler.start()
            try:
                code = process.wait()
            finally:
                seconds = time.monotonic() - begun
                ended.set()
                sampler.join()
        if code:
            errors.seek(0)
            raise UserError(f"{' '.join(command)} failed: {_last_line(errors.read())}")
    return Cost(seconds, peak * os.sysconf("SC_PAGE_SIZE") / 2**20)


def _resident_pages(pid: int, parent: str = "") -> int:
    """Resident memory of a process and its descendants; nothing for one that has ended.

    A child with its parent's very figures (`parent`) has not yet begun its own program (vfork):
    it still uses the parent's memory.
    """
    folder, figures, children = Path(f"/proc/{pid}"), parent, []
    with contextlib.suppress(OSError):
        figures = (folder / "statm").read_text()
        for thread in (folder / "task").iterdir():
            children += (thread / "children").read_text().split()
    own = 0 if figures == parent else int(figures.split()[1])
    return own + sum(_resident_pages(int(child), figures) for child in children)


def _last_line(output: bytes) -> str:
    lines = output.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it did not say why"


def made_up_answers(items: Sequence[Item]) -> Iterator[Response]:
    """An answer to each turn of each item; every second one states the next item's target."""
    for place, (item, following) in enumerate(
        zip(items, islice(cycle(items), 1, None), strict=False)
    ):
        target = " ".join((following if place % 2 else item).target)
        # Only small letters before the answer, where some rules take the first capital.
        text = f"on {item.id.lower()}: {_REASONING}\n\nThe answer is {target}"
        for turn in range(len(item.turns)):
            yield Response(item.id, text, turn=turn, finish_reason="stop")


def workload(names: Sequence[str], folder: Path) -> Workload:
    """The named benchmarks with made-up answers, which are written into the folder."""
    data = "full" if data_root() else "sample"
    options = [f"task=[{','.join(names)}]", f"data={data}", "model=openchat_3.5_0106"]
    tasks = build_tasks(load(options))
    items = {task.name: list(Selection(task, 0)) for task in tasks}
    answers = folder / "answers.jsonl"
    asked = [every for name, every in items.items() if name not in CODE]
    write_records(answers, (answer for every in asked for answer in made_up_answers(every)))
    command = (sys.executable, "-m", "ochat_eval", *options, "engine=replay")
    total = sum(map(len, items.values()))
    return Workload(
        names=tuple(names),
        tasks=tuple(tasks),
        items=total,
        unanswered=total - sum(map(len, asked)),
        command=(*command, f"engine.path={answers}"),
    )


def harness(names: Sequence[str]) -> str:
    """Times the stages over the named tasks, each a process of its own; the table as text."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        say(f"making answers to {', '.join(names)}")
        work = workload(names, folder)
        # Each stage plans first; `all` is a fresh run, so that it has everything to do.
        for stage, run in (("all", 1), ("generate", 2), ("score", 2), ("report", 2)):
            say(f"{', '.join(names)}: stage={stage}")
            cost = measure([*work.command, f"stage={stage}", f"run=bench{run}"], folder)
            each = f"{1000 * cost.seconds / work.items:.3f}"
            rows.append([f"stage={stage}", f"{cost.seconds:.2f}", each, f"{cost.mib:.0f}"])
        start = measure([sys.executable, "-m", "ochat_eval", "--help"], folder)
        rows.append(["--help", f"{start.seconds:.2f}", "", f"{start.mib:.0f}"])
    headers = ["process", "seconds", "per 1,000 items", "peak MiB"]
    return _table(work.title, rows, headers)


def _table(title: str, rows: list[list[str]], headers: list[str]) -> str:
    return f"{title}\n{tabulate(rows, headers, 'simple', disable_numparse=True)}\n"


# --- The comparison with lm-eval -------------------------------------------------------------


def lm_eval_python() -> Path:
    """The Python of an environment that has lm-eval; the environment is made the first time.

    It lies beside this one, as `.venv-lm-eval`; packages that both need have the same version.

    Raises:
        UserError: this Python is in no environment, or the installation failed.
    """
    if sys.prefix == sys.base_prefix:
        raise UserError("this Python is in no virtual environment; use the one of make setup")
    folder = Path(sys.prefix).with_name(".venv-lm-eval")
    python, ready = folder / "bin" / "python", folder / f".ready-{LM_EVAL}"
    if ready.exists():
        return python
    say(f"installing lm-eval {LM_EVAL} into {folder}: once, about two minutes, 0.8 GB")
    _must([sys.executable, "-m", "venv", "--clear", str(folder)], f"cannot make {folder}")
    versions = folder / "versions.txt"
    ours = sorted({f"{d.name}=={d.version}\n" for d in distributions()})
    write_text(versions, "".join(ours))
    install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    _must([*install, "-c", str(versions), f"lm-eval=={LM_EVAL}"], "cannot install lm-eval")
    ready.touch()
    return python


def _must(command: Sequence[str], problem: str) -> None:
    """Runs a command; raises UserError with its last line of output if it fails."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, env=_bare()
    )
    if done.returncode:
        raise UserError(f"{problem}: {_last_line(done.stdout)}")


def _bare(**more: str) -> dict[str, str]:
    """This process's environment, less what would show its packages to another Python."""
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    return {**kept, **more}


def lm_eval_side(python: Path, task: Task, folder: Path) -> tuple[list[str], dict[str, str]]:
    """lm-eval's command line and environment for its own 8-shot task over our rows, offline.

    The task is its `gsm8k_cot`, unchanged but for the address of the rows.

    Args:
        python: of the environment that has lm-eval.
        task: our GSM8K, for its rows.
        folder: where the rows and the task's file are written.
    """
    rows = [row for row in task.sources()[0].load() if not row.get("example")]
    write_lines(folder / "rows.jsonl", rows)
    [site] = python.parent.parent.glob("lib/python*/site-packages")
    tasks = folder / "tasks"
    tasks.mkdir()
    settings = {
        "include": str(site / "lm_eval/tasks/gsm8k/gsm8k-cot.yaml"),
        "task": "gsm8k_cot_rows",
        "dataset_path": "json",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": {"test": str(folder / "rows.jsonl")}},
    }
    write_text(tasks / "gsm8k_cot_rows.yaml", json.dumps(settings))  # JSON is YAML
    command = [str(python), "-m", "lm_eval", "--model", "dummy", "--num_fewshot", "8"]
    command += ["--tasks", "gsm8k_cot_rows", "--include_path", str(tasks)]
    command += ["--output_path", str(folder / "output")]
    environment = _bare(
        HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_HOME=str(folder / "huggingface")
    )
    return command, environment


def comparison(pairs: int = PAIRS) -> str:
    """Times ours and lm-eval over GSM8K's rows, in turn; the table as text.

    Raises:
        UserError: one of them failed, or they did not have the same number of items.
    """
    python = lm_eval_python()
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        work = workload(["gsm8k"], folder)
        command, environment = lm_eval_side(python, work.tasks[0], folder)
        for n in range(1, pairs + 1):
            say(f"gsm8k, pair {n} of {pairs}: ochat_eval, then lm-eval (half a minute)")
            ours.append(measure([*work.command, f"run=bench{n}"], folder))
            theirs.append(measure(command, folder, environment))
        for file in (folder / "output").rglob("results_*.json"):
            [counted] = read_json(file)["n-samples"].values()
            if counted["effective"] != work.items:
                raise UserError(f"lm-eval had {counted['effective']} items, ours {work.items}")
    rows = []
    for who, costs in (("ochat_eval", ours), (f"lm-eval {LM_EVAL}, dummy model", theirs)):
        times = sorted(cost.seconds for cost in costs)
        spread = f"{times[0]:.2f} to {times[-1]:.2f}"
        rows.append([who, f"{median(times):.2f}", spread, f"{max(c.mib for c in costs):.0f}"])
    ratio = median(c.seconds for c in ours) / median(c.seconds for c in theirs)
    rows.append(["ratio", f"{ratio:.3f}", "", ""])
    title = f"{work.title}, 8-shot; {pairs} runs of each in turn, median"
    return _table(title, rows, ["process", "seconds", "from, to", "peak MiB"])


def main(arguments: list[str] | None = None) -> int:
    """Runs the chosen measurements and prints their tables; 2 for a user's mistake."""
    parser = argparse.ArgumentParser(
        prog="python -m ochat_eval.bench",
        description="What the harness itself costs: whole processes, replayed answers, no model.",
        epilog="OCHAT_EVAL_DATA=DIR names the data; without it sample items are measured.",
    )
    parser.add_argument(
        "what",
        nargs="?",
        default="all",
        choices=["all", "harness", "lm-eval"],
        help="harness: each stage, over GSM8K and over all benchmarks, or over the tasks named; "
        f"lm-eval: GSM8K compared with lm-eval {LM_EVAL}, which it installs into .venv-lm-eval; "
        "all (the default): both",
    )
    parser.add_argument("task", nargs="*", help="for harness: the tasks, as in task=")
    given = parser.parse_args(arguments)
    if given.task and given.what != "harness":
        parser.error(f"tasks can be named only for harness, not for {given.what}")
    try:
        if given.what != "lm-eval":
            for names in [given.task] if given.task else [["gsm8k"], ["all"]]:
                print(harness(names), flush=True)
        if given.what != "harness":
            print(comparison(), flush=True)
    except UserError as e:
        print(f"ochat_eval.bench: {e}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("ochat_eval.bench: stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
