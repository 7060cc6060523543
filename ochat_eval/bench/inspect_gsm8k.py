"""inspect_ai's evaluation of ready-made answers to ready-made prompts, as a process of its own.

`python -P inspect_gsm8k.py ROWS LOGS` reads rows of `id`, `prompt`, `target` and `answer`, and
leaves one log. It imports nothing of this package, for the Python that has inspect_ai runs it; -P,
lest its neighbour `inspect_ai.py` be taken for the package. The mock model is told its usage: else
it would fetch a vocabulary to count tokens.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from inspect_ai import Task, eval
from inspect_ai.dataset import FieldSpec, json_dataset
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import match
from inspect_ai.solver import generate


def main(rows: str, logs: str) -> None:
    """Evaluates the rows; fails unless each was answered and scored."""
    lines = [json.loads(line) for line in Path(rows).read_text(encoding="utf-8").splitlines()]
    answers = {line["prompt"]: line["answer"] for line in lines}

    def answer(asked: list[Any], *_: Any) -> Any:
        output = ModelOutput.from_content("mockllm/model", answers[asked[-1].text])
        output.usage = ModelUsage()
        return output

    task = Task(
        dataset=json_dataset(rows, FieldSpec(input="prompt", target="target", id="id")),
        solver=generate(),
        scorer=match(numeric=True),
    )
    model = get_model("mockllm/model", custom_outputs=answer)
    [log] = eval(task, model=model, log_dir=logs, display="none")
    if log.error:
        sys.exit(log.error.message)
    assert log.results
    if log.results.completed_samples != len(lines):
        sys.exit(f"{log.results.completed_samples} of {len(lines)} samples were scored")


if __name__ == "__main__":
    main(*sys.argv[1:])
