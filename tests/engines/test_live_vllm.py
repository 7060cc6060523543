"""A `vllm.LLM` that a program holds: asked, and still the program's own afterwards."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.conftest import environment
from tests.model.shapes import SHAPES, write_model

SCRIPT = """
import json, sys
import ochat_eval

if __name__ == "__main__":
    from vllm import LLM, SamplingParams
    from transformers import AutoModelForCausalLM, AutoTokenizer

    asked = dict(data="sample", limit=4, max_tokens=9)
    llm = LLM("model", max_model_len=2048, enforce_eager=True, dtype="float32", seed=0)
    live = ochat_eval.evaluate("truthfulqa", generate=llm, name="live", **asked)
    [later] = llm.generate("once more", SamplingParams(max_tokens=3, temperature=0))
    model = AutoModelForCausalLM.from_pretrained("model", dtype="float32")
    held = ochat_eval.Weights(model=model, tokenizer=AutoTokenizer.from_pretrained("model"))
    same = ochat_eval.evaluate("truthfulqa", generate=held, name="held", **asked)
    columns = ["id", "text", "finish_reason", "prompt_tokens", "completion_tokens"]
    found = [r.responses().sort_values("id")[columns].values.tolist() for r in (live, same)]
    json.dump([found, len(later.outputs[0].token_ids)], open("found.json", "w"))
"""


def whole(rows: list[list]) -> list[list]:
    """The rows without the letter that a text was cut off in, of which vLLM shows nothing."""
    return [[id_, text.rstrip("\N{REPLACEMENT CHARACTER}"), *more] for id_, text, *more in rows]


@pytest.mark.vllm
@pytest.mark.timeout(600)
def test_it_answers_as_the_same_weights_in_transformers_and_stays_loaded(tmp_path):
    write_model(tmp_path / "model", SHAPES["chatml"], weights=True)
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True,
        env=environment(VLLM_ENABLE_V1_MULTIPROCESSING="0"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    (live, held), later = json.loads((tmp_path / "found.json").read_text())
    assert later == 3
    assert len(live) == 4 and whole(live) == whole(held)
