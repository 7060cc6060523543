"""A made-up series of checkpoints for the guide's picture: answers replayed, real statistics."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from ochat_eval.config.groups import use_folder
from ochat_eval.series.child import Ended, run_alone
from ochat_eval.series.series import Series, run_series

RIGHT = {
    200: (0.12, 0.30), 400: (0.34, 0.34), 600: (0.52, 0.43), 800: (0.55, 0.47), 1000: (0.31, 0.44),
    1200: (0.57, 0.49),
}  # fmt: skip
"""By step, the shares of right answers to the two made-up benchmarks."""
CUT = {1000: 0.3}
"""By step, the share of answers without an end: a checkpoint that is broken a little."""
ITEMS = 300
TASKS = ("sums", "words")
_TASK = """\
# @package tasks.{name}
# made-up questions
_target_: ochat_eval.tasks.file.FromFile
path: {name}.jsonl
answer: number
"""


def _checkpoints(out: Path) -> None:
    for step in RIGHT:
        folder = out / f"checkpoint-{step}"
        folder.mkdir(parents=True)
        for name in ("config.json", "tokenizer.json"):
            (folder / name).write_text("{}")
        header = b'{"w": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}}'
        whole = len(header).to_bytes(8, "little") + header + bytes(4)
        (folder / "model.safetensors").write_bytes(whole)


def _benchmarks(mine: Path) -> None:
    (mine / "task").mkdir(parents=True)
    for name in TASKS:
        (mine / "task" / f"{name}.yaml").write_text(_TASK.format(name=name))
        rows = ({"question": f"How much is {n} and 1?", "answer": n + 1} for n in range(ITEMS))
        Path(f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def _answers(step: int) -> Iterator[dict[str, object]]:
    draw = random.Random(0)
    for task, share in zip(TASKS, RIGHT[step], strict=True):
        own = random.Random(f"{step} {task}")
        for number in range(ITEMS):
            right = draw.random() + own.gauss(0, 0.05) < share  # a hard item is hard at each step
            cut = own.random() < CUT.get(step, 0.01)
            yield {
                "id": f"{task}/main/{number}",
                "text": "I think" if cut else f"The answer is {number + 1 if right else 0}",
                "finish_reason": "length" if cut else "stop",
                "prompt_tokens": 12,
                "completion_tokens": 90 if cut else 20 + own.randrange(20),
            }


def make(folder: Path) -> Path:
    """Runs the series in an empty folder; returns its page."""

    def alone(options: Sequence[str]) -> Ended:
        [name] = [o.partition("=")[2].strip("'") for o in options if o.startswith("model.name=")]
        step = int(name.rpartition("-")[2])
        Path("a.jsonl").write_text("".join(json.dumps(one) + "\n" for one in _answers(step)))
        return run_alone(options, lambda line: None)

    with contextlib.chdir(folder):
        _checkpoints(Path("sft"))
        _benchmarks(Path("mine"))
        use_folder(Path("mine"))
        options = [f"task={','.join(TASKS)}", "engine=replay", "engine.path=a.jsonl", "model=hf"]
        series = Series(name="sft", places=["sft"], options=options, base=False,
                        runs=Path("results/runs"), watch=None)  # fmt: skip
        run_series(series, alone)
    return folder / "results/series/sft.html"
