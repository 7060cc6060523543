"""Answers to MT-Bench's sample items as chat models write them: long, with tables, code, formulas,
and scripts that run the other way. A run of them, replayed and judged."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conftest import door
from tests.fault_server import FaultServer, answer
from tests.replays import write

CASES = Path(__file__).parent / "cases/talks.md"
VERDICT = """\
The answer is warm and does what was asked; the table is a **nice touch**, and the formula
$N - p = 35$ is right. It is a little long, and הערה אחת בעברית is not translated.

Rating: [[8]]"""


def talks() -> dict[tuple[str, int], str]:
    """The answers by item and turn."""
    _, *parts = re.split(r"^<!-- (\S+) turn (\d) -->\n", CASES.read_text("utf-8"), flags=re.M)
    each = zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    return {(item, int(turn)): text.rstrip() for item, turn, text in each}


def judged(folder: Path, name: str) -> Path:
    """A run of them under a folder, with a judge's verdicts."""
    said = ({"id": id_, "turn": turn, "text": text} for (id_, turn), text in talks().items())
    write(folder / "talks.jsonl", *said)
    with FaultServer() as server:
        server.default = answer(VERDICT)
        done = door(
            "task=mt_bench", "data=sample", "engine=replay", "engine.path=talks.jsonl",
            "judge=local", f"judge.base_url={server.url}", "judge.served_name=grader", f"run={name}",
            folder=folder,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "results/runs" / name
