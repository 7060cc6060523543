"""Many made-up runs for the board, quickly: one that was replayed, and hard links of its files.

`OCHAT_EVAL_DATA=… python -m tests.board.shelves FOLDER [RUNS]` makes 200 of all 35,806 items with one
that runs, and prints what the board takes for its list and for an item list. `ochat-eval board
FOLDER/results/runs` then shows them.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from ochat_eval.bench.harness import workload
from ochat_eval.board.answers import Search
from ochat_eval.board.board import Board
from ochat_eval.pipeline import run as run_command
from ochat_eval.run import store
from ochat_eval.run.folder import RunDir

LINKED = (store.ITEMS, store.RESPONSES, store.SCORES)


def copies(run: Path, names: list[str]) -> None:
    """Runs beside one with the same records, and manifests and scores of their own."""
    summary, manifest = (store.read_json(run / n) for n in (store.SUMMARY, store.MANIFEST))
    chance = random.Random(1)
    for n, name in enumerate(names):
        folder = run.with_name(name)
        folder.mkdir()
        for file in LINKED:
            os.link(run / file, folder / file)
        manifest["identity"]["model"] = summary["model"] = f"model-{n % 7}"
        manifest["created"] = f"2026-{1 + n % 12:02}-{1 + n % 28:02}T{n % 24:02}:00:00+00:00"
        for task in summary["tasks"].values():
            for rule in ("published", "robust"):
                one = task[rule]
                if one["score"] is not None:
                    low, high = (bound * task["scale"] for bound in task["bounds"])
                    moved = min(max(one["score"] + chance.gauss(0, 2), low), high)
                    shift, one["score"] = moved - one["score"], moved
                    one["ci95"] = [end + shift for end in one["ci95"]]
        store.write_json(folder / store.SUMMARY, {**summary, "run": name})
        store.write_json(folder / store.MANIFEST, manifest)
        if n % 5 == 0:
            store.write_json(folder / store.NOTES, {"tags": ["sweep"], "note": f"step {100 * n}"})


@contextlib.contextmanager
def running(run: Path, name: str, answers: int) -> Iterator[Path]:
    """A run beside one that has its first answers and is held by this process, as if it went on."""
    folder = run.with_name(name)
    folder.mkdir()
    manifest = store.read_json(run / store.MANIFEST)
    store.write_json(folder / store.MANIFEST, {**manifest, "finished": None, "times": []})
    shutil.copy(run / store.ITEMS, folder / store.ITEMS)
    with contextlib.closing(RunDir(folder)):
        append(run, folder, 0, answers)
        yield folder


def append(run: Path, folder: Path, start: int, stop: int) -> None:
    """Adds some of a run's answers to the journal of another."""
    with (run / store.RESPONSES).open("rb") as file, (folder / store.RESPONSES).open("ab") as more:
        more.writelines(line for n, line in enumerate(file) if start <= n < stop)


def _timed(name: str, work: object) -> None:
    begun, used = time.perf_counter(), time.process_time()
    work()  # type: ignore[operator]
    seconds, used = time.perf_counter() - begun, time.process_time() - used
    print(f"{name:48} {1000 * seconds:8.0f} ms, {1000 * used:8.0f} of the processor")


def main(into: str, runs: str = "200") -> None:
    folder = Path(into)
    folder.mkdir(parents=True, exist_ok=True)
    first = folder / "results/runs/run-000"
    if not first.exists():
        with contextlib.chdir(folder):
            run_command([*workload(["all"], Path.cwd()).command[3:], f"run={first.name}"])
        copies(first, [f"run-{n:03}" for n in range(1, int(runs) - 1)])
    shutil.rmtree(first.with_name("run-live"), ignore_errors=True)
    with running(first, "run-live", 5000):
        board = Board(first.parent)
        _timed("the list of runs, the first time", board.runs)
        _timed("the list of runs, again", board.runs)
        names = [first.name]
        _timed("a run: its report's data", lambda: board.about(names))
        _timed("its index of answers", lambda: board.index(names))
        page = lambda **more: board.items(names, Search(**more), 20_000, 200, "")  # noqa: E731
        _timed("200 rows of its list", page)
        _timed("200 rows of what is wrong", lambda: page(filter="wrong"))
        _timed("an item", lambda: board.item(names, "mmlu/anatomy/9"))
        _timed("a search through all texts", lambda: page(word="what comes next in the reckoning"))
        _timed("a running run", lambda: board.index(["run-live"]))
        append(first, first.with_name("run-live"), 5000, 5100)
        live = lambda: board.items(["run-live"], Search(filter="answered"), 0, 200, "")  # noqa: E731
        _timed("its list with 100 answers more", live)
        both = [first.name, "run-001"]
        _timed("two side by side: the index of answers", lambda: board.index(both))
        _timed("two side by side: pairs with tests", lambda: board.differences(both))
        print(json.dumps({key: value for key, value in board.runs()[0].items() if key != "tasks"}))


if __name__ == "__main__":
    main(*sys.argv[1:])
