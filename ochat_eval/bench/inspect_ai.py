"""GSM8K without a model, whole processes: compared with inspect_ai in an environment of its own."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ochat_eval.bench.costs import Table
from ochat_eval.bench.harness import made_up_answers, workload
from ochat_eval.bench.others import bare, beside, python_with
from ochat_eval.benchmark.selection import Selection
from ochat_eval.run.store import write_lines

INSPECT_AI = "0.3.285"
"""The version of inspect_ai that ours is compared with."""


def comparison(pairs: int) -> Table:
    """Times ours and inspect_ai over the same prompts and the same made-up answers, in turn.

    Its mock model gives the answers, its `match` scores them, and it writes its log; ours replays
    them, scores by both rules, and writes its report.

    Raises:
        UserError: one of them failed, or inspect_ai has not scored every item.
    """
    python = python_with("inspect-ai", INSPECT_AI)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        work = workload(["gsm8k"], folder)
        items = list(Selection(work.tasks[0], 0))
        write_lines(
            rows := folder / "rows.jsonl",
            (
                {"id": i.id, "prompt": i.turns[0], "target": i.target[0], "answer": answer.text}
                for i, answer in zip(items, made_up_answers(items), strict=True)
            ),
        )
        script = str(Path(__file__).with_name("inspect_gsm8k.py"))
        command = [str(python), "-P", script, str(rows), str(folder / "logs")]
        environment = bare(XDG_DATA_HOME=str(folder), XDG_CACHE_HOME=str(folder))
        theirs = f"inspect_ai {INSPECT_AI}, mock model"
        return beside(theirs, work, command, environment, folder, pairs)
