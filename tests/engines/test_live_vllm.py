"""A `vllm.LLM` that a program holds: asked, and still the program's own afterwards."""

from __future__ import annotations

import pytest

import ochat_eval
from ochat_eval.engines.vllm_build import import_vllm
from tests.model.shapes import SHAPES, write_model

COLUMNS = ["id", "text", "finish_reason", "prompt_tokens", "completion_tokens"]


def told(result: ochat_eval.Run) -> list[list]:
    """The answers, without the letter that a text was cut off in, of which vLLM shows nothing."""
    rows = result.responses().sort_values("id")[COLUMNS].values.tolist()
    return [[id_, text.rstrip("\N{REPLACEMENT CHARACTER}"), *more] for id_, text, *more in rows]


@pytest.mark.vllm
@pytest.mark.timeout(600)
def test_it_answers_as_the_same_weights_in_transformers_and_stays_loaded(tmp_path, monkeypatch):
    write_model(tmp_path / "model", SHAPES["chatml"], weights=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    import_vllm("a program")  # quietly, for the tests after this one
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from vllm import LLM, SamplingParams

    asked = {"data": "sample", "limit": 4, "max_tokens": 9}
    llm = LLM("model", max_model_len=2048, enforce_eager=True, dtype="float32", seed=0)
    try:
        live = ochat_eval.evaluate("truthfulqa", generate=llm, name="live", **asked)
        [later] = llm.generate("once more", SamplingParams(max_tokens=3, temperature=0))
    finally:
        llm.llm_engine.engine_core.shutdown()
    model = AutoModelForCausalLM.from_pretrained("model", dtype="float32")
    held = ochat_eval.Weights(model=model, tokenizer=AutoTokenizer.from_pretrained("model"))
    same = ochat_eval.evaluate("truthfulqa", generate=held, name="held", **asked)
    assert len(later.outputs[0].token_ids) == 3
    assert len(told(live)) == 4 and told(live) == told(same)
